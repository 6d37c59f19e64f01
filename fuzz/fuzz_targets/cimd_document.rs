//! An accepted document names its URL, has no secret, and every URL in it is plain https.
#![no_main]

use cimd::{ClientIdUrl, ClientMetadata, DocumentPolicy};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const ID: &str = "https://app.example.com/client.json";

fuzz_target!(|body: &[u8]| {
    let url = ClientIdUrl::parse(ID).expect("a good URL");
    let Ok(client) = ClientMetadata::parse(&url, body, &DocumentPolicy::default()) else {
        return;
    };
    assert!(body.len() <= 5120);
    let lenient: Value = serde_json::from_slice(body).expect("strict JSON is JSON");
    assert_eq!(lenient.as_object(), Some(client.members()));
    assert_eq!(lenient["client_id"], ID);
    assert!(lenient.get("client_secret").is_none());
    assert!(!client.accepted_methods().is_empty());
    assert!(
        client
            .urls()
            .all(|(_, url)| url.as_str().starts_with("https://"))
    );
    for uri in client.redirect_uris() {
        assert!(client.match_redirect_uri(uri).is_ok());
    }
    if let Some(keys) = client.jwks() {
        assert!(cimd::check_public_keys(keys.to_string().as_bytes()).is_ok());
    }
});

//! An accepted Client Identifier URL means the same host, port and path to a general URL parser.
#![no_main]

use cimd::ClientIdUrl;
use libfuzzer_sys::fuzz_target;
use url::{Host, Url};

fuzz_target!(|text: &str| {
    let Ok(id) = ClientIdUrl::parse(text) else {
        return;
    };
    assert_eq!(id.as_str(), text);
    let parsed = Url::parse(text).expect("an accepted URL is a URL");
    let Some(Host::Domain(host)) = parsed.host() else {
        panic!("the host is an address");
    };
    assert!(host.eq_ignore_ascii_case(id.host()));
    assert_eq!(parsed.path(), id.as_url().path());
    assert_eq!(parsed.port_or_known_default(), Some(id.as_url().port()));
    assert!(parsed.username().is_empty() && parsed.password().is_none());
    assert!(parsed.fragment().is_none());
    assert!(parsed.path().starts_with('/'));
});

//! An accepted SPIFFE ID is exactly what the grammar allows, and comes back as it went in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spiffe_id::{SpiffeId, SpiffeIdPattern, SpiffeIdRef, TrustDomain};

fuzz_target!(|data: &[u8]| {
    let parsed = SpiffeIdRef::from_bytes(data);
    let Ok(text) = std::str::from_utf8(data) else {
        assert!(parsed.is_err());
        return;
    };
    assert_eq!(parsed.is_ok(), SpiffeId::parse(text).is_ok());
    let _ = SpiffeIdPattern::parse(text);
    let Ok(id) = parsed else { return };

    assert_eq!(id.as_str(), text);
    assert!(text.len() <= 2048);
    let rest = text
        .strip_prefix("spiffe://")
        .expect("the scheme is checked");
    let (domain, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    assert!(!domain.is_empty() && domain.len() <= 255);
    let in_domain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    assert!(domain.bytes().all(in_domain));
    assert_eq!(id.trust_domain().as_str(), domain);
    assert_eq!(id.path(), path);
    if !path.is_empty() {
        for segment in path[1..].split('/') {
            assert!(!segment.is_empty() && segment != "." && segment != "..");
            assert!(
                segment
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
            );
        }
    }
    assert_eq!(
        id.segments().collect::<Vec<_>>().join("/"),
        path.trim_start_matches('/')
    );

    let owned = id.to_spiffe_id();
    assert_eq!(owned.as_str(), text);
    let domain: TrustDomain = owned.trust_domain().to_trust_domain();
    assert!(owned.is_member_of(&domain));
});

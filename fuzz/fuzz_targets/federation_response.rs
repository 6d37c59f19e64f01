//! However an endpoint answers, every request goes to a URL that may be one, and the bundle in force is one that may be.
//!
//! The input is lines: a status, a `Location` and a body each, with a tab between them.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderValue, LOCATION};
use http::{HeaderMap, StatusCode};
use jose_x509::provider::ring::provider;
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::UnixTime;
use spiffe_bundle::federation::{EventKind, Federation, FetchStep, Relationship, ServerIdentity};
use spiffe_bundle::{Error, SharedBundleSet};
use spiffe_id::{SpiffeId, TrustDomain};

const START: &str = "https://bundles.test/b";

fuzz_target!(|data: &[u8]| {
    let domain = TrustDomain::parse("a.test").expect("a trust domain");
    let id = SpiffeId::parse("spiffe://home.test/server").expect("an ID");
    let home = id.trust_domain().to_trust_domain();
    let (spiffe, data) = match data.split_first() {
        Some((b'!', rest)) => (true, rest),
        _ => (false, data),
    };
    let relationship = if spiffe {
        Relationship::https_spiffe(domain.clone(), START, id.clone())
    } else {
        Relationship::https_web(domain.clone(), START)
    };
    let bundles = Arc::new(SharedBundleSet::default());
    let own = br#"{"keys":[]}"#;
    let own = spiffe_bundle::Bundle::parse(&provider(), home.clone(), own).expect("a bundle");
    bundles.install(own).expect("the first one");
    let mut federation = Federation::new(provider(), home.clone(), Arc::clone(&bundles));
    let mut now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
    federation
        .establish([relationship.expect("a relationship")], now)
        .expect("the first one");

    let mut lines = data.split(|byte| *byte == b'\n');
    let mut more = true;
    while more {
        assert_eq!(federation.due(now), [domain.clone()]);
        let mut plan = federation.begin(&domain, now).expect("it is known");
        assert_eq!(plan.url().as_str(), START);
        let before = bundles.snapshot().get(&domain).cloned();
        let (attempt, result) = loop {
            let url = plan.url().clone();
            assert_eq!(url.scheme(), "https");
            assert!(url.username().is_empty() && url.password().is_none());
            assert!(
                url.fragment().is_none() && url.host_str().is_some_and(|host| !host.is_empty())
            );
            assert!(plan.redirects() <= 5);
            match plan.server() {
                ServerIdentity::SpiffeId(server) => assert!(spiffe && *server == id),
                ServerIdentity::Host(host) => assert!(!spiffe && Some(host) == url.host_str()),
                other => panic!("{other:?}"),
            }
            if let Ok(request) = plan.request() {
                assert_eq!(request.headers().len(), 1);
            }
            let Some(line) = lines.next() else {
                more = false;
                break (plan.attempt(), Err(Error::Status { status: 500 }));
            };
            let mut parts = line.splitn(3, |byte| *byte == b'\t');
            let mut part = || parts.next().unwrap_or_default();
            let status = std::str::from_utf8(part())
                .ok()
                .and_then(|text| text.parse().ok());
            let status = status.and_then(|status| StatusCode::from_u16(status).ok());
            let status = status.unwrap_or(StatusCode::OK);
            let mut headers = HeaderMap::new();
            if let Ok(location) = HeaderValue::from_bytes(part()) {
                headers.insert(LOCATION, location);
            }
            let attempt = plan.attempt();
            match plan.response(&provider(), status, &headers, part()) {
                Ok(FetchStep::Redirect(next)) => {
                    assert!(matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308));
                    plan = next;
                }
                Ok(FetchStep::Fetched(bundle)) => {
                    assert_eq!(status, StatusCode::OK);
                    assert_eq!(bundle.trust_domain(), domain.as_trust_domain_ref());
                    break (attempt, Ok(*bundle));
                }
                Ok(other) => panic!("{other:?}"),
                Err(error) => break (attempt, Err(error)),
            }
        };
        let accepted = federation.accept(attempt, result, now, 7);
        let offered = accepted.bundle().ok().cloned();
        let event = federation.distribute(accepted);
        let EventKind::Fetched { result, next, .. } = event.kind else {
            panic!("another event");
        };
        let after = bundles.snapshot().get(&domain).cloned();
        match (&result, &offered) {
            (Ok(_), Some(offered)) => assert_eq!(after.as_ref(), Some(offered)),
            (Err(_), None) => assert_eq!(after, before),
            other => panic!("{other:?}"),
        }
        let numbers = (
            before.and_then(|old| old.sequence()),
            after.and_then(|new| new.sequence()),
        );
        if let (Some(old), Some(new)) = numbers {
            assert!(new >= old, "back from {old} to {new}");
        }
        assert!(next.as_secs() - now.as_secs() >= 10);
        assert_eq!(
            bundles.snapshot().get(&home).map(|own| own.is_empty()),
            Some(true)
        );
        now = next;
    }
});

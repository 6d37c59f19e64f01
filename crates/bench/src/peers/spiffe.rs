//! `spiffe`, with `jsonwebtoken` on AWS-LC below it. It keeps keys as JSON and reads the one it needs with each token; it
//! parses the SPIFFE ID, too.

use std::hint::black_box;

use spiffe::{JwtBundle, JwtBundleSet, JwtSvid, SpiffeId, TrustDomain, X509Svid};

use crate::fixtures::{AUDIENCE, Key};
use crate::harness::Work;

/// Validates a token.
#[must_use]
pub fn verify(others: &[Key], signer: &Key, token: &str) -> Work {
    let domain = TrustDomain::new("prod.example.org").expect("a trust domain");
    let mut bundle = JwtBundle::new(domain);
    for key in others.iter().chain([signer]) {
        let jwk = key.jwk().with_use("jwt-svid").to_value().to_string();
        bundle
            .add_jwk_authority_json(jwk.as_bytes())
            .expect("the key is sound");
    }
    let mut bundles = JwtBundleSet::new();
    bundles.add_bundle(bundle);
    let token = token.to_owned();
    Work::new(move || {
        JwtSvid::parse_and_validate(black_box(&token), &bundles, &[AUDIENCE])
            .expect("the token is good")
    })
}

/// Parses a SPIFFE ID. It has no borrowed form.
#[must_use]
pub fn id(text: &'static str) -> Work {
    Work::new(move || SpiffeId::new(black_box(text)).expect("it is valid"))
}

/// Reads a bundle document as a key set: it keeps each entry as JSON and looks at nothing but its `kid`.
#[must_use]
pub fn bundle(json: Vec<u8>) -> Work {
    let domain = TrustDomain::new("prod.example.org").expect("a trust domain");
    Work::new(move || {
        JwtBundle::from_jwt_authorities(domain.clone(), black_box(&json)).expect("it is good")
    })
}

/// Looks up one trust domain after the other.
#[must_use]
pub fn lookup(domains: &[spiffe_id::TrustDomain]) -> Work {
    let domains: Vec<_> = domains
        .iter()
        .map(|domain| TrustDomain::new(domain.as_str()).expect("a trust domain"))
        .collect();
    let mut bundles = JwtBundleSet::new();
    for domain in &domains {
        bundles.add_bundle(JwtBundle::new(domain.clone()));
    }
    let mut at = 0;
    Work::new(move || {
        at = (at + 4099) % domains.len();
        let bundle = bundles.get(domains.get(at).expect("it is within"));
        assert!(bundle.is_some());
        bundle
    })
}

/// Parses certificates and a key.
#[must_use]
pub fn parse_x509_svid(certificates: Vec<u8>, key: Vec<u8>) -> Work {
    Work::new(move || {
        X509Svid::parse_from_der(black_box(&certificates), black_box(&key))
            .expect("the form is good")
    })
}

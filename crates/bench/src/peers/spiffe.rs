//! `spiffe`, with `jsonwebtoken` on AWS-LC below it. It keeps keys as JSON and reads the one it needs with each token; it
//! parses the SPIFFE ID, too.

use std::hint::black_box;

use spiffe::{JwtBundle, JwtBundleSet, JwtSvid, TrustDomain};

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

//! SVIDs, bundle and proof that OpenSSL and `joserfc` made (`test-vectors/real`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::time::Duration;

use http::{HeaderMap, Uri};
use jose_x509::x509::pem;
use jose_x509::{CryptoProvider, MemoryReplayGuard, provider::ring};
use pki_types::UnixTime;
use spiffe_bundle::Bundle;
use spiffe_id::TrustDomain;
use svid::jwt::JwtSvidVerifier;
use svid::wit::WitSvidVerifier;
use svid::x509::VerifyOptions;

const PROVIDER: CryptoProvider = ring::provider();
const NOW: u64 = 1_800_000_010;

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(NOW))
}

fn bundle() -> Bundle {
    let document = include_bytes!("../../../test-vectors/real/bundle.json");
    let bundle = Bundle::parse(
        &PROVIDER,
        TrustDomain::parse("example.org").unwrap(),
        document,
    )
    .unwrap();
    assert_eq!(bundle.skipped(), 0);
    bundle
}

fn text(bytes: &'static [u8]) -> &'static str {
    core::str::from_utf8(bytes).unwrap().trim_end()
}

#[test]
fn an_x509_svid_of_openssl_verifies() {
    let file = include_bytes!("../../../test-vectors/real/x509-svid.pem");
    let chain = pem::certificates(file, 8).unwrap();
    let options = VerifyOptions::default();
    let identity = svid::x509::verify(
        &chain,
        &bundle(),
        &options,
        PROVIDER.certificate_algorithms,
        now(),
    )
    .unwrap();
    assert_eq!(
        identity.unproven_spiffe_id().as_str(),
        "spiffe://example.org/billing"
    );
}

#[test]
fn a_jwt_svid_of_joserfc_verifies() {
    let token = text(include_bytes!("../../../test-vectors/real/jwt-svid.jwt"));
    let audience = audience_of(token);
    let verifier = JwtSvidVerifier::new(audience).unwrap();
    let svid = verifier.verify(token, &bundle(), now()).unwrap();
    assert!(
        svid.spiffe_id()
            .is_member_of(&TrustDomain::parse("example.org").unwrap())
    );
    let other = JwtSvidVerifier::new("somebody-else").unwrap();
    assert_eq!(
        other.verify(token, &bundle(), now()).unwrap_err().code(),
        "audience_mismatch"
    );
}

#[test]
fn a_wit_svid_and_its_proof_of_joserfc_verify() {
    let wit = text(include_bytes!("../../../test-vectors/real/wit-svid.jwt"));
    let wpt = text(include_bytes!("../../../test-vectors/real/wpt.jwt"));
    let mut headers = HeaderMap::new();
    headers.insert("workload-identity-token", wit.parse().unwrap());
    headers.insert("authorization", format!("WPT {wpt}").parse().unwrap());
    let verifier = WitSvidVerifier::new("https://workload.example.org").unwrap();
    let replay = MemoryReplayGuard::new(100);
    let target = Uri::from_static("/path");
    let workload = verifier
        .verify(&headers, &target, &bundle(), &replay, now())
        .unwrap();
    assert!(
        workload
            .spiffe_id()
            .as_str()
            .starts_with("spiffe://example.org/")
    );
}

fn audience_of(token: &str) -> String {
    let payload = token.split('.').nth(1).unwrap();
    let claims = jose_x509::base64url::decode(payload, "payload").unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    claims["aud"]
        .as_str()
        .or(claims["aud"][0].as_str())
        .unwrap()
        .to_owned()
}

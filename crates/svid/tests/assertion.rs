//! What tokens say beyond their subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::time::Duration;

use http::{HeaderMap, Uri};
use jose_x509::jws::ProtectedHeader;
use jose_x509::provider::ring;
use jose_x509::{Algorithm, CryptoProvider, MemoryReplayGuard, SigningKey, jwt};
use pki_types::UnixTime;
use serde_json::json;
use spiffe_bundle::{Bundle, BundleSet};
use spiffe_id::TrustDomain;
use svid::assertion::{Assertion, AssertionPolicy};
use svid::jwt::JwtSvidVerifier;
use svid::wit::{WitSvidHolder, WitSvidVerifier};

const PROVIDER: CryptoProvider = ring::provider();
const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn td(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

fn key() -> SigningKey {
    SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_thumbprint_kid()
}

/// What a trust domain signs its tokens with.
struct Authority {
    jwt: SigningKey,
    wit: SigningKey,
}

/// Home and a federated trust domain.
fn world() -> (BundleSet, Authority, Authority) {
    let authority = || Authority {
        jwt: key(),
        wit: key(),
    };
    let (home, partner) = (authority(), authority());
    let mut set = BundleSet::new();
    for (name, authority) in [("home.test", &home), ("partner.test", &partner)] {
        let bundle = Bundle::builder(&PROVIDER, td(name))
            .with_jwt_authority(&authority.jwt.public_jwk())
            .with_wit_authority(&authority.wit.public_jwk());
        set.install(bundle.build().unwrap()).unwrap();
    }
    (set, home, partner)
}

/// What one trust domain says never counts as what another one says, nothing counts that nobody has agreed on, and
/// what a foreign authority says of local facts is not believed unless it is on the list for that claim.
///
/// Covers: SPIFFE-ID-3.2-4, SPIFFE-ID-4.1.2-1, SPIFFE-ID-4.1.4-1, SPIFFE-ID-A21
#[test]
fn claims_belong_to_the_trust_domain_that_makes_them() {
    let (bundles, home, partner) = world();
    let verifier = JwtSvidVerifier::new("ledger").unwrap();
    let svid = |name: &str, key: &SigningKey| {
        let claims = json!({
            "sub": format!("spiffe://{name}/clerk"), "aud": "ledger", "exp": NOW + 300,
            "role": "admin", "customer_authenticated": true, "extra": {"role": "admin"},
        });
        let token = jwt::sign(key, &ProtectedHeader::new("JWT"), &claims).unwrap();
        verifier.verify(&token, &bundles, at(NOW)).unwrap()
    };
    let (own, foreign) = (
        svid("home.test", &home.jwt),
        svid("partner.test", &partner.jwt),
    );
    let says = |name: &str, claim: &str, value| Assertion::new(td(name), claim, value);
    let admin = |name| says(name, "role", json!("admin"));

    let nothing = AssertionPolicy::new();
    assert_eq!(nothing.of_jwt_svid(&own).unwrap(), []);

    let agreed = nothing
        .believing(td("home.test"), "role")
        .unwrap()
        .believing(td("home.test"), "customer_authenticated")
        .unwrap();
    let own_says = agreed.of_jwt_svid(&own).unwrap();
    assert_eq!(own_says.len(), 2);
    assert!(own_says.contains(&admin("home.test")));
    assert!(own_says.contains(&says("home.test", "customer_authenticated", json!(true))));
    assert_eq!(agreed.of_jwt_svid(&foreign).unwrap(), []);

    // Believed of both, the two still do not say the same.
    let both = agreed.believing(td("partner.test"), "role").unwrap();
    assert_eq!(both.of_jwt_svid(&foreign).unwrap(), [admin("partner.test")]);
    assert_ne!(admin("partner.test"), admin("home.test"));
    let one = admin("home.test");
    assert_eq!(
        (one.trust_domain().as_str(), one.claim(), one.value()),
        ("home.test", "role", &json!("admin"))
    );

    for defined in ["sub", "iss", "aud", "exp", "cnf", ""] {
        let refused = AssertionPolicy::new().believing(td("home.test"), defined);
        assert_eq!(refused.unwrap_err().code(), "invalid_option");
    }
}

/// Covers: SPIFFE-ID-3.2-4
#[test]
fn a_wit_svid_says_no_more_than_a_jwt_svid() {
    let (bundles, _, partner) = world();
    let workload = key();
    let claims = json!({
        "sub": "spiffe://partner.test/clerk", "exp": NOW + 300, "role": "admin", "other": 1,
        "cnf": {"jwk": workload.public_jwk().with_algorithm(Algorithm::Es256).unwrap()},
    });
    let wit = jwt::sign(&partner.wit, &ProtectedHeader::new("wit+jwt"), &claims).unwrap();
    let holder = WitSvidHolder::new(wit, workload).unwrap();
    let target = Uri::from_static("https://ledger.home.test/book");
    let mut headers = HeaderMap::new();
    holder.attach(&mut headers, &target, at(NOW)).unwrap();
    let bound = WitSvidVerifier::new("https://ledger.home.test")
        .unwrap()
        .verify(
            &headers,
            &target,
            &bundles,
            &MemoryReplayGuard::new(8),
            at(NOW),
        )
        .unwrap();
    let policy = AssertionPolicy::new()
        .believing(td("partner.test"), "role")
        .unwrap();
    assert_eq!(
        policy.of_wit_svid(&bound).unwrap(),
        [Assertion::new(td("partner.test"), "role", json!("admin"))]
    );
    let home = AssertionPolicy::new()
        .believing(td("home.test"), "role")
        .unwrap();
    assert_eq!(home.of_wit_svid(&bound).unwrap(), []);
}

//! What makes the presenter of a WIT-SVID the workload, and what does not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header, request};
use jose_x509::jws::ProtectedHeader;
use jose_x509::{
    Algorithm, CryptoProvider, Error as JoseError, MemoryReplayGuard, ReplayGuard, ReplayKey,
    Signer, SigningKey, base64url, jwt, provider::ring,
};
use pki_types::UnixTime;
use serde_json::{Value, json};
use spiffe_bundle::{Bundle, BundleSet};
use spiffe_id::{SpiffeId, TrustDomain};
use svid::wit::{
    BoundWorkload, ProofOfPossession, UnprovenWitSvid, WitSvidHolder, WitSvidIssuer,
    WitSvidRequest, WitSvidVerifier,
};
use wimse::httpsig::{MessageSigner, RequestVerifier};
use wimse::{UnprovenWit, WitVerifier, WptBuilder};

const PROVIDER: CryptoProvider = ring::provider();
const NOW: u64 = 1_800_000_000;
const ID: &str = "spiffe://a.test/agents/one";
const AUTHORITY: &str = "https://api.test";
const TARGET: &str = "https://api.test/refunds";

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn id() -> SpiffeId {
    SpiffeId::parse(ID).unwrap()
}

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_kid(kid)
}

struct Domain {
    issuer: WitSvidIssuer<SigningKey>,
    bundles: BundleSet,
}

fn domain() -> Domain {
    let home = TrustDomain::parse("a.test").unwrap();
    let key = key("i");
    let bundle = Bundle::builder(&PROVIDER, home.clone()).with_wit_authority(&key.public_jwk());
    let mut bundles = BundleSet::new();
    bundles.install(bundle.build().unwrap()).unwrap();
    Domain {
        issuer: WitSvidIssuer::new(key, home).unwrap(),
        bundles,
    }
}

impl Domain {
    fn wit(&self, own: &SigningKey) -> String {
        let (id, jwk) = (id(), own.public_jwk());
        let request = WitSvidRequest::new(&id, &jwk)
            .with_random_id(&PROVIDER)
            .unwrap();
        self.issuer.issue_request(&request, at(NOW)).unwrap()
    }

    fn holder(&self) -> WitSvidHolder {
        let own = key("own");
        WitSvidHolder::new(self.wit(&own), own).unwrap()
    }

    fn unproven(&self, wit: &str) -> UnprovenWitSvid {
        verifier().verify_wit(wit, &self.bundles, at(NOW)).unwrap()
    }

    fn receive(&self, headers: &HeaderMap) -> Result<BoundWorkload, svid::Error> {
        let replay = MemoryReplayGuard::new(100);
        self.receive_at(headers, TARGET, NOW, &replay)
    }

    fn receive_at(
        &self,
        headers: &HeaderMap,
        target: &str,
        now: u64,
        replay: &impl ReplayGuard,
    ) -> Result<BoundWorkload, svid::Error> {
        let target: Uri = target.parse().unwrap();
        verifier().verify(headers, &target, &self.bundles, replay, at(now))
    }
}

fn verifier() -> WitSvidVerifier {
    WitSvidVerifier::new(AUTHORITY).unwrap()
}

fn code<T>(result: Result<T, svid::Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}

fn attached(holder: &WitSvidHolder, target: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let target: Uri = target.parse().unwrap();
    holder.attach(&mut headers, &target, at(NOW)).unwrap();
    headers
}

/// The holder sends token and fresh proof together, never the token in `Authorization`, and not in the clear.
///
/// Covers: WIT-SVID-5-1, WIT-SVID-5-2, WIT-SVID-5-3, WIT-SVID-5-4, WIT-SVID-7.3-1, WIT-SVID-7.2-2
#[test]
fn what_the_holder_sends() {
    let domain = domain();
    let holder = domain.holder();
    assert_eq!(holder.spiffe_id(), &id());
    let (one, two) = (attached(&holder, TARGET), attached(&holder, TARGET));
    assert_eq!(one.len(), 2);
    assert_eq!(one["workload-identity-token"], holder.token());
    let proof = one[header::AUTHORIZATION].to_str().unwrap();
    assert!(!proof.contains(holder.token()) && proof.starts_with("WPT "));
    assert_ne!(
        one[header::AUTHORIZATION],
        two[header::AUTHORIZATION],
        "each proof is new"
    );
    assert!(one.values().all(HeaderValue::is_sensitive));
    let payload = proof.split('.').nth(1).unwrap();
    let payload: Value =
        serde_json::from_slice(&base64url::decode(payload, "payload").unwrap()).unwrap();
    let exp = payload["exp"].as_u64().unwrap();
    assert!((NOW + 1..=NOW + 60).contains(&exp));
    assert_eq!(domain.receive(&one).unwrap().spiffe_id(), &id());

    for target in ["http://api.test/x", "/x", "ws://api.test/x"] {
        let mut headers = HeaderMap::new();
        let refused = holder.attach(&mut headers, &target.parse().unwrap(), at(NOW));
        assert_eq!(
            (code(refused), headers.len()),
            ("insecure_target", 0),
            "{target}"
        );
    }
    attached(&holder, "http://localhost:8080/x");
    // In the wrong field it is refused, a valid proof beside it or not.
    for scheme in ["Bearer", "WIT", "WPT"] {
        let mut headers = one.clone();
        let value = format!("{scheme} {}", holder.token());
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        assert_ne!(code(domain.receive(&headers)), "valid", "{scheme}");
        headers.append(header::AUTHORIZATION, one[header::AUTHORIZATION].clone());
        assert_ne!(code(domain.receive(&headers)), "valid", "{scheme}");
    }
    assert!(!format!("{holder:?}").contains(holder.token().split('.').next().unwrap()));

    let other = WitSvidHolder::new(holder.token(), key("own"));
    assert_eq!(code(other), "confirmation_key_mismatch");
    assert_eq!(
        code(WitSvidHolder::new("a.b.c", key("own"))),
        "invalid_base64"
    );
}

/// Covers: WIT-SVID-3.2-5
#[test]
fn proofs_have_the_algorithm_of_the_token() {
    let domain = domain();
    let rsa = |algorithm: Algorithm| {
        let text = include_bytes!("../../../test-vectors/keys/rsa2048.jwk.json");
        let mut jwk: Value = serde_json::from_slice(text).unwrap();
        jwk["alg"] = algorithm.name().into();
        SigningKey::from_jwk_slice(&PROVIDER, jwk.to_string().as_bytes()).unwrap()
    };
    let wit = domain.wit(&rsa(Algorithm::Rs256));
    for (algorithm, expected) in [
        (Algorithm::Rs256, "valid"),
        (Algorithm::Ps256, "proof_algorithm"),
        (Algorithm::Rs512, "proof_algorithm"),
    ] {
        let mut headers = HeaderMap::new();
        WptBuilder::new(&wit, TARGET)
            .apply(&mut headers, &rsa(algorithm), &PROVIDER, at(NOW))
            .unwrap();
        assert_eq!(
            code(domain.receive(&headers)),
            expected,
            "{}",
            algorithm.name()
        );
        let held = WitSvidHolder::new(wit.clone(), rsa(algorithm));
        assert_eq!(held.is_ok(), expected == "valid");
    }
}

/// Instances that were given one token are each let in by a proof of their own, and audit sees the shared lineage.
/// Instances with keys of their own cannot stand in for each other.
///
/// Covers: WIT-SVID-3.3-3, WIT-SVID-3.3-4, WIT-SVID-3.3-5, WIT-SVID-4-2, WIT-SVID-A13, WIT-SVID-A20
#[test]
fn instances() {
    /// Remembers what it was asked for.
    struct Recording(MemoryReplayGuard, Mutex<Vec<ReplayKey>>);
    impl ReplayGuard for Recording {
        fn check_and_insert(
            &self,
            key: ReplayKey,
            expires: UnixTime,
            now: UnixTime,
        ) -> Result<(), JoseError> {
            self.1.lock().unwrap().push(key);
            self.0.check_and_insert(key, expires, now)
        }
    }
    let domain = domain();
    let replay = Recording(MemoryReplayGuard::new(100), Mutex::default());
    let shared = domain.holder();
    let mut seen = HashSet::new();
    for instance in [shared.clone(), shared.clone(), shared] {
        let headers = attached(&instance, TARGET);
        let workload = domain.receive_at(&headers, TARGET, NOW, &replay).unwrap();
        seen.insert((
            workload.token_id().unwrap().to_owned(),
            workload.issuer_key_id().unwrap().to_owned(),
        ));
    }
    assert_eq!(seen.len(), 1);
    let keys = replay.1.lock().unwrap().clone();
    assert_eq!(
        keys.iter().collect::<HashSet<_>>().len(),
        3,
        "proofs alone are used up"
    );

    let (one, two) = (domain.holder(), domain.holder());
    let unproven = |holder: &WitSvidHolder| domain.unproven(holder.token());
    assert_ne!(unproven(&one).token_id(), unproven(&two).token_id());
    let mut mixed = attached(&one, TARGET);
    mixed.insert("workload-identity-token", two.token().parse().unwrap());
    assert_eq!(code(domain.receive(&mixed)), "invalid_signature");
}

/// A proof ends soon, is for one target, and covers what travels with it.
///
/// Covers: WIT-SVID-7.2-1, WIT-SVID-7.2-4, WIT-SVID-7.2-5, WIT-SVID-A16
#[test]
fn scope_of_a_proof_token() {
    let domain = domain();
    let holder = domain.holder();
    let good = attached(&holder, TARGET);
    let replay = || MemoryReplayGuard::new(100);
    for (target, now, expected) in [
        (TARGET, NOW, "valid"),
        ("https://api.test/refunds?x=1", NOW, "valid"),
        ("https://api.test/other", NOW, "audience_mismatch"),
        (TARGET, NOW + 89, "valid"),
        (TARGET, NOW + 90, "expired"),
    ] {
        let received = code(domain.receive_at(&good, target, now, &replay()));
        assert_eq!(received, expected, "{target} at {now}");
    }
    let elsewhere = attached(&holder, "https://other.test/refunds");
    assert_eq!(code(domain.receive(&elsewhere)), "audience_mismatch");

    // Without an end, or with one far away, it is no proof.
    let hash = base64url::encode(&PROVIDER.sha256(holder.token().as_bytes()));
    let proof = |claims: Value| {
        let header = ProtectedHeader::new("wpt+jwt").without_kid();
        let proof = jwt::sign(holder.key(), &header, &claims).unwrap();
        let mut headers = good.clone();
        let value = format!("WPT {proof}").parse().unwrap();
        headers.insert(header::AUTHORIZATION, value);
        code(domain.receive(&headers))
    };
    let base = json!({"aud": TARGET, "jti": "one", "wth": hash, "exp": NOW + 60});
    assert_eq!(proof(base.clone()), "valid");
    let with = |name: &str, value: Value| {
        let mut claims = base.clone();
        claims[name] = value;
        if claims[name].is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        proof(claims)
    };
    assert_eq!(with("exp", Value::Null), "missing_claim");
    assert_eq!(with("exp", json!(NOW + 3600)), "lifetime_too_long");
    assert_eq!(with("jti", Value::Null), "missing_claim");
    assert_eq!(with("wth", Value::Null), "wit_hash");
    assert_eq!(with("wth", json!(1)), "claim");
    assert_eq!(with("wth", json!(base64url::encode(&[0; 32]))), "wit_hash");
    let any = base64url::encode(&[7; 32]);
    // What the proof names has to be there …
    assert_eq!(with("tth", json!(any)), "transaction_token_hash");
    assert_eq!(with("oth", json!({"x-context": any})), "other_token_hash");
    // … what is there has to be named …
    let mut more = good.clone();
    more.insert("txn-token", HeaderValue::from_static("a.b.c"));
    assert_eq!(code(domain.receive(&more)), "transaction_token_hash");
    let field = HeaderName::from_static("x-context");
    let context = verifier().with_context_field(field.clone());
    let target: Uri = TARGET.parse().unwrap();
    let judge = |headers: &HeaderMap| {
        code(context.verify(headers, &target, &domain.bundles, &replay(), at(NOW)))
    };
    let mut more = good.clone();
    more.insert(field.clone(), HeaderValue::from_static("context"));
    assert_eq!(judge(&more), "other_token_hash");
    // … and be what it was.
    let mut covered = HeaderMap::new();
    WptBuilder::new(holder.token(), TARGET)
        .with_other_token(field.clone(), "context")
        .apply(&mut covered, holder.key(), &PROVIDER, at(NOW))
        .unwrap();
    covered.insert(field.clone(), HeaderValue::from_static("context"));
    assert_eq!(judge(&covered), "valid");
    covered.insert(field, HeaderValue::from_static("another"));
    assert_eq!(judge(&covered), "other_token_hash");
}

/// The signature of a whole request covers method, target, content and fields; a change of any is noticed.
///
/// Covers: WIT-SVID-5-5, WIT-SVID-7.2-3, WIT-SVID-7.2-4, WIT-SVID-A15
#[test]
fn signed_requests() {
    let domain = domain();
    let holder = domain.holder();
    let content = br#"{"amount":1}"#;
    let request = Request::post(TARGET)
        .header(header::CONTENT_TYPE, "application/json")
        .body(())
        .unwrap();
    let (mut parts, ()) = request.into_parts();
    MessageSigner::new(holder.token(), holder.key().clone(), PROVIDER)
        .unwrap()
        .sign_request(&mut parts, content, at(NOW))
        .unwrap();
    let rules = RequestVerifier::new(WitVerifier::new())
        .with_authority(AUTHORITY)
        .unwrap();
    let receive = |parts: &request::Parts, content: &[u8]| {
        let wit = parts.headers["workload-identity-token"].to_str().unwrap();
        let replay = MemoryReplayGuard::new(100);
        domain
            .unproven(wit)
            .bind_to_signed_request(&rules, parts, content, &replay, at(NOW))
    };
    let (workload, request) = receive(&parts, content).unwrap();
    assert_eq!(
        (workload.spiffe_id(), request.method()),
        (&id(), &Method::POST)
    );
    assert_eq!(code(receive(&parts, b"{\"amount\":9}")), "digest_mismatch");

    let changed = |change: &dyn Fn(&mut request::Parts)| {
        let mut parts = parts.clone();
        change(&mut parts);
        let outcome = receive(&parts, content);
        assert!(outcome.is_err());
        code(outcome)
    };
    assert_eq!(
        changed(&|parts| parts.method = Method::GET),
        "invalid_signature"
    );
    changed(&|parts| parts.uri = "https://api.test/other".parse().unwrap());
    changed(&|parts| parts.uri = "https://api.test/refunds?all=1".parse().unwrap());
    changed(&|parts| drop(parts.headers.remove("signature")));
    changed(&|parts| drop(parts.headers.remove("content-digest")));
    let other = domain.holder();
    changed(&|parts| {
        let token = other.token().parse().unwrap();
        parts.headers.insert("workload-identity-token", token);
    });
}

/// Another mechanism serves as well, if it proves the very key of the token.
///
/// Covers: WIT-SVID-5-6
#[test]
fn another_mechanism() {
    /// The signature of a challenge.
    struct Challenge<'a> {
        asked: &'a [u8],
        answer: Vec<u8>,
    }
    impl ProofOfPossession for Challenge<'_> {
        fn verify(&self, wit: &UnprovenWit) -> Result<(), wimse::Error> {
            wit.proof_key()
                .verify(wit.proof_algorithm(), self.asked, &self.answer)
                .map_err(|source| wimse::Error::Token {
                    token: wimse::Token::Wpt,
                    source,
                })
        }
    }
    let domain = domain();
    let holder = domain.holder();
    let asked = b"a nonce for this connection";
    let answer = |key: &SigningKey| key.sign(asked).unwrap().as_ref().to_vec();
    let bind = |asked: &[u8], answer: Vec<u8>| {
        domain
            .unproven(holder.token())
            .bind(&Challenge { asked, answer })
    };
    let bound = bind(asked, answer(holder.key())).unwrap();
    assert_eq!(bound.spiffe_id(), &id());
    assert_eq!(code(bind(asked, answer(&key("own")))), "invalid_signature");
    assert_eq!(
        code(bind(b"another", answer(holder.key()))),
        "invalid_signature"
    );
    assert_eq!(code(bind(asked, Vec::new())), "invalid_signature");
}

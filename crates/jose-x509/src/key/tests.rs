use serde_json::{Value, json};

use super::PROVIDER;
use crate::algorithm::{Algorithm, Algorithms};
use crate::error::{Error, KeyProblem};
use crate::jwk::{JwkSet, KeyMaterial, SetLimits};
use crate::jws::{ProtectedHeader, UnverifiedJws};
use crate::key::{KeySet, VerifyingKey};
use crate::provider::{CryptoProvider, PreparedKey, Verification};
use crate::sign::SigningKey;

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_kid(kid)
}

fn set(keys: &[Value]) -> Vec<u8> {
    serde_json::to_vec(&json!({ "keys": keys })).unwrap()
}

/// However a set comes in: the same keys, the same entries skipped for the same reasons.
///
/// Covers: JWKA-7517.5-1
#[test]
fn sets_keep_what_they_understand() {
    let jwk = |kid| key(kid).public_jwk().to_value();
    let with = |kid, name: &str, value: Value| {
        let mut jwk = jwk(kid);
        jwk[name] = value;
        jwk
    };
    let text = set(&[
        json!({"kty": "unheard of"}),
        with("a", "use", json!("sig")),
        with("b", "use", json!("enc")),
        jwk("c"),
        with("d", "key_ops", json!(["sign"])),
        json!("no key"),
    ]);
    let unsupported = (0, KeyProblem::Unsupported);
    let malformed = (5, KeyProblem::Malformed);
    let seen = |set: &KeySet| -> (Vec<String>, Vec<(usize, KeyProblem)>) {
        let kids = set.keys().iter().map(|key| key.kid().unwrap().to_owned());
        let skipped = set.skipped().iter();
        let mut skipped: Vec<_> = skipped.map(|s| (s.index, s.reason)).collect();
        skipped.sort_by_key(|(index, _)| *index);
        (kids.collect(), skipped)
    };

    let direct = KeySet::from_jwks_slice(&PROVIDER, &text).unwrap();
    let (kids, skipped) = seen(&direct);
    assert_eq!(kids, ["a", "c"]);
    let not_for_verification = (4, KeyProblem::Inconsistent);
    assert_eq!(skipped, [unsupported, not_for_verification, malformed]);
    assert_eq!(direct.get("c").unwrap().kid(), Some("c"));
    assert!(direct.get("b").is_none());

    let parsed = JwkSet::from_slice(&text).unwrap();
    let (kids, skipped) = seen(&KeySet::from_jwks(&PROVIDER, &parsed).unwrap());
    assert_eq!(kids, ["a", "c"]);
    assert_eq!(skipped.first(), Some(&unsupported));
    assert_eq!(skipped.last(), Some(&malformed));

    let used = |wanted: Option<&'static str>| {
        let set = KeySet::from_jwks_with_use(&PROVIDER, &parsed, |key_use| key_use == wanted);
        seen(&set.unwrap()).0
    };
    assert_eq!(used(Some("sig")), ["a"]);
    assert_eq!(used(None), ["c"]);
    assert!(used(Some("jwt-svid")).is_empty());
}

/// Covers: JWKA-7517.4.5-1
#[test]
fn a_name_belongs_to_one_key() {
    let text = set(&[
        key("a").public_jwk().to_value(),
        key("a").public_jwk().to_value(),
    ]);
    assert_eq!(
        KeySet::from_jwks_slice(&PROVIDER, &text).unwrap_err(),
        Error::DuplicateKid
    );
    // Keys without a name are no twins.
    let nameless = || {
        let key = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
        key.verifying_key().unwrap()
    };
    assert_eq!(
        KeySet::new(vec![nameless(), nameless()])
            .unwrap()
            .keys()
            .len(),
        2
    );
}

/// Two keys, and not one more or less.
#[test]
fn limits_are_exact() {
    let text = set(&[
        key("a").public_jwk().to_value(),
        key("b").public_jwk().to_value(),
    ]);
    let read = |bytes, keys| {
        KeySet::from_jwks_slice_with(&PROVIDER, &text, &SetLimits::new(bytes, keys)).map(|_| ())
    };
    assert_eq!(read(text.len(), 2), Ok(()));
    assert_eq!(read(text.len(), 1), Err(Error::TooManyKeys { limit: 1 }));
    assert!(matches!(read(text.len() - 1, 2), Err(Error::Json { .. })));
}

/// A reference to a source finds what the source finds.
#[test]
fn sources_behind_references() {
    let (own, other) = (key("a"), key("b"));
    let keys = KeySet::new(vec![own.verifying_key().unwrap()]).unwrap();
    let all = Algorithms::of(&[Algorithm::Es256]);
    for (by, expected) in [(&own, Ok(())), (&other, Err(Error::UnknownKey))] {
        let token = crate::jws::sign(by, &ProtectedHeader::new("JWT"), b"{}").unwrap();
        let parsed = || UnverifiedJws::parse(&token).unwrap();
        assert_eq!(parsed().verify(&keys, all).map(|_| ()), expected);
        assert_eq!(parsed().verify(&&keys, all).map(|_| ()), expected);
    }
}

/// A key is good for its own algorithm, under each name that this has.
///
/// Covers: JWKA-7517.4.4-1
#[test]
fn a_key_has_one_operation() {
    for (algorithm, names) in [
        (Algorithm::Es256, &[Algorithm::Es256][..]),
        (Algorithm::Ed25519, &[Algorithm::Ed25519, Algorithm::EdDsa]),
    ] {
        let key = SigningKey::generate(&PROVIDER, algorithm).unwrap();
        assert_eq!(
            key.verifying_key().unwrap().algorithms(),
            Algorithms::of(names)
        );
    }
}

/// What the provider says of a key that it cannot read is said again, and early if one asks for it.
#[test]
fn a_provider_may_refuse_a_key() {
    struct Refuses;
    impl Verification for Refuses {
        fn supports(&self, _: Algorithm) -> bool {
            true
        }

        fn prepare(
            &self,
            _: Algorithm,
            _: KeyMaterial<'_>,
        ) -> Result<Box<dyn PreparedKey>, KeyProblem> {
            Err(KeyProblem::InvalidPoint)
        }
    }
    static REFUSES: Refuses = Refuses;

    let provider = CryptoProvider {
        verification: &REFUSES,
        ..PROVIDER
    };
    let jwk = key("a").public_jwk();
    let refused = VerifyingKey::from_jwk(&provider, jwk.clone()).unwrap();
    let problem = Error::from(KeyProblem::InvalidPoint);
    assert_eq!(refused.prepare(), Err(problem.clone()));
    assert_eq!(
        refused.verify(Algorithm::Es256, b"", &[0; 64]),
        Err(problem)
    );

    let read = VerifyingKey::from_jwk(&PROVIDER, jwk).unwrap();
    assert_eq!(read.prepare(), Ok(()));
    assert_eq!(
        read.verify(Algorithm::Es256, b"", &[0; 63]),
        Err(Error::InvalidSignature)
    );
}

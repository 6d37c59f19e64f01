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

#[test]
fn keys_that_are_prepared_together_are_as_those_prepared_alone() {
    let good = [key("a"), key("b")];
    let encrypts = good[0].public_jwk().with_use("enc");
    let jwks = [good[0].public_jwk(), encrypts, good[1].public_jwk()];
    let together = VerifyingKey::from_jwks(&PROVIDER, jwks.to_vec());
    assert_eq!(together.len(), jwks.len());
    for (jwk, key) in jwks.into_iter().zip(together) {
        match (VerifyingKey::from_jwk(&PROVIDER, jwk), key) {
            (Ok(alone), Ok(together)) => assert_eq!(alone.jwk(), together.jwk()),
            (Err(alone), Err(together)) => assert_eq!(alone, together),
            (alone, together) => panic!("{alone:?}, but {together:?}"),
        }
    }
    assert!(
        VerifyingKey::from_jwks(&PROVIDER, Vec::new())
            .next()
            .is_none()
    );
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

/// A few keys are looked through, many looked up: by either way each name leads to its key, and no other name to any.
///
/// Covers: JWKA-7517.4.5-1
#[test]
fn every_key_is_found_by_its_name() {
    let one = key("0").public_jwk();
    for count in [0, 1, 7, 8, 9, 10, 40] {
        let named = |at: usize| one.clone().with_kid(format!("k{at}")).to_value();
        let keys: Vec<Value> = (0..count).map(named).collect();
        let found = KeySet::from_jwks_slice(&PROVIDER, &set(&keys)).unwrap();
        for at in 0..count {
            let kid = format!("k{at}");
            assert_eq!(
                found.get(&kid).and_then(VerifyingKey::kid),
                Some(kid.as_str())
            );
        }
        for other in ["", "k", "K1", "k41", "k00"] {
            assert!(found.get(other).is_none(), "{other} of {count}");
        }
        // A name twice, wherever the two stand.
        for twice in [0, count / 2, count.saturating_sub(1)] {
            let mut keys = keys.clone();
            keys.push(named(twice));
            let again = KeySet::from_jwks_slice(&PROVIDER, &set(&keys));
            let expected = (count > 0).then_some(Error::DuplicateKid);
            assert_eq!(again.err(), expected, "{twice} of {count}");
        }
    }
}

/// A certificate and the thumbprint of another one do not make a key.
///
/// Covers: JWKA-7517.4.9-1
#[test]
fn the_thumbprint_is_that_of_the_certificate() {
    let pair = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default()
        .self_signed(&pair)
        .unwrap();
    let parsed = crate::x509::Certificate::parse(certificate.der()).unwrap();
    let public = crate::jwk::PublicKey::from_spki_der(parsed.spki_der());
    let mut jwk = crate::jwk::Jwk::new(public.unwrap()).to_value();
    let standard = |bytes: &[u8]| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(bytes)
    };
    jwk["x5c"] = json!([standard(certificate.der())]);
    let prepared = |jwk: &Value| {
        let jwk = crate::jwk::Jwk::from_value(jwk).unwrap();
        VerifyingKey::from_jwk(&PROVIDER, jwk).map(|_| ())
    };
    let own = PROVIDER.sha256(certificate.der());
    jwk["x5t#S256"] = crate::base64url::encode(&own).into();
    assert_eq!(prepared(&jwk), Ok(()));
    jwk["x5t#S256"] = crate::base64url::encode(&[7; 32]).into();
    assert_eq!(prepared(&jwk), Err(KeyProblem::Inconsistent.into()));
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

/// Of version 1, as Keycloak publishes them with its keys; made by `openssl x509 -req`.
const V1: &str = concat!(
    "MIIBHDCBwwIUGiCTi4ttyJX+N/FRMVU2dy6e8aMwCgYIKoZIzj0EAwIwETEPMA0GA1UEAwwGbWFzdGVyMB4XDTI2MTEyMzEw",
    "MDIxM1oXDTM2MTEyMDEwMDIxM1owETEPMA0GA1UEAwwGbWFzdGVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE5GkngZL+",
    "l/FQAd4t73GqPSyi9Z7eFulLFS3aOfVUo6AtY6SLNocfCQgStLSfZXxBx9XpSOwG2WvEv2yEd/DWbTAKBggqhkjOPQQDAgNI",
    "ADBFAiEA/qLwAySIQX++SeeJataYWNyEMCRvOuREN4G4Un+gcMoCIH6bk16BYe/nLNKeqsb30iA9D5lqXUPO/LkoLJU11vhp",
);

/// What stands beside a key gives it no trust, so a certificate is as good there as it is in the ecosystem.
///
/// Covers: JWKA-7517.4.7-1
#[test]
fn a_key_with_an_old_certificate_is_a_key() {
    let jwk = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "5GkngZL-l_FQAd4t73GqPSyi9Z7eFulLFS3aOfVUo6A",
        "y": "LWOkizaHHwkIErS0n2V8QcfV6UjsBtlrxL9shHfw1m0",
        "kid": "master",
        "x5c": [V1],
    });
    let found = KeySet::from_jwks_slice(&PROVIDER, &set(std::slice::from_ref(&jwk))).unwrap();
    assert_eq!(found.get("master").unwrap().jwk().certificates().len(), 1);
    // But it is one of this very key.
    let mut other = key("master").public_jwk().to_value();
    other["x5c"] = json!([V1]);
    let found = KeySet::from_jwks_slice(&PROVIDER, &set(&[other])).unwrap();
    assert_eq!(found.skipped()[0].reason, KeyProblem::Inconsistent);
    for wrong in [V1.get(4..).unwrap(), V1.get(..V1.len() - 4).unwrap(), ""] {
        let mut jwk = jwk.clone();
        jwk["x5c"] = json!([wrong]);
        let found = KeySet::from_jwks_slice(&PROVIDER, &set(&[jwk])).unwrap();
        assert_eq!(found.skipped()[0].reason, KeyProblem::Member("x5c"));
    }
}

/// Covers: JWS-4.1.4-2
#[test]
fn a_single_key_is_for_tokens_of_its_name_or_of_none() {
    let signer = key("a");
    let one = signer.verifying_key().unwrap();
    let verify = |header: ProtectedHeader| {
        let token = crate::jws::sign(&signer, &header, b"{}").unwrap();
        let jws = UnverifiedJws::parse(&token).unwrap();
        jws.verify(&one, Algorithms::ALL).map(|_| ())
    };
    assert_eq!(verify(ProtectedHeader::new("JWT")), Ok(()));
    assert_eq!(verify(ProtectedHeader::new("JWT").without_kid()), Ok(()));
    let other = signer.clone().with_kid("b");
    let token = crate::jws::sign(&other, &ProtectedHeader::new("JWT"), b"{}").unwrap();
    let jws = UnverifiedJws::parse(&token).unwrap();
    assert_eq!(
        jws.verify(&one, Algorithms::ALL).map(|_| ()),
        Err(Error::UnknownKey)
    );
}

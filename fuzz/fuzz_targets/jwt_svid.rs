//! An accepted JWT-SVID keeps every rule, judged by an ordinary JSON reader.
//!
//! The input is a header and, after a line break, a payload. Both are signed as they stand with a key of
//! `a.test`; the verifier knows `b.test` too, whose key has the same `kid`.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, Signer, SigningKey, base64url};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::UnixTime;
use serde_json::Value;
use spiffe_bundle::{Bundle, JwtBundleSource};
use spiffe_id::{TrustDomain, TrustDomainRef};
use svid::jwt::JwtSvidVerifier;

const NOW: u64 = 1_800_000_000;
const AUDIENCE: &str = "reports";

struct Setup {
    signer: SigningKey,
    bundles: Bundles,
    verifier: JwtSvidVerifier,
}

struct Bundles([Bundle; 2]);

impl JwtBundleSource for Bundles {
    fn jwt_authorities(
        &self,
        trust_domain: TrustDomainRef<'_>,
    ) -> Option<std::sync::Arc<jose_x509::KeySet>> {
        self.0
            .iter()
            .find_map(|bundle| bundle.jwt_authorities(trust_domain))
    }
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let party = |name: &str| {
        let key = SigningKey::generate(&provider(), Algorithm::Es256).expect("a key");
        let key = key.with_kid("k");
        let bundle = Bundle::builder(&provider(), TrustDomain::parse(name).expect("a name"))
            .with_jwt_authority(&key.public_jwk())
            .build();
        (key, bundle.expect("a bundle"))
    };
    let (signer, a) = party("a.test");
    Setup {
        signer,
        bundles: Bundles([a, party("b.test").1]),
        verifier: JwtSvidVerifier::new(AUDIENCE).expect("a verifier"),
    }
});

fuzz_target!(|data: &[u8]| {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (header, payload) = (&data[..end], &data[end + 1..]);
    let setup = &*SETUP;
    let input = format!(
        "{}.{}",
        base64url::encode(header),
        base64url::encode(payload)
    );
    let signature = setup.signer.sign(input.as_bytes()).expect("a signature");
    let token = format!("{input}.{}", base64url::encode(signature.as_ref()));
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let Ok(svid) = setup.verifier.verify(&token, &setup.bundles, now) else {
        return;
    };

    let header: Value = serde_json::from_slice(header).expect("an accepted header is JSON");
    let members = header.as_object().expect("an object");
    assert!(
        members
            .keys()
            .all(|name| ["alg", "kid", "typ"].contains(&name.as_str()))
    );
    assert_eq!(header["alg"], "ES256");
    assert!(
        header
            .get("typ")
            .is_none_or(|typ| typ == "JWT" || typ == "JOSE")
    );
    assert!(header.get("kid").is_none_or(|kid| kid == "k"));

    let claims: Value = serde_json::from_slice(payload).expect("accepted claims are JSON");
    assert_eq!(claims["sub"], svid.spiffe_id().as_str());
    let path = svid.spiffe_id().as_str().strip_prefix("spiffe://a.test/");
    assert!(path.is_some_and(|path| !path.is_empty() && !path.ends_with('/')));
    let audience = match &claims["aud"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(many) => many
            .iter()
            .map(|one| one.as_str().expect("a string"))
            .collect(),
        other => panic!("aud is neither string nor array: {other}"),
    };
    assert!(audience.contains(&AUDIENCE) && !audience.contains(&""));
    assert_eq!(svid.audience().collect::<Vec<_>>(), audience);
    let time = |name: &str| {
        claims
            .get(name)
            .map(|value| value.as_f64().expect("a number"))
    };
    let exp = time("exp").expect("exp is required");
    assert!((NOW as f64) < exp.floor() + 30.0 && exp <= 253_402_300_799.0);
    assert_eq!(svid.expires().as_secs() as f64, exp.floor());
    assert!(time("nbf").is_none_or(|nbf| nbf <= NOW as f64 + 30.0));

    // One bit of the signature, and one of what is signed.
    for at in [input.len() + 3, input.len() - 1] {
        let mut forged = token.clone().into_bytes();
        forged[at] ^= 1;
        let forged = String::from_utf8(forged).expect("ASCII");
        assert!(setup.verifier.verify(&forged, &setup.bundles, now).is_err());
    }
});

//! An accepted WIT-SVID keeps every rule, judged by an ordinary JSON reader.
//!
//! The input is a header and, after a line break, a payload, in which `@KEY@` stands for the workload's key. Both
//! are signed as they stand with a key of `a.test`; the verifier knows `b.test` too, whose key has the same
//! `kid`. The input as a whole is read as a token, too.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, KeySet, Signer, SigningKey, base64url};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::UnixTime;
use serde_json::Value;
use spiffe_bundle::{Bundle, WitBundleSource};
use spiffe_id::{TrustDomain, TrustDomainRef};
use svid::wit::{UnverifiedWitSvid, WitSvidVerifier};

const NOW: u64 = 1_800_000_000;

struct Setup {
    signer: SigningKey,
    workload: Value,
    bundles: Bundles,
    verifier: WitSvidVerifier,
}

struct Bundles([Bundle; 2]);

impl WitBundleSource for Bundles {
    fn wit_authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<KeySet>> {
        let mut found = self.0.iter();
        found.find_map(|bundle| bundle.wit_authorities(trust_domain))
    }
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let key = || SigningKey::generate(&provider(), Algorithm::Es256).expect("a key");
    let party = |name: &str| {
        let key = key().with_kid("k");
        let bundle = Bundle::builder(&provider(), TrustDomain::parse(name).expect("a name"))
            .with_wit_authority(&key.public_jwk())
            .build();
        (key, bundle.expect("a bundle"))
    };
    let (signer, a) = party("a.test");
    Setup {
        signer,
        workload: key().public_jwk().to_value(),
        bundles: Bundles([a, party("b.test").1]),
        verifier: WitSvidVerifier::new("https://api.test").expect("a verifier"),
    }
});

fuzz_target!(|data: &[u8]| {
    let setup = &*SETUP;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    if let Ok(text) = std::str::from_utf8(data) {
        let parsed = UnverifiedWitSvid::parse(text);
        let verified = setup.verifier.verify_wit(text, &setup.bundles, now);
        assert!(verified.is_err(), "nobody signed it");
        if let Ok(parsed) = parsed {
            let claims = parsed.unverified_claims().expect("they were read");
            assert_eq!(claims["sub"], parsed.unverified_spiffe_id().as_str());
        }
    }
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let header = &data[..end];
    let payload = String::from_utf8_lossy(&data[end + 1..]);
    let payload = payload.replace("@KEY@", &setup.workload.to_string());
    let input = format!(
        "{}.{}",
        base64url::encode(header),
        base64url::encode(payload.as_bytes())
    );
    let signature = setup.signer.sign(input.as_bytes()).expect("a signature");
    let token = format!("{input}.{}", base64url::encode(signature.as_ref()));
    let Ok(svid) = setup.verifier.verify_wit(&token, &setup.bundles, now) else {
        return;
    };

    let header: Value = serde_json::from_slice(header).expect("an accepted header is JSON");
    assert_eq!(
        (&header["alg"], &header["typ"]),
        (&"ES256".into(), &"wit+jwt".into())
    );
    assert_eq!(header["kid"], "k");
    for refused in ["crit", "b64", "enc", "jku", "jwk", "x5u", "x5c", "zip"] {
        assert!(header.get(refused).is_none(), "{refused}");
    }
    let claims: Value = serde_json::from_str(&payload).expect("accepted claims are JSON");
    let id = svid.unproven_spiffe_id().as_str();
    assert_eq!(claims["sub"], id);
    let path = id.strip_prefix("spiffe://a.test/");
    assert!(path.is_some_and(|path| !path.is_empty() && !path.ends_with('/')));
    assert!(claims.get("aud").is_none());
    let time = |name: &str| {
        claims
            .get(name)
            .map(|value| value.as_f64().expect("a number"))
    };
    let exp = time("exp").expect("exp is required");
    // However far ahead it is: without a policy nothing bounds the lifespan (WIT-SVID section 3.5).
    assert!((NOW as f64) < exp.floor() + 30.0);
    assert!(time("nbf").is_none_or(|nbf| nbf <= NOW as f64 + 30.0));
    time("iat");
    let jwk = claims["cnf"]["jwk"].as_object().expect("a key");
    assert_eq!(jwk["alg"], svid.wit().proof_algorithm().name());
    assert!(!["Ed25519", "EdDSA"].contains(&svid.wit().proof_algorithm().name()));
    for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        assert!(!jwk.contains_key(private), "{private}");
    }
    assert_eq!(svid.token_id(), claims.get("jti").and_then(Value::as_str));

    // One bit of the signature, and one of what is signed.
    for at in [input.len() + 3, input.len() - 1] {
        let mut forged = token.clone().into_bytes();
        forged[at] ^= 1;
        let forged = String::from_utf8(forged).expect("ASCII");
        assert!(
            setup
                .verifier
                .verify_wit(&forged, &setup.bundles, now)
                .is_err()
        );
    }
});

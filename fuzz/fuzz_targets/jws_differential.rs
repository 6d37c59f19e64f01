//! Against josekit: what both accept they read alike, and what only we accept is a finding.
//!
//! The input is a signing input in text, or, after a zero octet, a header and a payload with a zero octet between
//! them. The signature is made here, so that the differences lie in everything else.
#![no_main]

use std::sync::LazyLock;

use jose_x509::jws::UnverifiedJws;
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, Algorithms, Signer, SigningKey, VerifyingKey, base64url};
use josekit::jws::alg::eddsa::EddsaJwsVerifier;
use libfuzzer_sys::fuzz_target;

struct Setup {
    signer: SigningKey,
    key: VerifyingKey,
    josekit: EddsaJwsVerifier,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let signer = SigningKey::generate(&provider(), Algorithm::EdDsa).expect("a key");
    let spki = signer.public_key().to_spki_der().expect("SPKI");
    Setup {
        key: signer.verifying_key().expect("a key"),
        josekit: josekit::jws::EdDSA.verifier_from_der(spki).expect("a key"),
        signer,
    }
});

/// Parameters whose form josekit checks and this crate ignores.
const IGNORED: [&str; 5] = ["url", "x5t", "x5t#S256", "nonce", "iss"];

fuzz_target!(|data: &[u8]| {
    let input = match data.split_first() {
        Some((0, rest)) => {
            let middle = rest
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(rest.len());
            let (header, payload) = rest.split_at(middle);
            let payload = payload.get(1..).unwrap_or_default();
            format!(
                "{}.{}",
                base64url::encode(header),
                base64url::encode(payload)
            )
        }
        _ => match std::str::from_utf8(data) {
            Ok(text) => text.to_owned(),
            Err(_) => return,
        },
    };
    let setup = &*SETUP;
    let signature = setup.signer.sign(input.as_bytes()).expect("a signature");
    let token = format!("{input}.{}", base64url::encode(signature.as_ref()));
    let ours = UnverifiedJws::parse(&token)
        .and_then(|jws| jws.verify(&setup.key, Algorithms::of(&[Algorithm::EdDsa])));
    let Ok(ours) = ours else {
        return;
    };
    let members = ours.header().members().expect("an accepted header");
    match josekit::jws::deserialize_compact(&token, &setup.josekit) {
        Ok((payload, header)) => {
            assert_eq!(payload, ours.payload());
            assert_eq!(header.claims_set(), &members);
            assert_eq!(header.algorithm(), Some("EdDSA"));
            assert_eq!(header.key_id(), ours.header().kid());
            assert_eq!(header.token_type(), ours.header().typ());
            assert_eq!(header.content_type(), ours.header().cty());
        }
        Err(error) => {
            let ignored = IGNORED.iter().any(|name| members.contains_key(*name));
            assert!(ignored, "only we accept {}: {error}", ours.header().raw());
        }
    }
});

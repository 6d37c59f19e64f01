//! A request is accepted only if what its attestation and proof say, read again without the crate, is that a trusted attester
//! vouches for the key of a proof for this server, now, and for once.
//!
//! The input has five lines: header and claims of the attestation, header and claims of the proof, and the proof's kind, `pop` or
//! `dpop`. `@KEY@` stands for the instance's public key. Both are signed as they stand.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use jose_x509::dpop::{self, Htu, ProofTarget};
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, KeySet, MemoryReplayGuard, Signer, SigningKey, base64url};
use libfuzzer_sys::fuzz_target;
use oauth_spiffe_client_auth::attestation::{
    AttestedRequest, Attester, Challenge, ChallengeSource, PopMethod, PopMethods, Verifier,
};
use rustls_pki_types::UnixTime;
use serde_json::Value;

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://as.example.com";
const TOKEN_ENDPOINT: &str = "https://as.example.com/token";

struct World {
    attester: SigningKey,
    instance: SigningKey,
    trust: Vec<Attester>,
    plain: Verifier,
    challenging: Verifier,
}

/// The one challenge of this server.
#[derive(Debug)]
struct OneChallenge;

impl ChallengeSource for OneChallenge {
    fn issue(&self, _: UnixTime) -> Result<Challenge, oauth_spiffe_client_auth::Error> {
        Challenge::parse("c-1")
    }

    fn is_current(&self, challenge: &Challenge, _: UnixTime) -> bool {
        challenge.as_str() == "c-1"
    }
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let key = || SigningKey::generate(&provider(), Algorithm::Es256).expect("a key");
    let (attester, instance) = (key().with_kid("a"), key());
    let keys = KeySet::new(vec![attester.verifying_key().expect("its public half")]);
    let both = PopMethods::new(&[PopMethod::AttestationPopJwt, PopMethod::DpopCombined]);
    let plain = Verifier::for_authorization_server(&provider(), ISSUER)
        .with_proofs(|pop| pop.with_dpop(dpop::Verifier::new(&provider()), both.expect("methods")))
        .expect("a verifier");
    let challenging = plain.clone();
    World {
        trust: vec![Attester::new("a", keys.expect("a set"))],
        challenging: challenging
            .with_proofs(|pop| Ok(pop.with_challenges(Arc::new(OneChallenge))))
            .expect("a verifier"),
        plain,
        attester,
        instance,
    }
});

fuzz_target!(|data: &[u8]| {
    let world = &*WORLD;
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let jwk = world.instance.public_jwk().to_value().to_string();
    let text = text.replace("@KEY@", &jwk);
    let lines: Vec<&str> = text.splitn(5, '\n').collect();
    let [header, claims, proof_header, proof_claims, kind] = lines[..] else {
        return;
    };
    let sign = |key: &SigningKey, header: &str, claims: &str| {
        let input = [header, claims]
            .map(|part| base64url::encode(part.as_bytes()))
            .join(".");
        let signature = key.sign(input.as_bytes()).expect("a signature");
        format!("{input}.{}", base64url::encode(signature.as_ref()))
    };
    let combined = kind == "dpop";
    let name = if combined {
        "dpop"
    } else {
        "oauth-client-attestation-pop"
    };
    let mut headers = HeaderMap::new();
    for (name, token) in [
        (
            "oauth-client-attestation",
            sign(&world.attester, header, claims),
        ),
        (name, sign(&world.instance, proof_header, proof_claims)),
    ] {
        headers.insert(name, HeaderValue::from_str(&token).expect("base64url"));
    }
    let target = Htu::parse(TOKEN_ENDPOINT).expect("a URL");
    let request = AttestedRequest::new(&headers).with_target(ProofTarget::new("POST", &target));
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let read = |text: &str| serde_json::from_str::<Value>(text).expect("what was accepted is JSON");
    for (verifier, challenged) in [(&world.plain, false), (&world.challenging, true)] {
        let replay = MemoryReplayGuard::new(4);
        let Ok(client) = verifier.verify(&request, &world.trust, &replay, now) else {
            continue;
        };
        let again = verifier.verify(&request, &world.trust, &replay, now);
        assert_eq!(
            again.map(drop).map_err(|error| error.code()),
            Err("replayed")
        );

        let (header, claims) = (read(header), read(claims));
        assert_eq!(
            (&header["alg"], media_type(&header)),
            (&"ES256".into(), "oauth-client-attestation+jwt".to_owned())
        );
        assert!(
            header.get("jwk").is_none()
                && header.get("jku").is_none()
                && header.get("crit").is_none()
        );
        assert_eq!(claims["sub"], client.client_id());
        assert!(!client.client_id().is_empty());
        let time = |claims: &Value, name: &str| {
            claims
                .get(name)
                .map(|value| value.as_f64().expect("a number"))
        };
        let seconds = NOW as f64;
        assert!(time(&claims, "exp").expect("exp is required").floor() + 60.0 > seconds);
        assert!(time(&claims, "nbf").is_none_or(|nbf| nbf <= seconds + 60.0));
        assert!(time(&claims, "iat").is_none_or(|iat| iat <= seconds + 60.0));
        let cnf = &claims["cnf"]["jwk"];
        let own: Value = read(&jwk);
        assert_eq!((&cnf["x"], &cnf["y"]), (&own["x"], &own["y"]));
        assert!(cnf.get("d").is_none());

        let (header, claims) = (read(proof_header), read(proof_claims));
        assert!(!claims["jti"].as_str().expect("jti is text").is_empty());
        let iat = time(&claims, "iat").expect("iat is required");
        assert!(iat <= seconds + 60.0 && iat + 301.0 >= seconds);
        if combined {
            assert_eq!(client.proof().method(), PopMethod::DpopCombined);
            assert_eq!(media_type(&header), "dpop+jwt");
            assert_eq!(
                (&header["jwk"]["x"], &header["jwk"]["y"]),
                (&own["x"], &own["y"])
            );
            assert_eq!(claims["htm"], "POST");
            assert_eq!(
                client.proof().dpop().map(|proof| proof.jkt()),
                Some(client.binding().jkt())
            );
        } else {
            assert_eq!(client.proof().method(), PopMethod::AttestationPopJwt);
            assert_eq!(media_type(&header), "oauth-client-attestation-pop+jwt");
            assert!(claims["aud"] == ISSUER || claims["aud"] == serde_json::json!([ISSUER]));
            assert!(!challenged || claims["challenge"] == "c-1");
        }
    }
});

fn media_type(header: &Value) -> String {
    let typ = header["typ"]
        .as_str()
        .expect("typ is text")
        .to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ).to_owned()
}

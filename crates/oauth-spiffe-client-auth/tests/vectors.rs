//! The vectors of `test-vectors/oauth-spiffe-client-auth`, which joserfc signed, and the examples of the draft.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jose_x509::dpop::{self, Htu, ProofTarget};
use jose_x509::{CryptoProvider, Jwk, KeySet, MemoryReplayGuard, VerifyingKey, base64url};
use oauth_spiffe_client_auth::Error;
use oauth_spiffe_client_auth::assertion::verify_client_assertion;
use oauth_spiffe_client_auth::attestation::{
    AttestedRequest, Attester, CLIENT_ATTESTATION_POP, PopMethod, PopMethods, Verifier,
};
use oauth_spiffe_client_auth::grant::{self, GrantIssuer, GrantRequest, GrantValidator};
use oauth_spiffe_client_auth::pop::PopVerifier;
use pki_types::UnixTime;
use serde_json::{Value, json};

const PROVIDER: CryptoProvider = jose_x509::provider::ring::provider();
const ISSUER: &str = "https://as.example.com";
const TOKEN_ENDPOINT: &str = "https://as.example.com/token";

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn keys(set: &Value) -> KeySet {
    KeySet::from_jwks_slice(&PROVIDER, set.to_string().as_bytes()).unwrap()
}

/// Runs the cases of the groups of one type.
fn check(text: &str, kind: &str, run: impl Fn(&Value, &Value, UnixTime) -> Result<Value, Error>) {
    let file: Value = serde_json::from_str(text).unwrap();
    let groups = file["groups"].as_array().unwrap();
    let group = groups.iter().find(|group| group["type"] == kind).unwrap();
    let cases = group["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let found = run(&group["keys"], case, at(case["now"].as_u64().unwrap()));
        let name = &case["name"];
        match (found, case["expected"]["result"].as_str().unwrap()) {
            (Ok(values), "valid") => {
                for (member, expected) in case["expected"]["values"].as_object().unwrap() {
                    assert_eq!(&values[member], expected, "{name}: {member}");
                }
            }
            (found, _) => {
                let code = found.err().map(|error| error.code());
                assert_eq!(code, case["expected"]["code"].as_str(), "{name}");
            }
        }
    }
}

#[test]
fn client_attestations() {
    let text =
        include_str!("../../../test-vectors/oauth-spiffe-client-auth/client-attestation.json");
    check(text, "client-attestation", |sets, case, now| {
        let trust: Vec<Attester> = sets
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, set)| Attester::new(name, keys(set)))
            .collect();
        let mut verifier = Verifier::for_authorization_server(&PROVIDER, ISSUER);
        if case["options"]["dpop"] == true {
            let both = PopMethods::new(&[PopMethod::AttestationPopJwt, PopMethod::DpopCombined])?;
            verifier =
                verifier.with_proofs(|pop| pop.with_dpop(dpop::Verifier::new(&PROVIDER), both))?;
        }
        let mut headers = HeaderMap::new();
        for field in case["input"]["fields"].as_array().unwrap() {
            let name: HeaderName = field[0].as_str().unwrap().parse().unwrap();
            headers.append(
                name,
                HeaderValue::from_str(field[1].as_str().unwrap()).unwrap(),
            );
        }
        let target = Htu::parse(TOKEN_ENDPOINT).unwrap();
        let request = AttestedRequest::new(&headers)
            .with_client_id(case["input"]["client_id"].as_str())
            .with_target(ProofTarget::new("POST", &target));
        let client = verifier.verify(&request, &trust, &MemoryReplayGuard::new(4), now)?;
        Ok(json!({
            "client_id": client.client_id(), "method": client.proof().method().name(),
            "jkt": base64url::encode(&client.binding().jkt()), "exp": client.attestation().expires(),
        }))
    });
}

#[test]
fn assertions() {
    let text = include_str!("../../../test-vectors/oauth-spiffe-client-auth/assertions.json");
    check(text, "client-assertion", |set, case, now| {
        let token = case["input"].as_str().unwrap();
        let jwt = verify_client_assertion(token, "client-1", ISSUER, &keys(set), None, now)?;
        Ok(json!({"iss": jwt.issuer(), "sub": jwt.subject()}))
    });
    check(text, "jwt-bearer-grant", |set, case, now| {
        let form = grant::request(case["input"].as_str().unwrap(), None);
        let issuers = [GrantIssuer::new("https://sts.example", keys(set))];
        let validator = GrantValidator::new(ISSUER, TOKEN_ENDPOINT)?;
        let request = GrantRequest::from_form(&form)?;
        let grant = validator.validate(&request, &issuers[..], &MemoryReplayGuard::new(4), now)?;
        Ok(json!({"iss": grant.issuer(), "sub": grant.subject()}))
    });
}

/// The draft's own examples: the proofs verify with the attestation's key, each at its own server, and the attestation does not
/// verify with the key that it is about.
///
/// Covers: OAUTH-ABCA-5.1-3, OAUTH-ABCA-5.1-9, OAUTH-ABCA-7.2-5, OAUTH-ABCA-A4, OAUTH-ABCA-A6
#[test]
fn published_examples() {
    const NOW: u64 = 1_772_487_595;
    let jwk = json!({
        "kty": "EC", "use": "sig", "crv": "P-256", "x": "VcKVNBZ4IaBAYW3jxM4w3TJFVA7myeUGQyGt-g_yvpQ",
        "y": "f-E-hYE3TAWKwhVv9pej9NABs9SX9XsNO80x57jFTyU",
    });
    let key = VerifyingKey::from_jwk(&PROVIDER, Jwk::from_value(&jwk).unwrap()).unwrap();
    assert_eq!(
        base64url::encode(&key.thumbprint()),
        "Ak20Cf62SpTybasujYXbaI-Ms655MyvOZCtnnf8y1QU"
    );
    let for_server = "eyJ0eXAiOiJvYXV0aC1jbGllbnQtYXR0ZXN0YXRpb24tcG9wK2p3dCIsImFsZyI6IkVTMjU2In0.eyJhdWQiOiJodHRwczovL2FzLmV4YW1wbGUuY29tIiwianRpIjoiZDI1ZDAwYWItNTUyYi00NmZjLWFlMTktOThmNDQwZjI1MDY0IiwiaWF0IjoxNzcyNDg3NTk1LCJjaGFsbGVuZ2UiOiI1YzFhOWUxMC0yOWZmLTRjMmItYWU3My01N2MwOTU3YzA5YzQifQ.M4Uc4rWVAqaLlmDDUXQKkKPbAQKj0JrTizLgWhZndmbkvM3VL8y-w_QJr7Z0HZlH94E64cLa8L5fSjJItYv0jg";
    let for_resource = "eyJ0eXAiOiJvYXV0aC1jbGllbnQtYXR0ZXN0YXRpb24tcG9wK2p3dCIsImFsZyI6IkVTMjU2In0.eyJhdWQiOiJodHRwczovL3JzLmV4YW1wbGUuY29tIiwianRpIjoiZDI1ZDAwYWItNTUyYi00NmZjLWFlMTktOThmNDQwZjI1MDY0IiwiaWF0IjoxNzcyNDg3NTk1LCJjaGFsbGVuZ2UiOiI1YzFhOWUxMC0yOWZmLTRjMmItYWU3My01N2MwOTU3YzA5YzQifQ.Uh-vRynTGGARZNqijGyovBMm_EsX5qu0fg0VGPVRsp1rJdF7rElbZcEv0CAtzm5kXhjSXHYGxEVb0I7HIeUFRg";
    for (proof, own, other) in [
        (for_server, ISSUER, "https://rs.example.com"),
        (for_resource, "https://rs.example.com", ISSUER),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(CLIENT_ATTESTATION_POP, proof.parse().unwrap());
        let check =
            |audience: &str| PopVerifier::new(audience).check(&headers, &key, None, at(NOW));
        let unspent = check(own).unwrap();
        assert!(unspent.spend(&MemoryReplayGuard::new(1), at(NOW)).is_ok());
        assert_eq!(check(other).unwrap_err().code(), "audience_mismatch");
    }
    let attestation = "eyJ0eXAiOiJvYXV0aC1jbGllbnQtYXR0ZXN0YXRpb24rand0IiwiYWxnIjoiRVMyNTYiLCJraWQiOiIxMSJ9.eyJzdWIiOiJodHRwczovL2NsaWVudC5leGFtcGxlLmNvbSIsImlhdCI6MTc3MjQ4NzU5NSwiZXhwIjoyNTI5ODY2Mzk0LCJjbmYiOnsiandrIjp7Imt0eSI6IkVDIiwidXNlIjoic2lnIiwiY3J2IjoiUC0yNTYiLCJ4IjoiVmNLVk5CWjRJYUJBWVczanhNNHczVEpGVkE3bXllVUdReUd0LWdfeXZwUSIsInkiOiJmLUUtaFlFM1RBV0t3aFZ2OXBlajlOQUJzOVNYOVhzTk84MHg1N2pGVHlVIn19fQ._TS4d-LAnRlwdN97wiVnl4z7C9gvm45IWr-BvGTzeZaHtZtgNZ88gvzroU3LElUPbgF4kWi_DFORnKzsx5yu6A";
    let own = jwk.as_object().unwrap().clone();
    let mut own = Value::Object(own);
    own["kid"] = "11".into();
    let trust = vec![Attester::new(
        "the instance itself",
        keys(&json!({"keys": [own]})),
    )];
    let attestations = Verifier::for_authorization_server(&PROVIDER, ISSUER);
    let refused = attestations
        .attestations()
        .verify(attestation, &trust, at(NOW));
    assert_eq!(refused.unwrap_err().code(), "invalid_signature");
}

//! `spiffe_wit`: WIT-SVIDs with a proof of possession.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code
)]

mod common;

use common::{
    AGENT, CLIENT, DOMAIN, Domain, ISSUER, NOW, OTHER, PROVIDER, Server, at, code, form, headers,
    id, key, sign, td,
};
use http::HeaderMap;
use jose_x509::jws::ProtectedHeader;
use jose_x509::{Algorithm, SigningKey, jwt};
use oauth_spiffe_client_auth::pop::POP_TYPE;
use oauth_spiffe_client_auth::server::{CLIENT_ATTESTATION, CLIENT_ATTESTATION_POP};
use oauth_spiffe_client_auth::{Method, client};
use serde_json::{Value, json};
use svid::wit::WitSvidIssuer;

struct Workload {
    domain: Domain,
    key: SigningKey,
    server: Server,
}

impl Workload {
    fn new() -> Self {
        let domain = Domain::new(DOMAIN);
        Self {
            server: Server::new(&[&domain]),
            key: key("workload"),
            domain,
        }
    }

    fn claims(&self) -> Value {
        json!({"sub": AGENT, "exp": NOW + 3600, "cnf": {"jwk": self.key.public_jwk().to_value()}})
    }

    fn wit(&self) -> String {
        sign(&self.domain.wit, "wit+jwt", &self.claims())
    }

    fn send(&self, wit: &str, proof: &str) -> &'static str {
        let fields = headers(&[(CLIENT_ATTESTATION, wit), (CLIENT_ATTESTATION_POP, proof)]);
        self.server.code(&fields, &[], &[])
    }
}

fn proof_claims(id: &str) -> Value {
    json!({"aud": ISSUER, "jti": id, "iat": NOW})
}

fn proof(key: &SigningKey, id: &str) -> String {
    sign(key, POP_TYPE, &proof_claims(id))
}

/// The token comes again, its proof does not.
///
/// Covers: OAUTH-SPIFFE-3.3-1, OAUTH-SPIFFE-3.3.1-1, OAUTH-SPIFFE-A17
#[test]
fn token_and_proof_authenticate() {
    let workload = Workload::new();
    let issuer = WitSvidIssuer::new(workload.domain.wit.clone(), td(DOMAIN)).unwrap();
    let wit = issuer
        .issue(&id(AGENT), &workload.key.public_jwk(), None, at(NOW))
        .unwrap();
    let fresh = || {
        let mut headers = HeaderMap::new();
        client::with_wit_svid(
            &mut headers,
            &wit,
            &workload.key,
            &PROVIDER,
            ISSUER,
            None,
            at(NOW),
        )
        .unwrap();
        headers
    };
    let first = fresh();
    assert!(first.values().all(http::HeaderValue::is_sensitive));
    let found = workload.server.at(&first, &[], &[], NOW).unwrap();
    assert_eq!(
        (found.method, found.spiffe_id),
        (Method::SpiffeWit, Some(id(AGENT)))
    );
    assert_eq!(found.client.client_id, CLIENT);
    assert_eq!(code(workload.server.at(&first, &[], &[], NOW)), "replayed");
    assert_eq!(code(workload.server.at(&fresh(), &[], &[], NOW)), "valid");
    // Another workload may have the same `jti`, this one may not within the life of a proof.
    assert_eq!(workload.send(&wit, &proof(&workload.key, "j")), "valid");
    assert_eq!(workload.send(&wit, &proof(&workload.key, "j")), "replayed");
    let mut claims = workload.claims();
    let others = key("other");
    claims["sub"] = OTHER.into();
    claims["cnf"] = json!({"jwk": others.public_jwk().to_value()});
    let other = sign(&workload.domain.wit, "wit+jwt", &claims);
    assert_eq!(workload.send(&other, &proof(&others, "j")), "valid");
    let later = headers(&[
        (CLIENT_ATTESTATION, &wit),
        (CLIENT_ATTESTATION_POP, &proof(&workload.key, "j")),
    ]);
    for seconds in [30, 60, 300] {
        assert_eq!(
            code(workload.server.at(&later, &[], &[], NOW + seconds)),
            "replayed"
        );
    }
    assert_eq!(
        code(workload.server.at(&later, &[], &[], NOW + 301)),
        "too_old"
    );
}

/// A token alone, or with the proof of somebody else, is worth nothing.
///
/// Covers: OAUTH-SPIFFE-3.3-1, OAUTH-SPIFFE-A16
#[test]
fn proof_belongs_to_the_token() {
    let workload = Workload::new();
    let wit = workload.wit();
    let malformed = "malformed_client_authentication";
    let send = |fields: &[(&'static str, &str)]| workload.server.code(&headers(fields), &[], &[]);
    let (token, good) = ((CLIENT_ATTESTATION, &*wit), proof(&workload.key, "a"));
    let good = (CLIENT_ATTESTATION_POP, &*good);
    assert_eq!(send(&[token]), "missing_proof");
    assert_eq!(send(&[good]), malformed);
    assert_eq!(send(&[token, token, good]), malformed);
    assert_eq!(send(&[token, good, good]), malformed);
    let pair = format!("{wit}, {wit}");
    assert_eq!(send(&[(CLIENT_ATTESTATION, &pair), good]), malformed);
    assert_eq!(
        workload.send(&wit, &proof(&key("thief"), "b")),
        "invalid_signature"
    );
    assert_eq!(
        workload.send(&wit, &proof(&workload.domain.wit, "c")),
        "invalid_signature"
    );
    // A proof that brings its own key is still verified with the one in the token.
    let thief = key("thief");
    let header = ProtectedHeader::new(POP_TYPE).with_jwk(&thief.public_jwk());
    let own = jwt::sign(&thief, &header, &proof_claims("d")).unwrap();
    assert_ne!(workload.send(&wit, &own), "valid");
    // None of the refused requests has spent the proof.
    assert_eq!(send(&[token, good]), "valid");
}

/// Every rule of the proof, broken one at a time.
///
/// Covers: OAUTH-SPIFFE-3.3.1-4
#[test]
fn proof_rules() {
    let workload = Workload::new();
    let wit = workload.wit();
    let cases = [
        ("aud", json!([ISSUER]), "valid"),
        (
            "aud",
            json!("https://as.example.com/token"),
            "audience_mismatch",
        ),
        ("aud", json!("https://other.example"), "audience_mismatch"),
        (
            "aud",
            json!([ISSUER, "https://other.example"]),
            "multiple_audiences",
        ),
        ("aud", json!("DELETE"), "missing_claim"),
        ("jti", json!("DELETE"), "missing_claim"),
        ("iat", json!("DELETE"), "missing_claim"),
        ("iat", json!(NOW - 300), "valid"),
        ("iat", json!(NOW - 301), "too_old"),
        ("iat", json!(NOW + 60), "valid"),
        ("iat", json!(NOW + 61), "issued_in_future"),
        ("iat", json!("now"), "claim_type"),
        (
            "iss",
            json!("spiffe://example.org/my-oauth-client"),
            "valid",
        ),
    ];
    for (at, (name, value, expected)) in cases.into_iter().enumerate() {
        let mut claims = proof_claims(&format!("id-{at}"));
        if value == "DELETE" {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
        let proof = sign(&workload.key, POP_TYPE, &claims);
        assert_eq!(workload.send(&wit, &proof), expected, "{name}: {value}");
    }
    for typ in [
        "JWT",
        "wpt+jwt",
        "wit+jwt",
        "dpop+jwt",
        "oauth-client-attestation+jwt",
    ] {
        let proof = sign(&workload.key, typ, &proof_claims("typ"));
        assert_eq!(workload.send(&wit, &proof), "wrong_type", "{typ}");
    }
    let other = SigningKey::generate(&PROVIDER, Algorithm::Es384).unwrap();
    assert_eq!(
        workload.send(&wit, &proof(&other, "alg")),
        "proof_algorithm"
    );
}

/// Every rule of the token, broken one at a time.
///
/// Covers: OAUTH-SPIFFE-3.3-2, OAUTH-SPIFFE-3.3.1-1, OAUTH-SPIFFE-3.3.1-2, OAUTH-SPIFFE-3.3.1-3, OAUTH-SPIFFE-A4
/// Covers: OAUTH-SPIFFE-A5
#[test]
fn token_rules() {
    let workload = Workload::new();
    let without_algorithm = {
        let mut jwk = workload.key.public_jwk().to_value();
        jwk.as_object_mut().unwrap().remove("alg");
        json!({ "jwk": jwk })
    };
    let cases = [
        ("sub", json!("wimse://example.org/client/1234"), "spiffe_id"),
        ("sub", json!("DELETE"), "missing_claim"),
        ("exp", json!("DELETE"), "missing_claim"),
        ("exp", json!(NOW - 3600), "expired"),
        ("cnf", json!("DELETE"), "missing_claim"),
        // As in the draft's own example.
        ("cnf", without_algorithm, "confirmation_key"),
    ];
    for (name, value, expected) in cases {
        let mut claims = workload.claims();
        if value == "DELETE" {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
        let wit = sign(&workload.domain.wit, "wit+jwt", &claims);
        assert_eq!(
            workload.send(&wit, &proof(&workload.key, "x")),
            expected,
            "{name}: {value}"
        );
    }
    for (typ, expected) in [
        ("JWT", "wrong_type"),
        ("at+jwt", "wrong_type"),
        // The rules of plain attestations, which are not enabled here.
        (
            "oauth-client-attestation+jwt",
            "other_client_authentication",
        ),
    ] {
        let wit = sign(&workload.domain.wit, typ, &workload.claims());
        let found = workload.send(&wit, &proof(&workload.key, "x"));
        assert_eq!(found, expected, "{typ}");
    }
    let signed_by = |key: &SigningKey| {
        let wit = sign(key, "wit+jwt", &workload.claims());
        workload.send(&wit, &proof(&workload.key, "x"))
    };
    assert_eq!(signed_by(&workload.domain.jwt), "unknown_key");
    assert_eq!(
        signed_by(&workload.domain.jwt.clone().with_kid("wit")),
        "invalid_signature"
    );
    let partner = Domain::new("partner.example");
    let server = Server::new(&[&workload.domain, &partner]);
    let wit = sign(&partner.wit, "wit+jwt", &workload.claims());
    let fields = headers(&[
        (CLIENT_ATTESTATION, &wit),
        (CLIENT_ATTESTATION_POP, &proof(&workload.key, "x")),
    ]);
    assert_eq!(server.code(&fields, &[], &[]), "invalid_signature");
    // The token that all of these are variants of.
    assert_eq!(
        workload.send(&workload.wit(), &proof(&workload.key, "x")),
        "valid"
    );
}

/// Covers: OAUTH-SPIFFE-3.3.1-5
#[test]
fn client_id_matches() {
    let workload = Workload::new();
    for (at, (client_id, expected)) in [
        (CLIENT, "valid"),
        (AGENT, "valid"),
        (OTHER, "unknown_client"),
        ("spiffe://example.org/my-oauth-client", "unknown_client"),
        ("nobody", "unknown_client"),
    ]
    .into_iter()
    .enumerate()
    {
        let fields = headers(&[
            (CLIENT_ATTESTATION, &workload.wit()),
            (
                CLIENT_ATTESTATION_POP,
                &proof(&workload.key, &at.to_string()),
            ),
        ]);
        let request = form(&[("client_id", client_id)]);
        assert_eq!(
            workload.server.code(&fields, &request, &[]),
            expected,
            "{client_id}"
        );
    }
}

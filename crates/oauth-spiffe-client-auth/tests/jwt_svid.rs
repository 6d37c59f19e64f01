//! `spiffe_jwt`: JWT-SVIDs as client assertions.
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

use std::time::Duration;

use common::{
    AGENT, CLIENT, DOMAIN, Domain, ISSUER, NOW, OTHER, PROVIDER, Server, at, code, form, id,
    jwt_form, key, sign, svid_claims, td,
};
use http::{HeaderMap, Request};
use jose_x509::jws::ProtectedHeader;
use jose_x509::{Algorithm, SigningKey, jwt};
use oauth_spiffe_client_auth::server::JWT_SPIFFE;
use oauth_spiffe_client_auth::{Method, RegisteredClient, TokenRequest};
use serde_json::{Value, json};
use spiffe_bundle::{Bundle, BundleSet};
use spiffe_id::SpiffeIdPattern;
use svid::jwt::JwtSvidIssuer;

/// A workload authenticates with what the trust domain issues, again and again until it expires.
///
/// Covers: OAUTH-SPIFFE-3-1, OAUTH-SPIFFE-3.1-1, OAUTH-SPIFFE-6.2.2-1
#[test]
fn jwt_svid_authenticates() {
    let domain = Domain::new(DOMAIN);
    let server = Server::new(&[&domain]);
    let issuer = JwtSvidIssuer::new(domain.jwt, td(DOMAIN)).unwrap();
    let svid = issuer
        .issue(&id(AGENT), ISSUER, Duration::from_secs(300), at(NOW))
        .unwrap();
    let form = jwt_form(&svid);
    for _ in 0..2 {
        let client = server.at(&HeaderMap::new(), &form, &[], NOW).unwrap();
        assert_eq!(client.client.client_id, CLIENT);
        assert_eq!(client.spiffe_id, Some(id(AGENT)));
        assert_eq!(client.method, Method::SpiffeJwt);
        assert_eq!(client.expires, NOW + 300);
        assert_eq!(client.certificate_thumbprint, None);
    }
    let late = server.at(&HeaderMap::new(), &form, &[], NOW + 331);
    assert_eq!(code(late), "expired");
}

/// Every claim of the token, one at a time.
///
/// Covers: OAUTH-SPIFFE-3.1-5, OAUTH-SPIFFE-3.1-6, OAUTH-SPIFFE-3.1-7, OAUTH-SPIFFE-A1, OAUTH-SPIFFE-A2
/// Covers: OAUTH-SPIFFE-A3, OAUTH-SPIFFE-A7, OAUTH-SPIFFE-8.1-1, SPIFFE-ID-2.1.1-2, SPIFFE-ID-3.3-2
#[test]
fn claims() {
    let domain = Domain::new(DOMAIN);
    let server = Server::new(&[&domain]);
    let cases = [
        ("aud", json!(ISSUER), "valid"),
        ("aud", json!([ISSUER]), "valid"),
        (
            "aud",
            json!([ISSUER, "https://other.example"]),
            "multiple_audiences",
        ),
        (
            "aud",
            json!(["https://other.example", ISSUER]),
            "multiple_audiences",
        ),
        ("aud", json!("https://files.example"), "audience_mismatch"),
        (
            "aud",
            json!("https://as.example.com/token"),
            "audience_mismatch",
        ),
        ("aud", json!("https://as.example.com/"), "audience_mismatch"),
        ("aud", json!("https://AS.example.com"), "audience_mismatch"),
        ("aud", json!("spiffe://example.org/as"), "audience_mismatch"),
        ("aud", json!([]), "claim_type"),
        ("aud", json!("DELETE"), "missing_claim"),
        ("aud", json!({"0": ISSUER}), "claim_type"),
        ("exp", json!("DELETE"), "missing_claim"),
        ("exp", json!(NOW - 30), "expired"),
        ("exp", json!(NOW - 29), "valid"),
        ("exp", json!(NOW + 3600), "valid"),
        ("exp", json!(NOW + 3601), "lifetime_too_long"),
        ("nbf", json!(NOW + 31), "not_yet_valid"),
        ("sub", json!("DELETE"), "missing_claim"),
        ("sub", json!("agents"), "spiffe_id"),
        ("sub", json!("https://example.org/client/1234"), "spiffe_id"),
        (
            "sub",
            json!("spiffe://example.org/client/1234/"),
            "spiffe_id",
        ),
        ("sub", json!("spiffe://example.org/client/*"), "spiffe_id"),
        (
            "sub",
            json!("spiffe://example.org"),
            "spiffe_id_without_path",
        ),
        // Whoever `iss` claims to be, it chooses no keys and no client.
        ("iss", json!("https://evil.example"), "valid"),
        ("iss", json!("spiffe://evil.example"), "valid"),
    ];
    for (name, value, expected) in cases {
        let mut claims = svid_claims();
        if value == "DELETE" {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
        let svid = sign(&domain.jwt, "JWT", &claims);
        assert_eq!(server.jwt(&svid), expected, "{name}: {value}");
    }
    // An issuer of one's own does not help either: the keys are those of the trust domain in `sub`.
    let mut claims = svid_claims();
    claims["iss"] = "https://evil.example".into();
    let thief = key("jwt");
    assert_eq!(
        server.jwt(&sign(&thief, "JWT", &claims)),
        "invalid_signature"
    );
}

/// Who may sign: the `jwt-svid` keys of the trust domain in `sub`.
///
/// Covers: OAUTH-SPIFFE-3.1-8, OAUTH-SPIFFE-6-1, OAUTH-SPIFFE-5-1, OAUTH-SPIFFE-5.1-5, OAUTH-SPIFFE-A4, OAUTH-SPIFFE-A5
/// Covers: OAUTH-SPIFFE-8.1-4, SPIFFE-ID-3-1
#[test]
fn keys_of_the_own_trust_domain() {
    let (home, partner) = (Domain::new(DOMAIN), Domain::new("partner.example"));
    let server = Server::new(&[&home, &partner]);
    let claims = svid_claims();
    assert_eq!(server.jwt(&sign(&home.jwt, "JWT", &claims)), "valid");
    // The partner's key has the same `kid`.
    assert_eq!(
        server.jwt(&sign(&partner.jwt, "JWT", &claims)),
        "invalid_signature"
    );
    assert_eq!(server.jwt(&sign(&home.wit, "JWT", &claims)), "unknown_key");
    let disguised = home.wit.clone().with_kid("jwt");
    assert_eq!(
        server.jwt(&sign(&disguised, "JWT", &claims)),
        "invalid_signature"
    );
    assert_eq!(
        server.jwt(&sign(&key("unknown"), "JWT", &claims)),
        "unknown_key"
    );
    let mut foreign = claims.clone();
    foreign["sub"] = "spiffe://unknown.example/client/1".into();
    assert_eq!(server.jwt(&sign(&home.jwt, "JWT", &foreign)), "no_bundle");
    foreign["sub"] = "spiffe://partner.example/client/1".into();
    assert_eq!(
        server.jwt(&sign(&home.jwt, "JWT", &foreign)),
        "invalid_signature"
    );
    // The partner vouches for its own workload, which no registration names.
    assert_eq!(
        server.jwt(&sign(&partner.jwt, "JWT", &foreign)),
        "unknown_client"
    );

    let mut without_jwt_keys = BundleSet::new();
    let bundle = Bundle::builder(&PROVIDER, td(DOMAIN)).with_wit_authority(&home.wit.public_jwk());
    without_jwt_keys.install(bundle.build().unwrap()).unwrap();
    let server = Server::with_bundles(without_jwt_keys);
    assert_eq!(
        server.jwt(&sign(&home.jwt, "JWT", &claims)),
        "no_authorities"
    );
}

/// An older bundle, with a key that was withdrawn, does not come back.
///
/// Covers: OAUTH-SPIFFE-A12
#[test]
fn bundle_rollback() {
    let domain = Domain::new(DOMAIN);
    let old = domain.bundle();
    let new = old
        .successor(&PROVIDER)
        .without_kid("jwt")
        .with_jwt_authority(&key("next").public_jwk())
        .build()
        .unwrap();
    let mut bundles = BundleSet::new();
    bundles.install(old.clone()).unwrap();
    bundles.install(new).unwrap();
    assert!(bundles.install(old).is_err());
    let server = Server::with_bundles(bundles);
    assert_eq!(
        server.jwt(&sign(&domain.jwt, "JWT", &svid_claims())),
        "unknown_key"
    );
}

/// Other tokens of the same signer, other algorithms, other serializations.
///
/// Covers: OAUTH-SPIFFE-3.1-11, OAUTH-SPIFFE-3.1-2, OAUTH-SPIFFE-A6, OAUTH-SPIFFE-8.1-3, OAUTH-SPIFFE-A20
#[test]
fn only_jwt_svids() {
    let domain = Domain::new(DOMAIN);
    let server = Server::new(&[&domain]);
    let claims = svid_claims();
    for typ in [
        "at+jwt",
        "wit+jwt",
        "logout+jwt",
        "secevent+jwt",
        "client-authentication+jwt",
        "txntoken+jwt",
        "jwt",
    ] {
        assert_eq!(
            server.jwt(&sign(&domain.jwt, typ, &claims)),
            "wrong_type",
            "{typ}"
        );
    }
    assert_eq!(server.jwt(&sign(&domain.jwt, "JOSE", &claims)), "valid");
    let untyped = jwt::sign(&domain.jwt, &ProtectedHeader::without_typ(), &claims).unwrap();
    assert_eq!(server.jwt(&untyped), "valid");
    // An ID token of somebody whose key the bundle does not have, for this server and with a SPIFFE ID.
    assert_eq!(
        server.jwt(&sign(&key("oidc"), "JWT", &claims)),
        "unknown_key"
    );

    let edwards = SigningKey::generate(&PROVIDER, Algorithm::Ed25519).unwrap();
    let signed = sign(&edwards.with_kid("jwt"), "JWT", &claims);
    assert_eq!(server.jwt(&signed), "algorithm_not_allowed");
    let valid = sign(&domain.jwt, "JWT", &claims);
    let (_, rest) = valid.split_once('.').unwrap();
    // {"alg":"none"} and {"alg":"HS256"}
    for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzI1NiJ9"] {
        assert_eq!(
            server.jwt(&format!("{header}.{rest}")),
            "unsupported_algorithm"
        );
    }
    let oversized = format!("{valid}{}", "A".repeat(64 * 1024));
    let mut nested = Value::Null;
    for _ in 0..100 {
        nested = json!([nested]);
    }
    let mut deep = claims;
    deep["x"] = nested;
    for (name, text, expected) in [
        ("two", format!("{valid} {valid}"), "token_characters"),
        ("space", format!(" {valid}"), "token_characters"),
        ("comma", format!("{valid},{valid}"), "token_characters"),
        (
            "json",
            json!({"payload": "e30", "signatures": []}).to_string(),
            "json_serialization",
        ),
        ("large", oversized, "too_large"),
        ("deep", sign(&domain.jwt, "JWT", &deep), "too_deep"),
    ] {
        assert_eq!(server.jwt(&text), expected, "{name}");
    }
}

/// The examples of the draft: nobody has their key, and the second borrows the signature of the first.
///
/// Covers: OAUTH-SPIFFE-3.1-8
#[test]
fn examples_of_the_draft() {
    let (home, header) = (
        Domain::new(DOMAIN),
        "eyJhbGciOiJFUzI1NiIsImtpZCI6IjR2QzhhZ3ljSHU2cm5rRUVKWUFINlZ1Q2U0Sm9Ta1BWIiwidHlwIjoiSldUIn0",
    );
    let claims = "eyJhdWQiOlsiaHR0cHM6Ly9hcy5leGFtcGxlLmNvbS8iXSwiZXhwIjoxNzQ3MTI0NTQzLCJpYXQiOjE3NDcxMjQyNDMsInN1YiI6InNwaWZmZTovL2V4YW1wbGUub3JnL215LW9hdXRoLWNsaWVudCJ9";
    let signature =
        "Xlv5lW4cbxDsQk4l0paewG4nXOR7MxF_FMn_c27DX45Bxr2HUZf9a6Untfq5S47xpwbw495HBL6_1Lc6TMJxmw";
    let token = format!("{header}.{claims}.{signature}");
    assert_eq!(Server::new(&[&home]).jwt(&token), "unknown_key");
    let impostor = key("4vC8agycHu6rnkEEJYAH6VuCe4JoSkPV");
    let mut bundles = BundleSet::new();
    let bundle = Bundle::builder(&PROVIDER, td(DOMAIN)).with_jwt_authority(&impostor.public_jwk());
    bundles.install(bundle.build().unwrap()).unwrap();
    assert_eq!(
        Server::with_bundles(bundles).jwt(&token),
        "invalid_signature"
    );
}

/// The form: one assertion, of this type, in the body.
///
/// Covers: OAUTH-SPIFFE-3.1-1, OAUTH-SPIFFE-3.1-2, OAUTH-SPIFFE-3.1-3, RFC7523-7521-4.2-1, RFC7523-2.2-2, RFC7523-2-1
/// Covers: RFC7523-A15, RFC7523-2.2-1, RFC7523-10070-3-1
#[test]
fn form_parameters() {
    let domain = Domain::new(DOMAIN);
    let server = Server::new(&[&domain]);
    let svid = sign(&domain.jwt, "JWT", &svid_claims());
    let (typ, assertion) = (
        ("client_assertion_type", JWT_SPIFFE),
        ("client_assertion", &*svid),
    );
    let send = |pairs: &[(&str, &str)]| server.code(&HeaderMap::new(), &form(pairs), &[]);
    assert_eq!(send(&[typ, assertion]), "valid");
    assert_eq!(send(&[typ, assertion, ("client_id", "")]), "valid");
    let malformed = "malformed_client_authentication";
    assert_eq!(send(&[typ]), malformed);
    assert_eq!(send(&[assertion]), malformed);
    assert_eq!(send(&[typ, ("client_assertion", "")]), malformed);
    assert_eq!(send(&[typ, assertion, assertion]), malformed);
    assert_eq!(send(&[typ, typ, assertion]), malformed);
    assert_eq!(
        send(&[typ, assertion, ("client_id", CLIENT), ("client_id", CLIENT)]),
        malformed
    );
    for other in [
        "urn:ietf:params:oauth:client-assertion-type=jwt-spiffe",
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
        "URN:ietf:params:oauth:client-assertion-type:jwt-spiffe",
    ] {
        let other = ("client_assertion_type", other);
        assert_eq!(send(&[other, assertion]), "assertion_type", "{other:?}");
    }
    for (name, value) in [
        ("Client_Assertion_Type", JWT_SPIFFE),
        ("CLIENT_ASSERTION_TYPE", JWT_SPIFFE),
    ] {
        assert_eq!(send(&[(name, value), assertion]), malformed);
    }
    // What stands in the query string authenticates nobody.
    let uri = format!(
        "https://as.example.com/token?client_assertion_type={JWT_SPIFFE}&client_assertion={svid}"
    );
    let (parts, ()) = Request::post(uri).body(()).unwrap().into_parts();
    let request = TokenRequest::new(&parts, &[], &[]);
    let refused =
        server
            .authenticator
            .authenticate(&request, &server.clients, &server.replay, at(NOW));
    assert_eq!(code(refused), "no_client_authentication");
}

/// Which client a workload is.
///
/// Covers: OAUTH-SPIFFE-3.1-4, OAUTH-SPIFFE-3.1-9, OAUTH-SPIFFE-3.1-10, OAUTH-SPIFFE-5.1-2, OAUTH-SPIFFE-5.1-3
/// Covers: OAUTH-SPIFFE-5.1-1, OAUTH-SPIFFE-A9, OAUTH-SPIFFE-A10, RFC7523-7521-4.2-2, RFC7523-7521-4.2-3, RFC7523-A13
#[test]
fn registrations() {
    const DOCUMENT: &str = "https://example.org/client/metadata.json";
    const SINGLE: &str = "spiffe://example.org/single";
    let domain = Domain::new(DOMAIN);
    let mut server = Server::new(&[&domain]);
    let pattern = |text: &str| SpiffeIdPattern::parse(text).unwrap();
    server.clients = vec![
        RegisteredClient::new(DOCUMENT, pattern("spiffe://example.org/client/*")),
        RegisteredClient::new("single", pattern(SINGLE)),
        RegisteredClient::new("x509", pattern("spiffe://example.org/tls"))
            .with_methods(&[Method::SpiffeX509]),
        RegisteredClient::new("twin", pattern("spiffe://example.org/twins/*")),
        RegisteredClient::new("other-twin", pattern("spiffe://example.org/twins/1")),
    ];
    let send = |sub: &str, client_id: Option<&str>| {
        let mut claims = svid_claims();
        claims["sub"] = sub.into();
        let mut form = jwt_form(&sign(&domain.jwt, "JWT", &claims));
        form.extend(client_id.map(|client_id| ("client_id".to_owned(), client_id.to_owned())));
        server.at(&HeaderMap::new(), &form, &[], NOW).map_or_else(
            |error| error.code().to_owned(),
            |client| client.client.client_id,
        )
    };
    let unknown = "unknown_client";
    for (sub, client_id, expected) in [
        (AGENT, None, DOCUMENT),
        (AGENT, Some(DOCUMENT), DOCUMENT),
        ("spiffe://example.org/client/a/b", Some(DOCUMENT), DOCUMENT),
        ("spiffe://example.org/other", Some(DOCUMENT), unknown),
        ("spiffe://example.org/client", Some(DOCUMENT), unknown),
        ("spiffe://example.org/client123", Some(DOCUMENT), unknown),
        ("spiffe://example.org/client123", None, unknown),
        (AGENT, Some("single"), unknown),
        (AGENT, Some("nobody"), unknown),
        (AGENT, Some(OTHER), unknown),
        (AGENT, Some(AGENT), unknown),
        (SINGLE, None, "single"),
        ("spiffe://example.org/single/x", None, unknown),
        ("spiffe://example.org/tls", Some("x509"), unknown),
        ("spiffe://example.org/tls", None, unknown),
        ("spiffe://example.org/twins/2", None, "twin"),
        ("spiffe://example.org/twins/1", None, "ambiguous_client"),
        (
            "spiffe://example.org/twins/1",
            Some("other-twin"),
            "other-twin",
        ),
    ] {
        assert_eq!(send(sub, client_id), expected, "{sub} as {client_id:?}");
    }
    for wildcard in [
        "spiffe://example.org/*",
        "spiffe://*",
        "spiffe://example.org*",
        "spiffe://example.org/cl*",
        "spiffe://example.org/*/b",
        "*",
    ] {
        assert!(SpiffeIdPattern::parse(wildcard).is_err(), "{wildcard}");
    }
}

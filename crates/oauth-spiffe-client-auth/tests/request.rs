//! One method a request, what a refusal tells, and what metadata says.
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
    AGENT, DOMAIN, Domain, ISSUER, NOW, PROVIDER, Server, at, code, form, headers, jwt_form, key,
    sign, svid_claims,
};
use http::{HeaderMap, StatusCode, header};
use oauth_spiffe_client_auth::server::{CLIENT_ATTESTATION, CLIENT_ATTESTATION_POP};
use oauth_spiffe_client_auth::{
    ClientAuthenticator, Error, Method, TokenRequest, client, method, pop,
};
use serde_json::{Map, Value, json};

/// Covers: OAUTH-SPIFFE-3-1, OAUTH-SPIFFE-A19, RFC7523-7521-4.2.1-1, RFC7523-A14
#[test]
fn one_method_a_request() {
    let domain = Domain::new(DOMAIN);
    let server = Server::new(&[&domain]);
    let svid = sign(&domain.jwt, "JWT", &svid_claims());
    let jwt = jwt_form(&svid);
    let workload = key("workload");
    let claims =
        json!({"sub": AGENT, "exp": NOW + 60, "cnf": {"jwk": workload.public_jwk().to_value()}});
    let wit = sign(&domain.wit, "wit+jwt", &claims);
    let proof = pop::sign(&workload, &PROVIDER, ISSUER, None, at(NOW)).unwrap();
    let wit_fields = headers(&[(CLIENT_ATTESTATION, &wit), (CLIENT_ATTESTATION_POP, &proof)]);
    let basic = headers(&[("authorization", "Basic YWdlbnRzOnNlY3JldA==")]);
    let with_secret = |pairs: &[(String, String)]| {
        let mut pairs = pairs.to_vec();
        pairs.push(("client_secret".to_owned(), "secret".to_owned()));
        pairs
    };
    let mut wit_and_basic = wit_fields.clone();
    wit_and_basic.extend(basic.clone());
    let tls = [domain.leaf(AGENT)];
    let own = form(&[("client_id", AGENT)]);
    let none = HeaderMap::new();

    let several = "several_client_authentications";
    assert_eq!(server.code(&wit_fields, &jwt, &[]), several);
    assert_eq!(server.code(&none, &with_secret(&jwt), &[]), several);
    assert_eq!(server.code(&basic, &jwt, &[]), several);
    assert_eq!(server.code(&wit_and_basic, &[], &[]), several);
    assert_eq!(server.code(&wit_fields, &with_secret(&[]), &[]), several);
    assert_eq!(server.code(&none, &with_secret(&own), &tls), several);
    assert_eq!(server.code(&basic, &own, &tls), several);
    // Half of a second method is a second method.
    let half = headers(&[(CLIENT_ATTESTATION, &wit)]);
    assert_eq!(server.code(&half, &jwt, &[]), several);
    // Secrets are no method here, and no method is none.
    let other = "other_client_authentication";
    assert_eq!(server.code(&basic, &[], &[]), other);
    assert_eq!(server.code(&none, &with_secret(&[]), &[]), other);
    assert_eq!(server.code(&none, &[], &[]), "no_client_authentication");
    // Each is good alone, and mutual TLS may be the transport of the others.
    assert_eq!(server.code(&none, &jwt, &[]), "valid");
    assert_eq!(server.code(&none, &own, &tls), "valid");
    let found = server.at(&none, &jwt, &tls, NOW).unwrap();
    assert_eq!(found.method, Method::SpiffeJwt);
    assert_eq!(server.code(&wit_fields, &[], &tls), "valid");
}

/// Covers: OAUTH-SPIFFE-4-1
#[test]
fn disabled_methods_do_not_authenticate() {
    let domain = Domain::new(DOMAIN);
    let server = Server::new(&[&domain]);
    let jwt = jwt_form(&sign(&domain.jwt, "JWT", &svid_claims()));
    let (own, tls) = (form(&[("client_id", AGENT)]), [domain.leaf(AGENT)]);
    for enabled in Method::SPIFFE {
        let authenticator = ClientAuthenticator::new(ISSUER, server.bundles.clone(), PROVIDER)
            .with_methods(&[enabled]);
        for (method, form, peer) in [
            (Method::SpiffeJwt, &jwt, &tls[..0]),
            (Method::SpiffeX509, &own, &tls[..]),
        ] {
            let none = HeaderMap::new();
            let request = TokenRequest::of(&none, form, peer);
            let expected = match method {
                _ if method == enabled => "valid",
                // A certificate may be there for the connection's sake.
                Method::SpiffeX509 => "no_client_authentication",
                _ => "other_client_authentication",
            };
            let got =
                authenticator.authenticate(&request, &server.clients, &server.replay, at(NOW));
            assert_eq!(code(got), expected, "{method:?} while {enabled:?}");
        }
        let mut metadata = Map::new();
        method::advertise(&mut metadata, &[enabled]);
        let names = json!({"token_endpoint_auth_methods_supported": [enabled.name()]});
        assert_eq!(Value::from(metadata), names);
    }
}

/// Whatever is wrong with a credential, the client reads the same.
///
/// Covers: RFC7523-RFC6749-5.2-1
#[test]
fn refusals_tell_nothing() {
    let domain = Domain::new(DOMAIN);
    let server = Server::new(&[&domain]);
    let mut unregistered = svid_claims();
    unregistered["sub"] = "spiffe://example.org/batch".into();
    let mut expired = svid_claims();
    expired["exp"] = (NOW - 60).into();
    expired["iat"] = (NOW - 120).into();
    let mut unknown_client = jwt_form(&sign(&domain.jwt, "JWT", &svid_claims()));
    unknown_client.push(("client_id".to_owned(), "nobody".to_owned()));
    let forms = [
        jwt_form(&sign(&domain.jwt, "JWT", &unregistered)),
        jwt_form(&sign(&domain.jwt, "JWT", &expired)),
        jwt_form(&sign(&key("jwt"), "JWT", &svid_claims())),
        jwt_form("not a token"),
        unknown_client,
        form(&[]),
    ];
    let mut bodies = Vec::new();
    for form in &forms {
        for (headers, challenged) in [
            (HeaderMap::new(), false),
            (headers(&[("authorization", "Basic eDp5")]), true),
        ] {
            let request = TokenRequest::of(&headers, form, &[]);
            let error = server
                .authenticator
                .authenticate(&request, &server.clients, &server.replay, at(NOW))
                .unwrap_err();
            let response = server.authenticator.refuse(&request, &error, at(NOW));
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{error}");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
            let challenge = response.headers().get(header::WWW_AUTHENTICATE);
            assert_eq!(challenge.is_some(), challenged);
            assert!(challenge.is_none_or(|value| value.as_bytes().starts_with(b"Basic ")));
            bodies.push(response.into_body());
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    let body: Value = serde_json::from_slice(&bodies[0]).unwrap();
    assert_eq!(body["error"], "invalid_client");

    let half = form(&[("client_assertion", "x")]);
    let none = HeaderMap::new();
    let request = TokenRequest::of(&none, &half, &[]);
    let error = server.at(&none, &half, &[], NOW).unwrap_err();
    let response = server.authenticator.refuse(&request, &error, at(NOW));
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(body["error"], "invalid_request");
}

/// Errors name the rule, and a new bundle where one may help.
#[test]
fn errors_are_data() {
    let domain = Domain::new(DOMAIN);
    let server = Server::new(&[&domain]);
    let token = sign(&key("next"), "JWT", &svid_claims());
    let error = server
        .at(&HeaderMap::new(), &jwt_form(&token), &[], NOW)
        .unwrap_err();
    assert!(error.refresh_may_help());
    assert!(!error.to_string().contains(&token));
    let error = server.at(&HeaderMap::new(), &[], &[], NOW).unwrap_err();
    assert!(!error.refresh_may_help());
    assert_eq!(error.requirement(), Some("OAUTH-SPIFFE-3-1"));
}

/// Covers: OAUTH-SPIFFE-4-1, OAUTH-SPIFFE-4-2, OAUTH-SPIFFE-4-4, OAUTH-SPIFFE-4-5, OAUTH-SPIFFE-A18
#[test]
fn metadata_and_choice() {
    let mut metadata = Map::new();
    metadata.insert(
        "token_endpoint".to_owned(),
        "https://as.example.com/token".into(),
    );
    metadata.insert(
        "revocation_endpoint".to_owned(),
        "https://as.example.com/revoke".into(),
    );
    method::advertise(&mut metadata, &[Method::SpiffeJwt, Method::SpiffeX509]);
    let names = json!(["spiffe_x509", "spiffe_jwt"]);
    assert_eq!(metadata["token_endpoint_auth_methods_supported"], names);
    assert_eq!(
        metadata["revocation_endpoint_auth_methods_supported"],
        names
    );
    assert!(!metadata.contains_key("introspection_endpoint_auth_methods_supported"));

    let all = json!([
        "private_key_jwt",
        "spiffe_jwt",
        "spiffe_wit",
        "spiffe_x509",
        7
    ]);
    let choose = |supported: &Value, available: &[Method]| Method::choose(supported, available);
    assert_eq!(choose(&all, &Method::SPIFFE), Ok(Method::SpiffeX509));
    assert_eq!(
        choose(&all, &[Method::SpiffeJwt, Method::SpiffeWit]),
        Ok(Method::SpiffeWit)
    );
    assert_eq!(
        choose(&names, &[Method::SpiffeWit, Method::SpiffeJwt]),
        Ok(Method::SpiffeJwt)
    );
    // No fall back to a secret, whatever became of the metadata.
    for stripped in [
        json!([]),
        json!(["client_secret_basic"]),
        Value::Null,
        json!("spiffe_jwt"),
    ] {
        assert_eq!(
            choose(&stripped, &Method::SPIFFE),
            Err(Error::NoCommonMethod),
            "{stripped}"
        );
    }
    assert_eq!(
        choose(&names, &[Method::SpiffeWit]),
        Err(Error::NoCommonMethod)
    );
}

/// Every method puts into the request what the server reads out of it.
///
/// Covers: OAUTH-SPIFFE-4-4, OAUTH-SPIFFE-3.1-3
#[test]
fn client_side_form() {
    let mut pairs = form(&[("grant_type", "client_credentials")]);
    client::with_jwt_svid(&mut pairs, Some("https://agents.example/client"), "a.b.c");
    assert_eq!(
        client::encode(&pairs),
        "grant_type=client_credentials\
         &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-spiffe\
         &client_assertion=a.b.c&client_id=https%3A%2F%2Fagents.example%2Fclient"
    );
}

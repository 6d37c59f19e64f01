//! Clients that are URLs: what their metadata documents say is how they authenticate.

use std::net::SocketAddr;

use cimd::{ClientIdUrl, ClientMetadata, DocumentPolicy, FetchPlan, FetchPolicy};
use svid::x509::CertificateAuthority;

use super::*;

const URL: &str = "https://app.example/client";
const VICTIM: &str = "spiffe://victim.example/agents/1";

fn parse(url: &str, more: &Value) -> Result<ClientMetadata, cimd::Error> {
    let mut document = json!({
        "client_id": url, "client_name": "App", "redirect_uris": [format!("{url}/cb")],
    });
    for (name, value) in more.as_object().unwrap() {
        document[name] = value.clone();
    }
    let policy = DocumentPolicy::new();
    ClientMetadata::parse(
        &ClientIdUrl::parse(url).unwrap(),
        document.to_string().as_bytes(),
        &policy,
    )
}

/// The registration that a document makes.
fn registered(document: &ClientMetadata, url: &str) -> RegisteredClient {
    if let Some(jwks) = document.jwks() {
        let keys = KeySet::from_jwks_slice(&PROVIDER, jwks.to_string().as_bytes()).unwrap();
        return RegisteredClient::with_assertions(url, AssertionKeys::self_issued(keys));
    }
    RegisteredClient::from_metadata(url, document.members()).unwrap()
}

fn spiffe(url: &str, spiffe_id: &str, endpoint: Option<&str>) -> ClientMetadata {
    let mut more = json!({"spiffe_id": spiffe_id, "token_endpoint_auth_method": "spiffe_jwt"});
    if let Some(endpoint) = endpoint {
        more["spiffe_bundle_endpoint"] = endpoint.into();
    }
    parse(url, &more).unwrap()
}

fn jwt_svid(key: &SigningKey, client_id: Option<&str>, claims: &Value) -> Form {
    let mut pairs = jwt_form(&sign(key, "JWT", claims));
    pairs.extend(client_id.map(|url| ("client_id".to_owned(), url.to_owned())));
    pairs
}

fn claims_of(sub: &str) -> Value {
    let mut claims = svid_claims();
    claims["sub"] = sub.into();
    claims
}

/// What the client is told: everything that is wrong is `invalid_client`.
fn wire(
    authenticator: &ClientAuthenticator<BundleSet>,
    pairs: &Form,
    error: &Error,
) -> (u16, String) {
    let none = HeaderMap::new();
    let response = authenticator.refuse(&TokenRequest::of(&none, pairs, &[]), error, at(NOW));
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    (
        response.status().as_u16(),
        body["error"].as_str().unwrap().to_owned(),
    )
}

/// Covers: CIMD-8.2-2, CIMD-8.2-3
#[test]
fn documents_with_keys() {
    let mut world = world();
    let client = key("app");
    let mut jwk = client.public_jwk().to_value();
    jwk["kid"] = "app".into();
    let document = parse(
        URL,
        &json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [jwk]}}),
    )
    .unwrap();
    assert!(document.is_confidential());
    world.clients.push(registered(&document, URL));
    let claims =
        json!({"iss": URL, "sub": URL, "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": "1"});
    let signed = |key: &SigningKey, claims: &Value| {
        form(&[
            ("grant_type", "authorization_code"),
            ("code", "c"),
            ("code_verifier", "right"),
            ("client_id", URL),
            ("client_assertion_type", JWT_BEARER),
            (
                "client_assertion",
                &sign(key, CLIENT_ASSERTION_TYPE, claims),
            ),
        ])
    };
    let changed = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        if name != "jti" {
            claims["jti"] = name.into();
        }
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        signed(&client, &claims)
    };
    let none = HeaderMap::new();
    let good = signed(&client, &claims);
    let found = world.authenticate(&none, &good, &[]).unwrap();
    assert_eq!(
        (found.client.client_id.as_str(), found.method),
        (URL, Method::PrivateKeyJwt)
    );
    let plain = form(&[
        ("grant_type", "authorization_code"),
        ("code", "c"),
        ("code_verifier", "right"),
        ("client_id", URL),
    ]);
    let mut other_method = jwt_form(&sign(&world.domain.jwt, "JWT", &svid_claims()));
    other_method.push(("client_id".to_owned(), URL.to_owned()));
    for (pairs, expected) in [
        (good, "replayed"),
        (signed(&key("app"), &claims), "invalid_signature"),
        (changed("sub", Value::Null), "missing_claim"),
        (
            changed("sub", json!("https://app.example/other")),
            "unknown_client",
        ),
        (
            changed("iss", json!("https://app.example/other")),
            "unknown_client",
        ),
        (
            changed("aud", json!([ISSUER, TOKEN_ENDPOINT])),
            "multiple_audiences",
        ),
        (changed("aud", json!(TOKEN_ENDPOINT)), "audience_mismatch"),
        (changed("exp", json!(NOW - 60)), "expired"),
        (changed("exp", Value::Null), "missing_claim"),
        (changed("jti", Value::Null), "missing_claim"),
        // The right verifier of PKCE, and no authentication; another method than the document's.
        (plain, "no_client_authentication"),
        (other_method, "unknown_client"),
    ] {
        let error = world.authenticate(&none, &pairs, &[]).unwrap_err();
        assert_eq!(error.code(), expected, "{pairs:?}");
        let expected = (401, "invalid_client".to_owned());
        assert_eq!(wire(&world.authenticator, &pairs, &error), expected);
    }
}

/// Covers: CIMD-SPIFFE-3.1-1
#[test]
fn svids_of_documents() {
    let mut world = world();
    let document = spiffe(URL, "spiffe://example.org/app/*", None);
    world.clients.push(registered(&document, URL));
    let send = |claims: &Value| {
        let pairs = jwt_svid(&world.domain.jwt, Some(URL), claims);
        let found = world.authenticate(&HeaderMap::new(), &pairs, &[]);
        if let Err(error) = &found {
            assert_eq!(
                wire(&world.authenticator, &pairs, error).1,
                "invalid_client"
            );
        }
        found
    };
    let found = send(&claims_of("spiffe://example.org/app/7")).unwrap();
    assert_eq!(
        (found.client.client_id.as_str(), found.method),
        (URL, Method::SpiffeJwt)
    );
    assert_eq!(found.spiffe_id, Some(id("spiffe://example.org/app/7")));
    for outside in [
        "spiffe://example.org/app7",
        "spiffe://example.org/app",
        "spiffe://example.org/App/7",
        AGENT,
    ] {
        assert_eq!(
            code(send(&claims_of(outside))),
            "unknown_client",
            "{outside}"
        );
    }
    for (name, value, expected) in [
        (
            "aud",
            json!([ISSUER, "https://other.example"]),
            "multiple_audiences",
        ),
        ("aud", json!(TOKEN_ENDPOINT), "audience_mismatch"),
        ("exp", json!(NOW - 60), "expired"),
    ] {
        let mut claims = claims_of("spiffe://example.org/app/7");
        claims[name] = value;
        assert_eq!(code(send(&claims)), expected);
    }
}

/// Covers: CIMD-SPIFFE-5.1-5, CIMD-SPIFFE-5.1-6
#[test]
fn where_the_bundle_comes_from() {
    let endpoint = "https://app.example/bundle";
    let workload = "spiffe://app.example/agents/1";
    let with = |endpoint: &str| {
        parse(
            URL,
            &json!({"spiffe_id": workload, "token_endpoint_auth_method": "spiffe_jwt", "spiffe_bundle_endpoint": endpoint}),
        )
    };
    assert!(with("http://app.example/bundle").is_err());
    let document = with(endpoint).unwrap();
    let policy = FetchPolicy::new();
    let plan = FetchPlan::new(document.spiffe_bundle_endpoint().unwrap(), &policy).unwrap();
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    plan.check_addresses(&[address("93.184.216.34:443")])
        .unwrap();
    for special in [
        "127.0.0.1:443",
        "10.0.0.1:443",
        "169.254.169.254:443",
        "[::1]:443",
        "[::ffff:10.0.0.1]:443",
    ] {
        let mixed = [address("93.184.216.34:443"), address(special)];
        assert!(plan.check_addresses(&mixed).is_err(), "{special}");
    }

    // What was fetched: a bundle, of which the keys for JWT-SVIDs count.
    let domain = Domain::new("app.example");
    let bundle = |key_use: &str| {
        let mut jwk = domain.jwt.public_jwk().to_value();
        jwk["use"] = key_use.into();
        let mut other = key("other").public_jwk().to_value();
        other["use"] = "jwt-svid".into();
        let document =
            json!({"keys": [other, jwk], "spiffe_sequence": 1, "spiffe_refresh_hint": 300});
        Bundle::parse(
            &PROVIDER,
            common::td("app.example"),
            document.to_string().as_bytes(),
        )
        .unwrap()
    };
    let world = world();
    let pairs = jwt_svid(&domain.jwt, Some(URL), &claims_of(workload));
    let none = HeaderMap::new();
    let ask = |authenticator: &ClientAuthenticator<BundleSet>, client: RegisteredClient| {
        let request = TokenRequest::of(&none, &pairs, &[]);
        let found = authenticator.authenticate(&request, &vec![client], &world.replay, at(NOW));
        if let Err(error) = &found {
            assert_eq!(wire(authenticator, &pairs, error).1, "invalid_client");
        }
        code(found)
    };
    let client = || registered(&document, URL);
    let on = world.authenticator.clone().with_client_bundles();
    assert_eq!(ask(&on, client().with_bundle(bundle("jwt-svid"))), "valid");
    assert_eq!(
        ask(&on, client().with_bundle(bundle("wit-svid"))),
        "unknown_key"
    );
    // No endpoint, and nothing configured; then it is configured.
    let without = || registered(&spiffe(URL, workload, None), URL);
    assert_eq!(ask(&on, without()), "no_bundle");
    let mut bundles = BundleSet::new();
    bundles.install(domain.bundle()).unwrap();
    let configured = ClientAuthenticator::new(ISSUER, bundles, PROVIDER);
    assert_eq!(ask(&configured, without()), "valid");
}

/// Covers: CIMD-SPIFFE-5.1-7, CIMD-A17
#[test]
fn documents_hijack_no_trust_domain() {
    let evil = "https://evil.example/client";
    let (victim, attacker) = (Domain::new("victim.example"), Domain::new("victim.example"));
    let document = spiffe(
        evil,
        "spiffe://victim.example/agents/*",
        Some("https://evil.example/bundle"),
    );
    let clients = vec![
        registered(&document, evil).with_bundle(attacker.bundle()),
        registered(&spiffe(URL, "spiffe://victim.example/agents/*", None), URL),
    ];
    let none = HeaderMap::new();
    let replay = MemoryReplayGuard::new(10);
    let ask =
        |authenticator: &ClientAuthenticator<BundleSet>, domain: &Domain, named: Option<&str>| {
            let pairs = jwt_svid(&domain.jwt, named, &claims_of(VICTIM));
            authenticator.authenticate(
                &TokenRequest::of(&none, &pairs, &[]),
                &clients,
                &replay,
                at(NOW),
            )
        };
    // Configured: the attacker's keys are worth nothing, whoever they are presented for.
    let mut bundles = BundleSet::new();
    bundles.install(victim.bundle()).unwrap();
    let configured = ClientAuthenticator::new(ISSUER, bundles, PROVIDER).with_client_bundles();
    for named in [Some(evil), Some(URL)] {
        assert_eq!(
            code(ask(&configured, &attacker, named)),
            "invalid_signature"
        );
    }
    let found = ask(&configured, &victim, Some(URL)).unwrap();
    assert_eq!(found.spiffe_id, Some(id(VICTIM)));
    // Not configured: the attacker is its own client, and no workload of the victim.
    let open = world().authenticator.with_client_bundles();
    let found = ask(&open, &attacker, Some(evil)).unwrap();
    assert_eq!(
        (found.client.client_id.as_str(), found.spiffe_id),
        (evil, None)
    );
    for named in [Some(URL), None] {
        assert_eq!(code(ask(&open, &attacker, named)), "no_bundle");
    }
    let holder = key("w");
    let jwk = holder.public_jwk().to_value();
    let wit = json!({"sub": VICTIM, "exp": NOW + 60, "cnf": {"jwk": jwk}});
    let proof = pop::sign(&holder, &PROVIDER, ISSUER, None, at(NOW)).unwrap();
    let fields = headers(&[
        (CLIENT_ATTESTATION, &sign(&attacker.wit, "wit+jwt", &wit)),
        (CLIENT_ATTESTATION_POP, &proof),
    ]);
    let clients = vec![clients[0].clone().with_methods(&Method::SPIFFE)];
    let named = form(&[("client_id", evil)]);
    let request = TokenRequest::of(&fields, &named, &[]);
    let found = open
        .authenticate(&request, &clients, &replay, at(NOW))
        .unwrap();
    assert_eq!((found.method, found.spiffe_id), (Method::SpiffeWit, None));
}

/// Neither a CA outside of the bundle nor `iss` vouches for an SVID: there is nothing here that could fetch keys.
///
/// Covers: CIMD-SPIFFE-6-1
#[test]
fn no_other_roots_and_no_discovery() {
    let world = world();
    // A public CA issues a certificate with a SPIFFE ID in it.
    let public = CertificateAuthority::self_signed(
        &common::td(DOMAIN),
        key("public"),
        std::time::Duration::from_secs(86_400),
        at(NOW),
    )
    .unwrap();
    let leaf = |ca: &CertificateAuthority| {
        let lifetime = std::time::Duration::from_secs(3600);
        ca.issue_leaf(&id(AGENT), key("leaf").public_key(), &[], lifetime, at(NOW))
            .unwrap()
    };
    let named = form(&[("client_id", AGENT)]);
    let mut clients = world.clients.clone();
    clients.push(RegisteredClient::new(
        AGENT,
        SpiffeIdPattern::parse(AGENT).unwrap(),
    ));
    let none = HeaderMap::new();
    let ask = |chain: &[CertificateDer<'_>]| {
        let request = TokenRequest::of(&none, &named, chain);
        world
            .authenticator
            .authenticate(&request, &clients, &world.replay, at(NOW))
    };
    ask(&[world.domain.leaf(AGENT)]).unwrap();
    let error = ask(&[leaf(&public)]).unwrap_err();
    assert!(matches!(error, Error::X509Svid(_)), "{error}");
    // The issuer's own keys are nowhere asked for: only the bundle's verify.
    let provider = key("op");
    let mut claims = svid_claims();
    claims["iss"] = "https://op.example".into();
    let pairs = jwt_svid(&provider, None, &claims);
    assert_eq!(code(world.authenticate(&none, &pairs, &[])), "unknown_key");
    let pairs = jwt_svid(&world.domain.jwt, None, &claims);
    assert_eq!(code(world.authenticate(&none, &pairs, &[])), "valid");
}

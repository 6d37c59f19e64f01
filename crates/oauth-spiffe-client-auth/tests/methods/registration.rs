//! Registrations, and whose keys are believed.

use super::*;

/// Registrations come from metadata documents, from dynamic registration and from the configuration, under the same rules.
///
/// Covers: OAUTH-SPIFFE-5-2, OAUTH-SPIFFE-5.1-1, OAUTH-SPIFFE-5.1-4, OAUTH-SPIFFE-9.1-1, OAUTH-SPIFFE-A9
/// Covers: OAUTH-SPIFFE-A11
#[test]
fn registrations() {
    assert_eq!(
        (SPIFFE_ID, SPIFFE_BUNDLE_ENDPOINT),
        ("spiffe_id", "spiffe_bundle_endpoint")
    );
    let read = |value: &Value| {
        RegisteredClient::from_metadata("https://example.org/client", value.as_object().unwrap())
    };
    let document = json!({
        "client_id": "https://example.org/client/metadata.json", "client_name": "Example Client",
        "spiffe_id": "spiffe://example.org/client/*", "spiffe_bundle_endpoint": "https://example.org/client/bundle.json",
        "token_endpoint_auth_method": "spiffe_jwt",
    });
    let client = read(&document).unwrap();
    assert_eq!(client.methods, [Method::SpiffeJwt]);
    // By whichever way it came, the client is found and held to what it registered.
    let mut world = world();
    world.clients = vec![client];
    assert_eq!(
        world
            .authenticate(&HeaderMap::new(), &world.jwt_svid(), &[])
            .unwrap()
            .client
            .client_id,
        "https://example.org/client"
    );
    assert_eq!(
        code(world.authenticate(&world.wit_svid(), &[], &[])),
        "unknown_client"
    );
    for (name, value, expected) in [
        ("spiffe_id", json!("spiffe://example.org/a"), "valid"),
        ("spiffe_id", json!("spiffe://example.org/a*"), "metadata"),
        ("spiffe_id", json!("spiffe://example.org/*/b"), "metadata"),
        ("spiffe_id", json!("spiffe://example.org*"), "metadata"),
        ("spiffe_id", json!("spiffe://example.org/*"), "metadata"),
        ("spiffe_id", json!("spiffe://*"), "metadata"),
        ("spiffe_id", json!("https://example.org/a"), "metadata"),
        ("spiffe_id", json!(["spiffe://example.org/a"]), "metadata"),
        ("spiffe_id", json!("DELETE"), "metadata"),
        ("spiffe_bundle_endpoint", json!("DELETE"), "valid"),
        (
            "spiffe_bundle_endpoint",
            json!("http://example.org/b"),
            "metadata",
        ),
        (
            "spiffe_bundle_endpoint",
            json!("file:///etc/passwd"),
            "metadata",
        ),
        (
            "spiffe_bundle_endpoint",
            json!("https://user:word@example.org/b"),
            "metadata",
        ),
        (
            "spiffe_bundle_endpoint",
            json!("https://example.org/b#x"),
            "metadata",
        ),
        (
            "spiffe_bundle_endpoint",
            json!("https://0x7f.1/b"),
            "metadata",
        ),
        ("spiffe_bundle_endpoint", json!(7), "metadata"),
        (
            "token_endpoint_auth_method",
            json!("client_secret_basic"),
            "valid",
        ),
    ] {
        let mut document = document.clone();
        if value == "DELETE" {
            document.as_object_mut().unwrap().remove(name);
        } else {
            document[name] = value.clone();
        }
        assert_eq!(code(read(&document)), expected, "{name}: {value}");
    }
    for method in [
        "client_secret_basic",
        "private_key_jwt",
        "none",
        "SPIFFE_JWT",
    ] {
        let client = read(&json!({"token_endpoint_auth_method": method})).unwrap();
        assert!(client.methods.is_empty(), "{method}");
    }
    let attested = read(&json!({"token_endpoint_auth_method": "attest_jwt_client_auth"})).unwrap();
    assert_eq!(attested.methods, [Method::AttestJwt]);
}

/// A bundle that a client brings verifies this client alone, in a domain that nobody else vouches for, and only if that is
/// switched on.
///
/// Covers: OAUTH-SPIFFE-A8, OAUTH-SPIFFE-6.1-3, OAUTH-SPIFFE-5.1-5, OAUTH-SPIFFE-A11
#[test]
fn bundles_of_clients() {
    let world = world();
    let partner = Domain::new("partner.example");
    let thief = Domain::new(DOMAIN);
    let workload = "spiffe://partner.example/agent";
    let client = |name: &str, pattern: &str, bundle: Bundle| {
        RegisteredClient::new(name, SpiffeIdPattern::parse(pattern).unwrap()).with_bundle(bundle)
    };
    let mut clients = world.clients.clone();
    clients.push(client("partner", workload, partner.bundle()));
    // It names another's domain, and brings keys of its own for it.
    clients.push(client(
        "thief",
        "spiffe://example.org/client/*",
        thief.bundle(),
    ));
    clients.push(client("other", workload, thief.bundle()).with_methods(&Method::SPIFFE));
    let token = |domain: &Domain, sub: &str, name: Option<&str>| {
        let mut claims = svid_claims();
        claims["sub"] = sub.into();
        let mut pairs = jwt_form(&sign(&domain.jwt, "JWT", &claims));
        pairs.extend(name.map(|name| ("client_id".to_owned(), name.to_owned())));
        pairs
    };
    let on = world.authenticator.clone().with_client_bundles();
    let none = HeaderMap::new();
    for (pairs, off, expected) in [
        (
            token(&partner, workload, Some("partner")),
            "no_bundle",
            "valid",
        ),
        // Only for the client that brought it, and only if the request names it.
        (token(&partner, workload, None), "no_bundle", "no_bundle"),
        (
            token(&partner, workload, Some("other")),
            "no_bundle",
            "no_bundle",
        ),
        (
            token(&partner, workload, Some("nobody")),
            "no_bundle",
            "no_bundle",
        ),
        // What is configured wins.
        (
            token(&thief, AGENT, Some("thief")),
            "invalid_signature",
            "invalid_signature",
        ),
        (token(&world.domain, AGENT, Some("thief")), "valid", "valid"),
        (token(&world.domain, AGENT, Some(CLIENT)), "valid", "valid"),
    ] {
        let request = TokenRequest::of(&none, &pairs, &[]);
        for (authenticator, expected) in [(&world.authenticator, off), (&on, expected)] {
            let found = authenticator.authenticate(&request, &clients, &world.replay, at(NOW));
            assert_eq!(code(found), expected, "{pairs:?}");
        }
    }
    let claims = json!({"sub": workload, "exp": NOW + 60, "cnf": {"jwk": world.workload.public_jwk().to_value()}});
    let wit = sign(&partner.wit, "wit+jwt", &claims);
    let proof = pop::sign(&world.workload, &PROVIDER, ISSUER, None, at(NOW)).unwrap();
    let fields = headers(&[(CLIENT_ATTESTATION, &wit), (CLIENT_ATTESTATION_POP, &proof)]);
    let named = form(&[("client_id", "partner")]);
    let request = TokenRequest::of(&fields, &named, &[]);
    let found = on.authenticate(&request, &clients, &world.replay, at(NOW));
    assert_eq!(found.unwrap().client.client_id, "partner");
}

/// A provider's own keys, for ID tokens and access tokens, are no keys of SVIDs, and `iss` leads nowhere.
///
/// Covers: OAUTH-SPIFFE-8.1-2, OAUTH-SPIFFE-8.1-3, OAUTH-SPIFFE-6.2.4-1, OAUTH-SPIFFE-A7
#[test]
fn discovered_keys_are_not_for_svids() {
    let provider_key = key("op");
    let td = common::td(DOMAIN);
    let other = key("jwt");
    let document = |key_use: Option<&str>| {
        let mut jwk = provider_key.public_jwk().to_value();
        match key_use {
            Some(key_use) => jwk["use"] = key_use.into(),
            None => drop(jwk.as_object_mut().unwrap().remove("use")),
        }
        let mut own = other.public_jwk().to_value();
        own["use"] = "jwt-svid".into();
        json!({"keys": [own, jwk]}).to_string()
    };
    let mut claims = svid_claims();
    claims["iss"] = "https://op.example".into();
    let pairs = jwt_form(&sign(&provider_key, "JWT", &claims));
    for (key_use, expected) in [
        (Some("sig"), "unknown_key"),
        (None, "unknown_key"),
        (Some("wit-svid"), "unknown_key"),
        (Some("jwt-svid"), "valid"),
    ] {
        let bundle = Bundle::parse(&PROVIDER, td.clone(), document(key_use).as_bytes()).unwrap();
        let authenticator = ClientAuthenticator::new(ISSUER, bundle, PROVIDER);
        let none = HeaderMap::new();
        let request = TokenRequest::of(&none, &pairs, &[]);
        let found = authenticator.authenticate(
            &request,
            &world().clients,
            &MemoryReplayGuard::new(1),
            at(NOW),
        );
        assert_eq!(code(found), expected, "{key_use:?}");
    }
}

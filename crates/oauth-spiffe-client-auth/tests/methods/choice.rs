//! The client's choice among the methods that a server advertises.

use super::*;

#[derive(Default)]
pub(super) struct Source {
    pub(super) x509: Option<SpiffeId>,
    pub(super) wit: Option<WitCredential>,
    pub(super) jwt: Option<(Domain, &'static str)>,
}

impl SvidSource for Source {
    fn x509_svid(&self) -> Option<SpiffeId> {
        self.x509.clone()
    }

    fn wit_svid(&self) -> Option<WitCredential> {
        self.wit.clone()
    }

    fn jwt_svid(&self, issuer: &str) -> Option<String> {
        let (domain, sub) = self.jwt.as_ref()?;
        Some(sign(
            &domain.jwt,
            "JWT",
            &json!({"sub": sub, "aud": issuer, "exp": NOW + 300}),
        ))
    }

    fn methods(&self) -> Vec<Method> {
        [
            (Method::SpiffeX509, self.x509.is_some()),
            (Method::SpiffeWit, self.wit.is_some()),
            (Method::SpiffeJwt, self.jwt.is_some()),
        ]
        .into_iter()
        .filter_map(|(method, available)| available.then_some(method))
        .collect()
    }
}

/// The client sends what the server advertises, once, where it belongs; the server takes it.
///
/// Covers: OAUTH-SPIFFE-3.2-1, OAUTH-SPIFFE-4-3, OAUTH-SPIFFE-4-4, OAUTH-SPIFFE-4-5, OAUTH-SPIFFE-A3, OAUTH-SPIFFE-A18
/// Covers: OAUTH-SPIFFE-3.1-3
#[test]
fn the_clients_choice() {
    let mut world = world();
    let domain = Domain::new(DOMAIN);
    let mut bundles = BundleSet::new();
    bundles.install(domain.bundle()).unwrap();
    let wit = sign(
        &domain.wit,
        "wit+jwt",
        &json!({"sub": AGENT, "exp": NOW + 60, "cnf": {"jwk": world.workload.public_jwk().to_value()}}),
    );
    let tls = [domain.leaf(AGENT)];
    let mut source = Source {
        x509: Some(id(AGENT)),
        wit: Some(WitCredential::new(wit, world.workload.clone(), &PROVIDER)),
        jwt: Some((domain, AGENT)),
    };
    world.authenticator = ClientAuthenticator::new(ISSUER, bundles, PROVIDER);
    let metadata = |names: &[&str], extra: Value| {
        let mut members = json!({
            "issuer": ISSUER, "token_endpoint": TOKEN_ENDPOINT, "token_endpoint_auth_methods_supported": names,
            "mtls_endpoint_aliases": {"token_endpoint": "https://mtls.as.example.com/token"},
        });
        members
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        ServerMetadata::authorization_server(ISSUER, members.to_string().as_bytes()).unwrap()
    };
    let all = [
        "client_secret_basic",
        "spiffe_jwt",
        "spiffe_x509",
        "spiffe_wit",
    ];
    let es384 = json!({"client_attestation_pop_signing_alg_values_supported": ["ES384"]});
    for (names, extra, expected, host) in [
        (
            &all[..],
            json!({}),
            Method::SpiffeX509,
            "mtls.as.example.com",
        ),
        (&all[3..], json!({}), Method::SpiffeWit, "as.example.com"),
        (&all[..2], json!({}), Method::SpiffeJwt, "as.example.com"),
        // The server does not take the algorithm of the key.
        (
            &["spiffe_jwt", "spiffe_wit"][..],
            es384,
            Method::SpiffeJwt,
            "as.example.com",
        ),
    ] {
        let server = metadata(names, extra);
        let mut outgoing =
            OutgoingRequest::new([("grant_type", "client_credentials"), ("client_id", "stale")]);
        let name = (expected != Method::SpiffeX509).then_some(CLIENT);
        assert_eq!(
            outgoing.authenticate(&source, name, &server, None, at(NOW)),
            Ok(expected)
        );
        // A second time would be a second method.
        let again = outgoing
            .clone()
            .authenticate(&source, name, &server, None, at(NOW));
        assert_eq!(
            code(again),
            if expected == Method::SpiffeX509 {
                "valid"
            } else {
                "several_client_authentications"
            }
        );
        let peer = if expected == Method::SpiffeX509 {
            &tls[..]
        } else {
            &[]
        };
        let found = world
            .authenticate(&outgoing.headers, &outgoing.form, peer)
            .unwrap();
        assert_eq!(
            (found.method, found.client.client_id.as_str()),
            (expected, CLIENT)
        );
        let request = outgoing.into_request(&server, expected).unwrap();
        assert_eq!(
            (
                request.method().as_str(),
                request.uri().host(),
                request.uri().query()
            ),
            ("POST", Some(host), None)
        );
        assert_eq!(
            request.headers()["content-type"],
            "application/x-www-form-urlencoded"
        );
        assert!(request.body().starts_with("grant_type=client_credentials&"));
    }
    // The token is for the issuer whose metadata these are, whatever its endpoints are called.
    let other = json!({"issuer": "https://attacker.example", "token_endpoint": TOKEN_ENDPOINT, "token_endpoint_auth_methods_supported": ["spiffe_jwt"]});
    let other = ServerMetadata::authorization_server(
        "https://attacker.example",
        other.to_string().as_bytes(),
    )
    .unwrap();
    let mut outgoing = OutgoingRequest::default();
    outgoing
        .authenticate(&source, None, &other, None, at(NOW))
        .unwrap();
    assert_eq!(
        code(world.authenticate(&outgoing.headers, &outgoing.form, &[])),
        "audience_mismatch"
    );
    // No falling back.
    for names in [
        &["client_secret_basic", "none"][..],
        &[],
        &["private_key_jwt", "attest_jwt_client_auth"],
    ] {
        let mut outgoing = OutgoingRequest::new([("client_secret", "kept for another server")]);
        let found =
            outgoing.authenticate(&source, None, &metadata(names, json!({})), None, at(NOW));
        assert_eq!(code(found), "no_common_method");
        assert!(outgoing.headers.is_empty() && outgoing.form.len() == 1);
    }
    let server = metadata(&all, json!({}));
    assert_eq!(
        code(OutgoingRequest::default().authenticate(
            &Source::default(),
            None,
            &server,
            None,
            at(NOW)
        )),
        "no_common_method"
    );
    source.x509 = None;
    for authenticated in [
        OutgoingRequest::new([("client_secret", "s")]),
        OutgoingRequest::new([("client_assertion", "a.b.c")]),
    ] {
        let mut authenticated = authenticated;
        let found = authenticated.authenticate(&source, None, &server, None, at(NOW));
        assert_eq!(code(found), "several_client_authentications");
    }
    assert_eq!(format!("{:?}", source.wit.unwrap()), "WitCredential(..)");
}

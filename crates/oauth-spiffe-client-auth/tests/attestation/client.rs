//! What an instance remembers, when it tries again, and what servers say of themselves.

use http::{Method, Request, Response};
use oauth_spiffe_client_auth::ServerMetadata;
use oauth_spiffe_client_auth::attestation::{
    Answer, Attempt, ChallengeMemory, ClientAttestationMetadata, HeldAttestations, Next, Server,
    advertise, challenge_request, challenge_response, read_challenge_response,
};
use oauth_spiffe_client_auth::method::Method as AuthMethod;
use serde_json::Map;

use super::*;

fn server() -> Server {
    Server::authorization(ISSUER, &Htu::parse(TOKEN_ENDPOINT).unwrap())
}

fn given(challenge: &str) -> HeaderMap {
    headers(&[(CLIENT_ATTESTATION_CHALLENGE, challenge)])
}

/// Whatever a challenge came from, the latest one is used.
///
/// Covers: OAUTH-ABCA-6-2, OAUTH-ABCA-6.2-1
#[test]
fn latest_challenge() {
    let (mut memory, server) = (ChallengeMemory::default(), server());
    let target = Htu::parse("https://rs.example.com/orders").unwrap();
    let resource = Server::resource(RESOURCE, &target);
    assert!(Attempt::first(&server, &memory).challenge().is_none());
    let shown = |memory: &ChallengeMemory, server: &Server| {
        let attempt = Attempt::first(server, memory);
        attempt
            .challenge()
            .map(|challenge| challenge.as_str().to_owned())
    };
    // From the endpoint, from a token response, from an error, and from the endpoint again.
    let answer = |challenge: &str| {
        let body = json!({"attestation_challenge": challenge, "more": [1]}).to_string();
        Response::new(body.into_bytes())
    };
    read_challenge_response(&answer("c1"), &server, &mut memory).unwrap();
    assert_eq!(shown(&memory, &server).as_deref(), Some("c1"));
    let (ok, bad) = (StatusCode::OK, StatusCode::BAD_REQUEST);
    let fields = given("c2");
    let next =
        Attempt::first(&server, &memory).after(&Answer::new(ok, &fields, b"{}"), &mut memory);
    assert!(matches!(next, Ok(Next::Done)));
    assert_eq!(shown(&memory, &server).as_deref(), Some("c2"));
    let body = br#"{"error":"use_attestation_challenge"}"#;
    let fields = given("c3");
    let next =
        Attempt::first(&server, &memory).after(&Answer::new(bad, &fields, body), &mut memory);
    let Ok(Next::Again(again)) = next else {
        panic!()
    };
    assert_eq!(again.challenge().unwrap().as_str(), "c3");
    read_challenge_response(&answer("c4"), &server, &mut memory).unwrap();
    assert_eq!(shown(&memory, &server).as_deref(), Some("c4"));
    // The proof has it, and each server has its own.
    let world = world();
    let mut sent = HeaderMap::new();
    let attempt = Attempt::first(&server, &memory);
    world
        .held()
        .attach(&mut sent, server.identifier(), attempt.challenge(), at(NOW))
        .unwrap();
    let payload = sent[CLIENT_ATTESTATION_POP]
        .to_str()
        .unwrap()
        .split('.')
        .nth(1)
        .unwrap()
        .to_owned();
    let claims: Value =
        serde_json::from_slice(&base64url::decode(&payload, "payload").unwrap()).unwrap();
    assert_eq!(claims["challenge"], "c4");
    assert_eq!(shown(&memory, &resource), None);
    // Fields that are no challenge change nothing.
    let mut twice = given("c5");
    twice.append(CLIENT_ATTESTATION_CHALLENGE, "c6".parse().unwrap());
    for fields in [
        twice,
        given(""),
        given("with space"),
        given(&"x".repeat(513)),
    ] {
        assert_eq!(code(memory.observe(&server, &fields)), "invalid_challenge");
    }
    assert_eq!(shown(&memory, &server).as_deref(), Some("c4"));
    // Bounded: the oldest makes room.
    let mut small = ChallengeMemory::new(1);
    small.observe(&server, &given("a")).unwrap();
    small.observe(&resource, &given("b")).unwrap();
    assert_eq!(
        (shown(&small, &server), shown(&small, &resource).as_deref()),
        (None, Some("b"))
    );
}

/// One more try, with a new proof, and no third.
///
/// Covers: OAUTH-ABCA-6-7, OAUTH-ABCA-6-8, OAUTH-ABCA-A19
#[test]
fn one_more_try() {
    let source = Arc::new(StatelessChallenges::generate(&PROVIDER, ISSUER).unwrap());
    let world = world().with(|pop| Ok(pop.with_challenges(source)));
    let (mut memory, server) = (ChallengeMemory::default(), server());
    let held = world.held();
    let mut attempt = Attempt::first(&server, &memory);
    let mut proofs = Vec::new();
    loop {
        let mut sent = HeaderMap::new();
        held.attach(&mut sent, ISSUER, attempt.challenge(), at(NOW))
            .unwrap();
        proofs.push(sent[CLIENT_ATTESTATION_POP].clone());
        let response = match world.verify(&sent, NOW) {
            Ok(_) => Response::new(b"{}".to_vec()),
            Err(error) => world.verifier.refuse(&error, Scheme::Bearer, at(NOW)),
        };
        let answer = Answer::new(response.status(), response.headers(), response.body());
        match attempt.after(&answer, &mut memory).unwrap() {
            Next::Again(next) => attempt = next,
            Next::Done => break,
            Next::FreshAttestation => panic!(),
        }
    }
    assert_eq!(proofs.len(), 2);
    assert_ne!(proofs[0], proofs[1]);

    // A server that is never content.
    let (unauthorized, bad) = (StatusCode::UNAUTHORIZED, StatusCode::BAD_REQUEST);
    let target = Htu::parse("https://rs.example.com/orders").unwrap();
    let resource = Server::resource(RESOURCE, &target);
    let mut challenged = given("c");
    challenged.insert(
        "www-authenticate",
        "DPoP error=\"use_attestation_challenge\"".parse().unwrap(),
    );
    let mut nonce = headers(&[("dpop-nonce", "n")]);
    nonce.insert(
        "www-authenticate",
        "DPoP error=\"use_dpop_nonce\"".parse().unwrap(),
    );
    let demand = br#"{"error":"use_attestation_challenge"}"#;
    let nonce_demand = br#"{"error":"use_dpop_nonce"}"#;
    for (server, status, fields, body) in [
        (&server, bad, given("c"), &demand[..]),
        (
            &server,
            bad,
            headers(&[("dpop-nonce", "n")]),
            &nonce_demand[..],
        ),
        (&resource, unauthorized, challenged, b""),
        (&resource, unauthorized, nonce, b""),
    ] {
        let mut memory = ChallengeMemory::default();
        let answer = Answer::new(status, &fields, body);
        let first = Attempt::first(server, &memory);
        let Ok(Next::Again(second)) = first.after(&answer, &mut memory) else {
            panic!()
        };
        assert!(second.challenge().is_some() != second.nonce().is_some());
        assert_eq!(code(second.after(&answer, &mut memory)), "challenge_loop");
        // A demand that gives nothing is the end too.
        let empty = fields
            .iter()
            .filter(|(name, _)| *name == "www-authenticate");
        let empty: HeaderMap = empty
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let first = Attempt::first(server, &ChallengeMemory::default());
        let found = first.after(
            &Answer::new(status, &empty, body),
            &mut ChallengeMemory::default(),
        );
        assert_eq!(code(found), "challenge_not_given");
    }
    // Other answers are answers.
    for (status, body, fresh) in [
        (
            bad,
            &br#"{"error":"invalid_client_attestation"}"#[..],
            false,
        ),
        (bad, br#"{"error":"use_fresh_attestation"}"#, true),
        (
            StatusCode::OK,
            br#"{"error":"use_attestation_challenge"}"#,
            false,
        ),
        (bad, b"not json", false),
        (bad, br#"{"error":7}"#, false),
    ] {
        let none = HeaderMap::new();
        let next =
            Attempt::first(&server, &memory).after(&Answer::new(status, &none, body), &mut memory);
        assert_eq!(matches!(next, Ok(Next::FreshAttestation)), fresh);
        assert_eq!(matches!(next, Ok(Next::Done)), !fresh);
    }
}

/// Covers: OAUTH-ABCA-6-4, OAUTH-ABCA-6.3-1, OAUTH-ABCA-6.3-3, OAUTH-ABCA-6.3-4, OAUTH-ABCA-6.3-5, OAUTH-ABCA-6.3-6
/// Covers: OAUTH-ABCA-6.3-7, OAUTH-ABCA-6.3-8
#[test]
fn challenge_endpoint() {
    let (mut memory, server) = (ChallengeMemory::default(), server());
    let endpoint = Some("https://as.example.com/challenge");
    let request = challenge_request(endpoint, &server, &memory)
        .unwrap()
        .unwrap();
    assert_eq!(
        (request.method(), request.uri().path()),
        (&Method::POST, "/challenge")
    );
    assert_eq!(request.headers()[header::ACCEPT], "application/json");
    assert!(challenge_request(None, &server, &memory).unwrap().is_none());
    for url in ["http://as.example.com/challenge", "", "https://a b/"] {
        assert_eq!(
            code(
                challenge_request(Some(url), &server, &memory)
                    .map(|request: Option<Request<()>>| drop(request))
            ),
            "metadata"
        );
    }
    let challenges = Arc::new(StatelessChallenges::generate(&PROVIDER, ISSUER).unwrap());
    let nonces = Arc::new(StatelessNonces::generate(&PROVIDER, ISSUER).unwrap());
    let both = PopMethods::new(&[PopMethod::AttestationPopJwt, PopMethod::DpopCombined]).unwrap();
    let world = world().with(|pop| {
        let dpop = dpop::Verifier::new(&PROVIDER).with_nonces(nonces);
        pop.with_challenges(challenges).with_dpop(dpop, both)
    });
    for method in [Method::GET, Method::PUT, Method::HEAD, Method::OPTIONS] {
        let refused = challenge_response(&method, world.verifier.proofs(), at(NOW));
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.headers()[header::ALLOW], "POST");
    }
    let answer = challenge_response(&Method::POST, world.verifier.proofs(), at(NOW));
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    assert!(error_of(&answer)["attestation_challenge"].is_string());
    assert!(answer.headers().contains_key("dpop-nonce"));
    read_challenge_response(&answer, &server, &mut memory).unwrap();
    assert!(
        challenge_request(endpoint, &server, &memory)
            .unwrap()
            .is_none()
    );
    // Both are good for the next request, in either mode.
    let attempt = Attempt::first(&server, &memory);
    assert_eq!(
        attempt.nonce().unwrap().as_str(),
        answer.headers()["dpop-nonce"].to_str().unwrap()
    );
    let mut sent = HeaderMap::new();
    world
        .held()
        .attach(&mut sent, ISSUER, attempt.challenge(), at(NOW))
        .unwrap();
    assert_eq!(code(world.verify(&sent, NOW)), "valid");
    let target = Htu::parse(TOKEN_ENDPOINT).unwrap();
    let request = ProofRequest::new("POST", &target).with_nonce(attempt.nonce());
    let mut sent = HeaderMap::new();
    world
        .held()
        .attach_combined(&mut sent, &request, at(NOW))
        .unwrap();
    assert_eq!(code(world.verify(&sent, NOW)), "valid");
    // Any other response may have them too.
    let mut fields = HeaderMap::new();
    world
        .verifier
        .proofs()
        .refresh(&mut fields, at(NOW))
        .unwrap();
    assert_eq!(memory.observe(&server, &fields), Ok((true, true)));
    // A server without either has nothing to give.
    let plain = challenge_response(&Method::POST, self::world().verifier.proofs(), at(NOW));
    assert_eq!(
        (plain.status(), plain.body().as_slice()),
        (StatusCode::OK, &b"{}"[..])
    );

    let refused = |status: StatusCode, body: &[u8]| {
        let mut response = Response::new(body.to_vec());
        *response.status_mut() = status;
        code(read_challenge_response(
            &response,
            &server,
            &mut ChallengeMemory::default(),
        ))
    };
    assert_eq!(
        refused(
            StatusCode::OK,
            br#"{"attestation_challenge":"c","unknown":{"x":1}}"#
        ),
        "valid"
    );
    assert_eq!(
        refused(StatusCode::OK, br#"{"attestation_challenge":7}"#),
        "challenge_response"
    );
    assert_eq!(
        refused(StatusCode::OK, br#"{"attestation_challenge":"a b"}"#),
        "invalid_challenge"
    );
    assert_eq!(refused(StatusCode::OK, b"[]"), "challenge_response");
    assert_eq!(
        refused(StatusCode::OK, br#"{"a":1,"a":2}"#),
        "challenge_response"
    );
    assert_eq!(refused(StatusCode::CREATED, b"{}"), "challenge_response");
    let large = json!({"attestation_challenge": "c", "padding": "x".repeat(20_000)}).to_string();
    assert_eq!(
        refused(StatusCode::OK, large.as_bytes()),
        "challenge_response"
    );
}

/// One attestation for each server, with a key of its own, and none for another key.
///
/// Covers: OAUTH-ABCA-10.6-1, OAUTH-ABCA-11.1-1, OAUTH-ABCA-A21
#[test]
fn held_attestations() {
    let world = world();
    let held = |key: &SigningKey| {
        let claims =
            json!({"sub": CLIENT, "exp": NOW + 60, "cnf": {"jwk": key.public_jwk().to_value()}});
        let token = sign(&world.attester, ATTESTATION_TYPE, &claims);
        HeldAttestation::new(token, key.clone())
    };
    let (one, other) = (key("one"), key("other"));
    let mut all = HeldAttestations::default();
    all.insert(ISSUER, held(&one).unwrap()).unwrap();
    assert_eq!(
        code(all.insert(RESOURCE, held(&one).unwrap())),
        "held_attestation"
    );
    all.insert(RESOURCE, held(&other).unwrap()).unwrap();
    // A newer one for the same server and key.
    all.insert(ISSUER, held(&one).unwrap()).unwrap();
    assert_ne!(
        all.get(ISSUER).unwrap().jkt(),
        all.get(RESOURCE).unwrap().jkt()
    );
    assert!(all.get("https://unknown.example").is_none());
    // A new key needs a new attestation.
    let token = world.attestation();
    assert_eq!(
        code(HeldAttestation::new(token, one.clone())),
        "held_attestation"
    );
    for claims in [
        json!({"sub": CLIENT}),
        json!({"cnf": {"jwk": one.public_jwk().to_value()}}),
    ] {
        let token = sign(&world.attester, ATTESTATION_TYPE, &claims);
        assert_eq!(
            code(HeldAttestation::new(token, one.clone())),
            "held_attestation"
        );
    }
    assert_eq!(
        code(HeldAttestation::new("x", one.clone())),
        "held_attestation"
    );
    assert!(!format!("{:?}", held(&one).unwrap()).contains("ey"));
}

fn server_metadata(extra: &Value) -> Result<ServerMetadata, Error> {
    let mut members = json!({"issuer": ISSUER, "token_endpoint": TOKEN_ENDPOINT});
    members
        .as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    ServerMetadata::authorization_server(ISSUER, members.to_string().as_bytes())
}

/// Covers: OAUTH-ABCA-6.3-2, OAUTH-ABCA-7.6-2, OAUTH-ABCA-7.6-3, OAUTH-ABCA-7.6-4, OAUTH-ABCA-7.6-5, OAUTH-ABCA-8-1
/// Covers: OAUTH-ABCA-8-2, OAUTH-ABCA-8-3, OAUTH-ABCA-8-4
#[test]
fn metadata_of_servers() {
    let challenge = "https://as.example.com/challenge";
    let es256 = Algorithms::of(&[Algorithm::Es256]);
    let attestations = AttestationVerifier::new(&PROVIDER)
        .with_algorithms(es256)
        .unwrap();
    let both = PopMethods::new(&[PopMethod::AttestationPopJwt, PopMethod::DpopCombined]).unwrap();
    let proofs = pop::PopVerifier::new(ISSUER)
        .with_algorithms(es256)
        .unwrap()
        .with_dpop(dpop::Verifier::new(&PROVIDER), both)
        .unwrap();
    let mut metadata = Map::from_iter([("token_endpoint".to_owned(), json!(TOKEN_ENDPOINT))]);
    advertise(&mut metadata, &attestations, &proofs, Some(challenge));
    let expected = json!({
        "token_endpoint": TOKEN_ENDPOINT,
        "token_endpoint_auth_methods_supported": ["attest_jwt_client_auth_dpop", "attest_jwt_client_auth"],
        "client_attestation_signing_alg_values_supported": ["ES256"],
        "client_attestation_pop_signing_alg_values_supported": ["ES256"],
        "client_attestation_pop_methods_supported": ["attestation_pop_jwt", "dpop_combined"],
        "dpop_signing_alg_values_supported": ["ES256", "ES384", "Ed25519", "EdDSA"],
        "challenge_endpoint": challenge,
    });
    let algorithms = |metadata: &Value| {
        let mut names: Vec<String> =
            serde_json::from_value(metadata["dpop_signing_alg_values_supported"].clone()).unwrap();
        names.sort();
        names
    };
    let found = Value::Object(metadata.clone());
    assert_eq!(algorithms(&found), algorithms(&expected));
    for (name, value) in expected
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| !name.starts_with("dpop"))
    {
        assert_eq!(&found[name], value, "{name}");
    }
    assert_eq!(
        found.as_object().unwrap().len(),
        expected.as_object().unwrap().len()
    );
    // Proof JWTs alone, added to what is there.
    let mut plain = Map::from_iter([
        ("token_endpoint".to_owned(), json!(TOKEN_ENDPOINT)),
        (
            "token_endpoint_auth_methods_supported".to_owned(),
            json!(["private_key_jwt"]),
        ),
    ]);
    advertise(
        &mut plain,
        &attestations,
        &pop::PopVerifier::new(ISSUER),
        None,
    );
    assert_eq!(
        plain["token_endpoint_auth_methods_supported"],
        json!(["private_key_jwt", "attest_jwt_client_auth"])
    );
    assert!(
        !plain.contains_key("dpop_signing_alg_values_supported")
            && !plain.contains_key("challenge_endpoint")
    );
    // A resource server authenticates no clients.
    let mut resource = Map::from_iter([("resource".to_owned(), json!(RESOURCE))]);
    advertise(&mut resource, &attestations, &proofs, Some(challenge));
    assert!(!resource.contains_key("token_endpoint_auth_methods_supported"));
    assert_eq!(resource["challenge_endpoint"], challenge);

    // The client reads it, and keeps to what is listed.
    let read = server_metadata(&found).unwrap();
    assert_eq!(read.challenge_endpoint(), Some(challenge));
    let attested = [AuthMethod::AttestJwt, AuthMethod::AttestDpop];
    assert_eq!(read.choose_method(&attested), Ok(AuthMethod::AttestDpop));
    assert_eq!(
        read.choose_method(&attested[..1]),
        Ok(AuthMethod::AttestJwt)
    );
    assert_eq!(
        code(
            server_metadata(&json!({}))
                .unwrap()
                .choose_method(&attested)
        ),
        "no_common_method"
    );
    let jwt = PopMethod::AttestationPopJwt;
    assert_eq!(read.takes_algorithm(jwt, Algorithm::Es256), Ok(true));
    assert_eq!(read.takes_algorithm(jwt, Algorithm::Es384), Ok(false));
    assert_eq!(
        read.takes_algorithm(PopMethod::DpopCombined, Algorithm::Es384),
        Ok(true)
    );
    let resource = json!({"resource": RESOURCE, "challenge_endpoint": challenge}).to_string();
    let resource = ServerMetadata::protected_resource(RESOURCE, resource.as_bytes()).unwrap();
    assert_eq!(
        (resource.identifier(), resource.challenge_endpoint()),
        (RESOURCE, Some(challenge))
    );

    assert_eq!(code(PopMethods::new(&[])), "metadata");
    for wrong in [json!([]), json!("none"), json!([7]), json!({})] {
        let metadata =
            server_metadata(&json!({"client_attestation_pop_methods_supported": wrong})).unwrap();
        assert_eq!(code(metadata.pop_methods()), "metadata", "{wrong}");
    }
    let choose = |names: &Value, dpop: bool| {
        let metadata =
            server_metadata(&json!({"client_attestation_pop_methods_supported": names})).unwrap();
        let methods = metadata.pop_methods().unwrap().unwrap();
        assert_eq!(
            methods.to_value().as_array().unwrap().len(),
            names.as_array().unwrap().len()
        );
        methods.choose(dpop)
    };
    assert_eq!(
        choose(&json!(["dpop_combined"]), true),
        Ok(Some(PopMethod::DpopCombined))
    );
    assert_eq!(
        choose(&json!(["dpop_combined"]), false),
        Err(Error::NoCommonMethod)
    );
    assert_eq!(
        choose(&json!(["dpop_combined", "none"]), true),
        Ok(Some(PopMethod::DpopCombined))
    );
    assert_eq!(choose(&json!(["dpop_combined", "none"]), false), Ok(None));
    assert_eq!(choose(&json!(["attestation_pop_jwt"]), true), Ok(Some(jwt)));
    assert_eq!(
        choose(&json!(["attestation_pop_jwt", "none"]), false),
        Ok(Some(jwt))
    );
    assert_eq!(
        choose(&json!(["future_method", "attestation_pop_jwt"]), false),
        Ok(Some(jwt))
    );
    // Names are compared letter by letter.
    assert_eq!(
        choose(&json!(["future_method", "ATTESTATION_POP_JWT"]), true),
        Err(Error::NoCommonMethod)
    );
    assert!(
        server_metadata(&json!({}))
            .unwrap()
            .pop_methods()
            .unwrap()
            .is_none()
    );
    assert!(
        pop::PopVerifier::new(ISSUER)
            .with_methods(PopMethods::new(&[PopMethod::DpopCombined]).unwrap())
            .is_err()
    );
    assert!(
        pop::PopVerifier::new(ISSUER)
            .with_methods(PopMethods::new(&[PopMethod::None]).unwrap())
            .is_err()
    );
}

/// Covers: OAUTH-ABCA-9-1, OAUTH-ABCA-9-2
#[test]
fn metadata_of_clients() {
    let es256 = Algorithms::of(&[Algorithm::Es256]);
    let metadata = ClientAttestationMetadata::new(AuthMethod::AttestJwt, es256).unwrap();
    let members = metadata.to_metadata();
    let expected = json!({
        "token_endpoint_auth_method": "attest_jwt_client_auth",
        "client_attestation_signing_alg_values_supported": ["ES256"],
        "client_attestation_pop_signing_alg_values_supported": ["ES256"],
        "client_attestation_pop_methods_supported": ["attestation_pop_jwt"],
    });
    assert_eq!(Value::Object(members.clone()), expected);
    assert_eq!(
        ClientAttestationMetadata::from_metadata(&members),
        Ok(metadata)
    );
    let combined = ClientAttestationMetadata::new(AuthMethod::AttestDpop, es256).unwrap();
    assert_eq!(
        combined.to_metadata()["client_attestation_pop_methods_supported"],
        json!(["dpop_combined"])
    );
    for method in [AuthMethod::PrivateKeyJwt, AuthMethod::SpiffeWit] {
        assert_eq!(
            code(ClientAttestationMetadata::new(method, es256)),
            "metadata"
        );
    }
    let read = |name: &str, value: Value| {
        let members = Map::from_iter([(name.to_owned(), value)]);
        code(ClientAttestationMetadata::from_metadata(&members))
    };
    let (attestation, proof) = (
        "client_attestation_signing_alg_values_supported",
        "client_attestation_pop_signing_alg_values_supported",
    );
    for list in [attestation, proof] {
        assert_eq!(read(list, json!(["ES256", "none"])), "metadata");
        assert_eq!(read(list, json!("ES256")), "metadata");
        assert_eq!(read(list, json!([7])), "metadata");
        assert_eq!(read(list, json!(["ES256", "future"])), "valid");
    }
    assert_eq!(read(attestation, json!(["HS256"])), "valid");
    assert_eq!(read(proof, json!(["HS256"])), "metadata");
    assert_eq!(
        read("client_attestation_pop_methods_supported", json!([])),
        "metadata"
    );
}

//! The second leg at the server of domain B.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod support;

use std::sync::Arc;

use identity_chaining::*;
use jose_x509::jws::{self, ProtectedHeader};
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, Algorithms, base64url};
use pki_types::UnixTime;
use serde_json::{Value, json};
use support::*;

type Pairs<'t> = [(&'t str, &'t str)];

/// Both legs together: the decision has the local account, the granted scope and resource, and nothing else of A.
///
/// Covers: IDCHAIN-2.4.1-1, IDCHAIN-2.4.1-2, IDCHAIN-2.4.2-1, IDCHAIN-2.4.3-1, IDCHAIN-5.4-1, IDCHAIN-A12, IDCHAIN-2.5-1
#[test]
fn both_legs() {
    let world = World::new();
    let grant = world.redeem(&world.grant()).unwrap();
    assert_eq!(grant.subject, "doe.john@b.example");
    assert_eq!(grant.scope, scope("read list"));
    assert_eq!(grant.audience, [API]);
    assert!(grant.claims.is_empty() && grant.confirmation.is_none());
    let response = grant.respond("b./77-.ehs96", 60);
    assert_eq!(response.status(), 200);
    let members = body(&response);
    assert_eq!(members["access_token"], "b./77-.ehs96");
    assert_eq!(members["token_type"], "Bearer");
    assert_eq!(members["expires_in"], 60);
    assert_eq!(members["scope"], "list read");
    assert!(members.get("refresh_token").is_none());

    let claims = grant.token_claims(B, "jti-1", 60, now());
    assert_eq!(claims["aud"], API);
    assert_eq!(claims["sub"], "doe.john@b.example");
    assert_eq!(claims["client_id"], "x-at-b");

    // The API can be named; one that B does not have cannot.
    let world = World::new();
    let asked = redeem(
        &world.b,
        &world.grant(),
        &[("resource", API), ("scope", "read")],
        "x-at-b",
    );
    let asked = asked.unwrap();
    assert_eq!(
        (asked.audience[0].as_str(), asked.scope),
        (API, scope("read"))
    );
    let foreign = [("resource", "https://api.c.example/")];
    let error = redeem(&world.b, &world.grant(), &foreign, "x-at-b").unwrap_err();
    assert_eq!(error.oauth_error().error, "invalid_target");
}

/// The form holds one assertion, under the right grant type, of the client that authenticated.
///
/// Covers: IDCHAIN-2.4.1-1, IDCHAIN-7523-2.1-1, IDCHAIN-5.1-1, IDCHAIN-5.5-1, IDCHAIN-2.4.2-5
#[test]
fn the_request() {
    let world = World::new();
    let grant = world.grant();
    let good = [("grant_type", GRANT_TYPE), ("assertion", grant.as_str())];
    let x = client("x-at-b");
    let cases: [(&Pairs<'_>, Option<&Client>, u16, &str); 8] = [
        (&good, None, 401, "invalid_client"),
        (&good[..1], Some(&x), 400, "invalid_request"),
        (&good[1..], Some(&x), 400, "invalid_request"),
        (
            &[good[0], good[1], good[1]],
            Some(&x),
            400,
            "invalid_request",
        ),
        (
            &[("grant_type", "password"), good[1]],
            Some(&x),
            400,
            "unsupported_grant_type",
        ),
        (
            &[good[0], good[1], ("client_id", "other")],
            Some(&x),
            400,
            "invalid_request",
        ),
        (
            &[good[0], good[1], ("authorization_details", "[]")],
            Some(&x),
            400,
            "invalid_request",
        ),
        (
            &[good[0], ("assertion", "x.y.z")],
            Some(&x),
            400,
            "invalid_grant",
        ),
    ];
    for (pairs, client, status, error) in cases {
        let refused = world
            .b
            .redeem(&post(&[]), &form(pairs), client, now())
            .unwrap_err();
        let response = refused.to_response();
        let members = body(&response);
        assert_eq!(
            (response.status().as_u16(), members["error"].as_str()),
            (status, Some(error)),
            "{pairs:?}"
        );
    }
    for (method, error) in [
        (ClientMethod::SharedSecret, "invalid_client"),
        (ClientMethod::Public, "unauthorized_client"),
    ] {
        let client = Client::new("x-at-b", method);
        let refused = world
            .b
            .redeem(&post(&[]), &form(&good), Some(&client), now());
        assert_eq!(refused.unwrap_err().oauth_error().error, error);
    }
    // None of the refusals has used the grant up.
    let certificate = Client::new("x-at-b", ClientMethod::MutualTls);
    assert!(
        world
            .b
            .redeem(&post(&[]), &form(&good), Some(&certificate), now())
            .is_ok()
    );
}

/// Every claim of RFC 7523 section 3, each broken alone. All of it looks the same from outside.
///
/// Covers: IDCHAIN-2.4.2-1, IDCHAIN-2.4.2-2, IDCHAIN-2.4.2-3, IDCHAIN-2.4.2-4, IDCHAIN-2.4.2-5, IDCHAIN-7523-3-1, IDCHAIN-7523-3-2,
/// Covers: IDCHAIN-7523-3-3, IDCHAIN-7523-3-4, IDCHAIN-7523-3-5, IDCHAIN-7523-3-6, IDCHAIN-7523-3-7, IDCHAIN-7523-3-8,
/// Covers: IDCHAIN-7523-3-9, IDCHAIN-7523-3.1-1, IDCHAIN-5.5-2, IDCHAIN-A3, IDCHAIN-A4, IDCHAIN-A8
#[test]
fn claims() {
    let world = World::new();
    let cases: Vec<(Value, &str)> = vec![
        (json!({}), ""),
        (json!({"aud": B_TOKEN}), ""),
        (json!({"aud": [B]}), ""),
        (json!({"custom": {"deep": [1, 2]}, "locale": "de"}), ""),
        (json!({"exp": NOW - 30, "iat": NOW - 60}), ""),
        (json!({"nbf": NOW}), ""),
        (json!({"iat": null}), ""),
        (json!({"client_id": null}), ""),
        (json!({"iss": null}), "missing_claim"),
        (json!({"iss": 7}), "claim_type"),
        (json!({"iss": format!("{A}/")}), "untrusted_issuer"),
        (
            json!({"iss": "https://as.a.example/auth.evil.test"}),
            "untrusted_issuer",
        ),
        (
            json!({"iss": "https://as.a.example.evil.test"}),
            "untrusted_issuer",
        ),
        (json!({"sub": null}), "missing_claim"),
        (json!({"sub": 7}), "claim_type"),
        (json!({"sub": ""}), "claim_type"),
        (json!({"sub": "unknown"}), "unknown_subject"),
        (json!({"aud": null}), "missing_claim"),
        (json!({"aud": []}), "claim_type"),
        (json!({"aud": format!("{B}/")}), "audience_mismatch"),
        (json!({"aud": "https://as.b.example"}), "audience_mismatch"),
        (json!({"aud": "https://as.c.example"}), "audience_mismatch"),
        (
            json!({"aud": [B, "https://as.c.example"]}),
            "multiple_audiences",
        ),
        (json!({"exp": null}), "missing_claim"),
        (json!({"exp": NOW - 61, "iat": NOW - 100}), "expired"),
        (json!({"exp": "1800000060"}), "claim_type"),
        (json!({"exp": -1}), "claim_type"),
        (json!({"exp": NOW + 86_400}), "lifetime_too_long"),
        (
            json!({"exp": NOW + 86_400, "iat": null}),
            "lifetime_too_long",
        ),
        (json!({"nbf": NOW + 600, "exp": NOW + 900}), "not_yet_valid"),
        (json!({"iat": NOW - 86_400}), "lifetime_too_long"),
        (
            json!({"iat": NOW + 600, "exp": NOW + 660}),
            "issued_in_future",
        ),
        (json!({"jti": null}), "missing_claim"),
        (json!({"jti": 5}), "claim_type"),
        (json!({"client_id": "y-at-b"}), "grant_client"),
        (json!({"client_id": 5}), "grant_claim"),
        (json!({"scope": ["read"]}), "grant_claim"),
        (json!({"resource": "relative"}), "grant_claim"),
        (json!({"requested_cnf": {"jkt": "x"}}), "grant_client"),
    ];
    let mut descriptions = Vec::new();
    for (i, (more, expected)) in cases.iter().enumerate() {
        let mut more = more.clone();
        if more.get("jti").is_none() {
            more["jti"] = json!(format!("g-{i}"));
        }
        match (world.redeem(&world.sign(more.clone())), *expected) {
            (Ok(_), "") => {}
            (Err(error), code) => {
                assert_eq!(error.code(), code, "{more}");
                assert!(error.requirement().is_some());
                let answer = error.oauth_error();
                assert_eq!(
                    (answer.error, answer.status.as_u16()),
                    ("invalid_grant", 400),
                    "{more}"
                );
                descriptions.push(answer.description);
            }
            (Ok(_), code) => panic!("{more} was accepted, not {code}"),
        }
    }
    descriptions.dedup();
    assert_eq!(descriptions.len(), 1);
}

/// `array` with nothing, array payload, duplicate claims, `crit`: not a valid JWT.
///
/// Covers: IDCHAIN-7523-3-11, IDCHAIN-7523-3-10, IDCHAIN-A10, IDCHAIN-A14
#[test]
fn not_a_valid_jwt() {
    let world = World::new();
    let text = world.claims(json!({})).to_string();
    let typ = "authorization-grant+jwt";
    let signed = |payload: &str| {
        jws::sign(&world.key, &ProtectedHeader::new(typ), payload.as_bytes()).unwrap()
    };
    let header = |name: &str, value: Value| {
        let header = ProtectedHeader::new(typ)
            .with_parameter(name, value)
            .unwrap();
        jws::sign(&world.key, &header, text.as_bytes()).unwrap()
    };
    let raw = |header: Value| {
        let encode = |text: &str| base64url::encode(text.as_bytes());
        format!(
            "{}.{}.{}",
            encode(&header.to_string()),
            encode(&text),
            encode("signature")
        )
    };
    let good = signed(&text);
    let parts: Vec<&str> = good.split('.').collect();
    let tampered = world.claims(json!({"sub": "root"})).to_string();
    let tampered = format!(
        "{}.{}.{}",
        parts[0],
        base64url::encode(tampered.as_bytes()),
        parts[2]
    );
    let duplicate = text.replacen('{', &format!("{{\"iss\":\"{A}\","), 1);
    let foreign = sign(&key("a1"), Some(typ), &world.claims(json!({})));
    let unknown_kid = sign(
        &key("../../etc/passwd"),
        Some(typ),
        &world.claims(json!({})),
    );
    let jwk = key("k").public_jwk().to_value();
    let cases = [
        (signed("[]"), "json_shape"),
        (signed(&duplicate), "duplicate_member"),
        (signed("{\"iss\":"), ""),
        (
            raw(json!({"alg": "none", "typ": typ})),
            "unsupported_algorithm",
        ),
        (
            raw(json!({"alg": "HS256", "typ": typ, "kid": "a1"})),
            "unsupported_algorithm",
        ),
        (
            raw(json!({"alg": "ES256", "typ": typ, "crit": ["exp"], "exp": 1})),
            "",
        ),
        (
            raw(json!({"alg": "ES256", "typ": typ, "crit": ["x"], "x": 1})),
            "unsupported_critical",
        ),
        (raw(json!({"alg": "RS256", "typ": typ, "kid": "a1"})), ""),
        (format!("{}.{}.", parts[0], parts[1]), "empty_signature"),
        (tampered, "invalid_signature"),
        (foreign, "invalid_signature"),
        (unknown_kid, "unknown_key"),
        (header("jwk", jwk), "header_key_material"),
        (
            header("jku", json!("https://evil.example/jwks")),
            "header_key_material",
        ),
        (
            header("x5u", json!("https://evil.example/x")),
            "header_key_material",
        ),
        (format!("{}x", "a".repeat(40_000)), ""),
    ];
    for (i, (assertion, code)) in cases.iter().enumerate() {
        let error = world.redeem(assertion).unwrap_err();
        assert_eq!(error.oauth_error().error, "invalid_grant", "{i} {error}");
        if !code.is_empty() {
            assert_eq!(error.code(), *code, "{i}");
        }
    }
    // An algorithm that this issuer does not use.
    let rsa_only = issuer_a(&world.key).with_algorithms(Algorithms::of(&[Algorithm::Ps256]));
    let error = redeem(&service_b(rsa_only), &world.sign(json!({})), &[], "x-at-b").unwrap_err();
    assert_eq!(error.code(), "algorithm_not_allowed");
}

/// Other kinds of tokens are no grants, neither by their type nor, where an issuer writes none, by their claims.
///
/// Covers: IDCHAIN-A1, IDCHAIN-A2, IDCHAIN-7523BIS-1
#[test]
fn other_kinds() {
    let world = World::new();
    let untyped = || service_b(issuer_a(&world.key).with_untyped_grants());
    let types = [
        Some("at+jwt"),
        Some("secevent+jwt"),
        Some("dpop+jwt"),
        Some("client-authentication+jwt"),
        Some("logout+jwt"),
        Some("txntoken+jwt"),
        Some("wit+jwt"),
        Some("oauth-id-jag+jwt"),
        Some("txn-chain+jwt"),
        Some("JWT"),
        None,
    ];
    for typ in types {
        let token = sign(&world.key, typ, &world.claims(json!({})));
        let error = world.redeem(&token).unwrap_err();
        assert_eq!(
            (error.code(), error.oauth_error().error),
            ("wrong_type", "invalid_grant")
        );
        let plain = matches!(typ, None | Some("JWT"));
        assert_eq!(
            redeem(&untyped(), &token, &[], "x-at-b").is_ok(),
            plain,
            "{typ:?}"
        );
    }
    let access = access_token(&world.key, json!({"aud": B}));
    assert_eq!(world.redeem(&access).unwrap_err().code(), "wrong_type");
    for more in [
        json!({"nonce": "n"}),
        json!({"at_hash": "h"}),
        json!({"events": {}}),
        json!({"sid": "s"}),
        json!({"htm": "POST"}),
        json!({"req_wl": "w"}),
        json!({"sub": A}),
    ] {
        let token = sign(&world.key, None, &world.claims(more.clone()));
        let error = redeem(&untyped(), &token, &[], "x-at-b").unwrap_err();
        assert_eq!(error.code(), "grant_purpose", "{more}");
    }
    for (typ, kind) in [
        ("authorization-grant+jwt", GrantKind::Plain),
        ("oauth-id-jag+jwt", GrantKind::IdJag),
        ("application/txn-chain+jwt", GrantKind::TxnChain),
    ] {
        let token = sign(&world.key, Some(typ), &json!({}));
        assert_eq!(GrantKind::of_unverified(&token).unwrap(), kind);
    }
}

/// A grant is good once, at one server, unless the issuer's grants may be used again by their client.
///
/// Covers: IDCHAIN-7523-3-8, IDCHAIN-A5, IDCHAIN-5.5-1, IDCHAIN-A3
#[test]
fn replay_of_a_grant() {
    let world = World::new();
    let grant = world.grant();
    assert!(world.redeem(&grant).is_ok());
    let again = world.redeem(&grant).unwrap_err();
    assert_eq!(
        (again.code(), again.oauth_error().error),
        ("replayed", "invalid_grant")
    );
    // At any later time, too, until it has expired with all leeway.
    let pairs = [("grant_type", GRANT_TYPE), ("assertion", grant.as_str())];
    for seconds in [30, 60, 119, 120, 121] {
        let x = client("x-at-b");
        let later = world
            .b
            .redeem(&post(&[]), &form(&pairs), Some(&x), at(NOW + seconds));
        let code = later.unwrap_err().code();
        assert_eq!(code, if seconds < 120 { "replayed" } else { "expired" });
    }
    // The same identifier of another issuer is another grant.
    let other = key("o1");
    let issuer = "https://as.other.example";
    let trusted = TrustedIssuer::new(url(issuer), Arc::new(other.verifying_key().unwrap()));
    let verifier = GrantVerifier::new(&url(B), &url(B_TOKEN))
        .trust(trusted)
        .trust(issuer_a(&world.key));
    let (guard, x) = (replay(), client("x-at-b"));
    let one = verifier.verify(&world.sign(json!({})), &x, now()).unwrap();
    assert!(one.spend(&guard, now()).is_ok());
    let claims = world.claims(json!({"iss": issuer}));
    let two = sign(&other, Some("authorization-grant+jwt"), &claims);
    let two = verifier.verify(&two, &x, now()).unwrap();
    assert!(two.spend(&guard, now()).is_ok());

    // Of an issuer with reusable grants, by its client as often as it likes, also without `jti`.
    let reusable = service_b(issuer_a(&world.key).with_reuse(Reuse::UntilExpiry));
    let grant = world.sign(json!({"jti": null}));
    for _ in 0..3 {
        assert!(redeem(&reusable, &grant, &[], "x-at-b").is_ok());
    }
    let error = redeem(&reusable, &grant, &[], "y-at-b").unwrap_err();
    assert_eq!(error.code(), "grant_client");
    // A public client has nothing but the single use.
    let endpoint = endpoint_b().with_clients(ClientRules::new().with_public_clients());
    let public = service_b_at(
        endpoint,
        issuer_a(&world.key).with_reuse(Reuse::UntilExpiry),
    );
    let known = world.sign(json!({"jti": "p-1"}));
    let pairs = [("grant_type", GRANT_TYPE), ("assertion", known.as_str())];
    let who = Client::new("x-at-b", ClientMethod::Public);
    assert!(
        public
            .redeem(&post(&[]), &form(&pairs), Some(&who), now())
            .is_ok()
    );
    let error = public
        .redeem(&post(&[]), &form(&pairs), Some(&who), now())
        .unwrap_err();
    assert_eq!(error.code(), "replayed");
}

/// A subject is one within its issuer: the same name of another issuer is another account, or none.
///
/// Covers: IDCHAIN-7523-3-2, IDCHAIN-A9, IDCHAIN-2.4.2-3, IDCHAIN-2.5-1
#[test]
fn subjects() {
    let world = World::new();
    let (other, issuer) = (key("o1"), "https://as.other.example");
    let table = SubjectTable::new()
        .with(A, "johndoe@a.example", "one")
        .with(issuer, "johndoe@a.example", "two");
    let service = |subjects: Arc<dyn Subjects>| {
        let trusted = TrustedIssuer::new(url(issuer), Arc::new(other.verifying_key().unwrap()));
        let verifier = GrantVerifier::new(&url(B), &url(B_TOKEN))
            .trust(trusted)
            .trust(issuer_a(&world.key));
        let api = token_exchange::ResourceServer::new(uri(API), scope("read list"));
        let registry = token_exchange::ResourceRegistry::new([api]);
        let endpoint = TokenEndpoint::new(registry, replay()).with_default_resource(uri(API));
        RedemptionService::new(verifier, subjects, endpoint)
            .with_terms(A, IssuerTerms::new(scope("read")))
            .with_terms(issuer, IssuerTerms::new(scope("read")))
    };
    let typ = Some("authorization-grant+jwt");
    let of_other = |jti: &str| {
        sign(
            &other,
            typ,
            &world.claims(json!({"iss": issuer, "jti": jti})),
        )
    };
    let both = service(Arc::new(table));
    let one = redeem(&both, &world.sign(json!({})), &[], "x-at-b").unwrap();
    let two = redeem(&both, &of_other("o"), &[], "x-at-b").unwrap();
    assert_eq!((one.subject.as_str(), two.subject.as_str()), ("one", "two"));
    let only_a = service(Arc::new(SubjectTable::new().with(
        A,
        "johndoe@a.example",
        "one",
    )));
    let error = redeem(&only_a, &of_other("p"), &[], "x-at-b").unwrap_err();
    assert_eq!(error.code(), "unknown_subject");

    /// Makes accounts for one issuer's subjects, but for one subject.
    struct Provisions;
    impl Subjects for Provisions {
        fn find(&self, _grant: &AuthorizationGrant) -> Option<String> {
            None
        }
        fn provision(&self, grant: &AuthorizationGrant) -> Option<String> {
            (grant.issuer() == A).then(|| format!("new:{}", grant.subject()))
        }
        fn allows(&self, grant: &AuthorizationGrant) -> bool {
            grant.subject() != "banned"
        }
    }
    let provisions = service(Arc::new(Provisions));
    let new = redeem(&provisions, &world.sign(json!({"sub": "n"})), &[], "x-at-b").unwrap();
    assert_eq!(new.subject, "new:n");
    let banned = world.sign(json!({"sub": "banned"}));
    let error = redeem(&provisions, &banned, &[], "x-at-b").unwrap_err();
    assert_eq!(
        (error.code(), error.oauth_error().error),
        ("grant_refused", "invalid_grant")
    );
}

/// Scopes are those of grant, terms and request together, and claims those that both domains agree on.
///
/// Covers: IDCHAIN-2.5-3, IDCHAIN-A7
#[test]
fn no_inflation() {
    let world = World::new();
    let more = json!({"scope": "read list admin", "roles": ["admin"], "email": "j@a.example"});
    let decision = world.redeem(&world.sign(more)).unwrap();
    assert_eq!(decision.scope, scope("read list"));
    let token = decision.token_claims(B, "j", 60, now());
    assert!(!token.contains_key("roles"));
    assert_eq!(token["email"], "j@a.example");

    // Asked for more than granted, granted nothing, and without a word about scope.
    let wide = world.sign(json!({"scope": "read", "jti": "2"}));
    let wide = redeem(&world.b, &wide, &[("scope", "read write admin")], "x-at-b").unwrap();
    assert_eq!(wide.scope, scope("read"));
    let none = world.sign(json!({"scope": "admin", "jti": "3"}));
    let error = world.redeem(&none).unwrap_err();
    assert_eq!(error.oauth_error().error, "invalid_scope");
    let silent = world.sign(json!({"scope": null, "jti": "4"}));
    assert_eq!(world.redeem(&silent).unwrap().scope, scope("list"));
}

/// A proof binds the access token; a bound grant needs the proof of its key; a server can demand one.
///
/// Covers: IDCHAIN-5.2-1
#[test]
fn sender_constrained() {
    let world = World::new();
    let prover = prover();
    let send = |service: &RedemptionService, grant: &str, proof: Option<&str>, x: &Client| {
        let fields: Vec<(&str, &str)> = proof.map(|proof| ("dpop", proof)).into_iter().collect();
        let pairs = [("grant_type", GRANT_TYPE), ("assertion", grant)];
        service.redeem(&post(&fields), &form(&pairs), Some(x), now())
    };
    let x = client("x-at-b");
    let good = || proof(&prover, B_TOKEN);
    let bound = send(&world.b, &world.grant(), Some(&good()), &x).unwrap();
    let cnf = json!({"jkt": base64url::encode(&prover.jkt())});
    assert_eq!(bound.token_claims(B, "j", 60, now())["cnf"], cnf);
    assert_eq!(body(&bound.respond("t", 60))["token_type"], "DPoP");

    let spent = good();
    assert!(send(&world.b, &world.grant(), Some(&spent), &x).is_ok());
    let elsewhere = proof(&prover, "https://as.c.example/token");
    for wrong in [spent.as_str(), elsewhere.as_str(), "x"] {
        let error = send(&world.b, &world.grant(), Some(wrong), &x).unwrap_err();
        assert_eq!(error.oauth_error().error, "invalid_dpop_proof");
    }
    let bound = world.sign(json!({"cnf": cnf, "jti": "b-1"}));
    assert_eq!(
        send(&world.b, &bound, None, &x).unwrap_err().code(),
        "proof_required"
    );
    let other = proof(&support::prover(), B_TOKEN);
    assert_eq!(
        send(&world.b, &bound, Some(&other), &x).unwrap_err().code(),
        "proof_key"
    );
    assert!(send(&world.b, &bound, Some(&good()), &x).is_ok());

    let demanding = service_b(issuer_a(&world.key)).with_proof_required();
    let error = send(&demanding, &world.grant(), None, &x).unwrap_err();
    assert_eq!(error.oauth_error().error, "invalid_grant");
    let certified =
        world.sign(json!({"cnf": {"x5t#S256": base64url::encode(&[7; 32])}, "jti": "c-1"}));
    assert_eq!(
        send(&demanding, &certified, None, &x).unwrap_err().code(),
        "proof_required"
    );
    let wrong = client("x-at-b").with_certificate([8; 32]);
    assert_eq!(
        send(&demanding, &certified, None, &wrong)
            .unwrap_err()
            .code(),
        "proof_key"
    );
    let right = client("x-at-b").with_certificate([7; 32]);
    let decision = send(&demanding, &certified, None, &right).unwrap();
    assert_eq!(
        decision.confirmation.as_ref().unwrap().x5t_s256,
        Some([7; 32])
    );
    assert!(!decision.is_dpop());
    let strange = world.sign(json!({"cnf": {"kid": "k"}, "jti": "d-1"}));
    assert_eq!(
        send(&world.b, &strange, Some(&good()), &x)
            .unwrap_err()
            .code(),
        "grant_claim"
    );
}

/// The guard that cannot answer is not the client's fault, and nothing is accepted.
#[test]
fn guard_out_of_order() {
    struct Broken;
    impl jose_x509::ReplayGuard for Broken {
        fn check_and_insert(
            &self,
            _key: jose_x509::ReplayKey,
            _expires: UnixTime,
            _now: UnixTime,
        ) -> Result<(), jose_x509::Error> {
            Err(jose_x509::Error::ReplayGuardUnavailable)
        }
    }
    let world = World::new();
    let verifier = GrantVerifier::new(&url(B), &url(B_TOKEN)).trust(issuer_a(&world.key));
    let unspent = verifier
        .verify(&world.grant(), &client("x-at-b"), now())
        .unwrap();
    let error = unspent.spend(&Broken, now()).unwrap_err();
    assert_eq!(error.to_response().status(), 503);
    let _ = provider();
}

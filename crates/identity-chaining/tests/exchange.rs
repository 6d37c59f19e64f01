//! The first leg at the server of domain A.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

#[cfg(feature = "requested-cnf")]
use identity_chaining::exchange::BrokeredRequest;
use identity_chaining::*;
use jose_x509::jws::UnverifiedJws;
use jose_x509::provider::ring::provider;
use serde_json::{Map, Value, json};
use support::*;
use token_exchange::TokenType;

type Pairs = [(&'static str, &'static str)];

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

fn answer(world: &World, pairs: &[(&str, &str)], client: Option<&Client>) -> (u16, Value) {
    let response = world.a.handle(&post(&[]), &form(pairs), client, now());
    (response.status().as_u16(), body(&response))
}

/// A grant has what the draft's example has, and by default nothing of the subject token but subject and scope.
///
/// Covers: IDCHAIN-2.3.1-1, IDCHAIN-2.3.1-2, IDCHAIN-2.3.3-1, IDCHAIN-2.3.3-2, IDCHAIN-2.3.3-3, IDCHAIN-2.5-4, IDCHAIN-6-1,
/// Covers: IDCHAIN-7523BIS-1, IDCHAIN-5.5-2
#[test]
fn a_grant_for_one_server() {
    let world = World::new();
    let token = access_token(&world.key, json!({}));
    let mut pairs = world.leg_1(&token);
    pairs.push(("scope", "read"));
    pairs.push(("requested_token_type", JWT));
    let (status, members) = answer(&world, &pairs, Some(&client("x")));
    assert_eq!(status, 200, "{members}");
    assert_eq!(members["token_type"], "N_A");
    assert_eq!(members["issued_token_type"], JWT);
    assert_eq!(members["expires_in"], 60);
    assert_eq!(members["scope"], "read");
    assert!(members.get("refresh_token").is_none());
    let grant = members["access_token"].as_str().unwrap();
    let claims = claims_of(grant);
    let names: BTreeSet<&str> = claims.keys().map(String::as_str).collect();
    let expected = [
        "aud",
        "client_id",
        "exp",
        "iat",
        "iss",
        "jti",
        "scope",
        "sub",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    assert_eq!(claims["aud"], B);
    assert_eq!(claims["iss"], A);
    assert_eq!(claims["scope"], "read");
    assert_eq!(claims["client_id"], "x-at-b");
    let jws = UnverifiedJws::parse(grant).unwrap();
    assert_eq!(
        jws.unverified_header().typ(),
        Some("authorization-grant+jwt")
    );

    // Whose identifier at the partner is not known gets a grant that is not bound to it.
    let token = access_token(&world.key, json!({"client_id": "y"}));
    let (_, members) = answer(&world, &world.leg_1(&token), Some(&client("y")));
    let claims = claims_of(members["access_token"].as_str().unwrap());
    assert!(!claims.contains_key("client_id"));
    assert_eq!(claims["scope"], "list read");
}

/// Names and URIs lead to configured servers, whose issuer identifier becomes `aud`; nothing else does.
///
/// Covers: IDCHAIN-2.3.1-3, IDCHAIN-2.3.1-4, IDCHAIN-2.3.1-5, IDCHAIN-2.3.2-1, IDCHAIN-2.3.3-2, IDCHAIN-A11, IDCHAIN-A15
#[test]
fn targets() {
    let world = World::new();
    let token = access_token(&world.key, json!({"scope": "read"}));
    let c = "https://as.c.example";
    let cases: [(&Pairs, Result<&str, &str>); 11] = [
        (&[("resource", B)], Ok(B)),
        (&[("audience", "domain-b")], Ok(B)),
        (&[("audience", B)], Ok(B)),
        (&[("audience", "domain-b"), ("resource", B)], Ok(B)),
        (&[("audience", c)], Ok(c)),
        (
            &[("audience", "domain-b"), ("resource", c)],
            Err("invalid_target"),
        ),
        (&[("audience", B), ("audience", c)], Err("invalid_target")),
        (
            &[("resource", "https://as.evil.example")],
            Err("invalid_target"),
        ),
        (
            &[("resource", "https://as.b.example/auth/")],
            Err("invalid_target"),
        ),
        (
            &[("resource", "https://api.b.example/")],
            Err("invalid_target"),
        ),
        (&[], Err("invalid_request")),
    ];
    for (target, expected) in cases {
        let mut pairs = world.leg_1(&token);
        pairs.pop();
        pairs.extend(target);
        let (status, members) = answer(&world, &pairs, Some(&client("x")));
        match expected {
            Ok(issuer) => {
                let claims = claims_of(members["access_token"].as_str().unwrap());
                assert_eq!(claims["aud"], issuer, "{target:?}");
            }
            Err(error) => {
                assert_eq!(
                    (status, members["error"].as_str()),
                    (400, Some(error)),
                    "{target:?}"
                );
                assert!(members.get("access_token").is_none());
            }
        }
    }
}

/// Several servers in one grant take an agreement that says so.
///
/// Covers: IDCHAIN-2.3.3-3, IDCHAIN-A4
#[test]
fn several_audiences_on_purpose() {
    let key = key("a1");
    let issuer = GrantIssuer::new(key.clone(), url(A), &provider()).unwrap();
    let partner = Partner::new(url(B), scope("read"))
        .with_further_audience(url("https://as.c.example"))
        .permit("x", Some("x-at-b"));
    let a = GrantService::new(issuer, Arc::new(AccessTokens(key.clone()))).with_partner(partner);
    let world = World { a, ..World::new() };
    let token = access_token(&key, json!({}));
    let grant = world.exchange(&world.leg_1(&token)).unwrap();
    let claims = claims_of(grant.as_str());
    assert_eq!(claims["aud"], json!([B, "https://as.c.example"]));

    // The other side needs the option, too.
    let strict = service_b(issuer_a(&key));
    let error = redeem(&strict, grant.as_str(), &[], "x-at-b").unwrap_err();
    assert_eq!(error.code(), "multiple_audiences");
    let open = service_b(issuer_a(&key).with_several_audiences());
    assert!(redeem(&open, grant.as_str(), &[], "x-at-b").is_ok());
}

/// Client authentication with a key comes first; a token is only exchanged by the client that it was issued to.
///
/// Covers: IDCHAIN-5.1-1, IDCHAIN-5.3-1, IDCHAIN-A6
#[test]
fn clients() {
    let world = World::new();
    let mine = access_token(&world.key, json!({}));
    let stolen = access_token(&world.key, json!({"client_id": "y"}));
    let by_audience = access_token(&world.key, json!({"client_id": null, "aud": "x"}));
    let nobodys = access_token(&world.key, json!({"client_id": null}));
    let x = |method| Some(Client::new("x", method));
    let cases = [
        (&mine, x(ClientMethod::SignedAssertion), Ok(())),
        (&mine, x(ClientMethod::MutualTls), Ok(())),
        (&by_audience, x(ClientMethod::MutualTls), Ok(())),
        (&mine, None, Err((401, "invalid_client"))),
        (
            &mine,
            x(ClientMethod::SharedSecret),
            Err((401, "invalid_client")),
        ),
        (
            &mine,
            x(ClientMethod::Public),
            Err((400, "unauthorized_client")),
        ),
        (&mine, Some(client("z")), Err((400, "unauthorized_client"))),
        (
            &stolen,
            x(ClientMethod::MutualTls),
            Err((400, "invalid_request")),
        ),
        (
            &nobodys,
            x(ClientMethod::MutualTls),
            Err((400, "invalid_request")),
        ),
    ];
    for (i, (token, client, expected)) in cases.into_iter().enumerate() {
        let (status, members) = answer(&world, &world.leg_1(token), client.as_ref());
        match expected {
            Ok(()) => assert_eq!(status, 200, "{i} {members}"),
            Err(error) => {
                assert_eq!((status, members["error"].as_str().unwrap()), error, "{i}");
            }
        }
    }
    let secret = Client::new("x", ClientMethod::SharedSecret);
    let open = service_a(&world.key).with_clients(ClientRules::new().with_shared_secrets());
    let response = open.handle(&post(&[]), &form(&world.leg_1(&mine)), Some(&secret), now());
    assert_eq!(response.status(), 200);
}

/// What is malformed, unverifiable or more than the subject token has leads to an error and to no grant.
///
/// Covers: IDCHAIN-2.3.2-1, IDCHAIN-2.5-2, ID-JAG-4.3-1
#[test]
fn refused_requests() {
    let world = World::new();
    let token = access_token(&world.key, json!({}));
    let expired = access_token(&world.key, json!({"exp": NOW - 100, "iat": NOW - 200}));
    let forged = access_token(&key("a1"), json!({}));
    let base = |token| world.leg_1(token);
    let plus = |name, value| {
        let mut pairs = base(&token);
        pairs.push((name, value));
        pairs
    };
    let without = |name| {
        let mut pairs = base(&token);
        pairs.retain(|(other, _)| *other != name);
        pairs
    };
    let at = "urn:ietf:params:oauth:token-type:access_token";
    let mut wrong_type = without("subject_token_type");
    wrong_type.push(("subject_token_type", JWT));
    let mut actor = plus("actor_token", "t");
    actor.push(("actor_token_type", JWT));
    let cases = [
        (plus("scope", "write"), "invalid_scope"),
        (plus("scope", "read write"), "invalid_scope"),
        (plus("requested_token_type", at), "invalid_request"),
        (
            plus(
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:id-jag",
            ),
            "invalid_request",
        ),
        (plus("subject_token", "again"), "invalid_request"),
        (plus("authorization_details", "[]"), "invalid_request"),
        (actor, "invalid_request"),
        (without("subject_token"), "invalid_request"),
        (without("subject_token_type"), "invalid_request"),
        (without("grant_type"), "invalid_request"),
        (wrong_type, "invalid_request"),
        (base(&expired), "invalid_request"),
        (base(&forged), "invalid_request"),
        (base("no token"), "invalid_request"),
    ];
    for (pairs, expected) in cases {
        let (status, members) = answer(&world, &pairs, Some(&client("x")));
        assert_eq!(
            (status, members["error"].as_str()),
            (400, Some(expected)),
            "{pairs:?}"
        );
    }
}

/// Transcription tells another subject and listed claims, and cannot touch what the issuer states.
///
/// Covers: IDCHAIN-2.3.2-2, IDCHAIN-2.5-1, IDCHAIN-2.5-4
#[test]
fn transcription() {
    let mut world = World::new();
    let token = access_token(&world.key, json!({"email": "john@a.example"}));
    let transcript = Transcript::new()
        .with_subject("johndoe@a.example", "doe.john@b.example")
        .with_claim("email")
        .with_claim("nickname");
    world.a = service_a(&world.key).with_transcription(Arc::new(transcript));
    let claims = claims_of(world.exchange(&world.leg_1(&token)).unwrap().as_str());
    assert_eq!(claims["sub"], "doe.john@b.example");
    assert_eq!(claims["email"], "john@a.example");
    for dropped in ["address", "account_type", "roles", "nickname"] {
        assert!(!claims.contains_key(dropped), "{dropped}");
    }

    let other = access_token(&world.key, json!({"sub": "somebody-else"}));
    let error = world.exchange(&world.leg_1(&other)).unwrap_err();
    assert_eq!(error.code(), "subject_unmapped");

    for name in ["iss", "act", "requested_cnf", "cnf", "scope"] {
        struct Sets(&'static str);
        impl Transcription for Sets {
            fn claims(&self, _facts: &ChainingFacts<'_>) -> Map<String, Value> {
                Map::from_iter([(self.0.to_owned(), json!("x"))])
            }
        }
        world.a = service_a(&world.key).with_transcription(Arc::new(Sets(name)));
        let error = world.exchange(&world.leg_1(&token)).unwrap_err();
        assert_eq!(error, Error::ReservedClaim { claim: name });
    }

    struct No;
    impl Transcription for No {
        fn allows(&self, facts: &ChainingFacts<'_>) -> bool {
            facts.partner != B || facts.client.id() != "x"
        }
    }
    world.a = service_a(&world.key).with_transcription(Arc::new(No));
    let (status, members) = answer(&world, &world.leg_1(&token), Some(&client("x")));
    assert_eq!(
        (status, members["error"].as_str()),
        (400, Some("invalid_target"))
    );
}

/// No grant outlives what it rests on, no lifetime is above the limit, and identifiers are never the same.
///
/// Covers: IDCHAIN-5.5-1
#[test]
fn lifetimes_and_identifiers() {
    let world = World::new();
    let token = access_token(&world.key, json!({"exp": NOW + 20}));
    let grant = world.exchange(&world.leg_1(&token)).unwrap();
    assert_eq!(grant.expires_in(), 20);
    let issuer = || GrantIssuer::new(world.key.clone(), url(A), &provider()).unwrap();
    for (seconds, ok) in [(0, false), (1, true), (300, true), (301, false)] {
        let lifetime = core::time::Duration::from_secs(seconds);
        assert_eq!(issuer().with_lifetime(lifetime).is_ok(), ok, "{seconds}");
    }
    let ids: BTreeSet<String> = (0..200)
        .map(|_| {
            claims_of(&world.grant())["jti"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 200);
}

/// The server redeems its own grant, and its client gets the other domain's token and never the grant.
///
/// Covers: IDCHAIN-B.2-1
#[test]
fn broker() {
    let world = World::new();
    let token = access_token(&world.key, json!({}));
    let pairs = world.leg_1(&token);
    let to = url(B_TOKEN);
    let x = client("x");
    let brokered = world
        .a
        .broker(&post(&[]), &form(&pairs), Some(&x), ("as-a", &to), now())
        .unwrap();
    let (parts, sent) = brokered.request.into_parts();
    assert_eq!(parts.uri, B_TOKEN);
    let decision = world
        .b
        .redeem(&parts, &sent, Some(&client("as-a")), now())
        .unwrap();
    let answered = decision.respond("token-of-b", 60);
    let response = brokered
        .token
        .finish(answered.status(), answered.headers(), answered.body())
        .unwrap();
    let members = body(&response);
    assert_eq!(members["access_token"], "token-of-b");
    assert_eq!(
        members["issued_token_type"],
        TokenType::AccessToken.as_str()
    );
    let assertion = String::from_utf8(sent).unwrap();
    let assertion = assertion.split("assertion=").nth(1).unwrap().to_owned();
    assert!(!members.to_string().contains(&assertion));

    // Only a grant was asked for, or the partner refuses.
    let mut jwt = pairs.clone();
    jwt.push(("requested_token_type", JWT));
    let refused = world
        .a
        .broker(&post(&[]), &form(&jwt), Some(&x), ("as-a", &to), now());
    assert_eq!(refused.unwrap_err().oauth_error().error, "invalid_request");
    let denied = Error::GrantRefused.to_response();
    let error = brokered
        .token
        .finish(denied.status(), denied.headers(), denied.body())
        .unwrap_err();
    assert_eq!(error.code(), "denied");
    let (status, _) = (error.to_response().status(), ());
    assert_eq!(status, 500);
}

/// `requested_cnf` is there if a valid proof was, and not because a client or a subject token says so; only the issuer
/// itself redeems such a grant.
///
/// Covers: IDCHAIN-B.3-1, IDCHAIN-B.3-2, IDCHAIN-A13
#[cfg(feature = "requested-cnf")]
#[test]
fn requested_confirmation() {
    let world = World::new();
    let endpoint = "https://as.a.example/auth/token";
    let token = access_token(&world.key, json!({"requested_cnf": {"jkt": "x"}}));
    let (x, to, prover) = (client("x"), url(B_TOKEN), prover());
    let pairs = world.leg_1(&token);
    let broker = |fields: &[(&'static str, &str)], more: &[(&str, &str)]| {
        let mut pairs = pairs.clone();
        pairs.extend(more.iter().map(|(name, value)| {
            (
                &*Box::leak((*name).to_owned().into_boxed_str()),
                &*Box::leak((*value).to_owned().into_boxed_str()),
            )
        }));
        world
            .a
            .broker(&post(fields), &form(&pairs), Some(&x), ("as-a", &to), now())
    };
    let assertion = |brokered: BrokeredRequest| {
        let form = token_exchange::Form::parse(brokered.request.body()).unwrap();
        form.get("assertion").unwrap().to_owned()
    };
    let none = assertion(broker(&[], &[("requested_cnf", "{\"jkt\":\"x\"}")]).unwrap());
    assert!(!claims_of(&none).contains_key("requested_cnf"));
    let foreign = proof(&prover, "https://as.c.example/token");
    let error = broker(&[("dpop", &foreign)], &[]).unwrap_err();
    assert_eq!(error.oauth_error().error, "invalid_dpop_proof");

    let sent = proof(&prover, endpoint);
    let grant = assertion(broker(&[("dpop", &sent)], &[]).unwrap());
    let expected = jose_x509::jwt::Confirmation::of_jkt(prover.jkt()).to_value();
    assert_eq!(claims_of(&grant)["requested_cnf"], expected);

    let trusted = || issuer_a(&world.key).with_own_client("as-a");
    let granted = redeem(&service_b(trusted()), &grant, &[], "as-a").unwrap();
    assert_eq!(granted.confirmation.unwrap().to_value(), expected);
    // A key that the grant itself is bound to has to be proven all the same.
    let both = json!({"requested_cnf": expected, "client_id": "as-a", "cnf": {"jkt": jose_x509::base64url::encode(&[7; 32])}});
    let error = redeem(&service_b(trusted()), &world.sign(both), &[], "as-a").unwrap_err();
    assert_eq!(error.code(), "proof_required");
    let demanding = service_b(trusted()).with_proof_required();
    let again = world.sign(json!({"requested_cnf": expected, "client_id": "as-a", "jti": "d"}));
    assert!(redeem(&demanding, &again, &[], "as-a").is_ok());
    // Of another client, of one that pretends, and where the issuer is no client.
    let own_claims = world.sign(json!({"requested_cnf": expected}));
    let open = world.sign(json!({"requested_cnf": expected, "client_id": null}));
    for (service, grant, client) in [
        (service_b(trusted()), &own_claims, "x-at-b"),
        (service_b(trusted()), &open, "mallory"),
        (service_b(issuer_a(&world.key)), &grant, "as-a"),
    ] {
        let error = redeem(&service, grant, &[], client).unwrap_err();
        assert_eq!(error.oauth_error().error, "invalid_grant");
    }
}

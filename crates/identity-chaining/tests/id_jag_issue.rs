//! ID-JAG at the identity provider and at the client.
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

use http::{HeaderMap, HeaderValue, StatusCode};
use identity_chaining::discovery::{GRANT_PROFILES, REQUESTED_TOKEN_TYPES};
use identity_chaining::grant::ID_JAG_TYPE;
use identity_chaining::id_jag::*;
use identity_chaining::*;
use jose_x509::base64url;
use jose_x509::jws::UnverifiedJws;
use pki_types::UnixTime;
use serde_json::{Map, Value, json};
use support::jag::*;
use support::*;
use token_exchange::{Form, Party, SubjectToken, TokenExchangeRequest, TokenType};

const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const REFRESH: &str = "urn:ietf:params:oauth:token-type:refresh_token";
const SAML: &str = "urn:ietf:params:oauth:token-type:saml2";

type Pairs<'t> = Vec<(&'t str, &'t str)>;

fn pairs<'t>(token: &'t str, kind: &'t str) -> Pairs<'t> {
    vec![
        ("grant_type", token_exchange::GRANT_TYPE),
        ("requested_token_type", ID_JAG),
        ("subject_token", token),
        ("subject_token_type", kind),
        ("audience", RAS),
    ]
}

fn set<'t>(mut pairs: Pairs<'t>, name: &'t str, value: Option<&'t str>) -> Pairs<'t> {
    pairs.retain(|(other, _)| *other != name);
    pairs.extend(value.map(|value| (name, value)));
    pairs
}

fn ask(idp: &IdJagService<jose_x509::SigningKey>, pairs: &[(&str, &str)]) -> (u16, Value) {
    let client = client("idp-client");
    let response = idp.handle(&post(&[]), &form(pairs), Some(&client), now());
    (response.status().as_u16(), body(&response))
}

fn granted(
    idp: &IdJagService<jose_x509::SigningKey>,
    pairs: &[(&str, &str)],
) -> Map<String, Value> {
    let (status, members) = ask(idp, pairs);
    assert_eq!(status, 200, "{members}");
    claims_of(members["access_token"].as_str().unwrap())
}

fn error(idp: &IdJagService<jose_x509::SigningKey>, pairs: &[(&str, &str)]) -> String {
    let (status, members) = ask(idp, pairs);
    assert_eq!(status, 400, "{members}");
    members["error"].as_str().unwrap().to_owned()
}

/// Header, claims and answer of an ordinary ID-JAG.
///
/// Covers: ID-JAG-3.1-1, ID-JAG-3.1-5, ID-JAG-3.1-6, ID-JAG-3.1-8, ID-JAG-3.1-19, ID-JAG-3.1-21, ID-JAG-4.3-3, ID-JAG-4.3-6,
/// Covers: ID-JAG-4.3.3-7, ID-JAG-4.3.4-1, ID-JAG-4.3.4-2, ID-JAG-4.3.4-3, ID-JAG-9.6-1, ID-JAG-9.8.1.1-1
#[test]
fn an_id_jag() {
    let world = Jag::new();
    let token = world.id_token(json!({}));
    let mut request = pairs(&token, ID_TOKEN);
    request.push(("scope", "chat.read chat.admin"));
    request.push(("resource", CHAT));
    let (status, members) = ask(&world.idp(), &request);
    assert_eq!(status, 200, "{members}");
    assert_eq!(members["issued_token_type"], ID_JAG);
    assert_eq!(members["token_type"], "N_A");
    assert_eq!(members["expires_in"], 300);
    assert_eq!(members["scope"], "chat.read");
    assert!(members.get("refresh_token").is_none());
    let token = members["access_token"].as_str().unwrap();
    let jws = UnverifiedJws::parse(token).unwrap();
    assert_eq!(jws.unverified_header().typ(), Some("oauth-id-jag+jwt"));
    assert_eq!(jws.unverified_header().kid(), Some("idp-1"));
    let claims = Value::Object(claims_of(token));
    let expected = json!({
        "iss": IDP, "aud": RAS, "sub": "U019488227", "client_id": ME, "scope": "chat.read",
        "resource": CHAT, "iat": NOW, "exp": NOW + 300, "jti": claims["jti"],
        "email": "user@corp.example", "email_verified": true,
        "auth_time": NOW - 20, "acr": "gold", "amr": ["mfa", "pwd"],
    });
    assert_eq!(claims, expected);
}

/// `jti` is never the same, and long enough not to be guessed.
///
/// Covers: ID-JAG-3.1-7
#[test]
fn identifiers() {
    let world = Jag::new();
    let (idp, token) = (world.idp(), world.id_token(json!({})));
    let request = pairs(&token, ID_TOKEN);
    let ids: BTreeSet<String> = (0..1000)
        .map(|_| granted(&idp, &request)["jti"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 1000);
    assert!(
        ids.iter()
            .all(|id| base64url::decode(id, "jti").unwrap().len() == 16)
    );
}

/// What a request has to have, and what the service does not do.
///
/// Covers: ID-JAG-4.3-2, ID-JAG-4.3-3, ID-JAG-4.3-4, ID-JAG-4.3-5, ID-JAG-4.3-7, ID-JAG-4.3-8, ID-JAG-4.3-9,
/// Covers: ID-JAG-4.3.4.3-1, ID-JAG-6.4-1, ID-JAG-4.3.3-2, ID-JAG-A15
#[test]
fn requests() {
    let world = Jag::new();
    let idp = world.idp();
    let token = world.id_token(json!({}));
    let base = || pairs(&token, ID_TOKEN);
    let alias = granted(&idp, &set(base(), "audience", Some("urn:example:idp:chat")));
    assert_eq!(alias["aud"], RAS);
    let mut with_tenant = base();
    with_tenant.push(("tenant", "T9"));
    assert!(!granted(&idp, &with_tenant).contains_key("tenant"));

    let mut actor = base();
    actor.extend([("actor_token", "t"), ("actor_token_type", ID_TOKEN)]);
    let half = set(actor.clone(), "actor_token_type", None);
    let mut details = base();
    details.push(("authorization_details", "{}"));
    let mut fragment = base();
    fragment.push(("resource", "https://api.chat.example/#x"));
    let mut twice = base();
    twice.push(("audience", "urn:example:idp:chat"));
    let cases = [
        (set(base(), "requested_token_type", None), "invalid_request"),
        (
            set(base(), "requested_token_type", Some(ID_TOKEN)),
            "invalid_request",
        ),
        (set(base(), "audience", None), "invalid_request"),
        (
            set(base(), "audience", Some("https://acme.chat.example")),
            "invalid_target",
        ),
        (
            set(base(), "audience", Some("https://acme.chat.example/x")),
            "invalid_target",
        ),
        (set(base(), "subject_token", None), "invalid_request"),
        (
            set(
                base(),
                "subject_token_type",
                Some("urn:ietf:params:oauth:token-type:access_token"),
            ),
            "invalid_request",
        ),
        (
            set(
                base(),
                "subject_token_type",
                Some("urn:ietf:params:oauth:token-type:jwt"),
            ),
            "invalid_request",
        ),
        (pairs("refresh-1", REFRESH), "invalid_request"),
        (pairs("saml-1", SAML), "invalid_request"),
        (twice, "invalid_request"),
        (actor, "invalid_request"),
        (half, "invalid_request"),
        (details, "invalid_authorization_details"),
        (fragment, "invalid_target"),
    ];
    for (request, expected) in cases {
        assert_eq!(error(&idp, &request), expected, "{request:?}");
    }
    // A provider that issues nothing of the kind.
    let none = world.bare_idp(user());
    assert_eq!(error(&none, &base()), "invalid_target");
}

/// An assertion is exchanged by the client that it is for, while it is valid.
///
/// Covers: ID-JAG-4.3.3-1, ID-JAG-4.5-1, ID-JAG-A11, ID-JAG-4.3.3-2, ID-JAG-4.3.3-3, ID-JAG-4.3-7, ID-JAG-9.1-1
#[test]
fn assertions() {
    let world = Jag::new();
    let idp = world.idp();
    for (more, ok) in [
        (json!({}), true),
        (json!({"aud": ["idp-client"]}), true),
        (json!({"azp": "idp-client"}), true),
        (
            json!({"aud": ["idp-client", "other"], "azp": "idp-client"}),
            true,
        ),
        (json!({"aud": "other-client"}), false),
        (
            json!({"aud": ["idp-client", "other"], "azp": "other"}),
            false,
        ),
        (json!({"aud": ["idp-client", "other"]}), false),
        (json!({"azp": "other"}), false),
        (json!({"aud": null}), false),
        (json!({"exp": NOW - 100, "iat": NOW - 200}), false),
        (json!({"iss": "https://other.idp.example"}), false),
        (json!({"sub": null}), false),
        (json!({"amr": "mfa"}), false),
    ] {
        let token = world.id_token(more.clone());
        let (status, members) = ask(&idp, &pairs(&token, ID_TOKEN));
        if ok {
            assert_eq!(status, 200, "{more} {members}");
        } else {
            assert_eq!(members["error"], "invalid_request", "{more}");
        }
    }
    let forged = Jag::new().id_token(json!({}));
    assert_eq!(error(&idp, &pairs(&forged, ID_TOKEN)), "invalid_request");
    let other_kind = sign(
        &world.key,
        Some("at+jwt"),
        &json!({"iss": IDP, "sub": "alice", "aud": "idp-client", "iat": NOW, "exp": NOW + 60}),
    );
    assert_eq!(
        error(&idp, &pairs(&other_kind, ID_TOKEN)),
        "invalid_request"
    );

    // Refresh tokens, where they are taken: of the client, for this server, within their scope, of a user who is there.
    let refreshing = world.idp().with_refresh_tokens();
    let claims = granted(&refreshing, &pairs("refresh-1", REFRESH));
    assert_eq!(claims["scope"], "chat.read");
    assert_eq!(claims["email"], "user@corp.example");
    for (token, expected) in [
        ("refresh-y", "invalid_request"),
        ("refresh-gone", "invalid_request"),
        ("revoked", "invalid_request"),
        ("refresh-elsewhere", "invalid_target"),
    ] {
        assert_eq!(
            error(&refreshing, &pairs(token, REFRESH)),
            expected,
            "{token}"
        );
    }
    let mut wide = pairs("refresh-1", REFRESH);
    wide.push(("scope", "chat.history"));
    assert_eq!(error(&refreshing, &wide), "invalid_scope");

    // SAML assertions of the service provider that is this client.
    let saml = world
        .idp()
        .with_service_provider("https://sp.example", "idp-client")
        .with_service_provider("https://other-sp.example", "other-client");
    assert!(granted(&saml, &pairs("saml-1", SAML)).contains_key("sub"));
    assert_eq!(error(&saml, &pairs("saml-y", SAML)), "invalid_request");

    let request = form(&pairs("refresh-1", REFRESH));
    for (client, expected) in [
        (None, "invalid_client"),
        (
            Some(Client::new("idp-client", ClientMethod::Public)),
            "unauthorized_client",
        ),
        (
            Some(Client::new("idp-client", ClientMethod::SharedSecret)),
            "invalid_client",
        ),
    ] {
        let refused = refreshing.exchange(&post(&[]), &request, client.as_ref(), now());
        assert_eq!(refused.unwrap_err().oauth_error().error, expected);
    }
}

/// The grant names the client as the target knows it, in the user's tenant; the provider's own identifier is never used
/// for want of another.
///
/// Covers: ID-JAG-3.1-6, ID-JAG-5-1, ID-JAG-6.2-1, ID-JAG-A4, ID-JAG-6.1-1, ID-JAG-3.1-13
#[test]
fn clients_and_tenants() {
    let world = Jag::new();
    let token = world.id_token(json!({}));
    let request = pairs(&token, ID_TOKEN);
    let unmapped = world
        .bare_idp(user())
        .with_target(Target::new(url(RAS), terms()));
    assert_eq!(error(&unmapped, &request), "invalid_target");
    let shared = Target::new(url(RAS), terms()).with_shared_client_urls();
    let idp = world.bare_idp(user()).with_target(shared);
    assert_eq!(error(&idp, &request), "invalid_target");

    let cimd = "https://ai-agent-app.example/";
    let token = world.id_token(json!({"aud": cimd}));
    let agent = client(cimd);
    let issued = idp.exchange(
        &post(&[]),
        &form(&pairs(&token, ID_TOKEN)),
        Some(&agent),
        now(),
    );
    assert_eq!(claims_of(issued.unwrap().as_str())["client_id"], cimd);

    let mut in_t2 = user();
    in_t2.tenant = Some("T2".into());
    let of_t1 = Target::new(url(RAS), terms()).permit_in_tenant("idp-client", ME, "T1");
    let idp = world
        .bare_idp(in_t2.clone())
        .with_target(of_t1)
        .with_tenants();
    assert_eq!(error(&idp, &request), "invalid_target");
    let of_t2 = Target::new(url(RAS), terms()).permit_in_tenant("idp-client", ME, "T2");
    let idp = world
        .bare_idp(in_t2.clone())
        .with_target(of_t2)
        .with_tenants();
    assert_eq!(granted(&idp, &request)["tenant"], "T2");
    // A provider with tenants, and a user without one.
    let idp = world.idp().with_tenants();
    assert_eq!(error(&idp, &request), "invalid_request");
    // A provider without tenants tells one only where the target wants it.
    let idp = world.bare_idp(in_t2.clone()).with_target(target());
    assert!(!granted(&idp, &request).contains_key("tenant"));
    let idp = world.bare_idp(in_t2).with_target(target().with_tenant());
    assert_eq!(granted(&idp, &request)["tenant"], "T2");
}

/// `sub` and every other name come from the record that is for this target.
///
/// Covers: ID-JAG-3.1-2, ID-JAG-3.1-15, ID-JAG-3.1-16, ID-JAG-3.2.2-1, ID-JAG-3.2.2-2, ID-JAG-9.6-1, ID-JAG-3.1-21
#[test]
fn names_of_the_user() {
    let world = Jag::new();
    let token = world.id_token(json!({}));
    let request = pairs(&token, ID_TOKEN);
    let mut record = user();
    record.subject = "pairwise".into();
    record.aud_tenant = Some("T1".into());
    record.aud_sub = Some("chat-77".into());
    let mut name_id = SamlNameId::new("https://idp.example.com/exk33", "foo@example.com");
    name_id.nameid_format = Some("urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress".into());
    record.name_id = Some(name_id.clone());
    record.claims.insert("locale".into(), json!("de"));
    record.claims.insert("act".into(), json!({"sub": "nobody"}));
    let idp = world.bare_idp(record.clone()).with_target(target());
    let claims = granted(&idp, &request);
    assert_eq!(claims["sub"], format!("alice|{RAS}"));
    assert_eq!(
        (&claims["aud_tenant"], &claims["aud_sub"]),
        (&json!("T1"), &json!("chat-77"))
    );
    assert_eq!(claims["locale"], "de");
    assert!(!claims.contains_key("sub_id") && !claims.contains_key("act"));

    let idp = world
        .bare_idp(record.clone())
        .with_target(target().with_sub_id());
    let claims = granted(&idp, &request);
    let expected = json!({
        "format": "saml-nameid", "issuer": "https://idp.example.com/exk33", "nameid": "foo@example.com",
        "nameid_format": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    });
    assert_eq!(claims["sub_id"], expected);
    name_id.sp_name_qualifier = Some("https://resource.example.com/saml/sp".into());
    record.name_id = Some(name_id);
    let idp = world.bare_idp(record).with_target(target().with_sub_id());
    let claims = granted(&idp, &request);
    assert_eq!(
        claims["sub_id"]["sp_name_qualifier"],
        "https://resource.example.com/saml/sp"
    );
    assert_eq!(claims["sub"], format!("alice|{RAS}"));
}

/// The policy narrows, asks for a better authentication, or refuses; nothing goes beyond the target's terms.
///
/// Covers: ID-JAG-4.3.3-4, ID-JAG-4.3.3-5, ID-JAG-4.3.3-6, ID-JAG-4.3.3-7, ID-JAG-4.3.4-2, ID-JAG-9.2-1
#[test]
fn policy() {
    struct Policy;
    impl IdJagPolicy for Policy {
        fn decide(&self, facts: &IdJagFacts<'_>, terms: &IdJagTerms) -> Result<IdJagTerms, Error> {
            assert_eq!((facts.client.id(), facts.target), ("idp-client", RAS));
            if !facts.assertion.amr.iter().any(|method| method == "mfa") {
                return Err(Error::InsufficientAuthentication {
                    max_age: Some(5),
                    acr_values: Some("gold"),
                });
            }
            match facts.assertion.user.as_str() {
                "denied" => Err(Error::Refused),
                "scopeless" => Err(Error::ScopeNotGranted),
                "wide" => {
                    let mut wide = terms.clone();
                    wide.scopes = scope("chat.read chat.admin");
                    Ok(wide)
                }
                _ => Ok(terms.clone()),
            }
        }
    }
    let world = Jag::new();
    let idp = world.idp().with_policy(Arc::new(Policy));
    let token = |more| world.id_token(more);
    for (more, expected) in [
        (json!({"sub": "denied"}), "invalid_target"),
        (json!({"sub": "scopeless"}), "invalid_scope"),
    ] {
        let token = token(more);
        assert_eq!(error(&idp, &pairs(&token, ID_TOKEN)), expected);
    }
    let weak = token(json!({"amr": ["pwd"]}));
    let (status, members) = ask(&idp, &pairs(&weak, ID_TOKEN));
    assert_eq!(status, 400);
    assert_eq!(members["error"], "insufficient_user_authentication");
    assert_eq!(
        (&members["max_age"], &members["acr_values"]),
        (&json!(5), &json!("gold"))
    );
    let wide = token(json!({"sub": "wide"}));
    assert_eq!(granted(&idp, &pairs(&wide, ID_TOKEN))["scope"], "chat.read");

    let good = token(json!({}));
    let base = || pairs(&good, ID_TOKEN);
    let mut two = base();
    two.extend([
        ("resource", CHAT),
        ("resource", "https://files.chat.example/"),
    ]);
    assert_eq!(granted(&idp, &two)["resource"], CHAT);
    let mut none = base();
    none.push(("resource", "https://files.chat.example/"));
    assert_eq!(error(&idp, &none), "invalid_target");
    let mut beyond = base();
    beyond.push(("scope", "chat.admin"));
    assert_eq!(error(&idp, &beyond), "invalid_scope");

    // Details beside resource and scope: those for other places are dropped.
    let v5 = json!([
        {"type": "chat_read", "actions": ["read"], "locations": ["https://api.chat.example/channels"]},
        {"type": "chat_history", "actions": ["read"], "datatypes": ["message"]},
        {"type": "chat_read", "actions": ["read"], "locations": ["https://evil.example/"]},
    ]);
    let text = v5.to_string();
    let mut request = base();
    request.extend([
        ("resource", CHAT),
        ("scope", "chat.read"),
        ("authorization_details", text.as_str()),
    ]);
    let (_, members) = ask(&idp, &request);
    let claims = claims_of(members["access_token"].as_str().unwrap());
    let details = claims["authorization_details"].as_array().unwrap();
    assert_eq!(details.len(), 2);
    assert!(!claims["authorization_details"].to_string().contains("evil"));
    assert_eq!(
        members["authorization_details"],
        claims["authorization_details"]
    );
    assert_eq!(claims["scope"], "chat.read");
    for wrong in [
        r#"[{"type":"chat_read","locations":["https://evil.example/"]}]"#,
        r#"[{"type":"unknown"}]"#,
        r#"[{"actions":["read"]}]"#,
        "not json",
    ] {
        let mut request = base();
        request.extend([("resource", CHAT), ("authorization_details", wrong)]);
        assert_eq!(
            error(&idp, &request),
            "invalid_authorization_details",
            "{wrong}"
        );
    }
}

/// A proof binds the grant, a bad one is an error, and none gives a grant without `cnf`.
///
/// Covers: ID-JAG-9.8.1.1-1, ID-JAG-3.1-18
#[test]
fn bound_grants() {
    let world = Jag::new();
    let idp = world.idp();
    let (token, prover) = (world.id_token(json!({})), prover());
    let request = form(&pairs(&token, ID_TOKEN));
    let send = |proof: &str| {
        idp.exchange(
            &post(&[("dpop", proof)]),
            &request,
            Some(&client("idp-client")),
            now(),
        )
    };
    let issued = send(&proof(&prover, IDP_TOKEN)).unwrap();
    let cnf = json!({"jkt": base64url::encode(&prover.jkt())});
    assert_eq!(claims_of(issued.as_str())["cnf"], cnf);
    for wrong in [proof(&prover, RAS_TOKEN), "x".to_owned()] {
        assert_eq!(
            send(&wrong).unwrap_err().oauth_error().error,
            "invalid_dpop_proof"
        );
    }
}

/// Delegations: by default none, and with the profile only of an actor that belongs to the subject token.
///
/// Covers: ID-JAG-4.3-9, ID-JAG-A15
#[test]
fn delegation() {
    struct Actors;
    impl ActorTokens for Actors {
        fn verify(&self, token: &SubjectToken, _now: UnixTime) -> Result<NamedActor, Error> {
            let (sub, client) = match token.unverified_token.as_str() {
                "mine" => ("spiffe://corp.example/agent", "idp-client"),
                "foreign" => ("spiffe://corp.example/other", "other-client"),
                "myself" => ("alice", "idp-client"),
                _ => {
                    let source = jose_x509::Error::InvalidSignature;
                    return Err(token_exchange::Error::Token {
                        which: "actor",
                        source,
                    }
                    .into());
                }
            };
            Ok(NamedActor::new(Party::new(sub), client))
        }
    }
    let world = Jag::new();
    let idp = world.idp().with_delegation(Arc::new(Actors));
    let plain = world.id_token(json!({}));
    let named = world.id_token(json!({"may_act": {"sub": "spiffe://corp.example/other"}}));
    let acted = world.id_token(json!({"act": {"sub": "spiffe://corp.example/first"}}));
    let send = |token: &str, actor: &str| {
        let mut request = pairs(token, ID_TOKEN);
        request.extend([("actor_token", actor), ("actor_token_type", ID_TOKEN)]);
        let client = client("idp-client");
        idp.exchange(&post(&[]), &form(&request), Some(&client), now())
            .map(|issued| claims_of(issued.as_str())["act"].clone())
    };
    let agent = json!({"sub": "spiffe://corp.example/agent"});
    assert_eq!(send(&plain, "mine").unwrap(), agent);
    assert_eq!(
        send(&named, "foreign").unwrap(),
        json!({"sub": "spiffe://corp.example/other"})
    );
    let chain = send(&acted, "mine").unwrap();
    assert_eq!(chain["act"], json!({"sub": "spiffe://corp.example/first"}));
    for (token, actor) in [
        (&plain, "foreign"),
        (&named, "mine"),
        (&plain, "forged"),
        (&plain, "myself"),
    ] {
        let refused = send(token, actor).unwrap_err();
        assert_eq!(refused.oauth_error().error, "invalid_request", "{actor}");
    }
    // Nobody is dropped where there is no new actor.
    let kept = granted(&idp, &pairs(&acted, ID_TOKEN));
    assert_eq!(kept["act"], json!({"sub": "spiffe://corp.example/first"}));
}

fn json_headers() -> HeaderMap {
    let value = HeaderValue::from_static("application/json");
    HeaderMap::from_iter([(http::header::CONTENT_TYPE, value)])
}

/// The client asks as the draft's example does, and sends on only what fits its request.
///
/// Covers: ID-JAG-4.3-1, ID-JAG-4.3-10, ID-JAG-4.3.4-1, ID-JAG-4.3.4-3, ID-JAG-9.3-2, ID-JAG-9.8.1.1-2, ID-JAG-A6, ID-JAG-A12,
/// Covers: ID-JAG-4.4-1
#[test]
fn the_client() {
    let world = Jag::new();
    let subject = |token: &str| SubjectToken {
        unverified_token: token.to_owned(),
        token_type: TokenType::IdToken,
    };
    let request = IdJagRequest::new(subject("id-token"), url(RAS), ME)
        .with_resource(uri(CHAT))
        .with_scope(scope("chat.read chat.history"));
    let sent = request.to_request(&url(IDP_TOKEN)).unwrap();
    let sent: BTreeSet<(String, String)> = Form::parse(sent.body())
        .unwrap()
        .pairs()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let expected = [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("requested_token_type", ID_JAG),
        ("audience", RAS),
        ("resource", CHAT),
        ("scope", "chat.history chat.read"),
        ("subject_token", "id-token"),
        ("subject_token_type", ID_TOKEN),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(sent, BTreeSet::from(expected));
    let aliased = request.clone().with_alias("urn:example:idp:chat");
    let received =
        TokenExchangeRequest::from_form(&Form::parse(aliased.to_form().as_bytes()).unwrap());
    assert_eq!(received.unwrap().audiences, ["urn:example:idp:chat"]);

    let answer = |token: &str, more: Value| {
        let members = json!({
            "issued_token_type": ID_JAG, "access_token": token, "token_type": "N_A", "expires_in": 300,
        });
        with(members, more).to_string()
    };
    let read = |request: &IdJagRequest, body: String| {
        request.parse_response(StatusCode::OK, &json_headers(), body.as_bytes(), now())
    };
    let good = world.sign(json!({}));
    let received = read(&request, answer(&good, json!({"refresh_token": "r"}))).unwrap();
    assert!(received.dropped_refresh_token);
    assert!(
        !read(&request, answer(&good, json!({})))
            .unwrap()
            .dropped_refresh_token
    );
    let ras = AuthorizationServer::new(url(RAS), url(RAS_TOKEN));
    let redeem = received.redeem_at(&ras).unwrap();
    let form = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    assert_eq!(redeem.to_form(), format!("{form}{good}"));
    let other = AuthorizationServer::new(url("https://other.example/"), url(RAS_TOKEN));
    assert_eq!(
        received.redeem_at(&other).unwrap_err().code(),
        "foreign_grant"
    );

    for more in [
        json!({"issued_token_type": "urn:ietf:params:oauth:token-type:jwt"}),
        json!({"token_type": "Bearer"}),
        json!({"access_token": "opaque"}),
    ] {
        assert_eq!(
            read(&request, answer(&good, more)).unwrap_err().code(),
            "invalid_response"
        );
    }
    for (more, claim) in [
        (json!({"aud": "https://evil.example/"}), "aud"),
        (json!({"aud": [RAS, "https://evil.example/"]}), "aud"),
        (json!({"aud": null}), "aud"),
        (json!({"client_id": "somebody"}), "client_id"),
        (json!({"client_id": null}), "client_id"),
        (json!({"exp": NOW}), "exp"),
        (
            json!({"resource": "https://files.chat.example/"}),
            "resource",
        ),
        (
            json!({"resource": [CHAT, "https://files.chat.example/"]}),
            "resource",
        ),
    ] {
        let error = read(&request, answer(&world.sign(more.clone()), json!({}))).unwrap_err();
        assert_eq!(error, Error::ForeignGrant { claim }, "{more}");
    }
    let plain = sign(&world.key, Some("JWT"), &world.claims(json!({})));
    let error = read(&request, answer(&plain, json!({}))).unwrap_err();
    assert_eq!(error, Error::ForeignGrant { claim: "typ" });

    // A proof was sent, so the grant has to be bound to its key.
    let bound = request.with_key([7; 32]);
    let cnf = |key: [u8; 32]| world.sign(json!({"cnf": {"jkt": base64url::encode(&key)}}));
    assert!(read(&bound, answer(&cnf([7; 32]), json!({}))).is_ok());
    for token in [&good, &cnf([8; 32])] {
        assert_eq!(
            read(&bound, answer(token, json!({}))).unwrap_err().code(),
            "unbound_grant"
        );
    }
}

/// From the login to the next one: what the client does when each thing has ended, or is refused.
///
/// Covers: ID-JAG-4.4.3-2, ID-JAG-9.2-1
#[test]
fn what_next() {
    let mut progress = Progress::new(NOW + 600)
        .with_refresh_token()
        .with_reusable_grants();
    assert_eq!(progress.next(now()), Step::Exchange);
    progress.granted(NOW + 300);
    progress.redeemed(NOW + 100);
    assert_eq!(progress.next(at(NOW + 99)), Step::Use);
    assert_eq!(progress.next(at(NOW + 100)), Step::Redeem);
    assert_eq!(progress.next(at(NOW + 300)), Step::Exchange);
    assert_eq!(progress.next(at(NOW + 600)), Step::Refresh);
    progress.refreshed(NOW + 1200);
    assert_eq!(progress.next(at(NOW + 601)), Step::Exchange);
    assert_eq!(progress.next(at(NOW + 1200)), Step::Refresh);
    progress.refresh_failed();
    assert_eq!(progress.next(at(NOW + 1200)), Step::Login);

    let body = br#"{"error":"insufficient_user_authentication","error_description":"Subject doesn't meet authentication requirements","max_age":5}"#;
    let request = IdJagRequest::new(
        SubjectToken {
            unverified_token: "t".into(),
            token_type: TokenType::IdToken,
        },
        url(RAS),
        ME,
    );
    let error = request
        .parse_response(StatusCode::BAD_REQUEST, &json_headers(), body, now())
        .unwrap_err();
    assert!(error.login_required());
    assert!(matches!(
        error,
        Error::Denied {
            max_age: Some(5),
            ..
        }
    ));
    let mut progress = Progress::new(NOW + 600).with_refresh_token();
    progress.login_required();
    assert_eq!(progress.next(now()), Step::Login);
}

/// A SAML assertion is exchanged for a refresh token that lasts.
///
/// Covers: ID-JAG-4.5-2
#[test]
fn saml_refresh() {
    let request = saml_refresh_request("PHNhbWw-");
    assert_eq!(request.scope, Some(scope("openid offline_access")));
    let form = request.to_form();
    assert!(form.contains("refresh_token") && form.contains("saml2"));
    let answer = |kind: &str, used: &str| {
        let members = json!({"access_token": "r", "issued_token_type": kind, "token_type": used});
        parse_saml_refresh(
            StatusCode::OK,
            &json_headers(),
            members.to_string().as_bytes(),
        )
    };
    let token = answer(REFRESH, "N_A").unwrap();
    assert_eq!(
        (token.unverified_token.as_str(), token.token_type),
        ("r", TokenType::RefreshToken)
    );
    assert!(answer(REFRESH, "Bearer").is_err() && answer(ID_TOKEN, "N_A").is_err());
}

/// Metadata of provider, server and client; saying "supported" is not saying "trusted".
///
/// Covers: ID-JAG-7.1-1, ID-JAG-7.2-1, ID-JAG-7.2-2, ID-JAG-8-1, ID-JAG-9.4-1, ID-JAG-10-1, ID-JAG-A17
#[test]
fn metadata() {
    assert_eq!(ID_JAG_TYPE, "oauth-id-jag+jwt");
    assert_eq!(MEDIA_TYPE, "application/oauth-id-jag+jwt");
    assert_eq!(TokenType::IdJag.as_str(), ID_JAG);
    assert_eq!(GRANT_PROFILE, "urn:ietf:params:oauth:grant-profile:id-jag");
    assert_eq!(SAML_NAMEID, "saml-nameid");

    let mut idp = json!({"issuer": IDP, "token_endpoint": IDP_TOKEN});
    advertise_issuance(idp.as_object_mut().unwrap());
    assert_eq!(idp[REQUESTED_TOKEN_TYPES], json!([ID_JAG]));
    let read = AuthorizationServer::from_metadata(&url(IDP), idp.to_string().as_bytes()).unwrap();
    assert_eq!(read.says_requested_type(&TokenType::IdJag), Some(true));

    let published = r#"{"issuer":"https://authorization-server.saas-tool.example/","token_endpoint":"https://authorization-server.saas-tool.example/oauth2/token","jwks_uri":"https://authorization-server.saas-tool.example/oauth2/keys","response_types_supported":["code"],"grant_types_supported":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:jwt-bearer"],"authorization_grant_profiles_supported":["urn:ietf:params:oauth:grant-profile:id-jag"]}"#;
    let saas = url("https://authorization-server.saas-tool.example/");
    let server = AuthorizationServer::from_metadata(&saas, published.as_bytes()).unwrap();
    assert!(server.supports_grant_profile(GRANT_PROFILE));
    assert!(!server.supports_grant_profile("urn:ietf:params:oauth:grant-profile:x"));
    for wrong in [
        published.replace("urn:ietf:params:oauth:grant-type:jwt-bearer", "password"),
        published.replace("[\"urn:ietf:params:oauth:grant-profile:id-jag\"]", "\"x\""),
    ] {
        let error = AuthorizationServer::from_metadata(&saas, wrong.as_bytes()).unwrap_err();
        assert_eq!(
            error,
            Error::Metadata {
                member: GRANT_PROFILES
            }
        );
    }

    let mut ras = Map::from_iter([("grant_types_supported".to_owned(), json!([GRANT_TYPE]))]);
    advertise_grant_profiles(&mut ras, &[GRANT_PROFILE]).unwrap();
    assert_eq!(ras[GRANT_PROFILES], json!([GRANT_PROFILE]));
    for wrong in [
        IDP,
        "urn:ietf:params:oauth:grant-profile:",
        "urn:ietf:params:oauth:grant-profile:id-jag:https://idp",
    ] {
        assert!(
            advertise_grant_profiles(&mut ras, &[wrong]).is_err(),
            "{wrong}"
        );
    }
    assert!(advertise_grant_profiles(&mut Map::new(), &[GRANT_PROFILE]).is_err());

    let client = client_metadata();
    assert!(check_client(&client).unwrap());
    assert!(!check_client(&Map::new()).unwrap());
    for grant in [token_exchange::GRANT_TYPE, GRANT_TYPE] {
        let mut lacking = client.clone();
        let grants = lacking["grant_types"].as_array_mut().unwrap();
        grants.retain(|one| one != grant);
        assert!(check_client(&lacking).is_err());
        // The same document as a client ID metadata document.
        let id = "https://ai-agent-app.example/client.json";
        let parse = |members: &Map<String, Value>| {
            let mut document = Value::Object(members.clone());
            document["client_id"] = json!(id);
            document["redirect_uris"] = json!(["https://ai-agent-app.example/callback"]);
            document["response_types"] = json!([]);
            let id = cimd::ClientIdUrl::parse(id).unwrap();
            let policy = cimd::DocumentPolicy::default();
            cimd::ClientMetadata::parse(&id, document.to_string().as_bytes(), &policy)
        };
        assert!(parse(&client).is_ok());
        assert!(parse(&lacking).is_err());
    }
}

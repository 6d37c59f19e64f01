//! ID-JAG at the resource authorization server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use identity_chaining::id_jag::*;
use identity_chaining::redeem::GRANT_TYPE_DPOP;
use identity_chaining::*;
use jose_x509::base64url;
use jose_x509::jws::{self, ProtectedHeader};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::jag::*;
use support::*;

/// A grant as the provider of these tests issues it gives the linked account what it says, and says so in the answer.
///
/// Covers: ID-JAG-4.4-1, ID-JAG-4.4.1-1, ID-JAG-4.4.1-5, ID-JAG-4.4.1-7, ID-JAG-4.4.3-1, ID-JAG-3.1-20, ID-JAG-9.8.1.2.4-1
#[test]
fn from_provider_to_access_token() {
    let world = Jag::new();
    let token = world.id_token(json!({}));
    let pairs = [
        ("grant_type", token_exchange::GRANT_TYPE),
        (
            "requested_token_type",
            "urn:ietf:params:oauth:token-type:id-jag",
        ),
        ("subject_token", &token),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:id_token",
        ),
        ("audience", RAS),
        ("resource", CHAT),
        ("scope", "chat.read"),
        (
            "authorization_details",
            r#"[{"type":"chat_read","actions":["read"]}]"#,
        ),
    ];
    let idp_client = client("idp-client");
    let issued = world
        .idp()
        .exchange(&post(&[]), &form(&pairs), Some(&idp_client), now());
    let access = redeem_jag(&world.ras(), issued.unwrap().as_str(), &[], ME).unwrap();
    assert_eq!(access.subject, "account-1");
    let response = access.respond("2YotnFZFEjr1zCsicMWpAA", 86_400);
    let expected = json!({
        "token_type": "Bearer", "access_token": "2YotnFZFEjr1zCsicMWpAA", "expires_in": 86_400,
        "scope": "chat.read", "resource": CHAT,
        "authorization_details": [{"type": "chat_read", "actions": ["read"]}],
    });
    assert_eq!(body(&response), expected);
    let unknown = world.sign(json!({"locale": "de", "name": "N", "jti": "2"}));
    assert!(redeem_jag(&world.ras(), &unknown, &[], ME).is_ok());
}

/// Every claim with a rule of its own, each broken alone; nobody learns from the answer which it was.
///
/// Covers: ID-JAG-3.1-1, ID-JAG-3.1-4, ID-JAG-3.1-7, ID-JAG-3.1-8, ID-JAG-3.1-9, ID-JAG-3.1-10, ID-JAG-3.1-11, ID-JAG-3.1-13,
/// Covers: ID-JAG-3.1-14, ID-JAG-3.1-18, ID-JAG-4.1-1, ID-JAG-4.4.1-2, ID-JAG-4.4.1-3, ID-JAG-4.4.1-5, ID-JAG-9.3-2, ID-JAG-A1,
/// Covers: ID-JAG-A2, ID-JAG-A3, ID-JAG-A17, ID-JAG-A18, ID-JAG-3.2.1-1
#[test]
fn claims() {
    let world = Jag::new();
    let ras = world.ras();
    let nameid = json!({"format": "saml-nameid", "issuer": "https://saml.example", "nameid": "n"});
    let sub_id = |more: Value| json!({"sub_id": with(nameid.clone(), more)});
    let cases: Vec<(Value, &str)> = vec![
        (json!({}), ""),
        (json!({"aud": [RAS]}), ""),
        (json!({"resource": [CHAT]}), ""),
        (
            json!({"auth_time": NOW, "acr": "x", "amr": ["a"], "email": "e@x.example"}),
            "",
        ),
        (
            json!({"sub_id": {"format": "email", "email": "e@x.example"}}),
            "",
        ),
        (sub_id(json!({})), ""),
        (json!({"iss": null}), "missing_claim"),
        (
            json!({"iss": "https://unknown.idp.example"}),
            "untrusted_issuer",
        ),
        (json!({"iss": format!("{IDP}/")}), "untrusted_issuer"),
        (json!({"sub": null}), "missing_claim"),
        (json!({"sub": "U-unknown"}), "unknown_subject"),
        (json!({"aud": null}), "missing_claim"),
        (json!({"aud": []}), "claim_type"),
        (
            json!({"aud": "https://acme.chat.example"}),
            "audience_mismatch",
        ),
        (
            json!({"aud": "https://acme.chat.example/.evil.test"}),
            "audience_mismatch",
        ),
        (
            json!({"aud": "https://acme.chat.example.evil.test/"}),
            "audience_mismatch",
        ),
        (json!({"aud": RAS_TOKEN}), "audience_mismatch"),
        (
            json!({"aud": [RAS, "https://other.example/"]}),
            "multiple_audiences",
        ),
        (json!({"aud": [RAS, RAS]}), "multiple_audiences"),
        (json!({"client_id": null}), "missing_claim"),
        (json!({"client_id": 5}), "grant_claim"),
        (json!({"client_id": "other"}), "grant_client"),
        (json!({"jti": null}), "missing_claim"),
        (json!({"exp": null}), "missing_claim"),
        (json!({"iat": null}), "missing_claim"),
        (json!({"exp": NOW, "iat": NOW}), "contradictory_times"),
        (json!({"exp": NOW - 61, "iat": NOW - 300}), "expired"),
        (json!({"nbf": NOW + 100}), "not_yet_valid"),
        (json!({"iat": NOW + 100}), "issued_in_future"),
        (json!({"exp": NOW + 1000}), "lifetime_too_long"),
        (json!({"exp": NOW + 86_400 * 3}), "lifetime_too_long"),
        (
            json!({"resource": "https://api.chat.example/#f"}),
            "grant_claim",
        ),
        (json!({"resource": 5}), "grant_claim"),
        (json!({"scope": ["chat.read"]}), "grant_claim"),
        (
            json!({"authorization_details": {"type": "chat_read"}}),
            "grant_claim",
        ),
        (
            json!({"authorization_details": [{"actions": ["read"]}]}),
            "grant_claim",
        ),
        (
            json!({"authorization_details": [{"type": 5}]}),
            "grant_claim",
        ),
        (
            json!({"authorization_details": [{"type": "unknown"}]}),
            "grant_claim",
        ),
        (json!({"tenant": 5}), "grant_claim"),
        (json!({"aud_tenant": []}), "grant_claim"),
        (json!({"aud_sub": {}}), "grant_claim"),
        (json!({"email": 5}), "grant_claim"),
        (json!({"email_verified": "true"}), "grant_claim"),
        (json!({"auth_time": "now"}), "grant_claim"),
        (json!({"acr": 1}), "grant_claim"),
        (json!({"amr": "mfa"}), "grant_claim"),
        (json!({"amr": [1]}), "grant_claim"),
        (json!({"act": "x"}), "grant_claim"),
        (json!({"sub_id": "x"}), "grant_claim"),
        (json!({"sub_id": {"nameid": "n"}}), "grant_claim"),
        (sub_id(json!({"issuer": null})), "grant_claim"),
        (sub_id(json!({"nameid": null})), "grant_claim"),
        (sub_id(json!({"nameid": 5})), "grant_claim"),
        (sub_id(json!({"name_qualifier": 5})), "grant_claim"),
        (sub_id(json!({"sp_provided_id": []})), "grant_claim"),
        (json!({"cnf": "x"}), "claim_type"),
        (json!({"cnf": {"jkt": 5}}), "claim_type"),
        (json!({"cnf": {"jkt": "short"}}), "claim_type"),
        (
            json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I="}}),
            "claim_type",
        ),
    ];
    let mut answers = Vec::new();
    for (i, (more, code)) in cases.iter().enumerate() {
        let mut more = more.clone();
        if more.get("jti").is_none() {
            more["jti"] = json!(format!("j-{i}"));
        }
        match redeem_jag(&ras, &world.sign(more.clone()), &[], ME) {
            Ok(_) => assert_eq!(*code, "", "{more}"),
            Err(error) => {
                assert_eq!(error.code(), *code, "{more} {error}");
                assert_eq!(error.oauth_error().error, "invalid_grant", "{more}");
                answers.push(error.to_response().into_body());
            }
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
}

/// The published claims live for 1000 seconds: refused by default, and accepted by a server that takes that long.
///
/// Covers: ID-JAG-A18, ID-JAG-3.1-9, ID-JAG-3.1-14
#[test]
fn the_published_claims() {
    let world = Jag::new();
    let published = json!({"jti":"9e43f81b64a33f20116179","iss":"https://acme.idp.example","sub":"U019488227","aud":"https://acme.chat.example/","client_id":"f53f191f9311af35","exp":1_311_281_970_u64,"iat":1_311_280_970_u64,"resource":"https://api.chat.example/","scope":"chat.read chat.history","auth_time":1_311_280_970_u64,"amr":["mfa","phrh","hwk","user"]});
    let token = sign(&world.key, Some("oauth-id-jag+jwt"), &published);
    let pairs = [("grant_type", GRANT_TYPE), ("assertion", token.as_str())];
    let redeem = |lifetime: u64| {
        let issuer = TrustedIssuer::new(url(IDP), world.keys());
        let issuer = issuer
            .with_max_lifetime(Duration::from_secs(lifetime))
            .unwrap();
        let idp = TrustedIdp::new(issuer, scope("chat.read chat.history"));
        let ras = world.ras_of(idp, Linked::default());
        ras.redeem(
            &post(&[]),
            &form(&pairs),
            Some(&client(ME)),
            at(1_311_281_000),
        )
    };
    assert_eq!(redeem(300).unwrap_err().code(), "lifetime_too_long");
    assert_eq!(redeem(1000).unwrap().scope, scope("chat.read chat.history"));
}

/// Other tokens are no ID-JAGs, an ID-JAG is no other grant, and only the provider's configured keys sign one.
///
/// Covers: ID-JAG-3.1-19, ID-JAG-4.4.1-1, ID-JAG-A5, ID-JAG-A19, ID-JAG-4.4.1-5
#[test]
fn types_and_keys() {
    let world = Jag::new();
    let ras = world.ras();
    for typ in [
        Some("JWT"),
        Some("at+jwt"),
        Some("authorization-grant+jwt"),
        Some("txn-chain+jwt"),
        Some("oauth-id-jag"),
        None,
    ] {
        let token = sign(&world.key, typ, &world.claims(json!({})));
        let error = redeem_jag(&ras, &token, &[], ME).unwrap_err();
        assert_eq!(
            (error.code(), error.oauth_error().error),
            ("wrong_type", "invalid_grant")
        );
    }
    for typ in ["application/oauth-id-jag+jwt", "OAuth-ID-JAG+JWT"] {
        let token = sign(&world.key, Some(typ), &world.claims(json!({})));
        assert!(redeem_jag(&ras, &token, &[], ME).is_ok(), "{typ}");
    }
    let plain = service_b(issuer_a(&world.key));
    let id_jag = sign(&world.key, Some("oauth-id-jag+jwt"), &json!({"iss": A}));
    assert_eq!(
        redeem(&plain, &id_jag, &[], ME).unwrap_err().code(),
        "wrong_type"
    );

    let text = world.claims(json!({})).to_string();
    let encode = |text: &str| base64url::encode(text.as_bytes());
    let raw = |alg: &str| {
        let header = json!({"alg": alg, "typ": "oauth-id-jag+jwt", "kid": "idp-1"}).to_string();
        format!(
            "{}.{}.{}",
            encode(&header),
            encode(&text),
            encode("signature")
        )
    };
    let jku =
        ProtectedHeader::new("oauth-id-jag+jwt").with_parameter("jku", "https://evil.example");
    let jku = jws::sign(&world.key, &jku.unwrap(), text.as_bytes()).unwrap();
    let other = sign(
        &key("idp-1"),
        Some("oauth-id-jag+jwt"),
        &world.claims(json!({})),
    );
    for (token, code) in [
        (raw("HS256"), "unsupported_algorithm"),
        (raw("none"), "unsupported_algorithm"),
        (jku, "header_key_material"),
        (other, "invalid_signature"),
    ] {
        let error = redeem_jag(&ras, &token, &[], ME).unwrap_err();
        assert_eq!(
            (error.code(), error.oauth_error().error),
            (code, "invalid_grant")
        );
    }
}

/// `sub` is a name within issuer and tenant; `aud_tenant` bounds what comes of it.
///
/// Covers: ID-JAG-3.1-3, ID-JAG-6.3-1, ID-JAG-A7, ID-JAG-3.1-15, ID-JAG-6.4-1
#[test]
fn tenants() {
    let world = Jag::new();
    let accounts = || Linked {
        subjects: BTreeMap::from([
            (SubjectKey::new(IDP, Some("T1"), "same"), "account-1"),
            (SubjectKey::new(IDP, Some("T2"), "same"), "account-2"),
        ]),
        tenants: vec![("T1", "account-1")],
        strict: true,
        ..Linked::default()
    };
    let ras = world.ras_of(world.trusted().with_tenants(), accounts());
    let redeem = |more: Value| {
        let more = with(json!({"sub": "same"}), more);
        redeem_jag(&ras, &world.sign(more), &[], ME)
    };
    assert_eq!(
        redeem(json!({"tenant": "T1"})).unwrap().subject,
        "account-1"
    );
    assert_eq!(
        redeem(json!({"tenant": "T2"})).unwrap().subject,
        "account-2"
    );
    let missing = redeem(json!({})).unwrap_err();
    assert_eq!(missing, Error::GrantClaim { claim: "tenant" });
    assert_eq!(
        redeem(json!({"tenant": "T3"})).unwrap_err().code(),
        "unknown_subject"
    );

    let inside = redeem(json!({"tenant": "T1", "aud_tenant": "T1"})).unwrap();
    assert_eq!(inside.tenant.as_deref(), Some("T1"));
    assert_eq!(inside.token_claims(RAS, "j", 60, now())["tenant"], "T1");
    for more in [
        json!({"tenant": "T1", "aud_tenant": "T2"}),
        json!({"tenant": "T1", "aud_tenant": "elsewhere"}),
        json!({"tenant": "T2", "aud_tenant": "T1"}),
    ] {
        let error = redeem(more.clone()).unwrap_err();
        assert_eq!(
            error,
            Error::GrantClaim {
                claim: "aud_tenant"
            },
            "{more}"
        );
    }
}

/// Own names and addresses find somebody only where that is agreed, and names that disagree find nobody.
///
/// Covers: ID-JAG-3.1-16, ID-JAG-3.1-17, ID-JAG-A8
#[test]
fn other_names() {
    let world = Jag::new();
    let accounts = || Linked {
        own: BTreeMap::from([
            ((None, "chat-1"), "account-1"),
            ((None, "chat-2"), "account-2"),
        ]),
        emails: BTreeMap::from([
            ("victim@corp.example", "victim"),
            ("victim@corp.example.evil.test", "victim"),
        ]),
        ..Linked::default()
    };
    let redeem = |idp: TrustedIdp, more: Value| {
        let ras = world.ras_of(idp, accounts());
        redeem_jag(&ras, &world.sign(more), &[], ME)
    };
    let unlinked = |more: Value| with(json!({"sub": "new"}), more);
    let trusting = || world.trusted().with_own_names();
    let by_name = redeem(trusting(), unlinked(json!({"aud_sub": "chat-2"}))).unwrap();
    assert_eq!(by_name.subject, "account-2");
    assert_eq!(
        redeem(trusting(), json!({"aud_sub": "chat-1"}))
            .unwrap()
            .subject,
        "account-1"
    );
    let conflict = redeem(trusting(), json!({"aud_sub": "chat-2"})).unwrap_err();
    assert_eq!(
        (conflict.code(), conflict.oauth_error().error),
        ("subject_conflict", "invalid_grant")
    );
    let ignored = redeem(world.trusted(), unlinked(json!({"aud_sub": "chat-2"}))).unwrap_err();
    assert_eq!(ignored.code(), "unknown_subject");

    let email = |address: &str, verified: bool| {
        unlinked(json!({"email": address, "email_verified": verified}))
    };
    let authority = || world.trusted().with_email_domain("corp.example");
    let found = redeem(authority(), email("victim@corp.example", true)).unwrap();
    assert_eq!(found.subject, "victim");
    for (idp, address, verified) in [
        (world.trusted(), "victim@corp.example", true),
        (authority(), "victim@corp.example", false),
        (authority(), "victim@corp.example.evil.test", true),
        (
            world.trusted().with_email_domain("other.example"),
            "victim@corp.example",
            true,
        ),
    ] {
        let error = redeem(idp, email(address, verified)).unwrap_err();
        assert_eq!(error.code(), "unknown_subject", "{address}");
    }
}

/// A SAML name finds a user by all members of its issuer's rule, if the provider may speak for that issuer.
///
/// Covers: ID-JAG-3.2.1-1, ID-JAG-3.2.2-3, ID-JAG-3.2.2-4, ID-JAG-3.2.2-5, ID-JAG-4.4.1-4, ID-JAG-9.5-1, ID-JAG-9.5-2,
/// Covers: ID-JAG-A9, ID-JAG-A10
#[test]
fn saml_names() {
    let world = Jag::new();
    let entity = "https://idp.example.com/exk33qwjcwDda7luK346";
    let published = json!({"format":"saml-nameid","issuer":entity,"nameid":"foo@example.com","nameid_format":"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress","sp_name_qualifier":"https://resource.example.com/saml/sp"});
    let name = SamlNameId::from_members(published.as_object().unwrap()).unwrap();
    assert_eq!(name.to_value(), published);
    let rule = || NameIdRule::with_fields([NameIdField::SpNameQualifier]);
    let accounts = |rule: &NameIdRule| Linked {
        name_ids: BTreeMap::from([(rule.key(&name).unwrap(), "saml-user")]),
        strict: true,
        ..Linked::default()
    };
    let idp = |rule: NameIdRule| {
        world
            .trusted()
            .with_saml_issuer(entity, rule)
            .with_saml_required()
    };
    let redeem = |idp: TrustedIdp, rule: &NameIdRule, sub_id: Option<Value>| {
        let ras = world.ras_of(idp, accounts(rule));
        let token = world.sign(json!({"sub_id": sub_id}));
        redeem_jag(&ras, &token, &[], ME)
    };
    let found = redeem(idp(rule()), &rule(), Some(published.clone())).unwrap();
    assert_eq!(found.subject, "saml-user");
    let other = |more: Value| Some(with(published.clone(), more));
    for (sub_id, code) in [
        (
            other(json!({"sp_name_qualifier": "https://other.example/sp"})),
            "unknown_subject",
        ),
        (
            other(json!({"nameid": "bar@example.com"})),
            "unknown_subject",
        ),
        (other(json!({"sp_name_qualifier": null})), "grant_claim"),
        (
            other(json!({"issuer": "https://other.example"})),
            "grant_claim",
        ),
        (other(json!({"format": "opaque", "id": "x"})), "grant_claim"),
        (other(json!({"format": null})), "grant_claim"),
        (None, "grant_claim"),
    ] {
        let error = redeem(idp(rule()), &rule(), sub_id.clone()).unwrap_err();
        assert_eq!(
            (error.code(), error.oauth_error().error),
            (code, "invalid_grant"),
            "{sub_id:?}"
        );
    }
    // By `nameid` alone only if the rule says so.
    let bare = || other(json!({"sp_name_qualifier": null, "nameid_format": null}));
    let alone = NameIdRule::nameid_alone();
    assert!(redeem(idp(alone.clone()), &alone, bare()).is_ok());
    assert!(redeem(idp(rule()), &rule(), bare()).is_err());
    assert!(redeem(idp(NameIdRule::with_fields([])), &rule(), bare()).is_err());
    // Where it is not required, what cannot be used is ignored, and the linked subject counts.
    for sub_id in [Some(published.clone()), other(json!({"format": "opaque"}))] {
        let ras = world.ras_of(world.trusted(), Linked::default());
        let token = world.sign(json!({"sub_id": sub_id}));
        assert_eq!(
            redeem_jag(&ras, &token, &[], ME).unwrap().subject,
            "account-1"
        );
    }
    // Who is named in it lends no trust to who signed the grant.
    let mallory = Jag::new();
    let untrusted = sign(
        &mallory.key,
        Some("oauth-id-jag+jwt"),
        &world.claims(json!({"iss": "https://mallory.example", "sub_id": published})),
    );
    let ras = world.ras_of(idp(rule()), accounts(&rule()));
    let error = redeem_jag(&ras, &untrusted, &[], ME).unwrap_err();
    assert_eq!(error.code(), "untrusted_issuer");
}

/// Scope, resource and details of a grant are the most that comes of it; a grant that names none gives the default.
///
/// Covers: ID-JAG-4.4.1-6, ID-JAG-4.4.1-7, ID-JAG-A16
#[test]
fn narrowing() {
    let world = Jag::new();
    let ras = world.ras();
    let redeem =
        |more: Value, asked: &[(&str, &str)]| redeem_jag(&ras, &world.sign(more), asked, ME);
    let wide = [("scope", "chat.read chat.history chat.admin")];
    let access = redeem(json!({"scope": "chat.read"}), &wide).unwrap();
    assert_eq!(access.scope, scope("chat.read"));
    let silent = redeem(json!({"scope": null}), &[]).unwrap();
    assert_eq!(silent.scope, scope("chat.read"));
    let silent = redeem(json!({"scope": null}), &[("scope", "chat.admin")]).unwrap_err();
    assert_eq!(silent.oauth_error().error, "invalid_scope");
    let elsewhere = redeem(json!({}), &[("resource", "https://files.chat.example/")]).unwrap_err();
    assert_eq!(elsewhere.oauth_error().error, "invalid_target");
    let foreign = redeem(json!({"resource": "https://api.other.example/"}), &[]).unwrap_err();
    assert_eq!(foreign.oauth_error().error, "invalid_target");

    let two = json!([
        {"type": "chat_read", "actions": ["read", "write"]},
        {"type": "chat_history", "actions": ["read"], "locations": ["https://evil.example/"]},
    ]);
    let granted = redeem(json!({"authorization_details": two}), &[]).unwrap();
    let read_write = json!([{"type": "chat_read", "actions": ["read", "write"]}]);
    assert_eq!(granted.authorization_details, Some(read_write));
    let asked = [(
        "authorization_details",
        r#"[{"type":"chat_read","actions":["read","delete"]}]"#,
    )];
    let granted = redeem(json!({"authorization_details": two}), &asked).unwrap();
    let read = json!([{"type": "chat_read", "actions": ["read"]}]);
    assert_eq!(granted.authorization_details, Some(read));
    let none = redeem(json!({}), &asked).unwrap_err();
    assert_eq!(none.oauth_error().error, "invalid_authorization_details");
    let no_terms = TrustedIdp::new(
        TrustedIssuer::new(url(IDP), world.keys()),
        scope("chat.read"),
    );
    let no_terms = world.ras_of(no_terms, Linked::default());
    let token = world.sign(json!({"authorization_details": two}));
    assert!(redeem_jag(&no_terms, &token, &[], ME).is_err());
}

/// `act` of an issuer that is not configured for delegation refuses the grant; the client is nobody's actor.
///
/// Covers: ID-JAG-3.1-12, ID-JAG-4.4.1-8, ID-JAG-A15
#[test]
fn actors() {
    let world = Jag::new();
    let token = |act: Value| world.sign(json!({"act": act}));
    let error = redeem_jag(&world.ras(), &token(json!({"sub": "agent"})), &[], ME).unwrap_err();
    assert_eq!(
        (error.code(), error.oauth_error().error),
        ("unexpected_actor", "invalid_grant")
    );
    let delegating = world.ras_of(world.trusted().with_delegation(), Linked::default());
    let access = redeem_jag(&delegating, &token(json!({"sub": "agent"})), &[], ME).unwrap();
    assert_eq!(access.actors.as_ref().unwrap().current().subject(), "agent");
    assert_eq!(
        access.token_claims(RAS, "j", 60, now())["act"],
        json!({"sub": "agent"})
    );
    // The client's own identifier as actor changes nothing but the claim, and a client is no actor by itself.
    let same = redeem_jag(&delegating, &token(json!({"sub": ME})), &[], ME).unwrap();
    assert_eq!(
        (&same.scope, &same.subject, &same.client_id),
        (&access.scope, &access.subject, &access.client_id)
    );
    let none = redeem_jag(&delegating, &world.sign(json!({})), &[], ME).unwrap();
    assert!(none.actors.is_none());
    assert!(!none.token_claims(RAS, "j", 60, now()).contains_key("act"));
}

/// The four cases of `cnf` and proof.
///
/// Covers: ID-JAG-9.8.1-1, ID-JAG-9.8.1.2.1-1, ID-JAG-9.8.1.2.2-1, ID-JAG-9.8.1.2.3-1, ID-JAG-9.8.1.2.4-1, ID-JAG-A13
#[test]
fn possession() {
    let world = Jag::new();
    let (ras, prover) = (world.ras(), prover());
    let jkt = base64url::encode(&prover.jkt());
    let bound = || world.sign(json!({"cnf": {"jkt": jkt}}));
    let free = || world.sign(json!({}));
    let send = |ras: &IdJagRedemption, token: &str, proof: Option<String>| {
        let fields: Vec<(&str, &str)> =
            proof.iter().map(|proof| ("dpop", proof.as_str())).collect();
        redeem_with(ras, token, &[], &client(ME), &fields)
    };
    let good = || Some(proof(&prover, RAS_TOKEN));
    let access = send(&ras, &bound(), good()).unwrap();
    assert!(access.is_dpop());
    assert_eq!(access.token_claims(RAS, "j", 60, now())["cnf"]["jkt"], jkt);
    let other = Some(proof(&support::prover(), RAS_TOKEN));
    let error = send(&ras, &bound(), other).unwrap_err();
    assert_eq!(
        (error.code(), error.oauth_error().error),
        ("proof_key", "invalid_grant")
    );
    let error = send(&ras, &bound(), None).unwrap_err();
    let published = json!({"error": "invalid_grant", "error_description": "Proof of possession required for this authorization grant"});
    assert_eq!(
        (
            error.to_response().status().as_u16(),
            body(&error.to_response())
        ),
        (400, published)
    );
    let access = send(&ras, &free(), good()).unwrap();
    assert_eq!(body(&access.respond("t", 60))["token_type"], "DPoP");
    let error = send(&ras, &free(), Some(proof(&prover, IDP_TOKEN))).unwrap_err();
    assert_eq!(error.oauth_error().error, "invalid_dpop_proof");
    assert!(!send(&ras, &free(), None).unwrap().is_dpop());
    let strict = world.ras().with_proof_required();
    assert_eq!(
        send(&strict, &free(), None)
            .unwrap_err()
            .oauth_error()
            .error,
        "invalid_grant"
    );
    assert!(send(&strict, &free(), good()).unwrap().is_dpop());

    // The other grant type's name is for requests with a proof.
    let dpop = [("grant_type", GRANT_TYPE_DPOP)];
    let proof = good().unwrap();
    assert!(redeem_with(&ras, &bound(), &dpop, &client(ME), &[("dpop", &proof)]).is_ok());
    let error = redeem_with(&ras, &free(), &dpop, &client(ME), &[]).unwrap_err();
    assert_eq!(error.code(), "proof_required");
}

/// A grant is redeemed again by its own client alone, until it expires; a public client's is good once.
///
/// Covers: ID-JAG-4.4.3-2, ID-JAG-9.1-1, ID-JAG-A3
#[test]
fn again() {
    let world = Jag::new();
    let (ras, token) = (world.ras(), world.sign(json!({})));
    for _ in 0..3 {
        assert!(redeem_jag(&ras, &token, &[], ME).is_ok());
    }
    assert_eq!(
        redeem_jag(&ras, &token, &[], "other").unwrap_err().code(),
        "grant_client"
    );
    let single = world.ras_of(world.trusted().with_single_use(), Linked::default());
    assert!(redeem_jag(&single, &token, &[], ME).is_ok());
    assert_eq!(
        redeem_jag(&single, &token, &[], ME).unwrap_err().code(),
        "replayed"
    );

    let public = Client::new(ME, ClientMethod::Public);
    let error = redeem_with(&ras, &token, &[], &public, &[]).unwrap_err();
    assert_eq!(error.oauth_error().error, "unauthorized_client");
    let clients = ClientRules::new().with_public_clients();
    let open = world.ras_for(world.trusted(), Linked::default(), clients);
    assert!(redeem_with(&open, &token, &[], &public, &[]).is_ok());
    let error = redeem_with(&open, &token, &[], &public, &[]).unwrap_err();
    assert_eq!(error.code(), "replayed");
}

/// A server is no provider to itself, and tells only clients, each for itself, whose grants it accepts.
///
/// Covers: ID-JAG-9.3-1, ID-JAG-A14, ID-JAG-9.4-2, ID-JAG-4.1-1, ID-JAG-3.1-14
#[test]
fn relations() {
    let world = Jag::new();
    let own = TrustedIdp::new(
        TrustedIssuer::new(url(RAS), world.keys()),
        scope("chat.read"),
    );
    assert_eq!(world.ras().trust(own).unwrap_err(), Error::SameDomain);
    let token = world.sign(json!({"iss": RAS}));
    let error = redeem_jag(&world.ras(), &token, &[], ME).unwrap_err();
    assert_eq!(error.oauth_error().error, "invalid_grant");

    let ras = world.ras_of(world.trusted().with_client(ME), Linked::default());
    assert!(redeem_jag(&ras, &world.sign(json!({})), &[], ME).is_ok());
    let other = world.sign(json!({"client_id": "other"}));
    assert_eq!(
        redeem_jag(&ras, &other, &[], "other").unwrap_err().code(),
        "grant_refused"
    );
    assert_eq!(ras.accepts(Some(&client(ME)), IDP), Ok(true));
    assert_eq!(ras.accepts(Some(&client("other")), IDP), Ok(false));
    assert_eq!(
        ras.accepts(Some(&client(ME)), "https://unknown.example"),
        Ok(false)
    );
    assert_eq!(
        ras.accepts(None, IDP).unwrap_err().to_response().status(),
        401
    );

    // What the provider says of the login is there for a policy.
    let strict = Linked {
        acr: Some("gold"),
        ..Linked::default()
    };
    let ras = world.ras_of(world.trusted(), strict);
    assert!(redeem_jag(&ras, &world.sign(json!({"acr": "gold"})), &[], ME).is_ok());
    let error = redeem_jag(&ras, &world.sign(json!({"acr": "bronze"})), &[], ME).unwrap_err();
    assert_eq!(error.code(), "grant_refused");
}

fn scopes() -> impl Strategy<Value = String> {
    let names = ["chat.read", "chat.history", "chat.admin", "other"];
    proptest::sample::subsequence(names.to_vec(), 0..=4).prop_map(|names| names.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever grant, terms, default and request say, the result is within each of them.
    ///
    /// Covers: ID-JAG-A16, ID-JAG-4.4.1-6
    #[test]
    fn scopes_only_narrow(
        granted in proptest::option::of(scopes()),
        terms in scopes(),
        default in scopes(),
        asked in proptest::option::of(scopes()),
    ) {
        let world = Jag::new();
        let issuer = TrustedIssuer::new(url(IDP), world.keys());
        let idp = TrustedIdp::new(issuer, scope(&terms)).with_default_scopes(scope(&default));
        let ras = world.ras_of(idp, Linked::default());
        let token = world.sign(json!({"scope": granted}));
        let more: Vec<(&str, &str)> = asked.iter().map(|asked| ("scope", asked.as_str())).collect();
        if let Ok(access) = redeem_jag(&ras, &token, &more, ME) {
            prop_assert!(!access.scope.is_empty());
            prop_assert!(access.scope.is_subset(&scope(&terms)));
            let ceiling = granted.as_deref().unwrap_or(&default);
            prop_assert!(access.scope.is_subset(&scope(ceiling)));
            if let Some(asked) = asked.filter(|asked| !asked.is_empty()) {
                prop_assert!(access.scope.is_subset(&scope(&asked)));
            }
        }
    }
}

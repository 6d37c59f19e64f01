//! The CAEP Interoperability Profile, and access tokens as it wants them.
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

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::plane::{self, BASE, CREDENTIAL, REVOKED, request, settings};
use common::*;
use http::{Request, Response};
use jose_x509::jws::ProtectedHeader;
use jose_x509::provider::ring;
use jose_x509::{Algorithm, KeySet, SigningKey, jwt};
use serde_json::{Value, json};
use ssf_set::caep::{ChangeType, Common, CredentialChange, SessionRevoked};
use ssf_set::ssf::Verification;
use ssf_set::{Event, LanguageMap, SetIssuer, SetRequest, SetVerifier, Subject, SubjectIdentifier};
use ssf_stream::metadata::{POLL, PUSH, TransmitterMetadata};
use ssf_stream::profile::{Finding, InteropProfile, UseCase};
use ssf_stream::queue::MemoryEventQueue;
use ssf_stream::receiver::StreamReceiver;
use ssf_stream::stream::StreamConfiguration;
use ssf_stream::transmitter::{
    AccessTokens, Client, MemoryStreamStore, Occurrence, Operation, RemovalLog, RemovalOutcome,
    Reply, Settings, StoreError, Storing, SubjectRemoval, Transmitter,
};

const AS: &str = "https://as.example.com";

struct Api {
    transmitter: Transmitter<SigningKey>,
    server: SigningKey,
    set: String,
}

fn api() -> Api {
    api_with(settings(), None)
}

fn api_with(settings: Settings, removals: Option<Arc<dyn RemovalLog>>) -> Api {
    let provider = ring::provider();
    let key = |kid| {
        SigningKey::generate(&provider, Algorithm::Es256)
            .unwrap()
            .with_kid(kid)
    };
    let (server, own) = (key("as"), key("k"));
    let issuer = SetIssuer::new(own, provider, ISSUER).unwrap();
    let subject = SubjectIdentifier::email("a@example.com").unwrap();
    let set = issuer
        .issue(
            &SetRequest::new(BASE, subject, SessionRevoked::default()),
            at(NOW),
        )
        .unwrap();
    let keys = Arc::new(KeySet::new(vec![server.verifying_key().unwrap()]).unwrap());
    let tokens = AccessTokens::new(AS, keys, BASE)
        .with_client("rx", Client::new("rx", AUDIENCE))
        .with_client("helpdesk", Client::new("rx", AUDIENCE))
        .with_client("other", Client::new("other", "https://other.example.org"))
        .with_max_lifetime(Duration::from_secs(3600))
        .with_revoked(Box::new(|jwt| jwt.id() == Some("revoked")));
    let mut transmitter = Transmitter::new(
        issuer,
        provider,
        settings.with_streams_per_receiver(100),
        Arc::new(MemoryStreamStore::new()),
        Arc::new(MemoryEventQueue::new(10)),
        Arc::new(tokens),
    )
    .unwrap();
    if let Some(removals) = removals {
        transmitter = transmitter.with_removal_log(removals);
    }
    Api {
        transmitter,
        server,
        set: set.compact,
    }
}

impl Api {
    fn claims(&self, scope: &str) -> Value {
        json!({
            "iss": AS, "aud": BASE, "sub": "rx", "client_id": "rx", "scope": scope,
            "iat": NOW, "exp": NOW + 600, "jti": "j",
        })
    }

    fn sign(&self, typ: &'static str, claims: &Value) -> String {
        jwt::sign(&self.server, &ProtectedHeader::new(typ), claims).unwrap()
    }

    fn token(&self, scope: &str) -> String {
        self.sign("at+jwt", &self.claims(scope))
    }

    fn send(&self, mut request: Request<Vec<u8>>, authorization: &[String]) -> Response<Vec<u8>> {
        for value in authorization {
            request
                .headers_mut()
                .append("authorization", value.parse().unwrap());
        }
        let (parts, body) = request.into_parts();
        match run(self.transmitter.handle(&parts, &body, at(NOW))) {
            Reply::Respond(response) => response,
            Reply::Wait(_) => panic!("a long poll"),
        }
    }

    /// Status and `WWW-Authenticate`.
    fn ask(&self, method: &str, target: &str, body: &Value, token: &str) -> (u16, String) {
        let response = self.send(request(method, target, body), &[format!("Bearer {token}")]);
        let challenge = response.headers().get("www-authenticate");
        let challenge = challenge.map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), challenge.unwrap_or_default())
    }
}

fn operations(id: &str) -> Vec<(Operation, &'static str, String, Value, u16)> {
    use Operation::*;
    let subject = json!({"format": "opaque", "id": "x"});
    vec![
        (CreateStream, "POST", "/streams".to_owned(), json!({}), 201),
        (ReadStream, "GET", "/streams".to_owned(), Value::Null, 200),
        (
            ReadStream,
            "GET",
            format!("/streams?stream_id={id}"),
            Value::Null,
            200,
        ),
        (
            UpdateStream,
            "PATCH",
            "/streams".to_owned(),
            json!({"stream_id": id}),
            200,
        ),
        (
            ReplaceStream,
            "PUT",
            "/streams".to_owned(),
            json!({"stream_id": id, "delivery": {"method": POLL}}),
            200,
        ),
        (
            ReadStatus,
            "GET",
            format!("/status?stream_id={id}"),
            Value::Null,
            200,
        ),
        (
            UpdateStatus,
            "POST",
            "/status".to_owned(),
            json!({"stream_id": id, "status": "enabled"}),
            200,
        ),
        (
            AddSubject,
            "POST",
            "/subjects/add".to_owned(),
            json!({"stream_id": id, "subject": subject}),
            200,
        ),
        (
            RemoveSubject,
            "POST",
            "/subjects/remove".to_owned(),
            json!({"stream_id": id, "subject": subject}),
            204,
        ),
        (
            Verify,
            "POST",
            "/verify".to_owned(),
            json!({"stream_id": id}),
            204,
        ),
        (
            Poll,
            "POST",
            format!("/poll/{id}"),
            json!({"returnImmediately": true}),
            200,
        ),
        (
            DeleteStream,
            "DELETE",
            format!("/streams?stream_id={id}"),
            Value::Null,
            204,
        ),
    ]
}

fn create(api: &Api) -> String {
    let response = api.send(
        request("POST", "/streams", &json!({})),
        &[format!("bEaReR {}", api.token("ssf.manage"))],
    );
    assert_eq!(response.status(), 201, "the scheme in any case");
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    body["stream_id"].as_str().unwrap().to_owned()
}

/// Covers: CAEP-INTEROP-2.7.2-2, CAEP-INTEROP-2.7.2-3, CAEP-INTEROP-2.7.2-4, CAEP-INTEROP-2.7.2-5, CAEP-INTEROP-2.7.2-6, CAEP-INTEROP-2.7.3-1
/// Covers: CAEP-INTEROP-2.7.3-4, CAEP-INTEROP-2.7.3-5, CAEP-INTEROP-2.3.8.2-1, CAEP-INTEROP-2.3.8.2-3, CAEP-INTEROP-2.3.8.2-4, CAEP-INTEROP-A4
/// Covers: CAEP-INTEROP-A9, SSF-8-2, SET-PUSH-3-2
#[test]
fn scopes_are_compared_whole() {
    let api = api();
    for scope in [
        "ssf.manage",
        "ssf.read",
        "ssf.manage ssf.read",
        "openid ssf.manage",
        "ssf.manage.create",
        "ssf.manage.delete",
        "ssf.manage.poll",
        "ssf.manager",
        "ssf.management",
        "ssf.manage.",
        "SSF.MANAGE",
        "ssf",
        "ssf.read.all",
        "",
        "ssf.manage,ssf.read",
    ] {
        let id = create(&api);
        let words: Vec<&str> = scope.split(' ').collect();
        let has = |word| words.contains(&word);
        for (operation, method, target, body, good) in operations(&id) {
            use Operation::*;
            let allowed = has("ssf.manage")
                || match operation {
                    ReadStream | ReadStatus => has("ssf.read"),
                    Poll => has("ssf.read") || has("ssf.manage.poll"),
                    CreateStream => has("ssf.manage.create"),
                    DeleteStream => has("ssf.manage.delete"),
                    _ => false,
                };
            let (status, challenge) = api.ask(method, &target, &body, &api.token(scope));
            let wanted = match operation {
                ReadStream | ReadStatus | Poll => "ssf.read",
                _ => "ssf.manage",
            };
            let expected = match allowed {
                true => (good, String::new()),
                false => (
                    403,
                    format!("Bearer error=\"insufficient_scope\", scope=\"{wanted}\""),
                ),
            };
            assert_eq!((status, challenge), expected, "{scope:?} {method} {target}");
        }
    }
    // The stream of another receiver is none of this one's, whatever the scope.
    let id = create(&api);
    let mut claims = api.claims("ssf.manage ssf.read");
    claims["client_id"] = json!("other");
    let other = api.sign("at+jwt", &claims);
    for (operation, method, target, body, _) in operations(&id) {
        if !matches!(operation, Operation::CreateStream) && target != "/streams"
            || matches!(
                operation,
                Operation::UpdateStream | Operation::ReplaceStream
            )
        {
            assert_eq!(
                api.ask(method, &target, &body, &other).0,
                404,
                "{method} {target}"
            );
        }
    }
}

/// Covers: CAEP-INTEROP-2.7.1-3, CAEP-INTEROP-2.7.3-2, CAEP-INTEROP-2.7.3-3, CAEP-INTEROP-2.7.3-5, CAEP-INTEROP-A2, CAEP-INTEROP-A3, CAEP-INTEROP-A5
/// Covers: SSF-A19, SET-POLL-4.4.1-1
#[test]
fn only_good_tokens_in_the_right_place_count() {
    let api = api();
    let good = api.token("ssf.manage");
    let get = |target: &str, authorization: &[String]| {
        let response = api.send(request("GET", target, &Value::Null), authorization);
        let challenge = response
            .headers()
            .get("www-authenticate")
            .map(|v| v.to_str().unwrap().to_owned());
        assert!(
            !String::from_utf8_lossy(response.body()).contains(&good),
            "nothing is repeated"
        );
        (response.status().as_u16(), challenge.unwrap_or_default())
    };
    let bearer = |token: &str| vec![format!("Bearer {token}")];
    assert_eq!(get("/streams", &bearer(&good)).0, 200);
    let none = (401, "Bearer".to_owned());
    let twice = (400, "Bearer error=\"invalid_request\"".to_owned());
    let wrong = (401, "Bearer error=\"invalid_token\"".to_owned());
    assert_eq!(
        get("/streams", &[]),
        none,
        "no error code without credentials"
    );
    let in_query = format!("/streams?access_token={good}");
    assert_eq!(get(&in_query, &[]), none);
    assert_eq!(get(&in_query, &bearer(&good)), twice);
    assert_eq!(get("/streams?access%5Ftoken=x", &bearer(&good)), twice);
    assert_eq!(
        get("/streams", &[bearer(&good), bearer(&good)].concat()),
        twice
    );
    assert_eq!(get("/streams", &["Bearer".to_owned()]), none);
    assert_eq!(get("/streams", &[format!("Bearer {good} x")]), twice);
    assert_eq!(get("/streams", &["Basic eDp5".to_owned()]), none);
    let mut cookie = request("GET", "/streams", &Value::Null);
    cookie
        .headers_mut()
        .insert("cookie", format!("access_token={good}").parse().unwrap());
    assert_eq!(api.send(cookie, &[]).status(), 401);

    let with = |name: &str, value: Value| {
        let mut claims = api.claims("ssf.manage");
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims
                .as_object_mut()
                .unwrap()
                .insert(name.to_owned(), value),
        };
        api.sign("at+jwt", &claims)
    };
    let foreign = SigningKey::generate(&ring::provider(), Algorithm::Es256)
        .unwrap()
        .with_kid("as");
    for (what, token) in [
        (
            "another key",
            jwt::sign(
                &foreign,
                &ProtectedHeader::new("at+jwt"),
                &api.claims("ssf.manage"),
            )
            .unwrap(),
        ),
        ("expired", with("exp", json!(NOW - 600))),
        ("without an expiry", with("exp", Value::Null)),
        ("not yet valid", with("nbf", json!(NOW + 600))),
        ("too long-lived", with("exp", json!(NOW + 7200))),
        (
            "another resource",
            with("aud", json!("https://other.example.com")),
        ),
        ("no audience", with("aud", Value::Null)),
        ("another issuer", with("iss", json!(ISSUER))),
        ("revoked", with("jti", json!("revoked"))),
        (
            "a client that nobody knows",
            with("client_id", json!("stranger")),
        ),
        ("no client", with("client_id", Value::Null)),
        ("events", with("events", json!({REVOKED: {}}))),
        (
            "bound to a key that nobody proves",
            with("cnf", json!({"jkt": "x"})),
        ),
        ("another type", api.sign("JWT", &api.claims("ssf.manage"))),
        (
            "a SET of the same shape",
            api.sign("secevent+jwt", &api.claims("ssf.manage")),
        ),
        ("a SET", api.set.clone()),
        ("nothing", "x.y.z".to_owned()),
    ] {
        assert_eq!(get("/streams", &bearer(&token)), wrong, "{what}");
    }
}

fn rs256() -> SigningKey {
    let jwk = include_bytes!("../../../test-vectors/keys/rsa2048.jwk.json");
    let mut jwk: Value = serde_json::from_slice(jwk).unwrap();
    jwk["alg"] = json!("RS256");
    SigningKey::from_jwk_slice(&ring::provider(), jwk.to_string().as_bytes())
        .unwrap()
        .with_kid("rsa")
}

fn profile() -> InteropProfile {
    InteropProfile::new([UseCase::SessionRevocation, UseCase::CredentialChange])
}

/// Covers: CAEP-INTEROP-1-1, CAEP-INTEROP-2.1-1, CAEP-INTEROP-2.3.1-1, CAEP-INTEROP-2.3.2-1, CAEP-INTEROP-2.3.3-1, CAEP-INTEROP-2.3.4-1
/// Covers: CAEP-INTEROP-2.3.5-1, CAEP-INTEROP-2.3.6-1, CAEP-INTEROP-2.3.7-1, CAEP-INTEROP-2.3.8.1-1, CAEP-INTEROP-2.3.8.1-2, CAEP-INTEROP-3.1-1, CAEP-INTEROP-3.2-1
#[test]
fn metadata_and_streams_are_held_against_the_profile() {
    let good = api().transmitter.metadata().clone();
    assert_eq!(profile().check_metadata(&good), []);
    for (version, fits) in [
        (Some("1_0"), true),
        (Some("1_1"), true),
        (Some("2_0"), true),
        (Some("1_1-ID1"), true),
        (Some("10_0"), true),
        (None, false),
        (Some("1_0-ID3"), false),
        (Some("0_9"), false),
        (Some("1.0"), false),
        (Some("1"), false),
        (Some("1_"), false),
        (Some("1_0-IDx"), false),
        (Some("+1_0"), false),
        (Some("1_0_0"), false),
        (Some(""), false),
        (Some("99999999999_0"), false),
    ] {
        let mut metadata = good.clone();
        metadata.spec_version = version.map(str::to_owned);
        let expected: &[Finding] = if fits { &[] } else { &[Finding::SpecVersion] };
        assert_eq!(profile().check_metadata(&metadata), expected, "{version:?}");
    }
    type Change = fn(&mut TransmitterMetadata);
    let changes: [(Change, Finding); 10] = [
        (|m| m.jwks_uri = None, Finding::Missing("jwks_uri")),
        (
            |m| m.configuration_endpoint = None,
            Finding::Missing("configuration_endpoint"),
        ),
        (
            |m| m.status_endpoint = None,
            Finding::Missing("status_endpoint"),
        ),
        (
            |m| m.verification_endpoint = None,
            Finding::Missing("verification_endpoint"),
        ),
        (
            |m| m.delivery_methods_supported.clear(),
            Finding::Missing("delivery_methods_supported"),
        ),
        (
            |m| m.delivery_methods_supported = vec![PUSH.to_owned()],
            Finding::DeliveryMethods,
        ),
        (
            |m| m.delivery_methods_supported = vec![POLL.to_owned(), "x".to_owned()],
            Finding::DeliveryMethods,
        ),
        (
            |m| m.authorization_schemes.clear(),
            Finding::AuthorizationScheme,
        ),
        (
            |m| m.authorization_schemes = vec!["urn:ietf:rfc:8705".to_owned()],
            Finding::AuthorizationScheme,
        ),
        (
            |m| m.status_endpoint = Some("http://tr.example.com/s".to_owned()),
            Finding::NotHttps("status_endpoint"),
        ),
    ];
    for (change, finding) in changes {
        let mut metadata = good.clone();
        change(&mut metadata);
        assert_eq!(profile().check_metadata(&metadata), [finding]);
        assert!(finding.requirement().starts_with("CAEP-INTEROP-2."));
    }
    // Subjects need not be added.
    let mut metadata = good;
    metadata.add_subject_endpoint = None;
    metadata.remove_subject_endpoint = None;
    assert_eq!(profile().check_metadata(&metadata), []);

    let stream = |supported: Value| {
        let stream = json!({
            "stream_id": "s", "iss": ISSUER, "aud": AUDIENCE, "events_supported": supported, "events_delivered": [],
            "delivery": {"method": POLL, "endpoint_url": "https://tr.example.com/p"},
        });
        StreamConfiguration::parse(stream.to_string().as_bytes()).unwrap()
    };
    assert_eq!(
        profile().check_stream(&stream(json!([REVOKED, CREDENTIAL]))),
        []
    );
    let half = stream(json!([REVOKED]));
    assert_eq!(
        profile().check_stream(&half),
        [Finding::EventType(UseCase::CredentialChange)]
    );
    let one = InteropProfile::new([UseCase::SessionRevocation]);
    assert_eq!(
        one.check_stream(&half),
        [],
        "what is not claimed is no failure"
    );
    for delivery in [
        json!(null),
        json!({"method": "urn:x", "endpoint_url": "https://a.example"}),
        json!({}),
    ] {
        let bad = json!({"stream_id": "s", "iss": ISSUER, "aud": AUDIENCE, "events_delivered": [], "delivery": delivery});
        assert!(StreamConfiguration::parse(bad.to_string().as_bytes()).is_err());
    }
}

fn reason(common: Common) -> Common {
    common.with_reason_admin(LanguageMap::new("en", "Policy Violation").unwrap())
}

/// Covers: CAEP-INTEROP-2.2-1, CAEP-INTEROP-2.3.3-1, CAEP-INTEROP-2.5-1, CAEP-INTEROP-2.5-2, CAEP-INTEROP-2.6-1, CAEP-INTEROP-2.6-2, CAEP-INTEROP-A6
/// Covers: CAEP-INTEROP-A7, CAEP-INTEROP-2.8.1-1, CAEP-INTEROP-3.1-2, CAEP-INTEROP-3.2-2, CAEP-INTEROP-3.2-3, CAEP-INTEROP-3.2-4, CAEP-INTEROP-3.2-5
#[test]
fn sets_are_held_against_the_profile() {
    let provider = ring::provider();
    let rsa = rs256();
    let ec = SigningKey::generate(&provider, Algorithm::Es256)
        .unwrap()
        .with_kid("ec");
    let jwks = json!({"keys": [rsa.public_jwk().to_value()]});
    let keys = Arc::new(
        KeySet::new(vec![
            rsa.verifying_key().unwrap(),
            ec.verifying_key().unwrap(),
        ])
        .unwrap(),
    );
    let wide = SetVerifier::ssf(ISSUER, keys.clone(), [AUDIENCE]).unwrap();
    let narrow = wide.clone().with_algorithms(InteropProfile::algorithms());
    let (rsa, ec) = (
        SetIssuer::new(rsa, provider, ISSUER).unwrap(),
        SetIssuer::new(ec, provider, ISSUER).unwrap(),
    );
    let email: Subject = SubjectIdentifier::email("a@example.com").unwrap().into();
    let opaque: Subject = SubjectIdentifier::opaque("x").unwrap().into();
    let good: Event = SessionRevoked::new(reason(Common::at(NOW))).into();
    let check = |issuer: &SetIssuer<SigningKey>, subject: &Subject, event: &Event| {
        let set = issuer
            .issue(
                &SetRequest::new(AUDIENCE, subject.clone(), event.clone()),
                at(NOW),
            )
            .unwrap();
        (
            profile().check_set(&wide.verify(&set.compact, at(NOW)).unwrap()),
            narrow.verify(&set.compact, at(NOW)).is_ok(),
        )
    };
    assert_eq!(check(&rsa, &email, &good), (vec![], true));
    assert_eq!(check(&ec, &email, &good), (vec![Finding::Algorithm], false));
    let iss_sub = SubjectIdentifier::iss_sub("https://idp.example.com", "s")
        .unwrap()
        .into();
    assert_eq!(check(&rsa, &iss_sub, &good).0, []);
    let phone = SubjectIdentifier::phone_number("+12065550123")
        .unwrap()
        .into();
    for wrong in [&opaque, &phone] {
        assert_eq!(check(&rsa, wrong, &good).0, [Finding::SubjectFormat]);
    }
    assert_eq!(check(&rsa, &opaque, &Verification::default().into()).0, []);
    let bare: Event = SessionRevoked::default().into();
    assert_eq!(
        check(&rsa, &email, &bare),
        (vec![Finding::ReasonAdmin], true),
        "a finding, and accepted all the same"
    );
    assert_eq!(
        InteropProfile::new([UseCase::CredentialChange]).check_event(&bare),
        []
    );

    // Two events, a payload that breaks CAEP, and the oldest tricks.
    let claims = |events: Value| json!({"iss": ISSUER, "aud": AUDIENCE, "iat": NOW, "jti": "j", "sub_id": {"format": "email", "email": "a@example.com"}, "events": events});
    let signed = |events: Value| {
        jwt::sign(
            &rs256(),
            &ProtectedHeader::new("secevent+jwt"),
            &claims(events),
        )
        .unwrap()
    };
    let assurance = "https://schemas.openid.net/secevent/caep/event-type/assurance-level-change";
    assert!(
        narrow
            .verify(&signed(json!({REVOKED: {}})), at(NOW))
            .is_ok()
    );
    let two = narrow.verify(
        &signed(json!({REVOKED: {}, "urn:example:alias": {}})),
        at(NOW),
    );
    assert_eq!(two.unwrap_err().code(), "event_count");
    let level = narrow.verify(&signed(json!({assurance: {"current_level": "x"}})), at(NOW));
    assert_eq!(
        level.unwrap_err().code(),
        "event_member",
        "without a namespace"
    );
    for alg in ["none", "HS256", "RS384", "PS256", "ES256"] {
        let encode = |value: &Value| jose_x509::base64url::encode(value.to_string().as_bytes());
        let header = encode(&json!({"alg": alg, "typ": "secevent+jwt", "kid": "rsa"}));
        let good = signed(json!({REVOKED: {}}));
        let signature = if alg == "none" {
            ""
        } else {
            good.rsplit('.').next().unwrap()
        };
        let token = format!(
            "{header}.{}.{signature}",
            encode(&claims(json!({REVOKED: {}})))
        );
        assert!(narrow.verify(&token, at(NOW)).is_err(), "{alg}");
    }

    // Every value of the two fields.
    let types = [
        "password",
        "pin",
        "x509",
        "fido2-platform",
        "fido2-roaming",
        "fido-u2f",
        "verifiable-credential",
        "phone-voice",
        "phone-sms",
        "app",
        "agreed",
    ];
    for credential_type in types {
        for change in [
            ChangeType::Create,
            ChangeType::Revoke,
            ChangeType::Update,
            ChangeType::Delete,
        ] {
            let event = |common| {
                Event::from(CredentialChange::new(common, credential_type, change).unwrap())
            };
            assert_eq!(
                profile().check_event(&event(Common::at(NOW))),
                [Finding::ReasonAdmin]
            );
            let event = event(reason(Common::at(NOW)));
            assert_eq!(profile().check_event(&event), []);
            let set = ec
                .issue(&SetRequest::new(AUDIENCE, email.clone(), event), at(NOW))
                .unwrap();
            let set = wide.verify(&set.compact, at(NOW)).unwrap();
            let Event::CredentialChange(read) = set.event() else {
                panic!()
            };
            assert_eq!(
                (read.credential_type.as_str(), read.change_type),
                (credential_type, change)
            );
        }
    }

    let set = |issuer: &SetIssuer<SigningKey>| {
        let set = issuer
            .issue(
                &SetRequest::new(AUDIENCE, email.clone(), good.clone()),
                at(NOW),
            )
            .unwrap();
        wide.verify(&set.compact, at(NOW)).unwrap()
    };
    assert_eq!(profile().check_keys(&jwks, &set(&rsa)), []);
    assert_eq!(
        profile().check_keys(&jwks, &set(&ec)),
        [Finding::KeyNotPublished]
    );
    let mut weak = jwks;
    for (bits, weak_one) in [
        (1024_usize, true),
        (2047, true),
        (2048, false),
        (4096, false),
    ] {
        let mut n = vec![0xff_u8; bits.div_ceil(8)];
        if bits % 8 != 0 {
            n[0] = 0x7f;
        }
        weak["keys"][0]["n"] = json!(jose_x509::base64url::encode(&n));
        let expected: &[Finding] = if weak_one { &[Finding::WeakKey] } else { &[] };
        assert_eq!(profile().check_keys(&weak, &set(&rsa)), expected, "{bits}");
        if weak_one {
            let key: Value = weak["keys"][0].clone();
            let parsed = jose_x509::Jwk::from_slice(key.to_string().as_bytes());
            assert!(
                parsed.is_err(),
                "the verifier does not take such a key either: {bits}"
            );
        }
    }
    // The receiver's end in the profile takes RS256 alone.
    let stream = json!({"stream_id": "s", "iss": ISSUER, "aud": AUDIENCE, "events_delivered": [], "delivery": {"method": POLL, "endpoint_url": "https://tr.example.com/p"}});
    let stream = StreamConfiguration::parse(stream.to_string().as_bytes()).unwrap();
    let receiver = StreamReceiver::new(api().transmitter.metadata(), &stream, keys)
        .unwrap()
        .with_algorithms(InteropProfile::algorithms());
    let response = |issuer: &SetIssuer<SigningKey>| {
        let set = issuer
            .issue(
                &SetRequest::new(AUDIENCE, email.clone(), good.clone()),
                at(NOW),
            )
            .unwrap();
        ssf_stream::poll::PollResponse::new(vec![(set.id, set.compact)], false)
    };
    assert_eq!(receiver.verify(&response(&rsa), at(NOW)).sets.len(), 1);
    assert_eq!(receiver.verify(&response(&ec), at(NOW)).refused.len(), 1);
}

/// Events under two names, and subjects in two places.
///
/// Covers: SSF-4.2.1-2, SSF-3.1.1-1
#[test]
fn what_is_said_twice_counts_once_and_contradictions_not_at_all() {
    let key = rs256();
    let keys = Arc::new(KeySet::new(vec![key.verifying_key().unwrap()]).unwrap());
    let verifier = SetVerifier::ssf(ISSUER, keys, [AUDIENCE]).unwrap();
    let alias = "urn:example:session-revoked";
    let aliased = verifier.clone().with_alternative_name(REVOKED, alias);
    let email = json!({"format": "email", "email": "a@example.com"});
    let sign = |events: Value| {
        let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "iat": NOW, "jti": "j", "sub_id": email, "events": events});
        jwt::sign(&key, &ProtectedHeader::new("secevent+jwt"), &claims).unwrap()
    };
    let both = sign(json!({REVOKED: {"event_timestamp": NOW}, alias: {"event_timestamp": NOW}}));
    let set = aliased.verify(&both, at(NOW)).unwrap();
    assert_eq!((set.events().len(), set.event().uri()), (1, REVOKED));
    assert_eq!(
        verifier.verify(&both, at(NOW)).unwrap_err().code(),
        "event_count"
    );
    for wrong in [
        json!({REVOKED: {}, CREDENTIAL: {}}),
        json!({REVOKED: {}, "urn:example:other": {}}),
        json!({REVOKED: {}, alias: {"event_timestamp": NOW}}),
        json!({REVOKED: {}, alias: {}, "urn:example:other": {}}),
    ] {
        let error = aliased.verify(&sign(wrong), at(NOW)).unwrap_err();
        assert_eq!(
            (error.code(), error.set_error_code().unwrap().as_str()),
            ("event_count", "invalid_request")
        );
    }
    assert!(aliased.verify(&sign(json!({alias: {}})), at(NOW)).is_ok());

    // A subject in the payload may repeat `sub_id`, which is the one that counts.
    let strict = verifier.clone().with_legacy_subjects(ISSUER);
    let same = sign(json!({REVOKED: {"subject": email}}));
    let other = sign(json!({REVOKED: {"subject": {"format": "email", "email": "b@example.com"}}}));
    let subject = Subject::from(SubjectIdentifier::email("a@example.com").unwrap());
    assert_eq!(
        strict.verify(&same, at(NOW)).unwrap().subject(),
        Some(&subject)
    );
    assert!(strict.verify(&other, at(NOW)).is_err());
    for set in [same, other] {
        assert_eq!(
            verifier.verify(&set, at(NOW)).unwrap().subject(),
            Some(&subject)
        );
    }
}

/// Covers: SSF-A15, SET-PUSH-A1
#[test]
fn strangers_cause_no_fetch_and_little_work() {
    use jose_x509::{Algorithm, KeySet};
    use ssf_stream::push::{Transmitter as PushedBy, receive};
    use ssf_stream::receiver::{KeyRefresh, PeerRate};
    let provider = ring::provider();
    // What a key set may have: large ones are refused, keys of other uses and kinds verify nothing.
    let own = SigningKey::generate(&provider, Algorithm::Es256)
        .unwrap()
        .with_kid("k");
    let read = |keys: Value| {
        KeySet::from_jwks_slice(&provider, json!({"keys": keys}).to_string().as_bytes())
    };
    let mut for_encryption = own.public_jwk().to_value();
    for_encryption["use"] = json!("enc");
    let symmetric = json!({"kty": "oct", "kid": "k", "alg": "HS256", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"});
    let issuer = SetIssuer::new(own, provider, ISSUER).unwrap();
    let subject = SubjectIdentifier::email("a@example.com").unwrap();
    let set = issuer
        .issue(
            &SetRequest::new(AUDIENCE, subject.clone(), SessionRevoked::default()),
            at(NOW),
        )
        .unwrap();
    let verifier = |keys: KeySet| SetVerifier::ssf(ISSUER, Arc::new(keys), [AUDIENCE]).unwrap();
    for keys in [json!([symmetric]), json!([for_encryption]), json!([])] {
        if let Ok(keys) = read(keys) {
            assert!(verifier(keys).verify(&set.compact, at(NOW)).is_err());
        }
    }
    assert!(read(json!([{"kty": "oct", "k": "x".repeat(4_000_000)}])).is_err());
    let mut metadata = api().transmitter.metadata().to_value();
    metadata["jwks_uri"] = json!("http://signals.example.com/jwks");
    assert!(TransmitterMetadata::parse(metadata.to_string().as_bytes(), ISSUER).is_err());

    // A thousand SETs with keys that are not there are one fetch; those of strangers are none.
    let empty = verifier(KeySet::new(vec![]).unwrap());
    let unknown_key = empty.verify(&set.compact, at(NOW)).unwrap_err();
    let other = SigningKey::generate(&provider, Algorithm::Es256)
        .unwrap()
        .with_kid("k");
    let stranger = SetIssuer::new(other, provider, "https://stranger.example").unwrap();
    let stranger = stranger
        .issue(
            &SetRequest::new(AUDIENCE, subject, SessionRevoked::default()),
            at(NOW),
        )
        .unwrap();
    let unknown_issuer = empty.verify(&stranger.compact, at(NOW)).unwrap_err();
    let refresh = KeyRefresh::new(Duration::from_secs(300));
    let count = |error, now| (0..1000).filter(|_| refresh.wanted(error, at(now))).count();
    assert_eq!(count(&unknown_issuer, NOW), 0);
    assert_eq!(count(&unknown_key, NOW), 1);
    assert_eq!(
        (
            count(&unknown_key, NOW + 299),
            count(&unknown_key, NOW + 300)
        ),
        (0, 1)
    );

    // Before any signature: method, size, type, credentials.
    let refused = |change: fn(&mut Request<Vec<u8>>), by: PushedBy<'_>| {
        let mut request = Request::new(set.compact.clone().into_bytes());
        *request.method_mut() = http::Method::POST;
        request
            .headers_mut()
            .insert("content-type", "application/secevent+jwt".parse().unwrap());
        change(&mut request);
        let (parts, body) = request.into_parts();
        let rejection = receive(&parts, &body, &empty, by, at(NOW)).unwrap_err();
        (rejection.status().as_u16(), rejection.error().is_some())
    };
    assert_eq!(
        refused(|_| {}, PushedBy::NotAuthenticated),
        (400, true),
        "this one was verified"
    );
    assert_eq!(
        refused(
            |request| *request.body_mut() = vec![b'x'; 200_000],
            PushedBy::NotAuthenticated
        ),
        (413, false)
    );
    assert_eq!(
        refused(
            |request| *request.method_mut() = http::Method::PUT,
            PushedBy::NotAuthenticated
        ),
        (405, false)
    );
    assert_eq!(
        refused(
            |request| request.headers_mut().clear(),
            PushedBy::NotAuthenticated
        ),
        (400, false)
    );
    assert_eq!(refused(|_| {}, PushedBy::WrongCredentials), (400, false));

    let rate = PeerRate::new(5, 2);
    let allowed = |peer: &str, now| {
        (0..10)
            .filter(|_| rate.check(peer, at(now)).is_ok())
            .count()
    };
    assert_eq!(
        (allowed("a", NOW), allowed("b", NOW), allowed("a", NOW)),
        (5, 5, 0)
    );
    assert_eq!((allowed("a", NOW + 1), allowed("a", NOW + 100)), (2, 5));
    let response = (0..10)
        .find_map(|_| rate.check("a", at(NOW + 100)).err())
        .unwrap()
        .response();
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["retry-after"].as_bytes()
        ),
        (429, &b"1"[..])
    );
    for peer in 0..20_000 {
        let _ = rate.check(&peer.to_string(), at(NOW + 100));
    }
    assert!(
        rate.check("one more", at(NOW + 100)).is_err(),
        "what is remembered is bounded"
    );
    assert!(rate.check("one more", at(NOW + 200)).is_ok());
}

/// Covers: CAEP-INTEROP-2.7.1-1, CAEP-INTEROP-2.7.1-2, CAEP-INTEROP-2.7.2-1, CAEP-INTEROP-2.7.2-2, CAEP-INTEROP-A8
#[test]
fn a_receiver_gets_tokens_for_the_scopes_that_the_resource_names() {
    use ssf_stream::receiver::oauth::{self, AccessToken, ClientAuthentication, ResourceMetadata};
    let reply = |status: u16, body: &Value| {
        let mut response = Response::new(body.to_string().into_bytes());
        *response.status_mut() = status.try_into().unwrap();
        response
            .headers_mut()
            .insert("content-type", "application/json".parse().unwrap());
        response
    };
    let asked = ResourceMetadata::request(BASE).unwrap();
    assert_eq!(
        (asked.method().as_str(), asked.uri().to_string()),
        (
            "GET",
            "https://signals.example.com/.well-known/oauth-protected-resource/ssf".to_owned()
        )
    );
    let good = json!({"resource": BASE, "authorization_servers": ["https://evil.example", AS], "scopes_supported": ["a", "b"]});
    let parse = |status, body: &Value| ResourceMetadata::parse(&reply(status, body), BASE, &[AS]);
    let found = parse(200, &good).unwrap().unwrap();
    assert_eq!(
        (
            found.authorization_server.as_str(),
            oauth::scope(Some(&found)).as_str()
        ),
        (AS, "a b")
    );
    assert_eq!(parse(404, &good), Ok(None));
    assert_eq!(oauth::scope(None), "ssf.read ssf.manage");
    for (member, value, code) in [
        (
            "resource",
            json!("https://signals.example.com/"),
            "issuer_mismatch",
        ),
        (
            "resource",
            json!("https://evil.example/ssf"),
            "issuer_mismatch",
        ),
        (
            "authorization_servers",
            json!(["https://evil.example"]),
            "issuer_mismatch",
        ),
        ("authorization_servers", json!([]), "issuer_mismatch"),
        ("authorization_servers", json!(AS), "member"),
        ("scopes_supported", json!([1]), "member"),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        assert_eq!(parse(200, &bad).unwrap_err().code(), code, "{member}");
    }
    // Our own transmitter's are such metadata.
    let own = plane::plane(settings().with_authorization_servers([AS]));
    let response = own.send("", asked, NOW);
    assert_eq!(
        ResourceMetadata::parse(&response, BASE, &[AS])
            .unwrap()
            .unwrap()
            .authorization_server,
        AS
    );

    let asked = oauth::server_request("https://as.example.com/t").unwrap();
    assert_eq!(
        asked.uri(),
        "https://as.example.com/.well-known/oauth-authorization-server/t"
    );
    let server = |issuer: &str, endpoint: &str| {
        oauth::token_endpoint(
            &reply(200, &json!({"issuer": issuer, "token_endpoint": endpoint})),
            AS,
        )
        .map_err(|error| error.code())
    };
    let endpoint = server(AS, "https://as.example.com/token").unwrap();
    assert_eq!(
        server("https://evil.example", "https://as.example.com/token"),
        Err("issuer_mismatch")
    );
    assert_eq!(server(AS, "http://as.example.com/token"), Err("endpoint"));

    for (authentication, last) in [
        (ClientAuthentication::MutualTls, ""),
        (
            ClientAuthentication::Assertion("a.b.c".to_owned()),
            "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=a.b.c",
        ),
        (
            ClientAuthentication::Secret("s&s".to_owned()),
            "&client_secret=s%26s",
        ),
    ] {
        assert!(
            !format!("{authentication:?}").contains("s&s")
                && !format!("{authentication:?}").contains("a.b.c")
        );
        let request = oauth::token_request(&endpoint, "rx", &authentication, "a b", BASE).unwrap();
        let body = String::from_utf8(request.body().clone()).unwrap();
        assert_eq!(
            body,
            format!(
                "grant_type=client_credentials&client_id=rx&scope=a+b&resource=https%3A%2F%2Fsignals.example.com%2Fssf{last}"
            )
        );
        assert_eq!(
            (
                request.method().as_str(),
                request.headers()["content-type"].as_bytes()
            ),
            ("POST", &b"application/x-www-form-urlencoded"[..])
        );
    }
    let token = json!({"access_token": "t", "token_type": "bearer", "expires_in": 600});
    let parsed = AccessToken::parse(&reply(200, &token), at(NOW)).unwrap();
    assert!(!format!("{parsed:?}").contains("Bearer t"));
    let value = |now| {
        parsed
            .credentials(at(now))
            .and_then(|own| own.authorization())
            .map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(
        (value(NOW), value(NOW + 569), value(NOW + 570)),
        (
            Some("Bearer t".to_owned()),
            Some("Bearer t".to_owned()),
            None
        )
    );
    assert!(
        parsed.is_short_lived(Duration::from_secs(3600), at(NOW))
            && !parsed.is_short_lived(Duration::from_secs(60), at(NOW))
    );
    for (status, bad) in [
        (400, token),
        (200, json!({"access_token": "t"})),
        (200, json!({"access_token": "t", "token_type": "DPoP"})),
        (
            200,
            json!({"access_token": "t\r\nx: y", "token_type": "Bearer"}),
        ),
        (
            200,
            json!({"access_token": "t", "token_type": "Bearer", "expires_in": "600"}),
        ),
        (
            200,
            json!({"access_token": "t", "token_type": "Bearer", "expires_in": -1}),
        ),
        (200, json!([])),
    ] {
        assert!(
            AccessToken::parse(&reply(status, &bad), at(NOW)).is_err(),
            "{bad}"
        );
    }
}

/// What was removed, and whether the log can be written.
#[derive(Default)]
struct Ledger {
    records: Mutex<Vec<SubjectRemoval>>,
    broken: AtomicBool,
}

impl RemovalLog for Ledger {
    fn record<'a>(&'a self, removal: &'a SubjectRemoval) -> Storing<'a, ()> {
        let result = if self.broken.load(Ordering::SeqCst) {
            Err(StoreError::Unavailable)
        } else {
            self.records.lock().unwrap().push(removal.clone());
            Ok(())
        };
        Box::pin(core::future::ready(result))
    }
}

/// Who stole a credential and removes the account that it takes over: it needs the scope for removal, is written down by name,
/// hides nothing of the hour after, and cannot make the log go without the removal failing.
///
/// Covers: SSF-A6, SSF-9.3-1
#[test]
fn a_removal_is_recorded_with_its_caller_and_hides_nothing_at_once() {
    const GRACE: u64 = 3600;
    let ledger = Arc::new(Ledger::default());
    let settings = settings()
        .with_removal_grace(Duration::from_secs(GRACE))
        .with_min_verification_interval(Duration::from_secs(1));
    let api = api_with(settings, Some(ledger.clone()));
    let id = {
        let body = json!({"events_requested": [REVOKED]});
        let bearer = format!("Bearer {}", api.token("ssf.manage"));
        let created = api.send(request("POST", "/streams", &body), &[bearer]);
        let created: Value = serde_json::from_slice(created.body()).unwrap();
        created["stream_id"].as_str().unwrap().to_owned()
    };
    let email = |name: &str| json!({"format": "email", "email": name});
    let remove = |name: &str, client: &str, scope: &str| {
        let mut claims = api.claims(scope);
        claims["client_id"] = client.into();
        let body = json!({"stream_id": id, "subject": email(name)});
        let token = api.sign("at+jwt", &claims);
        api.ask("POST", "/subjects/remove", &body, &token).0
    };
    let records = || ledger.records.lock().unwrap().clone();

    // Each right is one of its own: who may add may not remove, and is not even asked.
    for scope in [
        "",
        "ssf.read",
        "ssf.manage.subjects.add",
        "ssf.manage.subjects",
        "ssf.manage.delete ssf.manage.update ssf.manage.status",
    ] {
        assert_eq!(remove("v@example.com", "rx", scope), 403, "{scope}");
    }
    // A stream of somebody else is none, and nothing of it is written.
    assert_eq!(remove("v@example.com", "other", "ssf.manage"), 404);
    assert_eq!(records(), []);

    // What cannot be written down does not happen.
    ledger.broken.store(true, Ordering::SeqCst);
    let only = "ssf.manage.subjects.remove";
    assert_eq!(remove("v@example.com", "helpdesk", only), 503);
    let subject = Subject::from(SubjectIdentifier::email("v@example.com").unwrap());
    let kept = || run(api.transmitter.store().subject(&id, &subject)).unwrap();
    assert_eq!(kept(), None);
    ledger.broken.store(false, Ordering::SeqCst);

    // It is written who called, not only for which receiver, and until when events go on.
    assert_eq!(remove("v@example.com", "helpdesk", only), 204);
    assert_eq!(remove("v@example.com", "rx", "ssf.manage"), 204);
    let ends = at(NOW + GRACE);
    let written = records();
    let who: Vec<_> = written
        .iter()
        .map(|one| (one.caller.as_str(), one.receiver.as_str(), one.outcome))
        .collect();
    assert_eq!(
        who,
        [
            ("helpdesk", "rx", RemovalOutcome::Removed { ends }),
            ("rx", "rx", RemovalOutcome::AlreadyRemoved { ends }),
        ]
    );
    assert!(
        written
            .iter()
            .all(|one| { one.stream_id == id && one.subject == subject && one.at == at(NOW) })
    );

    // What the account does in the grace period is still told, the takeover among it.
    let event = Occurrence::new(subject.clone(), SessionRevoked::default());
    let streams = |now| run(api.transmitter.emit(&event, now)).unwrap().streams;
    assert_eq!(streams(at(NOW + GRACE - 1)), 1);
    assert_eq!(streams(at(NOW + GRACE)), 0);

    // Silence is told from a broken stream by a verification, which no removal stops.
    let stream = json!({"format": "opaque", "id": id});
    let body = json!({"stream_id": id, "subject": stream});
    let token = api.token("ssf.manage");
    assert_eq!(api.ask("POST", "/subjects/remove", &body, &token).0, 204);
    assert_eq!(records()[2].outcome, RemovalOutcome::Nothing);
    let waiting = run(api.transmitter.queue().pending(&id)).unwrap();
    let body = json!({"stream_id": id, "state": "s"});
    assert_eq!(api.ask("POST", "/verify", &body, &token).0, 204);
    assert_eq!(
        run(api.transmitter.queue().pending(&id)).unwrap(),
        waiting + 1
    );
}

//! The exchange service, end to end, and the attacks on it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, StatusCode};
use jose_x509::jws::ProtectedHeader;
use jose_x509::jwt::{self, Audience, Confirmation, ConfirmationRule, Issuer, Type, Validator};
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, Error as JoseError, SigningKey, base64url};
use pki_types::UnixTime;
use serde_json::{Map, Value, json};
use token_exchange::service::{Exchanged, Presented, Readable, Renewal};
use token_exchange::*;

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://as.example";
const PARTNER: &str = "https://partner.example";
const API: &str = "https://api.example/app/";
const INTERNAL: &str = "https://internal.example/";
const GATEWAY: &str = "https://gw.example/";
const A: &str = "spiffe://example.org/agents/a";
const N: &str = "spiffe://example.org/agents/n";
const ATTESTER: &str = "https://workloads.example";

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn set(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

fn resource(text: &str) -> ResourceIndicator {
    ResourceIndicator::parse(text).unwrap()
}

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(&provider(), Algorithm::Es256)
        .unwrap()
        .with_kid(kid)
}

fn sign(key: &SigningKey, typ: &'static str, claims: &Value) -> String {
    jwt::sign(key, &ProtectedHeader::new(typ), claims).unwrap()
}

fn types() -> DetailTypes {
    DetailTypes::new([
        DetailType::new("payment").with_enrichment("identifier"),
        DetailType::new("files"),
    ])
}

/// Rules that tests change while the service runs.
#[derive(Default)]
struct Rules {
    revoked: Mutex<BTreeSet<String>>,
    disabled: Mutex<BTreeSet<String>>,
    redelegates: Mutex<bool>,
    hides: Mutex<bool>,
    pseudonym: Mutex<Option<String>>,
    may_act: Mutex<Option<MayAct>>,
    enriches: Mutex<Map<String, Value>>,
}

impl ExchangeRules for Rules {
    fn version(&self) -> &str {
        "2026-11"
    }
    fn is_revoked(&self, id: &str) -> bool {
        self.revoked.lock().unwrap().contains(id)
    }
    fn is_enabled(&self, actor: &Party) -> bool {
        !self.disabled.lock().unwrap().contains(actor.subject())
    }
    fn may_redelegate(&self, facts: &Facts<'_>, target: &str) -> bool {
        facts.subject.subject() == "user-1" && target == N && *self.redelegates.lock().unwrap()
    }
    fn may_act(&self, _facts: &Facts<'_>) -> Option<MayAct> {
        self.may_act.lock().unwrap().clone()
    }
    fn subject(&self, _facts: &Facts<'_>) -> Option<String> {
        self.pseudonym.lock().unwrap().clone()
    }
    fn claims(&self, _facts: &Facts<'_>) -> Map<String, Value> {
        // All but the last are the server's own.
        let names = [
            "iss",
            "sub",
            "aud",
            "exp",
            "nbf",
            "iat",
            "jti",
            "client_id",
            "azp",
            "scope",
            "act",
            "may_act",
            "cnf",
            "authorization_details",
            "grant_id",
            "tenant",
        ];
        let claim = |name: &str| (name.to_owned(), Value::from("rules"));
        names.into_iter().map(claim).collect()
    }
    fn enrich(&self, _facts: &Facts<'_>, _detail: &Detail) -> Map<String, Value> {
        self.enriches.lock().unwrap().clone()
    }
    fn hides_from_client(&self, _facts: &Facts<'_>) -> bool {
        *self.hides.lock().unwrap()
    }
}

/// Tokens that are good once, and SAML assertions: validators of other types, which are no JWTs.
#[derive(Default)]
struct Plugged {
    seen: Mutex<Vec<Vec<u8>>>,
    spent: Mutex<BTreeSet<Vec<u8>>>,
}

impl TokenValidator for Plugged {
    fn validate(
        &self,
        token: &Presented<'_>,
        types: &DetailTypes,
    ) -> Result<VerifiedSubject, Error> {
        self.seen
            .lock()
            .unwrap()
            .push(token.unverified_bytes.to_vec());
        let claims = json!({
            "iss": PARTNER, "sub": "user-1", "aud": A, "exp": NOW + 600, "scope": "read",
        });
        VerifiedSubject::from_validated_claims(claims.as_object().unwrap(), PartyKind::User, types)
    }

    fn spend(&self, token: &Presented<'_>, _verified: &VerifiedSubject) -> Result<(), Error> {
        let fresh = self
            .spent
            .lock()
            .unwrap()
            .insert(token.unverified_bytes.to_vec());
        if fresh {
            Ok(())
        } else {
            Err(token.refused(JoseError::Replayed))
        }
    }
}

struct Opaque;

impl TokenWriter for Opaque {
    fn write(&self, _claims: &TokenClaims) -> Result<String, JoseError> {
        Ok("opaque-1".to_owned())
    }
    fn readable(&self) -> Readable {
        Readable::ByIntrospection
    }
    fn token_use(&self, _dpop: bool) -> TokenUse {
        TokenUse::Bearer
    }
}

struct Fixture {
    own: Arc<SigningKey>,
    partner: SigningKey,
    attester: SigningKey,
    rules: Arc<Rules>,
    plugged: Arc<Plugged>,
    service: ExchangeService,
}

const EXTENSION: &str = "https://example.org/token-type/once";

fn fixture() -> Fixture {
    let (own, partner, attester) = (Arc::new(key("own")), key("partner"), key("attester"));
    let (rules, plugged) = (Arc::new(Rules::default()), Arc::new(Plugged::default()));
    let any = || Audience::NotApplicable {
        reason: "the exchange ties it to the actor",
    };
    let validator = |typ, issuer: &str, audience| {
        Validator::new(typ, Issuer::Exactly(issuer.into()), audience)
            .with_confirmation(ConfirmationRule::Checked)
    };
    let access = JwtTokens::new().with_issuer(
        ISSUER,
        validator(Type::OneOf(&["at+jwt"]), ISSUER, any()),
        Arc::new(own.verifying_key().unwrap()),
        PartyKind::User,
    );
    let workload = validator(
        Type::OneOf(&["JWT"]),
        ATTESTER,
        Audience::Only(vec![ISSUER.into()]),
    );
    let jwts = JwtTokens::new()
        .with_issuer(
            PARTNER,
            validator(Type::OneOf(&["JWT"]), PARTNER, any()),
            Arc::new(partner.verifying_key().unwrap()),
            PartyKind::User,
        )
        .with_issuer(
            ATTESTER,
            workload,
            Arc::new(attester.verifying_key().unwrap()),
            PartyKind::Workload,
        );
    let servers = [API, INTERNAL, GATEWAY, N].map(|text| {
        let server = ResourceServer::new(resource(text), set("read write"));
        if text == API {
            server.with_audience("api")
        } else {
            server
        }
    });
    let permissions = |id: &str, targets: &[&str]| {
        let mut permissions =
            Permissions::new(Party::new(id), PartyKind::Workload, set("read write"));
        for subject in [
            TokenType::AccessToken,
            TokenType::Jwt,
            TokenType::Saml1,
            TokenType::Saml2,
            TokenType::Other(EXTENSION.into()),
        ] {
            for target in targets {
                permissions = permissions
                    .allow(&subject, &TokenType::AccessToken, &resource(target))
                    .allow(&subject, &TokenType::Jwt, &resource(target));
            }
        }
        permissions
    };
    let gateway = "spiffe://example.org/gw";
    let service = ExchangeService::new(
        ISSUER,
        &provider(),
        ExchangePolicy::new(Duration::from_secs(300)),
        ResourceRegistry::new(servers),
    )
    .with_introspection()
    .permit(
        "a",
        permissions(A, &[API, GATEWAY, N]).with_default_target(resource(API)),
    )
    .permit("n", permissions(N, &[API]))
    .permit("gw", permissions(gateway, &[API]).serving(GATEWAY))
    .permit(
        "none",
        Permissions::new(Party::new("none"), PartyKind::Workload, set("read")),
    )
    .permit(
        "open",
        permissions("open", &[API]).dangerous_without_authentication(),
    )
    .accept(&TokenType::AccessToken, Arc::new(access))
    .accept(&TokenType::Jwt, Arc::new(jwts))
    .accept(&TokenType::Saml2, plugged.clone())
    .accept(&TokenType::Other(EXTENSION.into()), plugged.clone())
    .issue(
        &TokenType::AccessToken,
        Arc::new(JwtAccessTokens(own.clone())),
    )
    .unwrap()
    .issue(&TokenType::Jwt, Arc::new(Opaque))
    .unwrap()
    .with_detail_types(types())
    .with_rules(rules.clone());
    Fixture {
        own,
        partner,
        attester,
        rules,
        plugged,
        service,
    }
}

/// An access token of this server, for A, with changed claims; null removes one.
fn claims(more: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "sub": "user-1", "aud": A, "iat": NOW, "exp": NOW + 600, "scope": "read write",
        "jti": "source-1", "email": "user@example.org",
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    claims
}

impl Fixture {
    fn token(&self, more: &Value) -> String {
        sign(&self.own, "at+jwt", &claims(more))
    }

    /// The actor token of a workload.
    fn actor(&self, sub: &str) -> SubjectToken {
        let claims = json!({"iss": ATTESTER, "sub": sub, "aud": ISSUER, "iat": NOW, "exp": NOW + 100, "jti": "actor-1"});
        SubjectToken {
            unverified_token: sign(&self.attester, "JWT", &claims),
            token_type: TokenType::Jwt,
        }
    }

    fn send(
        &self,
        form: &str,
        caller: &Caller<'_>,
        now: u64,
    ) -> (Result<Exchanged, Error>, AuditRecord) {
        let (parts, ()) = Request::post("/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(())
            .unwrap()
            .into_parts();
        self.service
            .exchange(&parts, form.as_bytes(), caller, at(now))
    }

    fn by(&self, client: &str, request: &TokenExchangeRequest) -> Result<Exchanged, Error> {
        let client = AuthenticatedClient::new(client);
        self.send(
            &request.to_form(),
            &Caller::client(&client, Transport::Tls),
            NOW,
        )
        .0
    }

    /// A user's token, exchanged by A for the API.
    fn simple(&self, more: &Value) -> Result<Exchanged, Error> {
        self.by("a", &request(&self.token(more)))
    }

    fn active(&self, claims: &Value) -> bool {
        let revoked = |id: &str| self.rules.is_revoked(id);
        Introspection::of(
            claims.as_object().unwrap(),
            &["api", API, A],
            &types(),
            revoked,
            at(NOW),
        )
        .is_active()
    }
}

fn request(token: &str) -> TokenExchangeRequest {
    TokenExchangeRequest::new(token, TokenType::AccessToken)
        .with_resource(resource(API))
        .unwrap()
}

/// Covers: RFC8693-2.1-10, RFC8693-4.3-1, RFC8693-4.4-4, RFC8693-6-3, RFC8693-SPLICE-9, RFC8707-2.2-8, RFC8707-2-9
#[test]
fn what_is_issued() {
    let fixture = fixture();
    let mut asked =
        request(&fixture.token(&json!({"client_id": "y", "may_act": {"sub": A}, "picture": "p"})));
    asked.actor = Some(fixture.actor(A));
    // With an actor token: the actor is its subject with its issuer. `may_act` names it by its subject alone.
    let issued = fixture.by("a", &asked).unwrap();
    let parties = [
        &issued.claims.to_map()["act"]["sub"],
        &issued.claims.to_map()["act"]["iss"],
    ];
    assert_eq!(parties, [A, ATTESTER]);
    assert_eq!(issued.claims.to_map()["exp"], NOW + 100);

    let issued = fixture
        .simple(&json!({"may_act": {"sub": A}, "picture": "p"}))
        .unwrap();
    let claims = issued.claims.to_map();
    let mut names: Vec<&str> = claims.keys().map(String::as_str).collect();
    names.sort_unstable();
    // Neither `may_act` nor `email` and `picture` of the subject token; only `tenant` is the rules'.
    let expected = [
        "act",
        "aud",
        "client_id",
        "exp",
        "grant_id",
        "iat",
        "iss",
        "jti",
        "scope",
        "sub",
        "tenant",
    ];
    assert_eq!(names, expected);
    let by_rules = claims.iter().filter(|(_, value)| *value == "rules");
    assert_eq!(
        by_rules.map(|(name, _)| name).collect::<Vec<_>>(),
        ["tenant"]
    );
    assert_eq!(issued.claims.to_map()["act"], json!({"sub": A}));
    assert_eq!(issued.claims.to_map()["client_id"], "a");
    assert_eq!(issued.claims.to_map()["aud"], "api");
    assert_eq!(issued.claims.to_map()["sub"], "user-1");
    assert_eq!(issued.claims.to_map()["exp"], NOW + 300);
    // The token says what the record says, and the response where it is good.
    let any = Audience::AnyOf(vec!["api".into()]);
    let jwt = Validator::new(
        Type::OneOf(&["at+jwt"]),
        Issuer::Exactly(ISSUER.into()),
        any,
    )
    .validate(
        &issued.response.token,
        &fixture.own.verifying_key().unwrap(),
        at(NOW),
    )
    .unwrap();
    assert_eq!(jwt.claims_map().unwrap(), issued.claims.to_map());
    let response = issued.response.to_response();
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(body["resource"], API);
    let parsed =
        TokenExchangeResponse::parse(response.status(), response.headers(), response.body(), None)
            .unwrap();
    parsed.check_resources(&[resource(API)]).unwrap();
    assert!(parsed.check_resources(&[resource(INTERNAL)]).is_err());
    assert!(
        parsed
            .check_resources(&[resource(API), resource(INTERNAL)])
            .is_err()
    );

    // The rules may name the subject otherwise, and let somebody take over.
    *fixture.rules.pseudonym.lock().unwrap() = Some("p-77".into());
    *fixture.rules.may_act.lock().unwrap() = Some(MayAct::new(&Party::new(N)));
    let issued = fixture.simple(&json!({"may_act": {"sub": A}})).unwrap();
    assert_eq!(issued.claims.to_map()["sub"], "p-77");
    assert_eq!(issued.claims.to_map()["may_act"], json!({"sub": N}));
}

/// Subjects of other issuers never get the names of this server's own.
#[test]
fn subjects_of_other_issuers_have_other_names() {
    let fixture = fixture();
    let foreign = sign(&fixture.partner, "JWT", &claims(&json!({"iss": PARTNER})));
    let mut asked = request(&foreign);
    asked.subject.token_type = TokenType::Jwt;
    let issued = fixture.by("a", &asked).unwrap();
    assert_ne!(issued.claims.to_map()["sub"], "user-1");
    assert_eq!(issued.claims.to_map()["sub"].as_str().unwrap().len(), 43);
    assert_eq!(
        issued.delegation.subject(),
        &Party::with_issuer("user-1", PARTNER)
    );
    // Who may say who acted before is configured, too.
    let chain = claims(&json!({"iss": PARTNER, "act": {"sub": "spiffe://partner.example/x"}}));
    asked.subject.unverified_token = sign(&fixture.partner, "JWT", &chain);
    assert_eq!(
        fixture.by("a", &asked).unwrap_err(),
        Error::ForeignDelegation
    );
}

/// Covers: RFC8693-2.1-13, RFC8693-2.1-14, RFC8693-3-2, RFC8693-3-3, RFC8693-A11, RFC8693-A15
#[test]
fn each_type_has_its_own_validity() {
    let fixture = fixture();
    let refuse = |token: &str, token_type: TokenType| {
        let mut asked = request(token);
        asked.subject.token_type = token_type;
        let error = fixture.by("a", &asked).unwrap_err();
        assert_eq!(error.oauth_error().error, "invalid_request", "{error}");
        error.code()
    };
    let own = |more: Value| fixture.token(&more);
    let access = |token: &str| refuse(token, TokenType::AccessToken);
    assert_eq!(access(&own(json!({"exp": NOW - 100}))), "expired");
    assert_eq!(access(&own(json!({"nbf": NOW + 100}))), "not_yet_valid");
    let good = own(json!({}));
    let (head, _) = good.rsplit_once('.').unwrap();
    let (_, other) = fixture
        .token(&json!({"sub": "x"}))
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(access(&format!("{head}.{other}")), "invalid_signature");
    let payload = head.split('.').nth(1).unwrap();
    for header in [
        json!({"alg": "none", "typ": "at+jwt"}),
        json!({"alg": "HS256", "typ": "at+jwt"}),
    ] {
        let header = base64url::encode(header.to_string().as_bytes());
        access(&format!("{header}.{payload}."));
        access(&format!("{header}.{payload}.AAAA"));
    }
    // Keys that the token brings along.
    let evil = key("own");
    let header = json!({"alg": "ES256", "typ": "at+jwt", "jwk": evil.public_jwk().to_value()});
    access(&format!(
        "{}.{payload}.AAAA",
        base64url::encode(header.to_string().as_bytes())
    ));
    assert_eq!(
        access(&sign(&evil, "at+jwt", &claims(&json!({})))),
        "invalid_signature"
    );
    // A trusted issuer's JWT is no access token of this server, and the reverse; an ID token or an assertion is neither.
    let partner = sign(&fixture.partner, "JWT", &claims(&json!({"iss": PARTNER})));
    assert_eq!(access(&partner), "issuer_mismatch");
    assert_eq!(refuse(&good, TokenType::Jwt), "issuer_mismatch");
    for typ in ["JWT", "logout+jwt", "client-authentication+jwt"] {
        assert_eq!(
            access(&sign(&fixture.own, typ, &claims(&json!({})))),
            "wrong_type"
        );
    }
    let evil = sign(
        &evil,
        "JWT",
        &claims(&json!({"iss": "https://evil.example"})),
    );
    assert_eq!(refuse(&evil, TokenType::Jwt), "issuer_mismatch");
    assert_eq!(
        refuse(&good, TokenType::RefreshToken),
        "unsupported_token_type"
    );
    assert_eq!(refuse(&good, TokenType::IdToken), "unsupported_token_type");
    let mut asked = request(&partner);
    asked.subject.token_type = TokenType::Jwt;
    fixture.by("a", &asked).unwrap();
    // Revoked tokens.
    fixture
        .rules
        .revoked
        .lock()
        .unwrap()
        .insert("source-1".into());
    assert_eq!(access(&good), "withdrawn");
    fixture.rules.revoked.lock().unwrap().clear();

    // The same for actor tokens, whatever the subject token is.
    for (claims, expected) in [
        (
            json!({"iss": ATTESTER, "sub": A, "aud": ISSUER, "exp": NOW - 100}),
            "expired",
        ),
        (
            json!({"iss": ATTESTER, "sub": A, "aud": "https://other.example", "exp": NOW + 9}),
            "audience_mismatch",
        ),
        (
            json!({"iss": ATTESTER, "sub": A, "aud": ISSUER, "exp": NOW + 9, "act": {"sub": N}}),
            "actor_has_chain",
        ),
    ] {
        let mut asked = request(&good);
        asked.actor = Some(SubjectToken {
            unverified_token: sign(&fixture.attester, "JWT", &claims),
            token_type: TokenType::Jwt,
        });
        let error = fixture.by("a", &asked).unwrap_err();
        assert_eq!(
            (error.code(), error.oauth_error().error),
            (expected, "invalid_request")
        );
        asked.actor.as_mut().unwrap().unverified_token = sign(&key("attester"), "JWT", &claims);
        let error = fixture.by("a", &asked).unwrap_err();
        assert_eq!(error.code(), "invalid_signature");
        assert!(matches!(error, Error::Token { which: "actor", .. }));
    }
}

/// Covers: RFC8693-3-4, RFC8693-3-5, RFC8693-2.1-16
#[test]
fn types_that_are_plugged_in() {
    let fixture = fixture();
    let mut asked = request(&base64url::encode(b"<saml/>"));
    asked.subject.token_type = TokenType::Saml1;
    let error = fixture.by("a", &asked).unwrap_err();
    assert_eq!(error.code(), "unsupported_token_type");
    assert_eq!(error.oauth_error().error, "invalid_request");
    asked.subject.token_type = TokenType::Saml2;
    fixture.by("a", &asked).unwrap();
    assert_eq!(
        fixture.plugged.seen.lock().unwrap().last().unwrap(),
        b"<saml/>"
    );
    asked.subject.unverified_token = "<saml/>".into();
    assert_eq!(
        fixture.by("a", &asked).unwrap_err().code(),
        "invalid_parameter"
    );

    // A type that is good once is, and a refusal for other reasons does not spend it.
    asked.subject = SubjectToken {
        unverified_token: "once".into(),
        token_type: TokenType::Other(EXTENSION.into()),
    };
    asked.scope = Some(set("admin"));
    fixture.by("a", &asked).unwrap_err();
    asked.scope = None;
    fixture.by("a", &asked).unwrap();
    assert_eq!(fixture.by("a", &asked).unwrap_err().code(), "replayed");
    asked.subject.token_type = TokenType::Other("https://example.org/other".into());
    assert_eq!(
        fixture.by("a", &asked).unwrap_err().code(),
        "unsupported_token_type"
    );

    // Others stay as they are.
    let source = claims(&json!({}));
    for _ in 0..2 {
        fixture.simple(&json!({})).unwrap();
        assert!(fixture.active(&source));
    }
}

/// Covers: RFC8693-2.1-15, RFC8693-SPLICE-1, RFC8693-A16, RFC8693-6-1
#[test]
fn who_may_ask_at_all() {
    let mut fixture = fixture();
    let good = request(&fixture.token(&json!({})));
    let form = good.to_form();
    let wire = |caller: &Caller<'_>| {
        let error = fixture.send(&form, caller, NOW).0.unwrap_err();
        (
            error.oauth_error().error,
            error.oauth_error().status.as_u16(),
            error.code(),
        )
    };
    assert_eq!(
        wire(&Caller::nobody(Transport::Tls)),
        ("invalid_client", 401, "unauthenticated")
    );
    for id in ["a", "unknown"] {
        let caller = Caller::public(id, Transport::Tls);
        assert_eq!(
            wire(&caller),
            ("unauthorized_client", 400, "unauthorized_client")
        );
    }
    let client = AuthenticatedClient::new("a");
    for transport in [Transport::Plain, Transport::PlainLoopback] {
        let caller = Caller::client(&client, transport);
        assert_eq!(wire(&caller), ("invalid_request", 400, "plain_transport"));
    }
    // Authenticated as another client, the stolen token is of no use.
    assert_eq!(fixture.by("n", &good).unwrap_err(), Error::Unbound);
    let mixed = fixture.send(
        &format!("{form}&client_id=n"),
        &Caller::client(&client, Transport::Tls),
        NOW,
    );
    assert_eq!(
        mixed.0.unwrap_err(),
        Error::InvalidParameter { name: "client_id" }
    );
    // Opted out, a client without credentials is served, still only with tokens that are for it.
    let open = request(&fixture.token(&json!({"aud": "open"}))).to_form();
    let caller = Caller::public("open", Transport::Tls);
    fixture.send(&open, &caller, NOW).0.unwrap();
    assert_eq!(
        fixture.send(&form, &caller, NOW).0.unwrap_err(),
        Error::Unbound
    );
    // The test flag takes loopback, and only that.
    fixture.service = fixture.service.dangerous_allow_plain_loopback();
    let send = |transport| {
        fixture
            .send(&form, &Caller::client(&client, transport), NOW)
            .0
    };
    send(Transport::PlainLoopback).unwrap();
    assert_eq!(send(Transport::Plain).unwrap_err(), Error::PlainTransport);
    // And the client's side.
    for endpoint in [
        "http://as.example/token",
        "http://localhost/token",
        "/token",
        "ftp://as.example/",
    ] {
        assert_eq!(
            good.to_request(endpoint).unwrap_err(),
            Error::PlainTransport
        );
    }
    let sent = good.to_request("https://as.example/token").unwrap();
    assert_eq!(
        (sent.method().as_str(), sent.body().as_slice()),
        ("POST", form.as_bytes())
    );
}

/// Covers: RFC8693-SPLICE-2, RFC8693-A10, RFC8693-SPLICE-3, RFC8693-A2
#[test]
fn what_a_client_may_ask_for() {
    let fixture = fixture();
    let token = fixture.token(&json!({}));
    let good = request(&token);
    assert_eq!(
        fixture.by("none", &good).unwrap_err(),
        Error::UnauthorizedClient
    );
    assert_eq!(
        fixture.by("unknown", &good).unwrap_err(),
        Error::UnauthorizedClient
    );
    let answer = |target: &str, by_audience: bool| {
        let mut asked = TokenExchangeRequest::new(&token, TokenType::AccessToken);
        if by_audience {
            asked.audiences.push(target.to_owned());
        } else {
            asked.resources.push(resource(target));
        }
        fixture
            .by("a", &asked)
            .map_err(|error| error.oauth_error().to_response().into_body())
    };
    let unknown = answer("https://nowhere.example/", false).unwrap_err();
    assert_eq!(unknown, answer(INTERNAL, false).unwrap_err());
    assert_eq!(unknown, answer(INTERNAL, true).unwrap_err());
    assert_eq!(unknown, answer("some-privileged-client", true).unwrap_err());
    assert!(
        String::from_utf8(unknown)
            .unwrap()
            .contains("invalid_target")
    );
    assert_eq!(answer("api", true).unwrap().claims.to_map()["aud"], "api");

    // The actor is the client, or one that its registration names.
    let mut asked = request(&fixture.token(&json!({"aud": N})));
    asked.actor = Some(fixture.actor(A));
    assert_eq!(
        fixture.by("n", &asked).unwrap_err(),
        Error::ActorIsNotClient
    );
    let mut asked = good;
    asked.actor = Some(fixture.actor(A));
    fixture.by("a", &asked).unwrap();
    // A token for a gateway is exchanged by the client that serves it, and no other.
    let served = request(&fixture.token(&json!({"aud": GATEWAY})));
    fixture.by("gw", &served).unwrap();
    assert_eq!(fixture.by("a", &served).unwrap_err(), Error::Unbound);
}

/// Covers: RFC8693-SPLICE-7, RFC8693-A3
#[test]
fn handing_over_to_another_actor() {
    let fixture = fixture();
    let ask = |sub: &str| {
        let token = fixture.token(&json!({"sub": sub}));
        let asked = TokenExchangeRequest::new(token, TokenType::AccessToken);
        fixture.by("a", &asked.with_resource(resource(N)).unwrap())
    };
    let error = ask("user-1").unwrap_err();
    assert_eq!(
        (&error, error.oauth_error().error),
        (&Error::Redelegation, "invalid_target")
    );
    *fixture.rules.redelegates.lock().unwrap() = true;
    let issued = ask("user-1").unwrap();
    assert_eq!(
        (
            &issued.claims.to_map()["aud"],
            &issued.claims.to_map()["act"]
        ),
        (&json!(N), &json!({"sub": A}))
    );
    assert_eq!(ask("user-2").unwrap_err(), Error::Redelegation);
    // N goes on, and A stays in the chain.
    let issued = fixture.by("n", &request(&issued.response.token)).unwrap();
    assert_eq!(
        issued.claims.to_map()["act"],
        json!({"sub": N, "act": {"sub": A}})
    );

    // A client has the names of its last permissions alone.
    let mut renamed = self::fixture();
    let other = Party::new("spiffe://example.org/other");
    let permissions = Permissions::new(other, PartyKind::Workload, set("read"));
    renamed.service = renamed.service.permit("n", permissions);
    let token = renamed.token(&json!({}));
    let asked = TokenExchangeRequest::new(token, TokenType::AccessToken);
    let asked = asked.with_resource(resource(N)).unwrap();
    renamed.by("a", &asked).unwrap();
}

/// Covers: RFC8693-SPLICE-18, RFC8707-4-1, RAR-12-2
#[test]
fn every_exchange_is_on_record() {
    let fixture = fixture();
    *fixture.rules.redelegates.lock().unwrap() = true;
    let send = |client: &str, asked: &TokenExchangeRequest| {
        let client = AuthenticatedClient::new(client);
        fixture.send(
            &asked.to_form(),
            &Caller::client(&client, Transport::Tls),
            NOW,
        )
    };
    let first = TokenExchangeRequest::new(fixture.token(&json!({})), TokenType::AccessToken);
    let (issued, one) = send("a", &first.with_resource(resource(N)).unwrap());
    let (_, two) = send("n", &request(&issued.unwrap().response.token));
    assert_eq!((one.refused, two.refused), (None, None));
    assert_eq!(one.subject_id.as_deref(), Some("source-1"));
    assert!(one.issued_id.is_some() && one.issued_id == two.subject_id);
    assert_eq!(one.grant_id, two.grant_id);
    assert_eq!(two.actor, Some(Party::new(N)));
    assert_eq!(
        (two.client_id.as_deref(), two.policy.as_str()),
        (Some("n"), "2026-11")
    );
    assert_eq!(
        (two.targets, two.scopes),
        (vec!["api".to_owned()], set("read write"))
    );
    // A refusal is, too, and what only the client says is not.
    let mut asked = request(&fixture.token(&json!({"sub": "<script>\"'; --"})));
    asked.audiences.push("x".repeat(5000));
    let (error, denied) = send("a", &asked);
    assert_eq!(denied.refused, Some(error.unwrap_err().code()));
    asked.audiences = vec!["evil-target".into()];
    let (_, denied) = send("a", &asked);
    assert_eq!(denied.refused, Some("invalid_target"));
    assert!(!denied.to_line().contains("evil-target"));
    let long = format!("https://api.example/{}", "x".repeat(2048));
    assert_eq!(ResourceIndicator::parse(&long), Err(Error::InvalidTarget));
    // Texts of tokens and details are data in the line.
    asked.audiences.clear();
    asked.authorization_details = Some(r#"[{"type":"payment","note":"<b>\n'; DROP"}]"#.into());
    asked.subject.unverified_token = fixture.token(&json!({
        "sub": "<script>\"'; --", "authorization_details": [{"type": "payment", "note": "<b>\n'; DROP"}],
    }));
    let (_, record) = send("a", &asked);
    assert_eq!(record.refused, None);
    let line = record.to_line();
    assert!(!line.contains(['<', '>', '\n', '\u{2028}']), "{line}");
    let read: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(read["subject"]["sub"], "<script>\"'; --");
    assert_eq!(read["authorization_details"][0]["note"], "<b>\n'; DROP");
}

/// Covers: RFC8693-SPLICE-18
#[test]
fn a_refused_replay_is_on_record_as_nothing_issued() {
    let fixture = fixture();
    let mut asked = request("once");
    asked.subject.token_type = TokenType::Other(EXTENSION.into());
    let client = AuthenticatedClient::new("a");
    let caller = Caller::client(&client, Transport::Tls);
    let (issued, record) = fixture.send(&asked.to_form(), &caller, NOW);
    assert_eq!(record.issued_id, Some(issued.unwrap().claims.jti));
    assert_eq!(record.scopes, set("read"));
    let (_, record) = fixture.send(&asked.to_form(), &caller, NOW);
    assert_eq!(record.refused, Some("replayed"));
    assert_eq!(
        (record.issued_id, record.authorization_details),
        (None, None)
    );
    assert_eq!(record.scopes, ScopeSet::default());
}

/// Covers: RFC8693-SPLICE-19, RFC8693-SPLICE-20, RFC8693-A19, RFC8693-2.1-17
#[test]
fn withdrawn_and_renewed() {
    let fixture = fixture();
    let issued = fixture
        .simple(&json!({"act": {"sub": "spiffe://example.org/first"}}))
        .unwrap();
    let client = AuthenticatedClient::new("a");
    let renew = |delegation: &service::IssuedDelegation,
                 client: &AuthenticatedClient,
                 renewal: &Renewal,
                 now: u64| {
        let caller = Caller::client(client, Transport::Tls);
        fixture
            .service
            .renew(delegation, renewal, &caller, at(now))
            .0
    };
    let all = Renewal::default();
    // A longer subject token does not make the token that was issued longer.
    let longer = fixture.simple(&json!({"exp": NOW + 9000})).unwrap();
    assert_eq!(issued.claims.to_map()["exp"], longer.claims.to_map()["exp"]);
    let again = renew(&issued.delegation, &client, &all, NOW + 100).unwrap();
    assert_eq!(again.claims.to_map()["exp"], NOW + 300);
    assert_eq!(again.claims.to_map()["act"], issued.claims.to_map()["act"]);
    assert_eq!(again.claims.to_map()["sub"], "user-1");
    assert_ne!(again.claims.to_map()["jti"], issued.claims.to_map()["jti"]);
    assert_eq!(again.claims.to_map()["grant_id"], "source-1");
    // Kept open on purpose, it still is never wider.
    let kept = issued.delegation.clone().dangerous_keep_until(NOW + 9000);
    assert_eq!(
        renew(&kept, &client, &all, NOW + 1000)
            .unwrap()
            .claims
            .to_map()["exp"],
        NOW + 1300
    );
    let wire = |result: Result<Exchanged, Error>| result.unwrap_err().oauth_error().error;
    let mut wider = Renewal {
        scope: Some(set("read admin")),
        ..Renewal::default()
    };
    assert_eq!(wire(renew(&kept, &client, &wider, NOW)), "invalid_scope");
    wider = Renewal {
        resources: vec![resource(GATEWAY)],
        ..Renewal::default()
    };
    assert_eq!(wire(renew(&kept, &client, &wider, NOW)), "invalid_target");
    let narrow = Renewal {
        scope: Some(set("read")),
        resources: vec![resource(API)],
    };
    let narrow = renew(&kept, &client, &narrow, NOW).unwrap();
    assert_eq!(narrow.claims.to_map()["scope"], "read");
    assert_eq!(
        renew(&narrow.delegation, &client, &all, NOW)
            .unwrap()
            .claims
            .to_map()["scope"],
        "read write"
    );
    assert_eq!(
        wire(renew(&kept, &client, &all, NOW + 9000)),
        "invalid_grant"
    );
    assert_eq!(
        wire(renew(&kept, &AuthenticatedClient::new("n"), &all, NOW)),
        "invalid_grant"
    );

    let disable = |actor: &str| {
        fixture
            .rules
            .disabled
            .lock()
            .unwrap()
            .insert(actor.to_owned())
    };
    disable(A);
    assert_eq!(wire(renew(&kept, &client, &all, NOW)), "invalid_grant");
    assert_eq!(
        fixture.simple(&json!({})).unwrap_err(),
        Error::Withdrawn { which: "subject" }
    );
    fixture.rules.disabled.lock().unwrap().clear();
    renew(&kept, &client, &all, NOW).unwrap();
    disable("spiffe://example.org/first");
    assert_eq!(wire(renew(&kept, &client, &all, NOW)), "invalid_grant");
    // Nor does anybody carry on what it began by an exchange.
    let begun = json!({"act": {"sub": "spiffe://example.org/first"}});
    assert_eq!(
        fixture.simple(&begun).unwrap_err(),
        Error::Withdrawn { which: "subject" }
    );
    fixture.simple(&json!({})).unwrap();
    fixture.rules.disabled.lock().unwrap().clear();

    let derived = Value::Object(issued.claims.to_map());
    assert!(fixture.active(&derived));
    fixture
        .rules
        .revoked
        .lock()
        .unwrap()
        .insert("source-1".into());
    assert!(!fixture.active(&derived));
    assert_eq!(wire(renew(&kept, &client, &all, NOW)), "invalid_grant");
    // What was made from it is no source any more, either.
    let error = fixture
        .by(
            "a",
            &request(&fixture.token(&json!({"jti": "x", "grant_id": "source-1"}))),
        )
        .unwrap_err();
    assert_eq!(error, Error::Withdrawn { which: "subject" });
    // No response has a refresh token.
    let response = issued.response.to_response();
    assert!(
        !String::from_utf8(response.into_body())
            .unwrap()
            .contains("refresh_token")
    );
}

/// The other ECDSA signature over the same bytes: `n - s` in the place of `s`, which no key is needed for.
fn other_signature(token: &str) -> String {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63,
        0x25, 0x51,
    ];
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut signature = base64url::decode(signature, "signature").unwrap();
    let mut borrow = false;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER).rev() {
        let (first, one) = order.overflowing_sub(*byte);
        let (second, two) = first.overflowing_sub(u8::from(borrow));
        (*byte, borrow) = (second, one || two);
    }
    format!("{signed}.{}", base64url::encode(&signature))
}

/// Without `jti` a token is known by what is signed, so that nobody makes another grant of it.
#[test]
fn a_grant_without_jti_stays_revoked_under_another_signature() {
    let fixture = fixture();
    let token = claims(&json!({"iss": PARTNER, "jti": null}));
    let token = sign(&fixture.partner, "JWT", &token);
    let exchange = |token: &str| {
        let mut asked = request(token);
        asked.subject.token_type = TokenType::Jwt;
        fixture.by("a", &asked)
    };
    let other = other_signature(&token);
    assert_ne!(token, other);
    let grant = exchange(&token).unwrap().claims.grant_id;
    assert_eq!(exchange(&other).unwrap().claims.grant_id, grant);
    let later = claims(&json!({"iss": PARTNER, "jti": null, "iat": NOW - 1}));
    let later = exchange(&sign(&fixture.partner, "JWT", &later)).unwrap();
    assert_ne!(later.claims.grant_id, grant);
    fixture
        .rules
        .revoked
        .lock()
        .unwrap()
        .insert(grant.to_string());
    for token in [token, other] {
        let error = exchange(&token).unwrap_err();
        assert_eq!(error, Error::Withdrawn { which: "subject" });
    }
}

/// Whoever holds a token learns nothing of it from how it is refused.
#[test]
fn refusals_of_a_subject_token_look_the_same() {
    let fixture = fixture();
    let refused = |more: Value| {
        let error = fixture.simple(&more).unwrap_err();
        (error.code(), error.oauth_error())
    };
    let (_, expected) = refused(json!({"exp": NOW - 100}));
    let deep = (0..8).fold(
        json!({"sub": "spiffe://example.org/0"}),
        |act, number| json!({"sub": format!("spiffe://example.org/{number}"), "act": act}),
    );
    for (more, code) in [
        (
            json!({"cnf": Confirmation::of_jkt([7; 32]).to_value()}),
            "missing_proof",
        ),
        (json!({"sub": A}), "chain_cycle"),
        (json!({"act": "x"}), "malformed_actor"),
        (json!({"may_act": 7}), "malformed_actor"),
        (json!({"act": deep}), "chain_too_deep"),
        (json!({"may_act": {"sub": N}}), "may_act_mismatch"),
        (json!({"aud": N}), "unbound_subject_token"),
    ] {
        assert_eq!(refused(more), (code, expected));
    }
}

/// A renewal is decided with what the client may now, and as whom.
///
/// Covers: RFC8693-SPLICE-20
#[test]
fn a_renewal_has_the_identity_and_the_scopes_of_now() {
    let delegation = fixture().simple(&json!({})).unwrap().delegation;
    let client = AuthenticatedClient::new("a");
    let renew_as = |identity: &str, scopes: &str| {
        let permissions = Permissions::new(Party::new(identity), PartyKind::Workload, set(scopes))
            .allow(
                &TokenType::AccessToken,
                &TokenType::AccessToken,
                &resource(API),
            );
        let service = fixture().service.permit("a", permissions);
        let caller = Caller::client(&client, Transport::Tls);
        let renewal = Renewal::default();
        let renewed = service.renew(&delegation, &renewal, &caller, at(NOW)).0;
        renewed.map(|renewed| renewed.claims.scope)
    };
    assert_eq!(renew_as(A, "read write"), Ok(set("read write")));
    assert_eq!(renew_as(A, "read"), Ok(set("read")));
    assert_eq!(
        renew_as("spiffe://example.org/agents/other", "read write"),
        Err(Error::Withdrawn { which: "refresh" })
    );
}

#[test]
fn a_revoked_actor_token_is_none() {
    let fixture = fixture();
    let mut asked = request(&fixture.token(&json!({})));
    asked.actor = Some(fixture.actor(A));
    fixture.by("a", &asked).unwrap();
    fixture
        .rules
        .revoked
        .lock()
        .unwrap()
        .insert("actor-1".into());
    assert_eq!(fixture.by("a", &asked).unwrap_err().code(), "withdrawn");
    asked.actor = None;
    fixture.by("a", &asked).unwrap();
}

/// Every method that a token's `cnf` names is proven by the same value.
#[test]
fn a_bound_token_is_taken_with_its_own_key_alone() {
    let fixture = fixture();
    let exchange = |token: &Value, proof: &Confirmation| {
        let asked = request(&fixture.token(&json!({"cnf": token})));
        let client = AuthenticatedClient::new("a").with_proof(proof.clone());
        let caller = Caller::client(&client, Transport::Tls);
        fixture.send(&asked.to_form(), &caller, NOW).0.map(drop)
    };
    let missing = Error::MissingProof { which: "subject" };
    let certificate = |byte| Confirmation::of_certificate([byte; 32]);
    let jwk = |kid| Confirmation::of_jwk(key(kid).public_jwk());
    for (own, other) in [(certificate(7), certificate(8)), (jwk("k"), jwk("k"))] {
        let token = own.to_value();
        exchange(&token, &own).unwrap();
        assert_eq!(exchange(&token, &other), Err(missing.clone()), "{token}");
        let elsewhere = Confirmation::of_jkt([7; 32]);
        assert_eq!(exchange(&token, &elsewhere), Err(missing.clone()));
        // One of two is not enough.
        let mut both = token;
        both["jkt"] = elsewhere.to_value()["jkt"].clone();
        assert_eq!(exchange(&both, &own), Err(missing.clone()), "{both}");
    }
    // A `kid` is a key that somebody else has: nothing in a request proves it.
    let named = json!({"kid": "k"});
    let proof = Confirmation::from_value(&named).unwrap();
    assert_eq!(exchange(&named, &proof), Err(missing));
}

/// The keys were chosen by the issuer's name, and are no other issuer's, whatever the validator takes.
#[test]
fn the_keys_of_an_issuer_are_for_its_tokens_alone() {
    const OTHER: &str = "https://other.example";
    let mut fixture = fixture();
    let any = Audience::NotApplicable {
        reason: "the exchange ties it to the actor",
    };
    let demands = |issuer| Validator::new(Type::OneOf(&["JWT"]), issuer, any.clone());
    let unnamed = Issuer::NotApplicable {
        reason: "the key says it",
    };
    for (issuer, stated) in [
        (Issuer::Exactly(OTHER.into()), json!(OTHER)),
        (unnamed.clone(), json!(OTHER)),
        (unnamed, Value::Null),
    ] {
        let tokens = JwtTokens::new().with_issuer(
            PARTNER,
            demands(issuer),
            Arc::new(fixture.partner.verifying_key().unwrap()),
            PartyKind::User,
        );
        fixture.service = fixture.service.accept(&TokenType::Jwt, Arc::new(tokens));
        let token = claims(&json!({"iss": stated}));
        let mut asked = request(&sign(&fixture.partner, "JWT", &token));
        asked.subject.token_type = TokenType::Jwt;
        let error = fixture.by("a", &asked).unwrap_err();
        assert_eq!(error.code(), "issuer_mismatch", "{stated}");
    }
}

/// A bound token needs its proof, what is issued is bound, and so is what is renewed.
#[test]
fn bound_stays_bound() {
    let fixture = fixture();
    let (proof, other) = (Confirmation::of_jkt([7; 32]), Confirmation::of_jkt([8; 32]));
    let token = fixture.token(&json!({"cnf": proof.to_value()}));
    let send = |proof: Option<&Confirmation>| {
        let mut client = AuthenticatedClient::new("a");
        if let Some(proof) = proof {
            client = client.with_proof(proof.clone());
        }
        let caller = Caller::client(&client, Transport::Tls);
        (
            fixture.send(&request(&token).to_form(), &caller, NOW).0,
            client,
        )
    };
    let missing = Error::MissingProof { which: "subject" };
    assert_eq!(send(None).0.unwrap_err(), missing);
    assert_eq!(send(Some(&other)).0.unwrap_err(), missing);
    assert_eq!(
        send(Some(&Confirmation::of_certificate([7; 32])))
            .0
            .unwrap_err(),
        missing
    );
    let (issued, client) = send(Some(&proof));
    let issued = issued.unwrap();
    assert_eq!(issued.claims.to_map()["cnf"], proof.to_value());
    assert_eq!(issued.response.token_use, TokenUse::Dpop);
    let renew = |client: &AuthenticatedClient| {
        let caller = Caller::client(client, Transport::Tls);
        fixture
            .service
            .renew(&issued.delegation, &Renewal::default(), &caller, at(NOW))
            .0
    };
    assert_eq!(
        renew(&client).unwrap().claims.to_map()["cnf"],
        proof.to_value()
    );
    let bare = AuthenticatedClient::new("a");
    assert_eq!(
        renew(&bare).unwrap_err(),
        Error::MissingProof { which: "refresh" }
    );
}

/// Covers: RFC8693-6-2, RAR-9-1
#[test]
fn hidden_from_the_client() {
    let fixture = fixture();
    *fixture.rules.hides.lock().unwrap() = true;
    let error = fixture.simple(&json!({})).unwrap_err();
    assert_eq!(
        (error.code(), error.oauth_error().error),
        ("readable", "server_error")
    );
    let mut asked = request(&fixture.token(&json!({})));
    asked.requested_token_type = Some(TokenType::Jwt);
    let issued = fixture.by("a", &asked).unwrap();
    assert_eq!(issued.response.token, "opaque-1");
    // A type that nobody could read anything of is a mistake of configuration.
    let policy = ExchangePolicy::new(Duration::from_secs(60));
    let bare = ExchangeService::new(ISSUER, &provider(), policy, ResourceRegistry::new([]));
    let refused = bare
        .issue(&TokenType::AccessToken, Arc::new(Opaque))
        .unwrap_err();
    assert_eq!(refused.code(), "configuration");
}

/// What costs the product of both numbers to compare is refused beyond a bound; what a field tells apart is not.
#[test]
fn many_authorization_details() {
    let fixture = fixture();
    let ask = |details: &Value| {
        let mut asked = request(&fixture.token(&json!({"authorization_details": details})));
        asked.authorization_details = Some(details.to_string());
        let issued = fixture.by("a", &asked)?;
        Ok(issued.claims.to_map()["authorization_details"].clone())
    };
    let overlapping = |count: usize| -> Value {
        let elsewhere = |number| format!("https://{number}.example/");
        let detail = |number| json!({"type": "payment", "actions": ["pay", "status"], "locations": [API, elsewhere(number)]});
        (0..count).map(detail).collect()
    };
    let here = json!([{"type": "payment", "actions": ["pay", "status"], "locations": [API]}]);
    assert_eq!(ask(&overlapping(16)), Ok(here));
    assert_eq!(
        ask(&overlapping(17)),
        Err(Error::InvalidAuthorizationDetails)
    );
    let apart = |number: usize| json!({"type": "payment", "actions": ["pay", "status"], "identifier": format!("{number:02}")});
    let apart: Value = (0..32).map(apart).collect();
    assert_eq!(ask(&apart), Ok(apart));
}

/// Covers: RAR-6-1, RAR-6-2, RAR-7-2, RAR-7.1-1, RAR-9-1
#[test]
fn authorization_details_of_the_grant() {
    let fixture = fixture();
    let grant =
        json!([{"type": "payment", "actions": ["pay", "status"], "locations": [API, INTERNAL]}]);
    let ask = |details: Option<Value>, grant: &Value| {
        let mut asked = request(&fixture.token(&json!({"authorization_details": grant})));
        asked.authorization_details = details.map(|details| details.to_string());
        fixture.by("a", &asked)
    };
    let all = ask(None, &grant).unwrap();
    let here = json!([{"type": "payment", "actions": ["pay", "status"], "locations": [API]}]);
    assert_eq!(all.claims.to_map()["authorization_details"], here);
    assert_eq!(all.response.authorization_details, Some(here));
    let one = ask(
        Some(json!([{"type": "payment", "actions": ["status"]}])),
        &grant,
    )
    .unwrap();
    let status = json!([{"type": "payment", "actions": ["status"], "locations": [API]}]);
    assert_eq!(one.claims.to_map()["authorization_details"], status);
    for beyond in [
        json!([{"type": "payment", "actions": ["pay", "refund"]}]),
        json!([{"type": "payment", "actions": ["pay"], "locations": ["https://api.example/app"]}]),
        json!([{"type": "payment", "actions": ["pay"], "amount": 5}]),
        json!([{"type": "payment", "actions": ["pay"]}, {"type": "files", "actions": ["read"]}]),
        json!([{"type": "other"}]),
        json!([{"type": "payment", "actions": ["pay"], "locations": [INTERNAL]}]),
    ] {
        let error = ask(Some(beyond.clone()), &grant).unwrap_err();
        assert_eq!(error, Error::InvalidAuthorizationDetails, "{beyond}");
        assert_eq!(error.oauth_error().error, "invalid_authorization_details");
    }
    // A token without details is worth none, and two details are no product.
    let error = ask(
        Some(json!([{"type": "payment", "actions": ["pay"]}])),
        &Value::Null,
    )
    .unwrap_err();
    assert_eq!(error, Error::InvalidAuthorizationDetails);
    let split = json!([{"type": "payment", "actions": ["pay"], "identifier": "1"}, {"type": "payment", "actions": ["status"], "identifier": "2"}]);
    let mixed = json!([{"type": "payment", "actions": ["pay"], "identifier": "2"}]);
    assert_eq!(
        ask(Some(mixed), &split).unwrap_err(),
        Error::InvalidAuthorizationDetails
    );
    let both = json!([{"type": "payment", "actions": ["pay", "status"]}]);
    let both = ask(Some(both), &split).unwrap();
    assert_eq!(both.claims.to_map()["authorization_details"], split);

    // The server adds what the type lets it add, and replaces nothing.
    let enrich =
        |value: Value| *fixture.rules.enriches.lock().unwrap() = value.as_object().unwrap().clone();
    enrich(json!({"identifier": "account-1"}));
    let more = ask(
        Some(json!([{"type": "payment", "actions": ["status"]}])),
        &grant,
    )
    .unwrap();
    assert_eq!(
        more.claims.to_map()["authorization_details"][0]["identifier"],
        "account-1"
    );
    assert_eq!(
        ask(None, &split).unwrap().claims.to_map()["authorization_details"],
        split
    );
    enrich(json!({"amount": 5}));
    assert_eq!(ask(None, &grant).unwrap_err(), Error::Enrichment);
    enrich(json!({"identifier": "account-1"}));
    let files = json!([{"type": "files", "actions": ["read"]}]);
    assert_eq!(ask(None, &files).unwrap_err(), Error::Enrichment);

    // The parameter goes into the form of any grant, once.
    for form in [
        "grant_type=authorization_code&code=1",
        "grant_type=refresh_token&refresh_token=1",
        "grant_type=client_credentials",
        request("t").to_form().as_str(),
    ] {
        let sent = request::with_authorization_details(form, &grant).unwrap();
        let read = Form::parse(sent.as_bytes()).unwrap();
        let text = read.get("authorization_details").unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), grant);
        assert!(sent.starts_with(form));
        let twice = request::with_authorization_details(&sent, &grant).unwrap_err();
        assert_eq!(twice.code(), "repeated_parameter");
        assert!(request::with_authorization_details(form, &json!({})).is_err());
    }
}

/// What the client may not name it does not get by naming nothing, and not by a renewal after its permissions changed.
///
/// Covers: RAR-10-2
#[test]
fn detail_types_limit_the_client_whatever_it_names() {
    let limited = || {
        Permissions::new(Party::new(A), PartyKind::Workload, set("read write"))
            .allow(
                &TokenType::AccessToken,
                &TokenType::AccessToken,
                &resource(API),
            )
            .with_detail_types(["files"])
    };
    let (payment, files) = (json!({"type": "payment"}), json!({"type": "files"}));
    let (one, both) = (json!([payment]), json!([files, payment]));
    let before = fixture();
    let issued = |details: &Value| {
        let more = json!({"authorization_details": details});
        before.simple(&more).unwrap().delegation
    };
    let (payments, mixed) = (issued(&one), issued(&both));
    let Fixture { own, service, .. } = before;
    let service = service.permit("a", limited());
    let after = Fixture {
        own,
        service,
        ..fixture()
    };
    let ask = |details: &Value, named: Option<&Value>| {
        let mut asked = request(&after.token(&json!({"authorization_details": details})));
        asked.authorization_details = named.map(Value::to_string);
        let issued = after.by("a", &asked);
        issued
            .map(|issued| issued.claims.to_map()["authorization_details"].clone())
            .map_err(|error| error.oauth_error().error)
    };
    for named in [None, Some(&one)] {
        assert_eq!(ask(&one, named), Err("invalid_authorization_details"));
    }
    assert_eq!(ask(&both, Some(&one)), Err("invalid_authorization_details"));
    let left = json!([files]);
    assert_eq!(ask(&both, None), Ok(left.clone()));
    assert_eq!(ask(&both, Some(&left)), Ok(left.clone()));

    let client = AuthenticatedClient::new("a");
    let caller = Caller::client(&client, Transport::Tls);
    let renew = |delegation| {
        let renewal = Renewal::default();
        after
            .service
            .renew(delegation, &renewal, &caller, at(NOW))
            .0
    };
    let withdrawn = Error::Withdrawn { which: "refresh" };
    assert_eq!(renew(&payments).unwrap_err(), withdrawn);
    assert_eq!(
        renew(&mixed).unwrap().claims.to_map()["authorization_details"],
        left
    );
}

/// An API that uses details or scopes is not asked for both.
#[test]
fn details_of_a_type_without_scope_come_alone() {
    let mut fixture = fixture();
    let alone = DetailType::new("payment").without_scope();
    let types = DetailTypes::new([alone, DetailType::new("files")]);
    fixture.service = fixture.service.with_detail_types(types);
    let ask = |name: &str, scope: Option<&str>| {
        let details = json!([{"type": name}]);
        let mut asked = request(&fixture.token(&json!({"authorization_details": details})));
        asked.authorization_details = Some(details.to_string());
        asked.scope = scope.map(set);
        fixture.by("a", &asked).map(drop)
    };
    assert_eq!(ask("payment", None), Ok(()));
    assert_eq!(
        ask("payment", Some("read")),
        Err(Error::InvalidAuthorizationDetails)
    );
    assert_eq!(ask("files", Some("read")), Ok(()));
}

/// Covers: RFC8693-4.1-6, RFC8693-4.4-3, RAR-9.2-1, RFC8707-2-9
#[test]
fn introspection_tells_the_same() {
    let fixture = fixture();
    *fixture.rules.may_act.lock().unwrap() = Some(MayAct::new(&Party::new(N)));
    let grant = json!([{"type": "payment", "actions": ["pay"], "locations": [API]}]);
    let issued = fixture
        .simple(
            &json!({"act": {"sub": "spiffe://example.org/first"}, "authorization_details": grant}),
        )
        .unwrap();
    let of = |claims: &Map<String, Value>, names: &[&str], now: u64| {
        Introspection::of(claims, names, &types(), |_| false, at(now))
    };
    let told = of(&issued.claims.to_map(), &["api", API], NOW);
    for name in ["act", "may_act", "aud", "scope", "client_id", "sub", "exp"] {
        assert_eq!(told.members()[name], issued.claims.to_map()[name], "{name}");
    }
    assert_eq!(told.members()["authorization_details"], grant);
    assert_eq!(told.members().get("tenant"), None);
    let response = told.to_response();
    assert_eq!(
        (response.status(), &response.headers()["cache-control"]),
        (StatusCode::OK, &"no-store".parse().unwrap())
    );
    assert_eq!(
        serde_json::from_slice::<Value>(response.body()).unwrap()["active"],
        true
    );
    for inactive in [
        of(&issued.claims.to_map(), &["https://other.example/"], NOW),
        of(&issued.claims.to_map(), &["api"], NOW + 300),
        Introspection::of(
            &issued.claims.to_map(),
            &["api"],
            &types(),
            |id| id == "source-1",
            at(NOW),
        ),
    ] {
        assert_eq!(inactive, Introspection::inactive());
        assert_eq!(inactive.members().len(), 1);
    }
    // Details of another's location, and of types that are not known, are nobody's; a nested member is not read.
    let mut claims = issued.claims.to_map();
    claims["authorization_details"] = json!([{"type": "payment", "locations": [INTERNAL]}]);
    claims.insert("payment".into(), json!({"authorization_details": grant}));
    assert_eq!(
        of(&claims, &["api", API], NOW)
            .members()
            .get("authorization_details"),
        None
    );
    claims["authorization_details"] = json!([{"type": "other"}]);
    assert_eq!(
        of(&claims, &["api", API], NOW)
            .members()
            .get("authorization_details"),
        None
    );
}

#[test]
fn a_token_is_inactive_before_any_nbf() {
    let is_active = |nbf: Value| {
        let mut claims = json!({"aud": API, "exp": NOW + 100});
        claims["nbf"] = nbf;
        let claims = claims.as_object().unwrap();
        Introspection::of(claims, &[API], &types(), |_| false, at(NOW)).is_active()
    };
    let fraction = |text: &str| serde_json::from_str::<Value>(&format!("{NOW}{text}")).unwrap();
    for begun in [json!(NOW), json!(0), json!(-1), fraction(".0")] {
        assert!(is_active(begun.clone()), "{begun}");
    }
    for other in [
        json!(NOW + 1),
        fraction(".5"),
        json!(u64::MAX),
        json!(NOW.to_string()),
        json!("tomorrow"),
        json!([NOW]),
        Value::Null,
    ] {
        assert!(!is_active(other.clone()), "{other}");
    }
}

/// Covers: RFC8693-2.1.1-3, RFC8707-3-2
#[test]
fn one_target_unless_several_are_meant() {
    let one = request("t");
    let error = one.clone().with_resource(resource(INTERNAL)).unwrap_err();
    assert_eq!(error, Error::TooManyTargets { limit: 1 });
    let mut named = TokenExchangeRequest::new("t", TokenType::Jwt);
    named.audiences.push("api".into());
    assert!(named.with_resource(resource(API)).is_err());
    let both = one.with_several_targets([resource(INTERNAL)]);
    assert_eq!(both.targets().collect::<Vec<_>>(), [API, INTERNAL]);
}

/// Covers: RFC8707-2-7, RFC8707-A1, RFC8707-3-5
#[test]
fn the_resource_is_the_one_that_is_called() {
    let metadata = |resource: Value| json!({"resource": resource}).as_object().unwrap().clone();
    let called = "https://api.example/app/orders?x=1";
    let of = |value: Value| ResourceIndicator::from_metadata(&metadata(value), called);
    assert_eq!(of(json!(API)).unwrap().as_str(), API);
    // Metadata that sends clients for tokens of another's resource.
    for foreign in [
        json!("https://rs2.example/"),
        json!("https://api.example/other/"),
        json!(7),
        json!([API]),
    ] {
        assert_eq!(of(foreign), Err(Error::InvalidTarget));
    }
    // The token that the client gets is for what it called, and nobody else takes it.
    let fixture = fixture();
    let token = TokenExchangeRequest::new(fixture.token(&json!({})), TokenType::AccessToken);
    let asked = token.with_resource(resource(GATEWAY)).unwrap();
    let issued = fixture.by("a", &asked).unwrap();
    let accepts = |name: &str| {
        Validator::new(
            Type::OneOf(&["at+jwt"]),
            Issuer::Exactly(ISSUER.into()),
            Audience::AnyOf(vec![name.to_owned()]),
        )
        .validate(
            &issued.response.token,
            &fixture.own.verifying_key().unwrap(),
            at(NOW),
        )
        .map(drop)
    };
    accepts(GATEWAY).unwrap();
    for other in [
        "https://rs2.example/",
        "https://gw.example",
        "https://gw.example/x",
        "HTTPS://gw.example/",
        "https://gw.exampl",
    ] {
        assert_eq!(
            accepts(other).unwrap_err().code(),
            "audience_mismatch",
            "{other}"
        );
    }
}

/// One rule for every grant: what was granted, or a part of it, or the default.
///
/// Covers: RFC8707-2.2-1
#[test]
fn resources_of_every_grant() {
    let calendar = resource("https://cal.example/");
    let contacts = resource("https://contacts.example/");
    let server = |of: &ResourceIndicator| ResourceServer::new(of.clone(), set("read"));
    let registry = ResourceRegistry::new([server(&calendar), server(&contacts)]);
    let granted = [calendar.clone()];
    // authorization_code, refresh_token and jwt-bearer have a grant; client_credentials has a default.
    for (grant, granted, default) in [
        ("authorization_code", Some(&granted[..]), None),
        ("refresh_token", Some(&granted[..]), None),
        (
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            Some(&granted[..]),
            None,
        ),
        ("client_credentials", None, Some(&calendar)),
    ] {
        let ask = |resources: &[ResourceIndicator]| {
            registry.resolve(resources, granted, default, &set("read"))
        };
        assert_eq!(
            ask(&[]).unwrap().audience,
            ["https://cal.example/"],
            "{grant}"
        );
        let same = std::slice::from_ref(&calendar);
        assert_eq!(ask(same).unwrap().resources, same);
        let other = ask(std::slice::from_ref(&contacts));
        assert_eq!(other.is_ok(), granted.is_none(), "{grant}");
        assert_eq!(
            ask(&[resource("https://unknown.example/")]),
            Err(Error::InvalidTarget)
        );
        assert_eq!(
            ask(&[calendar.clone(), contacts.clone()]),
            Err(Error::InvalidTarget)
        );
    }
    // Token exchange, with and without `resource`, and its renewal.
    let fixture = fixture();
    let asked = TokenExchangeRequest::new(fixture.token(&json!({})), TokenType::AccessToken);
    let issued = fixture.by("a", &asked).unwrap();
    assert_eq!(issued.claims.to_map()["aud"], "api");
    let both = asked.with_several_targets([resource(API), resource(GATEWAY)]);
    assert_eq!(fixture.by("a", &both).unwrap_err(), Error::InvalidTarget);
    let for_n = request(&fixture.token(&json!({"aud": N})))
        .targets()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    assert_eq!(for_n, [API]);
    let without =
        TokenExchangeRequest::new(fixture.token(&json!({"aud": N})), TokenType::AccessToken);
    assert_eq!(fixture.by("n", &without).unwrap_err(), Error::InvalidTarget);
    let client = AuthenticatedClient::new("a");
    let renewal = Renewal {
        resources: vec![resource(GATEWAY)],
        ..Renewal::default()
    };
    let caller = Caller::client(&client, Transport::Tls);
    let again = fixture
        .service
        .renew(&issued.delegation, &renewal, &caller, at(NOW))
        .0;
    assert_eq!(again.unwrap_err(), Error::InvalidTarget);
}

/// Another URL is another client, however alike they are: nothing that one was granted is the other's.
///
/// Covers: CIMD-8.3-1
#[test]
fn urls_are_unrelated_clients() {
    let mut fixture = fixture();
    let (old, new) = ("https://app.example/client", "https://app.example/client2");
    for url in [old, new] {
        let permissions = Permissions::new(Party::new(url), PartyKind::Workload, set("read"))
            .with_identity(Party::new(old))
            .allow(
                &TokenType::AccessToken,
                &TokenType::AccessToken,
                &resource(API),
            );
        fixture.service = fixture.service.permit(url, permissions);
    }
    let asked = request(&fixture.token(&json!({"aud": old})));
    let issued = fixture.by(old, &asked).unwrap();
    let renew = |url: &str| {
        let client = AuthenticatedClient::new(url);
        let caller = Caller::client(&client, Transport::Tls);
        let renewal = Renewal::default();
        fixture
            .service
            .renew(&issued.delegation, &renewal, &caller, at(NOW))
            .0
    };
    renew(old).unwrap();
    assert_eq!(renew(new).unwrap_err().oauth_error().error, "invalid_grant");
}

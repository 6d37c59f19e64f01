//! Two domains: the server of A issues grants, the server of B redeems them.
#![allow(dead_code)]

pub(crate) mod jag;

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::request::Parts;
use identity_chaining::*;
use jose_x509::dpop::{Htu, ProofRequest, Prover, Verifier};
use jose_x509::jws::{self, ProtectedHeader};
use jose_x509::jwt::{Audience, Issuer, Type, Validator};
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, MemoryReplayGuard, SigningKey};
use pki_types::UnixTime;
use serde_json::{Map, Value, json};
use token_exchange::{
    ResourceIndicator, ResourceRegistry, ResourceServer, ScopeSet, SubjectToken, TokenType,
};

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const A: &str = "https://as.a.example/auth";
pub(crate) const B: &str = "https://as.b.example/auth";
pub(crate) const B_TOKEN: &str = "https://as.b.example/auth/token";
pub(crate) const API: &str = "https://api.b.example/";

pub(crate) fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

pub(crate) fn now() -> UnixTime {
    at(NOW)
}

pub(crate) fn scope(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

pub(crate) fn url(text: &str) -> ServerUrl {
    ServerUrl::parse(text).unwrap()
}

pub(crate) fn uri(text: &str) -> ResourceIndicator {
    ResourceIndicator::parse(text).unwrap()
}

pub(crate) fn client(id: &str) -> Client {
    Client::new(id, ClientMethod::SignedAssertion)
}

pub(crate) fn key(kid: &str) -> SigningKey {
    SigningKey::generate(&provider(), Algorithm::Es256)
        .unwrap()
        .with_kid(kid)
}

pub(crate) fn replay() -> Arc<MemoryReplayGuard> {
    Arc::new(MemoryReplayGuard::new(100_000))
}

/// A form request with further fields.
pub(crate) fn post(fields: &[(&'static str, &str)]) -> Parts {
    let mut request = Request::post("/token").header(
        http::header::CONTENT_TYPE,
        "application/x-www-form-urlencoded",
    );
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

pub(crate) fn form(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(pairs);
    form.finish().into_bytes()
}

pub(crate) fn prover() -> Prover<SigningKey> {
    Prover::from_key(SigningKey::generate(&provider(), Algorithm::Es256).unwrap())
}

pub(crate) fn proof(prover: &Prover<SigningKey>, endpoint: &str) -> String {
    let target = Htu::parse(endpoint).unwrap();
    prover
        .prove(&ProofRequest::new("POST", &target), now())
        .unwrap()
}

pub(crate) fn proofs(endpoint: &str) -> ProofCheck {
    let endpoint = Htu::parse(endpoint).unwrap();
    ProofCheck::new(Verifier::new(&provider()), endpoint, replay())
}

pub(crate) fn sign(key: &SigningKey, typ: Option<&'static str>, claims: &Value) -> String {
    let header = typ.map_or_else(ProtectedHeader::without_typ, ProtectedHeader::new);
    jws::sign(key, &header, claims.to_string().as_bytes()).unwrap()
}

pub(crate) fn body(response: &http::Response<Vec<u8>>) -> Value {
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["content-type"], "application/json");
    serde_json::from_slice(response.body()).unwrap()
}

/// The claims of a token, unverified.
pub(crate) fn claims_of(token: &str) -> Map<String, Value> {
    let jws = jws::UnverifiedJws::parse(token).unwrap();
    serde_json::from_slice(jws.unverified_payload()).unwrap()
}

pub(crate) fn with(base: Value, more: Value) -> Value {
    let mut all = base;
    for (name, value) in more.as_object().unwrap() {
        if value.is_null() {
            all.as_object_mut().unwrap().remove(name);
        } else {
            all[name] = value.clone();
        }
    }
    all
}

/// Access tokens of A, of type `at+jwt`.
pub(crate) struct AccessTokens(pub(crate) SigningKey);

impl SubjectTokens for AccessTokens {
    fn verify(
        &self,
        token: &SubjectToken,
        _client: &Client,
        now: UnixTime,
    ) -> Result<ChainingSubject, Error> {
        if token.token_type != TokenType::AccessToken {
            let name = "subject_token_type";
            return Err(token_exchange::Error::UnsupportedTokenType { name }.into());
        }
        let validator = Validator::new(
            Type::OneOf(&["at+jwt"]),
            Issuer::Exactly(A.to_owned()),
            Audience::NotApplicable {
                reason: "this server's own tokens for any of its resources",
            },
        );
        let keys = self.0.verifying_key().map_err(Error::SubjectToken)?;
        let jwt = validator
            .validate(&token.unverified_token, &keys, now)
            .map_err(Error::SubjectToken)?;
        ChainingSubject::from_jwt(&jwt)
    }
}

pub(crate) fn access_token(key: &SigningKey, more: Value) -> String {
    let claims = json!({
        "iss": A, "sub": "johndoe@a.example", "aud": "https://rs.a.example/", "client_id": "x",
        "exp": NOW + 600, "iat": NOW, "jti": "at-1", "scope": "read list",
        "address": "somewhere", "account_type": "gold", "roles": ["admin"],
    });
    sign(key, Some("at+jwt"), &with(claims, more))
}

pub(crate) struct World {
    pub(crate) key: SigningKey,
    pub(crate) a: GrantService<SigningKey>,
    pub(crate) b: RedemptionService,
}

pub(crate) fn issuer_a(key: &SigningKey) -> TrustedIssuer {
    TrustedIssuer::new(url(A), Arc::new(key.verifying_key().unwrap()))
}

pub(crate) fn endpoint_b() -> TokenEndpoint {
    let resources = ResourceRegistry::new([ResourceServer::new(
        uri(API),
        scope("read list write admin"),
    )]);
    TokenEndpoint::new(resources, replay())
        .with_default_resource(uri(API))
        .with_proofs(proofs(B_TOKEN))
}

pub(crate) fn service_b(issuer: TrustedIssuer) -> RedemptionService {
    service_b_at(endpoint_b(), issuer)
}

pub(crate) fn service_b_at(endpoint: TokenEndpoint, issuer: TrustedIssuer) -> RedemptionService {
    let verifier = GrantVerifier::new(&url(B), &url(B_TOKEN)).trust(issuer);
    let subjects = SubjectTable::new().with(A, "johndoe@a.example", "doe.john@b.example");
    RedemptionService::new(verifier, Arc::new(subjects), endpoint).with_terms(
        A,
        IssuerTerms::new(scope("read list"))
            .with_default_scopes(scope("list"))
            .with_claim("email"),
    )
}

pub(crate) fn service_a(key: &SigningKey) -> GrantService<SigningKey> {
    let issuer = GrantIssuer::new(key.clone(), url(A), &provider()).unwrap();
    GrantService::new(issuer, Arc::new(AccessTokens(key.clone())))
        .with_partner(
            Partner::new(url(B), scope("read list write"))
                .with_name("domain-b")
                .permit("x", Some("x-at-b"))
                .permit("y", None),
        )
        .with_partner(Partner::new(url("https://as.c.example"), scope("read")).permit("x", None))
        .with_proofs(proofs("https://as.a.example/auth/token"))
}

impl World {
    pub(crate) fn new() -> Self {
        let key = key("a1");
        Self {
            a: service_a(&key),
            b: service_b(issuer_a(&key)),
            key,
        }
    }

    /// The pairs of an ordinary first leg.
    pub(crate) fn leg_1<'t>(&self, token: &'t str) -> Vec<(&'static str, &'t str)> {
        vec![
            ("grant_type", token_exchange::GRANT_TYPE),
            ("subject_token", token),
            ("subject_token_type", TokenType::AccessToken.as_str_static()),
            ("resource", B),
        ]
    }

    pub(crate) fn exchange(&self, pairs: &[(&str, &str)]) -> Result<IssuedGrant, Error> {
        let client = client("x");
        self.a
            .exchange(&post(&[]), &form(pairs), Some(&client), now())
    }

    /// A grant as A issues it.
    pub(crate) fn grant(&self) -> String {
        let token = access_token(&self.key, json!({}));
        let issued = self.exchange(&self.leg_1(&token)).unwrap();
        issued.as_str().to_owned()
    }

    pub(crate) fn redeem(&self, assertion: &str) -> Result<AccessGrant, Error> {
        redeem(&self.b, assertion, &[], "x-at-b")
    }

    /// Claims of a plain grant.
    pub(crate) fn claims(&self, more: Value) -> Value {
        let claims = json!({
            "iss": A, "sub": "johndoe@a.example", "aud": B, "iat": NOW, "exp": NOW + 60,
            "jti": "g-1", "scope": "read list", "client_id": "x-at-b",
        });
        with(claims, more)
    }

    pub(crate) fn sign(&self, more: Value) -> String {
        sign(
            &self.key,
            Some("authorization-grant+jwt"),
            &self.claims(more),
        )
    }
}

pub(crate) fn redeem(
    service: &RedemptionService,
    assertion: &str,
    more: &[(&str, &str)],
    id: &str,
) -> Result<AccessGrant, Error> {
    let mut pairs = vec![("grant_type", GRANT_TYPE), ("assertion", assertion)];
    pairs.extend(more);
    service.redeem(&post(&[]), &form(&pairs), Some(&client(id)), now())
}

/// The texts of the types that tests write into forms.
pub(crate) trait StaticText {
    fn as_str_static(&self) -> &'static str;
}

impl StaticText for TokenType {
    fn as_str_static(&self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::RefreshToken => "urn:ietf:params:oauth:token-type:refresh_token",
            Self::Saml2 => "urn:ietf:params:oauth:token-type:saml2",
            Self::IdJag => "urn:ietf:params:oauth:token-type:id-jag",
            _ => "urn:ietf:params:oauth:token-type:jwt",
        }
    }
}

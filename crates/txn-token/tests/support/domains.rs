//! Two domains: an enterprise with a token service and an authorization server, and a partner.
#![allow(dead_code)]

use std::sync::Arc;

use http::Request;
use http::request::Parts;
use identity_chaining::{
    Client, ClientMethod, GrantIssuer, ProofCheck, ServerUrl, SubjectTable, TokenEndpoint,
};
use jose_x509::dpop::{Htu, ProofRequest, Prover, Verifier};
use jose_x509::jws::UnverifiedJws;
use jose_x509::{MemoryReplayGuard, VerifyingKey};
use serde_json::Map;
use token_exchange::{ResourceIndicator, ResourceRegistry, ResourceServer};
use txn_token::chaining::*;

use super::support::*;
use jose_x509::jws::{self, ProtectedHeader};
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, SigningKey};
use serde_json::{Value, json};
use txn_token::*;

pub(crate) const A: &str = "https://as.enterprise.example";
pub(crate) const A_TOKEN: &str = "https://as.enterprise.example/token";
pub(crate) const B: &str = "https://as.spamsvc.example";
pub(crate) const B_TOKEN: &str = "https://as.spamsvc.example/token";
pub(crate) const API: &str = "https://api.spamsvc.example/spam-rating";
pub(crate) const ENTERPRISE: &str = "enterprise.example";
pub(crate) const TTS: &str = "https://tts.enterprise.example";
pub(crate) const RW: &str = "spiffe://enterprise.example/mail-gateway";
pub(crate) const LATER: u64 = NOW + 1_000_000;

pub(crate) fn url(text: &str) -> ServerUrl {
    ServerUrl::parse(text).unwrap()
}

pub(crate) fn uri(text: &str) -> ResourceIndicator {
    ResourceIndicator::parse(text).unwrap()
}

pub(crate) fn client(id: &str) -> Client {
    Client::new(id, ClientMethod::MutualTls)
}

pub(crate) fn key(kid: &str) -> SigningKey {
    SigningKey::generate(&provider(), Algorithm::Es256)
        .unwrap()
        .with_kid(kid)
}

pub(crate) fn public(key: &SigningKey) -> Arc<VerifyingKey> {
    Arc::new(key.verifying_key().unwrap())
}

pub(crate) fn guard() -> Arc<MemoryReplayGuard> {
    Arc::new(MemoryReplayGuard::new(100_000))
}

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

pub(crate) fn claims_of(token: &str) -> Map<String, Value> {
    let jws = UnverifiedJws::parse(token).unwrap();
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

pub(crate) fn prover() -> Prover<SigningKey> {
    Prover::from_key(SigningKey::generate(&provider(), Algorithm::Es256).unwrap())
}

pub(crate) fn proof(prover: &Prover<SigningKey>, endpoint: &str) -> String {
    let target = Htu::parse(endpoint).unwrap();
    let request = ProofRequest::new("POST", &target);
    prover.prove(&request, now()).unwrap()
}

pub(crate) fn proofs(endpoint: &str) -> ProofCheck {
    let endpoint = Htu::parse(endpoint).unwrap();
    ProofCheck::new(Verifier::new(&provider()), endpoint, guard())
}

/// Signs anything.
pub(crate) fn sign_with(key: &SigningKey, typ: Option<&'static str>, claims: &Value) -> String {
    let header = typ.map_or_else(ProtectedHeader::without_typ, ProtectedHeader::new);
    jws::sign(key, &header, claims.to_string().as_bytes()).unwrap()
}

pub(crate) struct Domains {
    pub(crate) tts: SigningKey,
    pub(crate) key: SigningKey,
}

impl Domains {
    pub(crate) fn new() -> Self {
        Self {
            tts: key("tts-1"),
            key: key("as-enterprise-2026-01"),
        }
    }

    /// A transaction token of the enterprise with these claims changed.
    pub(crate) fn token(&self, more: Value) -> String {
        let claims = json!({
            "iss": TTS, "aud": ENTERPRISE, "iat": NOW, "exp": NOW + 300,
            "txn": "a9b2c3d4-e5f6-7890-abcd-ef1234567890",
            "sub": "system:mail-gateway@enterprise.example", "scope": "mail-delivery", "req_wl": RW,
            "rctx": {"smtp_from": "sender@external.example", "req_ip": "203.0.113.7"},
        });
        sign_with(&self.tts, Some(TXN_TOKEN_TYPE), &with(claims, more))
    }

    pub(crate) fn agreement(&self) -> OutboundAgreement {
        let table = [(
            "spiffe://enterprise.example/telemetry/nightly-agg",
            "agg-at-b",
        )]
        .map(|(name, other)| (name.to_owned(), other.to_owned()));
        OutboundAgreement::new(url(B), LATER)
            .with_scope("mail-delivery", scope("spam.rating.read"))
            .unwrap()
            .with_scope(
                "telemetry-aggregation",
                scope("telemetry.put telemetry.get"),
            )
            .unwrap()
            .with_subjects(
                PrincipalKind::System,
                Match::Prefix("system:".into()),
                Mapping::WithoutPrefix("system:".into()),
            )
            .with_subjects(
                PrincipalKind::Workload,
                Match::Spiffe(spiffe_id::TrustDomain::parse(ENTERPRISE).unwrap()),
                Mapping::Table(table.into()),
            )
            .with_subjects(
                PrincipalKind::Human,
                Match::Prefix("user-".into()),
                Mapping::Pairwise([9; 32]),
            )
            .with_resource(uri(API))
            .permit(RW)
    }

    /// The enterprise's server without agreements.
    pub(crate) fn bare(&self) -> ChainingService<SigningKey> {
        ChainingService::new(
            GrantIssuer::new(self.key.clone(), url(A), &provider()).unwrap(),
            &provider(),
            TxnTokenVerifier::new(ENTERPRISE, TTS),
            public(&self.tts),
        )
        .with_proofs(proofs(A_TOKEN))
    }

    pub(crate) fn a(&self) -> ChainingService<SigningKey> {
        self.a_with(self.agreement())
    }

    pub(crate) fn a_with(&self, agreement: OutboundAgreement) -> ChainingService<SigningKey> {
        let other = OutboundAgreement::new(url("https://as.c.example"), LATER)
            .with_resource(uri("https://api.c.example/"))
            .permit(RW);
        self.bare()
            .with_agreement(agreement)
            .unwrap()
            .with_agreement(other)
            .unwrap()
    }

    pub(crate) fn terms(&self) -> InboundAgreement {
        InboundAgreement::new(
            url(A),
            public(&self.key),
            scope("spam.rating.read spam.rating.write"),
            LATER,
        )
        .with_claim("scope")
        .with_claim("rctx")
    }

    pub(crate) fn subjects() -> SubjectTable {
        SubjectTable::new().with(A, "mail-gateway@enterprise.example", "customer-7")
    }

    pub(crate) fn registry() -> ResourceRegistry {
        ResourceRegistry::new([
            ResourceServer::new(uri(API), scope("spam.rating.read spam.rating.write")),
            ResourceServer::new(
                uri("https://api.spamsvc.example/other"),
                scope("spam.rating.read"),
            ),
        ])
    }

    pub(crate) fn b(&self) -> ChainRedemption {
        self.b_with(self.terms(), Arc::new(Self::subjects()))
    }

    pub(crate) fn b_with(
        &self,
        terms: InboundAgreement,
        subjects: Arc<dyn ChainedSubjects>,
    ) -> ChainRedemption {
        let endpoint = TokenEndpoint::new(Self::registry(), guard())
            .with_default_resource(uri(API))
            .with_proofs(proofs(B_TOKEN));
        ChainRedemption::new(&url(B), subjects, endpoint).trust(terms)
    }

    /// The claims of a grant, as the draft publishes them but for the times.
    pub(crate) fn claims(&self, more: Value) -> Value {
        let claims = json!({
            "iss": A, "sub": "mail-gateway@enterprise.example", "aud": B, "iat": NOW, "exp": NOW + 60,
            "jti": "8f14e45f-ceee-467a-a19e-ab8f290a1f30", "scope": "spam.rating.read", "resource": API,
            "txn": "a9b2c3d4-e5f6-7890-abcd-ef1234567890",
            "txn_claims": {"scope": "mail-delivery", "rctx": {"smtp_from": "sender@external.example"}},
        });
        with(claims, more)
    }

    pub(crate) fn grant(&self, more: Value) -> String {
        sign_with(&self.key, Some("txn-chain+jwt"), &self.claims(more))
    }
}

pub(crate) fn leg_1(token: &str) -> Vec<(&str, &str)> {
    vec![
        ("grant_type", token_exchange::GRANT_TYPE),
        ("subject_token", token),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:txn_token",
        ),
        ("audience", B),
    ]
}

pub(crate) fn exchange(
    a: &ChainingService<SigningKey>,
    pairs: &[(&str, &str)],
) -> Result<Map<String, Value>, Error> {
    let rw = client(RW);
    let issued = a.exchange(&post(&[]), &form(pairs), Some(&rw), now())?;
    Ok(claims_of(issued.as_str()))
}

pub(crate) fn redeem(
    b: &ChainRedemption,
    assertion: &str,
    more: &[(&str, &str)],
) -> Result<ChainedAccess, Error> {
    redeem_as(b, assertion, more, &client("gateway-at-b"), &[])
}

pub(crate) fn redeem_as(
    b: &ChainRedemption,
    assertion: &str,
    more: &[(&str, &str)],
    client: &Client,
    fields: &[(&'static str, &str)],
) -> Result<ChainedAccess, Error> {
    let mut pairs = vec![
        ("grant_type", identity_chaining::GRANT_TYPE),
        ("assertion", assertion),
    ];
    pairs.extend(more);
    b.redeem(&post(fields), &form(&pairs), Some(client), now())
}

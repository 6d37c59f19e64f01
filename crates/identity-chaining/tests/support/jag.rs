//! An identity provider and the authorization server of an application that trusts it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use identity_chaining::id_jag::*;
use identity_chaining::*;
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, SigningKey};
use pki_types::UnixTime;
use serde_json::{Value, json};
use token_exchange::{
    DetailType, DetailTypes, ResourceRegistry, ResourceServer, SubjectToken, TokenType,
};

use super::*;

pub(crate) const IDP: &str = "https://acme.idp.example";
pub(crate) const IDP_TOKEN: &str = "https://acme.idp.example/oauth2/token";
pub(crate) const RAS: &str = "https://acme.chat.example/";
pub(crate) const RAS_TOKEN: &str = "https://acme.chat.example/oauth2/token";
pub(crate) const CHAT: &str = "https://api.chat.example/";
pub(crate) const ME: &str = "f53f191f9311af35";

pub(crate) fn types() -> DetailTypes {
    let detail = |name: &str| {
        ["locations", "actions", "datatypes"]
            .into_iter()
            .fold(DetailType::new(name), DetailType::with_unrestricted_field)
    };
    DetailTypes::new([detail("chat_read"), detail("chat_history")])
}

/// ID tokens as the provider signs them, refresh tokens and SAML assertions as names of records.
pub(crate) struct Tokens {
    pub(crate) id_tokens: IdTokens,
    pub(crate) records: BTreeMap<&'static str, IdentityAssertion>,
}

impl IdentityTokens for Tokens {
    fn verify(
        &self,
        token: &SubjectToken,
        client: &Client,
        now: UnixTime,
    ) -> Result<IdentityAssertion, Error> {
        if token.token_type == TokenType::IdToken {
            return self.id_tokens.verify(token, client, now);
        }
        let found = self.records.get(token.unverified_token.as_str()).cloned();
        found.ok_or(Error::SubjectToken(jose_x509::Error::InvalidSignature))
    }
}

/// One user; `gone` is no longer one. Subjects are pairwise.
pub(crate) struct Directory {
    pub(crate) record: UserRecord,
}

impl Users for Directory {
    fn user(
        &self,
        assertion: &IdentityAssertion,
        server: &str,
        _now: UnixTime,
    ) -> Option<UserRecord> {
        let mut record = self.record.clone();
        if record.subject == "pairwise" {
            record.subject = format!("{}|{server}", assertion.user);
        }
        (assertion.user != "gone").then_some(record)
    }
}

pub(crate) fn user() -> UserRecord {
    let mut user = UserRecord::new("U019488227");
    user.email = Some("user@corp.example".into());
    user.email_verified = true;
    user
}

pub(crate) fn terms() -> IdJagTerms {
    IdJagTerms::new(scope("chat.read chat.history"))
        .with_resource(uri(CHAT))
        .with_details(
            types()
                .grant(&json!([{"type": "chat_read"}, {"type": "chat_history"}]))
                .unwrap(),
        )
}

pub(crate) fn target() -> Target {
    Target::new(url(RAS), terms())
        .with_alias("urn:example:idp:chat")
        .permit("idp-client", ME)
}

pub(crate) struct Jag {
    pub(crate) key: SigningKey,
}

impl Jag {
    pub(crate) fn new() -> Self {
        let key = SigningKey::generate(&provider(), Algorithm::Es256).unwrap();
        Self {
            key: key.with_kid("idp-1"),
        }
    }

    pub(crate) fn keys(&self) -> Arc<jose_x509::VerifyingKey> {
        Arc::new(self.key.verifying_key().unwrap())
    }

    /// The provider without targets, and with this user.
    pub(crate) fn bare_idp(&self, record: UserRecord) -> IdJagService<SigningKey> {
        let issuer = GrantIssuer::new(self.key.clone(), url(IDP), &provider()).unwrap();
        let issuer = issuer.with_lifetime(Duration::from_secs(300)).unwrap();
        let mut refresh = IdentityAssertion::new("alice", "idp-client");
        refresh.scope = Some(scope("chat.read"));
        let mut elsewhere = refresh.clone();
        elsewhere.servers = Some(vec!["https://other.example".into()]);
        let mut gone = refresh.clone();
        gone.user = "gone".into();
        let tokens = Tokens {
            id_tokens: IdTokens::new(&url(IDP), self.keys()),
            records: BTreeMap::from([
                ("refresh-1", refresh),
                ("refresh-elsewhere", elsewhere),
                ("refresh-gone", gone),
                ("refresh-y", IdentityAssertion::new("alice", "other-client")),
                (
                    "saml-1",
                    IdentityAssertion::new("alice", "https://sp.example"),
                ),
                (
                    "saml-y",
                    IdentityAssertion::new("alice", "https://other-sp.example"),
                ),
            ]),
        };
        let users = Directory { record };
        IdJagService::new(issuer, Arc::new(tokens), Arc::new(users), proofs(IDP_TOKEN))
            .with_detail_types(types())
    }

    pub(crate) fn idp(&self) -> IdJagService<SigningKey> {
        self.bare_idp(user()).with_target(target())
    }

    pub(crate) fn id_token(&self, more: Value) -> String {
        let claims = json!({
            "iss": IDP, "sub": "alice", "aud": "idp-client", "iat": NOW - 10, "exp": NOW + 600,
            "nonce": "n", "auth_time": NOW - 20, "acr": "gold", "amr": ["mfa", "pwd"],
        });
        sign(&self.key, Some("JWT"), &with(claims, more))
    }

    pub(crate) fn trusted(&self) -> TrustedIdp {
        let issuer = TrustedIssuer::new(url(IDP), self.keys());
        TrustedIdp::new(issuer, scope("chat.read chat.history chat.admin"))
            .with_default_scopes(scope("chat.read"))
            .with_details(
                types()
                    .grant(&json!([{"type": "chat_read"}, {"type": "chat_history"}]))
                    .unwrap(),
            )
    }

    pub(crate) fn ras_of(
        &self,
        idp: TrustedIdp,
        accounts: impl Accounts + 'static,
    ) -> IdJagRedemption {
        self.ras_for(idp, accounts, ClientRules::new())
    }

    pub(crate) fn ras_for(
        &self,
        idp: TrustedIdp,
        accounts: impl Accounts + 'static,
        clients: ClientRules,
    ) -> IdJagRedemption {
        let server = ResourceServer::new(uri(CHAT), scope("chat.read chat.history chat.admin"));
        let other = ResourceServer::new(uri("https://files.chat.example/"), scope("chat.read"));
        let resources = ResourceRegistry::new([server, other]);
        let endpoint = TokenEndpoint::new(resources, replay())
            .with_default_resource(uri(CHAT))
            .with_clients(clients);
        IdJagRedemption::new(url(RAS), Arc::new(accounts), endpoint, proofs(RAS_TOKEN))
            .trust(idp)
            .unwrap()
            .with_detail_types(types())
    }

    pub(crate) fn ras(&self) -> IdJagRedemption {
        self.ras_of(self.trusted(), Linked::default())
    }

    pub(crate) fn claims(&self, more: Value) -> Value {
        let claims = json!({
            "jti": "9e43f81b64a33f20116179", "iss": IDP, "sub": "U019488227", "aud": RAS,
            "client_id": ME, "iat": NOW, "exp": NOW + 300, "resource": CHAT,
            "scope": "chat.read chat.history",
        });
        with(claims, more)
    }

    pub(crate) fn sign(&self, more: Value) -> String {
        sign(&self.key, Some("oauth-id-jag+jwt"), &self.claims(more))
    }
}

/// Accounts by every kind of name.
#[derive(Default)]
pub(crate) struct Linked {
    pub(crate) subjects: BTreeMap<SubjectKey, &'static str>,
    pub(crate) own: BTreeMap<(Option<&'static str>, &'static str), &'static str>,
    pub(crate) name_ids: BTreeMap<NameIdKey, &'static str>,
    pub(crate) emails: BTreeMap<&'static str, &'static str>,
    pub(crate) tenants: Vec<(&'static str, &'static str)>,
    pub(crate) strict: bool,
    pub(crate) acr: Option<&'static str>,
}

impl Accounts for Linked {
    fn by_subject(&self, key: &SubjectKey) -> Option<String> {
        let usual = SubjectKey::new(IDP, None, "U019488227");
        let known = self.subjects.get(key).copied();
        let known = known.or((!self.strict && *key == usual).then_some("account-1"));
        known.map(str::to_owned)
    }
    fn by_own_name(&self, aud_tenant: Option<&str>, aud_sub: &str) -> Option<String> {
        let mut all = self.own.iter();
        let found = all.find(|((tenant, name), _)| *tenant == aud_tenant && *name == aud_sub);
        found.map(|(_, account)| (*account).to_owned())
    }
    fn by_name_id(&self, key: &NameIdKey) -> Option<String> {
        self.name_ids.get(key).map(|account| (*account).to_owned())
    }
    fn by_email(&self, _issuer: &str, email: &str) -> Option<String> {
        self.emails.get(email).map(|account| (*account).to_owned())
    }
    fn is_in_tenant(&self, aud_tenant: &str, account: &str) -> bool {
        self.tenants.contains(&(
            match aud_tenant {
                "T1" => "T1",
                "T2" => "T2",
                _ => return false,
            },
            match account {
                "account-1" => "account-1",
                _ => return false,
            },
        ))
    }
    fn allows(&self, _account: &str, claims: &IdJagClaims) -> bool {
        self.acr
            .is_none_or(|acr| claims.acr.as_deref() == Some(acr))
    }
}

pub(crate) fn redeem_jag(
    ras: &IdJagRedemption,
    assertion: &str,
    more: &[(&str, &str)],
    id: &str,
) -> Result<AccessGrant, Error> {
    redeem_with(
        ras,
        assertion,
        more,
        &Client::new(id, ClientMethod::MutualTls),
        &[],
    )
}

pub(crate) fn redeem_with(
    ras: &IdJagRedemption,
    assertion: &str,
    more: &[(&str, &str)],
    client: &Client,
    fields: &[(&'static str, &str)],
) -> Result<AccessGrant, Error> {
    let mut pairs = vec![("grant_type", GRANT_TYPE), ("assertion", assertion)];
    if more.iter().any(|(name, _)| *name == "grant_type") {
        pairs.remove(0);
    }
    pairs.extend(more);
    ras.redeem(&post(fields), &form(&pairs), Some(client), now())
}

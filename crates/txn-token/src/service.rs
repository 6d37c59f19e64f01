//! The transaction token service (draft section 11), without I/O: a request and who sent it go in, the response comes out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http::request::Parts;
use jose_x509::{CryptoProvider, KeySource, Signer, base64url};
use pki_types::UnixTime;
use token_exchange::{Form, ScopeSet, SubjectToken, TokenExchangeResponse, TokenType, TokenUse};

use crate::actor::Actor;
use crate::context::Context;
use crate::error::Error;
use crate::issue::{IssueRequest, IssuedTxnToken, TxnTokenIssuer};
use crate::lineage::AgentPosture;
use crate::replace::ReplaceRequest;
use crate::request::TxnTokenRequest;
use crate::token::TxnToken;
use crate::verify::TxnTokenVerifier;

mod agent;
mod permissions;
mod subject;

pub use agent::{AgentRule, agent_of};
pub use permissions::{Permissions, Subjects};
pub use subject::{FoundSubject, SubjectVerifier, self_signed_subject, unsigned_subject};

/// What is known when a token is about to be issued: all of it verified, but for what the client states.
#[derive(Debug)]
#[non_exhaustive]
pub struct Facts<'a> {
    /// The workload that asks, as it was authenticated.
    pub requester: &'a str,
    /// The type of the subject token.
    pub token_type: &'a TokenType,
    /// What the subject token says.
    pub subject: &'a FoundSubject,
    /// What was asked for.
    pub scope: &'a ScopeSet,
    /// `request_context`, as the client states it.
    pub unverified_request_context: &'a Context,
    /// `request_details`, as the client states them.
    pub unverified_request_details: &'a Context,
}

/// What the service decides beyond the rules that always hold. The defaults take no more than was granted, and none of
/// what a client states.
pub trait IssuePolicy: Send + Sync {
    /// The scopes of this domain for those of the subject token, of which the request may ask for a part. By default they
    /// have the same names.
    fn internal_scopes(&self, external: &ScopeSet, _facts: &Facts<'_>) -> ScopeSet {
        external.clone()
    }

    /// The scopes of the token: all that was asked for, or less.
    fn scope(&self, facts: &Facts<'_>) -> ScopeSet {
        facts.scope.clone()
    }

    /// `sub`, unique in the trust domain; by default a hash of issuer and subject, which no other pair has.
    fn subject(&self, _facts: &Facts<'_>) -> Option<String> {
        None
    }

    /// `rctx`: what the service knows or vouches for.
    fn request_context(&self, _facts: &Facts<'_>) -> Context {
        Context::new()
    }

    /// `tctx`.
    fn transaction_context(&self, _facts: &Facts<'_>) -> Context {
        Context::new()
    }

    /// The wanted lifetime; the issuer's default where there is none.
    fn lifetime(&self, _facts: &Facts<'_>) -> Option<Duration> {
        None
    }

    /// `prov`, `posture` and `identity` of the agent, by evidence of the service's own; see [`Evidence`](crate::Evidence).
    fn posture(&self, _facts: &Facts<'_>) -> Option<AgentPosture> {
        None
    }

    /// A look at a verified token that is to be replaced: `false` ends the transaction, as after a signal against one of its
    /// agents or its subject.
    fn allows_replacement(&self, _token: &TxnToken, _requester: &str) -> bool {
        true
    }

    /// A last look: `false` refuses.
    fn allows(&self, _facts: &Facts<'_>) -> bool {
        true
    }
}

/// The policy that copies the members with these names out of `request_context` and `request_details`, and decides
/// nothing else.
#[derive(Clone, Debug, Default)]
pub struct ContextMembers {
    /// Of `request_context`.
    pub request: Vec<&'static str>,
    /// Of `request_details`.
    pub details: Vec<&'static str>,
}

impl IssuePolicy for ContextMembers {
    fn request_context(&self, facts: &Facts<'_>) -> Context {
        facts.unverified_request_context.only(&self.request)
    }

    fn transaction_context(&self, facts: &Facts<'_>) -> Context {
        facts.unverified_request_details.only(&self.details)
    }
}

/// The token endpoint of a transaction token service.
///
/// Nobody may ask for anything until [`permit`](Self::permit) says so, and no type of subject token is accepted until it
/// has a verifier; self-signed tokens and unsigned objects have theirs, and need the permission only. All instances of a
/// service have one issuer configuration, and their keys in one key set.
pub struct TxnTokenService<S> {
    issuer: TxnTokenIssuer<S>,
    provider: CryptoProvider,
    /// What self-signed subject tokens have as `aud`.
    identifier: String,
    verifiers: BTreeMap<String, Arc<dyn SubjectVerifier>>,
    clients: BTreeMap<String, Permissions>,
    own: Option<(TxnTokenVerifier, Arc<dyn KeySource + Send + Sync>)>,
    policy: Arc<dyn IssuePolicy>,
    agents: Option<AgentRule>,
}

impl<S: Signer> TxnTokenService<S> {
    /// A service that issues with `issuer`, and is called `identifier` by the workloads that sign for themselves.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for an empty identifier.
    pub fn new(
        issuer: TxnTokenIssuer<S>,
        provider: &CryptoProvider,
        identifier: impl Into<String>,
    ) -> Result<Self, Error> {
        let identifier = identifier.into();
        if identifier.is_empty() {
            return Err(Error::InvalidOption {
                option: "identifier",
                range: "the service's issuer identifier, not empty",
            });
        }
        Ok(Self {
            issuer,
            provider: *provider,
            identifier,
            verifiers: BTreeMap::new(),
            clients: BTreeMap::new(),
            own: None,
            policy: Arc::new(ContextMembers::default()),
            agents: None,
        })
    }

    /// Lets a workload ask, within its permissions.
    #[must_use]
    pub fn permit(mut self, workload: impl Into<String>, permissions: Permissions) -> Self {
        self.clients.insert(workload.into(), permissions);
        self
    }

    /// Accepts a type of subject token, such as access tokens or one of an agreed URN, and verifies it so. Whether it was
    /// revoked is the verifier's to ask.
    #[must_use]
    pub fn accept(mut self, token_type: &TokenType, verifier: Arc<dyn SubjectVerifier>) -> Self {
        self.verifiers
            .insert(token_type.as_str().to_owned(), verifier);
        self
    }

    /// Replaces tokens of this domain, verified with these keys: [`TxnTokenIssuer::replace`].
    #[must_use]
    pub fn with_replacement(
        mut self,
        verifier: TxnTokenVerifier,
        keys: Arc<dyn KeySource + Send + Sync>,
    ) -> Self {
        self.own = Some((verifier, keys));
        self
    }

    /// Sets the policy.
    #[must_use]
    pub fn with_policy(mut self, policy: Arc<dyn IssuePolicy>) -> Self {
        self.policy = policy;
        self
    }

    /// Writes `act`, and knows autonomous agents: the client of an access token is the agent, and where it is the subject as well,
    /// `sub` is the agent itself. An access token without a client is refused.
    #[must_use]
    pub fn with_agents(mut self, rule: AgentRule) -> Self {
        self.agents = Some(rule);
        self
    }

    /// Answers a request. `requester` is the workload as it was authenticated, by mutual TLS or an assertion; `None` is
    /// nobody. What goes wrong is in the response; to log it, call [`exchange`](Self::exchange).
    #[must_use]
    pub fn handle(
        &self,
        parts: &Parts,
        body: &[u8],
        requester: Option<&str>,
        now: UnixTime,
    ) -> Response<Vec<u8>> {
        match self.exchange(parts, body, requester, now) {
            Ok(issued) => {
                let (scope, expires_in) = (issued.scope().clone(), issued.expires_in());
                TokenExchangeResponse::new(
                    issued.into_string(),
                    TokenType::TxnToken,
                    TokenUse::NotApplicable,
                )
                .with_scope(scope)
                .with_expires_in(expires_in)
                .to_response()
            }
            Err(error) => error.to_response(),
        }
    }

    /// Decides on a request.
    ///
    /// # Errors
    ///
    /// [`Error`] for the first rule that is broken, authentication before everything else.
    pub fn exchange(
        &self,
        parts: &Parts,
        body: &[u8],
        requester: Option<&str>,
        now: UnixTime,
    ) -> Result<IssuedTxnToken, Error> {
        let requester = requester.ok_or(Error::Unauthenticated)?;
        let form = Form::from_request(parts, body)?;
        let request = TxnTokenRequest::from_form(&form, self.issuer.trust_domain())?;
        let permissions = self.clients.get(requester).ok_or(Error::NotPermitted {
            what: "it is not registered",
        })?;
        let kind = &request.subject.token_type;
        if !permissions.has_type(kind) {
            return Err(Error::NotPermitted {
                what: "this type of subject token",
            });
        }
        if !request.scope.is_subset(permissions.scopes()) {
            return Err(Error::ScopeNotGranted);
        }
        if *kind == TokenType::TxnToken {
            return self.replace(&request, requester, now);
        }
        let found = self.verify(&request.subject, requester, permissions, now)?;
        self.issue(&request, requester, permissions, &found, now)
    }

    fn replace(
        &self,
        request: &TxnTokenRequest,
        requester: &str,
        now: UnixTime,
    ) -> Result<IssuedTxnToken, Error> {
        let (verifier, keys) = self.own.as_ref().ok_or(Error::NotPermitted {
            what: "replacements",
        })?;
        let old = verifier.verify(&request.subject.unverified_token, keys.as_ref(), now)?;
        let mut wanted = ReplaceRequest::new(requester);
        wanted.scope = Some(request.scope.clone());
        if !self.policy.allows_replacement(&old, requester) {
            self.issuer.end(&old, now)?;
            return Err(Error::Refused);
        }
        self.issuer.replace(&old, &wanted, now)
    }

    fn verify(
        &self,
        token: &SubjectToken,
        requester: &str,
        permissions: &Permissions,
        now: UnixTime,
    ) -> Result<FoundSubject, Error> {
        let text = &token.unverified_token;
        match &token.token_type {
            TokenType::SelfSigned => {
                let keys = permissions.keys().ok_or(Error::NotPermitted {
                    what: "it has no keys to sign with",
                })?;
                subject::self_signed(text, requester, &self.identifier, keys, now)
            }
            TokenType::UnsignedJson => subject::unsigned(text, requester),
            other => self
                .verifiers
                .get(other.as_str())
                .ok_or(token_exchange::Error::UnsupportedTokenType {
                    name: "subject_token_type",
                })?
                .verify(text, requester, now),
        }
    }

    fn issue(
        &self,
        request: &TxnTokenRequest,
        requester: &str,
        permissions: &Permissions,
        found: &FoundSubject,
        now: UnixTime,
    ) -> Result<IssuedTxnToken, Error> {
        // Who vouches for the subject is the workload itself: then only for those it may speak for.
        let is_own_word = matches!(
            request.subject.token_type,
            TokenType::SelfSigned | TokenType::UnsignedJson
        );
        if is_own_word && !permissions.may_speak_for(&found.subject) {
            return Err(Error::NotPermitted {
                what: "this subject",
            });
        }
        let facts = Facts {
            requester,
            token_type: &request.subject.token_type,
            subject: found,
            scope: &request.scope,
            unverified_request_context: &request.unverified_request_context,
            unverified_request_details: &request.unverified_request_details,
        };
        let external = found
            .scope
            .as_ref()
            .or(permissions.ceiling())
            .ok_or(Error::ScopeNotGranted)?;
        let granted = self.policy.internal_scopes(external, &facts);
        if !request.scope.is_subset(&granted) {
            return Err(Error::ScopeNotGranted);
        }
        let scope = self.policy.scope(&facts);
        if !scope.is_subset(&request.scope) {
            return Err(Error::PolicyWidens { what: "scope" });
        }
        if scope.is_empty() {
            return Err(Error::ScopeNotGranted);
        }
        if !self.policy.allows(&facts) {
            return Err(Error::Refused);
        }
        let agent = self.agent(found, &facts)?;
        let own = agent.as_ref().map(|agent| agent.party().subject());
        let is_own = own == Some(found.subject.as_str());
        let subject = match (self.policy.subject(&facts), own) {
            (Some(subject), _) => subject,
            (None, Some(agent)) if is_own => agent.to_owned(),
            (None, _) => self.unique_subject(found),
        };
        if own == Some(subject.as_str()) && !is_own {
            return Err(Error::PolicyWidens { what: "sub" });
        }
        let mut wanted = IssueRequest::new(subject, scope, requester);
        wanted.request_context = self.policy.request_context(&facts);
        wanted.transaction_context = self.policy.transaction_context(&facts);
        wanted.lifetime = self.policy.lifetime(&facts);
        wanted.act = agent;
        wanted.posture = self.policy.posture(&facts);
        wanted.subject_expires = found.expires;
        wanted.presented = vec![&request.subject.unverified_token];
        self.issuer.issue(&wanted, now)
    }

    fn agent(&self, found: &FoundSubject, facts: &Facts<'_>) -> Result<Option<Actor>, Error> {
        match &self.agents {
            Some(rule) if *facts.token_type == TokenType::AccessToken => agent_of(found, rule)?
                .ok_or(Error::SubjectToken {
                    what: "it names no client",
                })
                .map(Some),
            _ => Ok(None),
        }
    }

    /// One text for each pair of issuer and subject: their lengths are hashed with them.
    fn unique_subject(&self, found: &FoundSubject) -> String {
        let mut text = Vec::new();
        for part in [&found.issuer, &found.subject] {
            text.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        base64url::encode(&self.provider.sha256(&text))
    }
}

impl<S> fmt::Debug for TxnTokenService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TxnTokenService")
            .field("identifier", &self.identifier)
            .field("clients", &self.clients.len())
            .finish_non_exhaustive()
    }
}

//! The authorization server of domain B: a grant in, and what an access token has to say out (draft section 5.2).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use identity_chaining::exchange::narrow_scope;
use identity_chaining::grant::TXN_CHAIN_TYPE;
use identity_chaining::{
    AccessGrant, AuthorizationGrant, Client, Error as ChainingError, GrantProfile, Received,
    ServerUrl, SubjectTable, TokenEndpoint, TrustedIssuer, UnspentGrant, access,
};
use jose_x509::dpop::DpopError;
use jose_x509::replay::AsyncReplayGuard;
use jose_x509::{Algorithms, Error as JoseError, KeySource};
use pki_types::UnixTime;
use serde_json::{Map, Value};
use token_exchange::ScopeSet;

use super::ALGORITHMS;
use crate::error::Error;
use crate::issue::IssueRequest;

/// An agreement with one other authorization server, as the server that takes its grants has it.
#[derive(Clone, Debug)]
pub struct InboundAgreement {
    issuer: TrustedIssuer,
    not_after: u64,
    active: bool,
    scopes: ScopeSet,
    default_scopes: ScopeSet,
    claims: BTreeSet<String>,
    provision: bool,
    by_email: bool,
    txn_required: bool,
    audience_array: bool,
    proof_required: bool,
    own_client: Option<String>,
}

impl InboundAgreement {
    /// Takes the grants that this issuer signs with these keys, for at most these scopes, until `not_after` (in seconds
    /// since the epoch), when the agreement has to be reviewed.
    #[must_use]
    pub fn new(
        issuer: ServerUrl,
        keys: Arc<dyn KeySource + Send + Sync>,
        scopes: ScopeSet,
        not_after: u64,
    ) -> Self {
        Self {
            issuer: TrustedIssuer::new(issuer, keys).with_algorithms(ALGORITHMS),
            not_after,
            active: true,
            scopes,
            default_scopes: ScopeSet::default(),
            claims: BTreeSet::new(),
            provision: false,
            by_email: false,
            txn_required: false,
            audience_array: false,
            proof_required: false,
            own_client: None,
        }
    }

    /// Suspends it.
    #[must_use]
    pub fn suspended(mut self) -> Self {
        self.active = false;
        self
    }

    /// Sets the algorithms, for example to let in RS256.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: Algorithms) -> Self {
        self.issuer = self.issuer.with_algorithms(algorithms);
        self
    }

    /// Sets the tolerated difference of clocks: 60 seconds unless it is set.
    ///
    /// # Errors
    ///
    /// [`Error::Chaining`] above 300 seconds.
    pub fn with_leeway(mut self, leeway: Duration) -> Result<Self, Error> {
        self.issuer = self.issuer.with_leeway(leeway)?;
        Ok(self)
    }

    /// What a grant without `scope` gives; nothing unless it is set.
    #[must_use]
    pub fn with_default_scopes(mut self, scopes: ScopeSet) -> Self {
        self.default_scopes = scopes;
        self
    }

    /// A member of `txn_claims` that is looked at. Others are as if they were not there.
    #[must_use]
    pub fn with_claim(mut self, name: impl Into<String>) -> Self {
        self.claims.insert(name.into());
        self
    }

    /// Lets accounts be made for subjects that have none.
    #[must_use]
    pub fn with_provisioning(mut self) -> Self {
        self.provision = true;
        self
    }

    /// Lets `txn_claims.email` find subjects that nothing else finds.
    #[must_use]
    pub fn with_email(mut self) -> Self {
        self.by_email = true;
        self
    }

    /// Refuses grants without `txn`.
    #[must_use]
    pub fn with_txn_required(mut self) -> Self {
        self.txn_required = true;
        self
    }

    /// Accepts `aud` as an array of one.
    #[must_use]
    pub fn with_audience_array(mut self) -> Self {
        self.audience_array = true;
        self
    }

    /// Refuses to give bearer tokens: a proof, or a grant that is bound to a certificate, is needed.
    #[must_use]
    pub fn with_proof_required(mut self) -> Self {
        self.proof_required = true;
        self
    }

    /// The client as which the issuer redeems grants itself. It has checked that its workload possesses the key in `cnf`,
    /// and the access token is bound to that key.
    #[must_use]
    pub fn with_own_client(mut self, client: impl Into<String>) -> Self {
        self.own_client = Some(client.into());
        self
    }

    fn is_in_force(&self, now: u64) -> bool {
        self.active && now < self.not_after
    }
}

/// A grant of this profile after its verification.
#[derive(Clone, Debug)]
pub struct ChainGrant {
    grant: AuthorizationGrant,
    txn: Option<String>,
    txn_claims: Map<String, Value>,
}

impl ChainGrant {
    fn read(grant: &AuthorizationGrant, agreement: &InboundAgreement) -> Result<Self, Error> {
        let wrong = |claim| Error::from(ChainingError::GrantClaim { claim });
        let claims = grant.claims();
        if !agreement.audience_array && !claims.get("aud").is_some_and(Value::is_string) {
            return Err(wrong("aud"));
        }
        let txn = match claims.get("txn") {
            None if agreement.txn_required => return Err(wrong("txn")),
            None => None,
            Some(Value::String(txn)) if (1..=256).contains(&txn.len()) => Some(txn.clone()),
            Some(_) => return Err(wrong("txn")),
        };
        let txn_claims = match claims.get("txn_claims") {
            None => Map::new(),
            Some(Value::Object(members)) => members
                .iter()
                .filter(|(name, _)| agreement.claims.contains(*name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            Some(_) => return Err(wrong("txn_claims")),
        };
        Ok(Self {
            grant: grant.clone(),
            txn,
            txn_claims,
        })
    }

    /// `iss`: whose word all of this is, and nobody else's.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.grant.issuer()
    }

    /// `sub`.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.grant.subject()
    }

    /// `jti`.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.grant.id()
    }

    /// `txn`.
    #[must_use]
    pub fn txn(&self) -> Option<&str> {
        self.txn.as_deref()
    }

    /// A member of `txn_claims` that the agreement has.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.txn_claims.get(name)
    }

    /// Those members.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.txn_claims
    }
}

/// The subjects of grants, here.
pub trait ChainedSubjects: Send + Sync {
    /// The account of (`iss`, `sub`).
    fn find(&self, grant: &ChainGrant) -> Option<String>;

    /// The account with an address, where the agreement allows that.
    fn by_email(&self, _issuer: &str, _email: &str) -> Option<String> {
        None
    }

    /// Makes an account, where the agreement allows that.
    fn provision(&self, _grant: &ChainGrant) -> Option<String> {
        None
    }

    /// The server's policy on the subject, on `txn_claims` and on what is asked for: `false` refuses.
    fn allows(&self, _grant: &ChainGrant, _scope: &ScopeSet) -> bool {
        true
    }
}

impl ChainedSubjects for SubjectTable {
    fn find(&self, grant: &ChainGrant) -> Option<String> {
        self.account(grant.issuer(), grant.subject())
            .map(str::to_owned)
    }
}

/// Redeems grants of this profile.
pub struct ChainRedemption {
    profile: GrantProfile,
    agreements: BTreeMap<String, InboundAgreement>,
    subjects: Arc<dyn ChainedSubjects>,
    endpoint: TokenEndpoint,
}

const TYPES: &[&str] = &[TXN_CHAIN_TYPE];
const REQUIRED: &[&str] = &["iat", "jti"];

impl ChainRedemption {
    /// A server with this issuer identifier.
    #[must_use]
    pub fn new(
        issuer: &ServerUrl,
        subjects: Arc<dyn ChainedSubjects>,
        endpoint: TokenEndpoint,
    ) -> Self {
        Self {
            profile: GrantProfile::new(TYPES, issuer, REQUIRED),
            agreements: BTreeMap::new(),
            subjects,
            endpoint,
        }
    }

    /// Adds an agreement.
    #[must_use]
    pub fn trust(mut self, agreement: InboundAgreement) -> Self {
        let issuer = agreement.issuer.identifier().to_owned();
        self.agreements.insert(issuer, agreement);
        self
    }

    /// Decides on a request; the grant is spent last. Whoever gets a decision issues the access token and answers with
    /// [`AccessGrant::respond`], else with [`Error::to_response`].
    ///
    /// # Errors
    ///
    /// [`Error`] for the first rule that is broken, client authentication before everything else.
    pub fn redeem(
        &self,
        parts: &Parts,
        body: &[u8],
        client: Option<&Client>,
        now: UnixTime,
    ) -> Result<ChainedAccess, Error> {
        let (unspent, access) = self.decide(parts, body, client, now)?;
        unspent.spend(self.endpoint.replay(), now)?;
        Ok(access)
    }

    /// As [`redeem`](Self::redeem), with a replay guard behind a network instead of the service's own.
    ///
    /// # Errors
    ///
    /// As [`redeem`](Self::redeem).
    pub async fn redeem_async(
        &self,
        parts: &Parts,
        body: &[u8],
        client: Option<&Client>,
        replay: &(impl AsyncReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<ChainedAccess, Error> {
        let (unspent, access) = self.decide(parts, body, client, now)?;
        unspent.spend_async(replay, now).await?;
        Ok(access)
    }

    fn decide(
        &self,
        parts: &Parts,
        body: &[u8],
        client: Option<&Client>,
        now: UnixTime,
    ) -> Result<(UnspentGrant, ChainedAccess), Error> {
        let Received {
            client,
            request,
            proof,
            ..
        } = self.endpoint.receive(parts, body, client, now)?;
        let in_force = |name: &str| {
            let agreement = self.agreements.get(name);
            agreement.filter(|agreement| agreement.is_in_force(now.as_secs()))
        };
        let issuers = |name: &str| in_force(name).map(|agreement| &agreement.issuer);
        let assertion = &request.unverified_assertion;
        let unspent = self.profile.verify(assertion, issuers, client, now)?;
        let verified = unspent.unspent();
        let agreement = in_force(verified.issuer()).ok_or(ChainingError::UntrustedIssuer)?;
        let grant = ChainGrant::read(verified, agreement)?;
        let subject = self
            .subject(&grant, agreement)
            .ok_or(ChainingError::UnknownSubject)?;
        let own = verified.scope().unwrap_or(&agreement.default_scopes);
        let scope = narrow_scope(&[own, &agreement.scopes], request.scope.as_ref())?;
        if !self.subjects.allows(&grant, &scope) {
            return Err(ChainingError::GrantRefused.into());
        }
        let target = self.endpoint.target(&request, verified, &scope)?;
        let by_issuer = agreement.own_client.as_deref() == Some(client.id());
        let confirmation = match verified.confirmation() {
            Some(confirmation) if by_issuer => Some(confirmation.clone()),
            None if agreement.proof_required && proof.is_none() => {
                let missing = JoseError::from(DpopError::MissingProof);
                return Err(ChainingError::Proof(missing).into());
            }
            confirmation => access::bind(confirmation, proof.as_ref(), client, false)?,
        };
        let txn = grant.txn.clone();
        let access = AccessGrant::new(
            verified.issuer(),
            subject,
            client,
            target,
            confirmation,
            txn,
        );
        Ok((unspent, ChainedAccess { access, grant }))
    }

    fn subject(&self, grant: &ChainGrant, agreement: &InboundAgreement) -> Option<String> {
        let email = grant.grant.claims().get("txn_claims");
        let email = email.and_then(|claims| claims.get("email")?.as_str());
        self.subjects
            .find(grant)
            .or_else(|| {
                let email = email.filter(|_| agreement.by_email)?;
                self.subjects.by_email(grant.issuer(), email)
            })
            .or_else(|| {
                let provision = agreement.provision;
                provision.then(|| self.subjects.provision(grant)).flatten()
            })
    }
}

impl fmt::Debug for ChainRedemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainRedemption")
            .field("agreements", &self.agreements)
            .finish_non_exhaustive()
    }
}

/// What a grant of another domain gives.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChainedAccess {
    /// What an access token has to say.
    pub access: AccessGrant,
    /// The grant.
    pub grant: ChainGrant,
}

impl ChainedAccess {
    /// The transaction, for the audit log.
    #[must_use]
    pub fn txn(&self) -> Option<&str> {
        self.grant.txn()
    }

    /// The record for the audit log: who, by whose word, for which transaction, with which grant. It has no token.
    #[must_use]
    pub fn audit(&self) -> Map<String, Value> {
        let text = |value: Option<&str>| value.map(Value::from);
        let members = [
            ("event", text(Some("txn_chain_redeemed"))),
            ("txn", text(self.txn())),
            ("jti", text(self.grant.id())),
            ("iss", text(Some(self.grant.issuer()))),
            ("sub", text(Some(&self.access.subject))),
            ("client_id", text(Some(&self.access.client_id))),
            ("scope", Some(self.access.scope.to_string().into())),
        ];
        let present = |(name, value): (&str, Option<Value>)| Some((name.to_owned(), value?));
        members.into_iter().filter_map(present).collect()
    }

    /// The transaction as this domain's token service goes on with it: the local subject, the granted scopes, the same
    /// `txn`. Of the other domain's context it has nothing; `requester` is the workload that asks.
    #[must_use]
    pub fn continue_as(&self, requester: impl Into<String>) -> IssueRequest<'static> {
        let (subject, scope) = (self.access.subject.as_str(), self.access.scope.clone());
        let mut request = IssueRequest::new(subject, scope, requester);
        request.txn = self.txn().map(str::to_owned);
        request
    }
}

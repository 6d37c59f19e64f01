//! The decision: who may get what on whose behalf.
//!
//! RFC 8693 leaves nearly all of it to the server. The rules here are the project's own profile (the
//! `SPLICE` rows of the requirement table): subject and actor have to belong together, chains keep
//! every actor, and nothing widens.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jose_x509::Error as JoseError;
use jose_x509::jwt::{Confirmation, Jwt};
use pki_types::UnixTime;
use serde::Deserialize as _;
use serde_json::{Map, Value};

use crate::act::{ActorChain, DEFAULT_MAX_DEPTH, MayAct, Party};
use crate::authority::{Authority, Bound, DetailTypes, ScopeSet};
use crate::error::Error;

mod claims;

use claims::{Claims, refused};

/// Whether a party is a human or a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartyKind {
    /// A human user.
    User,
    /// A workload or agent.
    Workload,
}

/// A subject token after its verification: a [`Jwt`] that was validated, or what the validator of another type knows. So
/// neither `act` nor `may_act` is ever read from a token that nobody vouches for.
#[derive(Clone, Debug)]
pub struct VerifiedSubject {
    party: Party,
    kind: PartyKind,
    /// Where it names several: nothing, so that it names no actor.
    audience: Option<Arc<str>>,
    client_id: Option<Arc<str>>,
    may_act: Option<MayAct>,
    chain: Option<ActorChain>,
    authority: Authority,
    expires: u64,
    pub(crate) names_scope: bool,
    pub(crate) id: Option<Arc<str>>,
    pub(crate) grant_id: Option<Arc<str>>,
    pub(crate) confirmation: Option<Confirmation>,
}

impl VerifiedSubject {
    /// Reads a JWT that its own validator accepted. A token without `scope` grants no scope.
    ///
    /// # Errors
    ///
    /// [`Error::Token`] for missing or malformed claims, [`Error::MalformedActor`],
    /// [`Error::InvalidScope`], [`Error::InvalidAuthorizationDetails`].
    pub fn from_jwt(jwt: &Jwt, kind: PartyKind, types: &DetailTypes) -> Result<Self, Error> {
        let claims: Claims<'_> = jwt.claims().map_err(refused)?;
        let expires = jwt
            .expires()
            .ok_or(refused(JoseError::MissingClaim { claim: "exp" }))?;
        claims.read(expires, kind, types)
    }

    /// Reads what the validator of a token that is no JWT knows of it, by the names of JWT claims: what the store holds
    /// of an opaque access token, or what a SAML assertion says. Whoever calls this vouches for all of it.
    ///
    /// # Errors
    ///
    /// As [`from_jwt`](Self::from_jwt).
    pub fn from_validated_claims(
        claims: &Map<String, Value>,
        kind: PartyKind,
        types: &DetailTypes,
    ) -> Result<Self, Error> {
        let expires = claims
            .get("exp")
            .ok_or(refused(JoseError::MissingClaim { claim: "exp" }))?
            .as_u64()
            .ok_or(refused(JoseError::ClaimType { claim: "exp" }))?;
        let claims = Claims::deserialize(claims).map_err(|_| refused(JoseError::ClaimsShape))?;
        claims.read(expires, kind, types)
    }

    /// Gives a token that does not speak of scopes those that it is worth.
    #[must_use]
    pub(crate) fn or_scopes(mut self, scopes: Option<&ScopeSet>) -> Self {
        if let Some(scopes) = scopes.filter(|_| !self.names_scope) {
            self.authority.scopes = Bound::Only(scopes.clone());
        }
        self
    }

    /// Those of the scopes that the token grants.
    pub(crate) fn granted(&self, scopes: &ScopeSet) -> ScopeSet {
        match &self.authority.scopes {
            Bound::Any => scopes.clone(),
            Bound::Only(granted) => scopes.intersect(granted),
        }
    }

    /// Human or workload.
    #[must_use]
    pub fn kind(&self) -> PartyKind {
        self.kind
    }

    /// Who the subject is.
    #[must_use]
    pub fn party(&self) -> &Party {
        &self.party
    }

    /// What the token grants.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Who has acted so far.
    #[must_use]
    pub fn chain(&self) -> Option<&ActorChain> {
        self.chain.as_ref()
    }

    /// When the token ends, in seconds since the epoch.
    #[must_use]
    pub fn expires(&self) -> u64 {
        self.expires
    }
}

/// The acting party after its authentication: the client itself, or the subject of an actor token.
#[derive(Clone, Debug)]
pub struct VerifiedActor {
    party: Party,
    kind: PartyKind,
    /// Further names of the same actor: its `client_id`, the resource it serves.
    aliases: Vec<Arc<str>>,
    expires: Option<u64>,
}

impl VerifiedActor {
    /// The authenticated client as actor.
    #[must_use]
    pub fn client(party: Party, kind: PartyKind) -> Self {
        Self {
            party,
            kind,
            aliases: Vec::new(),
            expires: None,
        }
    }

    /// Adds a name under which tokens may name this actor: a `client_id`, or its resource identifier.
    #[must_use]
    pub fn with_alias(mut self, alias: impl Into<Arc<str>>) -> Self {
        self.aliases.push(alias.into());
        self
    }

    /// Bounds what is issued by the end of the actor's own credential.
    #[must_use]
    pub fn with_expiry(mut self, seconds: u64) -> Self {
        self.expires = Some(seconds);
        self
    }

    /// Who acts.
    #[must_use]
    pub fn party(&self) -> &Party {
        &self.party
    }

    fn is_called(&self, name: &str) -> bool {
        self.party.subject() == name || self.aliases.iter().any(|alias| **alias == *name)
    }
}

/// What a server allows beyond the rules that always hold.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExchangePolicy {
    /// Most actors in a chain, the new one included: 4.
    pub max_depth: usize,
    /// Longest life of an issued token.
    pub max_lifetime: Duration,
    /// The kind that a subject has to be.
    pub subject_kind: PartyKind,
    /// The kind that an actor has to be.
    pub actor_kind: PartyKind,
}

impl ExchangePolicy {
    /// Users delegate to workloads, over at most four of them.
    #[must_use]
    pub fn new(max_lifetime: Duration) -> Self {
        Self {
            max_depth: DEFAULT_MAX_DEPTH,
            max_lifetime,
            subject_kind: PartyKind::User,
            actor_kind: PartyKind::Workload,
        }
    }
}

/// A decision to issue: subject, actors and authority of the new token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// On whose behalf.
    pub subject: Party,
    /// Who acts, now and before. A delegation has an actor; an impersonation is another type, and
    /// none is made here.
    pub actors: ActorChain,
    /// What the new token permits.
    pub grant: Grant,
}

/// The authority of a new token, with nothing left open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// The intersection. Its targets, for `aud`, are never empty.
    pub authority: Authority,
    /// The scopes, never empty.
    pub scopes: ScopeSet,
    /// `exp`.
    pub expires: u64,
}

impl ExchangePolicy {
    /// Decides on a delegation: `actor` acts for the subject within the intersection of the subject
    /// token, every ceiling (class, instance, client, target) and the request.
    ///
    /// `proven` says whether the request proves possession of the key of a bound subject token.
    ///
    /// # Errors
    ///
    /// [`Error`] for the first rule that is broken; each has its own variant, and most look the same
    /// over the wire.
    pub fn delegate(
        &self,
        subject: &VerifiedSubject,
        actor: &VerifiedActor,
        ceilings: &[&Authority],
        request: Authority,
        proven: bool,
        now: UnixTime,
    ) -> Result<Delegation, Error> {
        if subject.kind != self.subject_kind || actor.kind != self.actor_kind {
            return Err(Error::WrongRole);
        }
        if subject.confirmation.is_some() && !proven {
            return Err(Error::MissingProof { which: "subject" });
        }
        self.check_binding(subject, actor)?;
        let actors = ActorChain::extend(
            subject.chain.as_ref(),
            actor.party.clone(),
            &subject.party,
            self.max_depth,
        )?;
        let latest = now.as_secs().saturating_add(self.max_lifetime.as_secs());
        let ends =
            Authority::unbounded().with_expiry(latest.min(actor.expires.unwrap_or(u64::MAX)));
        let all = ceilings.iter().copied().chain([&subject.authority, &ends]);
        let grant = Grant::of(request.within_all(all), now)?;
        Ok(Delegation {
            subject: subject.party.clone(),
            actors,
            grant,
        })
    }

    /// At least one fact of the verified subject token ties it to this actor.
    fn check_binding(&self, subject: &VerifiedSubject, actor: &VerifiedActor) -> Result<(), Error> {
        let audience = subject.audience.as_deref().ok_or(Error::SubjectAudience)?;
        if let Some(may_act) = &subject.may_act {
            return if may_act.names(&actor.party) {
                Ok(())
            } else {
                Err(Error::MayActMismatch)
            };
        }
        let client = subject
            .client_id
            .as_deref()
            .is_some_and(|client| actor.is_called(client));
        if client || actor.is_called(audience) {
            Ok(())
        } else {
            Err(Error::Unbound)
        }
    }
}

impl Grant {
    fn of(authority: Authority, now: UnixTime) -> Result<Self, Error> {
        let nothing = |what| Error::NothingLeft { what };
        let Bound::Only(expires) = authority.expires else {
            return Err(nothing("time"));
        };
        if expires <= now.as_secs() {
            return Err(nothing("time"));
        }
        let scopes = authority
            .scopes
            .only()
            .filter(|scopes| !scopes.is_empty())
            .ok_or(nothing("scopes"))?
            .clone();
        if authority.targets.only().is_none_or(BTreeSet::is_empty) {
            return Err(nothing("targets"));
        }
        if authority
            .details
            .only()
            .is_some_and(|details| details.as_slice().is_empty())
        {
            return Err(nothing("authorization details"));
        }
        if authority
            .namespaces
            .only()
            .is_some_and(|namespaces| namespaces.as_slice().is_empty())
        {
            return Err(nothing("namespaces"));
        }
        Ok(Self {
            authority,
            scopes,
            expires,
        })
    }
}

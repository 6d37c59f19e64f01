//! Verification at a workload (draft section 12.2).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderMap;
use jose_x509::jws::{HeaderRules, Limits};
use jose_x509::jwt::{Audience, Issuer, Jwt, Type, Validator};
use jose_x509::{Algorithm, Algorithms, Error as JoseError, KeySource, json};
use pki_types::UnixTime;
use serde::Deserialize;
use serde_json::{Map, Value};
use spiffe_id::{SpiffeIdRef, TrustDomain};
use token_exchange::ScopeSet;

use crate::TXN_TOKEN_TYPE;
use crate::actor::ChainLink;
use crate::agentic::AgenticContext;
use crate::claim::Claim;
use crate::error::Error;
use crate::header::{MAX_TOKEN, UnverifiedTxnToken};
use crate::legacy::{self, LEGACY_TYPE, LegacyForm};
use crate::lineage::{AssuranceLevels, DEFAULT_MAX_HOPS, HARD_MAX_HOPS, Lineage, LineageProfile};
use crate::token::{Claims, TxnToken};

mod wire;

use wire::{Links, Wire, text};

/// Verifies transaction tokens of one trust domain. Immutable; threads share it.
#[derive(Clone, Debug)]
pub struct TxnTokenVerifier {
    trust_domain: Arc<str>,
    validator: Validator,
    /// The trust domains of agents; `None` where agents are not named by SPIFFE IDs.
    actors: Option<Vec<TrustDomain>>,
    chain_issuers: Vec<String>,
    max_chain: usize,
    leeway: u64,
    issuer: Issuer,
    max_lifetime: Duration,
    legacy: bool,
    lineages: Vec<LineageProfile>,
    levels: AssuranceLevels,
    max_hops: usize,
    own: Option<String>,
}

pub(crate) const ALGORITHMS: Algorithms = Algorithms::of(&[
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::EdDsa,
    Algorithm::Ed25519,
    Algorithm::Rs256,
    Algorithm::Ps256,
]);
pub(crate) const DEFAULT_MAX_CHAIN: usize = 8;
pub(crate) const HARD_MAX_CHAIN: usize = 15;
/// Longest text of a claim, in bytes.
pub(crate) const MAX_TEXT: usize = 2048;
const LEEWAY: u64 = 30;
const MAX_LEEWAY: u64 = 120;
const MAX_LIFETIME: Duration = Duration::from_secs(3600);

impl TxnTokenVerifier {
    /// For the tokens that `issuer` makes for `trust_domain`, which is compared with `aud` exactly.
    ///
    /// Agents have to be named by SPIFFE IDs of this trust domain; 30 seconds of leeway; lifetimes
    /// up to one hour; at most 8 links in `act_chain`; tokens up to 16 KiB.
    #[must_use]
    pub fn new(trust_domain: impl Into<String>, issuer: impl Into<String>) -> Self {
        Self::build(trust_domain.into(), Issuer::Exactly(issuer.into()))
    }

    /// For a trust domain whose tokens need no `iss`, because the keys given to
    /// [`verify`](Self::verify) are those of its token service and of nobody else.
    #[must_use]
    pub fn with_predetermined_keys(trust_domain: impl Into<String>) -> Self {
        let reason = "the keys are those of the trust domain's token service alone";
        Self::build(trust_domain.into(), Issuer::NotApplicable { reason })
    }

    fn build(trust_domain: String, issuer: Issuer) -> Self {
        let validator = validator(&trust_domain, &issuer, false, LEEWAY, MAX_LIFETIME);
        Self {
            actors: Some(TrustDomain::parse(&trust_domain).into_iter().collect()),
            trust_domain: trust_domain.into(),
            validator,
            chain_issuers: Vec::new(),
            max_chain: DEFAULT_MAX_CHAIN,
            leeway: LEEWAY,
            issuer,
            max_lifetime: MAX_LIFETIME,
            legacy: false,
            lineages: vec![LineageProfile::ActChain],
            levels: AssuranceLevels::default(),
            max_hops: DEFAULT_MAX_HOPS,
            own: None,
        }
    }

    /// Also reads the `typ` and the claim names of earlier revisions; [`TxnToken::legacy_forms`] tells which. A claim under two
    /// names with two meanings stays an error.
    #[must_use]
    pub fn with_legacy_names(mut self) -> Self {
        self.legacy = true;
        self.validator = validator(
            &self.trust_domain,
            &self.issuer,
            true,
            self.leeway,
            self.max_lifetime,
        );
        self
    }

    /// Sets the lineages that are accepted, in place of [`LineageProfile::ActChain`] alone. A token that has both has to
    /// fulfil the rules of both.
    #[must_use]
    pub fn with_lineages(mut self, profiles: impl IntoIterator<Item = LineageProfile>) -> Self {
        self.lineages = profiles.into_iter().take(2).collect();
        self
    }

    /// Sets the levels of assurance.
    #[must_use]
    pub fn with_assurance_levels(mut self, levels: AssuranceLevels) -> Self {
        self.levels = levels;
        self
    }

    /// Says who verifies: a token in whose `txn_path` this agent is went in a circle.
    #[must_use]
    pub fn with_own_id(mut self, workload: impl Into<String>) -> Self {
        self.own = Some(workload.into());
        self
    }

    /// Sets the most agents of `txn_path`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for 0 and above 16.
    pub fn with_max_hops(mut self, hops: usize) -> Result<Self, Error> {
        if !(1..=HARD_MAX_HOPS).contains(&hops) {
            return Err(Error::InvalidOption {
                option: "agents in txn_path",
                range: "1 to 16",
            });
        }
        self.max_hops = hops;
        Ok(self)
    }

    /// Accepts agents of a further trust domain.
    #[must_use]
    pub fn with_actor_trust_domain(mut self, trust_domain: TrustDomain) -> Self {
        self.actors.get_or_insert_default().push(trust_domain);
        self
    }

    /// Accepts agents that are named by something else than SPIFFE IDs, such as `client_id`.
    #[must_use]
    pub fn with_opaque_actors(mut self) -> Self {
        self.actors = None;
        self
    }

    /// Accepts agents that are named within this issuer (`iss` of `act` or of a link).
    #[must_use]
    pub fn with_actor_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.chain_issuers.push(issuer.into());
        self
    }

    /// Sets the tolerated difference of clocks.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] above 120 seconds.
    pub fn with_leeway(mut self, leeway: Duration) -> Result<Self, Error> {
        let invalid = Error::InvalidOption {
            option: "leeway",
            range: "0 to 120 seconds",
        };
        if leeway.as_secs() > MAX_LEEWAY {
            return Err(invalid);
        }
        self.leeway = leeway.as_secs();
        self.validator = self.validator.with_leeway(leeway).map_err(|_| invalid)?;
        Ok(self)
    }

    /// Sets the longest accepted `exp - iat`.
    #[must_use]
    pub fn with_max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = lifetime;
        self.validator = self.validator.with_max_lifetime(lifetime);
        self
    }

    /// Sets the most links in `act_chain`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] above 15.
    pub fn with_max_chain(mut self, links: usize) -> Result<Self, Error> {
        if links > HARD_MAX_CHAIN {
            return Err(Error::InvalidOption {
                option: "links in act_chain",
                range: "at most 15",
            });
        }
        self.max_chain = links;
        Ok(self)
    }

    /// Verifies the token of a request: the one value of its one `Txn-Token` field. No other field is
    /// looked at; a transaction token in `Authorization` is none.
    ///
    /// # Errors
    ///
    /// [`Error::MissingField`], [`Error::FieldCount`], [`Error::FieldValue`], [`Error::FieldTooLong`], and those of
    /// [`verify`](Self::verify).
    pub fn verify_request(
        &self,
        headers: &HeaderMap,
        keys: &(impl KeySource + ?Sized),
        now: UnixTime,
    ) -> Result<TxnToken, Error> {
        self.verify(
            UnverifiedTxnToken::from_headers(headers)?.as_str(),
            keys,
            now,
        )
    }

    /// Verifies a token with the keys of the trust domain's token service.
    ///
    /// # Errors
    ///
    /// [`Error::Token`] for structure, type, key, signature, times, issuer and audience; then the
    /// first claim that is missing, malformed, or outside the limits.
    pub fn verify(
        &self,
        token: &str,
        keys: &(impl KeySource + ?Sized),
        now: UnixTime,
    ) -> Result<TxnToken, Error> {
        let (jwt, wire) = self.validator.validate_with(token, keys, now)?;
        let claims = self.read(&jwt, wire)?;
        self.check_actors(&claims, jwt.issuer())?;
        self.check_lineage(&claims)?;
        Ok(TxnToken {
            compact: token.to_owned(),
            trust_domain: self.trust_domain.clone(),
            jwt,
            claims,
            hash: OnceLock::new(),
        })
    }

    fn read(&self, jwt: &Jwt, wire: Wire) -> Result<Claims, Error> {
        if !self.legacy {
            if wire.has_earlier_names() {
                check_legacy(&jwt.claims_map()?)?;
            }
            let sub = jwt.subject().map(str::to_owned);
            return self.read_wire(jwt, sub.map_or(Claim::Absent, Claim::Is), wire);
        }
        let mut claims = jwt.claims_map()?;
        check_legacy(&claims)?;
        let mut legacy = legacy::translate(&mut claims)?;
        if jwt
            .header()
            .typ()
            .is_some_and(|typ| typ.eq_ignore_ascii_case(LEGACY_TYPE))
        {
            legacy.push(LegacyForm::Type);
        }
        let sub = claims.get("sub").map(Claim::deserialize).transpose();
        let sub = sub.map_err(|_| JoseError::ClaimsShape)?;
        // The values of contexts are carried byte for byte, as they stand in the token.
        let mut current = Wire::of(claims)?;
        current.rctx = wire.rctx;
        current.tctx = if legacy.contains(&LegacyForm::AuthorizationDetails) {
            wire.azd
        } else {
            wire.tctx
        };
        Ok(Claims {
            legacy,
            ..self.read_wire(jwt, sub.unwrap_or_default(), current)?
        })
    }

    fn read_wire(&self, jwt: &Jwt, sub: Claim<String>, wire: Wire) -> Result<Claims, Error> {
        let missing = |claim| Error::from(JoseError::MissingClaim { claim });
        let act = Error::MalformedActor { claim: "act" };
        let agentic = Error::AgenticContext {
            member: "agentic_ctx",
        };
        let sub = text(sub, "sub")?;
        let scope = wire.scope.optional(wrong("scope"))?;
        let tctx = wire.tctx.optional(wrong("tctx"))?;
        let rctx = wire.rctx.optional(wrong("rctx"))?;
        let iat = jwt.issued_at().ok_or(missing("iat"))?;
        let txn_iat = wire.txn_iat.optional(wrong("txn_iat"))?.unwrap_or(iat);
        if txn_iat > iat {
            return Err(wrong("txn_iat"));
        }
        let exp = jwt.expires().ok_or(missing("exp"))?;
        let txn_exp = wire.txn_exp.optional(wrong("txn_exp"))?;
        if txn_exp.is_some_and(|latest| latest < exp) {
            return Err(wrong("txn_exp"));
        }
        let workloads = wire.req_wl_chain.optional(wrong("req_wl_chain"))?;
        let workloads = workloads.unwrap_or_default();
        if workloads.iter().any(String::is_empty) {
            return Err(wrong("req_wl_chain"));
        }
        Ok(Claims {
            txn: text(wire.txn, "txn")?,
            sub,
            scope: scope.ok_or(missing("scope"))?,
            req_wl: text(wire.req_wl, "req_wl")?,
            iat,
            exp,
            tctx: tctx.unwrap_or_default(),
            rctx: rctx.unwrap_or_default(),
            act: wire.act.optional(act)?,
            act_chain: self.read_chain(wire.act_chain.or(wire.actchain))?,
            agentic: wire.agentic_ctx.optional(agentic)?.transpose()?,
            req_wl_chain: workloads,
            legacy: Vec::new(),
            txn_iat,
            txn_exp,
        })
    }

    fn read_chain(&self, chain: Claim<Links>) -> Result<Vec<ChainLink>, Error> {
        const MALFORMED: Error = Error::MalformedActor { claim: "act_chain" };
        match chain.optional(MALFORMED)? {
            None => Ok(Vec::new()),
            Some(chain) if chain.count > self.max_chain => Err(Error::ChainTooLong {
                limit: self.max_chain,
            }),
            Some(chain) => chain.links.ok_or(MALFORMED),
        }
    }

    fn check_lineage(&self, claims: &Claims) -> Result<(), Error> {
        let accepts = |profile| self.lineages.contains(&profile);
        if !claims.act_chain.is_empty() && !accepts(LineageProfile::ActChain) {
            return Err(Error::UnsupportedLineage);
        }
        let lineage = claims.agentic.as_ref().and_then(AgenticContext::lineage);
        let Some(Lineage::Multi(lineage)) = lineage else {
            return Ok(());
        };
        if !accepts(LineageProfile::PosturedLineage) {
            return Err(Error::UnsupportedLineage);
        }
        lineage.check(self.own.as_deref(), &self.levels, self.max_hops, |agent| {
            self.knows(agent)
        })
    }

    /// Whether an agent has a name of an accepted trust domain.
    fn knows(&self, agent: &str) -> bool {
        self.actors.as_ref().is_none_or(|domains| {
            SpiffeIdRef::parse(agent)
                .is_ok_and(|id| domains.iter().any(|domain| domain.contains(id)))
        })
    }

    fn check_actors(&self, claims: &Claims, issuer: Option<&str>) -> Result<(), Error> {
        let Some(current) = &claims.act else {
            return if claims.act_chain.is_empty() {
                Ok(())
            } else {
                Err(Error::MalformedActor { claim: "act" })
            };
        };
        let links = &claims.act_chain;
        let parties = links.iter().map(|link| link.actor.party());
        let path = parties.chain([current.party()]);
        for (i, party) in path.clone().enumerate() {
            if !self.knows(party.subject()) {
                return Err(Error::UnknownActorTrustDomain { position: i });
            }
            let configured = |name: &str| self.chain_issuers.iter().any(|one| one == name);
            if party
                .issuer()
                .is_some_and(|name| Some(name) != issuer && !configured(name))
            {
                return Err(Error::UnknownActorIssuer { position: i });
            }
            if path.clone().take(i).any(|earlier| earlier.may_be(party)) {
                return Err(Error::RepeatedActor { position: i });
            }
        }
        let latest = claims.iat.saturating_add(self.leeway);
        let times = links.iter().filter_map(|link| link.issued_at);
        if !times.clone().is_sorted() || times.max().is_some_and(|time| time > latest) {
            return Err(Error::ChainTimes);
        }
        Ok(())
    }
}

fn validator(
    trust_domain: &str,
    issuer: &Issuer,
    legacy: bool,
    leeway: u64,
    max_lifetime: Duration,
) -> Validator {
    let types = if legacy {
        Type::OneOf(&[TXN_TOKEN_TYPE, LEGACY_TYPE])
    } else {
        Type::OneOf(&[TXN_TOKEN_TYPE])
    };
    let audience = Audience::Only(vec![trust_domain.to_owned()]);
    let limits = Limits::new(MAX_TOKEN, MAX_TOKEN).unwrap_or_default();
    let validator = Validator::new(types, issuer.clone(), audience)
        .with_algorithms(ALGORITHMS)
        .with_kid_required()
        .with_required_claim("iat")
        .with_max_lifetime(max_lifetime)
        .with_header_rules(HeaderRules::default())
        .with_limits(limits, json::Limits::CLAIMS);
    match validator.clone().with_leeway(Duration::from_secs(leeway)) {
        Ok(validator) => validator,
        Err(_) => validator,
    }
}

const fn wrong(claim: &'static str) -> Error {
    Error::Token(JoseError::ClaimType { claim })
}

/// Earlier names beside the current ones must not mean something else, since a peer of an earlier
/// revision reads those.
fn check_legacy(claims: &Map<String, Value>) -> Result<(), Error> {
    let differ = |claim, alias, same: fn(&Value, &Value) -> bool| match (
        claims.get(claim),
        claims.get(alias),
    ) {
        (Some(value), Some(old)) if !same(value, old) => Err(Error::TwoSpellings { claim, alias }),
        _ => Ok(()),
    };
    differ("scope", "purp", |scope, purpose| {
        let set = |value: &Value| ScopeSet::parse(value.as_str()?).ok();
        set(scope).is_some() && set(scope) == set(purpose)
    })?;
    differ("tctx", "azd", |context, old| context == old)?;
    differ("act_chain", "actchain", |chain, old| chain == old)
}

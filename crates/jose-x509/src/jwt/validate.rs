//! What a kind of token has to fulfil, and the check of it.

use std::fmt;
use std::time::Duration;

use pki_types::UnixTime;

use crate::algorithm::Algorithms;
use crate::error::Error;
use crate::json;
use crate::jws::{Header, HeaderRules, Limits, UnverifiedJws};
use crate::jwt::claims::{Jwt, NumericDate, ReadClaims, Registered, bit};
use crate::jwt::confirmation::Confirmation;
use crate::key::KeySource;

/// Which `typ` is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Type {
    /// `typ` is required and names one of these media types.
    OneOf(&'static [&'static str]),
    /// `typ` may be absent, as older kinds of token have it; if present it is one of these.
    AbsentOrOneOf(&'static [&'static str]),
}

impl Type {
    fn check(self, header: &Header<'_>) -> Result<(), Error> {
        let (types, absent) = match self {
            Self::OneOf(types) => (types, false),
            Self::AbsentOrOneOf(types) => (types, true),
        };
        let accepted = if header.has_typ() {
            types.iter().any(|typ| header.is_type(typ))
        } else {
            absent
        };
        if accepted {
            Ok(())
        } else {
            Err(Error::WrongType)
        }
    }
}

/// Which `iss` is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Issuer {
    /// `iss` is required and equals this, code point by code point.
    Exactly(String),
    /// This kind of token binds keys to an issuer by other means, which the caller names.
    NotApplicable {
        /// Why `iss` decides nothing here.
        reason: &'static str,
    },
}

/// Which `aud` is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Audience {
    /// `aud` is required and has one of the recipient's names among its values.
    AnyOf(Vec<String>),
    /// `aud` is required and is one of the recipient's names alone.
    Only(Vec<String>),
    /// This kind of token has no audience, for the reason that the caller names.
    NotApplicable {
        /// Why there is none.
        reason: &'static str,
    },
}

/// Whether `exp` is demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// `exp` is required: the default.
    Required,
    /// `exp` is checked if it is there.
    Optional,
    /// `exp` must not be there, as in security event tokens.
    Forbidden,
}

/// What to do with `cnf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfirmationRule {
    /// A bearer token: one with `cnf` is refused, which is the default.
    Refused,
    /// `cnf` with an understood method is required; the caller then checks the proof.
    Required,
    /// `cnf` is read if it is there; the caller then checks the proof.
    Checked,
}

/// Validates one kind of JWT: an immutable value that threads share.
#[derive(Clone, Debug)]
pub struct Validator {
    typ: Type,
    issuer: Issuer,
    audience: Audience,
    algorithms: Algorithms,
    expiry: Expiry,
    confirmation: ConfirmationRule,
    kid_required: bool,
    any_names: bool,
    required: Vec<&'static str>,
    undefined: &'static [&'static str],
    leeway: u64,
    informational_iat: bool,
    max_lifetime: Option<u64>,
    max_age: Option<u64>,
    header_rules: HeaderRules,
    limits: Limits,
    claim_limits: json::Limits,
}

/// The longest leeway.
const MAX_LEEWAY: u64 = 300;
const DEFAULT_LEEWAY: u64 = 60;

impl Validator {
    /// A validator for bearer tokens with `exp`, 60 seconds of leeway, and every algorithm of this
    /// crate (the key still fixes which one). `iss`, `sub` and `aud` have to be what RFC 7519 calls
    /// StringOrURI: a name with a colon is a URI.
    #[must_use]
    pub fn new(typ: Type, issuer: Issuer, audience: Audience) -> Self {
        Self {
            typ,
            issuer,
            audience,
            algorithms: Algorithms::ALL,
            expiry: Expiry::Required,
            confirmation: ConfirmationRule::Refused,
            kid_required: false,
            any_names: false,
            required: Vec::new(),
            undefined: &[],
            leeway: DEFAULT_LEEWAY,
            informational_iat: false,
            max_lifetime: None,
            max_age: None,
            header_rules: HeaderRules::default(),
            limits: Limits::default(),
            claim_limits: json::Limits::CLAIMS,
        }
    }

    /// Narrows the algorithms.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: Algorithms) -> Self {
        self.algorithms = algorithms;
        self
    }

    /// Sets what is demanded of `exp`.
    #[must_use]
    pub fn with_expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = expiry;
        self
    }

    /// Sets what is demanded of `cnf`.
    #[must_use]
    pub fn with_confirmation(mut self, rule: ConfirmationRule) -> Self {
        self.confirmation = rule;
        self
    }

    /// Demands `kid` in the header.
    #[must_use]
    pub fn with_kid_required(mut self) -> Self {
        self.kid_required = true;
        self
    }

    /// Accepts any text in `iss`, `sub` and `aud`, for issuers whose names have a colon and are no URIs. What
    /// copies such a name to a log or a header field has to look for control characters itself.
    #[must_use]
    pub fn with_any_names(mut self) -> Self {
        self.any_names = true;
        self
    }

    /// Demands a claim. What a value must be is for the caller to check, except for the registered
    /// claims, which are always checked.
    #[must_use]
    pub fn with_required_claim(mut self, claim: &'static str) -> Self {
        if !self.required.contains(&claim) {
            self.required.push(claim);
        }
        self
    }

    /// Ignores these registered claims, whatever is in them, for kinds of token whose standard does not define
    /// them: they are neither judged nor to be had from the [`Jwt`]. What is demanded elsewhere then counts as absent.
    #[must_use]
    pub fn with_undefined_claims(mut self, claims: &'static [&'static str]) -> Self {
        self.undefined = claims;
        self
    }

    /// Sets the tolerated difference of clocks, applied once to each time.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] above 300 seconds.
    pub fn with_leeway(mut self, leeway: Duration) -> Result<Self, Error> {
        if leeway.as_secs() > MAX_LEEWAY {
            return Err(Error::InvalidOption {
                option: "leeway",
                range: "0 to 300 seconds",
            });
        }
        self.leeway = leeway.as_secs();
        Ok(self)
    }

    /// Compares `iat` with no other time, for kinds of token whose standard gives it no meaning for
    /// validity. It still has to be a number. Undone by a maximum lifetime or age.
    #[must_use]
    pub fn with_informational_iat(mut self) -> Self {
        self.informational_iat = true;
        self
    }

    /// Bounds `exp - iat`, and thereby demands `iat`.
    #[must_use]
    pub fn with_max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(lifetime.as_secs());
        self
    }

    /// Bounds the time since `iat`, and thereby demands `iat`.
    #[must_use]
    pub fn with_max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age.as_secs());
        self
    }

    /// Sets the rules for the header.
    #[must_use]
    pub fn with_header_rules(mut self, rules: HeaderRules) -> Self {
        self.header_rules = rules;
        self
    }

    /// Sets the bounds on the token and on its claims.
    #[must_use]
    pub fn with_limits(mut self, token: Limits, claims: json::Limits) -> Self {
        self.limits = token;
        self.claim_limits = claims;
        self
    }

    /// Validates a compact token: structure, type, key, signature, then claims.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, in that order.
    pub fn validate(
        &self,
        compact: &str,
        keys: &(impl KeySource + ?Sized),
        now: UnixTime,
    ) -> Result<Jwt, Error> {
        self.validate_jws(self.parse(compact)?, keys, now)
    }

    /// As [`Validator::validate`], decoding into a buffer that the caller uses again and again, so that
    /// nothing is allocated for a token without `cnf` and with one audience.
    ///
    /// # Errors
    ///
    /// As [`Validator::validate`].
    pub fn validate_in<'b>(
        &self,
        compact: &str,
        keys: &(impl KeySource + ?Sized),
        now: UnixTime,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Jwt<&'b [u8]>, Error> {
        self.validate_jws(
            UnverifiedJws::parse_in(compact, &self.header_rules, &self.limits, buffer)?,
            keys,
            now,
        )
    }

    /// As [`Validator::validate`], reading further claims in the same pass as the registered ones. What they have to
    /// be is for the caller to check.
    ///
    /// # Errors
    ///
    /// As [`Validator::validate`].
    pub fn validate_with<C: ReadClaims>(
        &self,
        compact: &str,
        keys: &(impl KeySource + ?Sized),
        now: UnixTime,
    ) -> Result<(Jwt, C), Error> {
        self.validate_jws_with(self.parse(compact)?, keys, now)
    }

    /// Validates a token that was parsed before, to choose its keys by what it says.
    ///
    /// # Errors
    ///
    /// As [`Validator::validate`].
    pub fn validate_jws<B: AsRef<[u8]>>(
        &self,
        jws: UnverifiedJws<'_, B>,
        keys: &(impl KeySource + ?Sized),
        now: UnixTime,
    ) -> Result<Jwt<B>, Error> {
        self.validate_into(jws, keys, now, &mut ())
    }

    /// As [`validate_with`](Self::validate_with), of a token that was parsed before.
    ///
    /// # Errors
    ///
    /// As [`Validator::validate`].
    pub fn validate_jws_with<B: AsRef<[u8]>, C: ReadClaims>(
        &self,
        jws: UnverifiedJws<'_, B>,
        keys: &(impl KeySource + ?Sized),
        now: UnixTime,
    ) -> Result<(Jwt<B>, C), Error> {
        let mut own = C::default();
        let jwt = self.validate_into(jws, keys, now, &mut own)?;
        Ok((jwt, own))
    }

    /// What is in `own` counts for nothing unless a token is returned.
    fn validate_into<B: AsRef<[u8]>, C: ReadClaims>(
        &self,
        jws: UnverifiedJws<'_, B>,
        keys: &(impl KeySource + ?Sized),
        now: UnixTime,
        own: &mut C,
    ) -> Result<Jwt<B>, Error> {
        self.check_header(&jws.unverified_header())?;
        let mut jwt = Jwt {
            jws: jws.verify(keys, self.algorithms)?,
            registered: Registered::default(),
        };
        let payload = jwt.jws.payload();
        jwt.registered.read(
            own,
            payload,
            &self.claim_limits,
            &self.required,
            self.undefined,
        )?;
        self.check(&jwt, now)?;
        Ok(jwt)
    }

    /// Parses a compact token by the rules of this validator, for [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// As [`UnverifiedJws::parse_with`].
    pub fn parse<'a>(&self, compact: &'a str) -> Result<UnverifiedJws<'a>, Error> {
        UnverifiedJws::parse_with(compact, &self.header_rules, &self.limits)
    }

    /// Reads the claims of a token that was parsed before, for those who choose its keys by them:
    /// [`UnverifiedJwt::validate`] then does everything else without reading them again.
    ///
    /// # Errors
    ///
    /// [`Error::WrongType`], [`Error::MissingHeader`], [`Error::Json`], [`Error::TooLarge`], [`Error::ClaimType`].
    pub fn read<'v, 'a, B: AsRef<[u8]>>(
        &'v self,
        jws: UnverifiedJws<'a, B>,
    ) -> Result<UnverifiedJwt<'v, 'a, B>, Error> {
        self.read_with(jws)
    }

    /// As [`read`](Self::read), with further claims in the same pass: [`UnverifiedJwt::validate_with`] hands them out.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_with<'v, 'a, B: AsRef<[u8]>, C: ReadClaims>(
        &'v self,
        jws: UnverifiedJws<'a, B>,
    ) -> Result<UnverifiedJwt<'v, 'a, B, C>, Error> {
        self.check_header(&jws.unverified_header())?;
        let mut jwt = UnverifiedJwt {
            validator: self,
            jws,
            registered: Registered::default(),
            own: C::default(),
        };
        let payload = jwt.jws.unverified_payload();
        jwt.registered.read(
            &mut jwt.own,
            payload,
            &self.claim_limits,
            &self.required,
            self.undefined,
        )?;
        Ok(jwt)
    }

    fn check_header(&self, header: &Header<'_>) -> Result<(), Error> {
        self.typ.check(header)?;
        if self.kid_required && header.kid().is_none() {
            return Err(Error::MissingHeader { name: "kid" });
        }
        Ok(())
    }

    fn check<B: AsRef<[u8]>>(&self, jwt: &Jwt<B>, now: UnixTime) -> Result<(), Error> {
        self.check_times(&jwt.registered, now.as_secs())?;
        self.check_parties(jwt)?;
        self.check_names(&jwt.registered)?;
        self.check_required(&jwt.registered)?;
        self.check_confirmation(&jwt.registered)
    }

    fn check_times(&self, claims: &Registered, now: u64) -> Result<(), Error> {
        let exp = claims.exp.map(NumericDate::floor);
        let informational =
            self.informational_iat && self.max_age.is_none() && self.max_lifetime.is_none();
        let iat = claims.iat.map(NumericDate::ceil).filter(|_| !informational);
        let nbf = claims.nbf.map(NumericDate::ceil);
        match (self.expiry, exp) {
            (Expiry::Required, None) => return Err(Error::MissingClaim { claim: "exp" }),
            (Expiry::Forbidden, Some(_)) => return Err(Error::ForbiddenClaim { claim: "exp" }),
            _ => {}
        }
        if exp.is_some_and(|exp| now >= exp.saturating_add(self.leeway)) {
            return Err(Error::Expired);
        }
        if nbf.is_some_and(|nbf| now.saturating_add(self.leeway) < nbf) {
            return Err(Error::NotYetValid);
        }
        if iat.is_some_and(|iat| iat > now.saturating_add(self.leeway)) {
            return Err(Error::IssuedInFuture);
        }
        if exp.is_some_and(|exp| [iat, nbf].iter().flatten().any(|start| exp <= *start)) {
            return Err(Error::ContradictoryTimes);
        }
        if iat.is_none()
            && (self.max_age.is_some() || (self.max_lifetime.is_some() && exp.is_some()))
        {
            return Err(Error::MissingClaim { claim: "iat" });
        }
        if let (Some(limit), Some(iat), Some(exp)) =
            (self.max_lifetime, claims.iat.map(NumericDate::floor), exp)
        {
            if exp.saturating_sub(iat) > limit {
                return Err(Error::LifetimeTooLong { limit });
            }
        }
        if let (Some(limit), Some(iat)) = (self.max_age, iat) {
            if now.saturating_sub(iat) > limit.saturating_add(self.leeway) {
                return Err(Error::TooOld { limit });
            }
        }
        Ok(())
    }

    /// RFC 7519 section 2; nothing is normalised, here or when names are compared.
    fn check_names(&self, claims: &Registered) -> Result<(), Error> {
        let mut unlike = ["iss", "sub", "aud"].into_iter().zip(claims.unlike_names);
        match unlike.find(|(_, unlike)| *unlike && !self.any_names) {
            Some((claim, _)) => Err(Error::NotStringOrUri { claim }),
            None => Ok(()),
        }
    }

    fn check_parties<B: AsRef<[u8]>>(&self, jwt: &Jwt<B>) -> Result<(), Error> {
        if let Issuer::Exactly(expected) = &self.issuer {
            match jwt.issuer() {
                None => return Err(Error::MissingClaim { claim: "iss" }),
                Some(iss) if iss != expected => return Err(Error::IssuerMismatch),
                Some(_) => {}
            }
        }
        let (names, only) = match &self.audience {
            Audience::AnyOf(names) => (names, false),
            Audience::Only(names) => (names, true),
            Audience::NotApplicable { .. } => return Ok(()),
        };
        if jwt.registered.aud.is_empty() {
            return Err(Error::MissingClaim { claim: "aud" });
        }
        if !jwt
            .audience()
            .any(|aud| names.iter().any(|name| name == aud))
        {
            return Err(Error::AudienceMismatch);
        }
        if only && !jwt.registered.aud.is_single() {
            return Err(Error::MultipleAudiences);
        }
        Ok(())
    }

    fn check_required(&self, claims: &Registered) -> Result<(), Error> {
        let absent = |(position, _): &(usize, _)| claims.present & bit(*position) == 0;
        match self.required.iter().enumerate().find(absent) {
            Some((_, claim)) => Err(Error::MissingClaim { claim }),
            None => Ok(()),
        }
    }

    fn check_confirmation(&self, claims: &Registered) -> Result<(), Error> {
        match (self.confirmation, &claims.cnf) {
            (ConfirmationRule::Refused, Some(_)) => Err(Error::UnexpectedConfirmation),
            (ConfirmationRule::Required, None) => Err(Error::MissingClaim { claim: "cnf" }),
            (_, Some(Err(error))) => Err(error.clone()),
            (_, None | Some(Ok(_))) => Ok(()),
        }
    }
}

/// A JWT that a [`Validator`] has read and not validated: anybody can write one. What it says serves to
/// choose the keys, and nothing else.
pub struct UnverifiedJwt<'v, 'a, B = Vec<u8>, C = ()> {
    validator: &'v Validator,
    jws: UnverifiedJws<'a, B>,
    registered: Registered,
    own: C,
}

impl<B: AsRef<[u8]>, C> UnverifiedJwt<'_, '_, B, C> {
    /// The header.
    #[must_use]
    pub fn unverified_header(&self) -> Header<'_> {
        self.jws.unverified_header()
    }

    /// `iss`.
    #[must_use]
    pub fn unverified_issuer(&self) -> Option<&str> {
        let payload = self.jws.unverified_payload();
        self.registered.iss.as_ref().map(|iss| iss.get(payload))
    }

    /// `sub`.
    #[must_use]
    pub fn unverified_subject(&self) -> Option<&str> {
        let payload = self.jws.unverified_payload();
        self.registered.sub.as_ref().map(|sub| sub.get(payload))
    }

    /// `cnf`, if it is well formed.
    #[must_use]
    pub fn unverified_confirmation(&self) -> Option<&Confirmation> {
        self.registered.cnf.as_ref()?.as_deref().ok()
    }

    /// Validates it as the [`Validator`] that has read it demands: key, signature, then claims.
    ///
    /// # Errors
    ///
    /// As [`Validator::validate`].
    pub fn validate(
        self,
        keys: &(impl KeySource + ?Sized),
        now: UnixTime,
    ) -> Result<Jwt<B>, Error> {
        self.validate_with(keys, now).map(|(jwt, _)| jwt)
    }

    /// As [`validate`](Self::validate), with the further claims that were read.
    ///
    /// # Errors
    ///
    /// As [`Validator::validate`].
    pub fn validate_with(
        self,
        keys: &(impl KeySource + ?Sized),
        now: UnixTime,
    ) -> Result<(Jwt<B>, C), Error> {
        let jwt = Jwt {
            jws: self.jws.verify(keys, self.validator.algorithms)?,
            registered: self.registered,
        };
        self.validator.check(&jwt, now)?;
        Ok((jwt, self.own))
    }
}

/// Without the claims, those of the kind of token included.
impl<B: AsRef<[u8]>, C> fmt::Debug for UnverifiedJwt<'_, '_, B, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UnverifiedJwt").field(&self.jws).finish()
    }
}

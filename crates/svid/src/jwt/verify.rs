//! The validation of sections 2 to 4 and 6.

use std::fmt;
use std::time::Duration;

use jose_x509::json;
use jose_x509::jws::Limits;
use jose_x509::jwt::{Audience, Issuer, Jwt, Type, Validator};
use jose_x509::{Error as JoseError, KeySet, VerifyingKey};
use pki_types::UnixTime;
use spiffe_bundle::JwtBundleSource;
use spiffe_id::SpiffeId;

use super::parse::{MAX_TOKEN, form, refused, subject};
use crate::error::{Credential, Error};
use crate::identity::{TOKEN_ALGORITHMS, check_audiences};

/// Verifies JWT-SVIDs for one recipient. Immutable; threads share it.
#[derive(Clone, Debug)]
pub struct JwtSvidVerifier {
    validator: Validator,
    single_audience: bool,
    trust_domain_subjects: bool,
    leeway: u64,
    max_remaining: Option<u64>,
}

pub(super) const TYPES: [&str; 2] = ["JWT", "JOSE"];
/// How many keys are tried for a token without `kid`. A trust domain with more keys of the token's algorithm
/// has to name them.
pub const MAX_KEYS_TRIED: usize = 16;
const MAX_LEEWAY: u64 = 120;
const DEFAULT_LEEWAY: u64 = 30;

impl JwtSvidVerifier {
    /// A verifier for tokens to `audience`, this service's own name; 30 seconds of leeway; 16 KiB.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for an empty name, and for one with a colon that is no URI, such as `10.0.0.1:8443`:
    /// no token can have it as `aud` (RFC 7519, section 2).
    pub fn new(audience: impl Into<String>) -> Result<Self, Error> {
        Self::for_audiences([audience.into()])
    }

    /// As [`new`](Self::new), for a service with several names, of which the token must have one.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for an empty list; as [`new`](Self::new).
    pub fn for_audiences(audiences: impl IntoIterator<Item = String>) -> Result<Self, Error> {
        let audiences: Vec<String> = audiences.into_iter().collect();
        check_audiences(&audiences)?;
        Self {
            validator: validator(Audience::AnyOf(audiences))?,
            single_audience: false,
            trust_domain_subjects: false,
            leeway: DEFAULT_LEEWAY,
            max_remaining: None,
        }
        .with_leeway(Duration::from_secs(DEFAULT_LEEWAY))
    }

    /// Refuses tokens with more than one audience, which any of them could replay to this service.
    #[must_use]
    pub const fn requiring_single_audience(mut self) -> Self {
        self.single_audience = true;
        self
    }

    /// Accepts a `sub` without a path, for issuers that name a trust domain there. Who authorizes by prefix
    /// must then know that such a subject is no workload.
    #[must_use]
    pub const fn accepting_trust_domain_subjects(mut self) -> Self {
        self.trust_domain_subjects = true;
        self
    }

    /// Refuses tokens that stay valid for longer than this from now on. Without it, any `exp` is accepted.
    #[must_use]
    pub const fn with_max_remaining_lifetime(mut self, remaining: Duration) -> Self {
        self.max_remaining = Some(remaining.as_secs());
        self
    }

    /// Another tolerated difference of clocks.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] above 120 seconds.
    pub fn with_leeway(mut self, leeway: Duration) -> Result<Self, Error> {
        let refused = Error::InvalidOption {
            option: "leeway",
            range: "0 to 120 seconds",
        };
        if leeway > Duration::from_secs(MAX_LEEWAY) {
            return Err(refused);
        }
        self.validator = self.validator.with_leeway(leeway).map_err(|_| refused)?;
        self.leeway = leeway.as_secs();
        Ok(self)
    }

    /// Verifies a token. The keys are the `jwt-svid` keys of the trust domain of `sub`; `iss` is never used.
    ///
    /// # Errors
    ///
    /// [`Error`], in this order: structure, algorithm, header, subject, bundle, signature, times, audience.
    pub fn verify(
        &self,
        token: &str,
        bundles: &(impl JwtBundleSource + ?Sized),
        now: UnixTime,
    ) -> Result<JwtSvid, Error> {
        let unverified = self.validator.read(form(token)?).map_err(refused)?;
        let spiffe_id = subject(unverified.unverified_subject())?;
        let credential = Credential::Jwt;
        if spiffe_id.is_trust_domain_id() && !self.trust_domain_subjects {
            return Err(Error::NoPath { credential });
        }
        let keys = bundles
            .jwt_authorities(spiffe_id.trust_domain())
            .ok_or(Error::NoBundle { credential })?;
        if keys.keys().is_empty() {
            return Err(Error::NoAuthorities { credential });
        }
        let jwt = match unverified.unverified_header().kid() {
            Some(_) => unverified.validate(&*keys, now),
            None => self.try_keys(token, &keys, now),
        }
        .map_err(refused)?;
        if jwt.subject() != Some(spiffe_id.as_str()) {
            return Err(refused(JoseError::ClaimType { claim: "sub" }));
        }
        if self.single_audience && jwt.audience().nth(1).is_some() {
            return Err(refused(JoseError::MultipleAudiences));
        }
        let expires = jwt
            .expires()
            .ok_or(refused(JoseError::MissingClaim { claim: "exp" }))?;
        if let Some(limit) = self.max_remaining {
            if expires.saturating_sub(now.as_secs()) > limit {
                return Err(refused(JoseError::LifetimeTooLong { limit }));
            }
        }
        Ok(JwtSvid {
            spiffe_id,
            expires: UnixTime::since_unix_epoch(Duration::from_secs(expires)),
            last_second: expires.saturating_add(self.leeway).saturating_sub(1),
            jwt,
        })
    }

    /// A token without `kid`: every key of its algorithm, one after the other.
    fn try_keys(&self, token: &str, keys: &KeySet, now: UnixTime) -> Result<Jwt, JoseError> {
        let parse = || form(token).map_err(|_| JoseError::UnknownKey);
        let algorithm = parse()?.unverified_header().algorithm();
        let fits = |key: &&VerifyingKey| key.algorithms().contains(algorithm);
        if keys.keys().iter().filter(fits).count() > MAX_KEYS_TRIED {
            return Err(JoseError::AmbiguousKey);
        }
        let mut refusal = JoseError::UnknownKey;
        for key in keys.keys().iter().filter(fits) {
            match self.validator.validate_jws(parse()?, key, now) {
                Err(error @ JoseError::InvalidSignature) => refusal = error,
                decided => return decided,
            }
        }
        Err(refusal)
    }
}

fn validator(audience: Audience) -> Result<Validator, Error> {
    let limits = Limits::new(MAX_TOKEN, MAX_TOKEN).map_err(refused)?;
    let issuer = Issuer::NotApplicable {
        reason: "keys are those of the trust domain of `sub`",
    };
    Ok(
        Validator::new(Type::AbsentOrOneOf(&TYPES), issuer, audience)
            .with_algorithms(TOKEN_ALGORITHMS)
            .with_informational_iat()
            .with_required_claim("sub")
            .with_limits(limits, json::Limits::CLAIMS),
    )
}

/// A verified JWT-SVID: whoever sent it has been the workload, or has got the token from it.
pub struct JwtSvid {
    spiffe_id: SpiffeId,
    expires: UnixTime,
    last_second: u64,
    jwt: Jwt,
}

impl JwtSvid {
    /// The workload.
    #[must_use]
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// The audience, one or several.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.jwt.audience()
    }

    /// `exp`.
    #[must_use]
    pub const fn expires(&self) -> UnixTime {
        self.expires
    }

    /// The token with its other claims, which decided nothing.
    #[must_use]
    pub const fn jwt(&self) -> &Jwt {
        &self.jwt
    }

    /// The last second in which the verifier that accepted it would accept it, leeway included.
    pub(crate) const fn last_second(&self) -> u64 {
        self.last_second
    }
}

/// Without the token, which is a bearer's.
impl fmt::Debug for JwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvid")
            .field("spiffe_id", &self.spiffe_id)
            .field("expires", &self.expires.as_secs())
            .finish_non_exhaustive()
    }
}

//! The validation of sections 2 to 4 and 6.

use std::time::Duration;

use jose_x509::Error as JoseError;
use jose_x509::json;
use jose_x509::jws::{HeaderRules, Limits, UnverifiedJws};
use jose_x509::jwt::{Audience, Issuer, Jwt, Type, Validator, peek_claims};
use pki_types::UnixTime;
use spiffe_bundle::JwtBundleSource;
use spiffe_id::SpiffeId;

use crate::error::{Credential, Error};
use crate::identity::{TOKEN_ALGORITHMS, workload_id};

/// Verifies JWT-SVIDs for one recipient. Immutable; threads share it.
#[derive(Clone, Debug)]
pub struct JwtSvidVerifier {
    validator: Validator,
    single_audience: bool,
}

const TYPES: [&str; 2] = ["JWT", "JOSE"];
const MAX_LEEWAY: u64 = 120;
const DEFAULT_LEEWAY: u64 = 30;
const MAX_TOKEN: usize = 16 * 1024;

impl JwtSvidVerifier {
    /// A verifier for tokens to `audience`, this service's own name; 30 seconds of leeway; 16 KiB.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for an empty name.
    pub fn new(audience: impl Into<String>) -> Result<Self, Error> {
        Self::for_audiences([audience.into()])
    }

    /// As [`new`](Self::new), for a service with several names, of which the token must have one.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for an empty list or an empty name.
    pub fn for_audiences(audiences: impl IntoIterator<Item = String>) -> Result<Self, Error> {
        let audiences: Vec<String> = audiences.into_iter().collect();
        if audiences.is_empty() || audiences.iter().any(String::is_empty) {
            return Err(Error::InvalidOption {
                option: "audience",
                range: "at least one name, none of them empty",
            });
        }
        Self {
            validator: validator(Audience::AnyOf(audiences))?,
            single_audience: false,
        }
        .with_leeway(Duration::from_secs(DEFAULT_LEEWAY))
    }

    /// Refuses tokens with more than one audience, which any of them could replay to this service.
    #[must_use]
    pub const fn requiring_single_audience(mut self) -> Self {
        self.single_audience = true;
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
        let limits = Limits::new(MAX_TOKEN, MAX_TOKEN).map_err(refused)?;
        let jws =
            UnverifiedJws::parse_with(token, &HeaderRules::default(), &limits).map_err(refused)?;
        let header = jws.unverified_header();
        let algorithm = header.algorithm();
        if !TOKEN_ALGORITHMS.contains(algorithm) {
            return Err(refused(JoseError::AlgorithmNotAllowed { algorithm }));
        }
        let members = header.members().map_err(refused)?;
        if members
            .keys()
            .any(|name| !matches!(name.as_str(), "alg" | "kid" | "typ"))
        {
            return Err(Error::HeaderParameter);
        }
        // Exactly these spellings, unlike media types elsewhere.
        if header.typ().is_some_and(|typ| !TYPES.contains(&typ)) {
            return Err(refused(JoseError::WrongType));
        }
        let subject = peek_claims(&jws)
            .map_err(refused)?
            .unverified_subject
            .ok_or(refused(JoseError::MissingClaim { claim: "sub" }))?;
        let spiffe_id = workload_id(&subject, Credential::Jwt)?;
        let keys = bundles
            .jwt_authorities(spiffe_id.trust_domain())
            .ok_or(Error::NoBundle {
                credential: Credential::Jwt,
            })?;
        if keys.keys().is_empty() {
            return Err(Error::NoAuthorities {
                credential: Credential::Jwt,
            });
        }
        let jwt = self
            .validator
            .validate_jws(jws, &*keys, now)
            .map_err(refused)?;
        if jwt.subject() != Some(spiffe_id.as_str()) {
            return Err(refused(JoseError::ClaimType { claim: "sub" }));
        }
        if self.single_audience && jwt.audience().count() > 1 {
            return Err(refused(JoseError::MultipleAudiences));
        }
        let expires = jwt
            .expires()
            .ok_or(refused(JoseError::MissingClaim { claim: "exp" }))?;
        Ok(JwtSvid {
            spiffe_id,
            expires: UnixTime::since_unix_epoch(Duration::from_secs(expires)),
            jwt,
        })
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

const fn refused(source: JoseError) -> Error {
    Error::Token {
        credential: Credential::Jwt,
        source,
    }
}

/// A verified JWT-SVID: whoever sent it has been the workload, or has got the token from it.
#[derive(Debug)]
pub struct JwtSvid {
    spiffe_id: SpiffeId,
    expires: UnixTime,
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
}

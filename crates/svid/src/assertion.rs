//! What a token says beyond its SPIFFE ID, which counts only where somebody has agreed that it does.

use std::collections::{BTreeMap, BTreeSet};

use jose_x509::jwt::Jwt;
use serde_json::Value;
use spiffe_id::{SpiffeId, TrustDomain};

use crate::error::{Credential, Error};
use crate::jwt::JwtSvid;
use crate::wit::BoundWorkload;

/// A claim, its value, and the trust domain that says so. Two are equal only if all three are: what one trust
/// domain says is never what another one says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    trust_domain: TrustDomain,
    claim: String,
    value: Value,
}

impl Assertion {
    /// Says that `trust_domain` says so: for a policy to compare with.
    #[must_use]
    pub fn new(trust_domain: TrustDomain, claim: impl Into<String>, value: Value) -> Self {
        Self {
            trust_domain,
            claim: claim.into(),
            value,
        }
    }

    /// Who says so.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The name of the claim.
    #[must_use]
    pub fn claim(&self) -> &str {
        &self.claim
    }

    /// Its value.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }
}

/// Which claims are believed, by trust domain. A new one believes none: no SPIFFE standard defines claims beyond
/// the subject, so that each needs an agreement with the trust domain that makes it (SPIFFE-ID section 3.2).
///
/// ```
/// use serde_json::json;
/// use spiffe_id::TrustDomain;
/// use svid::assertion::{Assertion, AssertionPolicy};
/// use svid::jwt::JwtSvid;
///
/// fn is_admin(svid: &JwtSvid, home: &TrustDomain) -> Result<bool, Box<dyn std::error::Error>> {
///     let agreed = AssertionPolicy::new().believing(home.clone(), "role")?;
///     let admin = Assertion::new(home.clone(), "role", json!("admin"));
///     Ok(agreed.of_jwt_svid(svid)?.contains(&admin))
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct AssertionPolicy {
    believed: BTreeMap<TrustDomain, BTreeSet<String>>,
}

/// Claims that have a meaning of their own, and are judged by the verifier.
const DEFINED: [&str; 8] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf"];

impl AssertionPolicy {
    /// Believes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Believes `claim` of this trust domain, and of no other.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for a claim that the standards define, such as `sub`.
    pub fn believing(
        mut self,
        trust_domain: TrustDomain,
        claim: impl Into<String>,
    ) -> Result<Self, Error> {
        let claim = claim.into();
        if claim.is_empty() || DEFINED.contains(&claim.as_str()) {
            return Err(Error::InvalidOption {
                option: "claim",
                range: "a claim besides iss, sub, aud, exp, nbf, iat, jti and cnf",
            });
        }
        self.believed.entry(trust_domain).or_default().insert(claim);
        Ok(self)
    }

    /// What is believed of a JWT-SVID.
    ///
    /// # Errors
    ///
    /// [`Error::Token`]; not for a token that was verified.
    pub fn of_jwt_svid(&self, svid: &JwtSvid) -> Result<Vec<Assertion>, Error> {
        self.of(svid.spiffe_id(), svid.jwt(), Credential::Jwt)
    }

    /// What is believed of a WIT-SVID whose holder has proven to be it.
    ///
    /// # Errors
    ///
    /// [`Error::Token`]; not for a token that was verified.
    pub fn of_wit_svid(&self, workload: &BoundWorkload) -> Result<Vec<Assertion>, Error> {
        self.of(workload.spiffe_id(), workload.wit(), Credential::Wit)
    }

    fn of(
        &self,
        id: &SpiffeId,
        token: &Jwt,
        credential: Credential,
    ) -> Result<Vec<Assertion>, Error> {
        let trust_domain = id.trust_domain().to_trust_domain();
        let Some(believed) = self.believed.get(&trust_domain) else {
            return Ok(Vec::new());
        };
        let claims = token
            .claims_map()
            .map_err(|source| Error::Token { credential, source })?;
        let agreed = claims
            .into_iter()
            .filter(|(claim, _)| believed.contains(claim));
        Ok(agreed
            .map(|(claim, value)| Assertion::new(trust_domain.clone(), claim, value))
            .collect())
    }
}

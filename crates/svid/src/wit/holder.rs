//! The holder's side: a WIT-SVID with the key that it names.

use std::fmt;

use http::{HeaderMap, Uri};
use jose_x509::jwt::Confirmation;
use jose_x509::{Error as JoseError, SigningKey};
use pki_types::UnixTime;
use spiffe_id::SpiffeId;
use wimse::WptBuilder;

use super::parse::{UnverifiedWitSvid, refused};
use crate::error::Error;
use crate::jwt::check_target;

/// The WIT-SVID of this workload and the private key behind it. Issuers are trusted here, so nothing but form
/// and key is checked.
///
/// It leaves only together with a fresh proof, and never in `Authorization`.
#[derive(Clone)]
pub struct WitSvidHolder {
    spiffe_id: SpiffeId,
    token: String,
    key: SigningKey,
}

impl WitSvidHolder {
    /// Joins a token and the private key that it names.
    ///
    /// # Errors
    ///
    /// Those of [`UnverifiedWitSvid::parse`]; [`Error::ConfirmationKeyMismatch`] when `cnf` names another key
    /// or algorithm.
    pub fn new(token: impl Into<String>, key: SigningKey) -> Result<Self, Error> {
        let token = token.into();
        let parsed = UnverifiedWitSvid::parse(&token)?;
        let claims = parsed.unverified_claims()?;
        let cnf = claims
            .get("cnf")
            .ok_or(refused(JoseError::MissingClaim { claim: "cnf" }))?;
        let named = Confirmation::from_value(cnf).map_err(refused)?.jwk;
        let own = key.public_jwk();
        let fits = |jwk: &jose_x509::Jwk| {
            jwk.key() == own.key()
                && jwk.algorithm().is_some()
                && jwk.algorithm() == own.algorithm()
        };
        if !named.as_ref().is_some_and(fits) {
            return Err(Error::ConfirmationKeyMismatch);
        }
        let spiffe_id = parsed.spiffe_id;
        Ok(Self {
            spiffe_id,
            token,
            key,
        })
    }

    /// Whom it names.
    #[must_use]
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// The token, which is nothing without its key, and still nobody else's business.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The private key, for proofs by other means such as [`wimse::httpsig`].
    #[must_use]
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Puts the token and a fresh proof for `target`, the whole URI of the request, into its fields. The
    /// proof lives for 60 seconds and covers scheme, authority and path; for method, query and content as
    /// well, sign the message by [`wimse::httpsig`].
    ///
    /// # Errors
    ///
    /// [`Error::InsecureTarget`] unless `target` is `https`, or `http` on this machine itself;
    /// [`Error::Wimse`] for a token that has expired and if signing fails.
    pub fn attach(
        &self,
        headers: &mut HeaderMap,
        target: &Uri,
        now: UnixTime,
    ) -> Result<(), Error> {
        check_target(target)?;
        WptBuilder::new(&self.token, &target.to_string())
            // What is not `https` does not leave the machine.
            .with_channel_secured_elsewhere()
            .apply(headers, &self.key, self.key.provider(), now)
            .map_err(Error::Wimse)
    }
}

/// Without the token.
impl fmt::Debug for WitSvidHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WitSvidHolder")
            .field("spiffe_id", &self.spiffe_id)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

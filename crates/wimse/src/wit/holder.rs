//! The holder's side: a WIT together with the key that nobody else has.

use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use jose_x509::jws::UnverifiedJws;
use jose_x509::{Algorithm, CryptoProvider, Jwk, Signer, SigningKey, json};
use pki_types::UnixTime;

use crate::error::{Error, Token};
use crate::identifier::WorkloadIdentifier;
use crate::wpt::WptBuilder;

/// A new key that waits for its WIT.
///
/// It is made here, its private half never leaves, and [`accept`](Self::accept) uses it up: a key belongs to one WIT of
/// one Workload Identifier by construction.
pub struct PendingKey {
    key: SigningKey,
}

impl PendingKey {
    /// Makes a key.
    ///
    /// # Errors
    ///
    /// [`Error::Token`] when `provider` cannot make one for `algorithm`.
    pub fn generate(provider: &CryptoProvider, algorithm: Algorithm) -> Result<Self, Error> {
        let key = SigningKey::generate(provider, algorithm).map_err(|source| Error::Token {
            token: Token::Wit,
            source,
        })?;
        Ok(Self { key })
    }

    /// The public half, with `alg`, for the issuer.
    #[must_use]
    pub fn public_jwk(&self) -> Jwk {
        self.key.public_jwk()
    }

    /// Joins the key with the WIT that the issuer made for it. The issuer is trusted here, so no signature is
    /// verified.
    ///
    /// # Errors
    ///
    /// [`Error::NotForHolder`] when the WIT names somebody else, has another key, has no `exp` or has expired;
    /// [`Error::Token`] when it is no token.
    pub fn accept(
        self,
        wit: String,
        identifier: &WorkloadIdentifier,
        now: UnixTime,
    ) -> Result<HeldWit, Error> {
        let refused = |source| Error::Token {
            token: Token::Wit,
            source,
        };
        let jws = UnverifiedJws::parse(&wit).map_err(refused)?;
        let claims = json::object(jws.unverified_payload(), &json::Limits::CLAIMS)
            .map_err(|_| refused(jose_x509::Error::ClaimsShape))?;
        let text = |name: &str| claims.get(name).and_then(serde_json::Value::as_str);
        if text("sub") != Some(identifier.as_str()) {
            return Err(Error::NotForHolder { claim: "sub" });
        }
        let jwk = claims.get("cnf").and_then(|cnf| cnf.get("jwk"));
        let jwk = jwk.and_then(|jwk| Jwk::from_slice(jwk.to_string().as_bytes()).ok());
        let own = self.key.public_jwk();
        if !jwk.is_some_and(|jwk| jwk.key() == own.key() && jwk.algorithm() == own.algorithm()) {
            return Err(Error::NotForHolder { claim: "cnf" });
        }
        let expires = claims.get("exp").and_then(serde_json::Value::as_u64);
        let expires = expires
            .filter(|expires| *expires > now.as_secs())
            .ok_or(Error::NotForHolder { claim: "exp" })?;
        Ok(HeldWit {
            identifier: identifier.clone(),
            since: now.as_secs(),
            expires,
            key: self.key,
            wit,
        })
    }
}

/// A WIT with its key, ready to make proofs. The key cannot be taken out or used for anything else.
pub struct HeldWit {
    wit: String,
    identifier: WorkloadIdentifier,
    key: SigningKey,
    since: u64,
    expires: u64,
}

impl HeldWit {
    /// Whom the WIT names.
    #[must_use]
    pub const fn identifier(&self) -> &WorkloadIdentifier {
        &self.identifier
    }

    /// The WIT.
    #[must_use]
    pub fn wit(&self) -> &str {
        &self.wit
    }

    /// The first second in which the WIT is no longer valid.
    #[must_use]
    pub const fn expires(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.expires))
    }

    /// When to get the next WIT: half-way from its arrival to its end.
    #[must_use]
    pub const fn renew_at(&self) -> UnixTime {
        let half = self.expires.saturating_sub(self.since) / 2;
        UnixTime::since_unix_epoch(Duration::from_secs(self.since.saturating_add(half)))
    }

    /// Another new key of the same kind, for the next WIT.
    ///
    /// # Errors
    ///
    /// As [`PendingKey::generate`].
    pub fn next_key(&self) -> Result<PendingKey, Error> {
        PendingKey::generate(self.key.provider(), self.key.algorithm())
    }

    /// A proof for a request to `target`, to which bound tokens can be added. [`sign`](Self::sign) and
    /// [`apply`](Self::apply) take it back.
    #[must_use]
    pub fn proof(&self, target: &str) -> WptBuilder<'_> {
        WptBuilder::new(&self.wit, target)
    }

    /// As [`WptBuilder::sign`], with the key of this WIT.
    ///
    /// # Errors
    ///
    /// As [`WptBuilder::sign`]; [`Error::NotForHolder`] for a proof of another WIT.
    pub fn sign(&self, proof: &WptBuilder<'_>, now: UnixTime) -> Result<String, Error> {
        self.check(proof)?;
        proof.sign(&self.key, self.key.provider(), now)
    }

    /// As [`WptBuilder::apply`], with the key of this WIT.
    ///
    /// # Errors
    ///
    /// As [`WptBuilder::apply`]; [`Error::NotForHolder`] for a proof of another WIT.
    pub fn apply(
        &self,
        proof: &WptBuilder<'_>,
        headers: &mut HeaderMap,
        now: UnixTime,
    ) -> Result<(), Error> {
        self.check(proof)?;
        proof.apply(headers, &self.key, self.key.provider(), now)
    }

    fn check(&self, proof: &WptBuilder<'_>) -> Result<(), Error> {
        if proof.wit() == self.wit {
            Ok(())
        } else {
            Err(Error::NotForHolder { claim: "cnf" })
        }
    }
}

impl fmt::Debug for PendingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingKey").finish_non_exhaustive()
    }
}

impl fmt::Debug for HeldWit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldWit")
            .field("identifier", &self.identifier)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

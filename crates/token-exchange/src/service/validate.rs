//! Subject and actor tokens, one validator for each declared type.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jose_x509::jws::{HeaderRules, Limits, UnverifiedJws};
use jose_x509::jwt::{Validator, peek_claims};
use jose_x509::{Error as JoseError, KeySource};
use pki_types::UnixTime;

use crate::authority::DetailTypes;
use crate::error::Error;
use crate::exchange::{PartyKind, VerifiedSubject};

/// A token as it was presented. `Debug` hides it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Presented<'a> {
    /// The token; of the SAML types, the assertion that was base64url encoded.
    pub unverified_bytes: &'a [u8],
    /// `subject` or `actor`.
    pub which: &'static str,
    /// The client that presents it.
    pub client_id: &'a str,
    /// When.
    pub now: UnixTime,
}

impl<'a> Presented<'a> {
    pub(super) const fn new(
        unverified_bytes: &'a [u8],
        which: &'static str,
        client_id: &'a str,
        now: UnixTime,
    ) -> Self {
        Self {
            unverified_bytes,
            which,
            client_id,
            now,
        }
    }

    /// The error for a token that is refused.
    #[must_use]
    pub const fn refused(&self, source: JoseError) -> Error {
        Error::Token {
            which: self.which,
            source,
        }
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("which", &self.which)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Validates tokens of one declared type, and knows nothing of the others.
pub trait TokenValidator: Send + Sync {
    /// The full validity procedure of the type: signature or store, issuer, times, audience, purpose.
    ///
    /// # Errors
    ///
    /// [`Presented::refused`] with the cause.
    fn validate(
        &self,
        token: &Presented<'_>,
        types: &DetailTypes,
    ) -> Result<VerifiedSubject, Error>;

    /// The bytes that tell a token without `jti` from any other, for the id of its grant: all of them, unless whoever holds
    /// the token could write some otherwise and it stays valid.
    fn identifying<'t>(&self, token: &Presented<'t>) -> &'t [u8] {
        token.unverified_bytes
    }

    /// Whether this issuer is trusted to say who acted before (`act`). The service's own issuer always is.
    fn asserts_delegation(&self, _issuer: Option<&str>) -> bool {
        false
    }

    /// Spends a token of a type that is good once; called last, when nothing else is in the way. Other tokens stay as
    /// they are.
    ///
    /// # Errors
    ///
    /// [`Presented::refused`] for a token that was spent before.
    fn spend(&self, _token: &Presented<'_>, _verified: &VerifiedSubject) -> Result<(), Error> {
        Ok(())
    }
}

/// Validates JWTs of configured issuers: each has its own rules and keys, and no other is trusted.
#[derive(Clone, Default)]
pub struct JwtTokens(BTreeMap<String, Trusted>);

#[derive(Clone)]
struct Trusted {
    validator: Validator,
    keys: Arc<dyn KeySource + Send + Sync>,
    kind: PartyKind,
    delegation: bool,
}

impl JwtTokens {
    /// Nobody is trusted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts `issuer` for tokens of this kind of party. The validator should demand the same issuer.
    #[must_use]
    pub fn with_issuer(
        mut self,
        issuer: impl Into<String>,
        validator: Validator,
        keys: Arc<dyn KeySource + Send + Sync>,
        kind: PartyKind,
    ) -> Self {
        let trusted = Trusted {
            validator,
            keys,
            kind,
            delegation: false,
        };
        self.0.insert(issuer.into(), trusted);
        self
    }

    /// Believes `act` of this issuer, whom [`with_issuer`](Self::with_issuer) named before.
    #[must_use]
    pub fn asserting_delegation(mut self, issuer: &str) -> Self {
        if let Some(trusted) = self.0.get_mut(issuer) {
            trusted.delegation = true;
        }
        self
    }
}

impl JwtTokens {
    /// Whose token it says it is. Where there is only one issuer there is nothing to choose.
    fn issuer(&self, unverified: &str) -> Result<(&str, &Trusted), JoseError> {
        let mut all = self.0.iter();
        let found = match (all.next(), all.next()) {
            (Some(only), None) => Some(only),
            _ => stated_issuer(unverified)?.and_then(|issuer| self.0.get_key_value(&issuer)),
        };
        let (issuer, trusted) = found.ok_or(JoseError::IssuerMismatch)?;
        Ok((issuer, trusted))
    }
}

/// `iss` of a token that nobody has verified.
fn stated_issuer(unverified: &str) -> Result<Option<String>, JoseError> {
    let (rules, limits) = (HeaderRules::default(), Limits::default());
    let jws = UnverifiedJws::parse_with(unverified, &rules, &limits)?;
    Ok(peek_claims(&jws)?.unverified_issuer)
}

impl TokenValidator for JwtTokens {
    fn validate(
        &self,
        token: &Presented<'_>,
        types: &DetailTypes,
    ) -> Result<VerifiedSubject, Error> {
        let refused = |source| token.refused(source);
        let text = std::str::from_utf8(token.unverified_bytes)
            .map_err(|_| refused(JoseError::IssuerMismatch))?;
        let (issuer, trusted) = self.issuer(text).map_err(refused)?;
        let read = trusted.validator.parse(text);
        let read = read.and_then(|jws| trusted.validator.read(jws));
        let jwt = read.map_err(|error| match stated_issuer(text) {
            // Which of its rules another issuer's token breaks says less than that it is one.
            Ok(stated) if stated.as_deref() != Some(issuer) => refused(JoseError::IssuerMismatch),
            _ => refused(error),
        })?;
        if jwt.unverified_issuer() != Some(issuer) {
            return Err(refused(JoseError::IssuerMismatch));
        }
        let jwt = jwt
            .validate(trusted.keys.as_ref(), token.now)
            .map_err(refused)?;
        // Whatever the validator was told: the keys were chosen by this issuer.
        if jwt.issuer() != Some(issuer) {
            return Err(refused(JoseError::IssuerMismatch));
        }
        VerifiedSubject::from_jwt(&jwt, trusted.kind, types)
    }

    /// What is signed. Of an ECDSA signature there is a second one that anybody can compute from the first.
    fn identifying<'t>(&self, token: &Presented<'t>) -> &'t [u8] {
        let bytes = token.unverified_bytes;
        let dot = bytes.iter().rposition(|byte| *byte == b'.');
        dot.and_then(|end| bytes.get(..end)).unwrap_or(bytes)
    }

    fn asserts_delegation(&self, issuer: Option<&str>) -> bool {
        issuer
            .and_then(|issuer| self.0.get(issuer))
            .is_some_and(|trusted| trusted.delegation)
    }
}

impl fmt::Debug for JwtTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

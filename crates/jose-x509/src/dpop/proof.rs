//! The client's side: making proofs (RFC 9449 section 4).

use std::fmt;

use pki_types::UnixTime;
use serde_json::{Map, Value};

use super::error::DpopError;
use super::htu::Htu;
use super::nonce::Nonce;
use crate::base64url;
use crate::error::Error;
use crate::jwk::{Jwk, PublicKey};
use crate::jws::{self, ProtectedHeader};
use crate::provider::CryptoProvider;
use crate::sign::{AsyncSigner, Signer, SigningKey};

pub(super) const TYPE: &str = "dpop+jwt";

/// `ath`: SHA-256 of the access token as it stands in the `Authorization` field.
#[must_use]
pub fn access_token_hash(provider: &CryptoProvider, access_token: &str) -> [u8; 32] {
    provider.sha256(access_token.as_bytes())
}

/// Reads a `jkt`, or the authorization request's parameter `dpop_jkt`: 43 characters of canonical
/// base64url.
///
/// # Errors
///
/// [`Error::InvalidBase64`].
pub fn parse_jkt(text: &str) -> Result<[u8; 32], Error> {
    base64url::decode_array(text, "key thumbprint")
}

/// The request that a proof is made for.
#[derive(Clone, Copy)]
pub struct ProofRequest<'a> {
    method: &'a str,
    target: &'a Htu,
    access_token: Option<&'a str>,
    nonce: Option<&'a Nonce>,
}

/// Without the access token.
impl fmt::Debug for ProofRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofRequest")
            .field("method", &self.method)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl<'a> ProofRequest<'a> {
    /// A request with this method to this target.
    #[must_use]
    pub fn new(method: &'a str, target: &'a Htu) -> Self {
        Self {
            method,
            target,
            access_token: None,
            nonce: None,
        }
    }

    /// The access token that goes along. Not at the token endpoint.
    #[must_use]
    pub fn with_access_token(self, access_token: &'a str) -> Self {
        Self {
            access_token: Some(access_token),
            ..self
        }
    }

    /// The latest nonce of this server, if it gave one.
    #[must_use]
    pub fn with_nonce(self, nonce: impl Into<Option<&'a Nonce>>) -> Self {
        Self {
            nonce: nonce.into(),
            ..self
        }
    }
}

/// Makes proofs with one key.
#[derive(Clone, Debug)]
pub struct Prover<S> {
    signer: S,
    jwk: Jwk,
    provider: CryptoProvider,
}

impl Prover<SigningKey> {
    /// Proofs by a key in memory.
    #[must_use]
    pub fn from_key(key: SigningKey) -> Self {
        Self {
            jwk: Jwk::new(key.public_key().clone()),
            provider: *key.provider(),
            signer: key,
        }
    }
}

impl<S> Prover<S> {
    /// Proofs by a key that is elsewhere, such as a [`Signer`] or an [`AsyncSigner`] in front of an HSM.
    #[must_use]
    pub fn new(provider: &CryptoProvider, public_key: PublicKey, signer: S) -> Self {
        Self {
            signer,
            jwk: Jwk::new(public_key),
            provider: *provider,
        }
    }

    /// The key's thumbprint.
    #[must_use]
    pub fn jkt(&self) -> [u8; 32] {
        self.jwk.thumbprint(&self.provider)
    }

    /// The authorization request's parameter `dpop_jkt`.
    #[must_use]
    pub fn dpop_jkt(&self) -> String {
        base64url::encode(&self.jkt())
    }

    fn header(&self) -> ProtectedHeader {
        ProtectedHeader::new(TYPE).without_kid().with_jwk(&self.jwk)
    }

    fn payload(&self, request: &ProofRequest<'_>, now: UnixTime) -> Result<Vec<u8>, Error> {
        if !is_method(request.method) {
            return Err(DpopError::WrongMethod.into());
        }
        let mut claims = Map::new();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("jti", self.provider.random_id()?.into());
        put("htm", request.method.into());
        put("htu", request.target.as_str().into());
        put("iat", now.as_secs().into());
        if let Some(token) = request.access_token {
            let hash = access_token_hash(&self.provider, token);
            put("ath", base64url::encode(&hash).into());
        }
        if let Some(nonce) = request.nonce {
            put("nonce", nonce.as_str().into());
        }
        Ok(Value::Object(claims).to_string().into_bytes())
    }
}

impl<S: Signer> Prover<S> {
    /// Makes the value of the request's one `DPoP` field. Every request needs a new proof, also when it
    /// is sent again.
    ///
    /// # Errors
    ///
    /// [`DpopError::WrongMethod`] for text that is no method, [`Error::SigningFailed`], [`Error::RandomFailed`].
    pub fn prove(&self, request: &ProofRequest<'_>, now: UnixTime) -> Result<String, Error> {
        jws::sign(&self.signer, &self.header(), &self.payload(request, now)?)
    }
}

impl<S: AsyncSigner> Prover<S> {
    /// As [`Prover::prove`], with a key behind a network.
    ///
    /// # Errors
    ///
    /// As [`Prover::prove`].
    pub async fn prove_async(
        &self,
        request: &ProofRequest<'_>,
        now: UnixTime,
    ) -> Result<String, Error> {
        let payload = self.payload(request, now)?;
        jws::sign_async(&self.signer, &self.header(), &payload).await
    }
}

/// A token of RFC 9110 of a sensible length.
pub(super) fn is_method(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=32).contains(&text.len()) && text.bytes().all(allowed)
}

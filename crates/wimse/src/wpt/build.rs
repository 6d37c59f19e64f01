//! Making a WPT for one request.

use std::fmt;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use jose_x509::jws::{self, ProtectedHeader, UnverifiedJws};
use jose_x509::{AsyncSigner, CryptoProvider, Error as JoseError, Signer, base64url, json};
use pki_types::UnixTime;
use serde_json::{Map, Value};

use crate::audience::{has_user_info, without_query};
use crate::error::{Error, Token};
use crate::wpt::fields::{OWS, TXN, WIT, label, only};
use crate::wpt::{WPT_SCHEME, WPT_TYPE};

/// Builds the proof for one request.
#[derive(Clone)]
pub struct WptBuilder<'a> {
    wit: &'a str,
    audience: String,
    lifetime: Duration,
    txn_token: Option<&'a str>,
    others: Vec<(HeaderName, &'a str)>,
    insecure: bool,
}

const MAX_LIFETIME: u64 = 300;

impl<'a> WptBuilder<'a> {
    /// A proof for `wit` towards `target`: the request's URI; query and fragment are left out. It
    /// lives for 60 seconds, and no longer than the WIT.
    ///
    /// The target has to be `https`: WIT and WPT are for servers that TLS has authenticated. User information in it is
    /// refused when the proof is made (RFC 9110 section 4.2.4).
    #[must_use]
    pub fn new(wit: &'a str, target: &str) -> Self {
        let audience = without_query(target).to_owned();
        Self {
            wit: wit.trim_matches(OWS),
            audience,
            lifetime: Duration::from_secs(60),
            txn_token: None,
            others: Vec::new(),
            insecure: false,
        }
    }

    pub(crate) const fn wit(&self) -> &str {
        self.wit
    }

    /// Another lifetime.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] outside 1 to 300 seconds.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Result<Self, Error> {
        if !(1..=MAX_LIFETIME).contains(&lifetime.as_secs()) {
            return Err(Error::InvalidOption {
                option: "lifetime",
                range: "1 to 300 seconds",
            });
        }
        self.lifetime = lifetime;
        Ok(self)
    }

    /// Binds the transaction token that goes with the request (`tth`).
    #[must_use]
    pub fn with_txn_token(mut self, token: &'a str) -> Self {
        self.txn_token = Some(token);
        self
    }

    /// Binds the token in another field of the request (`oth`).
    #[must_use]
    pub fn with_other_token(mut self, field: HeaderName, value: &'a str) -> Self {
        self.others.push((field, value));
        self
    }

    /// Makes proofs for targets other than `https` too, where something else than TLS of this client secures the
    /// channel and authenticates the server, such as a proxy beside the workload.
    #[must_use]
    pub fn with_channel_secured_elsewhere(mut self) -> Self {
        self.insecure = true;
        self
    }

    /// Signs the proof with the key that the WIT names.
    ///
    /// # Errors
    ///
    /// [`Error::InsecureTarget`]; [`Error::TargetUserInfo`]; for a token that a verifier would refuse,
    /// [`Error::FieldValue`] where it is not visible ASCII and [`Error::FieldCount`] where it is a list or its field was
    /// named before; [`Error::Token`] when the WIT has expired, and when signing or the random source fails.
    pub fn sign(
        &self,
        signer: &(impl Signer + ?Sized),
        provider: &CryptoProvider,
        now: UnixTime,
    ) -> Result<String, Error> {
        let claims = self.claims(provider, now)?;
        jws::sign(signer, &header(), &claims).map_err(refused)
    }

    /// As [`sign`](Self::sign), with a key behind a network.
    ///
    /// # Errors
    ///
    /// As [`sign`](Self::sign).
    pub async fn sign_async(
        &self,
        signer: &(impl AsyncSigner + ?Sized),
        provider: &CryptoProvider,
        now: UnixTime,
    ) -> Result<String, Error> {
        let claims = self.claims(provider, now)?;
        jws::sign_async(signer, &header(), &claims)
            .await
            .map_err(refused)
    }

    fn claims(&self, provider: &CryptoProvider, now: UnixTime) -> Result<Vec<u8>, Error> {
        let https = self
            .audience
            .get(..8)
            .is_some_and(|start| start.eq_ignore_ascii_case("https://"));
        if !https && !self.insecure {
            return Err(Error::InsecureTarget);
        }
        if has_user_info(&self.audience) {
            return Err(Error::TargetUserInfo);
        }
        let wit_expires = UnverifiedJws::parse(self.wit)
            .ok()
            .and_then(|wit| json::object(wit.unverified_payload(), &json::Limits::CLAIMS).ok())
            .and_then(|claims| claims.get("exp")?.as_u64())
            .unwrap_or(u64::MAX);
        if now.as_secs() >= wit_expires {
            return Err(Error::Token {
                token: Token::Wit,
                source: JoseError::Expired,
            });
        }
        let hash = |field: &HeaderName, token: &str| {
            let token = only(field, token)?;
            let visible = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
            if token.bytes().all(visible) {
                Ok(base64url::encode(&provider.sha256(token.as_bytes())))
            } else {
                Err(Error::FieldValue)
            }
        };
        let mut claims = Map::new();
        claims.insert("aud".to_owned(), self.audience.as_str().into());
        let expires = now.as_secs().saturating_add(self.lifetime.as_secs());
        claims.insert("exp".to_owned(), expires.min(wit_expires).into());
        claims.insert(
            "jti".to_owned(),
            provider.random_id().map_err(refused)?.into(),
        );
        claims.insert("wth".to_owned(), hash(&WIT, self.wit)?.into());
        if let Some(token) = self.txn_token {
            claims.insert("tth".to_owned(), hash(&TXN, token)?.into());
        }
        if !self.others.is_empty() {
            let mut oth = Map::new();
            for (field, value) in &self.others {
                let hash = hash(field, value)?.into();
                if oth.insert(field.as_str().to_owned(), hash).is_some() {
                    return Err(Error::FieldCount {
                        field: label(field.as_str()),
                    });
                }
            }
            claims.insert("oth".to_owned(), Value::Object(oth));
        }
        Ok(Value::Object(claims).to_string().into_bytes())
    }

    /// Signs the proof and puts WIT and WPT into the fields of a request.
    ///
    /// # Errors
    ///
    /// As [`WptBuilder::sign`].
    pub fn apply(
        &self,
        headers: &mut HeaderMap,
        signer: &(impl Signer + ?Sized),
        provider: &CryptoProvider,
        now: UnixTime,
    ) -> Result<(), Error> {
        let proof = self.sign(signer, provider, now)?;
        self.put(headers, &proof)
    }

    /// As [`apply`](Self::apply), with a key behind a network.
    ///
    /// # Errors
    ///
    /// As [`sign`](Self::sign).
    pub async fn apply_async(
        &self,
        headers: &mut HeaderMap,
        signer: &(impl AsyncSigner + ?Sized),
        provider: &CryptoProvider,
        now: UnixTime,
    ) -> Result<(), Error> {
        let proof = self.sign_async(signer, provider, now).await?;
        self.put(headers, &proof)
    }

    fn put(&self, headers: &mut HeaderMap, proof: &str) -> Result<(), Error> {
        let field = |text: &str| {
            let mut value = HeaderValue::from_str(text).map_err(|_| Error::FieldValue)?;
            value.set_sensitive(true);
            Ok::<_, Error>(value)
        };
        headers.insert(AUTHORIZATION, field(&format!("{WPT_SCHEME} {proof}"))?);
        headers.insert(&WIT, field(self.wit)?);
        Ok(())
    }
}

/// Without the tokens.
impl fmt::Debug for WptBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WptBuilder")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

fn header() -> ProtectedHeader {
    ProtectedHeader::new(WPT_TYPE).without_kid()
}

const fn refused(source: JoseError) -> Error {
    Error::Token {
        token: Token::Wpt,
        source,
    }
}

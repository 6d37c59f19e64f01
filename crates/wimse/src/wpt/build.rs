//! Making a WPT for one request.

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use jose_x509::jws::{ProtectedHeader, UnverifiedJws};
use jose_x509::{CryptoProvider, Error as JoseError, Signer, base64url, json, jwt};
use pki_types::UnixTime;
use serde_json::{Map, Value};

use crate::audience::without_query;
use crate::error::{Error, Token};
use crate::wit::WORKLOAD_IDENTITY_TOKEN;
use crate::wpt::{WPT_SCHEME, WPT_TYPE};

/// Builds the proof for one request.
#[derive(Clone, Debug)]
pub struct WptBuilder<'a> {
    wit: &'a str,
    audience: String,
    lifetime: Duration,
    txn_token: Option<&'a str>,
    others: Vec<(HeaderName, &'a str)>,
}

const MAX_LIFETIME: u64 = 300;

impl<'a> WptBuilder<'a> {
    /// A proof for `wit` towards `target`: the request's URI; query and fragment are left out. It
    /// lives for 60 seconds.
    #[must_use]
    pub fn new(wit: &'a str, target: &str) -> Self {
        let audience = without_query(target).to_owned();
        Self {
            wit,
            audience,
            lifetime: Duration::from_secs(60),
            txn_token: None,
            others: Vec::new(),
        }
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
        self.others.push((field, value.trim_matches(' ')));
        self
    }

    /// Signs the proof with the key that the WIT names.
    ///
    /// # Errors
    ///
    /// [`Error::FieldValue`] for a bound token that is not ASCII, [`Error::Token`] when the WIT has expired, and
    /// when signing or the random source fails.
    pub fn sign(
        &self,
        signer: &(impl Signer + ?Sized),
        provider: &CryptoProvider,
        now: UnixTime,
    ) -> Result<String, Error> {
        let refused = |source| Error::Token {
            token: Token::Wpt,
            source,
        };
        let expired = UnverifiedJws::parse(self.wit)
            .ok()
            .and_then(|wit| json::object(wit.unverified_payload(), &json::Limits::CLAIMS).ok())
            .and_then(|claims| claims.get("exp")?.as_u64())
            .is_some_and(|exp| now.as_secs() >= exp);
        if expired {
            return Err(Error::Token {
                token: Token::Wit,
                source: JoseError::Expired,
            });
        }
        let hash = |token: &str| {
            if token.is_ascii() {
                Ok(base64url::encode(&provider.sha256(token.as_bytes())))
            } else {
                Err(Error::FieldValue)
            }
        };
        let mut claims = Map::new();
        claims.insert("aud".to_owned(), self.audience.as_str().into());
        claims.insert(
            "exp".to_owned(),
            now.as_secs().saturating_add(self.lifetime.as_secs()).into(),
        );
        claims.insert(
            "jti".to_owned(),
            provider.random_id().map_err(refused)?.into(),
        );
        claims.insert("wth".to_owned(), hash(self.wit)?.into());
        if let Some(token) = self.txn_token {
            claims.insert("tth".to_owned(), hash(token)?.into());
        }
        if !self.others.is_empty() {
            let mut oth = Map::new();
            for (field, value) in &self.others {
                oth.insert(field.as_str().to_owned(), hash(value)?.into());
            }
            claims.insert("oth".to_owned(), Value::Object(oth));
        }
        jwt::sign(
            signer,
            &ProtectedHeader::new(WPT_TYPE).without_kid(),
            &claims,
        )
        .map_err(refused)
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
        let field = |text: &str| {
            let mut value = HeaderValue::from_str(text).map_err(|_| Error::FieldValue)?;
            value.set_sensitive(true);
            Ok::<_, Error>(value)
        };
        headers.insert(AUTHORIZATION, field(&format!("{WPT_SCHEME} {proof}"))?);
        headers.insert(
            HeaderName::from_static(WORKLOAD_IDENTITY_TOKEN),
            field(self.wit)?,
        );
        Ok(())
    }
}

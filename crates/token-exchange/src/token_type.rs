//! Token type identifiers (RFC 8693 section 3 and the registry).

use std::fmt;

use crate::error::Error;

/// What kind of token a parameter holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TokenType {
    /// An access token of this very authorization server.
    AccessToken,
    /// A refresh token of this very authorization server.
    RefreshToken,
    /// An `OpenID` Connect ID token.
    IdToken,
    /// A base64url encoded SAML 1.1 assertion.
    Saml1,
    /// A base64url encoded SAML 2.0 assertion.
    Saml2,
    /// Any JWT.
    Jwt,
    /// A transaction token.
    TxnToken,
    /// An identity assertion JWT authorization grant.
    IdJag,
    /// A self-signed JWT (Transaction Tokens).
    SelfSigned,
    /// An unsigned JSON object (Transaction Tokens).
    UnsignedJson,
    /// Another absolute URI, for a plugged-in validator.
    Other(String),
}

/// Every registered type. One that is added here gets its identifier in [`TokenType::as_str`].
const REGISTERED: [TokenType; 10] = [
    TokenType::AccessToken,
    TokenType::RefreshToken,
    TokenType::IdToken,
    TokenType::Saml1,
    TokenType::Saml2,
    TokenType::Jwt,
    TokenType::TxnToken,
    TokenType::IdJag,
    TokenType::SelfSigned,
    TokenType::UnsignedJson,
];

impl TokenType {
    /// The type of an identifier, compared exactly.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedTokenType`] for what is not an absolute URI; `parameter` names the place.
    pub fn parse(identifier: &str, parameter: &'static str) -> Result<Self, Error> {
        let known = |known: &TokenType| known.as_str() == identifier;
        if let Some(known) = REGISTERED.into_iter().find(known) {
            return Ok(known);
        }
        match url::Url::parse(identifier) {
            Ok(_) if identifier.len() <= 256 => Ok(Self::Other(identifier.to_owned())),
            _ => Err(Error::UnsupportedTokenType { name: parameter }),
        }
    }

    /// The identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::RefreshToken => "urn:ietf:params:oauth:token-type:refresh_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Saml1 => "urn:ietf:params:oauth:token-type:saml1",
            Self::Saml2 => "urn:ietf:params:oauth:token-type:saml2",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
            Self::TxnToken => "urn:ietf:params:oauth:token-type:txn_token",
            Self::IdJag => "urn:ietf:params:oauth:token-type:id-jag",
            Self::SelfSigned => "urn:ietf:params:oauth:token-type:self_signed",
            Self::UnsignedJson => "urn:ietf:params:oauth:token-type:unsigned_json",
            Self::Other(identifier) => identifier,
        }
    }
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

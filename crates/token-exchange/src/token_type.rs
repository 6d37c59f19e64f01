//! Token type identifiers (RFC 8693 section 3 and the registry).

use std::fmt;

use crate::error::Error;

/// What kind of token a parameter holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

const TABLE: [(TokenType, &str); 10] = [
    (
        TokenType::AccessToken,
        "urn:ietf:params:oauth:token-type:access_token",
    ),
    (
        TokenType::RefreshToken,
        "urn:ietf:params:oauth:token-type:refresh_token",
    ),
    (
        TokenType::IdToken,
        "urn:ietf:params:oauth:token-type:id_token",
    ),
    (TokenType::Saml1, "urn:ietf:params:oauth:token-type:saml1"),
    (TokenType::Saml2, "urn:ietf:params:oauth:token-type:saml2"),
    (TokenType::Jwt, "urn:ietf:params:oauth:token-type:jwt"),
    (
        TokenType::TxnToken,
        "urn:ietf:params:oauth:token-type:txn_token",
    ),
    (TokenType::IdJag, "urn:ietf:params:oauth:token-type:id-jag"),
    (
        TokenType::SelfSigned,
        "urn:ietf:params:oauth:token-type:self_signed",
    ),
    (
        TokenType::UnsignedJson,
        "urn:ietf:params:oauth:token-type:unsigned_json",
    ),
];

impl TokenType {
    /// The type of an identifier, compared exactly.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedTokenType`] for what is not an absolute URI; `parameter` names the place.
    pub fn parse(identifier: &str, parameter: &'static str) -> Result<Self, Error> {
        if let Some((known, _)) = TABLE.iter().find(|(_, text)| *text == identifier) {
            return Ok(known.clone());
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
            Self::Other(identifier) => identifier,
            known => TABLE
                .iter()
                .find(|(other, _)| other == known)
                .map_or("", |(_, text)| text),
        }
    }
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! The `Authorization` field of a request with an access token.

use core::fmt;

use super::error::BindingError;
use crate::error::Error;

/// Longest access token in bytes.
pub const MAX_ACCESS_TOKEN: usize = 64 * 1024;

/// How an access token was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `Bearer` (RFC 6750): also for tokens that are bound to a certificate alone.
    Bearer,
    /// `DPoP` (RFC 9449).
    Dpop,
}

/// A scheme and an access token, which nobody has validated yet. `Debug` output does not show the token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Authorization<'a> {
    scheme: Scheme,
    token: &'a str,
}

impl<'a> Authorization<'a> {
    /// Reads the values of all `Authorization` fields of a request, of which there has to be exactly one. A token in
    /// the body or in the query is not looked for, so it has no effect.
    ///
    /// # Errors
    ///
    /// [`BindingError::MissingAuthorization`], [`BindingError::MultipleAuthorizations`],
    /// [`BindingError::MalformedAuthorization`], [`BindingError::UnsupportedScheme`], [`Error::TooLarge`].
    pub fn read(fields: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, Error> {
        let mut fields = fields.into_iter();
        let field = fields.next().ok_or(BindingError::MissingAuthorization)?;
        if fields.next().is_some() {
            return Err(BindingError::MultipleAuthorizations.into());
        }
        if field.len() > MAX_ACCESS_TOKEN {
            return Err(Error::TooLarge {
                what: "access token",
                limit: MAX_ACCESS_TOKEN,
            });
        }
        let malformed = BindingError::MalformedAuthorization;
        let text = core::str::from_utf8(field).map_err(|_| malformed)?;
        let (scheme, token) = text.split_once(' ').ok_or(malformed)?;
        let scheme = if scheme.eq_ignore_ascii_case("Bearer") {
            Scheme::Bearer
        } else if scheme.eq_ignore_ascii_case("DPoP") {
            Scheme::Dpop
        } else {
            return Err(BindingError::UnsupportedScheme.into());
        };
        let token = token.trim_start_matches(' ');
        let bare = token.trim_end_matches('=');
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        if bare.is_empty() || !bare.bytes().all(allowed) {
            return Err(malformed.into());
        }
        Ok(Self { scheme, token })
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The token as it stands.
    #[must_use]
    pub fn token(&self) -> &'a str {
        self.token
    }
}

impl fmt::Debug for Authorization<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

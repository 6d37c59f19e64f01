//! Resource indicators (RFC 8707).

use std::fmt;

use crate::error::Error;

/// The absolute URI of a protected resource, kept and compared exactly as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceIndicator(String);

const MAX_LEN: usize = 2048;

impl ResourceIndicator {
    /// Checks a `resource` value.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidTarget`] for a relative reference, a fragment (even an empty one), user
    /// information, or more than 2048 bytes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let plain = text.len() <= MAX_LEN
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && !text.contains('#');
        let url = url::Url::parse(text).map_err(|_| Error::InvalidTarget)?;
        if !plain || !url.username().is_empty() || url.password().is_some() {
            return Err(Error::InvalidTarget);
        }
        Ok(Self(text.to_owned()))
    }

    /// The URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceIndicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

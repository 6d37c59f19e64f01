//! Resource indicators (RFC 8707).

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::Error;

mod registry;

pub use registry::{ResourceRegistry, ResourceServer, Target};

/// The absolute URI of a protected resource, kept and compared exactly as it was written. Its copies share
/// the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceIndicator(Arc<str>);

const MAX_LEN: usize = 2048;
/// Most resources in a request object.
const MAX_ITEMS: usize = 16;

/// `aud` of a token: a text for one audience, an array for several.
#[must_use]
pub fn audience_value(audience: &[String]) -> Value {
    match audience {
        [one] => one.as_str().into(),
        several => several.to_vec().into(),
    }
}

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
        Ok(Self(text.into()))
    }

    /// Reads `resource` of a request object: a text, or an array of texts.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidTarget`] for anything else, and as [`parse`](Self::parse).
    pub fn from_value(value: &Value) -> Result<Vec<Self>, Error> {
        match value {
            Value::String(text) => Ok(vec![Self::parse(text)?]),
            Value::Array(items) if (1..=MAX_ITEMS).contains(&items.len()) => items
                .iter()
                .map(|item| Self::parse(item.as_str().ok_or(Error::InvalidTarget)?))
                .collect(),
            _ => Err(Error::InvalidTarget),
        }
    }

    /// The resource of protected resource metadata (RFC 9728), exactly as it is written there, for requests to `url`. A
    /// resource that the URL does not belong to is refused, so that nobody lets clients ask for tokens of somebody else.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidTarget`] without `resource`, for a malformed one, and for one that does not
    /// [cover](Self::covers) `url`.
    pub fn from_metadata(metadata: &Map<String, Value>, url: &str) -> Result<Self, Error> {
        let text = metadata.get("resource").and_then(Value::as_str);
        let resource = Self::parse(text.ok_or(Error::InvalidTarget)?)?;
        if resource.covers(url) {
            Ok(resource)
        } else {
            Err(Error::InvalidTarget)
        }
    }

    /// Whether a token for this resource may be sent to `url`: the same scheme, host and port, and a path at it or below
    /// it, whole segments at a time. An identifier that is no network location covers nothing: say apart where its token
    /// may go.
    #[must_use]
    pub fn covers(&self, url: &str) -> bool {
        let (Ok(own), Ok(url)) = (url::Url::parse(&self.0), url::Url::parse(url)) else {
            return false;
        };
        let base = own.path().trim_end_matches('/');
        own.scheme() == "https"
            && own.origin() == url.origin()
            && url.username().is_empty()
            && url.password().is_none()
            && (own.query().is_none() || own.query() == url.query())
            && url
                .path()
                .strip_prefix(base)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            && (url.path() != base || !own.path().ends_with('/') || base.is_empty())
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

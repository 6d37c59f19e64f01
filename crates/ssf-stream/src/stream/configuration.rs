//! The stream configuration (section 8.1.1).

use std::fmt;

use http::HeaderValue;
use serde_json::{Map, Value, json};
use ssf_set::Problem;

use crate::error::{Error, https};
use crate::metadata::{POLL, PUSH};
use crate::stream::member::Document;
use crate::stream::{MAX_AUTHORIZATION, MAX_EVENT_URI, MAX_TEXT};

pub(super) const WHAT: &str = "stream configuration";
/// The most names in `aud`.
const MAX_AUDIENCE: usize = 64;

/// A stream's configuration, as the transmitter shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamConfiguration {
    /// `stream_id`.
    pub stream_id: String,
    /// `iss`: the same as in its SETs.
    pub iss: String,
    /// `aud`: one name, or several of one receiver.
    pub aud: Vec<String>,
    /// `events_supported`. `None`: told elsewhere.
    pub events_supported: Option<Vec<String>>,
    /// `events_requested`, as it was received.
    pub events_requested: Option<Vec<String>>,
    /// `events_delivered`: what the receiver can count on.
    pub events_delivered: Vec<String>,
    /// `delivery`.
    pub delivery: Delivery,
    /// `min_verification_interval`, in seconds.
    pub min_verification_interval: Option<u64>,
    /// `inactivity_timeout`, in seconds.
    pub inactivity_timeout: Option<u64>,
    /// `description`: the receiver's text.
    pub description: Option<String>,
}

/// How SETs reach the receiver (section 6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// RFC 8935.
    #[non_exhaustive]
    Push {
        /// Where the transmitter posts; the receiver's.
        endpoint_url: String,
        /// What it sends as `Authorization`. Only a transmitter knows it, and shows it to nobody.
        authorization_header: Option<AuthorizationHeader>,
    },
    /// RFC 8936.
    #[non_exhaustive]
    Poll {
        /// Where the receiver polls; the transmitter's.
        endpoint_url: String,
    },
}

/// The value of an `Authorization` field, without content in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorizationHeader(HeaderValue);

impl AuthorizationHeader {
    /// A value; `None` if it is empty, longer than [`MAX_AUTHORIZATION`], or no field value, as with a line break.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if text.trim().is_empty() || text.len() > MAX_AUTHORIZATION || !printable {
            return None;
        }
        let mut value = HeaderValue::from_str(text).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    /// The secret, to be sent.
    #[must_use]
    pub fn expose(&self) -> &HeaderValue {
        &self.0
    }

    pub(crate) fn expose_text(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl fmt::Debug for AuthorizationHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizationHeader(..)")
    }
}

impl Delivery {
    /// `method`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        match self {
            Self::Push { .. } => PUSH,
            Self::Poll { .. } => POLL,
        }
    }

    /// `endpoint_url`.
    #[must_use]
    pub fn endpoint_url(&self) -> &str {
        match self {
            Self::Push { endpoint_url, .. } | Self::Poll { endpoint_url } => endpoint_url,
        }
    }
}

impl StreamConfiguration {
    /// Reads a configuration that a transmitter sent. Unknown members are ignored.
    ///
    /// Whose it is, and whether it is the stream that was asked for, is for
    /// [`Management`](crate::receiver::Management).
    ///
    /// # Errors
    ///
    /// [`Error::Json`], [`Error::Member`], [`Error::Endpoint`].
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        Self::read(&Document::parse(WHAT, body)?)
    }

    pub(crate) fn from_object(object: Map<String, Value>) -> Result<Self, Error> {
        Self::read(&Document { what: WHAT, object })
    }

    fn read(document: &Document) -> Result<Self, Error> {
        let aud = match document.object.get("aud") {
            None => return Err(document.wrong("aud", Problem::Missing)),
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(several)) if several.len() > MAX_AUDIENCE => {
                return Err(document.wrong("aud", Problem::TooLong));
            }
            Some(Value::Array(several)) => {
                let text = |name: &Value| name.as_str().map(str::to_owned);
                let texts: Option<Vec<_>> = several.iter().map(text).collect();
                texts.ok_or(document.wrong("aud", Problem::Type))?
            }
            Some(_) => return Err(document.wrong("aud", Problem::Type)),
        };
        if aud.is_empty() || aud.iter().any(String::is_empty) {
            return Err(document.wrong("aud", Problem::Empty));
        }
        let Some(events_delivered) = document.events("events_delivered")? else {
            return Err(document.wrong("events_delivered", Problem::Missing));
        };
        Ok(Self {
            stream_id: document.stream_id()?,
            iss: document.required("iss", MAX_EVENT_URI)?,
            aud,
            events_supported: document.events("events_supported")?,
            events_requested: document.events("events_requested")?,
            events_delivered,
            delivery: delivery(document)?,
            min_verification_interval: document.count("min_verification_interval")?,
            inactivity_timeout: document.count("inactivity_timeout")?,
            description: document.optional("description", MAX_TEXT)?,
        })
    }

    /// The document, without the `authorization_header`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut object = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                object.insert(name.to_owned(), value);
            }
        };
        put("stream_id", Some(self.stream_id.as_str().into()));
        put("iss", Some(self.iss.as_str().into()));
        put("aud", Some(audience(&self.aud)));
        let list = |list: &Vec<String>| list.clone().into();
        put("events_supported", self.events_supported.as_ref().map(list));
        put("events_requested", self.events_requested.as_ref().map(list));
        put("events_delivered", Some(list(&self.events_delivered)));
        let delivery = json!({
            "method": self.delivery.method(),
            "endpoint_url": self.delivery.endpoint_url(),
        });
        put("delivery", Some(delivery));
        let count = |count: Option<u64>| count.map(Value::from);
        put(
            "min_verification_interval",
            count(self.min_verification_interval),
        );
        put("inactivity_timeout", count(self.inactivity_timeout));
        put("description", self.description.clone().map(Value::from));
        Value::Object(object)
    }
}

/// One name as a string, several as an array.
fn audience(aud: &[String]) -> Value {
    match aud {
        [one] => one.as_str().into(),
        several => several.to_vec().into(),
    }
}

fn delivery(document: &Document) -> Result<Delivery, Error> {
    let object = match document.object.get("delivery") {
        None => return Err(document.wrong("delivery", Problem::Missing)),
        Some(Value::Object(object)) => object,
        Some(_) => return Err(document.wrong("delivery", Problem::Type)),
    };
    let text = |name| object.get(name).and_then(Value::as_str);
    let Some(endpoint_url) = text("endpoint_url") else {
        return Err(document.wrong("endpoint_url", Problem::Missing));
    };
    https(endpoint_url, "endpoint_url")?;
    let endpoint_url = endpoint_url.to_owned();
    match text("method") {
        Some(PUSH) => Ok(Delivery::Push {
            endpoint_url,
            authorization_header: None,
        }),
        Some(POLL) => Ok(Delivery::Poll { endpoint_url }),
        Some(_) => Err(document.wrong("method", Problem::Value)),
        None => Err(document.wrong("method", Problem::Missing)),
    }
}

//! The requests of the management API, which the receiver writes and the transmitter reads.

use serde_json::{Map, Value, json};
use ssf_set::ssf::StreamStatus;
use ssf_set::{Problem, Strictness, Subject};

use crate::error::{Error, https};
use crate::metadata::{POLL, PUSH};
use crate::stream::configuration::{AuthorizationHeader, Delivery, StreamConfiguration};
use crate::stream::member::{Document, Member};
use crate::stream::{MAX_EVENT_URI, MAX_STATE};

/// The body of a request to create, update (PATCH) or replace (PUT) a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigurationRequest {
    /// `stream_id`; not in a creation.
    pub stream_id: Option<String>,
    /// `delivery`.
    pub delivery: Member<DeliveryRequest>,
    /// `events_requested`.
    pub events_requested: Member<Vec<String>>,
    /// `description`.
    pub description: Member<String>,
    /// The members that are the transmitter's, as the receiver believes them to be.
    asserted: Map<String, Value>,
}

/// The `delivery` that a receiver asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryRequest {
    /// RFC 8935.
    Push {
        /// The receiver's endpoint.
        endpoint_url: String,
        /// The value of the `Authorization` field of each push.
        authorization_header: Option<AuthorizationHeader>,
    },
    /// RFC 8936; the transmitter chooses the endpoint.
    Poll,
}

impl DeliveryRequest {
    /// Push to an endpoint.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`].
    pub fn push(
        endpoint_url: &str,
        authorization_header: Option<AuthorizationHeader>,
    ) -> Result<Self, Error> {
        https(endpoint_url, "endpoint_url")?;
        Ok(Self::Push {
            endpoint_url: endpoint_url.to_owned(),
            authorization_header,
        })
    }

    /// Push to an endpoint of its own below `base`, so that streams cannot be confused. `name` is random,
    /// or otherwise known to nobody else.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`]; also for a name that is empty or has other characters than letters, digits,
    /// `-` and `_`.
    pub fn push_below(
        base: &str,
        name: &str,
        authorization_header: Option<AuthorizationHeader>,
    ) -> Result<Self, Error> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || !name.bytes().all(fits) || base.contains('?') {
            return Err(Error::Endpoint {
                what: "endpoint_url",
            });
        }
        let base = base.strip_suffix('/').unwrap_or(base);
        Self::push(&format!("{base}/{name}"), authorization_header)
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Poll => json!({"method": POLL}),
            Self::Push {
                endpoint_url,
                authorization_header: None,
            } => json!({"method": PUSH, "endpoint_url": endpoint_url}),
            Self::Push {
                endpoint_url,
                authorization_header: Some(header),
            } => json!({
                "method": PUSH,
                "endpoint_url": endpoint_url,
                "authorization_header": header.expose_text(),
            }),
        }
    }
}

/// The members that the transmitter supplies, besides `stream_id`.
const SUPPLIED: [&str; 6] = [
    "iss",
    "aud",
    "events_supported",
    "events_delivered",
    "min_verification_interval",
    "inactivity_timeout",
];

impl ConfigurationRequest {
    /// Asks for nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a delivery.
    #[must_use]
    pub fn with_delivery(mut self, delivery: DeliveryRequest) -> Self {
        self.delivery = Member::Value(delivery);
        self
    }

    /// Asks for event types: those that the receiver understands.
    ///
    /// # Errors
    ///
    /// [`Error::Member`] without one, or with more or longer ones than [`MAX_EVENTS`](crate::stream::MAX_EVENTS)
    /// and [`MAX_EVENT_URI`].
    pub fn with_events<E: Into<String>>(
        mut self,
        events: impl IntoIterator<Item = E>,
    ) -> Result<Self, Error> {
        let events: Vec<String> = events.into_iter().map(Into::into).collect();
        let problem = if events.is_empty() {
            Some(Problem::Empty)
        } else if events.len() > super::MAX_EVENTS
            || events.iter().any(|event| event.len() > MAX_EVENT_URI)
        {
            Some(Problem::TooLong)
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(Error::Member {
                what: "stream request",
                member: "events_requested",
                problem,
            });
        }
        self.events_requested = Member::Value(events);
        Ok(self)
    }

    /// Asks for no event at all, which SSF advises against.
    #[must_use]
    pub fn with_no_events(mut self) -> Self {
        self.events_requested = Member::Value(Vec::new());
        self
    }

    /// Describes the stream.
    #[must_use]
    pub fn with_description(mut self, description: &str) -> Self {
        self.description = Member::Value(description.to_owned());
        self
    }

    /// Reads the body of a creation. A `stream_id` in it has no meaning.
    ///
    /// # Errors
    ///
    /// [`Error::Json`], [`Error::Member`], [`Error::Endpoint`]: to be answered with 400.
    pub fn parse_create(body: &[u8]) -> Result<Self, Error> {
        let document = Document::parse("stream request", body)?;
        Ok(Self {
            stream_id: None,
            asserted: Map::new(),
            ..Self::read(document)?
        })
    }

    /// Reads the body of an update or a replacement, which name their stream.
    ///
    /// # Errors
    ///
    /// As [`parse_create`](Self::parse_create).
    pub fn parse_update(body: &[u8]) -> Result<Self, Error> {
        let document = Document::parse("stream request", body)?;
        let stream_id = Some(document.stream_id()?);
        Ok(Self {
            stream_id,
            ..Self::read(document)?
        })
    }

    fn read(document: Document) -> Result<Self, Error> {
        let delivery = document.member("delivery", || delivery(&document))?;
        let events_requested =
            document.member("events_requested", || document.events("events_requested"))?;
        let description = document.member("description", || document.prose("description"))?;
        let mut asserted = document.object;
        asserted.retain(|name, _| SUPPLIED.contains(&name.as_str()));
        Ok(Self {
            stream_id: None,
            delivery,
            events_requested,
            description,
            asserted,
        })
    }

    /// Whether what it says about the transmitter's members is true of `current`. Lists are compared as
    /// sets, and one audience is the same as a list of one.
    ///
    /// # Errors
    ///
    /// [`Error::Member`] for the first that is not.
    pub fn check_asserted(&self, current: &StreamConfiguration) -> Result<(), Error> {
        let current = current.to_value();
        for (name, value) in &self.asserted {
            let same = current.get(name).is_some_and(|own| same(name, own, value));
            if let (false, Some(member)) = (same, SUPPLIED.iter().find(|own| *own == name)) {
                return Err(Error::Member {
                    what: "stream request",
                    member,
                    problem: Problem::Value,
                });
            }
        }
        Ok(())
    }

    /// The JSON text.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut object = self.asserted.clone();
        if let Some(stream_id) = &self.stream_id {
            object.insert("stream_id".to_owned(), stream_id.as_str().into());
        }
        self.delivery
            .put(&mut object, "delivery", DeliveryRequest::to_value);
        self.events_requested
            .put(&mut object, "events_requested", |events| {
                events.clone().into()
            });
        self.description
            .put(&mut object, "description", |text| text.as_str().into());
        Value::Object(object).to_string().into_bytes()
    }

    /// The whole of what a receiver supplies, as a PUT has to have it.
    #[must_use]
    pub fn replacing(current: &StreamConfiguration) -> Self {
        let delivery = match &current.delivery {
            Delivery::Poll { .. } => DeliveryRequest::Poll,
            Delivery::Push {
                endpoint_url,
                authorization_header,
            } => DeliveryRequest::Push {
                endpoint_url: endpoint_url.clone(),
                authorization_header: authorization_header.clone(),
            },
        };
        let member = |text: &Option<String>| text.clone().map_or(Member::Absent, Member::Value);
        Self {
            stream_id: Some(current.stream_id.clone()),
            delivery: Member::Value(delivery),
            events_requested: current
                .events_requested
                .clone()
                .map_or(Member::Absent, Member::Value),
            description: member(&current.description),
            asserted: Map::new(),
        }
    }
}

fn same(name: &str, own: &Value, other: &Value) -> bool {
    let set = |value: &Value| {
        let mut texts: Vec<String> = match value {
            Value::String(one) if name == "aud" => vec![one.clone()],
            Value::Array(several) => several
                .iter()
                .map(|text| text.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
            _ => return None,
        };
        texts.sort();
        texts.dedup();
        Some(texts)
    };
    match (set(own), set(other)) {
        (Some(own), Some(other)) => own == other,
        _ => own == other,
    }
}

fn delivery(document: &Document) -> Result<Option<DeliveryRequest>, Error> {
    let object = match document.object.get("delivery") {
        None => return Ok(None),
        Some(Value::Object(object)) => object,
        Some(_) => return Err(document.wrong("delivery", Problem::Type)),
    };
    match object.get("method") {
        // The endpoint of a poll is not the receiver's to choose.
        Some(Value::String(method)) if method == POLL => Ok(Some(DeliveryRequest::Poll)),
        Some(Value::String(method)) if method == PUSH => {
            let endpoint_url = match object.get("endpoint_url") {
                Some(Value::String(url)) => url,
                Some(_) => return Err(document.wrong("endpoint_url", Problem::Type)),
                None => return Err(document.wrong("endpoint_url", Problem::Missing)),
            };
            let authorization_header = match object.get("authorization_header") {
                None => None,
                Some(Value::String(text)) => match AuthorizationHeader::new(text) {
                    Some(header) => Some(header),
                    None => return Err(document.wrong("authorization_header", Problem::Form)),
                },
                Some(_) => return Err(document.wrong("authorization_header", Problem::Type)),
            };
            DeliveryRequest::push(endpoint_url, authorization_header).map(Some)
        }
        Some(Value::String(_)) => Err(document.wrong("method", Problem::Value)),
        Some(_) => Err(document.wrong("method", Problem::Type)),
        None => Err(document.wrong("method", Problem::Missing)),
    }
}

/// The status of a stream: the answer to a question after it, and the body of a request to change it (section 8.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamStatusDocument {
    /// `stream_id`.
    pub stream_id: String,
    /// `status`.
    pub status: StreamStatus,
    /// `reason`: untrusted text without control characters.
    pub reason: Option<String>,
}

impl StreamStatusDocument {
    /// A status.
    #[must_use]
    pub fn new(stream_id: &str, status: StreamStatus, reason: Option<String>) -> Self {
        Self {
            stream_id: stream_id.to_owned(),
            status,
            reason,
        }
    }

    /// Reads it. Unknown members are ignored, also the `subject` of earlier drafts.
    ///
    /// # Errors
    ///
    /// [`Error::Json`], [`Error::Member`].
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let document = Document::parse("stream status", body)?;
        let status = document.required("status", 64)?;
        Ok(Self {
            stream_id: document.stream_id()?,
            status: StreamStatus::from_name(&status)
                .ok_or(document.wrong("status", Problem::Value))?,
            reason: document.prose("reason")?,
        })
    }

    /// The JSON text.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut value = json!({"stream_id": self.stream_id, "status": self.status.as_str()});
        if let (Some(reason), Some(object)) = (&self.reason, value.as_object_mut()) {
            object.insert("reason".to_owned(), reason.as_str().into());
        }
        value.to_string().into_bytes()
    }
}

/// The body of a request to add or remove a subject (sections 8.1.3.2 and 8.1.3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubjectRequest {
    /// `stream_id`.
    pub stream_id: String,
    /// `subject`.
    pub subject: Subject,
    /// `verified`: whether the receiver has verified that the subject is its user. Not in a removal.
    pub verified: Option<bool>,
}

impl SubjectRequest {
    /// A subject, about whose verification nothing is said: it counts as verified.
    pub fn new(stream_id: &str, subject: impl Into<Subject>) -> Self {
        Self {
            stream_id: stream_id.to_owned(),
            subject: subject.into(),
            verified: None,
        }
    }

    /// Says that the subject was verified, or was not.
    #[must_use]
    pub fn with_verified(mut self, verified: bool) -> Self {
        self.verified = Some(verified);
        self
    }

    /// Reads it, the subject strictly: what is not understood cannot be matched.
    ///
    /// # Errors
    ///
    /// [`Error::Json`], [`Error::Member`].
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let document = Document::parse("subject request", body)?;
        let subject = match document.object.get("subject") {
            None => return Err(document.wrong("subject", Problem::Missing)),
            Some(value) => Subject::from_value(value, Strictness::Strict)
                .map_err(|_| document.wrong("subject", Problem::Form))?,
        };
        let verified = match document.object.get("verified") {
            None => None,
            Some(Value::Bool(verified)) => Some(*verified),
            Some(_) => return Err(document.wrong("verified", Problem::Type)),
        };
        Ok(Self {
            stream_id: document.stream_id()?,
            subject,
            verified,
        })
    }

    /// The JSON text.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut value = json!({"stream_id": self.stream_id, "subject": self.subject.to_value()});
        if let (Some(verified), Some(object)) = (self.verified, value.as_object_mut()) {
            object.insert("verified".to_owned(), verified.into());
        }
        value.to_string().into_bytes()
    }
}

/// The body of a request for a verification event (section 8.1.4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerificationRequest {
    /// `stream_id`.
    pub stream_id: String,
    /// `state`, which the event repeats.
    pub state: Option<String>,
}

impl VerificationRequest {
    /// A request.
    #[must_use]
    pub fn new(stream_id: &str, state: Option<String>) -> Self {
        Self {
            stream_id: stream_id.to_owned(),
            state,
        }
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`Error::Json`], [`Error::Member`].
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let document = Document::parse("verification request", body)?;
        Ok(Self {
            stream_id: document.stream_id()?,
            state: document.optional("state", MAX_STATE)?,
        })
    }

    /// The JSON text.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut value = json!({"stream_id": self.stream_id});
        if let (Some(state), Some(object)) = (&self.state, value.as_object_mut()) {
            object.insert("state".to_owned(), state.as_str().into());
        }
        value.to_string().into_bytes()
    }
}

//! Errors of streams, metadata and messages.

use jose_x509::Fault;
use jose_x509::json::JsonError;
use ssf_set::Problem;

use crate::queue::QueueError;
use crate::transmitter::StoreError;

/// Every way in which this crate refuses something, except for a SET that is pushed: that one has a
/// [`Rejection`](crate::push::Rejection).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A document or message is not strict JSON of the expected shape.
    #[error("{what}: {source}")]
    Json {
        /// Which one.
        what: &'static str,
        /// What is wrong and where.
        source: JsonError,
    },
    /// A member of a document or message.
    #[error("{what}: member `{member}` is wrong ({problem:?})")]
    Member {
        /// Which document or message.
        what: &'static str,
        /// The member.
        member: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The issuer of a document is not the one that it was asked for.
    #[error("{what}: the issuer is not the configured one; nothing of the document is used")]
    IssuerMismatch {
        /// Which document.
        what: &'static str,
    },
    /// A URL that is not plain https.
    #[error("{what} has to be an https URL without user information or fragment")]
    Endpoint {
        /// Which URL.
        what: &'static str,
    },
    /// A response has an unexpected status.
    #[error("{what}: unexpected status {status}")]
    Status {
        /// Which response.
        what: &'static str,
        /// The status.
        status: u16,
    },
    /// A message has another media type than JSON.
    #[error("{what}: the content type has to be application/json")]
    ContentType {
        /// Which message.
        what: &'static str,
    },
    /// The transmitter's metadata have no endpoint for this.
    #[error("the transmitter does not offer {what}")]
    NotOffered {
        /// What was to be done.
        what: &'static str,
    },
    /// A response is about another stream than the request.
    #[error("{what}: it is about another stream than the one that was asked for")]
    StreamMismatch {
        /// Which response.
        what: &'static str,
    },
    /// The stream has another audience than the receiver expects.
    #[error("the stream's audience is not the expected one")]
    AudienceMismatch,
    /// None of the transmitter's authorization schemes is one that the receiver has credentials for.
    #[error("the transmitter has no authorization scheme for which there are credentials")]
    NoCommonScheme,
    /// There is no such stream.
    #[error("there is no such stream, or it is not enabled")]
    NoStream,
    /// A SET cannot be issued, or is refused.
    #[error(transparent)]
    Set(#[from] ssf_set::Error),
    /// The store of streams.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The peer could not be reached, or did not answer in time or in HTTP.
    #[error("the peer could not be reached ({problem})")]
    Unreachable {
        /// What went wrong.
        problem: &'static str,
    },
    /// A name resolves to an address to which no connection is allowed.
    #[error("the peer's address is not one that may be connected to")]
    AddressRefused,
    /// A response is larger than it may be.
    #[error("the response is larger than {limit} bytes")]
    ResponseTooLarge {
        /// The limit.
        limit: usize,
    },
}

impl Error {
    /// A stable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json { source, .. } => source.kind().code(),
            Self::Member { .. } => "member",
            Self::IssuerMismatch { .. } => "issuer_mismatch",
            Self::Endpoint { .. } => "endpoint",
            Self::Status { .. } => "status",
            Self::ContentType { .. } => "content_type",
            Self::NotOffered { .. } => "not_offered",
            Self::StreamMismatch { .. } => "stream_mismatch",
            Self::AudienceMismatch => "audience_mismatch",
            Self::NoCommonScheme => "no_common_scheme",
            Self::NoStream => "no_stream",
            Self::Set(source) => source.code(),
            Self::Store(StoreError::TooMany) => "store_full",
            Self::Store(StoreError::Conflict) => "store_conflict",
            Self::Store(StoreError::Unavailable) => "store_unavailable",
            Self::Queue(source) => source.code(),
            Self::Unreachable { .. } => "unreachable",
            Self::AddressRefused => "address_refused",
            Self::ResponseTooLarge { .. } => "response_too_large",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Queue(_) | Self::Store(_) | Self::Unreachable { .. } => Fault::Transient,
            Self::Set(source) => source.fault(),
            Self::NoStream | Self::AddressRefused => Fault::Policy,
            Self::NotOffered { .. } | Self::NoCommonScheme => Fault::Configuration,
            Self::Status { status, .. } if *status >= 500 || *status == 429 => Fault::Transient,
            Self::Endpoint { .. } => Fault::Configuration,
            _ => Fault::Peer,
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.fault() == Fault::Transient
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::IssuerMismatch {
                what: "stream configuration",
            } => "SSF-8.1.1.2-4",
            Self::IssuerMismatch { .. } => "SSF-7.2.4-2",
            Self::Endpoint {
                what: "endpoint_url",
            } => "SSF-6.1.1-1",
            Self::Endpoint { .. } => "SSF-7.1-2",
            Self::ContentType {
                what: "poll request",
            } => "SET-POLL-2-2",
            Self::ContentType { .. } => "SSF-7.2-3",
            Self::NotOffered { .. } => "SSF-7.1-5",
            Self::StreamMismatch { .. } => "SSF-8.1.2.1-4",
            Self::AudienceMismatch => "SSF-8.1.1.1.1-1",
            Self::NoCommonScheme => "SSF-7.1.1-2",
            Self::NoStream => "SSF-8.1.1.2-6",
            Self::AddressRefused => "SSF-A2",
            Self::ResponseTooLarge { .. } => "SET-POLL-A7",
            Self::Set(source) => return source.requirement(),
            Self::Member { what, member, .. } => match (*what, *member) {
                ("poll request", "maxEvents") => "SET-POLL-2.2-5",
                ("poll response", "sets") => "SET-POLL-2.3-1",
                (_, "stream_id") => "SSF-8.1.1-1",
                (_, "aud") => "SSF-8.1.1-4",
                (_, "iss") => "SSF-8.1.1-3",
                (_, "events_requested") => "SSF-8.1.1-7",
                (_, "events_delivered") => "SSF-8.1.1-9",
                (_, "delivery" | "endpoint_url" | "method") => "SSF-8.1.1-11",
                (_, "authorization_header") => "SSF-A12",
                (_, "status") => "SSF-8.1.2.1-2",
                (_, "subject" | "verified") => "SSF-8.1.3.2-1",
                (_, "state") => "SSF-8.1.4.2-1",
                _ => return None,
            },
            Self::Json {
                what: "poll request" | "poll response",
                ..
            } => "SET-POLL-2.5.1-1",
            Self::Json { .. } => "SSF-A18",
            _ => return None,
        })
    }
}

/// An https URL with a host and without user information or fragment.
pub(crate) fn https(text: &str, what: &'static str) -> Result<url::Url, Error> {
    let url = url::Url::parse(text).map_err(|_| Error::Endpoint { what })?;
    let plain = url.scheme() == "https"
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && text.starts_with("https://");
    if plain {
        Ok(url)
    } else {
        Err(Error::Endpoint { what })
    }
}

/// Whether the field is the media type, whatever its parameters.
pub(crate) fn is_media_type(headers: &http::HeaderMap, expected: &str) -> bool {
    let mut values = headers.get_all(http::header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    value.to_str().is_ok_and(|text| {
        text.split(';')
            .next()
            .is_some_and(|media| media.trim().eq_ignore_ascii_case(expected))
    })
}

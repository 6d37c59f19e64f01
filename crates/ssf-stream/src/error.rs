//! Errors of streams, metadata and messages.

use jose_x509::Fault;
use jose_x509::json::JsonError;
use ssf_set::Problem;

use crate::queue::QueueError;

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
    /// The event queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
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
            Self::Queue(source) => source.code(),
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Queue(_) => Fault::Transient,
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
            Self::IssuerMismatch { .. } => "SSF-7.2.4-2",
            Self::Endpoint { .. } => "SSF-7.1-2",
            Self::ContentType { .. } => "SET-POLL-2-2",
            Self::Member {
                member: "maxEvents",
                ..
            } => "SET-POLL-2.2-5",
            Self::Member { member: "sets", .. } => "SET-POLL-2.3-1",
            Self::Json { .. } => "SET-POLL-2.5.1-1",
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

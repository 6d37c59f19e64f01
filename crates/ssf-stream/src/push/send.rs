//! The transmitter's side.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use jose_x509::json;
use ssf_set::{MEDIA_TYPE, SetErrorCode};

use crate::error::{Error, https, is_media_type};

/// The most of a response that is read, in bytes.
const MAX_RESPONSE: usize = 8 * 1024;

/// The request that delivers a SET. Send it without following redirects, and only to an address that
/// the transmitter's policy allows: the receiver chose the endpoint.
///
/// # Errors
///
/// [`Error::Endpoint`] when the endpoint is not a plain https URL.
pub fn request(
    set: &str,
    endpoint: &str,
    authorization: Option<&HeaderValue>,
) -> Result<Request<Vec<u8>>, Error> {
    let what = "the push endpoint";
    let url = https(endpoint, what)?;
    let uri: http::Uri = url.as_str().parse().map_err(|_| Error::Endpoint { what })?;
    let mut request = Request::new(set.as_bytes().to_vec());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(value) = authorization {
        let mut value = value.clone();
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(request)
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The receiver has the SET (202), which ends the transmitter's duty.
    Accepted,
    /// The receiver refuses the SET.
    Refused {
        /// The code.
        code: SetErrorCode,
        /// The description: untrusted text, at most 1024 characters.
        description: Option<String>,
    },
    /// The receiver refuses the transmitter (401 or 403).
    Unauthorized,
    /// Too fast, or not now (429 and 5xx).
    Unavailable {
        /// How long to wait at least, if the receiver says so in seconds.
        retry_after: Option<Duration>,
    },
    /// Anything else: not a push endpoint, or not one of this protocol. The SET is not delivered.
    Misconfigured {
        /// The status.
        status: u16,
    },
}

/// What to do after a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// Forget the SET.
    Done,
    /// Send it again after a growing, jittered delay, a bounded number of times.
    Retry,
    /// Renew the credentials, and send it once more.
    RenewCredentials,
    /// Make sure that the keys are published, and send it once more.
    CheckKeys,
    /// Keep the SET aside for the operator: sending the same again cannot help.
    SetAside,
}

impl Outcome {
    /// What to do next.
    #[must_use]
    pub fn next(&self) -> Next {
        match self {
            Self::Accepted => Next::Done,
            Self::Unavailable { .. } => Next::Retry,
            Self::Unauthorized => Next::RenewCredentials,
            Self::Refused { code, .. } => match code {
                SetErrorCode::AuthenticationFailed => Next::RenewCredentials,
                SetErrorCode::InvalidKey => Next::CheckKeys,
                _ => Next::SetAside,
            },
            Self::Misconfigured { .. } => Next::SetAside,
        }
    }
}

/// Reads the answer to a push. No more than 8 KiB of the body is looked at.
#[must_use]
pub fn parse_response(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Outcome {
    match status {
        StatusCode::ACCEPTED => Outcome::Accepted,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Outcome::Unauthorized,
        StatusCode::BAD_REQUEST => {
            refused(headers, body).unwrap_or(Outcome::Misconfigured { status: 400 })
        }
        status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
            Outcome::Unavailable {
                retry_after: retry_after(headers),
            }
        }
        other => Outcome::Misconfigured {
            status: other.as_u16(),
        },
    }
}

fn refused(headers: &HeaderMap, body: &[u8]) -> Option<Outcome> {
    if !is_media_type(headers, "application/json") {
        return None;
    }
    let limits = json::Limits::DOCUMENT
        .with_bytes(MAX_RESPONSE)
        .with_depth(4);
    let object = json::object(body, &limits).ok()?;
    let code = object.get("err")?.as_str()?;
    let description = object.get("description").and_then(|text| text.as_str());
    Some(Outcome::Refused {
        code: SetErrorCode::from_name(code),
        description: description.map(|text| text.chars().take(1024).collect()),
    })
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds.parse().ok().map(Duration::from_secs)
}

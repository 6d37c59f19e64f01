//! The receiver's side.

use http::header::{ALLOW, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Response, StatusCode, request};
use jose_x509::ReplayGuard;
use pki_types::UnixTime;
use serde_json::json;
use ssf_set::{MEDIA_TYPE, SecurityEventToken, SetErrorCode, SetVerifier};

use crate::error::is_media_type;

/// The largest body, in bytes. Stop reading there; what is longer is answered with 413.
pub const MAX_BODY: usize = 128 * 1024;

/// What is known of the peer that pushes, by the endpoint's own authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transmitter<'a> {
    /// The endpoint demands no authentication: the signature alone decides.
    NotAuthenticated,
    /// The endpoint demands authentication, and the request has no credentials.
    NoCredentials {
        /// The challenge of the 401.
        challenge: &'a HeaderValue,
    },
    /// The request has credentials that are wrong or expired.
    WrongCredentials,
    /// The transmitter is known, and may send SETs of these issuers, its own or those that it forwards.
    Authenticated {
        /// The issuers.
        issuers: &'a [&'a str],
    },
}

/// Checks a pushed SET.
///
/// # Errors
///
/// [`Rejection`], which has the response.
pub fn receive(
    parts: &request::Parts,
    body: &[u8],
    verifier: &SetVerifier,
    transmitter: Transmitter<'_>,
    now: UnixTime,
) -> Result<Accepted, Rejection> {
    if parts.method != Method::POST {
        return Err(Rejection::http(StatusCode::METHOD_NOT_ALLOWED));
    }
    if body.len() > MAX_BODY {
        return Err(Rejection::http(StatusCode::PAYLOAD_TOO_LARGE));
    }
    if !is_media_type(&parts.headers, MEDIA_TYPE) {
        return Err(Rejection::set(SetErrorCode::InvalidRequest));
    }
    match transmitter {
        Transmitter::NoCredentials { challenge } => {
            return Err(Rejection {
                challenge: Some(challenge.clone()),
                ..Rejection::http(StatusCode::UNAUTHORIZED)
            });
        }
        Transmitter::WrongCredentials => {
            return Err(Rejection::set(SetErrorCode::AuthenticationFailed));
        }
        Transmitter::NotAuthenticated | Transmitter::Authenticated { .. } => {}
    }
    let compact =
        core::str::from_utf8(body).map_err(|_| Rejection::set(SetErrorCode::InvalidRequest))?;
    let set = verifier.verify(compact, now).map_err(Rejection::of)?;
    if let Transmitter::Authenticated { issuers } = transmitter {
        if !issuers.contains(&set.issuer()) {
            return Err(Rejection::set(SetErrorCode::AccessDenied));
        }
    }
    Ok(Accepted { set })
}

/// A pushed SET that passed every check and is not answered yet. Store it, so that it survives a
/// crash, then [`settle`](Accepted::settle) it.
#[derive(Debug)]
#[must_use = "a SET that is not settled is not answered"]
pub struct Accepted {
    set: SecurityEventToken,
}

impl Accepted {
    /// The SET, to be stored. It may have been stored before.
    #[must_use]
    pub fn set(&self) -> &SecurityEventToken {
        &self.set
    }

    /// Records the SET after it was stored, and yields the response's occasion.
    ///
    /// # Errors
    ///
    /// [`Rejection`] with 503 when the guard has no room; the transmitter sends the SET again.
    pub fn settle(
        self,
        verifier: &SetVerifier,
        guard: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<Receipt, Rejection> {
        match verifier.record(&self.set, guard, now) {
            Ok(()) => Ok(Receipt::New(self.set)),
            Err(error) if error.is_replay() => Ok(Receipt::Repeated(self.set)),
            Err(error) => Err(Rejection::of(error)),
        }
    }
}

/// A SET that is to be answered with 202, the first time and every other time.
#[derive(Debug)]
pub enum Receipt {
    /// To be acted upon, after the answer.
    New(SecurityEventToken),
    /// Received before: not to be acted upon again.
    Repeated(SecurityEventToken),
}

impl Receipt {
    /// 202 without a body.
    #[must_use]
    pub fn response(&self) -> Response<Vec<u8>> {
        let mut response = Response::new(Vec::new());
        *response.status_mut() = StatusCode::ACCEPTED;
        response
    }
}

/// Why a push is not accepted, and what to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    status: StatusCode,
    code: Option<SetErrorCode>,
    challenge: Option<HeaderValue>,
    retry_after: Option<u64>,
    error: Option<Box<ssf_set::Error>>,
}

impl Rejection {
    fn http(status: StatusCode) -> Self {
        Self {
            status,
            code: None,
            challenge: None,
            retry_after: None,
            error: None,
        }
    }

    pub(crate) fn set(code: SetErrorCode) -> Self {
        Self {
            code: Some(code),
            ..Self::http(StatusCode::BAD_REQUEST)
        }
    }

    fn of(error: ssf_set::Error) -> Self {
        let rejection = match error.set_error_code() {
            Some(code) => Self::set(code),
            // Not the transmitter's doing, so it must not drop the SET.
            None => Self::http(StatusCode::SERVICE_UNAVAILABLE),
        };
        Self {
            error: Some(Box::new(error)),
            ..rejection
        }
    }

    /// A verification event whose state is not the expected one.
    #[must_use]
    pub fn invalid_state() -> Self {
        Self::set(SetErrorCode::InvalidState)
    }

    /// The SET could not be stored: 503, and the transmitter sends it again.
    #[must_use]
    pub fn not_stored() -> Self {
        Self::http(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// The peer pushes too fast: 429, with the seconds after which it may go on.
    #[must_use]
    pub fn too_many(retry_after: u64) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::http(StatusCode::TOO_MANY_REQUESTS)
        }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// `err`, for a rejected SET.
    #[must_use]
    pub fn code(&self) -> Option<&SetErrorCode> {
        self.code.as_ref()
    }

    /// What was wrong with the SET, for the receiver's own log.
    #[must_use]
    pub fn error(&self) -> Option<&ssf_set::Error> {
        self.error.as_deref()
    }

    /// The response. Its text is fixed for each code, so that it tells nothing of the receiver's state
    /// and repeats nothing of the request.
    #[must_use]
    pub fn response(&self) -> Response<Vec<u8>> {
        let body = self.code.as_ref().map(|code| {
            json!({"err": code.as_str(), "description": description(code)})
                .to_string()
                .into_bytes()
        });
        let mut response = Response::new(body.unwrap_or_default());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if self.code.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static("en"));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = &self.challenge {
            headers.insert(WWW_AUTHENTICATE, challenge.clone());
        }
        response
    }
}

/// A text for each code.
pub(crate) fn description(code: &SetErrorCode) -> &'static str {
    match code {
        SetErrorCode::InvalidKey => {
            "a key used for the SET is not acceptable, or the signature is wrong"
        }
        SetErrorCode::InvalidIssuer => "SETs of this issuer are not accepted here",
        SetErrorCode::InvalidAudience => "this receiver is not an audience of the SET",
        SetErrorCode::AuthenticationFailed => "the transmitter could not be authenticated",
        SetErrorCode::AccessDenied => "the transmitter may not send this SET",
        SetErrorCode::InvalidState => "the state of the verification event is not the expected one",
        _ => "the request is not an acceptable SET",
    }
}

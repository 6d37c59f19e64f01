//! Responses.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::error::Error;
use crate::queue::QueueError;
use crate::transmitter::{Decision, StoreError};

/// Why a request is refused. The text is fixed for each code, and repeats nothing of the request.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    text: &'static str,
    retry_after: Option<u64>,
    challenge: Option<HeaderValue>,
    allow: Option<&'static str>,
}

impl Refusal {
    pub(super) const fn new(status: StatusCode, code: &'static str, text: &'static str) -> Self {
        Self {
            status,
            code,
            text,
            retry_after: None,
            challenge: None,
            allow: None,
        }
    }

    pub(super) const fn bad(text: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", text)
    }

    /// One that does not exist is answered like that of somebody else.
    pub(super) const fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is no such stream or resource for this receiver",
        )
    }

    pub(super) const fn forbidden() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "access_denied",
            "this receiver may not do this",
        )
    }

    pub(super) const fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            "it cannot be done now; try again later",
        )
    }

    pub(super) const fn too_many(retry_after: u64) -> Self {
        let mut refusal = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            "this is asked for too often",
        );
        refusal.retry_after = Some(retry_after);
        refusal
    }

    pub(super) const fn method(allow: &'static str) -> Self {
        let mut refusal = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this resource has other methods",
        );
        refusal.allow = Some(allow);
        refusal
    }

    pub(super) fn with_challenge(mut self, challenge: HeaderValue) -> Self {
        self.challenge = Some(challenge);
        self
    }

    pub(super) fn response(&self) -> Response<Vec<u8>> {
        let body = json!({"error": self.code, "error_description": self.text});
        let mut response = json_response(self.status, body.to_string().into_bytes());
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = &self.challenge {
            headers.insert(WWW_AUTHENTICATE, challenge.clone());
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Queue(error) => error.into(),
            Error::Json { source, .. } if source.kind().code() == "too_large" => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "invalid_request",
                "the body is too large",
            ),
            Error::ContentType { .. } => Self::bad("the content type has to be application/json"),
            Error::Json { .. } => Self::bad("the body is not strict JSON of the expected shape"),
            Error::Endpoint { .. } => {
                Self::bad("an endpoint has to be a plain https URL that is allowed here")
            }
            _ => Self::bad("a member of the body is missing or wrong"),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(_: StoreError) -> Self {
        Self::unavailable()
    }
}

impl From<QueueError> for Refusal {
    fn from(_: QueueError) -> Self {
        Self::unavailable()
    }
}

impl From<ssf_set::Error> for Refusal {
    fn from(_: ssf_set::Error) -> Self {
        Self::unavailable()
    }
}

impl Decision {
    /// What to answer unless it is done.
    pub(super) fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Apply => None,
            Self::Undecided => Some(Refusal::new(
                StatusCode::ACCEPTED,
                "undecided",
                "it is not decided yet; ask again later",
            )),
            Self::Forbid => Some(Refusal::forbidden()),
        }
    }
}

pub(super) type Answered = Result<Response<Vec<u8>>, Refusal>;

pub(super) fn ok(status: StatusCode, value: &Value) -> Response<Vec<u8>> {
    json_response(status, value.to_string().into_bytes())
}

pub(super) fn json_response(status: StatusCode, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = empty(status);
    *response.body_mut() = body;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn empty(status: StatusCode) -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

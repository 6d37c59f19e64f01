//! The receiver's side: the client of this protocol.

use std::collections::BTreeMap;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LANGUAGE, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use pki_types::UnixTime;
use ssf_set::{SecurityEventToken, SetErrorCode, SetVerifier};

use crate::error::{Error, https};
use crate::poll::{PollRequest, PollResponse, SetErrorReport};

/// The request of a poll.
///
/// # Errors
///
/// [`Error::Endpoint`] when the endpoint is not a plain https URL.
pub fn request(
    poll: &PollRequest,
    endpoint: &str,
    authorization: Option<&HeaderValue>,
) -> Result<Request<Vec<u8>>, Error> {
    let what = "the poll endpoint";
    let url = https(endpoint, what)?;
    let mut request = Request::new(poll.to_json());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url.as_str().parse().map_err(|_| Error::Endpoint { what })?;
    let headers = request.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(CONTENT_TYPE, json.clone());
    headers.insert(ACCEPT, json);
    if !poll.set_errs.is_empty() {
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static("en"));
    }
    if let Some(value) = authorization {
        let mut value = value.clone();
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(request)
}

/// What a poll brought.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Polled {
    /// Verified SETs, in order. Store each, then acknowledge it by its `jti`, then record it with
    /// [`SetVerifier::record`], and act on it if it is new.
    pub sets: Vec<SecurityEventToken>,
    /// SETs that are refused, by the name under which they were sent: for `setErrs` of the next poll.
    pub refused: BTreeMap<String, SetErrorReport>,
    /// SETs that may be accepted later, as after a refresh of the keys. Neither acknowledge nor report
    /// them yet: they are sent again.
    pub undecided: BTreeMap<String, ssf_set::Error>,
}

/// Verifies what a poll brought. A SET whose `jti` is not the name under which it was sent is refused
/// under that name; the `jti` inside is never acknowledged.
#[must_use]
pub fn verify(response: &PollResponse, verifier: &SetVerifier, now: UnixTime) -> Polled {
    let mut polled = Polled::default();
    for (id, compact) in &response.unverified_sets {
        match verifier.verify(compact, now) {
            Ok(set) if set.id() == id => polled.sets.push(set),
            Ok(_) => {
                let report = SetErrorReport::new(SetErrorCode::InvalidRequest);
                polled.refused.insert(id.clone(), report);
            }
            Err(error) => match error.set_error_code() {
                Some(code) if !error.retryable() => {
                    polled.refused.insert(id.clone(), SetErrorReport::new(code));
                }
                _ => {
                    polled.undecided.insert(id.clone(), error);
                }
            },
        }
    }
    polled
}

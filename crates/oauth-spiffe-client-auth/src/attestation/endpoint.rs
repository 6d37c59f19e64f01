//! The challenge endpoint (section 6.3), both sides.

use http::{Method, Request, Response, StatusCode, header};
use jose_x509::json;
use pki_types::UnixTime;
use serde_json::{Map, Value};

use super::refusal::{DPOP_NONCE, put};
use super::{Challenge, ChallengeMemory, Server};
use crate::error::{Error, response};
use crate::pop::PopVerifier;

/// Longest answer that a client reads.
const MAX_ANSWER: usize = 16 * 1024;

/// Answers a request to the challenge endpoint: a challenge as JSON and a DPoP nonce as field, where they are used.
/// Anything but POST is answered with 405.
#[must_use]
pub fn challenge_response(
    method: &Method,
    proofs: &PopVerifier,
    now: UnixTime,
) -> Response<Vec<u8>> {
    if method != Method::POST {
        let mut refusal = Response::new(Vec::new());
        *refusal.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        let allow = http::HeaderValue::from_static("POST");
        refusal.headers_mut().insert(header::ALLOW, allow);
        return refusal;
    }
    let answer = || {
        let (challenge, nonce) = proofs.fresh(now)?;
        let mut members = Map::new();
        if let Some(challenge) = challenge {
            members.insert(
                "attestation_challenge".to_owned(),
                challenge.as_str().into(),
            );
        }
        let mut answer = Response::new(Value::Object(members).to_string().into_bytes());
        let headers = answer.headers_mut();
        put(headers, header::CONTENT_TYPE.as_str(), "application/json")?;
        put(headers, header::CACHE_CONTROL.as_str(), "no-store")?;
        if let Some(nonce) = nonce {
            put(headers, DPOP_NONCE, nonce.as_str())?;
        }
        Ok(answer)
    };
    answer().unwrap_or_else(|error: Error| {
        let (name, status) = error.oauth();
        response(name, status, false)
    })
}

/// The request that a client has to send first: for a server with a challenge endpoint whose challenge it does
/// not have yet.
///
/// # Errors
///
/// [`Error::Metadata`] for an endpoint that is no URL.
pub fn challenge_request(
    endpoint: Option<&str>,
    server: &Server,
    memory: &ChallengeMemory,
) -> Result<Option<Request<()>>, Error> {
    let Some(endpoint) = endpoint.filter(|_| memory.get(server).is_none()) else {
        return Ok(None);
    };
    let member = "challenge_endpoint";
    if !endpoint.starts_with("https://") {
        return Err(Error::Metadata { member });
    }
    Request::post(endpoint)
        .header(header::ACCEPT, "application/json")
        .body(())
        .map(Some)
        .map_err(|_| Error::Metadata { member })
}

/// Remembers what the challenge endpoint answered: its challenge, and its DPoP nonce. Other members are ignored.
///
/// # Errors
///
/// [`Error::ChallengeResponse`], [`Error::InvalidChallenge`], [`Error::DpopProof`] for a malformed nonce.
pub fn read_challenge_response(
    answer: &Response<impl AsRef<[u8]>>,
    server: &Server,
    memory: &mut ChallengeMemory,
) -> Result<(), Error> {
    if answer.status() != StatusCode::OK {
        return Err(Error::ChallengeResponse);
    }
    let limits = json::Limits::DOCUMENT.with_bytes(MAX_ANSWER);
    let members =
        json::object(answer.body().as_ref(), &limits).map_err(|_| Error::ChallengeResponse)?;
    let challenge = match members.get("attestation_challenge") {
        None => None,
        Some(Value::String(text)) => Some(Challenge::parse(text)?),
        Some(_) => return Err(Error::ChallengeResponse),
    };
    memory.observe(server, answer.headers())?;
    if let Some(challenge) = challenge {
        memory.remember(server, challenge);
    }
    Ok(())
}

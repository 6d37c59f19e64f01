//! Errors on the wire, and fresh challenges in any response (sections 6.1, 6.2 and 7.4).

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use pki_types::UnixTime;

use super::CLIENT_ATTESTATION_CHALLENGE;
use super::verify::{Role, Verifier};
use crate::error::{Error, INVALID_ATTESTATION, USE_CHALLENGE, USE_NONCE, response};
use crate::pop::PopVerifier;

pub(crate) const DPOP_NONCE: &str = "dpop-nonce";

/// The scheme of `WWW-Authenticate` at a resource server: that of its access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449.
    Dpop,
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

impl PopVerifier {
    /// Adds a fresh challenge and a fresh DPoP nonce, where they are demanded, to a response of any kind, so that the
    /// next request need not be sent twice.
    ///
    /// # Errors
    ///
    /// [`Error::Challenges`].
    pub fn refresh(&self, headers: &mut HeaderMap, now: UnixTime) -> Result<(), Error> {
        let (challenge, nonce) = self.fresh(now)?;
        if let Some(challenge) = challenge {
            put(headers, CLIENT_ATTESTATION_CHALLENGE, challenge.as_str())?;
        }
        if let Some(nonce) = nonce {
            put(headers, DPOP_NONCE, nonce.as_str())?;
        }
        Ok(())
    }

    /// The response of a token endpoint. A server that demands a challenge or nonce always gives a fresh one.
    pub(crate) fn refuse(
        &self,
        error: &Error,
        used_authorization: bool,
        now: UnixTime,
    ) -> Response<Vec<u8>> {
        let (name, status) = error.oauth();
        let mut refusal = response(name, status, used_authorization);
        match self.give(name, refusal.headers_mut(), now) {
            Ok(()) => refusal,
            Err(error) => error.to_response(used_authorization),
        }
    }

    /// The nonce goes with the nonce's error, the challenge with its own: combined mode knows no challenges.
    fn give(&self, error: &str, headers: &mut HeaderMap, now: UnixTime) -> Result<(), Error> {
        let (challenge, nonce) = match error {
            USE_CHALLENGE | USE_NONCE => self.fresh(now)?,
            _ => return Ok(()),
        };
        if let Some(nonce) = nonce {
            put(headers, DPOP_NONCE, nonce.as_str())?;
        }
        match challenge {
            Some(challenge) if error == USE_CHALLENGE => {
                put(headers, CLIENT_ATTESTATION_CHALLENGE, challenge.as_str())
            }
            _ => Ok(()),
        }
    }
}

impl Verifier {
    /// The error response: at an authorization server a JSON object with 400 or 401, at a resource server 401
    /// with `WWW-Authenticate` of `scheme`.
    #[must_use]
    pub fn refuse(&self, error: &Error, scheme: Scheme, now: UnixTime) -> Response<Vec<u8>> {
        if self.role == Role::AuthorizationServer {
            return self.pop.refuse(error, false, now);
        }
        let (name, status) = match error.oauth() {
            (_, StatusCode::SERVICE_UNAVAILABLE) => return error.to_response(false),
            ("invalid_request", _) => ("invalid_request", StatusCode::BAD_REQUEST),
            ("invalid_client", _) => (INVALID_ATTESTATION, StatusCode::UNAUTHORIZED),
            (name, _) => (name, StatusCode::UNAUTHORIZED),
        };
        let mut refusal = Response::new(Vec::new());
        *refusal.status_mut() = status;
        let headers = refusal.headers_mut();
        let challenge = [scheme.name(), " error=\"", name, "\""].concat();
        let given = put(headers, header::WWW_AUTHENTICATE.as_str(), &challenge)
            .and_then(|()| put(headers, header::CACHE_CONTROL.as_str(), "no-store"))
            .and_then(|()| self.pop.give(name, headers, now));
        match given {
            Ok(()) => refusal,
            Err(error) => error.to_response(false),
        }
    }
}

pub(super) fn put(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Error> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::FieldValue)?;
    let value = HeaderValue::from_str(value).map_err(|_| Error::FieldValue)?;
    headers.insert(name, value);
    Ok(())
}

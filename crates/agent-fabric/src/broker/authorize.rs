//! The authorization code grant with PKCE (RFC 6749 section 4.1, RFC 7636), narrowed to what agents need.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jose_x509::{CryptoProvider, base64url};
use pki_types::UnixTime;
use serde_json::Value;
use token_exchange::{Error as ExchangeError, Form, ResourceIndicator, ScopeSet};

/// What a client asks a user for.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// `client_id`.
    pub client_id: String,
    /// `redirect_uri`.
    pub redirect_uri: String,
    /// `scope`.
    pub scopes: ScopeSet,
    /// `resource`, exactly one.
    pub resource: ResourceIndicator,
    /// `authorization_details`, as JSON text.
    pub details: Option<String>,
    /// `state`, given back as it is.
    pub state: Option<String>,
    challenge: [u8; 32],
}

impl AuthorizationRequest {
    /// Reads the parameters of an authorization request.
    ///
    /// # Errors
    ///
    /// [`ExchangeError`] for a missing, repeated or malformed parameter; `code_challenge` with `S256` and
    /// exactly one `resource` are required.
    pub fn from_form(form: &Form) -> Result<Self, ExchangeError> {
        form.check_repeats(&["resource"])?;
        if form.required("response_type")? != "code" {
            return Err(ExchangeError::InvalidParameter {
                name: "response_type",
            });
        }
        if form.required("code_challenge_method")? != "S256" {
            return Err(ExchangeError::InvalidParameter {
                name: "code_challenge_method",
            });
        }
        let challenge = base64url::decode_array(form.required("code_challenge")?, "code_challenge")
            .map_err(|_| ExchangeError::InvalidParameter {
                name: "code_challenge",
            })?;
        let mut resources = form.get_all("resource");
        let (Some(resource), None) = (resources.next(), resources.next()) else {
            return Err(ExchangeError::InvalidTarget);
        };
        Ok(Self {
            client_id: form.required("client_id")?.to_owned(),
            redirect_uri: form.required("redirect_uri")?.to_owned(),
            scopes: ScopeSet::parse(form.required("scope")?)?,
            resource: ResourceIndicator::parse(resource)?,
            details: form.get("authorization_details").map(str::to_owned),
            state: form.get("state").map(str::to_owned),
            challenge,
        })
    }
}

/// A consent that waits for its code to be redeemed.
#[derive(Clone, Debug)]
pub struct Consent {
    /// The user.
    pub user: String,
    /// What the user consented to.
    pub request: AuthorizationRequest,
    /// The consented `authorization_details`.
    pub details: Option<Value>,
}

/// The codes that wait. A code is good once, for a minute, for its client and its verifier.
#[derive(Debug)]
pub struct Codes {
    provider: CryptoProvider,
    waiting: Mutex<HashMap<[u8; 32], (Consent, u64)>>,
}

const LIFETIME: Duration = Duration::from_secs(60);
const MAX_WAITING: usize = 10_000;

impl Codes {
    /// No codes yet.
    #[must_use]
    pub fn new(provider: CryptoProvider) -> Self {
        Self {
            provider,
            waiting: Mutex::default(),
        }
    }

    /// Issues a code for a consent; `None` when too many wait or the random source fails.
    pub fn issue(&self, consent: Consent, now: UnixTime) -> Option<String> {
        let code = base64url::encode(&self.provider.random::<32>().ok()?);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, (_, expires)| *expires > now.as_secs());
        if waiting.len() >= MAX_WAITING {
            return None;
        }
        let expires = now.as_secs().saturating_add(LIFETIME.as_secs());
        waiting.insert(self.provider.sha256(code.as_bytes()), (consent, expires));
        Some(code)
    }

    /// Redeems a code. Whoever tries it with a wrong client, redirect or verifier has spent it.
    pub fn redeem(
        &self,
        code: &str,
        client_id: &str,
        redirect_uri: &str,
        verifier: &str,
        now: UnixTime,
    ) -> Option<Consent> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (consent, expires) = waiting.remove(&self.provider.sha256(code.as_bytes()))?;
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let good = now.as_secs() < expires
            && consent.request.client_id == client_id
            && consent.request.redirect_uri == redirect_uri
            && (43..=128).contains(&verifier.len())
            && verifier.bytes().all(unreserved)
            && self.provider.sha256(verifier.as_bytes()) == consent.request.challenge;
        good.then_some(consent)
    }
}

#[cfg(test)]
mod tests {
    use jose_x509::provider::ring;

    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn form(challenge_method: &str, resource: &str) -> Form {
        // The pair of RFC 7636 appendix B.
        let text = format!(
            "response_type=code&client_id=c&redirect_uri=https%3A%2F%2Fc.example%2Fcb&scope=a&{resource}\
             &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method={challenge_method}"
        );
        Form::parse(text.as_bytes()).unwrap()
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn a_request_needs_pkce_and_one_resource() {
        let read = |method, resource| {
            AuthorizationRequest::from_form(&form(method, resource)).map_err(|e| e.code())
        };
        assert!(read("S256", "resource=https%3A%2F%2Fr.example").is_ok());
        assert_eq!(
            read("plain", "resource=https%3A%2F%2Fr.example").unwrap_err(),
            "invalid_parameter"
        );
        assert_eq!(read("S256", "").unwrap_err(), "invalid_target");
        assert_eq!(
            read(
                "S256",
                "resource=https%3A%2F%2Fr.example&resource=https%3A%2F%2Fs.example"
            )
            .unwrap_err(),
            "invalid_target"
        );
    }

    #[test]
    fn a_code_is_good_once_for_its_client_and_verifier() {
        let codes = Codes::new(ring::provider());
        let request =
            AuthorizationRequest::from_form(&form("S256", "resource=https%3A%2F%2Fr.example"))
                .unwrap();
        let consent = Consent {
            user: "u".into(),
            request,
            details: None,
        };
        let code = || codes.issue(consent.clone(), at(100)).unwrap();
        let redeem = |code: &str, client, verifier, now| {
            codes
                .redeem(code, client, "https://c.example/cb", verifier, at(now))
                .is_some()
        };
        let good = code();
        assert!(redeem(&good, "c", VERIFIER, 159));
        assert!(!redeem(&good, "c", VERIFIER, 159), "a second use");
        assert!(!redeem(&code(), "d", VERIFIER, 100), "another client");
        let other = VERIFIER.replace('d', "e");
        assert!(!redeem(&code(), "c", &other, 100), "another verifier");
        assert!(!redeem(&code(), "c", VERIFIER, 160), "too late");
        assert!(
            codes
                .redeem(&code(), "c", "https://evil.example", VERIFIER, at(100))
                .is_none()
        );
    }
}

//! Who is logged in at the broker. How users log in is for a deployment; the broker asks through a trait.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, header};
use jose_x509::{CryptoProvider, Error, base64url};

/// Finds the user of a browser's request.
pub trait UserSessions: Send + Sync {
    /// The user, if the request belongs to a session.
    fn user(&self, headers: &HeaderMap) -> Option<String>;
}

/// Sessions in memory, by a cookie with 256 random bits.
#[derive(Debug, Default)]
pub struct MemorySessions(Mutex<HashMap<String, String>>);

const COOKIE: &str = "__Host-session";

impl MemorySessions {
    /// Begins a session of a user whom the caller has authenticated, and gives the cookie to set.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`].
    pub fn log_in(&self, provider: &CryptoProvider, user: &str) -> Result<String, Error> {
        let id = base64url::encode(&provider.random::<32>()?);
        let cookie = format!("{COOKIE}={id}");
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, user.to_owned());
        Ok(cookie)
    }
}

impl UserSessions for MemorySessions {
    fn user(&self, headers: &HeaderMap) -> Option<String> {
        let mut cookies = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut ids = cookies
            .by_ref()
            .flat_map(|cookies| cookies.split("; "))
            .filter_map(|cookie| {
                let (name, value) = cookie.split_once('=')?;
                (name == COOKIE).then_some(value)
            });
        // Two such cookies are a sign that somebody planted one.
        let (Some(id), None) = (ids.next(), ids.next()) else {
            return None;
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use jose_x509::provider::ring;

    use super::*;

    #[test]
    fn a_session_is_found_by_its_one_cookie() {
        let sessions = MemorySessions::default();
        let (a, b) = (
            sessions.log_in(&ring::provider(), "a").unwrap(),
            sessions.log_in(&ring::provider(), "b").unwrap(),
        );
        let user = |cookies: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_str(cookies).unwrap());
            sessions.user(&headers)
        };
        assert_eq!(user(&a).as_deref(), Some("a"));
        assert_eq!(user(&format!("theme=dark; {b}")).as_deref(), Some("b"));
        assert_eq!(user(&format!("{a}; {b}")), None);
        assert_eq!(user("__Host-session=a"), None);
        assert_eq!(sessions.user(&HeaderMap::new()), None);
    }
}

//! URLs of authorization servers.

use std::fmt;

use url::{Host, Url};

use crate::error::Error;

/// An issuer identifier or token endpoint: https, a public host, no user, query or fragment. Kept and compared exactly
/// as it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// Checks a URL.
    ///
    /// # Errors
    ///
    /// [`Error::ServerUrl`], also for an IP address and for `localhost`: nothing that this crate gives to be fetched leads
    /// into the network of who fetches it. What a public name resolves to is the fetching client's to check.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let plain = text.len() <= 2048 && text.bytes().all(|byte| byte.is_ascii_graphic());
        let url = Url::parse(text).map_err(|_| Error::ServerUrl)?;
        let public = match url.host() {
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                name != "localhost" && !name.ends_with(".localhost")
            }
            _ => false,
        };
        if !plain
            || !public
            || url.scheme() != "https"
            || !text.starts_with("https://")
            || text.contains(['#', '?', '@', '\\'])
        {
            return Err(Error::ServerUrl);
        }
        Ok(Self(text.to_owned()))
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the metadata of the authorization server with this issuer identifier are (RFC 8414 section 3).
    #[must_use]
    pub fn metadata_url(&self) -> String {
        let rest = self.0.strip_prefix("https://").unwrap_or_default();
        let (host, path) = rest
            .find('/')
            .and_then(|at| rest.split_at_checked(at))
            .unwrap_or((rest, ""));
        let path = path.trim_end_matches('/');
        format!("https://{host}/.well-known/oauth-authorization-server{path}")
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

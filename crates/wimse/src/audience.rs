//! For whom a proof is made: the part that WPT and message signatures share.

use crate::error::Error;

/// The audiences that mean this server. All of them come from configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audiences {
    authorities: Vec<(String, String)>,
    exact: Vec<String>,
}

impl Audiences {
    pub(crate) fn add_authority(&mut self, base: &str) -> Result<(), Error> {
        let authority = split_target(base).filter(|(_, _, path)| matches!(*path, "" | "/"));
        let (scheme, authority, _) = authority.ok_or(Error::InvalidOption {
            option: "authority",
            range: "http or https, `://`, host and optional port",
        })?;
        self.authorities.push((scheme, authority));
        Ok(())
    }

    pub(crate) fn add_exact(&mut self, audience: String) {
        self.exact.push(audience);
    }

    /// Whether `audience` is the target with this path under one of the authorities, or one of the exact ones.
    pub(crate) fn contains(&self, audience: &str, request_path: &str) -> bool {
        if self.exact.iter().any(|exact| exact == audience) {
            return true;
        }
        let Some((scheme, authority, path)) = split_target(audience) else {
            return false;
        };
        let ours = self
            .authorities
            .iter()
            .any(|(s, a)| *s == scheme && *a == authority);
        ours && (path == request_path || (path.is_empty() && request_path == "/"))
    }
}

/// A target without its query and fragment.
pub(crate) fn without_query(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or_default()
}

/// Scheme and authority in lower case, without the default port, and the path as it stands.
fn split_target(target: &str) -> Option<(String, String, &str)> {
    let (scheme, rest) = without_query(target).split_once("://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    let authority = authority.to_ascii_lowercase();
    let authority = authority
        .strip_suffix(default_port)
        .map_or(authority.clone(), str::to_owned);
    Some((scheme, authority, path))
}

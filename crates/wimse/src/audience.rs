//! For whom a proof is made: the part that WPT and message signatures share.

use std::net::Ipv6Addr;

use crate::error::Error;
use crate::identifier::is_reg_name;

/// The audiences that mean this server. All of them come from configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audiences {
    authorities: Vec<(&'static str, String)>,
    exact: Vec<String>,
}

impl Audiences {
    pub(crate) fn add_authority(&mut self, base: &str) -> Result<(), Error> {
        let authority = split_target(base).filter(|(_, authority, path)| {
            matches!(*path, "" | "/") && without_query(base) == base && is_host_and_port(authority)
        });
        let (scheme, authority, _) = authority.ok_or(Error::InvalidOption {
            option: "authority",
            range: "http or https, `://`, host and optional port, and nothing behind them",
        })?;
        self.authorities.push((scheme, authority.to_owned()));
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
            .any(|(s, a)| *s == scheme && a.eq_ignore_ascii_case(authority));
        ours && (path == request_path || (path.is_empty() && request_path == "/"))
    }
}

/// A target without its query and fragment.
pub(crate) fn without_query(target: &str) -> &str {
    let end = memchr::memchr2(b'?', b'#', target.as_bytes());
    end.and_then(|end| target.get(..end)).unwrap_or(target)
}

/// Whether a target says a user or a password, which no sender may put into a message (RFC 9110 section 4.2.4).
pub(crate) fn has_user_info(target: &str) -> bool {
    let Some((_, rest)) = without_query(target).split_once("://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    memchr::memchr(b'@', authority.as_bytes()).is_some()
}

/// RFC 3986 sections 3.2.2 and 3.2.3, with a host that is not empty and a port as everybody writes it: another spelling
/// would be accepted and never be met.
fn is_host_and_port(authority: &str) -> bool {
    let literal = authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'));
    let (host_is_fine, port) = match literal {
        Some((address, port)) => (address.parse::<Ipv6Addr>().is_ok(), port),
        None => {
            let colon = memchr::memchr(b':', authority.as_bytes());
            let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
            (!host.is_empty() && is_reg_name(host), port)
        }
    };
    let is_port = |port: &str| !port.starts_with(['0', '+']) && port.parse::<u16>().is_ok();
    host_is_fine && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// The scheme, the authority without the default port, and the path as it stands. Schemes and authorities are to
/// be compared without case.
fn split_target(target: &str) -> Option<(&'static str, &str, &str)> {
    let target = without_query(target);
    let behind = |scheme: &str| {
        let (found, rest) = target.split_at_checked(scheme.len())?;
        found.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let (scheme, rest, default_port) = match (behind("https://"), behind("http://")) {
        (Some(rest), _) => ("https", rest, ":443"),
        (_, Some(rest)) => ("http", rest, ":80"),
        _ => return None,
    };
    let (authority, path) =
        rest.split_at(memchr::memchr(b'/', rest.as_bytes()).unwrap_or(rest.len()));
    if authority.is_empty() || memchr::memchr(b'@', authority.as_bytes()).is_some() {
        return None;
    }
    let authority = authority.strip_suffix(default_port).unwrap_or(authority);
    Some((scheme, authority, path))
}

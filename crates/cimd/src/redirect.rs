//! Redirect URIs: what may be registered and what matches it.

use crate::{HttpsUrl, RedirectPolicy, url};

/// Says why an entry of `redirect_uris` is not acceptable.
pub(crate) fn check(
    uri: &str,
    client: &HttpsUrl,
    policy: &RedirectPolicy,
) -> Result<(), &'static str> {
    if uri.len() > url::MAX_URL_LENGTH {
        return Err("too long");
    }
    url::check_characters(uri).map_err(|_| "a character that a URI cannot have")?;
    if uri.contains('#') {
        return Err("has a fragment");
    }
    let (scheme, _) = uri.split_once(':').ok_or("not an absolute URI")?;
    match scheme {
        "https" => {
            let target =
                HttpsUrl::parse(uri, "redirect_uris").map_err(|_| "not a plain https URL")?;
            let allowed = match policy {
                RedirectPolicy::SameOrigin => false,
                RedirectPolicy::AllowListed(hosts) => {
                    hosts.iter().any(|host| host.matches(&target))
                }
                RedirectPolicy::Any => true,
            };
            if allowed || target.is_same_origin(client) {
                Ok(())
            } else {
                Err("not on an allowed origin")
            }
        }
        "http" => {
            if is_loopback(uri) {
                Ok(())
            } else {
                Err("http is for loopback only")
            }
        }
        _ => {
            let mut bytes = scheme.bytes();
            let valid = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase())
                && bytes.all(|byte| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)
                });
            // A reverse domain name has a dot; `javascript`, `data`, `file` and their like have none.
            if !valid || !scheme.contains('.') {
                return Err("the scheme is not allowed");
            }
            match policy {
                RedirectPolicy::Any => Ok(()),
                _ => Err("private-use schemes are not allowed"),
            }
        }
    }
}

/// Simple string comparison; for a loopback address the port is left out of it (RFC 8252 section 7.3).
pub(crate) fn matches(registered: &str, requested: &str) -> bool {
    if registered == requested {
        return true;
    }
    match (loopback(registered), loopback(requested)) {
        (Some(registered), Some(requested)) => registered == requested,
        _ => false,
    }
}

/// Whether the answer goes to the machine of the person, by address or by name.
pub(crate) fn is_loopback(uri: &str) -> bool {
    strip_host(uri, "http://localhost").is_some() || loopback(uri).is_some()
}

/// Host and what follows the port, for `http` URIs on a loopback address.
fn loopback(uri: &str) -> Option<(&'static str, &str)> {
    ["http://127.0.0.1", "http://[::1]"]
        .into_iter()
        .find_map(|prefix| strip_host(uri, prefix).map(|rest| (prefix, rest)))
}

/// What follows `prefix` and an optional port: empty, a path or a query.
fn strip_host<'a>(uri: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = uri.strip_prefix(prefix)?;
    let rest = match rest.strip_prefix(':') {
        None => rest,
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (digits, rest) = rest.split_at_checked(end)?;
            url::parse_port(digits).ok()?;
            rest
        }
    };
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some(rest)
}

//! `StringOrURI` (RFC 7519 section 2): any string, and one with a colon is a URI (RFC 3986).

use core::net::Ipv6Addr;

/// Whether `text` may stand where a StringOrURI is wanted (RFC 7519, section 2), as in `iss`, `sub` and `aud`: any
/// text, and one with a colon has to be a URI. [`Validator`](super::Validator) refuses other names, and empty ones.
///
/// Control characters are refused in either form: they name nobody, and break the log lines and header fields that a
/// name is copied to.
///
/// ```
/// use jose_x509::jwt::is_string_or_uri;
///
/// assert!(is_string_or_uri("ledger") && is_string_or_uri("https://10.0.0.1:8443"));
/// assert!(!is_string_or_uri("10.0.0.1:8443"));
/// ```
#[must_use]
pub fn is_string_or_uri(text: &str) -> bool {
    match cut(text, b':') {
        None => !text.chars().any(char::is_control),
        Some((scheme, rest)) => is_scheme(scheme) && (is_plain(rest) || is_after_scheme(rest)),
    }
}

/// Whether this is `//`, a host and a path without escapes, as in most names: told in one go. Whatever else it is, the
/// grammar below says.
fn is_plain(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix("//").map(str::as_bytes) else {
        return false;
    };
    let host = rest.iter().take_while(|byte| class(**byte) == NAME).count();
    let path = rest.get(host..).unwrap_or_default();
    path.first().is_none_or(|byte| *byte == b'/') && path.iter().all(|byte| class(*byte) != FOREIGN)
}

/// No byte of a path.
const FOREIGN: u8 = 0;
/// Unreserved, or a delimiter within a component (RFC 3986 sections 2.2 and 2.3).
const NAME: u8 = 1;
/// In a path besides these.
const PATH: u8 = 2;

fn class(byte: u8) -> u8 {
    #[expect(
        clippy::indexing_slicing,
        reason = "a constant beyond the bounds does not compile"
    )]
    const CLASSES: &[u8; 256] = &{
        let mut classes = [FOREIGN; 256];
        let mut byte = 0_u8;
        while byte < 128 {
            classes[byte as usize] = match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => NAME,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\''..=b',' | b';' | b'=' => NAME,
                b'/' | b':' | b'@' => PATH,
                _ => FOREIGN,
            };
            byte += 1;
        }
        classes
    };
    CLASSES.get(usize::from(byte)).copied().unwrap_or(FOREIGN)
}

/// What stands before and behind the first `mark`, which is ASCII.
fn cut(text: &str, mark: u8) -> Option<(&str, &str)> {
    let at = memchr::memchr(mark, text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// `scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )`
fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// `hier-part [ "?" query ] [ "#" fragment ]`
fn is_after_scheme(rest: &str) -> bool {
    let (rest, fragment) = cut(rest, b'#').unwrap_or((rest, ""));
    let (hier_part, query) = cut(rest, b'?').unwrap_or((rest, ""));
    let (authority, path) = match hier_part.strip_prefix("//") {
        None => ("", hier_part),
        Some(rest) => rest.split_at(memchr::memchr(b'/', rest.as_bytes()).unwrap_or(rest.len())),
    };
    is_authority(authority)
        && has_only(path, b":@/")
        && has_only(query, b":@/?")
        && has_only(fragment, b":@/?")
}

/// `[ userinfo "@" ] host [ ":" port ]`
fn is_authority(authority: &str) -> bool {
    let (userinfo, host_port) = cut(authority, b'@').unwrap_or(("", authority));
    let port_of = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let sound = match host_port.strip_prefix('[') {
        Some(literal) => literal.split_once(']').is_some_and(|(host, port)| {
            let port = match port {
                "" => Some(""),
                port => port.strip_prefix(':'),
            };
            is_ip_literal(host) && port.is_some_and(port_of)
        }),
        None => {
            let (host, port) = cut(host_port, b':').unwrap_or((host_port, ""));
            has_only(host, b"") && port_of(port)
        }
    };
    sound && has_only(userinfo, b":")
}

/// `IPv6address / IPvFuture`, without its brackets.
fn is_ip_literal(host: &str) -> bool {
    match host.strip_prefix(['v', 'V']) {
        None => host.parse::<Ipv6Addr>().is_ok(),
        Some(future) => future.split_once('.').is_some_and(|(version, address)| {
            let hex = |byte: u8| byte.is_ascii_hexdigit();
            !version.is_empty()
                && version.bytes().all(hex)
                && !address.is_empty()
                && !address.contains('%')
                && has_only(address, b":")
        }),
    }
}

/// `unreserved / pct-encoded / sub-delims`, and what else this part may have.
fn has_only(part: &str, also: &[u8]) -> bool {
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        let fine = match byte {
            b'%' => [bytes.next(), bytes.next()]
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => class(byte) == NAME || also.contains(&byte),
        };
        if !fine {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{is_after_scheme, is_plain, is_string_or_uri};

    proptest! {
        #[test]
        fn what_is_plain_is_one_by_the_grammar(rest in "//[a-z:@/%#?.\\[\\] é-]{0,12}") {
            prop_assert!(!is_plain(&rest) || is_after_scheme(&rest));
        }
    }

    /// Covers: JWT-7519.2-2
    #[test]
    fn a_colon_demands_a_uri() {
        for good in [
            "",
            "client-1",
            "a name with spaces",
            "J\u{f6}rg",
            "https://as.example",
            "https://as.example/",
            "HTTPS://as.example:8443/tenant/1?x=%20&y#z",
            "https://user:secret@as.example",
            "https://[::1]:8443/",
            "https://[v7.a:b]/",
            "spiffe://td.example/ns/a_b/sa/c-d",
            "urn:ietf:params:oauth:jwk-thumbprint:sha-256:AAAA",
            "mailto:a@b.example",
            "tag:b.example,2026:x",
            "did:web:b.example",
            "x:",
            "file:///etc",
            "a+b-c.1:x",
        ] {
            assert!(is_string_or_uri(good), "{good}");
        }
        for bad in [
            ":",
            "://x",
            "not a:uri with space",
            "a b:c",
            "1a:b",
            "-a:b",
            "a_b:c",
            "https://as.example/a b",
            "https://as.example/\u{f6}",
            "https://as.example/\"",
            "https://as.example/<x>",
            "https://as.example/%",
            "https://as.example/%2",
            "https://as.example/%zz",
            "https://as.example/#a#b",
            "https://as.example:port/",
            "https://as.example:1:2/",
            "https://a@b@c/",
            "https://[::1/",
            "https://[::g]/",
            "https://[::1]x/",
            "https://[v.x]/",
            "https://as.example/[1]",
            "urn:a\\b",
            "urn:a\r\nX-Injected: 1",
            "a\r\nX-Injected",
            "a\u{0}b",
            "a\u{85}b",
        ] {
            assert!(!is_string_or_uri(bad), "{bad:?}");
        }
    }
}

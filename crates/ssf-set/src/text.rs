//! Text that comes from peers, and small syntax checks.

use std::fmt::{self, Write as _};

/// Text of a peer for a log or a terminal: control characters are escaped, and what is longer than
/// 256 characters is cut.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

const SHOWN: usize = 256;

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, c) in self.0.chars().enumerate() {
            if count == SHOWN {
                return f.write_str("...");
            }
            // Bidirectional controls can reorder a line, so they are escaped as well.
            if c.is_control()
                || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            {
                write!(f, "{}", c.escape_unicode())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Whether this is a URI of RFC 3986 as to its characters: a scheme, a colon, and something behind it.
pub(crate) fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let fragments = rest.bytes().filter(|byte| *byte == b'#').count();
    scheme_ok && !rest.is_empty() && fragments <= 1 && uri_characters(rest)
}

fn uri_characters(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| !is_uri_character(*byte)) {
        rest = match rest.get(at..) {
            Some([b'%', high, low, others @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                others
            }
            _ => return false,
        };
    }
    true
}

/// RFC 3986 sections 2.2 and 2.3.
fn is_uri_character(byte: u8) -> bool {
    #[expect(
        clippy::indexing_slicing,
        reason = "a constant beyond the bounds does not compile"
    )]
    const ALLOWED: [bool; 256] = {
        let mut allowed = [false; 256];
        let mut marks: &[u8] = b"-._~:/?#[]@!$&'()*+,;=";
        while let [mark, others @ ..] = marks {
            allowed[*mark as usize] = true;
            marks = others;
        }
        let mut byte = 0;
        while byte < 128_u8 {
            allowed[byte as usize] |= byte.is_ascii_alphanumeric();
            byte += 1;
        }
        allowed
    };
    ALLOWED
        .get(usize::from(byte))
        .is_some_and(|allowed| *allowed)
}

/// `StringOrURI` of RFC 7519: with a colon in it, it has to be a URI.
pub(crate) fn is_string_or_uri(text: &str) -> bool {
    !text.is_empty() && (!text.contains(':') || is_uri(text))
}

/// `acct:` userpart `@` host (RFC 7565).
pub(crate) fn is_acct(text: &str) -> bool {
    let Some((user, host)) = text
        .strip_prefix("acct:")
        .and_then(|rest| rest.rsplit_once('@'))
    else {
        return false;
    };
    let host_ok = !host.is_empty() && !host.contains(['/', '?', '#', ':']);
    !user.is_empty()
        && !user.contains(['/', '?', '#', '@', ':', '[', ']'])
        && host_ok
        && is_uri(text)
}

/// `did:` method `:` identifier, and what a DID URL may have behind it.
pub(crate) fn is_did_url(text: &str) -> bool {
    let Some((method, id)) = text
        .strip_prefix("did:")
        .and_then(|rest| rest.split_once(':'))
    else {
        return false;
    };
    let id_end = id.find(['/', '?', '#']).unwrap_or(id.len());
    let id = id.get(..id_end).unwrap_or_default();
    !method.is_empty()
        && method
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && !id.is_empty()
        && !id.ends_with(':')
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-_:%".contains(&b))
        && is_uri(text)
}

/// An addr-spec without display name, comment or folding, within the lengths of RFC 5321.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let local_ok = quoted
        || !local
            .chars()
            .any(|c| c.is_whitespace() || "\"(),:;<>@[\\]".contains(c));
    text.len() <= 254
        && (1..=64).contains(&local.len())
        && !domain.is_empty()
        && local_ok
        && !text
            .chars()
            .any(|c| c.is_control() || matches!(c, '<' | '>'))
        && !domain
            .chars()
            .any(|c| c.is_whitespace() || "\"(),;\\".contains(c))
}

/// `+`, a digit other than zero, at most 15 digits in all.
pub(crate) fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (2..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

/// A BCP 47 tag, as to its syntax: subtags of one to eight letters and digits, the first of letters.
pub(crate) fn is_language_tag(text: &str) -> bool {
    let mut subtags = text.split('-');
    subtags.next().is_some_and(|first| {
        (1..=8).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic())
    }) && subtags
        .all(|tag| (1..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric()))
}

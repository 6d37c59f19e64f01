//! The byte scanner behind every constructor: one pass, no allocation, usable in `const`.

use crate::Error;

/// The largest SPIFFE ID in bytes, `spiffe://` included (SPIFFE-ID section 2.3). Longer input is refused unread.
pub const MAX_ID_LENGTH: usize = 2048;

/// The largest trust domain name in bytes (SPIFFE-ID section 2.3).
pub const MAX_TRUST_DOMAIN_LENGTH: usize = 255;

/// The scheme and its delimiter, exactly as every SPIFFE ID begins.
pub(crate) const SCHEME: &str = "spiffe://";

/// Checks a whole ID and returns the offset at which its path begins (its length when there is no path).
pub(crate) const fn id(input: &[u8]) -> Result<usize, Error> {
    if input.len() > MAX_ID_LENGTH {
        return Err(Error::TooLong {
            length: input.len(),
        });
    }
    let [
        b's',
        b'p',
        b'i',
        b'f',
        b'f',
        b'e',
        b':',
        b'/',
        b'/',
        rest @ ..,
    ] = input
    else {
        return Err(Error::Scheme);
    };
    let tail = match authority(rest, SCHEME.len()) {
        Ok(tail) => tail,
        Err(error) => return Err(error),
    };
    let path_start = input.len() - tail.len();
    match path(tail, path_start) {
        Ok(()) => Ok(path_start),
        Err(error) => Err(error),
    }
}

/// Checks a bare trust domain name.
pub(crate) const fn trust_domain(input: &[u8]) -> Result<(), Error> {
    match authority(input, 0) {
        Ok([]) => Ok(()),
        Ok(tail) => Err(Error::TrustDomainCharacter {
            offset: input.len() - tail.len(),
            byte: b'/',
        }),
        Err(error) => Err(error),
    }
}

/// Checks a path: empty, or segments each led by `/`. `offset` is where it stands in the caller's string.
pub(crate) const fn path(input: &[u8], mut offset: usize) -> Result<(), Error> {
    let mut rest = input;
    while let [first, tail @ ..] = rest {
        if *first != b'/' {
            return Err(Error::PathWithoutSlash);
        }
        let after = match segment_run(tail, offset + 1) {
            Ok(after) => after,
            Err(error) => return Err(error),
        };
        let length = tail.len() - after.len();
        let segment = tail.split_at(length).0;
        if let Some(error) = bad_segment(segment, offset + 1) {
            if segment.is_empty() && after.is_empty() {
                return Err(Error::TrailingSlash { offset });
            }
            return Err(error);
        }
        offset += 1 + length;
        rest = after;
    }
    Ok(())
}

/// Checks one single segment, as a builder takes it.
#[cfg(feature = "alloc")]
pub(crate) const fn segment(input: &[u8]) -> Result<(), Error> {
    match segment_run(input, 0) {
        Ok([]) => match bad_segment(input, 0) {
            None => Ok(()),
            Some(error) => Err(error),
        },
        Ok(after) => Err(Error::SlashInSegment {
            offset: input.len() - after.len(),
        }),
        Err(error) => Err(error),
    }
}

/// Checks the trust domain at the start of `input`; returns what follows it, empty or beginning with `/`.
const fn authority(input: &[u8], offset: usize) -> Result<&[u8], Error> {
    let mut rest = input;
    while let [byte, tail @ ..] = rest {
        if !is(TRUST_DOMAIN, *byte) {
            break;
        }
        rest = tail;
    }
    let length = input.len() - rest.len();
    match rest {
        [] | [b'/', ..] if length == 0 => Err(Error::EmptyTrustDomain),
        [] | [b'/', ..] if length > MAX_TRUST_DOMAIN_LENGTH => Err(Error::TrustDomainTooLong),
        [] | [b'/', ..] => Ok(rest),
        [byte, ..] => Err(match *byte {
            b'?' => Error::Query {
                offset: offset + length,
            },
            b'#' => Error::Fragment {
                offset: offset + length,
            },
            byte => Error::TrustDomainCharacter {
                offset: offset + length,
                byte,
            },
        }),
    }
}

/// Runs over the segment characters at the start of `input`; returns what follows, empty or beginning with `/`.
const fn segment_run(input: &[u8], offset: usize) -> Result<&[u8], Error> {
    let mut rest = input;
    while let [byte, tail @ ..] = rest {
        if !is(SEGMENT, *byte) {
            break;
        }
        rest = tail;
    }
    match rest {
        [] | [b'/', ..] => Ok(rest),
        [byte, ..] => {
            let offset = offset + (input.len() - rest.len());
            Err(match *byte {
                b'?' => Error::Query { offset },
                b'#' => Error::Fragment { offset },
                byte => Error::PathCharacter { offset, byte },
            })
        }
    }
}

const fn bad_segment(segment: &[u8], offset: usize) -> Option<Error> {
    match segment {
        [] => Some(Error::EmptySegment { offset }),
        [b'.'] | [b'.', b'.'] => Some(Error::DotSegment { offset }),
        _ => None,
    }
}

const TRUST_DOMAIN: u8 = 1;
const SEGMENT: u8 = 2;

const fn is(class: u8, byte: u8) -> bool {
    #[expect(
        clippy::indexing_slicing,
        reason = "a byte is always inside a table of 256"
    )]
    let found = CLASSES[byte as usize];
    found & class != 0
}

/// Which bytes may stand where. A table costs one load a byte, whatever the byte.
const CLASSES: &[u8; 256] = &classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0u8;
    loop {
        #[expect(
            clippy::indexing_slicing,
            reason = "a byte is always inside a table of 256"
        )]
        {
            table[byte as usize] = match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' => TRUST_DOMAIN | SEGMENT,
                b'A'..=b'Z' => SEGMENT,
                _ => 0,
            };
        }
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

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
pub(crate) const fn path(input: &[u8], offset: usize) -> Result<(), Error> {
    if plainly_valid(input) {
        return Ok(());
    }
    path_by_segments(input, offset)
}

/// Whether a path is valid and none of its segments begins with a dot: nearly every path there is. One table load a
/// byte and no branch on it; whatever this does not vouch for, [`path_by_segments`] decides.
const fn plainly_valid(input: &[u8]) -> bool {
    let mut rest = input;
    let mut every = PATH;
    let mut doubtful = 0;
    let mut previous = SLASH;
    if let [b'/', tail @ ..] = rest {
        rest = tail;
    } else {
        return input.is_empty();
    }
    while let [byte, tail @ ..] = rest {
        let class = class(*byte);
        every &= class;
        // A slash or a dot after a slash.
        doubtful |= (previous >> 1) & class;
        previous = class;
        rest = tail;
    }
    every & PATH != 0 && (doubtful | (previous >> 1)) & AFTER_SLASH == 0
}

/// The same check segment by segment, which also finds what is wrong and where.
const fn path_by_segments(input: &[u8], mut offset: usize) -> Result<(), Error> {
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
/// Allowed somewhere in a path: in a segment or between two.
const PATH: u8 = 4;
/// Worth a closer look after a slash: a dot or another slash.
const AFTER_SLASH: u8 = 8;
/// A slash. Shifted right by one it is [`AFTER_SLASH`].
const SLASH: u8 = 16;

const fn is(wanted: u8, byte: u8) -> bool {
    class(byte) & wanted != 0
}

const fn class(byte: u8) -> u8 {
    #[expect(
        clippy::indexing_slicing,
        reason = "a byte is always inside a table of 256"
    )]
    CLASSES[byte as usize]
}

/// Which bytes may stand where.
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
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => TRUST_DOMAIN | SEGMENT | PATH,
                b'A'..=b'Z' => SEGMENT | PATH,
                b'.' => TRUST_DOMAIN | SEGMENT | PATH | AFTER_SLASH,
                b'/' => PATH | AFTER_SLASH | SLASH,
                _ => 0,
            };
        }
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

//! Logos: fetched by the server and shown from its own origin, never from the client's.

use crate::Error;

/// What a fetch asks for. SVG is a document with scripts and has no place here.
pub(crate) const ACCEPTED: &str = "image/png, image/jpeg, image/webp, image/gif";

/// An image of a kind that has no scripts, of a bounded size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logo {
    media_type: &'static str,
    bytes: Vec<u8>,
}

impl Logo {
    /// Tells the kind of an image by its first bytes; what the host called it does not count.
    ///
    /// # Errors
    ///
    /// [`Error::Logo`] for anything but PNG, JPEG, WebP and GIF.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        let media_type = match bytes.as_slice() {
            [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => "image/png",
            [0xff, 0xd8, 0xff, ..] => "image/jpeg",
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => "image/webp",
            _ => return Err(Error::Logo),
        };
        Ok(Self { media_type, bytes })
    }

    /// The `Content-Type` to serve it with, beside `X-Content-Type-Options: nosniff`.
    #[must_use]
    pub const fn media_type(&self) -> &'static str {
        self.media_type
    }

    /// The image.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

pub(crate) fn is_accepted(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    ACCEPTED
        .split(", ")
        .any(|accepted| accepted.eq_ignore_ascii_case(essence))
}

//! Canonical base64url without padding (RFC 4648 section 5), the only encoding JOSE uses.

use base64_simd::{AsOut as _, URL_SAFE_NO_PAD};

use crate::error::Error;

/// Encodes without padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// Appends the encoding of `bytes` to `out`.
pub fn encode_to(bytes: &[u8], out: &mut String) {
    URL_SAFE_NO_PAD.encode_append(bytes, out);
}

/// The length of the encoding of `len` bytes.
pub(crate) const fn encoded_len(len: usize) -> usize {
    (len / 3).saturating_mul(4).saturating_add(match len % 3 {
        0 => 0,
        rest => rest + 1,
    })
}

/// Encodes into `place`, which has to have the length of the encoding.
pub(crate) fn encode_slice(bytes: &[u8], place: &mut [u8]) {
    debug_assert_eq!(place.len(), encoded_len(bytes.len()));
    let _ = URL_SAFE_NO_PAD.encode(bytes, place.as_out());
}

/// Appends the encoding of `bytes` to bytes.
pub(crate) fn append(bytes: &[u8], out: &mut Vec<u8>) {
    URL_SAFE_NO_PAD.encode_append(bytes, out);
}

/// Decodes; `what` names the part in the error.
///
/// # Errors
///
/// [`Error::InvalidBase64`] for padding, white space, any byte outside the alphabet, a length of
/// 1 modulo 4, or unused bits that are not zero: each value has exactly one accepted form.
pub fn decode(text: &str, what: &'static str) -> Result<Vec<u8>, Error> {
    URL_SAFE_NO_PAD
        .decode_to_vec(text)
        .map_err(|_| Error::InvalidBase64 { what })
}

/// Decodes exactly `N` bytes.
///
/// # Errors
///
/// As [`decode`], and for any other length.
pub fn decode_array<const N: usize>(text: &str, what: &'static str) -> Result<[u8; N], Error> {
    let mut place = [0; N];
    if text.len() == encoded_len(N) && decode_slice(text, &mut place).is_some() {
        Ok(place)
    } else {
        Err(Error::InvalidBase64 { what })
    }
}

/// Decodes behind what `out` already holds.
pub(crate) fn decode_to(text: &str, out: &mut Vec<u8>, what: &'static str) -> Result<(), Error> {
    URL_SAFE_NO_PAD
        .decode_append(text, out)
        .map_err(|_| Error::InvalidBase64 { what })
}

/// Decodes into `place` and tells the length. One that is too long is not decoded: `place` is then
/// filled with ones, which as a number is too large as well.
pub(crate) fn decode_slice(text: &str, place: &mut [u8]) -> Option<usize> {
    let len = URL_SAFE_NO_PAD.decoded_length(text.as_bytes()).ok()?;
    if len > place.len() {
        place.fill(0xff);
        return Some(place.len());
    }
    let decoded = URL_SAFE_NO_PAD.decode(text.as_bytes(), place.as_out());
    decoded.ok().map(|bytes| bytes.len())
}

//! Canonical base64url without padding (RFC 4648 section 5), the only encoding JOSE uses.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Error;

/// Encodes without padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Appends the encoding of `bytes` to `out`.
pub fn encode_to(bytes: &[u8], out: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, out);
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
    let written = URL_SAFE_NO_PAD.encode_slice(bytes, place);
    debug_assert_eq!(written.ok(), Some(encoded_len(bytes.len())));
}

/// Appends the encoding of `bytes` to bytes.
pub(crate) fn append(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start.saturating_add(encoded_len(bytes.len())), 0);
    encode_slice(bytes, out.get_mut(start..).unwrap_or_default());
}

/// Decodes; `what` names the part in the error.
///
/// # Errors
///
/// [`Error::InvalidBase64`] for padding, white space, any byte outside the alphabet, a length of
/// 1 modulo 4, or unused bits that are not zero: each value has exactly one accepted form.
pub fn decode(text: &str, what: &'static str) -> Result<Vec<u8>, Error> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Error::InvalidBase64 { what })
}

/// Decodes exactly `N` bytes.
///
/// # Errors
///
/// As [`decode`], and for any other length.
pub fn decode_array<const N: usize>(text: &str, what: &'static str) -> Result<[u8; N], Error> {
    decode(text, what)?
        .try_into()
        .map_err(|_| Error::InvalidBase64 { what })
}

/// Decodes behind what `out` already holds.
pub(crate) fn decode_to(text: &str, out: &mut Vec<u8>, what: &'static str) -> Result<(), Error> {
    URL_SAFE_NO_PAD
        .decode_vec(text, out)
        .map_err(|_| Error::InvalidBase64 { what })
}

/// Decodes into `place` and tells the length. One that is too long is not decoded: `place` is then
/// filled with ones, which as a number is too large as well.
pub(crate) fn decode_slice(text: &str, place: &mut [u8]) -> Option<usize> {
    match URL_SAFE_NO_PAD.decode_slice(text, place) {
        Ok(len) => Some(len),
        Err(base64::DecodeSliceError::OutputSliceTooSmall) => {
            place.fill(0xff);
            Some(place.len())
        }
        Err(base64::DecodeSliceError::DecodeError(_)) => None,
    }
}

//! `Content-Digest` (RFC 9530 section 2).

use http::{HeaderMap, HeaderName};
use jose_x509::CryptoProvider;
use sfv::{BareItem, DictSerializer, KeyRef, ListEntry};
use sha2::{Digest as _, Sha512};

use super::fields::dictionary;
use super::{CONTENT_DIGEST, SignatureError};

const SHA_256: &str = "sha-256";
const SHA_512: &str = "sha-512";

/// The value of `Content-Digest` for some content, with SHA-256.
#[must_use]
pub fn content_digest(provider: &CryptoProvider, content: &[u8]) -> String {
    let digest = provider.sha256(content);
    let mut out = DictSerializer::new();
    if let Ok(key) = KeyRef::from_str(SHA_256) {
        _ = out.bare_item(key, digest.as_slice());
    }
    out.finish().unwrap_or_default()
}

/// Compares the field with the content. Every digest of an accepted algorithm has to be right, and there has to
/// be one; others, such as md5, count for nothing.
pub(super) fn check(
    provider: &CryptoProvider,
    headers: &HeaderMap,
    content: &[u8],
) -> Result<(), SignatureError> {
    let name = HeaderName::from_static(CONTENT_DIGEST);
    let mut values = headers.get_all(&name).iter();
    match (values.next(), values.next()) {
        (None, _) if content.is_empty() => return Ok(()),
        (None, _) => return Err(SignatureError::DigestMissing),
        (Some(_), None) => {}
        (Some(_), Some(_)) => {
            return Err(SignatureError::FieldCount {
                field: CONTENT_DIGEST,
            });
        }
    }
    let mut checked = false;
    for (algorithm, entry) in &dictionary(headers, CONTENT_DIGEST)? {
        let ListEntry::Item(item) = entry else {
            return Err(SignatureError::Malformed {
                field: CONTENT_DIGEST,
            });
        };
        let BareItem::ByteSequence(digest) = &item.bare_item else {
            return Err(SignatureError::Malformed {
                field: CONTENT_DIGEST,
            });
        };
        let right = match algorithm.as_str() {
            SHA_256 => *digest == provider.sha256(content),
            SHA_512 => digest.as_slice() == Sha512::digest(content).as_slice(),
            _ => continue,
        };
        if !right {
            return Err(SignatureError::DigestMismatch);
        }
        checked = true;
    }
    if checked {
        Ok(())
    } else {
        Err(SignatureError::DigestMissing)
    }
}

//! josekit with the checks that it leaves out.
//!
//! josekit compares the tag of AES-CBC-HMAC after the padding has been removed, and not in constant time; it
//! accepts GCM tags of 4 bytes, panics on short initialization vectors and on encrypted keys below 8
//! bytes, ignores `crit`, inflates without a limit, and tells its failures apart. [`Guarded`] and [`MacFirst`] stand
//! between it and the token, and [`decrypt`] between it and the caller.

use std::borrow::Cow;
use std::fmt;

use josekit::JoseError;
use josekit::jwe::enc::{A128CBC_HS256, A128GCM, A256CBC_HS512, A256GCM};
use josekit::jwe::{JweAlgorithm, JweContentEncryption, JweContext, JweDecrypter, JweHeader};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use zeroize::Zeroizing;

use super::{ContentEncryption, JweError};

/// Decrypts a token whose structure and header were checked.
pub(super) fn decrypt(compact: &str, decrypter: &Guarded) -> Result<Zeroizing<Vec<u8>>, JweError> {
    context()
        .deserialize_compact(compact, decrypter)
        .map(|(plaintext, _)| Zeroizing::new(plaintext))
        .map_err(|_| JweError::DecryptionFailed)
}

/// josekit's context with the content encryptions of this crate and nothing else.
pub(super) fn context() -> JweContext {
    let mut context = JweContext::new();
    for name in ["A192GCM", "A192CBC-HS384"] {
        context.remove_content_encryption(name);
    }
    context.remove_compression("DEF");
    for content in ContentEncryption::ALL {
        context.add_content_encryption(Box::new(MacFirst(content)));
    }
    context
}

/// A decrypter whose failure shows only when the content does not decrypt, as RFC 7516 section 11.5 asks:
/// a key that cannot be recovered is replaced by a random one.
pub(super) struct Guarded(Box<dyn JweDecrypter>);

impl Guarded {
    pub(super) fn new(decrypter: impl JweDecrypter + 'static) -> Self {
        Self(Box::new(decrypter))
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // josekit's decrypters print their keys.
        f.debug_tuple("Guarded")
            .field(&self.0.algorithm().name())
            .finish()
    }
}

impl JweDecrypter for Guarded {
    fn algorithm(&self) -> &dyn JweAlgorithm {
        self.0.algorithm()
    }

    fn key_id(&self) -> Option<&str> {
        None
    }

    fn decrypt(
        &self,
        encrypted_key: Option<&[u8]>,
        content: &dyn JweContentEncryption,
        header: &JweHeader,
    ) -> Result<Cow<'_, [u8]>, JoseError> {
        let mut substitute = vec![0; content.key_len()];
        openssl::rand::rand_bytes(&mut substitute)
            .map_err(|error| JoseError::InvalidKeyFormat(error.into()))?;
        match self.0.decrypt(encrypted_key, content, header) {
            Ok(key) if key.len() == content.key_len() => Ok(key),
            _ => Ok(Cow::Owned(substitute)),
        }
    }

    fn box_clone(&self) -> Box<dyn JweDecrypter> {
        Box::new(Self(self.0.clone()))
    }
}

/// A content encryption that accepts exact lengths alone, and removes no padding before the MAC has been
/// compared in constant time.
#[derive(Clone, Copy, Debug)]
struct MacFirst(ContentEncryption);

impl MacFirst {
    fn inner(self) -> &'static dyn JweContentEncryption {
        match self.0 {
            ContentEncryption::A128Gcm => &A128GCM,
            ContentEncryption::A256Gcm => &A256GCM,
            ContentEncryption::A128CbcHs256 => &A128CBC_HS256,
            ContentEncryption::A256CbcHs512 => &A256CBC_HS512,
        }
    }

    /// RFC 7518 section 5.2.2.1: the first half of the key is for the MAC, of which the first half is the tag.
    fn mac_holds(self, key: &[u8], iv: &[u8], ciphertext: &[u8], aad: &[u8], tag: &[u8]) -> bool {
        let digest = match self.0 {
            ContentEncryption::A256CbcHs512 => MessageDigest::sha512(),
            _ => MessageDigest::sha256(),
        };
        let aad_bits = u64::try_from(aad.len())
            .unwrap_or(u64::MAX)
            .saturating_mul(8)
            .to_be_bytes();
        let mac = || {
            let (mac_key, _) = key.split_at_checked(self.0.key_len() / 2)?;
            let mac_key = PKey::hmac(mac_key).ok()?;
            let mut signer = Signer::new(digest, &mac_key).ok()?;
            for part in [aad, iv, ciphertext, &aad_bits] {
                signer.update(part).ok()?;
            }
            signer.sign_to_vec().ok()
        };
        let mac = mac().unwrap_or_default();
        mac.get(..self.0.tag_len())
            .is_some_and(|mac| mac.len() == tag.len() && openssl::memcmp::eq(mac, tag))
    }
}

impl JweContentEncryption for MacFirst {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    fn iv_len(&self) -> usize {
        self.0.iv_len()
    }

    fn encrypt(
        &self,
        key: &[u8],
        iv: Option<&[u8]>,
        message: &[u8],
        aad: &[u8],
    ) -> Result<(Vec<u8>, Option<Vec<u8>>), JoseError> {
        self.inner().encrypt(key, iv, message, aad)
    }

    fn decrypt(
        &self,
        key: &[u8],
        iv: Option<&[u8]>,
        ciphertext: &[u8],
        aad: &[u8],
        tag: Option<&[u8]>,
    ) -> Result<Vec<u8>, JoseError> {
        let (iv_bytes, tag_bytes) = (iv.unwrap_or_default(), tag.unwrap_or_default());
        if iv_bytes.len() != self.0.iv_len()
            || tag_bytes.len() != self.0.tag_len()
            || (self.0.is_cbc() && !self.mac_holds(key, iv_bytes, ciphertext, aad, tag_bytes))
        {
            return Err(JoseError::InvalidJweFormat(
                JweError::DecryptionFailed.into(),
            ));
        }
        self.inner().decrypt(key, iv, ciphertext, aad, tag)
    }

    fn box_clone(&self) -> Box<dyn JweContentEncryption> {
        Box::new(*self)
    }
}

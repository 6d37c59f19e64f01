//! Nonces that a server gives (RFC 9449 sections 8 and 9).

use std::fmt;
use std::time::Duration;

use pki_types::UnixTime;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::error::DpopError;
use crate::base64url;
use crate::error::Error;
use crate::provider::CryptoProvider;

/// Longest nonce in bytes.
pub const MAX_NONCE: usize = 512;

/// A nonce: 1 to [`MAX_NONCE`] characters of RFC 9449 section 8.1. Its `Debug` output does not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Nonce(String);

impl Nonce {
    /// Checks the syntax.
    ///
    /// # Errors
    ///
    /// [`DpopError::InvalidNonce`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if (1..=MAX_NONCE).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(DpopError::InvalidNonce.into())
        }
    }

    /// Reads the values of a response's `DPoP-Nonce` fields.
    ///
    /// # Errors
    ///
    /// [`DpopError::MultipleNonces`], [`DpopError::InvalidNonce`].
    pub fn from_fields<'a>(
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<Self>, Error> {
        let mut values = values.into_iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(DpopError::MultipleNonces.into());
        }
        let text = core::str::from_utf8(value).map_err(|_| DpopError::InvalidNonce)?;
        Self::parse(text).map(Some)
    }

    /// The text: the value of `DPoP-Nonce` and of the claim `nonce`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

/// Gives nonces and knows them again.
pub trait NonceSource: fmt::Debug + Send + Sync {
    /// An unpredictable nonce, good from now on for a while.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`], or what the implementation's store says.
    fn issue(&self, now: UnixTime) -> Result<Nonce, Error>;

    /// Whether `nonce` was given by this source (on any node) and is recent.
    fn is_current(&self, nonce: &Nonce, now: UnixTime) -> bool;
}

const RANDOM: usize = 8;
const TAG: usize = 16;
const MAX_PERIOD: u64 = 3600;

/// Nonces that need no memory: 64 random bits, and 128 bits of HMAC-SHA-256 over them, the server's
/// name and the current period of time. Nodes with the same key and name accept each other's.
///
/// A nonce is good for the period it was made in and for the one after it, and where the clock is still in the one
/// before it.
pub struct StatelessNonces {
    provider: CryptoProvider,
    key: Zeroizing<[u8; 32]>,
    server: String,
    period: u64,
}

impl StatelessNonces {
    /// Nonces of the server with this name, under a secret of 32 random bytes, with periods of 300
    /// seconds.
    #[must_use]
    pub fn new(provider: &CryptoProvider, key: [u8; 32], server: impl Into<String>) -> Self {
        Self {
            provider: *provider,
            key: Zeroizing::new(key),
            server: server.into(),
            period: 300,
        }
    }

    /// Nonces under a fresh secret, which only this value knows.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`].
    pub fn generate(provider: &CryptoProvider, server: impl Into<String>) -> Result<Self, Error> {
        Ok(Self::new(provider, provider.random()?, server))
    }

    /// Other periods.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] outside 10 to 3600 seconds.
    pub fn with_period(mut self, period: Duration) -> Result<Self, Error> {
        if !(10..=MAX_PERIOD).contains(&period.as_secs()) {
            return Err(Error::InvalidOption {
                option: "period",
                range: "10 to 3600 seconds",
            });
        }
        self.period = period.as_secs();
        Ok(self)
    }

    fn bucket(&self, now: UnixTime) -> u64 {
        now.as_secs().checked_div(self.period).unwrap_or_default()
    }

    fn tag(&self, random: &[u8], bucket: u64) -> [u8; 32] {
        let message = [random, &bucket.to_be_bytes(), self.server.as_bytes()];
        hmac_sha256(&self.provider, &self.key, &message)
    }
}

impl NonceSource for StatelessNonces {
    fn issue(&self, now: UnixTime) -> Result<Nonce, Error> {
        let random = self.provider.random::<RANDOM>()?;
        let tag = self.tag(&random, self.bucket(now));
        let bytes: Vec<u8> = random.iter().chain(tag.iter().take(TAG)).copied().collect();
        Ok(Nonce(base64url::encode(&bytes)))
    }

    fn is_current(&self, nonce: &Nonce, now: UnixTime) -> bool {
        let Ok(bytes) = base64url::decode_array::<{ RANDOM + TAG }>(nonce.as_str(), "nonce") else {
            return false;
        };
        let (random, tag) = bytes.split_at(RANDOM);
        let bucket = self.bucket(now);
        [Some(bucket), bucket.checked_sub(1), bucket.checked_add(1)]
            .into_iter()
            .flatten()
            .any(|bucket| {
                let expected = self.tag(random, bucket);
                let expected = expected.get(..TAG).unwrap_or_default();
                expected.ct_eq(tag).into()
            })
    }
}

/// Without the key.
impl fmt::Debug for StatelessNonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatelessNonces")
            .field("server", &self.server)
            .field("period", &self.period)
            .finish_non_exhaustive()
    }
}

/// RFC 2104 over the provider's SHA-256, whose block has 64 bytes.
fn hmac_sha256(provider: &CryptoProvider, key: &[u8; 32], message: &[&[u8]]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = Zeroizing::new(vec![with; 64]);
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block
    };
    let mut inner = pad(0x36);
    for part in message {
        inner.extend_from_slice(part);
    }
    let mut outer = pad(0x5c);
    outer.extend_from_slice(&provider.sha256(&inner));
    provider.sha256(&outer)
}

#[cfg(all(test, feature = "ring"))]
mod tests {
    use super::*;
    use crate::provider::ring;

    /// RFC 4231 has no key of 32 bytes; a key of 20 bytes is one of 32 with zeros behind it.
    #[test]
    fn hmac_is_that_of_rfc_4231_case_1() {
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let tag = hmac_sha256(&ring::provider(), &key, &[b"Hi ", b"There"]);
        let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        let shown: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(shown, expected);
    }
}

//! Why an encrypted token was refused.

use crate::error::{Fault, KeyProblem};

/// What is wrong with an encrypted token, beyond what it has in common with a signed one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JweError {
    /// A JWE JSON serialization where only the compact one is accepted.
    #[error("this is the JWE JSON serialization; send the compact serialization")]
    JsonSerialization,
    /// Not five segments.
    #[error("a compact JWE has exactly five segments separated by dots")]
    SegmentCount,
    /// Three segments: a JWS.
    #[error("this is a signed token (three segments) where an encrypted one is expected")]
    SignedNotEncrypted,
    /// `zip` is present.
    #[error("header parameter `zip` is present; compressed tokens are not accepted")]
    Compressed,
    /// `alg` names no key management of this crate (this includes `RSA1_5` and `PBES2-*`).
    #[error("header parameter `alg` names no supported key management algorithm")]
    UnsupportedKeyManagement,
    /// `enc` names no content encryption of this crate.
    #[error("header parameter `enc` names no supported content encryption algorithm")]
    UnsupportedContentEncryption,
    /// `enc` is supported, and the caller's policy leaves it out.
    #[error(
        "the content encryption that header parameter `enc` names is not among the allowed ones"
    )]
    ContentEncryptionNotAllowed,
    /// The header's `alg`, or `enc` with a shared content key, is not the one of the key.
    #[error("the key is not for the `alg` and `enc` that the header names")]
    KeyMismatch,
    /// `kid` names none of this recipient's keys. Fetching an issuer's keys anew does not help.
    #[error("none of this recipient's decryption keys has the `kid` that the header names")]
    UnknownRecipientKey,
    /// `epk` is no public key on the recipient's curve.
    #[error("header parameter `epk` is no public key on the curve of the recipient's key")]
    InvalidEphemeralKey {
        /// What is wrong with it.
        problem: KeyProblem,
    },
    /// The token could not be decrypted. Which step failed is not told, since that would help an attacker.
    #[error("the token cannot be decrypted")]
    DecryptionFailed,
    /// `cty` does not say that a JWT is inside.
    #[error("header parameter `cty` is not `JWT`, so the plaintext is not read as a token")]
    NotNestedJwt,
    /// A claim that is repeated in the header differs from the signed one.
    #[error("header parameter `{claim}` differs from the signed claim of that name")]
    ReplicatedClaim {
        /// `iss`, `sub` or `aud`.
        claim: &'static str,
    },
    /// The backend failed to encrypt.
    #[error("encryption failed")]
    EncryptionFailed,
}

impl JweError {
    /// A stable name of the cause, for logs, metrics and test vectors.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::JsonSerialization => "jwe_json_serialization",
            Self::SegmentCount => "jwe_segment_count",
            Self::SignedNotEncrypted => "signed_not_encrypted",
            Self::Compressed => "compressed",
            Self::UnsupportedKeyManagement => "unsupported_key_management",
            Self::UnsupportedContentEncryption => "unsupported_content_encryption",
            Self::ContentEncryptionNotAllowed => "content_encryption_not_allowed",
            Self::KeyMismatch => "jwe_key_mismatch",
            Self::UnknownRecipientKey => "unknown_recipient_key",
            Self::InvalidEphemeralKey { .. } => "invalid_ephemeral_key",
            Self::DecryptionFailed => "decryption_failed",
            Self::NotNestedJwt => "not_nested_jwt",
            Self::ReplicatedClaim { .. } => "replicated_claim_mismatch",
            Self::EncryptionFailed => "encryption_failed",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::ContentEncryptionNotAllowed => Fault::Policy,
            Self::EncryptionFailed => Fault::Transient,
            _ => Fault::Peer,
        }
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::JsonSerialization => "JWE-7516.3.2-1",
            Self::SegmentCount => "JWE-7516.3.1-1",
            Self::SignedNotEncrypted => "JWE-7516.9-1",
            Self::Compressed => "JWE-7516.4.1.3-1",
            Self::UnsupportedKeyManagement | Self::KeyMismatch | Self::UnknownRecipientKey => {
                "JWE-7516.4.1.1-1"
            }
            Self::UnsupportedContentEncryption | Self::ContentEncryptionNotAllowed => {
                "JWE-7516.4.1.2-1"
            }
            Self::InvalidEphemeralKey { .. } => "JWE-7518.4.6-1",
            Self::DecryptionFailed => "JWE-7516.5.2-1",
            Self::NotNestedJwt => "JWE-7516.4.1.11-1",
            Self::ReplicatedClaim { .. } => "JWE-7519.5.3-1",
            Self::EncryptionFailed => return None,
        })
    }
}

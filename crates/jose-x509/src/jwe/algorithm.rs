//! The algorithms that exist here (RFC 7518 sections 4 and 5).

/// How the content key reaches the recipient, with a key pair (`alg`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyManagement {
    /// `ECDH-ES`: the agreed key is the content key.
    EcdhEs,
    /// `ECDH-ES+A128KW`: the agreed key wraps the content key.
    EcdhEsA128Kw,
    /// `ECDH-ES+A256KW`: the agreed key wraps the content key.
    EcdhEsA256Kw,
    /// `RSA-OAEP-256`: OAEP and MGF1 with SHA-256.
    RsaOaep256,
}

impl KeyManagement {
    /// Every one of them.
    pub const ALL: [Self; 4] = [
        Self::EcdhEs,
        Self::EcdhEsA128Kw,
        Self::EcdhEsA256Kw,
        Self::RsaOaep256,
    ];

    /// The registered name, as `alg` spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdhEs => "ECDH-ES",
            Self::EcdhEsA128Kw => "ECDH-ES+A128KW",
            Self::EcdhEsA256Kw => "ECDH-ES+A256KW",
            Self::RsaOaep256 => "RSA-OAEP-256",
        }
    }

    /// The one of a registered name, compared byte for byte.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    pub(super) const fn agrees(self) -> bool {
        !matches!(self, Self::RsaOaep256)
    }
}

/// How the content key reaches the recipient, with a key that both sides know (`alg`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SymmetricKeyManagement {
    /// `A128KW`: AES key wrap with 16 bytes.
    A128Kw,
    /// `A256KW`: AES key wrap with 32 bytes.
    A256Kw,
    /// `dir`: the shared key is the content key, for exactly this `enc`.
    Dir(ContentEncryption),
}

impl SymmetricKeyManagement {
    /// The registered name, as `alg` spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A128Kw => "A128KW",
            Self::A256Kw => "A256KW",
            Self::Dir(_) => "dir",
        }
    }

    /// The length of the shared key in bytes.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::A128Kw => 16,
            Self::A256Kw => 32,
            Self::Dir(content) => content.key_len(),
        }
    }
}

/// How the plaintext is encrypted and protected against change (`enc`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentEncryption {
    /// `A128GCM`.
    A128Gcm,
    /// `A256GCM`.
    A256Gcm,
    /// `A128CBC-HS256`.
    A128CbcHs256,
    /// `A256CBC-HS512`.
    A256CbcHs512,
}

impl ContentEncryption {
    /// Every one of them.
    pub const ALL: [Self; 4] = [
        Self::A128Gcm,
        Self::A256Gcm,
        Self::A128CbcHs256,
        Self::A256CbcHs512,
    ];

    /// The registered name, as `enc` spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A128Gcm => "A128GCM",
            Self::A256Gcm => "A256GCM",
            Self::A128CbcHs256 => "A128CBC-HS256",
            Self::A256CbcHs512 => "A256CBC-HS512",
        }
    }

    /// The one of a registered name, compared byte for byte.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// The length of the content key in bytes.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A256Gcm | Self::A128CbcHs256 => 32,
            Self::A256CbcHs512 => 64,
        }
    }

    /// The only accepted length of the initialization vector in bytes.
    #[must_use]
    pub const fn iv_len(self) -> usize {
        match self {
            Self::A128Gcm | Self::A256Gcm => 12,
            Self::A128CbcHs256 | Self::A256CbcHs512 => 16,
        }
    }

    /// The only accepted length of the authentication tag in bytes.
    #[must_use]
    pub const fn tag_len(self) -> usize {
        match self {
            Self::A128Gcm | Self::A256Gcm | Self::A128CbcHs256 => 16,
            Self::A256CbcHs512 => 32,
        }
    }

    pub(super) const fn is_cbc(self) -> bool {
        matches!(self, Self::A128CbcHs256 | Self::A256CbcHs512)
    }
}

/// The kind of a recipient's key pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyType {
    /// An elliptic curve key on P-256.
    P256,
    /// An elliptic curve key on P-384.
    P384,
    /// An X25519 key (RFC 8037).
    X25519,
    /// An RSA key.
    Rsa,
}

impl KeyType {
    pub(super) const fn fits(self, algorithm: KeyManagement) -> bool {
        matches!(self, Self::Rsa) != algorithm.agrees()
    }

    /// `crv`, where there is one.
    pub(super) const fn curve(self) -> Option<&'static str> {
        match self {
            Self::P256 => Some("P-256"),
            Self::P384 => Some("P-384"),
            Self::X25519 => Some("X25519"),
            Self::Rsa => None,
        }
    }
}

//! Thumbprints (RFC 7638, RFC 9278), and the members that they hash.

use serde_json::{Map, Value};

use super::{KeyMaterial, PublicKey};
use crate::algorithm::KeyKind;
use crate::base64url;
use crate::provider::CryptoProvider;

impl PublicKey {
    /// The members that RFC 7638 hashes, which are also those of a bare JWK, sorted by name.
    fn thumbprint_members(&self) -> Vec<(&'static str, String)> {
        match self.material() {
            KeyMaterial::Ec { curve, .. } => {
                let (x, y) = self.coordinates().unwrap_or_default();
                vec![
                    ("crv", curve.name().to_owned()),
                    ("kty", "EC".to_owned()),
                    ("x", base64url::encode(x)),
                    ("y", base64url::encode(y)),
                ]
            }
            KeyMaterial::Ed25519(x) => {
                vec![
                    ("crv", "Ed25519".to_owned()),
                    ("kty", "OKP".to_owned()),
                    ("x", base64url::encode(x)),
                ]
            }
            KeyMaterial::Rsa { n, e } => {
                vec![
                    ("e", base64url::encode(e)),
                    ("kty", "RSA".to_owned()),
                    ("n", base64url::encode(n)),
                ]
            }
        }
    }

    pub(super) fn to_members(&self) -> Map<String, Value> {
        self.thumbprint_members()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .collect()
    }

    /// The SHA-256 thumbprint (RFC 7638): 32 bytes.
    #[must_use]
    pub fn thumbprint(&self, provider: &CryptoProvider) -> [u8; 32] {
        let mut text = String::with_capacity(256);
        for (name, value) in self.thumbprint_members() {
            // Names and values are base64url or fixed ASCII, so nothing needs escaping.
            text.push(if text.is_empty() { '{' } else { ',' });
            text.extend(["\"", name, "\":\"", &value, "\""]);
        }
        text.push('}');
        provider.sha256(text.as_bytes())
    }

    /// The thumbprint as RFC 9278 writes it: `urn:ietf:params:oauth:jwk-thumbprint:sha-256:…`.
    #[must_use]
    pub fn thumbprint_uri(&self, provider: &CryptoProvider) -> String {
        let mut uri = String::from("urn:ietf:params:oauth:jwk-thumbprint:sha-256:");
        base64url::encode_to(&self.thumbprint(provider), &mut uri);
        uri
    }

    /// The kind of key.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        match self.material() {
            KeyMaterial::Ec { curve, .. } => curve.key_kind(),
            KeyMaterial::Ed25519(_) => KeyKind::Ed25519,
            KeyMaterial::Rsa { .. } => KeyKind::Rsa,
        }
    }
}

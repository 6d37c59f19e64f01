//! The work that a client costs which does not exist, so that nobody learns from the time which ones do.

use jose_x509::jws::UnverifiedJws;
use jose_x509::{Algorithm, CryptoProvider, Jwk, VerifyingKey};

use crate::error::Error;

/// The public key of RFC 7515 appendix A.3. Nothing is ever accepted by it.
const KEY: &[u8] = br#"{"kty":"EC","crv":"P-256",
"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

pub(crate) fn key(provider: &CryptoProvider) -> Result<VerifyingKey, Error> {
    let key = Jwk::from_slice(KEY).and_then(|key| VerifyingKey::from_jwk(provider, key));
    let key = key.map_err(Error::Assertion)?;
    key.prepare().map_err(Error::Assertion)?;
    Ok(key)
}

/// Verifies a signature whose numbers are in range, over the whole input, and drops the verdict.
pub(crate) fn verify(key: Option<&VerifyingKey>, jws: &UnverifiedJws<'_>) {
    if let Some(key) = key {
        let _ = key.verify(Algorithm::Es256, jws.signing_input().as_bytes(), &[1; 64]);
    }
}

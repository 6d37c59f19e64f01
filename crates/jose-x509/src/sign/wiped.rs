//! What holds a private key is overwritten when it is dropped.

use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::SigningKey;
use crate::error::Error;

const fn wiped<T: ZeroizeOnDrop>(_: &T) {}

/// Compiles only as long as every place that keeps or hands out private bytes wipes them.
///
/// Covers: JWKA-7517.9.2-2
#[test]
fn private_bytes_are_wiped() {
    fn places(key: &SigningKey, ec: &super::private::Ec) -> Result<(), Error> {
        wiped(&*key.pkcs8);
        wiped(&key.expose_pkcs8_pem()?);
        wiped(&key.expose_sec1_pem()?);
        wiped(&key.expose_jwk()?);
        wiped(&key.provider.signing.generate_pkcs8(key.algorithm)?);
        wiped(ec.wiped_scalar());
        wiped(&ec.to_pkcs8()?);
        wiped(&ec.to_sec1()?);
        Ok(())
    }
    let _ = places;
    // What such a place does when it is dropped, on bytes that can still be looked at.
    let mut bytes = [7_u8; 32];
    drop(Zeroizing::new(Wiper(&mut bytes)));
    assert_eq!(bytes, [0; 32]);
}

struct Wiper<'b>(&'b mut [u8; 32]);

impl zeroize::Zeroize for Wiper<'_> {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

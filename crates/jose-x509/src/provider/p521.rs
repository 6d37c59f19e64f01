//! ES512 beside `ring`, which lacks P-521: the curve is RustCrypto's, randomness and hashes are `ring`'s.

use p521::ecdsa::signature::{RandomizedSigner as _, Verifier as _};
use p521::ecdsa::{Signature as Ecdsa, SigningKey, VerifyingKey};
use p521::elliptic_curve::rand_core::{CryptoRng, Error as RandomError, RngCore};
use ring::{hmac, rand};
use zeroize::Zeroizing;

use super::{PreparedKey, PrivateKey, SecureRandom};
use crate::error::{Error, KeyProblem};
use crate::jwk::{Curve, PublicKey};
use crate::sign::{Signature, private};

pub(super) struct Verifier(VerifyingKey);

impl Verifier {
    pub(super) fn new(point: &[u8]) -> Result<Self, KeyProblem> {
        VerifyingKey::from_sec1_bytes(point)
            .map(Self)
            .map_err(|_| KeyProblem::InvalidPoint)
    }
}

impl PreparedKey for Verifier {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let signature = Ecdsa::from_slice(signature).map_err(|_| Error::InvalidSignature)?;
        self.0
            .verify(message, &signature)
            .map_err(|_| Error::InvalidSignature)
    }
}

pub(super) struct Signer {
    key: SigningKey,
    nonces: hmac::Key,
    public: PublicKey,
}

impl Signer {
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        let ec = private::Ec::from_pkcs8(der)?;
        let public = ec.public_key()?;
        if public.curve() != Some(Curve::P521) {
            return Err(KeyProblem::Inconsistent.into());
        }
        Ok(Self {
            key: SigningKey::from_slice(ec.scalar()).map_err(|_| KeyProblem::Malformed)?,
            nonces: hmac::Key::new(hmac::HMAC_SHA512, ec.scalar()),
            public,
        })
    }
}

impl PrivateKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Signature, Error> {
        let mut nonces = Nonces::new(&self.nonces, message)?;
        let signature: Ecdsa = self
            .key
            .try_sign_with_rng(&mut nonces, message)
            .map_err(|_| Error::SigningFailed)?;
        Ok(Signature::from_slice(&signature.to_bytes()))
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }
}

/// Hedged nonces: a MAC under the private key over randomness and the message, so that neither a weak
/// random source nor a fault in one computation gives the key away.
struct Nonces {
    seeded: hmac::Context,
    block: u64,
}

impl Nonces {
    fn new(key: &hmac::Key, message: &[u8]) -> Result<Self, Error> {
        let mut random = Zeroizing::new([0; 32]);
        rand::SecureRandom::fill(&rand::SystemRandom::new(), random.as_mut_slice())
            .map_err(|_| Error::RandomFailed)?;
        let mut seeded = hmac::Context::with_key(key);
        seeded.update(random.as_slice());
        seeded.update(message);
        Ok(Self { seeded, block: 0 })
    }
}

impl CryptoRng for Nonces {}

impl RngCore for Nonces {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(hmac::HMAC_SHA512.digest_algorithm().output_len()) {
            let mut context = self.seeded.clone();
            context.update(&self.block.to_be_bytes());
            self.block = self.block.wrapping_add(1);
            for (to, from) in chunk.iter_mut().zip(context.sign().as_ref()) {
                *to = *from;
            }
        }
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), RandomError> {
        self.fill_bytes(out);
        Ok(())
    }
}

pub(super) fn generate_pkcs8(random: &dyn SecureRandom) -> Result<Zeroizing<Vec<u8>>, Error> {
    // Half of the candidates or more are below the group's order: this many misses do not happen.
    for _ in 0..128 {
        let mut scalar = Zeroizing::new([0; 66]);
        random.fill(scalar.as_mut_slice())?;
        if let Some(first) = scalar.first_mut() {
            *first &= 1;
        }
        if let Ok(ec) = private::Ec::new(Curve::P521, scalar.as_slice()) {
            return ec.to_pkcs8();
        }
    }
    Err(Error::RandomFailed)
}

//! What codes and refresh tokens are bound to (section 10.3).

use crate::error::Error;

/// The key of the instance that a grant was given to, as the thumbprint of RFC 7638. Store it with the refresh
/// token, with the code of a pushed authorization request, or with an `auth_req_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstanceBinding([u8; 32]);

impl InstanceBinding {
    /// A binding that was stored.
    #[must_use]
    pub const fn new(jkt: [u8; 32]) -> Self {
        Self(jkt)
    }

    /// The thumbprint.
    #[must_use]
    pub const fn jkt(&self) -> [u8; 32] {
        self.0
    }

    /// Checks that the instance which presents the grant is the one that it was given to. `presented` is the binding of
    /// the request, `None` if it has no attestation.
    ///
    /// # Errors
    ///
    /// [`Error::MissingAttestation`], and [`Error::OtherInstance`], which is `invalid_grant`.
    pub fn check(&self, presented: Option<Self>) -> Result<(), Error> {
        match presented {
            None => Err(Error::MissingAttestation),
            Some(presented) if presented == *self => Ok(()),
            Some(_) => Err(Error::OtherInstance),
        }
    }
}

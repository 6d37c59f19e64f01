//! What the three kinds have in common: whose they are, and which algorithms sign the tokens.

use jose_x509::{Algorithm, Algorithms};
use spiffe_id::{SpiffeId, TrustDomainRef};

use crate::error::{Credential, Error};

/// The algorithms of JWT-SVID and WIT-SVID, as far as there are keys for them here. There is no EdDSA.
pub(crate) const TOKEN_ALGORITHMS: Algorithms = Algorithms::of(&[
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
]);

/// The SPIFFE ID of a workload: with a path, because one without names a trust domain.
pub(crate) fn workload_id(text: &str, credential: Credential) -> Result<SpiffeId, Error> {
    let id = SpiffeId::parse(text).map_err(|source| Error::SpiffeId { credential, source })?;
    if id.is_trust_domain_id() {
        return Err(Error::NoPath { credential });
    }
    Ok(id)
}

/// What an issuer is asked to certify: a workload of its own trust domain.
pub(crate) fn check_subject(
    id: &SpiffeId,
    trust_domain: TrustDomainRef<'_>,
    credential: Credential,
) -> Result<(), Error> {
    if !id.is_member_of(trust_domain) {
        return Err(Error::ForeignSubject { credential });
    }
    if id.is_trust_domain_id() {
        return Err(Error::NoPath { credential });
    }
    Ok(())
}

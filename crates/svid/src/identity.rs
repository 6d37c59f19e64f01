//! What the three kinds have in common: whose they are, and which algorithms sign the tokens.

use jose_x509::jwt::{MAX_JTI, is_string_or_uri};
use jose_x509::{Algorithm, Algorithms};
use serde_json::{Map, Value};
use spiffe_id::{SpiffeId, SpiffeIdRef, TrustDomainRef};

use crate::error::{Credential, Error};

/// A workload whose SVID was verified, and for a WIT-SVID its proof, too: what an authorizer may ask for.
///
/// Only credentials of this crate are one. What was merely parsed, and a WIT-SVID without proof, are none.
pub trait AuthenticatedWorkload: sealed::Sealed {
    /// The workload.
    fn spiffe_id(&self) -> &SpiffeId;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! authenticated {
    ($($credential:ty),+) => {$(
        impl sealed::Sealed for $credential {}
        impl AuthenticatedWorkload for $credential {
            fn spiffe_id(&self) -> &SpiffeId {
                <$credential>::spiffe_id(self)
            }
        }
    )+};
}

authenticated!(
    crate::x509::X509Identity,
    crate::jwt::JwtSvid,
    crate::wit::BoundWorkload
);

/// The algorithms of JWT-SVID and WIT-SVID. There is no EdDSA.
pub(crate) const TOKEN_ALGORITHMS: Algorithms = Algorithms::of(&[
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
]);

/// A SPIFFE ID, with or without a path.
pub(crate) fn any_id(text: &str, credential: Credential) -> Result<SpiffeId, Error> {
    SpiffeId::parse(text).map_err(|source| Error::SpiffeId { credential, source })
}

/// The SPIFFE ID of a workload: with a path, because one without names a trust domain.
pub(crate) fn workload_id(text: &str, credential: Credential) -> Result<SpiffeId, Error> {
    let id = any_id(text, credential)?;
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

/// Whether this names a trust domain and nothing in it: `spiffe://td`, `spiffe://td/`, or the bare name of `own`.
pub(crate) fn is_trust_domain(text: &str, own: TrustDomainRef<'_>) -> bool {
    let id = text.strip_suffix('/').unwrap_or(text);
    text == own.as_str() || SpiffeIdRef::parse(id).is_ok_and(|id| id.path().is_empty())
}

/// Claims that an issuer sets itself.
const OWN_CLAIMS: [&str; 8] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf"];

/// Adds a claim that is not one of the issuer's own.
pub(crate) fn add_claim(
    claims: &mut Map<String, Value>,
    name: String,
    value: Value,
) -> Result<(), Error> {
    if let Some(claim) = OWN_CLAIMS.into_iter().find(|own| *own == name) {
        return Err(Error::ReservedClaim { claim });
    }
    claims.insert(name, value);
    Ok(())
}

/// Names of recipients, for whoever issues tokens to them and whoever is one. What a validator would refuse in a token
/// is refused here, where somebody can mend it.
pub(crate) fn check_audiences(names: &[impl AsRef<str>]) -> Result<(), Error> {
    if names.is_empty() || !names.iter().all(|name| is_name(name.as_ref())) {
        return Err(Error::InvalidOption {
            option: "audience",
            range: "at least one name, none empty; one with a colon is a URI, as `https://10.0.0.1:8443`",
        });
    }
    Ok(())
}

/// `iss` of an issuer.
pub(crate) fn check_issuer(name: &str) -> Result<(), Error> {
    match is_name(name) {
        true => Ok(()),
        false => Err(Error::InvalidOption {
            option: "issuer",
            range: "not empty; a name with a colon is a URI",
        }),
    }
}

/// `jti`, if there is one.
pub(crate) fn check_token_id(id: Option<&str>) -> Result<(), Error> {
    if id.is_some_and(|id| id.is_empty() || id.len() > MAX_JTI) {
        return Err(Error::InvalidOption {
            option: "id",
            range: "1 to 256 octets",
        });
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && is_string_or_uri(text)
}

/// Registered names that issuers of workload tokens use.
const REGISTERED: [&str; 20] = [
    "act",
    "acr",
    "amr",
    "auth_time",
    "authorization_details",
    "azp",
    "client_id",
    "entitlements",
    "events",
    "groups",
    "may_act",
    "name",
    "nonce",
    "orig",
    "roles",
    "scope",
    "sid",
    "sub_id",
    "toe",
    "txn",
];

/// Whether a claim's name may mean something else to somebody else: neither registered nor resistant to
/// collisions, as a URI or a name below a domain is (RFC 7519, sections 2 and 4.3).
pub(crate) fn is_private_name(name: &str) -> bool {
    let below_a_domain = name.contains('.') && !name.starts_with('.') && !name.ends_with('.');
    !(name.contains(':') || below_a_domain || REGISTERED.contains(&name))
}

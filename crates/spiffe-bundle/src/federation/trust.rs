//! On whom a relationship's trust depends: the server of an `https_spiffe` endpoint is authenticated by the bundle of
//! its own trust domain, which may come from another relationship (section 5.2.2.2).

use spiffe_id::TrustDomainRef;

use super::endpoint::Relationship;
use crate::error::Error;

/// The longest chain of relationships that depend on each other.
pub const MAX_TRUST_DEPTH: usize = 8;

/// What is known of other trust domains when a relationship is judged.
pub(super) trait Known {
    /// The relationship with `trust_domain`.
    fn relationship(&self, trust_domain: TrustDomainRef<'_>) -> Option<&Relationship>;
    /// Whether there is a bundle before anything is fetched, or somebody else provides it.
    fn has_bundle(&self, trust_domain: TrustDomainRef<'_>) -> bool;
}

/// How many relationships, this one included, can change what the bundle of its trust domain is.
pub(super) fn depth(known: &dyn Known, relationship: &Relationship) -> Result<usize, Error> {
    follow(known, relationship, &mut Vec::new())
}

fn follow<'k>(
    known: &'k dyn Known,
    relationship: &'k Relationship,
    path: &mut Vec<TrustDomainRef<'k>>,
) -> Result<usize, Error> {
    let Some(endpoint) = relationship.endpoint_trust_domain() else {
        return Ok(1);
    };
    let begun = known.has_bundle(endpoint);
    path.push(relationship.trust_domain());
    if path.contains(&endpoint) {
        return match begun {
            true => Ok(1),
            false if relationship.is_self_serving() => Err(Error::NoEndpointBundle),
            false => Err(Error::EndpointTrustCycle),
        };
    }
    if path.len() >= MAX_TRUST_DEPTH {
        return Err(Error::EndpointTrustCycle);
    }
    match known.relationship(endpoint) {
        None if begun => Ok(1),
        None => Err(Error::NoEndpointBundle),
        Some(next) => match follow(known, next, path) {
            Ok(depth) => Ok(depth.saturating_add(1)),
            Err(_) if begun => Ok(2),
            Err(error) => Err(error),
        },
    }
}

//! Where verifiers find trust material: one trait a kind, keyed by trust domain.
//!
//! No method returns the keys of several trust domains, so pooling them cannot be written by accident.
//! `None` says that there is no bundle for the trust domain; an empty group, that its bundle has no key of
//! the kind.

use std::sync::Arc;

use jose_x509::KeySet;
use jose_x509::x509::TrustAnchors;
use spiffe_id::TrustDomainRef;

use crate::Bundle;

/// Finds the trust anchors of X509-SVIDs.
pub trait X509BundleSource {
    /// The anchors of `trust_domain`.
    fn x509_authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<TrustAnchors>>;
}

/// Finds the keys of JWT-SVIDs.
pub trait JwtBundleSource {
    /// The keys of `trust_domain`.
    fn jwt_authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<KeySet>>;
}

/// Finds the keys of WIT-SVIDs.
pub trait WitBundleSource {
    /// The keys of `trust_domain`.
    fn wit_authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<KeySet>>;
}

/// A single bundle answers for its own trust domain.
impl X509BundleSource for Bundle {
    fn x509_authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<TrustAnchors>> {
        (self.trust_domain == trust_domain).then(|| Arc::clone(&self.x509))
    }
}

impl JwtBundleSource for Bundle {
    fn jwt_authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<KeySet>> {
        (self.trust_domain == trust_domain).then(|| Arc::clone(&self.jwt))
    }
}

impl WitBundleSource for Bundle {
    fn wit_authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<KeySet>> {
        (self.trust_domain == trust_domain).then(|| Arc::clone(&self.wit))
    }
}

macro_rules! forward {
    ($($trait:ident $method:ident $output:ty;)+) => {$(
        impl<T: $trait + ?Sized> $trait for &T {
            fn $method(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<$output>> {
                (**self).$method(trust_domain)
            }
        }

        impl<T: $trait + ?Sized> $trait for Arc<T> {
            fn $method(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<$output>> {
                (**self).$method(trust_domain)
            }
        }
    )+};
}

forward! {
    X509BundleSource x509_authorities TrustAnchors;
    JwtBundleSource jwt_authorities KeySet;
    WitBundleSource wit_authorities KeySet;
}

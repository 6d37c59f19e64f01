//! Whose keys verify an SVID.

use std::sync::Arc;

use jose_x509::KeySet;
use spiffe_bundle::{Bundle, JwtBundleSource, WitBundleSource, X509BundleSource};
use spiffe_id::TrustDomainRef;

/// The configured bundles, and behind them the one that this client brought.
pub(crate) struct Bundles<'a, B> {
    pub(crate) configured: &'a B,
    pub(crate) own: Option<Arc<Bundle>>,
}

impl<B: X509BundleSource + JwtBundleSource + WitBundleSource> Bundles<'_, B> {
    /// Whether nobody but the client itself vouches for this trust domain.
    pub(crate) fn is_own(&self, trust_domain: TrustDomainRef<'_>) -> bool {
        self.own(trust_domain).is_some()
    }

    /// The client's own, unless the trust domain is configured in whatever way.
    fn own(&self, trust_domain: TrustDomainRef<'_>) -> Option<&Arc<Bundle>> {
        let own = self.own.as_ref()?;
        let configured = self.configured;
        let known = configured.x509_authorities(trust_domain).is_some()
            || configured.jwt_authorities(trust_domain).is_some()
            || configured.wit_authorities(trust_domain).is_some();
        (!known).then_some(own)
    }
}

impl<B: X509BundleSource + JwtBundleSource + WitBundleSource> JwtBundleSource for Bundles<'_, B> {
    fn jwt_authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<KeySet>> {
        match self.own(trust_domain) {
            Some(bundle) => bundle.jwt_authorities(trust_domain),
            None => self.configured.jwt_authorities(trust_domain),
        }
    }
}

impl<B: X509BundleSource + JwtBundleSource + WitBundleSource> WitBundleSource for Bundles<'_, B> {
    fn wit_authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<KeySet>> {
        match self.own(trust_domain) {
            Some(bundle) => bundle.wit_authorities(trust_domain),
            None => self.configured.wit_authorities(trust_domain),
        }
    }
}

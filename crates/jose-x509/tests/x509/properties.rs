//! Properties over arbitrary and damaged input.

use std::sync::LazyLock;

use jose_x509::x509::{Certificate, PathOptions, TrustAnchors, pem, verify_path};
use pki_types::CertificateDer;
use proptest::prelude::*;

use super::ALGORITHMS;
use crate::forge::*;

static CHAIN: LazyLock<[CertificateDer<'static>; 3]> = LazyLock::new(|| {
    let (root, ca, leaf) = (key(), key(), key());
    [
        Parts::ca("Root", "Root", &root).sign(&root),
        Parts::ca("CA", "Root", &ca).sign(&root),
        Parts::leaf(&leaf).sign(&ca),
    ]
});

fn verifies(root: &CertificateDer<'_>, ca: &CertificateDer<'_>, leaf: &CertificateDer<'_>) -> bool {
    let anchors = TrustAnchors::new([root.clone()]);
    let pool = [ca.clone()];
    verify_path(
        leaf,
        &pool,
        &anchors,
        &PathOptions::default(),
        ALGORITHMS,
        now(),
    )
    .is_ok()
}

/// Changes of one octet in every position of the leaf and of the intermediate.
///
/// Covers: X509-5280.4.1.1.3-1, X509-profile.thumbprint-1
#[test]
fn no_changed_octet_verifies() {
    let [root, ca, leaf] = &*CHAIN;
    assert!(verifies(root, ca, leaf));
    for (which, original) in [ca, leaf].into_iter().enumerate() {
        for position in 0..original.len() {
            for change in [0x01, 0x20, 0x80, 0xff] {
                let mut changed = original.to_vec();
                changed[position] ^= change;
                let changed = CertificateDer::from(changed);
                let accepted = match which {
                    0 => verifies(root, &changed, leaf),
                    _ => verifies(root, ca, &changed),
                };
                assert!(
                    !accepted,
                    "certificate {which}, octet {position} ^ {change:02x}"
                );
            }
        }
    }
}

proptest! {
    /// Covers: X509-profile.fuzz-1, X509-A21
    #[test]
    fn arbitrary_octets_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Certificate::parse(&bytes);
        let _ = pem::certificates(&bytes, 4);
        let der = CertificateDer::from(bytes);
        let [root, ca, leaf] = &*CHAIN;
        prop_assert!(!verifies(root, ca, &der));
        prop_assert!(!verifies(root, &der, leaf));
        prop_assert!(!verifies(&der, ca, leaf));
    }

    /// Damage in several places: still no panic, and whatever is accepted has consistent contents.
    ///
    /// Covers: X509-profile.fuzz-1, X509-A21
    #[test]
    fn damaged_certificates_never_panic(
        which in 0..3usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = CHAIN[which].to_vec();
        for (position, value) in damage {
            let position = position.index(bytes.len());
            bytes[position] = value;
        }
        if let Ok(certificate) = Certificate::parse(&bytes) {
            prop_assert_eq!(certificate.der(), &bytes[..]);
            prop_assert!(certificate.not_before() <= certificate.not_after());
            let counts = certificate.alternative_name_counts();
            prop_assert_eq!(certificate.uri_names().count(), counts.uri);
            prop_assert_eq!(certificate.dns_names().count(), counts.dns);
            prop_assert_eq!(certificate.ip_addresses().count(), counts.ip);
        }
    }
}

//! A path that is accepted keeps every rule that does not depend on signatures. Signatures always verify
//! here, so that the input gets past them.
//!
//! The input is a list of certificates, each after its length in two octets: the leaf, the intermediates,
//! and the anchor at the end.
#![no_main]

use core::time::Duration;

use jose_x509::x509::{Certificate, PathOptions, Purpose, TrustAnchors, eku, verify_path};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm,
    UnixTime, alg_id,
};

fuzz_target!(|data: &[u8]| {
    let mut list = certificates(data);
    let Some(anchor) = list.pop() else {
        return;
    };
    if list.is_empty() {
        return;
    }
    let leaf = list.remove(0);
    let anchors = TrustAnchors::new([anchor]);
    // 2026-06-01, when the seeds are valid.
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_780_272_000));
    for purpose in [Purpose::Unspecified, Purpose::ClientAuth] {
        let options = PathOptions::new(purpose);
        let Ok(path) = verify_path(&leaf, &list, &anchors, &options, &[&AnySignature], now) else {
            continue;
        };
        let anchor = Certificate::parse(path.anchor()).expect("a path ends in a parsed anchor");
        assert_eq!(path.leaf().der(), leaf.as_ref());
        assert!(!path.leaf().is_ca() && !path.leaf().has_name_constraints());
        let usage = path.leaf().key_usage();
        assert!(usage.is_none_or(|usage| usage.digital_signature() && !usage.key_cert_sign()));

        let issuers: Vec<_> = path.intermediates().iter().chain([&anchor]).collect();
        assert!(issuers.len() <= 7);
        let mut below = path.leaf();
        for (issuer, intermediates_below) in issuers.into_iter().zip(0..) {
            assert_eq!(below.issuer(), issuer.subject());
            assert!(issuer.is_ca());
            assert!(issuer.key_usage().is_none_or(|usage| usage.key_cert_sign()));
            let limit = issuer
                .basic_constraints()
                .and_then(|constraints| constraints.path_len);
            assert!(limit.is_none_or(|limit| intermediates_below <= usize::from(limit)));
            below = issuer;
        }
        for certificate in path.intermediates().iter().chain([path.leaf(), &anchor]) {
            assert!(certificate.not_before() <= now && now <= certificate.not_after());
            assert!(path.not_after() <= certificate.not_after());
            assert_eq!(certificate.unsupported_critical_extension(), None);
        }
        if purpose == Purpose::ClientAuth {
            for certificate in path.intermediates().iter().chain([path.leaf()]) {
                let mut listed = certificate.extended_key_usages().into_iter();
                assert!(listed.all(|mut list| list.any(|oid| oid == eku::CLIENT_AUTH)));
            }
        }
    }
});

fn certificates(mut data: &[u8]) -> Vec<CertificateDer<'_>> {
    let mut list = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (der, rest) = rest.split_at(length);
        list.push(CertificateDer::from(der));
        data = rest;
    }
    list
}

#[derive(Debug)]
struct AnySignature;

impl SignatureVerificationAlgorithm for AnySignature {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }

    fn verify_signature(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), InvalidSignature> {
        Ok(())
    }
}

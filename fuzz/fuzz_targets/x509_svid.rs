//! An accepted X509-SVID has one URI name, in the trust domain whose anchor it ends in, judged by another
//! reader of certificates. Signatures always verify here, so that the input gets past them.
//!
//! The input is a list of certificates, each after its length in two octets: the leaf, the intermediates,
//! and the anchor of `a.test` at the end.
#![no_main]

use core::time::Duration;
use std::sync::Arc;

use der::{Decode, Encode, ErrorKind};
use jose_x509::x509::TrustAnchors;
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm,
    UnixTime, alg_id,
};
use spiffe_bundle::X509BundleSource;
use spiffe_id::TrustDomainRef;
use svid::x509::{KeyUsagePolicy, PeerRole, VerifyOptions, spiffe_id_of, verify};
use x509_cert::Certificate;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};

const NOW: u64 = 1_800_000_000;

fuzz_target!(|data: &[u8]| {
    let mut chain = certificates(data);
    let Some(anchor) = chain.pop() else {
        return;
    };
    let anchors = Anchors(Arc::new(TrustAnchors::new([anchor])));
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    for policy in [KeyUsagePolicy::Strict, KeyUsagePolicy::Lenient] {
        for role in [PeerRole::Client, PeerRole::Server, PeerRole::Unspecified] {
            let options = VerifyOptions::new(role).with_key_usage(policy);
            let Ok(identity) = verify(&chain, &anchors, &options, &[&AnySignature], now) else {
                continue;
            };
            assert_eq!(identity.chain()[0], chain[0]);
            assert!(identity.chain().iter().all(|one| chain.contains(one)));
            assert!(identity.not_after() >= now);
            assert_eq!(
                spiffe_id_of(&chain[0]).as_ref(),
                Ok(identity.unproven_spiffe_id())
            );
            let id = identity.unproven_spiffe_id().as_str();
            assert!(
                id.strip_prefix("spiffe://a.test/")
                    .is_some_and(|path| !path.is_empty())
            );

            let Some(leaf) = read(&chain[0]) else {
                continue;
            };
            let spki = leaf.tbs_certificate().subject_public_key_info();
            assert_eq!(spki.to_der().expect("a key"), identity.spki().as_ref());
            assert_eq!(uri_names(&leaf), [id]);
            if let Some(usage) = extension::<KeyUsage>(&leaf) {
                assert!(!usage.key_cert_sign() && !usage.crl_sign());
                assert!(usage.digital_signature() || policy == KeyUsagePolicy::Lenient);
            } else {
                assert_eq!(policy, KeyUsagePolicy::Lenient);
            }
            assert!(extension::<BasicConstraints>(&leaf).is_none_or(|constraints| !constraints.ca));
            if role != PeerRole::Unspecified {
                let arc = if role == PeerRole::Client { "2" } else { "1" };
                let wanted = format!("1.3.6.1.5.5.7.3.{arc}");
                let usages = extension::<ExtendedKeyUsage>(&leaf);
                let allows =
                    |list: ExtendedKeyUsage| list.0.iter().any(|oid| oid.to_string() == wanted);
                assert!(usages.is_none_or(allows));
            }
            for issuer in &identity.chain()[1..] {
                let Some(issuer) = read(issuer) else {
                    continue;
                };
                assert!(extension::<BasicConstraints>(&issuer).is_some_and(|one| one.ca));
                for name in uri_names(&issuer) {
                    let workload = name.get(9..).is_some_and(|rest| {
                        name.starts_with("spiffe://") && rest.trim_end_matches('/').contains('/')
                    });
                    assert!(!workload, "a signing certificate names a workload");
                }
            }
        }
    }
});

/// The one anchor, for `a.test` alone.
struct Anchors(Arc<TrustAnchors>);

impl X509BundleSource for Anchors {
    fn x509_authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<TrustAnchors>> {
        (trust_domain.as_str() == "a.test").then(|| Arc::clone(&self.0))
    }
}

fn extension<'a, T>(certificate: &'a Certificate) -> Option<T>
where
    T: Decode<'a> + der::oid::AssociatedOid,
    T::Error: core::fmt::Debug,
{
    let list = certificate.tbs_certificate().extensions()?;
    let found = list.iter().find(|extension| extension.extn_id == T::OID)?;
    Some(T::from_der(found.extn_value.as_bytes()).expect("an accepted extension is well formed"))
}

fn uri_names(certificate: &Certificate) -> Vec<String> {
    extension::<SubjectAltName>(certificate)
        .map(|names| names.0)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|name| match name {
            GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str().to_owned()),
            _ => None,
        })
        .collect()
}

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

/// What `x509-cert` reads, unless an object identifier in it is one that the crate cannot hold, such as
/// `2.10829.35`: those are good DER.
fn read(der: &CertificateDer<'_>) -> Option<Certificate> {
    match Certificate::from_der(der) {
        Ok(certificate) => Some(certificate),
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::OidMalformed), "{error}");
            None
        }
    }
}

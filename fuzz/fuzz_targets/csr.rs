//! A certification request that is accepted reads the same to x509-parser, which shares no code with this
//! workspace. Signatures always verify here, so that the input gets past them.
#![no_main]

use std::sync::LazyLock;

use jose_x509::CryptoProvider;
use jose_x509::provider::ring;
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use svid::x509::CertificateRequest;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

static PROVIDER: LazyLock<CryptoProvider> = LazyLock::new(|| {
    let mut provider = ring::provider();
    provider.certificate_algorithms = &[&AnySignature];
    provider
});

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        // Nobody signs by chance, so only the reading is of interest.
        let _ = CertificateRequest::from_pem(&PROVIDER, text);
    }
    let Ok(ours) = CertificateRequest::from_der(&PROVIDER, data) else {
        return;
    };
    let spki = ours
        .public_key()
        .to_spki_der()
        .expect("an accepted key is written");
    let Ok((rest, theirs)) = X509CertificationRequest::from_der(data) else {
        // It wants attributes that ours takes as absent.
        return;
    };
    assert!(rest.is_empty());
    let info = &theirs.certification_request_info;
    assert_eq!(info.version.0, 0);
    assert_eq!(info.subject_pki.raw, spki);
    let mut uris = Vec::new();
    for extension in theirs.requested_extensions().into_iter().flatten() {
        if let ParsedExtension::SubjectAlternativeName(names) = extension {
            uris.extend(names.general_names.iter().filter_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            }));
        }
    }
    let id = ours.requested_spiffe_id().map(|id| id.as_str());
    assert_eq!(
        uris.into_iter().collect::<Vec<_>>(),
        id.into_iter().collect::<Vec<_>>()
    );
    assert!(id.is_none_or(|id| {
        id.strip_prefix("spiffe://")
            .is_some_and(|rest| rest.contains('/'))
    }));
});

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

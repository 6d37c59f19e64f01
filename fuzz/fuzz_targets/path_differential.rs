//! A path that is accepted here is accepted by plain rustls-webpki with the anchor that was found. The input is
//! that of `path_verify`; signatures always verify here, so that the input gets past them.
#![no_main]

use core::time::Duration;

use jose_x509::x509::{PathOptions, Purpose, TrustAnchors, verify_path};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm,
    UnixTime, alg_id,
};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage};

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
        let usage = match purpose {
            Purpose::ClientAuth => Usage::ClientAuth,
            _ => Usage::Any,
        };
        let found = [webpki::anchor_from_trusted_cert(path.anchor()).expect("an anchor")];
        let end_entity = EndEntityCert::try_from(&leaf).expect("a leaf");
        // Of all certificates, the engine may find a longer way, which the rules beside it refused.
        let own = path.intermediates().iter();
        let own: Vec<_> = own.map(|one| CertificateDer::from(one.der())).collect();
        for intermediates in [&list, &own] {
            end_entity
                .verify_for_usage(
                    &[&AnySignature],
                    &found,
                    intermediates,
                    now,
                    usage,
                    None,
                    None,
                )
                .expect("accepted by the engine, too");
        }
    }
});

#[derive(Clone, Copy)]
enum Usage {
    Any,
    ClientAuth,
}

impl ExtendedKeyUsageValidator for Usage {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        match self {
            Self::Any => Ok(()),
            Self::ClientAuth => KeyUsage::client_auth().validate(purposes),
        }
    }
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

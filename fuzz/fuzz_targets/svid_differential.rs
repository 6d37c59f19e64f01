//! The rules for X509-SVIDs say of a certificate what they say of x509-parser's view of it, which shares no code
//! with this workspace.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rustls_pki_types::CertificateDer;
use spiffe_id::SpiffeIdRef;
use svid::x509::{Kind, lint, spiffe_id_of};
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{
    OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION, OID_X509_EXT_KEY_USAGE,
};
use x509_parser::prelude::{FromDer, X509Certificate};

fuzz_target!(|data: &[u8]| {
    let der = CertificateDer::from(data);
    let (Ok(leaf), Ok(signing)) = (lint(&der, Kind::Leaf), lint(&der, Kind::Signing)) else {
        assert!(spiffe_id_of(&der).is_err());
        return;
    };
    let (_, theirs) = X509Certificate::from_der(data).expect("accepted by x509-parser, too");

    let names = theirs
        .subject_alternative_name()
        .expect("at most one extension");
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    let uris: Vec<&str> = names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        })
        .collect();
    let id = match uris.as_slice() {
        [one] => SpiffeIdRef::parse(one).ok(),
        _ => None,
    };
    let workload = id.filter(|id| !id.path().is_empty());
    let ours = spiffe_id_of(&der);
    assert_eq!(
        ours.as_ref().ok().map(|id| id.as_str()),
        workload.map(|_| uris[0])
    );

    let ca = theirs.basic_constraints().expect("at most one extension");
    let ca = ca.is_some_and(|constraints| constraints.value.ca);
    let constrained = theirs
        .name_constraints()
        .expect("at most one extension")
        .is_some();
    let usage = theirs.key_usage().expect("at most one extension");
    let critical = theirs
        .extensions()
        .iter()
        .any(|one| one.oid == OID_X509_EXT_KEY_USAGE && one.critical);
    let usage = usage.map(|usage| usage.value);
    let has = |bit: fn(&x509_parser::extensions::KeyUsage) -> bool| usage.is_some_and(bit);
    let purposes = theirs.extended_key_usage().expect("at most one extension");
    let both = purposes.is_none_or(|usage| usage.value.server_auth && usage.value.client_auth);

    let algorithm = &theirs.public_key().algorithm.algorithm;
    let rsa = *algorithm == OID_PKCS1_RSAENCRYPTION;
    let ecdsa = *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY;

    let common = [("X509-SVID-4.3-1", critical)];
    let of_leaf = [
        ("X509-SVID-2-2", workload.is_some()),
        ("X509-SVID-4.1-3", !ca),
        ("X509-SVID-4.2-3", !constrained),
        ("X509-SVID-4.3-4", has(|usage| usage.digital_signature())),
        (
            "X509-SVID-4.3-6",
            !has(|usage| usage.key_cert_sign() || usage.crl_sign()),
        ),
        (
            "X509-SVID-4.3-8",
            rsa || !has(|usage| usage.key_encipherment()),
        ),
        (
            "X509-SVID-4.3-8",
            ecdsa || !has(|usage| usage.key_agreement()),
        ),
        ("X509-SVID-4.4-3", both),
    ];
    let for_leaves =
        has(|usage| usage.digital_signature() || usage.key_encipherment() || usage.key_agreement());
    let of_signing = [
        (
            "X509-SVID-3.2-3",
            uris.is_empty() || id.is_some_and(|id| id.path().is_empty()),
        ),
        ("X509-SVID-4.1-2", ca),
        ("X509-SVID-4.3-2", has(|usage| usage.key_cert_sign())),
        ("X509-SVID-AppA-2", !for_leaves),
    ];
    let broken = |rules: &[(&'static str, bool)]| -> Vec<&str> {
        let rules = common.iter().chain(rules);
        rules.filter(|rule| !rule.1).map(|rule| rule.0).collect()
    };
    let found = |findings: &[svid::x509::Finding]| -> Vec<&str> {
        findings.iter().map(|finding| finding.requirement).collect()
    };
    assert_eq!(found(&leaf), broken(&of_leaf));
    assert_eq!(found(&signing), broken(&of_signing));
});

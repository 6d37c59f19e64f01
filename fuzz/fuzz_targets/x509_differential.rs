//! A certificate that is accepted reads the same to x509-parser, which shares no code with this workspace.
#![no_main]

use jose_x509::x509::{Certificate, GeneralName};
use libfuzzer_sys::fuzz_target;
use x509_parser::extensions::{GeneralName as Other, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

fuzz_target!(|data: &[u8]| {
    let Ok(ours) = Certificate::parse(data) else {
        return;
    };
    let (rest, theirs) = X509Certificate::from_der(data).expect("accepted by x509-parser, too");
    assert!(rest.is_empty());
    assert_eq!(theirs.version(), X509Version::V3);
    assert_eq!(ours.serial(), theirs.raw_serial());
    assert_eq!(ours.issuer(), theirs.issuer().as_raw());
    assert_eq!(ours.subject(), theirs.subject().as_raw());
    assert_eq!(ours.spki_der(), theirs.public_key().raw);
    let seconds = |time: rustls_pki_types::UnixTime| i64::try_from(time.as_secs()).expect("a year");
    let validity = theirs.validity();
    // Before 1970 there is no `UnixTime`.
    assert_eq!(
        seconds(ours.not_before()),
        validity.not_before.timestamp().max(0)
    );
    assert_eq!(
        seconds(ours.not_after()),
        validity.not_after.timestamp().max(0)
    );

    let basic = theirs.basic_constraints().expect("at most one extension");
    assert_eq!(ours.basic_constraints().is_some(), basic.is_some());
    if let (Some(ours), Some(theirs)) = (ours.basic_constraints(), basic) {
        assert_eq!(ours.ca, theirs.value.ca);
        // It means something for an authority alone.
        let theirs = theirs.value.path_len_constraint.filter(|_| ours.ca);
        assert_eq!(ours.path_len.map(u32::from), theirs);
    }
    let usage = theirs.key_usage().expect("at most one extension");
    assert_eq!(ours.key_usage().is_some(), usage.is_some());
    if let (Some(ours), Some(theirs)) = (ours.key_usage(), usage) {
        assert_eq!(ours.digital_signature(), theirs.value.digital_signature());
        assert_eq!(ours.key_cert_sign(), theirs.value.key_cert_sign());
    }
    let identifier =
        theirs
            .iter_extensions()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0),
                _ => None,
            });
    assert_eq!(ours.subject_key_identifier(), identifier);

    let names = theirs
        .subject_alternative_name()
        .expect("at most one extension");
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    assert_eq!(ours.alternative_names().count(), names.len());
    for (ours, theirs) in ours.alternative_names().zip(names) {
        match (ours, theirs) {
            (GeneralName::Uri(ours), Other::URI(theirs))
            | (GeneralName::Dns(ours), Other::DNSName(theirs)) => assert_eq!(ours, *theirs),
            (GeneralName::Uri(_) | GeneralName::Dns(_), other) => panic!("{other:?}"),
            (_, other @ (Other::URI(_) | Other::DNSName(_))) => panic!("{other:?}"),
            _ => {}
        }
    }
});

//! A certificate that is accepted is one certificate in one encoding, and its names are what was counted.
#![no_main]

use jose_x509::x509::{Certificate, GeneralName, MAX_CERTIFICATE_SIZE, MAX_NAMES, pem};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = pem::certificates(data, 8);
    let Ok(certificate) = Certificate::parse(data) else {
        return;
    };
    assert_eq!(certificate.der(), data);
    assert!(data.len() <= MAX_CERTIFICATE_SIZE);
    assert!(certificate.not_before() <= certificate.not_after());

    // Neither less nor more is a certificate, too.
    assert!(
        data.split_last()
            .is_none_or(|(_, shorter)| Certificate::parse(shorter).is_err())
    );
    let mut longer = data.to_vec();
    longer.push(0);
    assert!(Certificate::parse(&longer).is_err());

    let counts = certificate.alternative_name_counts();
    let total = counts.uri + counts.dns + counts.ip + counts.other;
    assert!(total <= MAX_NAMES);
    assert_eq!(certificate.alternative_names().count(), total);
    assert_eq!(certificate.uri_names().count(), counts.uri);
    assert_eq!(certificate.dns_names().count(), counts.dns);
    assert_eq!(certificate.ip_addresses().count(), counts.ip);
    for name in certificate.alternative_names() {
        if let GeneralName::Uri(text) | GeneralName::Dns(text) = name {
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
    assert!(
        certificate
            .extended_key_usages()
            .is_none_or(|mut list| list.next().is_some())
    );
    let _ = format!("{certificate:?}");
});

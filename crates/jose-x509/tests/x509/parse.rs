//! The strict parser.

use jose_x509::x509::{
    Certificate, CertificateKey, CertificateProblem as Problem, Field, GeneralName,
    MAX_CERTIFICATE_SIZE, MAX_NAMES, X509Error, eku,
};

use crate::forge::*;

fn problem(der: &[u8]) -> Problem {
    match Certificate::parse(der).unwrap_err() {
        X509Error::Certificate { index: 0, problem } => problem,
        other => panic!("{other}"),
    }
}

fn leaf() -> Parts {
    Parts::leaf(&key())
}

/// The problem of a leaf with a change.
fn changed(change: impl FnOnce(&mut Parts)) -> Problem {
    problem(&leaf().with(change).sign(&key()))
}

/// The problem of a leaf with one more extension.
fn extended(extension: Vec<u8>) -> Problem {
    problem(&leaf().extensions(vec![extension]).sign(&key()))
}

/// Whether a leaf with that extension alone is refused as malformed in `field`.
fn malformed(extension: Vec<u8>, field: Field) {
    assert_eq!(extended(extension), Problem::Malformed { field });
}

/// Covers: X509-5280.6.1.5-1, X509-5280.4.2.1.6-2, X509-5280.7.4-1, X509-A16
#[test]
fn every_part_is_read_as_it_was_written() {
    let key = key();
    let der = Parts::leaf(&key)
        .extensions(vec![
            extension(14, false, &tlv(OCTET_STRING, b"subject-key")),
            extension(35, false, &seq(&[&tlv(0x80, b"issuer-key")])),
            alternative_names(&[
                (0x86, b"SPIFFE://TD/x"),
                (0x82, b"*.a_b.example"),
                (0x87, &[192, 0, 2, 1]),
                (0x81, b"a@b.example"),
                (0x86, b"urn:second"),
                (0x87, &[0; 16]),
            ]),
            extended_key_usage(&[eku::SERVER_AUTH, eku::ANY]),
            key_usage(DIGITAL_SIGNATURE),
        ])
        .sign(&key);
    let certificate = Certificate::parse(&der).unwrap();
    assert_eq!(certificate.der(), der.as_ref());
    assert_eq!(certificate.serial(), [1]);
    assert_eq!(certificate.issuer(), name("CA"));
    assert_eq!(certificate.subject(), name("leaf"));
    assert!(!certificate.is_self_issued() && !certificate.is_ca());
    assert_eq!(certificate.not_before(), at(1_767_225_600));
    assert_eq!(certificate.not_after(), at(1_798_761_600));
    assert_eq!(
        certificate.spki_der(),
        rcgen::PublicKeyData::subject_public_key_info(&key)
    );
    assert_eq!(certificate.key(), CertificateKey::P256);
    assert_eq!(
        certificate.subject_key_identifier(),
        Some(&b"subject-key"[..])
    );
    assert_eq!(
        certificate.authority_key_identifier(),
        Some(&b"issuer-key"[..])
    );
    assert!(certificate.uri_names().eq(["SPIFFE://TD/x", "urn:second"]));
    assert!(certificate.dns_names().eq(["*.a_b.example"]));
    assert!(
        certificate
            .ip_addresses()
            .map(|ip| ip.to_string())
            .eq(["192.0.2.1", "::"])
    );
    assert_eq!(
        certificate.alternative_names().nth(3),
        Some(GeneralName::Email("a@b.example"))
    );
    let counts = certificate.alternative_name_counts();
    assert_eq!(
        (counts.uri, counts.dns, counts.ip, counts.other),
        (2, 1, 2, 1)
    );
    assert!(
        certificate
            .extended_key_usages()
            .unwrap()
            .eq([eku::SERVER_AUTH, eku::ANY])
    );
    assert!(certificate.key_usage().unwrap().digital_signature());
}

/// Covers: X509-5280.4.1-1, X509-A13
#[test]
fn exactly_one_certificate() {
    let der = leaf().sign(&key());
    let trailing = Problem::TrailingData {
        field: Field::Certificate,
    };
    assert_eq!(problem(&[&der, &[0][..]].concat()), trailing);
    assert_eq!(problem(&[&der[..], &der[..]].concat()), trailing);
    for length in 0..der.len() {
        assert_eq!(
            problem(&der[..length]),
            Problem::Malformed {
                field: Field::Certificate
            }
        );
    }
}

/// Covers: X509-A13
#[test]
fn trailing_data_inside() {
    let constraints = extension(19, true, &[&seq(&[])[..], &[0x05, 0x00]].concat());
    assert_eq!(
        extended(constraints),
        Problem::TrailingData {
            field: Field::BasicConstraints
        }
    );
    let inside = extension(19, true, &seq(&[&[0x05, 0x00]]));
    assert_eq!(
        extended(inside),
        Problem::TrailingData {
            field: Field::BasicConstraints
        }
    );
    let tbs = changed(|parts| parts.unique_identifiers = NULL.to_vec());
    assert_eq!(
        tbs,
        Problem::TrailingData {
            field: Field::TbsCertificate
        }
    );
}

/// Covers: X509-5280.4.1-2, X509-A12, X509-profile.thumbprint-1
#[test]
fn only_der() {
    let der = leaf().sign(&key());
    // The outer length, in an indefinite form and in one octet too many.
    let indefinite = [&[0x30, 0x80][..], &der[4..], &[0, 0]].concat();
    problem(&indefinite);
    let long = [&[0x30, 0x83, 0x00][..], &der[2..]].concat();
    problem(&long);
    let certificate = Problem::Malformed {
        field: Field::Certificate,
    };
    assert_eq!(
        changed(|parts| parts.serial = vec![0x02, 0x81, 0x01, 0x05]),
        certificate
    );
    assert_eq!(
        changed(|parts| parts.serial = tlv(0x02, &[0x00, 0x01])),
        certificate
    );
    assert_eq!(
        changed(|parts| parts.serial = tlv(0x02, &[0xff, 0x80])),
        certificate
    );
    assert_eq!(changed(|parts| parts.serial = tlv(0x02, &[])), certificate);
    let wrapped = tlv(0x24, &tlv(OCTET_STRING, &seq(&[])));
    assert_eq!(
        extended(seq(&[&tlv(0x06, &[0x55, 0x1d, 19]), &wrapped])),
        certificate
    );
    for boolean in [[0x01, 0x01, 0x01], [0x01, 0x01, 0x00]] {
        let value = tlv(OCTET_STRING, &seq(&[]));
        let explicit = seq(&[&tlv(0x06, &[0x55, 0x1d, 19]), &boolean, &value]);
        assert!(matches!(extended(explicit), Problem::Malformed { .. }));
        malformed(
            extension(19, true, &seq(&[&boolean])),
            Field::BasicConstraints,
        );
    }
    // High-tag form, an object identifier with a padded group, one without an end, a SET out of order.
    malformed(alternative_names(&[(0x9f, &[0x20])]), Field::SubjectAltName);
    assert_eq!(
        extended(extension_of(&[0x55, 0x80, 0x01], false, &[])),
        certificate
    );
    assert_eq!(
        extended(extension_of(&[0x55, 0x81], false, &[])),
        certificate
    );
    let attribute = |text: &[u8]| seq(&[&tlv(0x06, &[0x55, 0x04, 0x03]), &tlv(0x0c, text)]);
    let set = |first: &[u8], second: &[u8]| {
        seq(&[&tlv(0x31, &[attribute(first), attribute(second)].concat())])
    };
    assert_eq!(
        changed(|parts| parts.subject = set(b"b", b"a")),
        certificate
    );
    Certificate::parse(
        &leaf()
            .with(|parts| parts.subject = set(b"a", b"b"))
            .sign(&key()),
    )
    .unwrap();
}

/// Covers: X509-5280.4.1.1.2-1, X509-A18
#[test]
fn signature_algorithms_agree() {
    let sha384 = seq(&[&tlv(
        0x06,
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
    )]);
    let mismatch = Problem::SignatureAlgorithmMismatch;
    assert_eq!(changed(|parts| parts.inner_algorithm = sha384), mismatch);
    let with_null = seq(&[&ECDSA_SHA256[2..], &[0x05, 0x00]]);
    assert_eq!(changed(|parts| parts.outer_algorithm = with_null), mismatch);
}

/// Covers: X509-5280.4.1.1.3-1
#[test]
fn signature_is_whole_octets() {
    let expected = Problem::Malformed {
        field: Field::SignatureValue,
    };
    assert_eq!(changed(|parts| parts.unused_signature_bits = 1), expected);
}

/// Covers: X509-5280.4.1.2.1-1
#[test]
fn version_three_only() {
    let versions = [
        vec![],
        tlv(0xa0, &[2, 1, 0]),
        tlv(0xa0, &[2, 1, 1]),
        tlv(0xa0, &[2, 1, 3]),
    ];
    for version in versions {
        assert_eq!(
            changed(|parts| parts.version = version),
            Problem::UnsupportedVersion
        );
    }
}

/// Covers: X509-5280.4.1.2.2-1, X509-A21
#[test]
fn odd_serials_are_tolerated() {
    for serial in [vec![0], vec![0x80], vec![0x7f; 21], vec![0x01; 1000]] {
        let der = leaf()
            .with(|parts| parts.serial = tlv(0x02, &serial))
            .sign(&key());
        assert_eq!(Certificate::parse(&der).unwrap().serial(), serial);
    }
}

/// Covers: X509-5280.4.1.2.4-1, X509-5280.4.1.2.6-1
#[test]
fn empty_names() {
    assert_eq!(
        changed(|parts| parts.issuer = seq(&[])),
        Problem::EmptyIssuer
    );
    assert_eq!(
        changed(|parts| parts.subject = seq(&[])),
        Problem::EmptySubject
    );
    let critical = extension(17, true, &seq(&[&tlv(0x86, b"spiffe://td.example/w")]));
    let empty = leaf()
        .with(|parts| parts.subject = seq(&[]))
        .extensions(vec![critical]);
    Certificate::parse(&empty.sign(&key())).unwrap();
    let ca = empty.and(basic_constraints(true, None));
    assert_eq!(problem(&ca.sign(&key())), Problem::EmptySubject);
}

/// Covers: X509-5280.4.1.2.5-2, X509-5280.4.1.2.5.1-1, X509-5280.4.1.2.5.2-1, X509-5280.4.1.2.5-3, X509-A22
#[test]
fn times() {
    for (text, seconds) in [
        ("491231235959Z", 2_524_607_999),
        ("20500101000000Z", 2_524_608_000),
        ("99991231235959Z", 253_402_300_799),
        ("20280229235959Z", 1_835_481_599),
        ("280229000000Z", 1_835_395_200),
    ] {
        let der = leaf()
            .with(|parts| parts.not_after = time(text))
            .sign(&key());
        assert_eq!(
            Certificate::parse(&der).unwrap().not_after(),
            at(seconds),
            "{text}"
        );
    }
    for (tag, text) in [
        (0x17, "2701010000Z"),
        (0x17, "270101000000"),
        (0x17, "270101000000+0000"),
        (0x17, "270101000000.5Z"),
        (0x17, "270101000000z"),
        (0x17, "2701010000 0Z"),
        (0x17, "20270101000000Z"),
        (0x18, "270101000000Z"),
        (0x18, "20500101000000.5Z"),
        (0x18, "20500101000000"),
        (0x17, "271301000000Z"),
        (0x17, "270001000000Z"),
        (0x17, "270230000000Z"),
        (0x17, "270229000000Z"),
        (0x17, "270100000000Z"),
        (0x17, "270101240000Z"),
        (0x17, "270101006000Z"),
        (0x17, "270101000060Z"),
        (0x18, "19691231235959Z"),
        (0x04, "270101000000Z"),
    ] {
        let expected = Problem::InvalidTime {
            field: Field::NotAfter,
        };
        assert_eq!(
            changed(|parts| parts.not_after = tlv(tag, text.as_bytes())),
            expected,
            "{text}"
        );
    }
    // Before 1970, so outside what a time here can express: 50 is 1950.
    let expected = Problem::InvalidTime {
        field: Field::NotBefore,
    };
    assert_eq!(
        changed(|parts| parts.not_before = time("500101000000Z")),
        expected
    );
    assert_eq!(
        changed(|parts| parts.not_before = time("270101000001Z")),
        Problem::InvertedValidity
    );
}

const RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
];
const NULL: &[u8] = &[0x05, 0x00];

fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    seq(&[
        &tlv(SEQUENCE, algorithm),
        &tlv(0x03, &[&[0][..], key].concat()),
    ])
}

/// An RSA key with a modulus of that many bits.
fn rsa(bits: usize, exponent: &[u8]) -> Vec<u8> {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] = 0xff >> (modulus.len() * 8 - bits);
    if modulus[0] & 0x80 != 0 {
        modulus.insert(0, 0);
    }
    seq(&[&tlv(0x02, &modulus), &tlv(0x02, exponent)])
}

fn key_of(spki: Vec<u8>) -> Result<CertificateKey, Problem> {
    let der = leaf().with(|parts| parts.spki = spki).sign(&key());
    match Certificate::parse(&der) {
        Ok(certificate) => Ok(certificate.key()),
        Err(X509Error::Certificate { problem, .. }) => Err(problem),
        Err(other) => panic!("{other}"),
    }
}

/// Covers: X509-5280.4.1.2.7-2, X509-A20
#[test]
fn rsa_strength() {
    let f4: &[u8] = &[1, 0, 1];
    let rsa_of = |bits, exponent: &[u8]| key_of(spki(&[RSA, NULL].concat(), &rsa(bits, exponent)));
    for bits in [2048, 2049, 3072, 8192] {
        assert_eq!(rsa_of(bits, f4), Ok(CertificateKey::Rsa { bits }));
    }
    for bits in [512, 1024, 2047, 8193, 16384] {
        assert_eq!(rsa_of(bits, f4), Err(Problem::WeakKey), "{bits}");
    }
    rsa_of(2048, &[0x01, 0xff, 0xff, 0xff, 0xff]).unwrap();
    let exponents: [&[u8]; 7] = [
        &[0],
        &[1],
        &[3],
        &[1, 0, 0],
        &[0x02, 0, 0, 0, 1],
        &[1, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0x7f; 300],
    ];
    for exponent in exponents {
        assert_eq!(rsa_of(2048, exponent), Err(Problem::WeakKey));
    }
    assert_eq!(rsa_of(2048, &[0x81]), Err(Problem::InvalidKey));
    let even = spki(
        &[RSA, NULL].concat(),
        &seq(&[
            &tlv(0x02, &[&[0][..], &[0xfe; 256]].concat()),
            &tlv(0x02, f4),
        ]),
    );
    assert_eq!(key_of(even), Err(Problem::WeakKey));
    let trailing = [&rsa(2048, f4)[..], NULL].concat();
    key_of(spki(&[RSA, NULL].concat(), &trailing)).unwrap_err();
}

/// Covers: X509-5280.4.1.2.7-1, X509-A19
#[test]
fn key_parameters_are_exact() {
    const EC: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
    const P521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
    const P192: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x01];
    const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
    const DSA: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01];
    let rsa = rsa(2048, &[1, 0, 1]);
    let wrong = Err(Problem::KeyParameters);
    assert_eq!(key_of(spki(RSA, &rsa)), wrong);
    assert_eq!(key_of(spki(&[RSA, P384].concat(), &rsa)), wrong);

    assert_eq!(
        key_of(spki(&[EC, P384].concat(), &[4; 97])),
        Ok(CertificateKey::P384)
    );
    assert_eq!(
        key_of(spki(&[EC, P521].concat(), &[4; 133])),
        Ok(CertificateKey::P521)
    );
    assert_eq!(key_of(spki(EC, &[4; 97])), wrong);
    assert_eq!(key_of(spki(&[EC, NULL].concat(), &[4; 97])), wrong);
    assert_eq!(
        key_of(spki(&[EC, &seq(&[&[0x02, 0x01, 0x01]])].concat(), &[4; 97])),
        wrong
    );
    let invalid = Err(Problem::InvalidKey);
    assert_eq!(key_of(spki(&[EC, P384].concat(), &[4; 96])), invalid);
    assert_eq!(key_of(spki(&[EC, P384].concat(), &[2; 49])), invalid);
    assert_eq!(key_of(spki(&[EC, P384].concat(), &[2; 97])), invalid);
    assert_eq!(
        key_of(spki(&[EC, P192].concat(), &[4; 49])),
        Err(Problem::UnsupportedKey)
    );

    assert_eq!(key_of(spki(ED25519, &[7; 32])), Ok(CertificateKey::Ed25519));
    assert_eq!(key_of(spki(&[ED25519, NULL].concat(), &[7; 32])), wrong);
    assert_eq!(key_of(spki(ED25519, &[7; 31])), invalid);
    assert_eq!(key_of(spki(DSA, &[7; 32])), Err(Problem::UnsupportedKey));
}

/// Covers: X509-5280.4.1.2.8-1
#[test]
fn no_unique_identifiers() {
    for tag in [0x81, 0x82] {
        let identifier = tlv(tag, &[0x00, 0x01]);
        let found = changed(|parts| parts.unique_identifiers = identifier);
        assert_eq!(found, Problem::UniqueIdentifier);
    }
}

/// Covers: X509-5280.4.1.2.9-1, X509-A27, X509-5280.4.2-2
#[test]
fn extension_list() {
    assert_eq!(
        changed(|parts| parts.extensions = Some(vec![])),
        Problem::EmptyExtensions
    );
    let unknown = extension_of(&[0x2a, 0x03], false, b"anything");
    let known = uri("urn:x");
    Certificate::parse(&leaf().extensions(vec![unknown.clone()]).sign(&key())).unwrap();
    for extension in [unknown, known] {
        let twice = leaf().extensions(vec![
            extension.clone(),
            basic_constraints(false, None),
            extension,
        ]);
        assert_eq!(problem(&twice.sign(&key())), Problem::DuplicateExtension);
    }
    let not_wrapped = seq(&[&tlv(0x06, &[0x2a, 0x03]), &tlv(0x0c, b"text")]);
    assert!(matches!(extended(not_wrapped), Problem::Malformed { .. }));
    let extra = seq(&[&tlv(0x06, &[0x2a, 0x03]), &tlv(OCTET_STRING, b""), NULL]);
    assert!(matches!(extended(extra), Problem::TrailingData { .. }));
    let many = (0..65)
        .map(|n| extension_of(&[0x2a, n], false, b""))
        .collect();
    let found = problem(&leaf().extensions(many).sign(&key()));
    assert_eq!(found, Problem::TooManyExtensions { limit: 64 });
}

/// Covers: X509-5280.4.2-1
#[test]
fn unprocessed_critical_extensions_are_told() {
    let der = leaf()
        .and(extension_of(&[0x2a, 0x03], true, b""))
        .sign(&key());
    let found = Certificate::parse(&der).unwrap();
    assert_eq!(
        found.unsupported_critical_extension(),
        Some(&[0x2a, 0x03][..])
    );
    let der = leaf().sign(&key());
    assert_eq!(
        Certificate::parse(&der)
            .unwrap()
            .unsupported_critical_extension(),
        None
    );
}

/// Covers: X509-5280.4.2.1.3-1, X509-5280.4.2.1.3-5
#[test]
fn key_usage_encodings() {
    let usage = |bits: &[u8]| {
        let der = leaf().extensions(vec![key_usage(bits)]).sign(&key());
        Certificate::parse(&der).unwrap().key_usage().unwrap()
    };
    let flags = |bits: &[u8]| {
        let usage = usage(bits);
        [
            usage.digital_signature(),
            usage.non_repudiation(),
            usage.key_encipherment(),
            usage.data_encipherment(),
            usage.key_agreement(),
            usage.key_cert_sign(),
            usage.crl_sign(),
            usage.encipher_only(),
            usage.decipher_only(),
        ]
    };
    for bit in 0..8u8 {
        let mut expected = [false; 9];
        expected[usize::from(bit)] = true;
        assert_eq!(flags(&[7 - bit, 0x80 >> bit]), expected);
    }
    assert_eq!(
        flags(&[7, 0, 0x80]),
        [false, false, false, false, false, false, false, false, true]
    );
    // Read whether it is critical, as it should be, or not.
    let lax = vec![extension(15, false, &tlv(0x03, DIGITAL_SIGNATURE))];
    let der = leaf().extensions(lax).sign(&key());
    let lax = Certificate::parse(&der).unwrap().key_usage().unwrap();
    assert!(lax.digital_signature() && !lax.key_cert_sign());
    assert!(usage(&[1, 0x06]).key_cert_sign() && usage(&[1, 0x06]).crl_sign());
    assert!(usage(&[5, 0xa0]).digital_signature() && usage(&[5, 0xa0]).key_encipherment());
    let wrong: [&[u8]; 9] = [
        &[],
        &[0],
        &[1, 0],
        &[0, 0],
        &[0, 0x80],
        &[7, 0xc0],
        &[8, 0x80],
        &[0, 0x80, 0x01],
        &[7, 0x80, 0x00],
    ];
    for bits in wrong {
        malformed(key_usage(bits), Field::KeyUsage);
    }
}

/// Covers: X509-5280.4.2.1.6-1, X509-5280.4.2.1.6-2, X509-5280.4.2.1.6-3, X509-5280.4.2.1.6-4, X509-A14
/// Covers: X509-A15, X509-A4
#[test]
fn alternative_names_are_strictly_typed() {
    let invalid = Problem::InvalidAlternativeName { index: 1 };
    let second =
        |tag, value: &[u8]| extended(alternative_names(&[(0x82, b"good.example"), (tag, value)]));
    let long_label = [b'a'; 64];
    let wrong: &[(u8, &[u8])] = &[
        (0x86, b"spiffe://td.example/\0w"),
        (0x86, b"spiffe://td.example/\x80"),
        (0x86, "spiffe://td.example/\u{e9}".as_bytes()),
        (0x86, b"spiffe://td.example/a b"),
        (0x86, b"/relative"),
        (0x86, b"//td.example/w"),
        (0x86, b"spiffe"),
        (0x86, b"spiffe:"),
        (0x86, b"1x://td.example"),
        (0x86, b"spiffe:///w"),
        (0x86, b"https://user@/w"),
        (0x86, b"https://:443/w"),
        (0x86, b""),
        (0x87, &[1, 2, 3, 4, 5]),
        (0x87, &[]),
        (0x87, &[0; 8]),
        (0x82, b""),
        (0x82, b" "),
        (0x82, b"."),
        (0x82, b"a..b"),
        (0x82, b".a.example"),
        (0x82, b"a.example."),
        (0x82, b"192.0.2.1"),
        (0x82, b"::1"),
        (0x82, b"a.*.example"),
        (0x82, b"a*.example"),
        (0x82, b"*"),
        (0x82, b"*."),
        (0x82, b"-a.example"),
        (0x82, b"a-.example"),
        (0x82, b"good.example\0.evil"),
        (0x82, &long_label),
        (0x81, b""),
        (0x81, b"a\0@b.example"),
        (0x88, &[0x80, 0x01]),
        (0xa0, &[]),
        (0xa4, &[]),
        (0xa6, &[]),
    ];
    for (tag, value) in wrong {
        assert_eq!(second(*tag, value), invalid, "{tag:x} {value:x?}");
    }
    // Tags outside the choice.
    assert_eq!(second(0x89, b""), invalid);
    assert_eq!(second(0x0c, b"text"), invalid);
    assert_eq!(
        extended(alternative_names(&[])),
        Problem::EmptyAlternativeNames
    );
}

/// Covers: X509-A10
#[test]
fn alternative_names_are_limited() {
    let names = |count| vec![(0x82, &b"a.example"[..]); count];
    let der = leaf()
        .extensions(vec![alternative_names(&names(MAX_NAMES))])
        .sign(&key());
    assert_eq!(
        Certificate::parse(&der).unwrap().dns_names().count(),
        MAX_NAMES
    );
    let found = extended(alternative_names(&names(MAX_NAMES + 1)));
    assert_eq!(found, Problem::TooManyNames { limit: MAX_NAMES });
}

/// Covers: X509-5280.4.2.1.6-5, X509-A17
#[test]
fn the_common_name_is_no_identity() {
    let der = leaf()
        .with(|parts| parts.subject = name("spiffe://td.example/w"))
        .extensions(vec![key_usage(DIGITAL_SIGNATURE)])
        .sign(&key());
    let certificate = Certificate::parse(&der).unwrap();
    assert_eq!(certificate.alternative_names().count(), 0);
    assert_eq!(certificate.uri_names().next(), None);
}

/// Covers: X509-A14
#[test]
fn no_nul_in_names() {
    for tag in [0x0c, 0x13, 0x16, 0x14] {
        let subject = attribute(&[0x55, 0x04, 0x03], tag, b"good.example\0.evil");
        let found = changed(|parts| parts.subject = subject);
        assert_eq!(
            found,
            Problem::Malformed {
                field: Field::Certificate
            }
        );
    }
    let subject = attribute(&[0x55, 0x04, 0x03], 0x0c, &[0xff]);
    let found = changed(|parts| parts.subject = subject);
    assert_eq!(
        found,
        Problem::Malformed {
            field: Field::Certificate
        }
    );
}

/// Covers: X509-5280.4.2.1.9-4
#[test]
fn basic_constraints_encodings() {
    let ca: &[u8] = &[0x01, 0x01, 0xff];
    let path_len = |content: &[u8]| seq(&[ca, &tlv(0x02, content)]);
    for wrong in [&[0xff][..], &[0x80], &[0x01, 0x00], &[0x00, 0x01], &[]] {
        malformed(
            extension(19, true, &path_len(wrong)),
            Field::BasicConstraints,
        );
    }
    malformed(
        extension(19, true, &seq(&[&tlv(0x02, &[0xff])])),
        Field::BasicConstraints,
    );
    for (content, expected) in [(&[0][..], 0), (&[0x7f], 127), (&[0, 0xff], 255)] {
        let der = leaf()
            .extensions(vec![extension(19, true, &path_len(content))])
            .sign(&key());
        let found = Certificate::parse(&der)
            .unwrap()
            .basic_constraints()
            .unwrap();
        assert_eq!((found.ca, found.path_len), (true, Some(expected)));
    }
    let der = leaf()
        .extensions(vec![extension(19, true, &seq(&[&tlv(0x02, &[3])]))])
        .sign(&key());
    let found = Certificate::parse(&der)
        .unwrap()
        .basic_constraints()
        .unwrap();
    assert_eq!((found.ca, found.path_len), (false, None));
}

/// Covers: X509-5280.4.2.1.10-2, X509-5280.4.2.1.10-8, X509-A4
#[test]
fn name_constraints_encodings() {
    let empty = Problem::EmptyNameConstraints;
    assert_eq!(extended(extension(30, true, &seq(&[]))), empty);
    assert_eq!(extended(extension(30, true, &seq(&[&[0xa0, 0x00]]))), empty);
    assert_eq!(
        extended(extension(30, true, &seq(&[&[0xa0, 0x00], &[0xa1, 0x00]]))),
        empty
    );
    let base = tlv(0x82, b"a.example");
    for bound in [
        &[0x80, 0x01, 0x01][..],
        &[0x80, 0x01, 0x00],
        &[0x81, 0x01, 0x05],
    ] {
        let subtree = tlv(0xa0, &seq(&[&base, bound]));
        let found = extended(extension(30, true, &seq(&[&subtree])));
        assert_eq!(
            found,
            Problem::TrailingData {
                field: Field::NameConstraints
            }
        );
    }
    let good: &[&[u8]] = &[
        &[0xc0, 0, 2, 0, 0xff, 0xff, 0xff, 0],
        &[0xc0, 0, 2, 0, 0xff, 0xff, 0xfe, 0],
        &[0; 8],
        &[0xff; 8],
        &[0; 32],
    ];
    for base in good {
        let constraints = name_constraints(&[(0x87, base)], &[]);
        let der = Parts::ca("CA", "CA", &key()).and(constraints).sign(&key());
        assert!(Certificate::parse(&der).unwrap().has_name_constraints());
    }
    let wrong: &[&[u8]] = &[
        &[0xc0, 0, 2, 0, 0xff, 0, 0xff, 0],
        &[0xc0, 0, 2, 0, 0xff, 0xff, 0xfd, 0],
        &[0xc0, 0, 2, 0, 0xff, 0xfe, 0x80, 0],
        &[0xc0, 0, 2, 0, 0, 0, 0, 1],
        &[0; 7],
        &[0; 4],
        &[0; 16],
    ];
    for base in wrong {
        malformed(
            name_constraints(&[(0x87, base)], &[]),
            Field::NameConstraints,
        );
        malformed(
            name_constraints(&[], &[(0x87, base)]),
            Field::NameConstraints,
        );
    }
    malformed(
        name_constraints(&[(0x82, b"a\0b")], &[]),
        Field::NameConstraints,
    );
    malformed(
        name_constraints(&[(0x89, b"")], &[]),
        Field::NameConstraints,
    );
}

/// Covers: X509-5280.4.2.1.12-1
#[test]
fn extended_key_usage_encodings() {
    assert_eq!(
        extended(extended_key_usage(&[])),
        Problem::EmptyExtendedKeyUsage
    );
    malformed(extension(37, false, &seq(&[NULL])), Field::ExtendedKeyUsage);
}

/// Covers: X509-profile.input-1, X509-A10
#[test]
fn size_is_limited() {
    let padded = |size| {
        leaf()
            .extensions(vec![extension_of(&[0x2a, 0x03], false, &vec![0; size])])
            .sign(&key())
    };
    let fits = padded(MAX_CERTIFICATE_SIZE - 1024);
    Certificate::parse(&fits).unwrap();
    let found = problem(&padded(MAX_CERTIFICATE_SIZE));
    assert_eq!(
        found,
        Problem::TooLarge {
            limit: MAX_CERTIFICATE_SIZE
        }
    );
}

/// Covers: X509-A29, X509-profile.fuzz-1
#[test]
fn depth_is_limited() {
    let nested = |depth| (0..depth).fold(NULL.to_vec(), |inner, _| tlv(0xa0, &inner));
    let subject = |depth| {
        let attribute = seq(&[&tlv(0x06, &[0x55, 0x04, 0x03]), &nested(depth)]);
        seq(&[&tlv(0x31, &attribute)])
    };
    // Five levels lead to the value.
    let fits = leaf()
        .with(|parts| parts.subject = subject(11))
        .sign(&key());
    Certificate::parse(&fits).unwrap();
    for depth in [12, 5000] {
        let found = changed(|parts| parts.subject = subject(depth));
        assert_eq!(found, Problem::TooDeep { limit: 16 });
    }
}

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice
)]

use proptest::prelude::*;

use super::*;

fn name(text: &str) -> DistinguishedName {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, content.len().try_into().unwrap()], content].concat()
}

fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[tlv(6, oid), tlv(tag, value)].concat())
}

fn der(rdns: &[&[Vec<u8>]]) -> Option<DistinguishedName> {
    let rdns: Vec<u8> = rdns
        .iter()
        .flat_map(|rdn| tlv(0x31, &rdn.concat()))
        .collect();
    DistinguishedName::from_der(&tlv(0x30, &rdns))
}

const CN: &[u8] = &[0x55, 4, 3];
const O: &[u8] = &[0x55, 4, 10];

/// Covers: POP-8705.2.1.2-2, POP-A22
#[test]
fn text_and_der_are_the_same_name_by_structure_alone() {
    let a = attribute(CN, 0x0c, b"a");
    let b = attribute(O, 0x13, b"b");
    let subject = der(&[std::slice::from_ref(&b), std::slice::from_ref(&a)]).unwrap();
    assert_eq!(name("CN=a,O=b"), subject);
    assert_eq!(name("cn=a,2.5.4.10=b"), subject);
    assert_eq!(name("CN=#0C0161,O=#130162"), subject);
    assert_eq!(name("CN=\\61,O=b"), subject);
    for other in [
        "O=b,CN=a",
        "CN=A,O=b",
        "CN=a",
        "O=b",
        "CN=a,O=b,C=DE",
        "CN=a+O=b",
        "CN=a\\,O=b",
        "CN=a\\ ,O=b",
        "OU=a,O=b",
        "CN=a,O=",
        "CN=a,O=b,O=b",
    ] {
        assert_ne!(name(other), subject, "{other}");
    }
    // A set of two attributes, in whatever order the text has them.
    let both = der(&[&[a.clone(), b]]).unwrap();
    assert_eq!(name("CN=a+O=b"), both);
    assert_eq!(name("O=b+CN=a"), both);
    assert_ne!(name("CN=a"), both);
    assert_ne!(name("CN=a+O=b+C=DE"), both);
    assert_ne!(name("CN=a+CN=a"), der(&[&[a]]).unwrap());
    // The kinds of string.
    for (tag, value) in [
        (0x0c_u8, &b"a"[..]),
        (0x13, b"a"),
        (0x16, b"a"),
        (0x14, b"a"),
        (0x1e, b"\0a"),
    ] {
        assert_eq!(der(&[&[attribute(CN, tag, value)]]), Some(name("CN=a")));
    }
    assert_eq!(
        der(&[&[attribute(CN, 0x1e, b"\0\xe9")]]),
        Some(name("CN=\u{e9}"))
    );
    assert_ne!(
        der(&[&[attribute(CN, 0x14, b"\xe9")]]),
        Some(name("CN=\u{e9}"))
    );
    assert_ne!(der(&[&[attribute(CN, 0x04, b"a")]]), Some(name("CN=a")));
    assert_eq!(
        der(&[&[attribute(CN, 0x04, b"a")]]),
        Some(name("CN=#040161"))
    );
    for (tag, value) in [
        (0x0c_u8, &b"a\0b"[..]),
        (0x0c, b"\xff"),
        (0x13, b"\xc3\xa9"),
        (0x1e, b"a"),
        (0x1e, b"\xd8\0"),
    ] {
        assert_eq!(der(&[&[attribute(CN, tag, value)]]), None);
    }
}

/// Covers: POP-A22
#[test]
fn text_that_is_not_exactly_rfc_4514_is_refused() {
    for bad in [
        "",
        ",",
        "CN",
        "CN=a,",
        ",CN=a",
        "CN=a,,O=b",
        "CN=a, O=b",
        "CN=a ,O=b",
        "CN = a",
        "CN= a",
        "CN=a+",
        "CN=a\\",
        "CN=a\\x",
        "CN=a\\0",
        "CN=a\\00b",
        "CN=\\ff",
        "CN=\"a\"",
        "CN=a;O=b",
        "CN=<a>",
        "CN=a\0",
        "XX=a",
        "=a",
        "OID.2.5.4.3=a",
        "2.5.4.03=a",
        "2=",
        "9.9.9=a",
        "CN=#",
        "CN=#0",
        "CN=#0C",
        "CN=#0C01",
        "CN=#0C016161",
        "CN=#zz",
        "CN=#0C0161 ",
        "CN=#0C0100",
        "/CN=a/O=b",
    ] {
        assert!(bad.parse::<DistinguishedName>().is_err(), "{bad}");
    }
    for good in [
        "CN=",
        "CN=a=b",
        "CN=a#b",
        "CN=\\ a\\ ",
        "CN=\\20a",
        "CN=a b",
        "CN=\\#a",
        "CN=\\C3\\A9",
        "DC=example,DC=com",
        "1.2.3.4=a",
    ] {
        let read = name(good);
        assert_eq!(name(&read.to_string()), read, "{good}");
    }
    assert_eq!(name("CN=\\C3\\A9"), name("CN=\u{e9}"));
    assert!("CN=a,".repeat(2000).parse::<DistinguishedName>().is_err());
    let many = |separator: &str, count| vec!["CN=a"; count].join(separator);
    assert!(many(",", 32).parse::<DistinguishedName>().is_ok());
    assert!(many(",", 33).parse::<DistinguishedName>().is_err());
    assert!(many("+", 8).parse::<DistinguishedName>().is_ok());
    assert!(many("+", 9).parse::<DistinguishedName>().is_err());
    assert_eq!(
        "CN=a;".parse::<DistinguishedName>(),
        Err(InvalidName { offset: 5 })
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read(values in prop::collection::vec(("[^\0]{0,12}", "(CN|O|uid|1\\.2\\.3|emailAddress)"), 1..5), plus: bool) {
        let rdns: Vec<Vec<Vec<u8>>> = values
            .iter()
            .map(|(value, kind)| vec![attribute(&oid(kind).unwrap(), 0x0c, value.as_bytes())])
            .collect();
        let rdns: Vec<Vec<Vec<u8>>> = if plus { vec![rdns.concat()] } else { rdns };
        let slices: Vec<&[Vec<u8>]> = rdns.iter().map(Vec::as_slice).collect();
        let Some(read) = der(&slices) else { return Ok(()); };
        prop_assert_eq!(&read.to_string().parse::<DistinguishedName>().unwrap(), &read);
    }

    #[test]
    fn any_text_is_read_without_panic(text in "(CN=|O=|\\PC|,|\\+|\\\\|#){0,12}") {
        if let Ok(read) = text.parse::<DistinguishedName>() {
            prop_assert_eq!(read.to_string().parse::<DistinguishedName>().unwrap(), read);
        }
    }
}

use der::SliceReader;
use proptest::prelude::*;

use super::*;

const TAGS: [Tag; 14] = [
    Tag::Boolean,
    Tag::Integer,
    Tag::BitString,
    Tag::OctetString,
    Tag::Null,
    Tag::ObjectIdentifier,
    Tag::Utf8String,
    Tag::PrintableString,
    Tag::UtcTime,
    Tag::Sequence,
    Tag::Set,
    primitive(6),
    constructed(3),
    constructed(30),
];

const FIELD: Field = Field::SubjectAltName;

fn input(bytes: &[u8]) -> Input<'_> {
    Input::part(bytes, FIELD)
}

/// The tag of the first element, its content, and how long it is as a whole, all as `der` reads them.
fn by_der(bytes: &[u8]) -> Option<(Tag, &[u8], usize)> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let header = Header::decode(&mut reader).ok()?;
    let value = reader.read_slice(header.length()).ok()?;
    Some((header.tag(), value, reader.position().try_into().ok()?))
}

/// A header, which may be none, and content that may be too short for it.
fn elements() -> impl Strategy<Value = Vec<u8>> {
    let identifier = prop_oneof![
        4 => proptest::sample::select(TAGS.map(identifier).to_vec()),
        1 => any::<u8>(),
    ];
    let length = prop_oneof![
        (0..=0x7fu8).prop_map(|length| vec![length]),
        any::<u8>().prop_map(|length| vec![0x81, length]),
        (0..=1u8, any::<u8>()).prop_map(|(high, low)| vec![0x82, high, low]),
        proptest::collection::vec(any::<u8>(), 0..5),
    ];
    let content = prop_oneof![
        Just(Vec::new()),
        proptest::collection::vec(any::<u8>(), 0..4),
        proptest::collection::vec(b'0'..=b'z', 0..600),
    ];
    (identifier, length, content)
        .prop_map(|(identifier, length, content)| [vec![identifier], length, content].concat())
}

proptest! {
    #[test]
    fn an_element_is_what_der_reads(bytes in elements()) {
        let expected = by_der(&bytes);
        for usual in TAGS {
            let mut all = input(&bytes);
            match all.again(usual) {
                None => prop_assert_eq!(expected, None),
                Some(element) => {
                    prop_assert_eq!(expected, Some((element.tag, element.value, element.whole.len())));
                    prop_assert_eq!([element.whole, all.rest].concat(), bytes.as_slice());
                }
            }
        }
    }

    #[test]
    fn the_ways_to_an_element_agree(bytes in elements()) {
        let mut general = input(&bytes);
        let next = general.next();
        for tag in TAGS {
            let mut known = input(&bytes);
            let starts = known.starts_with(tag);
            match known.element(tag) {
                Ok(element) => {
                    prop_assert!(starts);
                    prop_assert_eq!(by_der(&bytes), Some((tag, element.value, element.whole.len())));
                    prop_assert_eq!(known.rest, general.rest);
                    prop_assert!(next.is_ok());
                }
                Err(CertificateProblem::Malformed { field: FIELD }) => {
                    prop_assert!(next.as_ref().is_ok_and(|element| element.tag != tag));
                }
                Err(problem) => {
                    prop_assert_eq!(problem, CertificateProblem::Malformed { field: Field::Certificate });
                    prop_assert!(next.is_err());
                }
            }
        }
    }
}

#[test]
fn what_ber_alone_allows_is_refused() {
    for (bytes, why) in [
        (&[0x04, 0x80, 0x00, 0x00][..], "a length without end"),
        (&[0x04, 0x81, 0x01, 0x00], "a long form of a short length"),
        (&[0x04, 0x82, 0x00, 0x80], "a length with a zero in front"),
        (&[0x04, 0x85, 0, 0, 0, 0, 0], "a length of five octets"),
        (&[0x24, 0x03, 0x04, 0x01, 0x00], "a string in parts"),
        (&[0x10, 0x00], "a SEQUENCE that is primitive"),
        (&[0x9f, 0x1f, 0x00], "a tag number above 30"),
        (&[0x1f, 0x1f, 0x00], "a universal one"),
        (&[0x01, 0x01, 0x01], "a TRUE that is not 0xff"),
        (&[0x02, 0x02, 0x00, 0x01], "an INTEGER with a zero in front"),
        (&[0x02, 0x00], "an INTEGER without octets"),
        (&[0x03, 0x02, 0x01, 0x01], "padding that is not zero"),
        (&[0x05, 0x01, 0x00], "a NULL with content"),
        (&[0x06, 0x02, 0x80, 0x01], "an arc with a zero in front"),
    ] {
        assert!(input(bytes).any(0).is_err(), "{why}");
    }
}

//! What the parser reads many octets at a time, or as one of the usual shapes, is judged octet by octet.

use der::DateTime;
use jose_x509::x509::{Certificate, CertificateProblem as Problem, Field, X509Error};

use crate::forge::*;

fn parse(der: &[u8]) -> Result<Certificate<'_>, Problem> {
    Certificate::parse(der).map_err(|error| match error {
        X509Error::Certificate { index: 0, problem } => problem,
        other => panic!("{other}"),
    })
}

/// Where `part` stands in `whole`, in which it stands once.
fn place(whole: &[u8], part: &[u8]) -> usize {
    let mut found = whole
        .windows(part.len())
        .enumerate()
        .filter(|(_, window)| *window == part)
        .map(|(at, _)| at);
    let at = found.next().unwrap();
    assert_eq!(found.next(), None);
    at
}

/// Covers: X509-5280.4.1.2.5-1
#[test]
fn dates_are_those_of_the_calendar() {
    let key = key();
    let der = Parts::leaf(&key)
        .with(|parts| {
            parts.not_before = time("700101000000Z");
            parts.not_after = time("20270101000000Z");
        })
        .sign(&key);
    let mut der = der.to_vec();
    let at = place(&der, b"20270101000000Z");
    for year in 1970..=9999 {
        // All days of some years, and around February's end of all.
        let (months, days) = match year % 404 {
            0 => (0..=13, 0..=32),
            _ => (2..=2, 28..=29),
        };
        for (month, day) in months.flat_map(|month| days.clone().map(move |day| (month, day))) {
            let text = format!("{year:04}{month:02}{day:02}235958Z");
            der[at..at + 15].copy_from_slice(text.as_bytes());
            let expected = DateTime::new(year, month, day, 23, 59, 58)
                .map(|date| date.unix_duration().as_secs());
            match parse(&der) {
                Ok(certificate) => assert_eq!(Ok(certificate.not_after().as_secs()), expected),
                Err(problem) => {
                    let field = Field::NotAfter;
                    assert_eq!(problem, Problem::InvalidTime { field }, "{text}");
                    assert!(expected.is_err(), "{text}");
                }
            }
        }
    }
}

/// Covers: X509-5280.4.1.2.5-1
#[test]
fn times_are_of_digits() {
    let key = key();
    for text in ["270101000000Z", "20270101000000Z"] {
        let der = Parts::leaf(&key)
            .with(|parts| parts.not_after = time(text))
            .sign(&key);
        let at = place(&der, text.as_bytes());
        for index in 0..text.len() {
            let mut der = der.to_vec();
            for octet in (0..=255).filter(|octet: &u8| !octet.is_ascii_digit()) {
                der[at + index] = octet;
                // Only the end of it is not a digit.
                assert_eq!(parse(&der).is_ok(), text.as_bytes()[index] == octet);
            }
        }
    }
}

#[test]
fn texts_of_names_are_checked_in_every_octet() {
    let key = key();
    // UTF8String and PrintableString.
    for tag in [0x0c, 0x13] {
        for length in [0, 1, 7, 8, 9, 16, 17] {
            let text = vec![b'~'; length];
            let subject = attribute(&[0x55, 0x04, 0x0a], tag, &text);
            let der = Parts::leaf(&key)
                .with(|parts| parts.subject = subject.clone())
                .sign(&key);
            assert_eq!(parse(&der).unwrap().subject(), subject);
            let at = place(&der, &subject) + subject.len() - length;
            for index in 0..length {
                let mut der = der.to_vec();
                for octet in 0..=255 {
                    der[at + index] = octet;
                    let sound = (1..=0x7f).contains(&octet);
                    assert_eq!(
                        parse(&der).is_ok(),
                        sound,
                        "{octet:#x} at {index} of {length}"
                    );
                }
            }
        }
    }
}

/// Covers: X509-5280.4.2.1.6-1, X509-5280.4.2.1.6-2
#[test]
fn uris_are_visible_in_every_octet() {
    let key = key();
    for length in [1, 8, 17] {
        let text = format!("spiffe://td/{}", "a".repeat(length));
        let der = Parts::leaf(&key).extensions(vec![uri(&text)]).sign(&key);
        let at = place(&der, text.as_bytes()) + text.len() - length;
        for index in 0..length {
            let mut der = der.to_vec();
            for octet in 0..=255_u8 {
                der[at + index] = octet;
                let visible = octet.is_ascii_graphic();
                assert_eq!(
                    parse(&der).is_ok(),
                    visible,
                    "{octet:#x} at {index} of {length}"
                );
            }
        }
    }
}

/// Covers: X509-5280.4.2.1.6-2
#[test]
fn authorities_have_a_host() {
    let key = key();
    let good = [
        "a://h",
        "a://h:1",
        "a://u@h",
        "a://u:p@h/",
        "a://u@v@h",
        "a://@h",
        "a://h/@",
        "a://h/u@",
        "a://h?@",
        "a://h#u@:",
        "a+b-c.1:x",
        "a:@",
        "a:/",
        "a:/@",
        "a://%40",
    ];
    let bad = [
        "a://",
        "a:///p",
        "a://?q",
        "a://#f",
        "a://:1",
        "a://u@",
        "a://u@:1",
        "a://u@/p",
        "a://u@v@",
        "a://@",
        "a://h@:1/@h",
        "a:",
        ":a",
        "1a:b",
        "a_b:c",
        "a",
        "//h",
        "a/b:c",
        "é://h",
    ];
    for (texts, sound) in [(&good[..], true), (&bad[..], false)] {
        for text in texts {
            let der = Parts::leaf(&key).extensions(vec![uri(text)]).sign(&key);
            let parsed = parse(&der);
            assert_eq!(parsed.is_ok(), sound, "{text}");
            if let Ok(certificate) = parsed {
                assert_eq!(certificate.uri_names().next(), Some(*text));
            }
        }
    }
}

#[test]
fn lengths_of_the_usual_shapes_cannot_change() {
    let key = key();
    let subject = name("leaf");
    let usage = key_usage(DIGITAL_SIGNATURE);
    let purposes = extended_key_usage(&[jose_x509::x509::eku::CLIENT_AUTH]);
    let leaf = Parts::leaf(&key)
        .with(|parts| parts.subject = subject.clone())
        .extensions(vec![usage.clone(), purposes.clone()])
        .sign(&key);
    // Where lengths stand that go with the others.
    for (part, lengths) in [(subject, &[1, 3, 5][..]), (usage, &[1]), (purposes, &[1])] {
        let at = place(&leaf, &part);
        for index in lengths {
            let mut der = leaf.to_vec();
            for octet in (0..=255).filter(|octet| *octet != part[*index]) {
                der[at + index] = octet;
                assert!(parse(&der).is_err(), "{octet:#x} at {index}");
            }
        }
    }
}

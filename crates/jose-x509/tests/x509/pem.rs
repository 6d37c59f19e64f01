//! PEM bundles.

use jose_x509::x509::{PemProblem as Problem, X509Error, pem};

use crate::forge::{Parts, key};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

fn problem(text: &str) -> Problem {
    match pem::certificates(text.as_bytes(), 8).unwrap_err() {
        X509Error::Pem { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

/// A bundle of an independent writer, with both line ends and white space around the blocks.
///
/// Covers: X509-profile.pem-1, X509-A30
#[test]
fn bundles_round_trip() {
    let rcgen::CertifiedKey { cert, .. } =
        rcgen::generate_simple_self_signed(vec!["a.example".into()]).unwrap();
    let unix = cert.pem().replace("\r\n", "\n");
    for text in [&unix, &unix.replace('\n', "\r\n"), unix.trim_end()] {
        assert_eq!(
            pem::certificates(text.as_bytes(), 1).unwrap(),
            [cert.der().clone()]
        );
    }
    let bundle = format!("\n  \t\n{unix}\n\n{unix}\n");
    assert_eq!(pem::certificates(bundle.as_bytes(), 2).unwrap().len(), 2);
    let found = pem::certificates(bundle.as_bytes(), 1).unwrap_err();
    assert!(matches!(
        found,
        X509Error::Pem {
            problem: Problem::TooMany,
            ..
        }
    ));
}

/// Covers: X509-profile.pem-1, X509-profile.input-1, X509-A30
#[test]
fn only_certificate_blocks() {
    let good = format!("{BEGIN}\nMAA=\n{END}\n");
    assert_eq!(pem::certificates(good.as_bytes(), 1).unwrap().len(), 1);
    for label in [
        "TRUSTED CERTIFICATE",
        "X509 CERTIFICATE",
        "PRIVATE KEY",
        "certificate",
        " CERTIFICATE",
    ] {
        let text = format!("-----BEGIN {label}-----\nMAA=\n-----END {label}-----\n");
        assert_eq!(problem(&text), Problem::Label, "{label}");
        assert_eq!(problem(&format!("{good}{text}")), Problem::Label, "{label}");
    }
    for (text, expected) in [
        (String::new(), Problem::Empty),
        ("\n\n".into(), Problem::Empty),
        (format!("subject=CN\n{good}"), Problem::Text),
        (format!("{good}x"), Problem::Text),
        (format!(" {good}"), Problem::Text),
        (format!("{BEGIN}\nMAA=\n"), Problem::Unfinished),
        (
            format!("{BEGIN}\nMAA=\n{BEGIN}\nMAA=\n{END}\n"),
            Problem::Label,
        ),
        (
            format!("{BEGIN}\nMAA=\n-----END X509 CRL-----\n"),
            Problem::Label,
        ),
        (format!("{BEGIN} \nMAA=\n{END}\n"), Problem::Label),
        (format!("{BEGIN}\nMAA=\n{END}-\n"), Problem::Label),
        (format!("{BEGIN}\nMAA=\n{END} {BEGIN}\n"), Problem::Label),
        (format!("{BEGIN}\nMAA\n{END}\n"), Problem::Base64),
        (format!("{BEGIN}\nMAB=\n{END}\n"), Problem::Base64),
        (format!("{BEGIN}\nM A=\n{END}\n"), Problem::Base64),
        (format!("{BEGIN}\nMA\n\nA=\n{END}\n"), Problem::Base64),
        (
            format!("{BEGIN}\nProc-Type: 4\nMAA=\n{END}\n"),
            Problem::Base64,
        ),
        (format!("{BEGIN}\nMAA=MAA=\n{END}\n"), Problem::Base64),
        (
            format!("{BEGIN}\n{}\n{END}\n", "A".repeat(80)),
            Problem::Base64,
        ),
        (format!("{BEGIN}\n{END}\n"), Problem::Base64),
        (format!("{BEGIN}\r\rMAA=\r{END}"), Problem::Label),
    ] {
        assert_eq!(problem(&text), expected, "{text}");
    }
    let found = pem::certificates(format!("{good}\nx").as_bytes(), 8).unwrap_err();
    assert_eq!(
        found,
        X509Error::Pem {
            line: 5,
            problem: Problem::Text
        }
    );
}

/// Covers: X509-profile.pem-1
#[test]
fn bundles_are_limited() {
    assert_eq!(
        problem(&" ".repeat(pem::MAX_PEM_SIZE + 1)),
        Problem::TooLarge
    );
    let lines = format!("{}\n", "A".repeat(64)).repeat(700);
    assert_eq!(
        problem(&format!("{BEGIN}\n{lines}{END}\n")),
        Problem::TooLarge
    );
    // What is decoded is not parsed yet.
    let own = key();
    let der = Parts::leaf(&own).sign(&own);
    assert!(jose_x509::x509::Certificate::parse(&der).is_ok());
}

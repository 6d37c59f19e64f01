use jose_x509::Error;
use jose_x509::mtls::{CERTIFICATE_FIELDS, Forwarded, MAX_FORWARDED, TrustedPeer};
use pki_types::CertificateDer;
use rcgen::KeyPair;

use crate::certificates::{Ca, self_signed, uri};
use crate::mtls::base64_standard;
use crate::support::code;

fn certificate(name: &str) -> CertificateDer<'static> {
    self_signed(name, &KeyPair::generate().unwrap())
}

fn item(der: &[u8]) -> String {
    format!(":{}:", base64_standard(der))
}

fn proxies() -> Forwarded<impl TrustedPeer<str>> {
    Forwarded::rfc9440(|peer: &str| peer == "proxy")
}

fn envoys() -> Forwarded<impl TrustedPeer<str>> {
    Forwarded::envoy(|peer: &str| peer == "proxy")
}

/// How many certificates come out.
fn read<T: TrustedPeer<str>>(
    forwarded: &Forwarded<T>,
    fields: &[(&str, &str)],
) -> Result<Option<Vec<Vec<u8>>>, Error> {
    let fields = fields.iter().map(|(name, value)| (*name, value.as_bytes()));
    let found = forwarded.read("proxy", fields)?;
    Ok(found.map(|found| {
        let leaf = std::iter::once(found.leaf()).chain(found.unverified_intermediates());
        leaf.map(|der| der.to_vec()).collect()
    }))
}

/// Covers: POP-9440.2-1, POP-A20
#[test]
fn client_cert_is_one_byte_sequence() {
    let (a, b, c) = (certificate("a"), certificate("b"), certificate("c"));
    let forwarded = proxies();
    let one = |value: &str| read(&forwarded, &[("Client-Cert", value)]);
    assert_eq!(one(&item(&a)).unwrap(), Some(vec![a.to_vec()]));
    assert_eq!(
        one(&format!(" {}\t", item(&a))).unwrap(),
        Some(vec![a.to_vec()])
    );
    assert_eq!(read(&forwarded, &[("other", "x")]).unwrap(), None);
    let base64 = base64_standard(&a);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----");
    for (value, expected) in [
        (pem.as_str(), "malformed_certificate_field"),
        (&base64, "malformed_certificate_field"),
        (&format!(":{base64}"), "malformed_certificate_field"),
        (&format!("{base64}:"), "malformed_certificate_field"),
        (&format!("{};x", item(&a)), "malformed_certificate_field"),
        (&format!("{};x=1", item(&a)), "malformed_certificate_field"),
        (&format!(":{base64}\n:"), "malformed_certificate_field"),
        (
            &format!(":{}:", base64.trim_end_matches('=')),
            if base64.ends_with('=') {
                "malformed_certificate_field"
            } else {
                "valid"
            },
        ),
        (
            &format!(":{}:", jose_x509::base64url::encode(&a)),
            "malformed_certificate_field",
        ),
        ("::", "malformed_certificate_field"),
        ("", "malformed_certificate_field"),
        ("\"x\"", "malformed_certificate_field"),
        (
            &format!("{}, {}", item(&a), item(&b)),
            "multiple_certificates",
        ),
        (
            &format!(":{}:", "A".repeat(200_000)),
            "malformed_certificate_field",
        ),
    ] {
        assert_eq!(
            code(one(value)),
            expected,
            "{}",
            &value[..value.len().min(60)]
        );
    }
    for more in [&[&a[..], &[0]].concat(), &[&a[..], &b[..]].concat()] {
        assert!(matches!(one(&item(more)), Err(Error::X509(_))));
    }
    let twice = [("client-cert", &*item(&a)), ("Client-Cert", &*item(&a))];
    assert_eq!(code(read(&forwarded, &twice)), "multiple_certificates");
    // The chain is a list, over any number of lines, without the leaf.
    let chain = format!("{} ,{}", item(&b), item(&c));
    let all = read(
        &forwarded,
        &[("Client-Cert", &item(&a)), ("Client-Cert-Chain", &chain)],
    );
    assert_eq!(all.unwrap(), Some(vec![a.to_vec(), b.to_vec(), c.to_vec()]));
    let lines = [
        ("Client-Cert-Chain", &*item(&b)),
        ("Client-Cert", &*item(&a)),
        ("client-cert-chain", &*item(&c)),
    ];
    assert_eq!(read(&forwarded, &lines).unwrap().unwrap().len(), 3);
    assert_eq!(
        code(read(&forwarded, &[("Client-Cert-Chain", &chain)])),
        "chain_without_certificate"
    );
    for bad in [
        "",
        ",",
        "::",
        &format!("{},", item(&b)),
        &vec![item(&b); MAX_FORWARDED + 1].join(","),
    ] {
        let fields = [("Client-Cert", &*item(&a)), ("Client-Cert-Chain", bad)];
        assert_eq!(
            code(read(&forwarded, &fields)),
            "malformed_certificate_field"
        );
    }
    let not_text = forwarded.read("proxy", [("client-cert", &b"\xff"[..])]);
    assert_eq!(code(not_text), "malformed_certificate_field");
}

fn pem(ders: &[&CertificateDer<'_>]) -> String {
    let blocks = ders.iter().map(|der| {
        let text = base64_standard(der);
        let lines: Vec<_> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            lines.join("\n")
        )
    });
    let mut encoded = String::new();
    for byte in blocks.collect::<String>().bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' => encoded.push(byte.into()),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Covers: POP-A20
#[test]
fn envoys_field_is_one_element_with_one_certificate() {
    let (a, b) = (certificate("a"), certificate("b"));
    let forwarded = envoys();
    let one = |value: &str| read(&forwarded, &[("X-Forwarded-Client-Cert", value)]);
    let (cert, chain) = (pem(&[&a]), pem(&[&a, &b]));
    for good in [
        format!("Cert=\"{cert}\""),
        format!("Cert={cert}"),
        format!(
            "By=spiffe://td/envoy;Hash=00;Cert=\"{cert}\";Subject=\"CN=a,O=\\\"b;c\\\"\";URI=spiffe://td/a;URI=urn:b;DNS=c.example"
        ),
    ] {
        assert_eq!(one(&good).unwrap(), Some(vec![a.to_vec()]), "{good}");
    }
    assert_eq!(
        one(&format!("cert=\"{cert}\";CHAIN=\"{chain}\"")).unwrap(),
        Some(vec![a.to_vec(), b.to_vec()])
    );
    for (value, expected) in [
        (
            format!("Cert=\"{cert}\",Cert=\"{cert}\""),
            "multiple_certificates",
        ),
        (format!("By=a,Cert=\"{cert}\""), "multiple_certificates"),
        (
            format!("Cert=\"{cert}\";Cert=\"{cert}\""),
            "multiple_certificates",
        ),
        (format!("Cert=\"{}\"", pem(&[&a, &b])), "pem_invalid"),
        (format!("Cert=\"{cert}x\""), "pem_invalid"),
        (format!("Cert=\"x{cert}\""), "pem_invalid"),
        (
            format!("Cert=\"{}\"", base64_standard(&a).replace('=', "%3D")),
            "pem_invalid",
        ),
        ("Cert=\"\"".to_owned(), "pem_invalid"),
        (
            format!("Cert=\"{cert}\";Chain=\"{}\"", pem(&[&b, &a])),
            "certificate_contradiction",
        ),
        (format!("Chain=\"{chain}\""), "malformed_certificate_field"),
        (
            "Hash=00;URI=spiffe://td/a".to_owned(),
            "malformed_certificate_field",
        ),
        (
            format!("Cert=\"{cert}\";Other=x"),
            "malformed_certificate_field",
        ),
        (format!("Cert=\"{cert}"), "malformed_certificate_field"),
        (format!("Cert=\"{cert}\"x"), "malformed_certificate_field"),
        (format!("Cert=\"{cert}\";"), "malformed_certificate_field"),
        ("Cert=\"%4\"".to_owned(), "malformed_certificate_field"),
        ("Cert=\"%zz\"".to_owned(), "malformed_certificate_field"),
        ("Cert".to_owned(), "malformed_certificate_field"),
        (String::new(), "malformed_certificate_field"),
        (
            format!("{}Cert=\"{cert}\"", "URI=a;".repeat(64)),
            "malformed_certificate_field",
        ),
    ] {
        assert_eq!(code(one(&value)), expected, "{value}");
    }
    let value = format!("Cert=\"{cert}\"");
    let twice = [
        ("x-forwarded-client-cert", &*value),
        ("x-forwarded-client-cert", &*value),
    ];
    assert_eq!(code(read(&forwarded, &twice)), "multiple_certificates");
}

/// Covers: POP-8705.2-2, POP-8705.6.5-1, POP-A19
#[test]
fn nobody_but_a_trusted_peer_speaks_for_clients() {
    let (a, cert) = (certificate("a"), pem(&[&certificate("b")]));
    let (rfc, xfcc) = (item(&a), format!("Cert=\"{cert}\""));
    let fields = || {
        [
            ("Client-Cert", rfc.as_bytes()),
            ("X-Forwarded-Client-Cert", xfcc.as_bytes()),
        ]
    };
    let (rfc9440, envoy) = (proxies(), envoys());
    assert!(rfc9440.read("stranger", fields()).unwrap().is_none());
    assert!(envoy.read("stranger", fields()).unwrap().is_none());
    // Of the trusted peer, the configured field alone counts.
    assert_eq!(rfc9440.read("proxy", fields()).unwrap().unwrap().leaf(), &a);
    assert_ne!(envoy.read("proxy", fields()).unwrap().unwrap().leaf(), &a);
    // Whatever a stranger writes there is no reason to refuse the request, but goes.
    assert!(
        rfc9440
            .read("stranger", [("client-cert", &b"\xff"[..])])
            .unwrap()
            .is_none()
    );
    for name in CERTIFICATE_FIELDS {
        let underscores = name.replace('-', "_");
        for name in [name, &name.to_uppercase(), &underscores] {
            assert!(
                !rfc9440.keeps("stranger", name) && !envoy.keeps("stranger", name),
                "{name}"
            );
        }
        assert!(!rfc9440.keeps("proxy", &underscores));
    }
    let kept = |forwarded: &dyn Fn(&str) -> bool| -> Vec<&str> {
        CERTIFICATE_FIELDS
            .into_iter()
            .filter(|name| forwarded(name))
            .collect()
    };
    assert_eq!(
        kept(&|name| rfc9440.keeps("proxy", name)),
        ["client-cert", "client-cert-chain"]
    );
    assert_eq!(
        kept(&|name| envoy.keeps("proxy", name)),
        ["x-forwarded-client-cert"]
    );
    assert!(rfc9440.keeps("stranger", "Authorization"));
}

/// Covers: POP-8705.2-2
#[test]
fn a_forwarded_certificate_authenticates_like_one_of_the_connection() {
    use jose_x509::mtls::{Authenticator, RegisteredSubject, Registration};
    let ca = Ca::new();
    let leaf = ca.client("a", vec![uri("urn:a")]);
    let fields = [("client-cert", item(&leaf))];
    let fields = fields.iter().map(|(name, value)| (*name, value.as_bytes()));
    let certificate = proxies().read("proxy", fields).unwrap();
    let subject = RegisteredSubject::parse("tls_client_auth_san_uri", "urn:a").unwrap();
    let registration = Registration::TlsClientAuth(subject);
    let authenticator =
        Authenticator::new(&jose_x509::provider::ring::provider(), ca.anchors()).unwrap();
    let client = authenticator
        .authenticate(
            Some("c"),
            |_| Some(registration),
            certificate.as_ref(),
            crate::support::now(),
        )
        .unwrap();
    assert_eq!(client.client_id(), "c");
}

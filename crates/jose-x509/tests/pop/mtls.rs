use jose_x509::mtls::{
    self, Authenticator, ClientCertificate, MtlsError, RegisteredCertificates, RegisteredSubject,
    Registration,
};
use jose_x509::provider::ring;
use jose_x509::x509::{Certificate, TrustAnchors};
use jose_x509::{Error, Jwk, PublicKey};
use pki_types::CertificateDer;
use rcgen::{KeyPair, SanType};
use serde_json::{Value, json};

use crate::certificates::{Ca, self_signed, uri};
use crate::support::{at, code, now};

fn subject(member: &str, value: &str) -> RegisteredSubject {
    RegisteredSubject::parse(&format!("tls_client_auth_{member}"), value).unwrap()
}

fn authenticate(
    ca: &Ca,
    registered: RegisteredSubject,
    chain: &[CertificateDer<'_>],
) -> &'static str {
    let registration = Registration::TlsClientAuth(registered);
    let authenticator = Authenticator::new(&ring::provider(), ca.anchors()).unwrap();
    let certificate = ClientCertificate::from_tls(chain).unwrap();
    let find = |id: &str| (id == "client").then_some(&registration);
    code(authenticator.authenticate(Some("client"), find, certificate.as_ref(), now()))
}

/// Covers: POP-8705.2.1-1, POP-8705.7.4-1, POP-A21
#[test]
fn anchor_and_subject_both_have_to_be_right() {
    let (ca, other) = (Ca::new(), Ca::new());
    let registered = || subject("subject_dn", "CN=a,O=b");
    assert_eq!(
        authenticate(&ca, registered(), &[ca.client("a", vec![uri("urn:x")])]),
        "valid"
    );
    assert_eq!(
        authenticate(&ca, registered(), &[ca.client("c", vec![uri("urn:x")])]),
        "subject_mismatch"
    );
    // The same name by somebody else, who has the CA's own name, too.
    let refusal = authenticate(&ca, registered(), &[other.client("a", vec![uri("urn:x")])]);
    assert_ne!(refusal, "valid");
    let key = KeyPair::generate().unwrap();
    assert_eq!(
        authenticate(&ca, registered(), &[self_signed("a", &key)]),
        "unknown_issuer"
    );
    // Without explicit anchors there is nothing to check a subject against.
    let empty = Authenticator::new(&ring::provider(), TrustAnchors::default());
    assert_eq!(code(empty), "invalid_option");
    let without = Authenticator::for_self_signed(&ring::provider());
    let chain = [ca.client("a", vec![uri("urn:x")])];
    let certificate = ClientCertificate::from_tls(&chain).unwrap();
    let registration = Registration::TlsClientAuth(registered());
    let refusal = without.authenticate(
        Some("client"),
        |_| Some(&registration),
        certificate.as_ref(),
        now(),
    );
    assert_eq!(code(refusal), "no_trust_anchors");
    let authenticator = Authenticator::new(&ring::provider(), ca.anchors()).unwrap();
    let expired = authenticator.authenticate(
        Some("client"),
        |_| Some(&registration),
        certificate.as_ref(),
        at(2_000_000_000),
    );
    assert_eq!(code(expired), "certificate_expired");
}

/// Covers: POP-8705.2-1, POP-8705.2-3
#[test]
fn client_id_and_certificate_are_both_needed() {
    let ca = Ca::new();
    let chain = [ca.client("a", vec![uri("urn:a")])];
    let certificate = ClientCertificate::from_tls(&chain).unwrap();
    let registration = Registration::TlsClientAuth(subject("san_uri", "urn:a"));
    let authenticator = Authenticator::new(&ring::provider(), ca.anchors()).unwrap();
    let find = |id: &str| (id == "client").then_some(&registration);
    let client = authenticator
        .authenticate(Some("client"), find, certificate.as_ref(), now())
        .unwrap();
    assert_eq!(client.client_id(), "client");
    assert_eq!(
        client.thumbprint(),
        mtls::thumbprint(&ring::provider(), &chain[0])
    );
    for id in [None, Some("")] {
        let refusal = authenticator.authenticate(id, find, certificate.as_ref(), now());
        assert_eq!(refusal, Err(MtlsError::MissingClientId.into()));
    }
    let stranger = authenticator.authenticate(Some("other"), find, certificate.as_ref(), now());
    assert_eq!(stranger, Err(MtlsError::UnknownClient.into()));
    let bare = authenticator.authenticate(Some("client"), find, None, now());
    assert_eq!(bare, Err(MtlsError::MissingCertificate.into()));
    assert_eq!(ClientCertificate::from_tls(&[]).unwrap(), None);
}

fn matches(member: &str, value: &str, names: Vec<SanType>) -> bool {
    let der = Ca::new().client("a", names);
    subject(member, value).matches(&Certificate::parse(&der).unwrap())
}

/// Covers: POP-8705.2.1.2-2, POP-A22
#[test]
fn subject_dn_is_compared_by_structure() {
    let names = || vec![uri("urn:x")];
    for same in ["CN=a,O=b", "cn=a,o=b", "2.5.4.3=a,O=b", "CN=\\61,O=b"] {
        assert!(matches("subject_dn", same, names()), "{same}");
    }
    for other in [
        "O=b,CN=a",
        "CN=A,O=b",
        "CN=a",
        "CN=a+O=b",
        "CN=a,O=b,C=DE",
        "CN=a,O=b\\ ",
        "CN=a\\,O=b",
    ] {
        assert!(!matches("subject_dn", other, names()), "{other}");
    }
    for malformed in ["", "CN=a, O=b", "/O=b/CN=a", "CN=a\\00,O=b", "CN=\"a\",O=b"] {
        let refusal = RegisteredSubject::parse("tls_client_auth_subject_dn", malformed);
        assert_eq!(code(refusal), "invalid_subject", "{malformed}");
    }
}

/// Covers: POP-8705.2.1.2-3
#[test]
fn san_dns_is_one_name_without_wildcards() {
    let dns = |text: &str| vec![SanType::DnsName(text.try_into().unwrap())];
    assert!(matches("san_dns", "Client.Example", dns("client.example")));
    assert!(matches(
        "san_dns",
        "b.example",
        [dns("a.example"), dns("b.example")].concat()
    ));
    for (registered, certified) in [
        ("a.client.example", "*.client.example"),
        ("client.example", "a.client.example"),
        ("a.client.example", "client.example"),
    ] {
        assert!(
            !matches("san_dns", registered, dns(certified)),
            "{registered}"
        );
    }
    // A name of another kind is another name.
    assert!(!matches(
        "san_dns",
        "client.example",
        vec![uri("client:example")]
    ));
    for malformed in ["", "*.client.example", "a..b", "a b", "a/b"] {
        assert_eq!(
            code(RegisteredSubject::parse(
                "tls_client_auth_san_dns",
                malformed
            )),
            "invalid_subject",
            "{malformed}"
        );
    }
}

/// Covers: POP-8705.2.1.2-4, POP-A23
#[test]
fn san_uri_is_compared_whole() {
    let id = "spiffe://td/a";
    assert!(matches("san_uri", id, vec![uri(id)]));
    assert!(matches("san_uri", id, vec![uri("urn:b"), uri(id)]));
    for other in [
        "spiffe://td/a/",
        "spiffe://td/ab",
        "spiffe://td/",
        "spiffe://td",
        "SPIFFE://td/a",
        "spiffe://TD/a",
        "spiffe://td/a?x",
        "spiffe://td/%61",
    ] {
        assert!(!matches("san_uri", id, vec![uri(other)]), "{other}");
        assert!(!matches("san_uri", other, vec![uri(id)]), "{other}");
    }
    for malformed in ["", "td/a", "spiffe:", ":a", "urn:a b"] {
        assert_eq!(
            code(RegisteredSubject::parse(
                "tls_client_auth_san_uri",
                malformed
            )),
            "invalid_subject",
            "{malformed}"
        );
    }
}

/// Covers: POP-8705.2.1.2-5
#[test]
fn san_ip_is_compared_as_octets() {
    let ip = |text: &str| vec![SanType::IpAddress(text.parse().unwrap())];
    for text in ["2001:db8::1", "2001:DB8:0::1", "2001:0db8:0:0:0:0:0:1"] {
        assert!(matches("san_ip", text, ip("2001:db8::1")), "{text}");
    }
    assert!(matches("san_ip", "192.0.2.1", ip("192.0.2.1")));
    assert!(!matches("san_ip", "192.0.2.1", ip("::ffff:192.0.2.1")));
    assert!(!matches("san_ip", "::ffff:192.0.2.1", ip("192.0.2.1")));
    assert!(!matches("san_ip", "192.0.2.2", ip("192.0.2.1")));
    for malformed in ["", "192.0.2", "192.0.2.01", "[::1]", "::1/128", "a.example"] {
        assert_eq!(
            code(RegisteredSubject::parse(
                "tls_client_auth_san_ip",
                malformed
            )),
            "invalid_subject",
            "{malformed}"
        );
    }
}

/// Covers: POP-8705.2.1.2-6
#[test]
fn san_email_has_an_exact_local_part() {
    let email = |text: &str| vec![SanType::Rfc822Name(text.try_into().unwrap())];
    assert!(matches(
        "san_email",
        "Ops@client.example",
        email("Ops@CLIENT.example")
    ));
    for other in [
        "ops@client.example",
        "Ops@other.example",
        "xOps@client.example",
        "Ops@a.client.example",
    ] {
        assert!(
            !matches("san_email", other, email("Ops@client.example")),
            "{other}"
        );
    }
    for malformed in [
        "",
        "ops",
        "@client.example",
        "ops@",
        "a@b@c.example",
        "a b@c.example",
    ] {
        assert_eq!(
            code(RegisteredSubject::parse(
                "tls_client_auth_san_email",
                malformed
            )),
            "invalid_subject",
            "{malformed}"
        );
    }
    assert_eq!(
        code(RegisteredSubject::parse("tls_client_auth_san_other", "x")),
        "invalid_subject"
    );
}

/// A key set with a certificate for each key.
fn jwks(entries: &[(&CertificateDer<'_>, Value)]) -> Vec<u8> {
    let keys: Vec<Value> = entries
        .iter()
        .map(|(der, changes)| {
            let key =
                PublicKey::from_spki_der(Certificate::parse(der).unwrap().spki_der()).unwrap();
            let mut jwk = Jwk::new(key).to_value();
            jwk["x5c"] = json!([base64_standard(der)]);
            crate::support::with(&jwk, changes)
        })
        .collect();
    json!({"keys": keys}).to_string().into_bytes()
}

pub(crate) fn base64_standard(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn self_signed_client(jwks: &[u8], by_key: bool, shown: &CertificateDer<'_>) -> Result<(), Error> {
    let registered = RegisteredCertificates::from_jwks_slice(jwks)?;
    let registered = if by_key {
        registered.matching_by_key()
    } else {
        registered
    };
    let registration = Registration::SelfSignedTlsClientAuth(registered);
    let chain = [shown.clone()];
    let certificate = ClientCertificate::from_tls(&chain)?;
    let authenticator = Authenticator::for_self_signed(&ring::provider());
    authenticator
        .authenticate(
            Some("client"),
            |_| Some(registration),
            certificate.as_ref(),
            now(),
        )
        .map(|_| ())
}

/// Covers: POP-8705.2.2-1, POP-8705.2.2-2, POP-8705.2.2-3, POP-A24
#[test]
fn a_self_signed_certificate_is_a_registered_one() {
    let (key, other_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (old, new) = (self_signed("a", &key), self_signed("a", &other_key));
    let same_key = self_signed("renewed", &key);
    let none = || json!({});
    let registered = jwks(&[(&old, none())]);
    assert_eq!(code(self_signed_client(&registered, false, &old)), "valid");
    // The same subject, and the same key in another certificate.
    assert_eq!(
        code(self_signed_client(&registered, false, &new)),
        "certificate_not_registered"
    );
    assert_eq!(
        code(self_signed_client(&registered, false, &same_key)),
        "certificate_not_registered"
    );
    assert_eq!(
        code(self_signed_client(&registered, true, &same_key)),
        "valid"
    );
    assert_eq!(
        code(self_signed_client(&registered, true, &new)),
        "certificate_not_registered"
    );
    // Neither `kid` nor the SHA-1 of `x5t` stand in for a certificate.
    let kid = json!({"kid": "a", "x5t": "AAAA"});
    assert_eq!(
        code(self_signed_client(&jwks(&[(&old, kid)]), false, &new)),
        "certificate_not_registered"
    );
    // While the client rotates, both are good.
    let both = jwks(&[(&old, none()), (&new, none())]);
    for shown in [&old, &new] {
        assert_eq!(code(self_signed_client(&both, false, shown)), "valid");
    }
    let refusal = self_signed_client(&registered, false, &new).unwrap_err();
    assert!(refusal.refresh_may_help());
    // A certificate of a CA is no better than any other.
    let of_ca = Ca::new().client("a", vec![uri("urn:x")]);
    assert_eq!(
        code(self_signed_client(&registered, false, &of_ca)),
        "certificate_not_registered"
    );
}

/// Covers: POP-8705.2.2.2-1
#[test]
fn a_registered_key_has_its_own_certificate() {
    let (a, b) = (
        self_signed("a", &KeyPair::generate().unwrap()),
        self_signed("b", &KeyPair::generate().unwrap()),
    );
    let read = |jwks: &[u8]| RegisteredCertificates::from_jwks_slice(jwks);
    let x5c = |value: Value| code(read(&jwks(&[(&a, json!({"x5c": value}))])));
    assert_eq!(x5c(Value::Null), "no_registered_certificate");
    assert_eq!(
        x5c(json!([base64_standard(&a), base64_standard(&b)])),
        "valid"
    );
    for bad in [
        json!([]),
        json!("x"),
        json!([1]),
        json!([base64_standard(&b)]),
        json!([base64_standard(&b), base64_standard(&a)]),
        json!([jose_x509::base64url::encode(&a)]),
        json!([format!("{}\n", base64_standard(&a))]),
        json!([base64_standard(&a[1..])]),
        json!([base64_standard(&[&a[..], &[0]].concat())]),
        json!(["A".repeat(100_000)]),
    ] {
        assert_eq!(x5c(bad.clone()), "invalid_x5c");
    }
    // Keys for other purposes are skipped.
    let mixed = read(&jwks(&[
        (&a, json!({"x5c": null})),
        (&b, json!({})),
        (&a, json!({"kty": "new"})),
    ]))
    .unwrap();
    assert_eq!((mixed.certificates().len(), mixed.skipped()), (1, 2));
    assert_eq!(
        code(read(&jwks(&[(&a, json!({"d": "AAAA"}))]))),
        "private_key_material"
    );
    assert_eq!(code(read(b"{}")), "invalid_key");
    assert_eq!(code(read(b"[]")), "json_shape");
    let many = json!({"keys": vec![json!({}); 513]}).to_string();
    assert_eq!(code(read(many.as_bytes())), "too_many_keys");
}

/// Covers: POP-8705.7.5-1
#[test]
fn a_leaf_is_read_by_the_strict_parser() {
    let der = self_signed("a", &KeyPair::generate().unwrap());
    for broken in [
        der[..der.len() - 1].to_vec(),
        [&der[..], &[0]].concat(),
        Vec::new(),
        b"x".to_vec(),
    ] {
        let chain = [CertificateDer::from(broken)];
        assert!(matches!(
            ClientCertificate::from_tls(&chain),
            Err(Error::X509(_))
        ));
    }
    // Version 1, as in RFC 8705 appendix A, has a thumbprint and is otherwise of no use.
    let v1 = include_str!("rfc8705-appendix-a.b64");
    use base64::Engine as _;
    let v1 = base64::engine::general_purpose::STANDARD
        .decode(v1.trim())
        .unwrap();
    let chain = [CertificateDer::from(v1)];
    assert!(matches!(
        ClientCertificate::from_tls(&chain),
        Err(Error::X509(_))
    ));
}

/// Covers: POP-8705.3-1, POP-8705.7.2-1, POP-A25
#[test]
fn the_thumbprint_is_that_of_rfc_8705() {
    use base64::Engine as _;
    let der = base64::engine::general_purpose::STANDARD
        .decode(include_str!("rfc8705-appendix-a.b64").trim())
        .unwrap();
    let text = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";
    let thumbprint = mtls::thumbprint(&ring::provider(), &der);
    assert_eq!(mtls::parse_thumbprint(text).unwrap(), thumbprint);
    for bad in [
        "",
        &text[1..],
        &format!("{text}="),
        &format!("{text}A"),
        "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2",
        "0380ed2f626650c840b2f263e6d2b29fae12ab39ae5db32b25ad27efad72e6fd",
        "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v1",
        "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5+0",
    ] {
        assert_eq!(code(mtls::parse_thumbprint(bad)), "invalid_base64", "{bad}");
    }
    for other in [text.to_uppercase(), text.to_lowercase()] {
        assert_ne!(mtls::parse_thumbprint(&other).ok(), Some(thumbprint));
    }
}

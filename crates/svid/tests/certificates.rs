//! Certificates that no issuer should make, those that ours makes, and how they come and go as files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use jose_x509::sign::SignFuture;
use jose_x509::x509::Certificate;
use jose_x509::{
    Algorithm, AsyncSigner, CryptoProvider, PublicKey, Signer, SigningKey, provider::ring,
};
use pki_types::{CertificateDer, DnsName, UnixTime};
use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair, SanType};
use spiffe_bundle::{Bundle, BundleSet};
use spiffe_id::{SpiffeId, TrustDomain};
use svid::x509::{
    CaProfile, CertificateAuthority, CertificateRequest, Kind, LeafProfile, MAX_REQUEST_SIZE,
    PeerRole, UnverifiedX509Svid, VerifyOptions, X509Svid, lint, verify,
};

const PROVIDER: CryptoProvider = ring::provider();
const ID: &str = "spiffe://a.test/agents/one";
const DAY: Duration = Duration::from_secs(86_400);
const NOW: u64 = 1_800_000_000;
const PARAMETERS: &str =
    "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn td(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

fn id() -> SpiffeId {
    SpiffeId::parse(ID).unwrap()
}

fn key() -> SigningKey {
    SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap()
}

fn code<T>(result: Result<T, svid::Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}

fn anchored(name: &str, anchors: &[&CertificateDer<'_>]) -> BundleSet {
    let builder = Bundle::builder(&PROVIDER, td(name));
    let builder = anchors
        .iter()
        .fold(builder, |b, der| b.with_x509_authority(der));
    let mut set = BundleSet::new();
    set.install(builder.build().unwrap()).unwrap();
    set
}

fn check(chain: &[CertificateDer<'_>], set: &BundleSet) -> &'static str {
    check_at(chain, set, NOW)
}

fn check_at(chain: &[CertificateDer<'_>], set: &BundleSet, now: u64) -> &'static str {
    let options = VerifyOptions::new(PeerRole::Client);
    let algorithms = PROVIDER.certificate_algorithms;
    code(verify(chain, set, &options, algorithms, at(now)))
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        short @ 0..=127 => vec![u8::try_from(short).unwrap()],
        middle @ 128..=255 => vec![0x81, u8::try_from(middle).unwrap()],
        long => {
            let bytes = u16::try_from(long).unwrap().to_be_bytes();
            vec![0x82, bytes[0], bytes[1]]
        }
    };
    [vec![tag], length, content.to_vec()].concat()
}

fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

fn bits(content: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], content].concat())
}

const ECDSA_SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
const ECDSA_SHA1: &[u8] = b"\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01";
const RSA_MD5: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04\x05\x00";
const CRITICAL: &[u8] = b"\x01\x01\xff";

fn extension(arc: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { CRITICAL } else { &[] };
    seq(&[&[6, 3, 0x55, 0x1d, arc], critical, &tlv(4, value)])
}

fn uri_name(uri: &str) -> Vec<u8> {
    tlv(0x86, uri.as_bytes())
}

fn alternative_names(names: &[&[u8]]) -> Vec<u8> {
    extension(17, true, &seq(names))
}

/// A certificate of any content, signed by a CA that would never make it.
struct Raw<'a> {
    algorithm: &'a [u8],
    issuer: Vec<u8>,
    subject: Vec<u8>,
    spki: Vec<u8>,
    from: &'a [u8],
    until: &'a [u8],
    extensions: Vec<Vec<u8>>,
}

impl Raw<'_> {
    /// A good leaf below `ca`.
    fn leaf(ca: &Ca) -> Self {
        Self {
            algorithm: ECDSA_SHA256,
            issuer: Certificate::parse(&ca.der).unwrap().subject().to_vec(),
            subject: vec![0x30, 0],
            spki: key().public_key().to_spki_der().unwrap(),
            from: b"260101000000Z",
            until: b"280101000000Z",
            extensions: vec![
                extension(15, true, b"\x03\x02\x07\x80"),
                alternative_names(&[&uri_name(ID)]),
            ],
        }
    }

    fn signed(&self, by: &SigningKey) -> CertificateDer<'static> {
        self.finish(&der_signature(by, &self.tbs()))
    }

    fn tbs(&self) -> Vec<u8> {
        let validity = seq(&[&tlv(0x17, self.from), &tlv(0x17, self.until)]);
        let extensions: Vec<&[u8]> = self.extensions.iter().map(Vec::as_slice).collect();
        seq(&[
            &tlv(0xa0, &[2, 1, 2]),
            &[2, 1, 7],
            self.algorithm,
            &self.issuer,
            &validity,
            &self.subject,
            &self.spki,
            &tlv(0xa3, &seq(&extensions)),
        ])
    }

    fn finish(&self, signature: &[u8]) -> CertificateDer<'static> {
        seq(&[&self.tbs(), self.algorithm, &bits(signature)]).into()
    }
}

fn der_signature(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let signature = Signer::sign(key, message).unwrap();
    let (r, s) = signature.as_ref().split_at(32);
    let integer = |half: &[u8]| {
        let start = half.iter().position(|b| *b != 0).unwrap();
        let zero: &[u8] = if half[start] & 0x80 == 0 { &[] } else { &[0] };
        tlv(2, &[zero, &half[start..]].concat())
    };
    seq(&[&integer(r), &integer(s)])
}

/// The one RSA key.
fn rsa_key(algorithm: Algorithm) -> SigningKey {
    let text = include_bytes!("../../../test-vectors/keys/rsa2048.jwk.json");
    let mut jwk: serde_json::Value = serde_json::from_slice(text).unwrap();
    jwk["alg"] = algorithm.name().into();
    SigningKey::from_jwk_slice(&PROVIDER, jwk.to_string().as_bytes()).unwrap()
}

struct Ca {
    key: SigningKey,
    der: CertificateDer<'static>,
    authority: CertificateAuthority,
}

fn ca() -> Ca {
    ca_as(&CaProfile::new(30 * DAY), NOW)
}

fn ca_as(profile: &CaProfile, now: u64) -> Ca {
    let key = key();
    let home = td("a.test");
    let authority =
        CertificateAuthority::self_signed_as(&home, key.clone(), profile, at(now)).unwrap();
    let der = authority.certificate().clone();
    Ca {
        key,
        der,
        authority,
    }
}

impl Ca {
    /// A CA of the same trust domain below this one.
    fn below(&self, profile: &CaProfile, now: u64) -> Ca {
        let key = key();
        let home = td("a.test");
        let der = self
            .authority
            .issue_intermediate(&home, key.public_key(), profile, at(now))
            .unwrap();
        let public = key.public_key().clone();
        let authority =
            CertificateAuthority::from_certificate(&PROVIDER, &home, key.clone(), &public, &der)
                .unwrap();
        Ca {
            key,
            der,
            authority,
        }
    }

    fn leaf(&self, now: u64) -> CertificateDer<'static> {
        let key = key();
        self.authority
            .issue_leaf(&id(), key.public_key(), &[], DAY, at(now))
            .unwrap()
    }
}

/// Names that say one thing to one reader and another thing to the next.
///
/// Covers: X509-SVID-A6, X509-SVID-2-2, X509-SVID-5.2-6, X509-SVID-4.2-3, X509-SVID-4.4-2
#[test]
fn forged_extensions() {
    let ca = ca();
    let set = anchored("a.test", &[&ca.der]);
    let judge = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut raw = Raw::leaf(&ca);
        change(&mut raw.extensions);
        check(&[raw.signed(&ca.key)], &set)
    };
    let admin = uri_name("spiffe://a.test/admin");
    assert_eq!(judge(&|_| {}), "valid");
    let twice = judge(&|all| all.push(alternative_names(&[&admin])));
    assert_eq!(twice, "certificate_extension_duplicate");
    let other = tlv(
        0xa0,
        &[
            &[6, 3, 0x55, 4, 3][..],
            &tlv(0xa0, &tlv(0x0c, ID.as_bytes())),
        ]
        .concat(),
    );
    assert_eq!(
        judge(&|all| all[1] = alternative_names(&[&other])),
        "no_uri_name"
    );
    assert_eq!(
        judge(&|all| all[1] = alternative_names(&[&other, &uri_name(ID)])),
        "valid"
    );
    let both = judge(&|all| all[1] = alternative_names(&[&uri_name(ID), &admin]));
    assert_eq!(both, "several_uri_names");
    // Constraints are for signing certificates.
    let constraints = seq(&[&tlv(0xa0, &seq(&[&tlv(0x86, b"a.test")]))]);
    let constrained = judge(&|all| all.push(extension(30, true, &constraints)));
    assert_eq!(constrained, "name_constraints_in_leaf");
    // Purposes count, critical or not.
    let client = seq(&[b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02"]);
    let server = seq(&[b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01"]);
    for critical in [false, true] {
        let judge = |value: &[u8]| judge(&|all| all.push(extension(37, critical, value)));
        assert_eq!(judge(&client), "valid");
        assert_eq!(judge(&server), "extended_key_usage_mismatch");
    }
    let unknown = judge(&|all| all.push(extension(99, true, b"\x05\x00")));
    assert_eq!(unknown, "critical_extension_unsupported");
    assert_eq!(
        judge(&|all| all.push(extension(99, false, b"\x05\x00"))),
        "valid"
    );
}

/// Signatures and keys that only a careless verifier takes.
///
/// Covers: X509-SVID-A12, X509-SVID-A13
#[test]
fn forged_signatures_and_keys() {
    let ca = ca();
    let set = anchored("a.test", &[&ca.der]);
    let good = Raw::leaf(&ca);
    let zero = seq(&[&[2, 1, 0], &[2, 1, 0]]);
    let one = seq(&[&[2, 1, 1], &[2, 1, 0]]);
    for signature in [zero, one, vec![0; 70], seq(&[])] {
        assert_eq!(
            check(&[good.finish(&signature)], &set),
            "certificate_signature_invalid"
        );
    }
    let with_spki = |spki: Vec<u8>| {
        let mut raw = Raw::leaf(&ca);
        raw.spki = spki;
        check(&[raw.signed(&ca.key)], &set)
    };
    let public = key().public_key().to_spki_der().unwrap();
    assert_eq!(with_spki(public.clone()), "valid");
    // The same curve, its generator named by the sender (a field, the coefficients, a point, an order).
    let point = &public[public.len() - 65..];
    let prime = tlv(2, &[&[0], &[0xff; 32][..]].concat());
    let field = seq(&[b"\x06\x07\x2a\x86\x48\xce\x3d\x01\x01", &prime]);
    let curve = seq(&[&tlv(4, &[1; 32]), &tlv(4, &[2; 32])]);
    let explicit = seq(&[&[2, 1, 1], &field, &curve, &tlv(4, point), &prime]);
    let ec = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
    let forged = seq(&[&seq(&[ec, &explicit]), &bits(point)]);
    assert_eq!(with_spki(forged), "certificate_key_parameters");
    let p256 = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
    let off = seq(&[&seq(&[ec, p256]), &bits(&[&[4][..], &[1; 64]].concat())]);
    assert!(PublicKey::from_spki_der(&off).is_err());
    let short = with_spki(seq(&[&seq(&[ec, p256]), &bits(&point[..33])]));
    assert_ne!(short, "valid");
    let rsa = |octets: usize| {
        let n = tlv(2, &[&[0], &vec![0xc1; octets][..]].concat());
        let key = seq(&[&n, &[2, 3, 1, 0, 1]]);
        let algorithm = seq(&[b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", &[5, 0]]);
        with_spki(seq(&[&algorithm, &bits(&key)]))
    };
    assert_eq!((rsa(128), rsa(256)), ("certificate_key_weak", "valid"));
    for algorithm in [ECDSA_SHA1, RSA_MD5] {
        let mut raw = Raw::leaf(&ca);
        raw.algorithm = algorithm;
        let refused = check(&[raw.signed(&ca.key)], &set);
        assert_eq!(refused, "certificate_algorithm_unsupported");
    }
    // Under a weak intermediate nothing is found, nor under one whose key is no point of its curve.
    let mut weak = Raw::leaf(&ca);
    weak.subject = Certificate::parse(&ca.der).unwrap().subject().to_vec();
    weak.algorithm = ECDSA_SHA1;
    weak.extensions = vec![
        extension(19, true, &seq(&[CRITICAL])),
        extension(15, true, b"\x03\x02\x02\x04"),
    ];
    let middle = key();
    weak.spki = middle.public_key().to_spki_der().unwrap();
    let below = good.signed(&middle);
    assert_ne!(check(&[below.clone(), weak.signed(&ca.key)], &set), "valid");
    weak.algorithm = ECDSA_SHA256;
    assert_eq!(check(&[below.clone(), weak.signed(&ca.key)], &set), "valid");
    weak.spki = off;
    assert_ne!(check(&[below, weak.signed(&ca.key)], &set), "valid");
}

/// A signing certificate is no credential, whatever it is named.
///
/// Covers: X509-SVID-3.1-4, X509-SVID-3.2-7, X509-SVID-A1, X509-SVID-3.2-3
#[test]
fn signing_certificates_identify_nobody() {
    let ca = ca();
    let set = anchored("a.test", &[&ca.der]);
    let middle = ca.below(&CaProfile::new(DAY), NOW);
    for chain in [
        vec![ca.der.clone()],
        vec![middle.der.clone(), ca.der.clone()],
    ] {
        assert_eq!(check(&chain, &set), "spiffe_id_without_path");
    }
    // One that names a workload, and one that only may sign.
    let signing: [Vec<Vec<u8>>; 2] = [
        vec![
            extension(19, true, &seq(&[CRITICAL])),
            extension(15, true, b"\x03\x02\x02\x84"),
        ],
        vec![extension(15, true, b"\x03\x02\x02\x84")],
    ];
    let expected = [
        ("ca_used_as_leaf", "authority_name"),
        ("leaf_with_ca_key_usage", "issuer_not_ca"),
    ];
    for (extensions, (expected, of_authority)) in signing.into_iter().zip(expected) {
        let mut raw = Raw::leaf(&ca);
        raw.subject = Certificate::parse(&middle.der).unwrap().subject().to_vec();
        raw.extensions = [extensions, vec![alternative_names(&[&uri_name(ID)])]].concat();
        let named = raw.signed(&ca.key);
        assert_eq!(check(std::slice::from_ref(&named), &set), expected);
        // Nor does a CA go on with a certificate that has a path.
        let (home, public) = (td("a.test"), key().public_key().clone());
        let refused =
            CertificateAuthority::from_certificate(&PROVIDER, &home, key(), &public, &named);
        assert_eq!(code(refused), of_authority);
    }
}

/// The path: its times, its signatures, its rights, and a bound on the search for it.
///
/// Covers: X509-SVID-5.1-1, X509-SVID-A11, X509-SVID-A16, X509-SVID-3.2-6, X509-SVID-4.1-1, X509-SVID-4.2-2, X509-SVID-A14
#[test]
fn paths() {
    let root = ca();
    let set = anchored("a.test", &[&root.der]);
    let day = DAY.as_secs();
    let middle = root.below(&CaProfile::new(5 * DAY), NOW);
    let lowest = middle.below(&CaProfile::new(5 * DAY).with_path_len(0), NOW);
    let chain = [lowest.leaf(NOW), lowest.der.clone(), middle.der.clone()];
    assert_eq!(check(&chain, &set), "valid");
    assert_eq!(check_at(&chain, &set, NOW + day), "valid");
    assert_eq!(check_at(&chain, &set, NOW + day + 1), "certificate_expired");
    assert_eq!(
        check_at(&chain, &set, NOW - 31),
        "certificate_not_yet_valid"
    );
    assert_eq!(
        check(&[chain[0].clone(), middle.der.clone()], &set),
        "unknown_issuer"
    );

    // An intermediate that is over, with a leaf that is not.
    let later = NOW + 6 * day;
    let mut raw = Raw::leaf(&lowest);
    let leaf = raw.signed(&lowest.key);
    let over = [leaf, lowest.der.clone(), middle.der.clone()];
    assert_eq!(check(&over, &set), "valid");
    assert_eq!(check_at(&over, &set, later), "certificate_expired");
    // An anchor that is over, alone and beside its successor under another key.
    let next = ca_as(&CaProfile::new(90 * DAY), NOW);
    raw.issuer = Certificate::parse(&root.der).unwrap().subject().to_vec();
    let of_root = [raw.signed(&root.key)];
    let month = NOW + 31 * day;
    assert_eq!(check(&of_root, &set), "valid");
    assert_eq!(check_at(&of_root, &set, month), "anchor_expired");
    let rotated = anchored("a.test", &[&root.der, &next.der]);
    assert_eq!(check_at(&of_root, &rotated, month), "anchor_expired");
    let of_next = [next.leaf(month)];
    assert_eq!(check_at(&of_next, &rotated, month), "valid");

    // One bit of the signed part.
    let mut flipped = of_root[0].to_vec();
    let serial = flipped
        .windows(3)
        .position(|part| part == [2, 1, 7])
        .unwrap();
    flipped[serial + 2] = 8;
    assert_eq!(
        check(&[flipped.into()], &set),
        "certificate_signature_invalid"
    );

    // A CA without the right to sign certificates, and one with a limit on URIs, which is not evaluated.
    let ca_constraints = extension(19, true, &seq(&[CRITICAL]));
    let sign = extension(15, true, b"\x03\x02\x02\x04");
    let names = |list: u8, host: &str| {
        let subtrees = tlv(list, &seq(&[&uri_name(host)]));
        extension(30, true, &seq(&[&subtrees]))
    };
    for (extensions, expected) in [
        (vec![ca_constraints.clone(), sign.clone()], "valid"),
        (
            vec![
                ca_constraints.clone(),
                extension(15, true, b"\x03\x02\x07\x80"),
            ],
            "key_cert_sign_missing",
        ),
        (vec![sign.clone()], "issuer_not_ca"),
        (
            vec![
                ca_constraints.clone(),
                sign.clone(),
                extension(99, true, &[5, 0]),
            ],
            "critical_extension_unsupported",
        ),
        (
            vec![
                ca_constraints.clone(),
                sign.clone(),
                names(0xa0, "other.test"),
            ],
            "name_constraint_violation",
        ),
        (
            vec![ca_constraints.clone(), sign.clone(), names(0xa0, "a.test")],
            "name_constraint_violation",
        ),
        (
            vec![ca_constraints.clone(), sign.clone(), names(0xa1, "a.test")],
            "name_constraint_violation",
        ),
    ] {
        let mut raw = Raw::leaf(&root);
        let own = key();
        raw.subject = seq(&[&tlv(
            0x31,
            &seq(&[b"\x06\x03\x55\x04\x03", &tlv(0x0c, b"odd")]),
        )]);
        raw.spki = own.public_key().to_spki_der().unwrap();
        raw.extensions = extensions;
        let odd = raw.signed(&root.key);
        let mut leaf = Raw::leaf(&root);
        leaf.issuer = raw.subject.clone();
        assert_eq!(check(&[leaf.signed(&own), odd], &set), expected);
    }

    // CAs that certify each other under one name: the search ends soon, with an error.
    let mut raw = Raw::leaf(&root);
    raw.subject = seq(&[&tlv(
        0x31,
        &seq(&[b"\x06\x03\x55\x04\x03", &tlv(0x0c, b"loop")]),
    )]);
    raw.issuer = raw.subject.clone();
    raw.extensions = vec![ca_constraints, sign];
    let keys: Vec<SigningKey> = (0..300).map(|_| key()).collect();
    let cross: Vec<CertificateDer<'static>> = (0..300)
        .map(|n| {
            raw.spki = keys[n].public_key().to_spki_der().unwrap();
            raw.signed(&keys[(n + 1) % keys.len()])
        })
        .collect();
    let mut leaf = Raw::leaf(&root);
    leaf.issuer = raw.subject.clone();
    let leaf = leaf.signed(&keys[0]);
    let chain = |count: usize| [vec![leaf.clone()], cross[..count].to_vec()].concat();
    let began = Instant::now();
    assert_eq!(check(&chain(300), &set), "too_many_certificates");
    assert_ne!(check(&chain(7), &set), "valid");
    assert!(began.elapsed() < Duration::from_secs(2));
    // 10 MB of hostile certificates.
    let huge = CertificateDer::from(tlv(0x30, &[0; 60_000]));
    assert_eq!(
        check(std::slice::from_ref(&huge), &set),
        "certificate_too_large"
    );
    let many: Vec<_> = std::iter::once(leaf)
        .chain(std::iter::repeat_n(huge, 170))
        .collect();
    assert_eq!(check(&many, &set), "too_many_certificates");
}

/// What a CA may be, and that its children keep to it.
///
/// Covers: X509-SVID-4.3-3, X509-SVID-4.1-1, X509-SVID-3.2-6, X509-SVID-4.3-5, X509-SVID-4.3-8
#[test]
fn profiles() {
    let usage = |der: &CertificateDer<'_>| Certificate::parse(der).unwrap().key_usage().unwrap();
    let path_len = |ca: &Ca| {
        let parsed = Certificate::parse(&ca.der).unwrap();
        parsed.basic_constraints().unwrap().path_len
    };
    let plain = CaProfile::new(5 * DAY);
    assert!(usage(&ca_as(&plain, NOW).der).crl_sign());
    let silent = plain.clone().without_crl_sign();
    assert!(!usage(&ca_as(&silent, NOW).der).crl_sign());

    let root = ca_as(&plain.clone().with_path_len(2), NOW);
    let middle = root.below(&plain, NOW);
    assert_eq!((path_len(&root), path_len(&middle)), (Some(2), Some(1)));
    let lowest = middle.below(&plain.clone().with_path_len(0), NOW);
    let own = key();
    let issue = |ca: &Ca, profile: &CaProfile, now: u64| {
        let made =
            ca.authority
                .issue_intermediate(&td("a.test"), own.public_key(), profile, at(now));
        code(made)
    };
    assert_eq!(issue(&lowest, &plain, NOW), "path_len");
    assert_eq!(
        issue(&middle, &plain.clone().with_path_len(1), NOW),
        "path_len"
    );
    assert_eq!(
        issue(&middle, &plain, NOW + 6 * DAY.as_secs()),
        "authority_not_valid"
    );
    assert_eq!(
        issue(&middle, &CaProfile::new(Duration::ZERO), NOW),
        "invalid_option"
    );
    let set = anchored("a.test", &[&root.der]);
    let chain = [lowest.leaf(NOW), middle.der.clone(), lowest.der.clone()];
    assert_eq!(check(&chain, &set), "valid");
    // Nothing outlives its issuer.
    let long = ca_as(&plain, NOW).below(&CaProfile::new(90 * DAY), NOW);
    let end = Certificate::parse(&long.der).unwrap().not_after();
    assert_eq!(end, at(NOW + 5 * DAY.as_secs()));

    // A CA of another trust domain below this one vouches for that one's names, to whom has this root.
    let theirs = key();
    let der = root
        .authority
        .issue_intermediate(&td("b.test"), theirs.public_key(), &plain, at(NOW))
        .unwrap();
    let public = theirs.public_key().clone();
    let from = CertificateAuthority::from_certificate;
    let theirs = from(&PROVIDER, &td("b.test"), theirs, &public, &der).unwrap();
    let x = SpiffeId::parse("spiffe://b.test/x").unwrap();
    let leaf = theirs
        .issue_leaf(&x, own.public_key(), &[], DAY, at(NOW))
        .unwrap();
    let chain = [leaf, der];
    assert_eq!(check(&chain, &anchored("b.test", &[&root.der])), "valid");
    assert_eq!(check(&chain, &set), "no_bundle");
    let foreign = theirs.issue_leaf(&id(), own.public_key(), &[], DAY, at(NOW));
    assert_eq!(code(foreign), "foreign_subject");

    let names = [DnsName::try_from("one.a.test").unwrap()];
    let plain = LeafProfile::new(DAY).with_dns_names(&names);
    let (enciphers, agrees) = (
        plain.clone().with_key_encipherment(),
        plain.clone().with_key_agreement(),
    );
    let (rsa, p384, edwards) = (
        rsa_key(Algorithm::Rs256),
        SigningKey::generate(&PROVIDER, Algorithm::Es384).unwrap(),
        SigningKey::generate(&PROVIDER, Algorithm::Ed25519).unwrap(),
    );
    // Each key with what it can do, and with nothing else.
    for (own, may_encipher, may_agree) in [
        (&rsa, true, false),
        (&own, false, true),
        (&p384, false, true),
        (&edwards, false, false),
    ] {
        for (profile, may) in [
            (&plain, true),
            (&enciphers, may_encipher),
            (&agrees, may_agree),
        ] {
            let public = own.public_key();
            let leaf = root
                .authority
                .issue_leaf_as(&id(), public, profile, at(NOW));
            if !may {
                assert_eq!(code(leaf), "invalid_option", "{profile:?}");
                continue;
            }
            let leaf = leaf.unwrap();
            let bits = usage(&leaf);
            assert!(bits.digital_signature());
            assert_eq!(bits.key_encipherment(), std::ptr::eq(profile, &enciphers));
            assert_eq!(bits.key_agreement(), std::ptr::eq(profile, &agrees));
            assert_eq!(lint(&leaf, Kind::Leaf).unwrap(), []);
            assert_eq!(check(&[leaf], &set), "valid");
        }
    }
}

/// A CA that others have made keeps within its time, and what it issues names its key by an identifier even if its own
/// certificate does not.
///
/// Covers: X509-SVID-3.2-2
#[test]
fn authorities_of_others() {
    let root = ca();
    let own = key();
    let mut raw = Raw::leaf(&root);
    raw.subject = seq(&[&tlv(
        0x31,
        &seq(&[b"\x06\x03\x55\x04\x03", &tlv(0x0c, b"older")]),
    )]);
    raw.spki = own.public_key().to_spki_der().unwrap();
    raw.extensions = vec![
        extension(19, true, &seq(&[CRITICAL])),
        extension(15, true, b"\x03\x02\x02\x04"),
    ];
    // Ten seconds before `NOW`, which is 2027-01-15T08:00:00Z.
    raw.from = b"270115075950Z";
    let (home, public) = (td("a.test"), own.public_key().clone());
    let go_on = |der: &CertificateDer<'_>| {
        CertificateAuthority::from_certificate(&PROVIDER, &home, own.clone(), &public, der)
    };
    // Without a name, which is only recommended; with others it is somebody else's.
    let der = raw.signed(&root.key);
    let older = go_on(&der).unwrap();
    for (names, expected) in [
        (&["spiffe://a.test"][..], "valid"),
        (&["spiffe://b.test"], "authority_name"),
        (&["spiffe://a.test/ca"], "authority_name"),
        (&["spiffe://a.test", "spiffe://a.test"], "authority_name"),
        (&["spiffe://a.test", "https://a.test"], "authority_name"),
    ] {
        let list: Vec<Vec<u8>> = names.iter().map(|name| uri_name(name)).collect();
        let list: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
        let mut named = Raw::leaf(&root);
        named.spki.clone_from(&raw.spki);
        named.subject.clone_from(&raw.subject);
        named.extensions.clone_from(&raw.extensions);
        named.extensions.push(alternative_names(&list));
        assert_eq!(code(go_on(&named.signed(&root.key))), expected, "{names:?}");
    }

    let leaf = older.issue_leaf(&id(), key().public_key(), &[], DAY, at(NOW));
    let leaf = leaf.unwrap();
    let set = anchored("a.test", &[&root.der]);
    assert_eq!(check(&[leaf.clone(), der.clone()], &set), "valid");
    // Thirty seconds before would be before the CA.
    let parsed = Certificate::parse(&leaf).unwrap();
    assert_eq!(parsed.not_before(), at(NOW - 10));
    assert_eq!(
        Certificate::parse(&root.leaf(NOW + 60))
            .unwrap()
            .not_before(),
        at(NOW + 30)
    );
    let named = root.below(&CaProfile::new(DAY), NOW);
    let of = |ca: &CertificateDer<'_>| {
        let ca = Certificate::parse(ca).unwrap();
        ca.subject_key_identifier().map(<[u8]>::to_vec)
    };
    assert_eq!(of(&der), None);
    let ours = CertificateAuthority::self_signed(&home, own.clone(), DAY, at(NOW)).unwrap();
    let expected = of(ours.certificate()).unwrap();
    assert_eq!(parsed.authority_key_identifier(), Some(&expected[..]));
    let below = older.issue_intermediate(&home, &public, &CaProfile::new(DAY), at(NOW));
    let below = below.unwrap();
    let below = Certificate::parse(&below).unwrap();
    assert_eq!(below.authority_key_identifier(), Some(&expected[..]));
    let leaf = named.leaf(NOW);
    let leaf = Certificate::parse(&leaf).unwrap();
    assert_eq!(leaf.authority_key_identifier(), of(&named.der).as_deref());
}

/// A CA has the key that its certificate says.
#[test]
fn authorities_hold_their_key() {
    let (home, profile) = (td("a.test"), CaProfile::new(DAY));
    for algorithm in [
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Es512,
        Algorithm::Ed25519,
        Algorithm::EdDsa,
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
    ] {
        let signer = match algorithm {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => rsa_key(algorithm),
            _ => SigningKey::generate(&PROVIDER, algorithm).unwrap(),
        };
        let own = signer.public_key().clone();
        let make = |public: &PublicKey| {
            let signer = signer.clone();
            let with = CertificateAuthority::self_signed_with;
            with(&PROVIDER, &home, signer, public, &profile, at(NOW))
        };
        let made = make(&own).unwrap();
        let set = anchored("a.test", &[made.certificate()]);
        let leaf = made.issue_leaf(&id(), key().public_key(), &[], DAY, at(NOW));
        // `ring` verifies no certificate by P-521.
        let expected = match algorithm {
            Algorithm::Es512 => "certificate_algorithm_unsupported",
            _ => "valid",
        };
        assert_eq!(check(&[leaf.unwrap()], &set), expected, "{algorithm}");
        for kind in [Algorithm::Es256, Algorithm::Es384, Algorithm::Ed25519] {
            let other = SigningKey::generate(&PROVIDER, kind).unwrap();
            let refused = make(other.public_key());
            assert_eq!(code(refused), "key_mismatch", "{algorithm} {kind}");
        }
    }
    // An existing certificate, and a signer of another kind.
    let ca = ca();
    let signer = SigningKey::generate(&PROVIDER, Algorithm::Es384).unwrap();
    let from = CertificateAuthority::from_certificate;
    let refused = from(&PROVIDER, &home, signer, ca.key.public_key(), &ca.der);
    assert_eq!(code(refused), "key_mismatch");
}

/// Names that no validator takes are refused before anything is signed.
#[test]
fn names_that_nobody_accepts_are_not_issued() {
    let ca = ca();
    let set = anchored("a.test", &[&ca.der]);
    let many = |count: usize, label: usize| -> Vec<String> {
        let long = "a".repeat(label);
        (0..count).map(|n| format!("{long}{n}.a.test")).collect()
    };
    for (names, expected) in [
        (many(1, 1), "valid"),
        (many(255, 1), "valid"),
        (many(256, 1), "unacceptable_certificate"),
        (many(600, 59), "unacceptable_certificate"),
        (vec!["a.test.".to_owned()], "unacceptable_certificate"),
    ] {
        let names: Vec<DnsName<'_>> = names
            .iter()
            .map(|name| DnsName::try_from(name.as_str()).unwrap())
            .collect();
        let own = key();
        let leaf = ca
            .authority
            .issue_leaf(&id(), own.public_key(), &names, DAY, at(NOW));
        if expected == "valid" {
            assert_eq!(check(&[leaf.unwrap()], &set), "valid", "{}", names.len());
        } else {
            assert_eq!(code(leaf), expected, "{}", names.len());
        }
    }
}

/// What is issued is clean, and each field that is not is named.
///
/// Covers: X509-SVID-AppA-1, X509-SVID-AppA-2, X509-SVID-4.3-1, X509-SVID-4.1-3, X509-SVID-4.3-8
#[test]
fn the_field_table() {
    let ca = ca();
    let middle = ca.below(&CaProfile::new(DAY).without_crl_sign(), NOW);
    for der in [&ca.der, &middle.der] {
        assert_eq!(lint(der, Kind::Signing).unwrap(), []);
        let as_leaf = lint(der, Kind::Leaf).unwrap();
        let fields: Vec<_> = as_leaf.iter().map(|finding| finding.field.name()).collect();
        assert_eq!(
            fields,
            ["subjectAltName", "basicConstraints", "keyUsage", "keyUsage"]
        );
    }
    let leaf = middle.leaf(NOW);
    assert_eq!(lint(&leaf, Kind::Leaf).unwrap(), []);
    assert_eq!(lint(&leaf, Kind::Signing).unwrap().len(), 4);

    let found = |kind: Kind, extensions: Vec<Vec<u8>>| {
        let mut raw = Raw::leaf(&ca);
        raw.subject = seq(&[&tlv(
            0x31,
            &seq(&[b"\x06\x03\x55\x04\x03", &tlv(0x0c, b"x")]),
        )]);
        raw.extensions = extensions;
        let der = raw.signed(&ca.key);
        let findings = lint(&der, kind).unwrap();
        assert!(
            findings
                .iter()
                .all(|finding| finding.to_string().contains(": "))
        );
        findings
            .iter()
            .map(|finding| finding.requirement)
            .collect::<Vec<_>>()
    };
    let digital = extension(15, true, b"\x03\x02\x07\x80");
    let name = alternative_names(&[&uri_name(ID)]);
    let domain = alternative_names(&[&uri_name("spiffe://a.test")]);
    let both = alternative_names(&[&uri_name(ID), &uri_name(ID)]);
    let cert_sign = extension(15, true, b"\x03\x02\x02\x04");
    let is_ca = extension(19, true, &seq(&[CRITICAL]));
    let server = seq(&[b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01"]);
    let constraints = seq(&[&tlv(0xa0, &seq(&[&tlv(0x86, b"a.test")]))]);
    let leaf = |extra: Option<Vec<u8>>| {
        let base = vec![digital.clone(), name.clone()];
        found(Kind::Leaf, base.into_iter().chain(extra).collect())
    };
    assert!(leaf(None).is_empty());
    assert_eq!(
        leaf(Some(extension(37, false, &server))),
        ["X509-SVID-4.4-3"]
    );
    // The key is one of P-256.
    for (usage, expected) in [
        (b"\x03\x02\x05\xa0", &["X509-SVID-4.3-8"][..]),
        (b"\x03\x02\x03\x88", &[]),
        (b"\x03\x02\x03\xa8", &["X509-SVID-4.3-8"]),
    ] {
        let usage = extension(15, true, usage);
        assert_eq!(found(Kind::Leaf, vec![usage, name.clone()]), expected);
    }
    let edwards = SigningKey::generate(&PROVIDER, Algorithm::Ed25519).unwrap();
    let mut raw = Raw::leaf(&ca);
    raw.spki = edwards.public_key().to_spki_der().unwrap();
    raw.extensions[0] = extension(15, true, b"\x03\x02\x03\x88");
    let agrees = lint(&raw.signed(&ca.key), Kind::Leaf).unwrap();
    assert_eq!(agrees[0].requirement, "X509-SVID-4.3-8");
    assert_eq!(leaf(Some(is_ca.clone())), ["X509-SVID-4.1-3"]);
    assert_eq!(
        leaf(Some(extension(30, true, &constraints))),
        ["X509-SVID-4.2-3"]
    );
    for (extensions, expected) in [
        (vec![digital.clone()], &["X509-SVID-2-2"][..]),
        (vec![digital.clone(), both], &["X509-SVID-2-2"]),
        (vec![digital.clone(), domain.clone()], &["X509-SVID-2-2"]),
        (vec![name.clone()], &["X509-SVID-4.3-1", "X509-SVID-4.3-4"]),
        (
            vec![extension(15, false, b"\x03\x02\x07\x80"), name.clone()],
            &["X509-SVID-4.3-1"],
        ),
        (
            vec![extension(15, true, b"\x03\x02\x01\x82"), name.clone()],
            &["X509-SVID-4.3-6"],
        ),
    ] {
        assert_eq!(found(Kind::Leaf, extensions), expected);
    }
    for (extensions, expected) in [
        (vec![is_ca.clone(), cert_sign.clone()], &[][..]),
        (vec![is_ca.clone(), cert_sign.clone(), domain], &[]),
        (
            vec![is_ca.clone(), cert_sign.clone(), name],
            &["X509-SVID-3.2-3"],
        ),
        (vec![cert_sign], &["X509-SVID-4.1-2"]),
        (
            vec![is_ca.clone(), digital],
            &["X509-SVID-4.3-2", "X509-SVID-AppA-2"],
        ),
        (
            vec![is_ca, extension(15, true, b"\x03\x02\x02\x84")],
            &["X509-SVID-AppA-2"],
        ),
    ] {
        assert_eq!(found(Kind::Signing, extensions), expected);
    }
    assert_eq!(
        code(lint(&CertificateDer::from(vec![1]), Kind::Leaf)),
        "certificate_malformed"
    );
}

/// A workload asks for a certificate and shows its key; what it asks for besides is not given.
#[test]
fn certification_requests() {
    let ca = ca();
    let set = anchored("a.test", &[&ca.der]);
    let own = KeyPair::generate().unwrap();
    let request = |uris: &[&str]| {
        let mut params = CertificateParams::new(vec!["evil.test".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::NoCa;
        params.subject_alt_names.extend(
            uris.iter()
                .map(|uri| SanType::URI((*uri).try_into().unwrap())),
        );
        params.serialize_request(&own).unwrap()
    };
    let read = |uris: &[&str]| CertificateRequest::from_der(&PROVIDER, request(uris).der());
    let plain = read(&[]).unwrap();
    assert_eq!(plain.requested_spiffe_id(), None);
    let named = read(&[ID]).unwrap();
    assert_eq!(named.requested_spiffe_id(), Some(&id()));
    let pem = request(&[ID]).pem().unwrap();
    assert_eq!(
        CertificateRequest::from_pem(&PROVIDER, &pem).unwrap(),
        named
    );
    let profile = LeafProfile::new(DAY);
    for request in [&plain, &named] {
        let leaf = ca
            .authority
            .issue_for_request(&id(), request, &profile, at(NOW))
            .unwrap();
        let parsed = Certificate::parse(&leaf).unwrap();
        assert_eq!(parsed.uri_names().collect::<Vec<_>>(), [ID]);
        assert_eq!(parsed.dns_names().count(), 0);
        assert_eq!(
            parsed.spki_der(),
            request.public_key().to_spki_der().unwrap()
        );
        assert_eq!(
            (lint(&leaf, Kind::Leaf).unwrap(), check(&[leaf], &set)),
            (vec![], "valid")
        );
    }
    let two = SpiffeId::parse("spiffe://a.test/two").unwrap();
    let other = ca
        .authority
        .issue_for_request(&two, &named, &profile, at(NOW));
    assert_eq!(code(other), "request_other_spiffe_id");
    assert_eq!(code(read(&[ID, ID])), "request_several_uri_names");
    assert_eq!(code(read(&["spiffe://a.test"])), "spiffe_id_without_path");
    assert_eq!(code(read(&["https://a.test/x"])), "spiffe_id");

    let good = request(&[ID]);
    let good = good.der().as_ref();
    let from = |der: &[u8]| code(CertificateRequest::from_der(&PROVIDER, der));
    for at in 0..good.len() {
        let mut changed = good.to_vec();
        changed[at] ^= 1;
        assert_ne!(from(&changed), "valid", "octet {at}");
    }
    for end in 0..good.len() {
        assert_eq!(from(&good[..end]), "request_malformed");
    }
    assert_eq!(from(&[good, &[0]].concat()), "request_malformed");
    assert_eq!(from(&vec![0x30; MAX_REQUEST_SIZE + 1]), "request_too_large");
    let der_as_pem = CertificateRequest::from_pem(&PROVIDER, "no block");
    assert_eq!(code(der_as_pem), "request_malformed");
    let long = "-".repeat(MAX_REQUEST_SIZE * 2);
    assert_eq!(
        code(CertificateRequest::from_pem(&PROVIDER, &long)),
        "request_too_large"
    );
    for (bits, algorithm) in [
        (256, &rcgen::PKCS_ECDSA_P256_SHA256),
        (384, &rcgen::PKCS_ECDSA_P384_SHA384),
        (255, &rcgen::PKCS_ED25519),
    ] {
        let own = KeyPair::generate_for(algorithm).unwrap();
        let request = CertificateParams::default()
            .serialize_request(&own)
            .unwrap();
        assert_eq!(from(request.der()), "valid", "{bits}");
    }
}

/// As bytes and as files, there and back; whatever does not belong together is refused.
#[test]
fn files() {
    let root = ca();
    let middle = root.below(&CaProfile::new(DAY), NOW);
    for algorithm in [
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Es512,
        Algorithm::Ed25519,
    ] {
        let own = SigningKey::generate(&PROVIDER, algorithm).unwrap();
        let leaf = middle
            .authority
            .issue_leaf(&id(), own.public_key(), &[], DAY, at(NOW))
            .unwrap();
        let svid = X509Svid::new(vec![leaf, middle.der.clone()], own.clone()).unwrap();
        let der = svid.chain_der();
        let parsed = UnverifiedX509Svid::parse_der(&der, own.expose_pkcs8_der()).unwrap();
        assert_eq!(parsed.unverified_spiffe_id(), &id());
        assert_eq!(parsed.unverified_chain(), svid.chain());
        assert_eq!(parsed.unverified_not_after(), svid.not_after());
        let again = parsed.load(&PROVIDER).unwrap();
        assert_eq!(
            (again.chain(), again.spiffe_id()),
            (svid.chain(), svid.spiffe_id())
        );
        let (chain, key) = (
            svid.chain_pem().unwrap(),
            svid.expose_private_key_pem().unwrap(),
        );
        let again = X509Svid::from_pem(&PROVIDER, &chain, &key).unwrap();
        assert_eq!(again.chain(), svid.chain());
        assert_eq!(again.key().expose_pkcs8_der(), own.expose_pkcs8_der());
        let mut keys = vec![key.to_string()];
        if algorithm != Algorithm::Ed25519 {
            let sec1 = own.expose_sec1_pem().unwrap();
            // As `openssl ecparam -genkey` writes it.
            keys.push(format!("{PARAMETERS}{}", *sec1));
            keys.push(sec1.to_string());
        }
        let shown = chain.replace("-----BEGIN", "subject=CN = x\nissuer=CN = y\n-----BEGIN");
        for key in keys {
            // Text around the blocks, as OpenSSL prints it.
            let noted = format!("Bag Attributes\n    friendlyName: x\n{key}\nthe end\n");
            let dos = |text: &str| text.replace('\n', "\r\n");
            for (chain, key) in [
                (&chain, &key),
                (&shown, &noted),
                (&dos(&shown), &dos(&noted)),
            ] {
                let again = X509Svid::from_pem(&PROVIDER, chain, key).unwrap();
                assert_eq!(again.chain(), svid.chain());
                assert_eq!(again.key().expose_pkcs8_der(), own.expose_pkcs8_der());
            }
            // Other blocks are no text.
            let both = format!("{key}{chain}");
            let refused = X509Svid::from_pem(&PROVIDER, &both, &key).unwrap_err();
            assert_eq!(refused.code(), "pem_invalid");
            let refused = X509Svid::from_pem(&PROVIDER, &chain, &both).unwrap_err();
            assert_eq!(refused.code(), "invalid_key");
            let twice = format!("{PARAMETERS}{PARAMETERS}{key}");
            let refused = X509Svid::from_pem(&PROVIDER, &chain, &twice).unwrap_err();
            assert_eq!(refused.code(), "invalid_key");
        }
    }
    let own = key();
    let leaf = root
        .authority
        .issue_leaf(&id(), own.public_key(), &[], DAY, at(NOW))
        .unwrap();
    let der = own.expose_pkcs8_der();
    let parse = |parts: &[&[u8]], key: &[u8]| UnverifiedX509Svid::parse_der(&parts.concat(), key);
    assert_eq!(code(parse(&[], der)), "empty_chain");
    assert_eq!(code(parse(&[&leaf], der)), "valid");
    assert_eq!(code(parse(&[&leaf, &root.der], der)), "valid");
    assert_eq!(
        code(parse(&[&root.der, &leaf], der)),
        "spiffe_id_without_path"
    );
    assert_eq!(code(parse(&[&leaf, &leaf], der)), "issuer_not_ca");
    assert_eq!(code(parse(&[&leaf, &[0]], der)), "certificate_malformed");
    assert_eq!(
        code(parse(&[&leaf[..leaf.len() - 1]], der)),
        "certificate_malformed"
    );
    assert_eq!(
        code(parse(&[leaf.as_ref(); 9], der)),
        "too_many_certificates"
    );
    assert_eq!(
        code(parse(&[&vec![0x30; 1024 * 1024]], der)),
        "chain_too_large"
    );
    assert_eq!(code(parse(&[&leaf], &der[..der.len() - 1])), "invalid_key");
    assert_eq!(code(parse(&[&leaf], &[0x30; 10_000])), "invalid_key");
    let other = |algorithm| SigningKey::generate(&PROVIDER, algorithm).unwrap();
    for algorithm in [Algorithm::Es384, Algorithm::Es512, Algorithm::Ed25519] {
        let wrong = parse(&[&leaf], other(algorithm).expose_pkcs8_der());
        assert_eq!(code(wrong), "key_mismatch");
    }
    // A key of the right kind is looked at when it is loaded.
    let parsed = parse(&[&leaf], key().expose_pkcs8_der()).unwrap();
    assert!(!format!("{parsed:?}").contains("key"));
    assert_eq!(code(parsed.load(&PROVIDER)), "key_mismatch");
    let text = X509Svid::new(vec![leaf], own).unwrap().chain_pem().unwrap();
    assert_eq!(
        code(UnverifiedX509Svid::parse_pem(&text, "")),
        "invalid_key"
    );
    assert_eq!(
        code(UnverifiedX509Svid::parse_pem(&text, &text)),
        "invalid_key"
    );
}

/// A key behind a network signs the same certificates.
#[test]
fn asynchronous_signers() {
    #[derive(Clone)]
    struct Remote(SigningKey);
    impl AsyncSigner for Remote {
        fn algorithm(&self) -> Algorithm {
            self.0.algorithm()
        }

        fn kid(&self) -> Option<&str> {
            self.0.kid()
        }

        fn sign<'a>(&'a self, message: &'a [u8]) -> SignFuture<'a> {
            Box::pin(async move { Signer::sign(&self.0, message) })
        }
    }
    fn now_or_never<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("nothing here waits"),
        }
    }
    let (home, root_key, own) = (td("a.test"), key(), key());
    let public = root_key.public_key().clone();
    let profile = CaProfile::new(DAY);
    let root = now_or_never(CertificateAuthority::self_signed_async(
        &PROVIDER,
        &home,
        Remote(root_key),
        &public,
        &profile,
        at(NOW),
    ))
    .unwrap();
    let set = anchored("a.test", &[root.certificate()]);
    let middle_key = key();
    let public = middle_key.public_key().clone();
    let der =
        now_or_never(root.issue_intermediate_async(&home, &public, &profile, at(NOW))).unwrap();
    let from = CertificateAuthority::from_certificate_async;
    let middle = from(&PROVIDER, &home, Remote(middle_key), &public, &der).unwrap();
    let other = now_or_never(CertificateAuthority::self_signed_async(
        &PROVIDER,
        &home,
        Remote(key()),
        &public,
        &CaProfile::new(DAY),
        at(NOW),
    ));
    assert_eq!(code(other), "key_mismatch");
    let id = id();
    let profile = LeafProfile::new(DAY);
    let leaf = middle.issue_leaf_async(&id, own.public_key(), &profile, at(NOW));
    assert_eq!(
        check(&[now_or_never(leaf).unwrap(), der.clone()], &set),
        "valid"
    );
    let asking = KeyPair::generate().unwrap();
    let request = CertificateParams::default()
        .serialize_request(&asking)
        .unwrap();
    let request = CertificateRequest::from_der(&PROVIDER, request.der()).unwrap();
    let leaf = middle.issue_for_request_async(&id, &request, &profile, at(NOW));
    assert_eq!(check(&[now_or_never(leaf).unwrap(), der], &set), "valid");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What is issued for any workload, time and lifetime is clean, verifies within its validity and nowhere else.
    #[test]
    fn issued_is_verified(
        path in "(/[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,20}){1,4}",
        now in 1_000_000_000_u64..4_000_000_000,
        lifetime in 1_u64..100_000,
        check_after in 0_u64..200_000,
    ) {
        let id = SpiffeId::parse(&format!("spiffe://a.test{path}")).unwrap();
        let ca = ca_as(&CaProfile::new(Duration::from_secs(150_000)), now);
        let own = key();
        let profile = LeafProfile::new(Duration::from_secs(lifetime));
        let leaf = ca.authority.issue_leaf_as(&id, own.public_key(), &profile, at(now)).unwrap();
        prop_assert_eq!(lint(&leaf, Kind::Leaf).unwrap(), []);
        let set = anchored("a.test", &[&ca.der]);
        let expected = if check_after <= lifetime { "valid" } else { "certificate_expired" };
        prop_assert_eq!(check_at(std::slice::from_ref(&leaf), &set, now + check_after), expected);
        let parsed = UnverifiedX509Svid::parse_der(&leaf, own.expose_pkcs8_der()).unwrap();
        prop_assert_eq!(parsed.unverified_spiffe_id(), &id);
        prop_assert!(parsed.load(&PROVIDER).is_ok());
    }
}

/// An authority is named as its trust domain, and names nobody of another one.
///
/// Covers: SPIFFE-ID-3.1-1, SPIFFE-ID-3.1-2, SPIFFE-ID-3.1-3, SPIFFE-ID-3.1-4, SPIFFE-ID-4.1.2-2, SPIFFE-ID-A17, SPIFFE-ID-3.2-1
#[test]
fn authorities_speak_for_their_trust_domain() {
    let (home, other, now) = (td("a.test"), td("b.test"), at(NOW));
    let ca = CertificateAuthority::self_signed(&home, key(), DAY, now).unwrap();
    let named = |der: &CertificateDer<'_>| {
        let parsed = Certificate::parse(der).unwrap();
        let uris: Vec<_> = parsed.uri_names().map(str::to_owned).collect();
        (uris, parsed.is_self_issued())
    };
    assert_eq!(
        named(ca.certificate()),
        (vec!["spiffe://a.test".to_owned()], true)
    );

    // It can vouch for the authority of another domain, which says so by its name.
    let foreign_key = key();
    let public = foreign_key.public_key().clone();
    let vouched = ca
        .issue_intermediate(&other, &public, &CaProfile::new(DAY), now)
        .unwrap();
    assert_eq!(named(&vouched), (vec!["spiffe://b.test".to_owned()], false));
    let go_on = |domain: &TrustDomain| {
        let signer = foreign_key.clone();
        CertificateAuthority::from_certificate(&PROVIDER, domain, signer, &public, &vouched)
    };
    assert_eq!(code(go_on(&other)), "valid");
    assert_eq!(code(go_on(&home)), "authority_name");

    // What it signs is what was decided, and not what somebody asked for.
    let workload = key();
    let issue = |id: &str| {
        let id = SpiffeId::parse(id).unwrap();
        ca.issue_leaf(&id, workload.public_key(), &[], DAY, now)
    };
    assert_eq!(code(issue("spiffe://b.test/agents/one")), "foreign_subject");
    assert_eq!(code(issue("spiffe://a.test")), "spiffe_id_without_path");
    let mut params = CertificateParams::default();
    let wanted = "spiffe://a.test/admin".try_into().unwrap();
    params.subject_alt_names = vec![SanType::URI(wanted)];
    let pair = KeyPair::generate().unwrap();
    let request = params.serialize_request(&pair).unwrap();
    let request = CertificateRequest::from_der(&PROVIDER, request.der()).unwrap();
    let profile = LeafProfile::new(DAY);
    assert_eq!(
        code(ca.issue_for_request(&id(), &request, &profile, now)),
        "request_other_spiffe_id"
    );
    let plain = CertificateParams::default()
        .serialize_request(&pair)
        .unwrap();
    let plain = CertificateRequest::from_der(&PROVIDER, plain.der()).unwrap();
    let leaf = ca.issue_for_request(&id(), &plain, &profile, now).unwrap();
    assert_eq!(named(&leaf).0, [ID]);

    // The ID is within what is signed: another one of the same length breaks the signature.
    let set = anchored("a.test", &[ca.certificate()]);
    assert_eq!(check(std::slice::from_ref(&leaf), &set), "valid");
    let mut altered = leaf.to_vec();
    let place = altered
        .windows(ID.len())
        .position(|part| part == ID.as_bytes())
        .unwrap();
    altered[place + ID.len() - 1] = b'f';
    assert_eq!(
        check(&[altered.into()], &set),
        "certificate_signature_invalid"
    );
}

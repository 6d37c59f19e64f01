//! Path validation.

use core::slice::from_ref;
use core::time::Duration;

use jose_x509::x509::{
    Certificate, CertificateProblem as Problem, PathOptions, Purpose, TrustAnchors, VerifiedPath,
    X509Error, eku, verify_path,
};
use pki_types::CertificateDer;
use rcgen::KeyPair;

use super::ALGORITHMS;
use crate::forge::*;

type Der = CertificateDer<'static>;

fn options() -> PathOptions {
    PathOptions::default()
}

fn verify_with(
    leaf: &Der,
    pool: &[Der],
    anchors: &[&Der],
    options: &PathOptions,
) -> Result<usize, X509Error> {
    let anchors = group(anchors);
    verify_path(leaf, pool, &anchors, options, ALGORITHMS, now())
        .map(|path| path.intermediates().len())
}

/// The count of intermediates in the verified path.
fn verify(leaf: &Der, pool: &[Der], anchors: &[&Der]) -> Result<usize, X509Error> {
    verify_with(leaf, pool, anchors, &options())
}

fn group(anchors: &[&Der]) -> TrustAnchors {
    TrustAnchors::new(anchors.iter().map(|der| (*der).clone()))
}

/// Root "Root", intermediate "CA" and what each test signs with the latter.
struct Hierarchy {
    root_key: KeyPair,
    root: Der,
    ca_key: KeyPair,
    ca: Der,
    leaf_key: KeyPair,
}

impl Hierarchy {
    fn new() -> Self {
        let (root_key, ca_key) = (key(), key());
        let root = Parts::ca("Root", "Root", &root_key).sign(&root_key);
        let ca = Parts::ca("CA", "Root", &ca_key).sign(&root_key);
        Self {
            root_key,
            root,
            ca_key,
            ca,
            leaf_key: key(),
        }
    }

    fn leaf(&self) -> Parts {
        Parts::leaf(&self.leaf_key)
    }

    fn intermediate(&self) -> Parts {
        Parts::ca("CA", "Root", &self.ca_key)
    }

    fn anchor(&self) -> Parts {
        Parts::ca("Root", "Root", &self.root_key)
    }

    /// A leaf, below the sound hierarchy.
    fn verify_leaf(&self, leaf: &Parts) -> Result<usize, X509Error> {
        verify(&leaf.sign(&self.ca_key), from_ref(&self.ca), &[&self.root])
    }

    /// An intermediate, between a sound leaf and a sound anchor.
    fn verify_intermediate(&self, ca: &Parts) -> Result<usize, X509Error> {
        verify(
            &self.leaf().sign(&self.ca_key),
            &[ca.sign(&self.root_key)],
            &[&self.root],
        )
    }

    /// An anchor, over a sound intermediate.
    fn verify_anchor(&self, anchor: &Parts) -> Result<usize, X509Error> {
        let leaf = self.leaf().sign(&self.ca_key);
        verify(&leaf, from_ref(&self.ca), &[&anchor.sign(&self.root_key)])
    }

    /// A leaf with names, below an intermediate with constraints.
    fn verify_names(
        &self,
        constraints: Vec<u8>,
        names: &[(u8, &[u8])],
    ) -> Result<usize, X509Error> {
        let ca = self.intermediate().and(constraints).sign(&self.root_key);
        let leaf = self
            .leaf()
            .extensions(vec![alternative_names(names)])
            .sign(&self.ca_key);
        verify(&leaf, &[ca], &[&self.root])
    }
}

fn leaf_error(problem: Problem) -> Result<usize, X509Error> {
    Err(X509Error::Certificate { index: 0, problem })
}

fn ca_error(problem: Problem) -> Result<usize, X509Error> {
    Err(X509Error::Certificate { index: 1, problem })
}

const UNKNOWN: Result<usize, X509Error> = Err(X509Error::UnknownIssuer { dropped: 0 });
const NAMES: Result<usize, X509Error> = Err(X509Error::NameConstraintViolation);

/// Certificates of an independent issuer, with its own keys and encodings.
///
/// Covers: X509-5280.6.1-1, X509-5280.6.1.5-1, X509-profile.key-extract-1, X509-A28
#[test]
fn chains_of_an_independent_issuer() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
    ] {
        let mut root = rcgen::CertificateParams::default();
        root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(1));
        root.key_usages = vec![
            rcgen::KeyUsagePurpose::KeyCertSign,
            rcgen::KeyUsagePurpose::CrlSign,
        ];
        root.distinguished_name
            .push(rcgen::DnType::CommonName, "independent root");
        let root_key = KeyPair::generate_for(algorithm).unwrap();
        let root_der: Der = root.self_signed(&root_key).unwrap().into();
        let root_issuer = rcgen::Issuer::new(root, root_key);

        let mut ca = rcgen::CertificateParams::default();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        ca.use_authority_key_identifier_extension = true;
        ca.distinguished_name
            .push(rcgen::DnType::CommonName, "independent ca");
        let ca_key = KeyPair::generate_for(algorithm).unwrap();
        let ca_der: Der = ca.signed_by(&ca_key, &root_issuer).unwrap().into();
        let ca_issuer = rcgen::Issuer::new(ca, ca_key);

        let mut leaf = rcgen::CertificateParams::default();
        leaf.subject_alt_names = vec![rcgen::SanType::URI(
            "spiffe://td.example/workload".try_into().unwrap(),
        )];
        leaf.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![
            rcgen::ExtendedKeyUsagePurpose::ClientAuth,
            rcgen::ExtendedKeyUsagePurpose::ServerAuth,
        ];
        leaf.not_after = rcgen::date_time_ymd(2026, 12, 1);
        let leaf_key = KeyPair::generate_for(algorithm).unwrap();
        let leaf_der: Der = leaf.signed_by(&leaf_key, &ca_issuer).unwrap().into();

        let pool = [root_der.clone(), ca_der.clone()];
        let anchors = group(&[&root_der]);
        let purpose = PathOptions::new(Purpose::ClientAndServerAuth);
        let path: VerifiedPath<'_> =
            verify_path(&leaf_der, &pool, &anchors, &purpose, ALGORITHMS, now()).unwrap();
        assert_eq!(path.leaf().der(), leaf_der.as_ref());
        let spki = rcgen::PublicKeyData::subject_public_key_info(&leaf_key);
        assert_eq!(path.leaf().spki_der(), spki);
        assert!(path.leaf().uri_names().eq(["spiffe://td.example/workload"]));
        assert_eq!(path.intermediates().len(), 1);
        assert_eq!(path.intermediates()[0].der(), ca_der.as_ref());
        assert_eq!((path.anchor(), path.anchor_index()), (&root_der, 0));
        assert_eq!(path.not_after(), at(1_796_083_200));
        assert_eq!(path.dropped_intermediates(), 0);
    }
}

/// Covers: X509-5280.6.1.1-1, X509-A23, X509-profile.anchors-2, X509-5280.6.1-1
#[test]
fn only_configured_anchors_are_trusted() {
    let (ours, theirs) = (Hierarchy::new(), Hierarchy::new());
    let leaf = theirs.leaf().sign(&theirs.ca_key);
    let chain = [theirs.ca.clone(), theirs.root.clone()];
    assert_eq!(verify(&leaf, &chain, &[]), Err(X509Error::NoTrustAnchors));
    // The names are the same, so this is found out by the signature.
    assert_eq!(
        verify(&leaf, &chain, &[&ours.root]),
        Err(X509Error::InvalidSignature)
    );
    let other = Parts::ca("Other", "Other", &ours.root_key).sign(&ours.root_key);
    assert_eq!(verify(&leaf, &chain, &[&other]), UNKNOWN);
    assert_eq!(verify(&leaf, &[], &[&theirs.root]), UNKNOWN);
    assert_eq!(verify(&leaf, &chain, &[&theirs.root]), Ok(1));
    // An intermediate may be configured, too.
    assert_eq!(verify(&leaf, from_ref(&theirs.root), &[&theirs.ca]), Ok(0));
}

/// Covers: X509-profile.anchors-1, X509-A24
#[test]
fn a_path_stays_in_its_group() {
    let (a, b) = (Hierarchy::new(), Hierarchy::new());
    let leaf = b.leaf().sign(&b.ca_key);
    assert_eq!(
        verify(&leaf, from_ref(&b.ca), &[&a.root]),
        Err(X509Error::InvalidSignature)
    );
    assert_eq!(verify(&leaf, from_ref(&b.ca), &[&a.root, &b.root]), Ok(1));
}

/// Covers: X509-profile.direct-trust-1
#[test]
fn no_direct_trust() {
    let h = Hierarchy::new();
    let leaf = h
        .leaf()
        .with(|parts| parts.issuer = name("leaf"))
        .sign(&h.leaf_key);
    assert_eq!(verify(&leaf, &[], &[&leaf]), Err(X509Error::NoTrustAnchors));
    assert_eq!(group(&[&leaf]).dropped()[0].problem, Problem::NotCa);
    assert_eq!(verify(&leaf, &[], &[&leaf, &h.root]), UNKNOWN);
    assert_eq!(
        verify(&h.root, &[], &[&h.root]),
        leaf_error(Problem::CaUsedAsLeaf)
    );
}

/// Covers: X509-5280.4.1.1.3-1
#[test]
fn every_bit_is_signed() {
    let h = Hierarchy::new();
    let mut leaf = h.leaf().sign(&h.ca_key).to_vec();
    let position = leaf
        .windows(4)
        .position(|window| window == b"/w\x30\x0e")
        .unwrap();
    leaf[position + 1] ^= 1;
    let leaf = Der::from(leaf);
    assert_eq!(
        Certificate::parse(&leaf).unwrap().uri_names().next(),
        Some("spiffe://td.example/v")
    );
    assert_eq!(
        verify(&leaf, from_ref(&h.ca), &[&h.root]),
        Err(X509Error::InvalidSignature)
    );
}

/// Covers: X509-A18
#[test]
fn signature_algorithms_come_from_the_caller() {
    let h = Hierarchy::new();
    let sha1 = seq(&[&tlv(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01])]);
    let leaf = h.leaf().with(|parts| {
        parts.inner_algorithm = sha1.clone();
        parts.outer_algorithm = sha1;
    });
    assert_eq!(
        h.verify_leaf(&leaf),
        Err(X509Error::UnsupportedSignatureAlgorithm)
    );
    let (leaf, pool) = (h.leaf().sign(&h.ca_key), [h.ca.clone()]);
    let anchors = group(&[&h.root]);
    let mut only = ALGORITHMS.to_vec();
    only.retain(|algorithm| algorithm.signature_alg_id() == pki_types::alg_id::ED25519);
    assert_eq!(only.len(), 1);
    let found = verify_path(&leaf, &pool, &anchors, &options(), &only, now()).unwrap_err();
    assert_eq!(found, X509Error::UnsupportedSignatureAlgorithm);
}

/// Covers: X509-5280.4.1.2.5-1, X509-profile.time-1, X509-webpki.errors-1
#[test]
fn validity_is_inclusive() {
    let h = Hierarchy::new();
    let (leaf, pool, anchors) = (h.leaf().sign(&h.ca_key), [h.ca.clone()], group(&[&h.root]));
    let verify_at = |seconds| {
        verify_path(&leaf, &pool, &anchors, &options(), ALGORITHMS, at(seconds))
            .map(|path| path.intermediates().len())
    };
    assert_eq!(verify_at(1_767_225_600), Ok(1));
    assert_eq!(verify_at(1_798_761_600), Ok(1));
    assert_eq!(verify_at(1_767_225_599), leaf_error(Problem::NotYetValid));
    assert_eq!(verify_at(1_798_761_601), leaf_error(Problem::Expired));
    assert_eq!(verify_at(u64::MAX), leaf_error(Problem::Expired));
}

/// Covers: X509-5280.6.1.3-1, X509-5280.6.1.1-2, X509-webpki.errors-1
#[test]
fn expired_issuers() {
    let h = Hierarchy::new();
    let expired = |parts: Parts| parts.with(|parts| parts.not_after = time("260301000000Z"));
    assert_eq!(
        h.verify_intermediate(&expired(h.intermediate())),
        ca_error(Problem::Expired)
    );
    let anchor = Err(X509Error::Anchor {
        index: 0,
        problem: Problem::Expired,
    });
    assert_eq!(h.verify_anchor(&expired(h.anchor())), anchor);
    let future = h
        .anchor()
        .with(|parts| parts.not_before = time("261101000000Z"));
    assert!(matches!(
        h.verify_anchor(&future),
        Err(X509Error::Anchor {
            problem: Problem::NotYetValid,
            ..
        })
    ));
    // A sibling that is good saves the day, in both places.
    let leaf = h.leaf().sign(&h.ca_key);
    let pool = [expired(h.intermediate()).sign(&h.root_key), h.ca.clone()];
    let old_root = expired(h.anchor()).sign(&h.root_key);
    assert_eq!(verify(&leaf, &pool, &[&old_root, &h.root]), Ok(1));
}

/// Covers: X509-5280.4.2-1, X509-A26, X509-5280.4.2.1.4-1, X509-5280.4.2.1.11-1, X509-5280.4.2.1.13-1, X509-A25
#[test]
fn critical_extensions_that_are_not_processed() {
    let h = Hierarchy::new();
    let unsupported = Problem::UnsupportedCriticalExtension;
    let unknown = |critical| extension_of(&[0x2a, 0x03], critical, b"");
    let policies = |critical| extension(32, critical, &seq(&[&seq(&[&tlv(0x06, &[0x2a, 0x03])])]));
    let policy_constraints = |critical| extension(36, critical, &seq(&[&[0x80, 0x01, 0x00]]));
    let inhibit_any = |critical| extension(54, critical, &[0x02, 0x01, 0x00]);
    let mappings = |critical| extension(33, critical, &seq(&[&seq(&[])]));
    let points = |critical| extension(31, critical, &seq(&[&seq(&[])]));
    let access =
        |critical| extension_of(&[0x2b, 6, 1, 5, 5, 7, 1, 1], critical, &seq(&[&seq(&[])]));
    let all: [&dyn Fn(bool) -> Vec<u8>; 7] = [
        &unknown,
        &policies,
        &policy_constraints,
        &inhibit_any,
        &mappings,
        &points,
        &access,
    ];
    for make in all {
        assert_eq!(h.verify_leaf(&h.leaf().and(make(false))), Ok(1));
        assert_eq!(
            h.verify_leaf(&h.leaf().and(make(true))),
            leaf_error(unsupported)
        );
        assert_eq!(
            h.verify_intermediate(&h.intermediate().and(make(true))),
            ca_error(unsupported)
        );
        let anchor = h.anchor().and(make(true));
        assert_eq!(h.verify_anchor(&anchor), Err(X509Error::NoTrustAnchors));
        assert_eq!(
            group(&[&anchor.sign(&h.root_key)]).dropped()[0].problem,
            unsupported
        );
    }
    // Bad ones beside the path do no harm.
    let bad_root = h.anchor().and(unknown(true)).sign(&h.root_key);
    let pool = [
        h.intermediate().and(unknown(true)).sign(&h.root_key),
        h.ca.clone(),
        Der::from(vec![1]),
    ];
    let leaf = h.leaf().sign(&h.ca_key);
    let anchors = group(&[&bad_root, &h.root]);
    let path = verify_path(
        &leaf,
        &pool,
        &anchors,
        &PathOptions::default(),
        ALGORITHMS,
        now(),
    )
    .unwrap();
    assert_eq!((path.dropped_intermediates(), path.anchor()), (2, &h.root));
}

/// Covers: X509-5280.4.2.1.3-2, X509-A7, X509-5280.6.1.4-1
#[test]
fn issuers_may_sign_certificates() {
    let h = Hierarchy::new();
    let without = |parts: Parts| {
        parts.extensions(vec![
            basic_constraints(true, None),
            key_usage(DIGITAL_SIGNATURE),
        ])
    };
    assert_eq!(
        h.verify_intermediate(&without(h.intermediate())),
        ca_error(Problem::KeyCertSignMissing)
    );
    assert_eq!(
        h.verify_anchor(&without(h.anchor())),
        Err(X509Error::NoTrustAnchors)
    );
    let no_usage = |parts: Parts| parts.extensions(vec![basic_constraints(true, None)]);
    assert_eq!(h.verify_intermediate(&no_usage(h.intermediate())), Ok(1));
    assert_eq!(h.verify_anchor(&no_usage(h.anchor())), Ok(1));

    let mut strict = options();
    strict.require_ca_key_usage = true;
    let leaf = h.leaf().sign(&h.ca_key);
    let missing = Problem::KeyUsageMissing;
    assert_eq!(
        verify_with(&leaf, from_ref(&h.ca), &[&h.root], &strict),
        Ok(1)
    );
    let ca = no_usage(h.intermediate()).sign(&h.root_key);
    assert_eq!(
        verify_with(&leaf, &[ca], &[&h.root], &strict),
        ca_error(missing)
    );
    let root = no_usage(h.anchor()).sign(&h.root_key);
    let expected = Err(X509Error::Anchor {
        index: 0,
        problem: missing,
    });
    assert_eq!(
        verify_with(&leaf, from_ref(&h.ca), &[&root], &strict),
        expected
    );
}

/// Covers: X509-5280.4.2.1.9-1, X509-A6, X509-5280.6.1.1-2, X509-5280.6.1.4-1, X509-A7
#[test]
fn issuers_are_cas() {
    let h = Hierarchy::new();
    let not_ca = [
        vec![key_usage(KEY_CERT_SIGN)],
        vec![basic_constraints(false, None), key_usage(KEY_CERT_SIGN)],
        vec![key_usage(DIGITAL_SIGNATURE)],
    ];
    for extensions in not_ca {
        let ca = h.intermediate().extensions(extensions.clone());
        assert_eq!(h.verify_intermediate(&ca), ca_error(Problem::NotCa));
        let anchor = h.anchor().extensions(extensions);
        assert_eq!(h.verify_anchor(&anchor), Err(X509Error::NoTrustAnchors));
    }
    // The basicConstraints of an anchor need not be critical.
    let lax = extension(19, false, &seq(&[&[0x01, 0x01, 0xff]]));
    assert_eq!(h.verify_anchor(&h.anchor().extensions(vec![lax])), Ok(1));
}

/// Covers: X509-5280.4.1.2.1-1, X509-5280.4.1.2.7-2
#[test]
fn anchors_pass_the_strict_parser() {
    let h = Hierarchy::new();
    let v1 = h.anchor().with(|parts| {
        parts.version.clear();
        parts.extensions = None;
    });
    let dropped = |parts: &Parts| group(&[&parts.sign(&h.root_key)]).dropped()[0].problem;
    assert_eq!(dropped(&v1), Problem::UnsupportedVersion);
    let dsa = seq(&[
        &seq(&[&tlv(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01])]),
        &[3, 2, 0, 1],
    ]);
    assert_eq!(
        dropped(&h.anchor().with(|parts| parts.spki = dsa)),
        Problem::UnsupportedKey
    );
}

/// Covers: X509-5280.4.2.1.9-2, X509-5280.4.2.1.3-3, X509-5280.4.2.1.3-4, X509-5280.4.2.1.10-1
#[test]
fn leaf_rules() {
    let h = Hierarchy::new();
    let with = |extension| h.verify_leaf(&h.leaf().extensions(vec![extension]));
    assert_eq!(
        with(basic_constraints(true, None)),
        leaf_error(Problem::CaUsedAsLeaf)
    );
    assert_eq!(with(basic_constraints(false, None)), Ok(1));
    for usage in [&[2, 0x84][..], &[1, 0x82], &[2, 0x04]] {
        assert_eq!(
            with(key_usage(usage)),
            leaf_error(Problem::LeafWithCaKeyUsage)
        );
    }
    assert_eq!(
        with(key_usage(&[5, 0x20])),
        leaf_error(Problem::DigitalSignatureMissing)
    );
    assert_eq!(
        with(extension(15, false, &tlv(0x03, DIGITAL_SIGNATURE))),
        Ok(1)
    );
    assert_eq!(with(uri("urn:no-key-usage")), Ok(1));
    let constraints = name_constraints(&[(0x82, b"a.example")], &[]);
    assert_eq!(
        with(constraints),
        leaf_error(Problem::NameConstraintsInLeaf)
    );

    let mut any_use = options();
    any_use.require_digital_signature = false;
    let leaf = h
        .leaf()
        .extensions(vec![key_usage(&[5, 0x20])])
        .sign(&h.ca_key);
    assert_eq!(
        verify_with(&leaf, from_ref(&h.ca), &[&h.root], &any_use),
        Ok(1)
    );
}

/// A chain of `path_lens.len()` CAs, the first one the anchor, and a leaf.
fn verify_path_lens(path_lens: &[Option<u8>]) -> Result<usize, X509Error> {
    let mut chain: Vec<Der> = Vec::new();
    let mut issuer = ("0".to_owned(), key());
    for (path_len, number) in path_lens.iter().zip(0..) {
        let subject = number.to_string();
        let own = if number == 0 {
            KeyPair::from_pem(&issuer.1.serialize_pem()).unwrap()
        } else {
            key()
        };
        let ca = Parts::ca(&subject, &issuer.0, &own).extensions(vec![
            basic_constraints(true, *path_len),
            key_usage(KEY_CERT_SIGN),
        ]);
        chain.push(ca.sign(&issuer.1));
        issuer = (subject, own);
    }
    let leaf = Parts::leaf(&key())
        .with(|parts| parts.issuer = name(&issuer.0))
        .sign(&issuer.1);
    let anchor = chain.remove(0);
    verify(&leaf, &chain, &[&anchor])
}

/// Covers: X509-5280.4.2.1.9-3, X509-A5
#[test]
fn path_lengths() {
    let exceeded = Err(X509Error::PathLenExceeded);
    assert_eq!(verify_path_lens(&[Some(0)]), Ok(0));
    assert_eq!(verify_path_lens(&[Some(0), None]), exceeded);
    assert_eq!(verify_path_lens(&[Some(1), None]), Ok(1));
    assert_eq!(verify_path_lens(&[Some(1), None, None]), exceeded);
    assert_eq!(verify_path_lens(&[Some(2), None, None]), Ok(2));
    assert_eq!(verify_path_lens(&[None, Some(0)]), Ok(1));
    assert_eq!(verify_path_lens(&[None, Some(0), None]), exceeded);
    assert_eq!(verify_path_lens(&[None, Some(1), None]), Ok(2));
    // A larger value further down widens nothing and breaks nothing.
    assert_eq!(verify_path_lens(&[Some(1), Some(5)]), Ok(1));
    assert_eq!(verify_path_lens(&[Some(1), Some(5), None]), exceeded);
}

/// Covers: X509-webpki.budget-1
#[test]
fn path_depth() {
    assert_eq!(verify_path_lens(&[None; 7]), Ok(6));
    assert_eq!(verify_path_lens(&[None; 8]), Err(X509Error::TooComplex));
}

/// Covers: X509-5280.4.2.1.12-1, X509-5280.4.2.1.12-2, X509-5280.4.2.1.12-3, X509-A8
#[test]
fn purposes() {
    let h = Hierarchy::new();
    let verify_for = |purpose, leaf: Option<&[&[u8]]>, ca: Option<&[&[u8]]>| {
        let add = |parts: Parts, list: Option<&[&[u8]]>| match list {
            Some(list) => parts.and(extended_key_usage(list)),
            None => parts,
        };
        let leaf = add(h.leaf(), leaf).sign(&h.ca_key);
        let ca = add(h.intermediate(), ca).sign(&h.root_key);
        verify_with(&leaf, &[ca], &[&h.root], &PathOptions::new(purpose))
    };
    let (client, server, any) = (eku::CLIENT_AUTH, eku::SERVER_AUTH, eku::ANY);
    let mismatch = leaf_error(Problem::PurposeNotAllowed);
    for (purpose, right, wrong) in [
        (Purpose::ClientAuth, client, server),
        (Purpose::ServerAuth, server, client),
        (Purpose::Oid(&[0x2a, 3]), &[0x2a, 3], client),
    ] {
        assert_eq!(verify_for(purpose, None, None), Ok(1));
        assert_eq!(verify_for(purpose, Some(&[right]), None), Ok(1));
        assert_eq!(
            verify_for(purpose, Some(&[wrong, right]), Some(&[right])),
            Ok(1)
        );
        assert_eq!(verify_for(purpose, Some(&[wrong]), None), mismatch);
        assert_eq!(verify_for(purpose, Some(&[any]), None), mismatch);
        assert_eq!(
            verify_for(purpose, None, Some(&[wrong])),
            ca_error(Problem::PurposeNotAllowed)
        );
        assert_eq!(
            verify_for(purpose, None, Some(&[any])),
            ca_error(Problem::PurposeNotAllowed)
        );
    }
    let both = Purpose::ClientAndServerAuth;
    assert_eq!(
        verify_for(both, Some(&[server, client]), Some(&[client, server])),
        Ok(1)
    );
    assert_eq!(verify_for(both, Some(&[client]), None), mismatch);
    assert_eq!(verify_for(both, Some(&[server]), None), mismatch);
    assert_eq!(
        verify_for(Purpose::Unspecified, Some(&[any]), Some(&[server])),
        Ok(1)
    );

    let mut required = PathOptions::new(Purpose::ClientAuth);
    required.require_extended_key_usage = true;
    let verify_leaf = |leaf: Parts| {
        verify_with(
            &leaf.sign(&h.ca_key),
            from_ref(&h.ca),
            &[&h.root],
            &required,
        )
    };
    assert_eq!(verify_leaf(h.leaf()), mismatch);
    assert_eq!(
        verify_leaf(h.leaf().and(extended_key_usage(&[client]))),
        Ok(1)
    );
}

const DNS: u8 = 0x82;
const IP: u8 = 0x87;

/// Covers: X509-5280.4.2.1.10-3, X509-5280.4.2.1.10-6, X509-5280.4.2.1.10-8
#[test]
fn names_lie_in_the_permitted_subtrees() {
    let h = Hierarchy::new();
    let permitted = |tag, base: &[u8], value: &[u8]| {
        h.verify_names(name_constraints(&[(tag, base)], &[]), &[(tag, value)])
    };
    let excluded = |tag, base: &[u8], value: &[u8]| {
        h.verify_names(name_constraints(&[], &[(tag, base)]), &[(tag, value)])
    };
    for inside in [&b"host.example"[..], b"a.host.example", b"A.HOST.example"] {
        assert_eq!(permitted(DNS, b"host.example", inside), Ok(1));
        assert_eq!(excluded(DNS, b"host.example", inside), NAMES);
    }
    for outside in [&b"badhost.example"[..], b"example", b"host.example.org"] {
        assert_eq!(permitted(DNS, b"host.example", outside), NAMES);
        assert_eq!(excluded(DNS, b"host.example", outside), Ok(1));
    }
    let subnet = &[0xc0, 0, 2, 0, 0xff, 0xff, 0xff, 0];
    assert_eq!(permitted(IP, subnet, &[192, 0, 2, 77]), Ok(1));
    assert_eq!(permitted(IP, subnet, &[192, 0, 3, 77]), NAMES);
    assert_eq!(permitted(IP, subnet, &[0; 16]), NAMES);
    assert_eq!(excluded(IP, subnet, &[192, 0, 2, 77]), NAMES);
    assert_eq!(excluded(IP, subnet, &[192, 0, 3, 77]), Ok(1));
    // Names of other forms are free; excluded wins over permitted.
    let dns_only = name_constraints(&[(DNS, b"host.example")], &[]);
    assert_eq!(h.verify_names(dns_only, &[(IP, &[192, 0, 2, 1])]), Ok(1));
    let both = name_constraints(&[(DNS, b"host.example")], &[(DNS, b"a.host.example")]);
    assert_eq!(
        h.verify_names(both.clone(), &[(DNS, b"a.host.example")]),
        NAMES
    );
    assert_eq!(h.verify_names(both, &[(DNS, b"b.host.example")]), Ok(1));
}

/// Covers: X509-5280.4.2.1.10-7, X509-A1
#[test]
fn wildcards_do_not_escape_constraints() {
    let h = Hierarchy::new();
    let permitted = name_constraints(&[(DNS, b"accept.example.com")], &[]);
    assert_eq!(
        h.verify_names(permitted.clone(), &[(DNS, b"*.example.com")]),
        NAMES
    );
    assert_eq!(
        h.verify_names(permitted, &[(DNS, b"*.accept.example.com")]),
        Ok(1)
    );
    let excluded = name_constraints(&[], &[(DNS, b"bar.example.com")]);
    assert_eq!(
        h.verify_names(excluded.clone(), &[(DNS, b"*.example.com")]),
        NAMES
    );
    assert_eq!(h.verify_names(excluded, &[(DNS, b"*.example.org")]), Ok(1));
}

/// Covers: X509-5280.4.2.1.10-5, X509-5280.4.2.1.10-9, X509-A2, X509-A4
#[test]
fn constrained_forms_that_are_not_evaluated_fail_closed() {
    let h = Hierarchy::new();
    let other = [&tlv(0x06, &[0x2a, 3])[..], &tlv(0xa0, &[0x05, 0])].concat();
    let directory = name("x");
    let forms: [(u8, &[u8], &[u8]); 4] = [
        (0x86, b"td.example", b"spiffe://td.example/w"),
        (0x81, b"a.example", b"user@a.example"),
        (0xa0, &other, &other),
        (0xa4, &directory, &directory),
    ];
    for (tag, base, value) in forms {
        for constraints in [
            name_constraints(&[(tag, base)], &[]),
            name_constraints(&[], &[(tag, base)]),
        ] {
            assert_eq!(
                h.verify_names(constraints, &[(tag, value)]),
                NAMES,
                "{tag:x}"
            );
        }
    }
    let lax = extension(
        30,
        false,
        &seq(&[&tlv(0xa0, &seq(&[&tlv(0x86, b"td.example")]))]),
    );
    assert_eq!(
        h.verify_names(lax, &[(0x86, b"spiffe://td.example/w")]),
        NAMES
    );
    // Without a name of the form there is nothing to refuse.
    let constraints = name_constraints(&[], &[(0xa0, &other)]);
    assert_eq!(h.verify_names(constraints, &[(DNS, b"a.example")]), Ok(1));
}

/// Covers: X509-5280.4.2.1.10-5
#[test]
fn email_addresses_in_subjects_are_of_the_constrained_form() {
    let h = Hierarchy::new();
    let email = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];
    let leaf = h
        .leaf()
        .with(|parts| parts.subject = attribute(email, 0x16, b"a@b.example"));
    let constraints = name_constraints(&[(0x81, b"b.example")], &[]);
    assert_eq!(h.verify_leaf(&leaf), Ok(1));
    let ca = h.intermediate().and(constraints.clone()).sign(&h.root_key);
    assert_eq!(
        verify(&leaf.sign(&h.ca_key), from_ref(&ca), &[&h.root]),
        NAMES
    );
    assert_eq!(verify(&h.leaf().sign(&h.ca_key), &[ca], &[&h.root]), Ok(1));
    let root = h.anchor().and(constraints).sign(&h.root_key);
    assert_eq!(
        verify(&leaf.sign(&h.ca_key), from_ref(&h.ca), &[&root]),
        NAMES
    );
    let plain = h.leaf().sign(&h.ca_key);
    assert_eq!(verify(&plain, from_ref(&h.ca), &[&root]), Ok(1));
    // An authority with such a name, which only a constraint above it judges.
    let address = attribute(email, 0x16, b"ca@b.example");
    let ca = h
        .intermediate()
        .with(|parts| parts.subject = address.clone());
    let ca = ca.sign(&h.root_key);
    let below = h.leaf().with(|parts| parts.issuer = address.clone());
    let below = below.sign(&h.ca_key);
    assert_eq!(verify(&below, from_ref(&ca), &[&h.root]), Ok(1));
    assert_eq!(verify(&below, &[ca], &[&root]), NAMES);
}

/// Covers: X509-5280.4.2.1.10-3, X509-A3, X509-5280.6.1.1-2
#[test]
fn constraints_of_the_anchor_hold_for_intermediates() {
    let h = Hierarchy::new();
    let root = h
        .anchor()
        .and(name_constraints(&[(DNS, b"host.example")], &[]))
        .sign(&h.root_key);
    let leaf = |name: &[u8]| {
        h.leaf()
            .extensions(vec![alternative_names(&[(DNS, name)])])
            .sign(&h.ca_key)
    };
    let ca = |name: &[u8]| {
        h.intermediate()
            .and(alternative_names(&[(DNS, name)]))
            .sign(&h.root_key)
    };
    let (inside, outside) = (&b"a.host.example"[..], &b"a.example"[..]);
    assert_eq!(verify(&leaf(inside), &[ca(inside)], &[&root]), Ok(1));
    assert_eq!(verify(&leaf(inside), &[ca(outside)], &[&root]), NAMES);
    assert_eq!(verify(&leaf(outside), &[ca(inside)], &[&root]), NAMES);
}

/// Covers: X509-5280.4.2.1.10-4
#[test]
fn constraints_accumulate() {
    let h = Hierarchy::new();
    let verify_both = |root: &[u8], ca: &[u8], name: &[u8]| {
        let root = h
            .anchor()
            .and(name_constraints(&[(DNS, root)], &[]))
            .sign(&h.root_key);
        let ca = h
            .intermediate()
            .and(name_constraints(&[(DNS, ca)], &[]))
            .sign(&h.root_key);
        let leaf = h
            .leaf()
            .extensions(vec![alternative_names(&[(DNS, name)])])
            .sign(&h.ca_key);
        verify(&leaf, &[ca], &[&root])
    };
    assert_eq!(verify_both(b"example", b"a.example", b"x.a.example"), Ok(1));
    assert_eq!(verify_both(b"example", b"a.example", b"x.b.example"), NAMES);
    assert_eq!(verify_both(b"a.example", b"example", b"x.b.example"), NAMES);
}

/// Covers: X509-5280.4.2.1.1-1, X509-5280.4.2.1.2-1
#[test]
fn key_identifiers_are_hints() {
    let h = Hierarchy::new();
    let wrong = extension(35, false, &seq(&[&tlv(0x80, b"no such key")]));
    assert_eq!(h.verify_leaf(&h.leaf().and(wrong)), Ok(1));
    let same = extension(14, false, &tlv(OCTET_STRING, b"same"));
    let impostor_key = key();
    let impostor = Parts::ca("CA", "Root", &impostor_key)
        .and(same.clone())
        .sign(&h.root_key);
    let ca = h.intermediate().and(same).sign(&h.root_key);
    let leaf = h.leaf().sign(&h.ca_key);
    assert_eq!(verify(&leaf, &[impostor.clone(), ca], &[&h.root]), Ok(1));
    assert_eq!(
        verify(&leaf, &[impostor], &[&h.root]),
        Err(X509Error::InvalidSignature)
    );
}

/// Covers: X509-5280.7.1-1
#[test]
fn names_chain_by_their_octets() {
    let h = Hierarchy::new();
    assert_eq!(
        h.verify_leaf(&h.leaf().with(|parts| parts.issuer = name("ca"))),
        UNKNOWN
    );
    let printable = attribute(&[0x55, 0x04, 0x03], 0x13, b"CA");
    assert_eq!(
        h.verify_leaf(&h.leaf().with(|parts| parts.issuer = printable)),
        UNKNOWN
    );
}

/// Covers: X509-profile.input-1, X509-A9
#[test]
fn input_is_limited() {
    let h = Hierarchy::new();
    let leaf = h.leaf().sign(&h.ca_key);
    let extra = |count: usize| {
        let mut pool: Vec<Der> = (1..count).map(|_| h.root.clone()).collect();
        pool.push(h.ca.clone());
        pool
    };
    assert_eq!(verify(&leaf, &extra(7), &[&h.root]), Ok(1));
    let expected = Err(X509Error::TooManyCertificates { limit: 8 });
    assert_eq!(verify(&leaf, &extra(8), &[&h.root]), expected);
    // Copies, of the leaf too, are no unusable intermediates.
    let (pool, anchors) = (
        [h.ca.clone(), leaf.clone(), h.ca.clone()],
        group(&[&h.root]),
    );
    let path = verify_path(&leaf, &pool, &anchors, &options(), ALGORITHMS, now()).unwrap();
    assert_eq!(
        (path.intermediates().len(), path.dropped_intermediates()),
        (1, 0)
    );
    let padding = extension_of(&[0x2a, 0x03], false, &vec![0; 31 * 1024]);
    let large = h.intermediate().and(padding).sign(&h.root_key);
    assert_eq!(
        verify(&leaf, &[large.clone(), h.ca.clone()], &[&h.root]),
        Ok(1)
    );
    let expected = Err(X509Error::ChainTooLarge { limit: 64 * 1024 });
    let pool = [large.clone(), large.clone(), large];
    assert_eq!(verify(&leaf, &pool, &[&h.root]), expected);
}

/// Intermediates with one name and different keys, each signed by each: the number of orders explodes.
///
/// Covers: X509-A9, X509-webpki.budget-1, X509-webpki.fatal-errors-1
#[test]
fn path_building_is_bounded() {
    let root_key = key();
    let root = Parts::ca("Root", "Root", &root_key).sign(&root_key);
    // Signed by someone who is not the root, so that no order ever works.
    let stranger = key();
    let pool: Vec<Der> = (0..30)
        .map(|_| Parts::ca("CA", "Root", &key()).sign(&stranger))
        .collect();
    let loops: Vec<Der> = (0..30)
        .map(|_| Parts::ca("CA", "CA", &key()).sign(&stranger))
        .collect();
    let leaf = Parts::leaf(&key()).sign(&stranger);
    let mut large = options();
    large.max_certificates = 100;
    let pool = [pool, loops].concat();
    assert_eq!(
        verify_with(&leaf, &pool, &[&root], &large),
        Err(X509Error::TooComplex)
    );
}

/// Covers: X509-A10, X509-webpki.budget-1, X509-webpki.fatal-errors-1
#[test]
fn name_constraint_work_is_bounded() {
    let h = Hierarchy::new();
    let bases: Vec<String> = (0..1200).map(|n| format!("n{n}.example")).collect();
    let bases: Vec<(u8, &[u8])> = bases.iter().map(|base| (DNS, base.as_bytes())).collect();
    let names: Vec<String> = (0..256).map(|n| format!("x.n{n}.example")).collect();
    let names: Vec<(u8, &[u8])> = names.iter().map(|name| (DNS, name.as_bytes())).collect();
    let found = h.verify_names(name_constraints(&bases, &[]), &names);
    assert_eq!(found, Err(X509Error::TooComplex));
}

/// Covers: X509-webpki.loops-1, X509-A11
#[test]
fn cycles_end() {
    let (a, b) = (key(), key());
    let root_key = key();
    let root = Parts::ca("Root", "Root", &root_key).sign(&root_key);
    let a_by_b = Parts::ca("CA", "B", &a).sign(&b);
    let b_by_a = Parts::ca("B", "CA", &b).sign(&a);
    let leaf = Parts::leaf(&key()).sign(&a);
    let mut pool = vec![a_by_b, b_by_a];
    assert_eq!(verify(&leaf, &pool, &[&root]), UNKNOWN);
    pool.push(Parts::ca("B", "Root", &b).sign(&root_key));
    assert_eq!(verify(&leaf, &pool, &[&root]), Ok(2));
}

/// Covers: X509-profile.lifetime-1
#[test]
fn lifetimes_can_be_capped() {
    let h = Hierarchy::new();
    let leaf = h.leaf().sign(&h.ca_key);
    let day = Duration::from_secs(86_400);
    let mut capped = options();
    capped.max_lifetime = Some(day * 365);
    capped.min_remaining = Some(day * 214);
    assert_eq!(
        verify_with(&leaf, from_ref(&h.ca), &[&h.root], &capped),
        Ok(1)
    );
    capped.min_remaining = Some(day * 214 + Duration::from_secs(1));
    let expected = leaf_error(Problem::RemainingLifetimeTooShort);
    assert_eq!(
        verify_with(&leaf, from_ref(&h.ca), &[&h.root], &capped),
        expected
    );
    capped.max_lifetime = Some(day * 365 - Duration::from_secs(1));
    let expected = leaf_error(Problem::LifetimeTooLong);
    assert_eq!(
        verify_with(&leaf, from_ref(&h.ca), &[&h.root], &capped),
        expected
    );
}

/// A group reports what it leaves out, by position, and counts duplicates once.
#[test]
fn anchor_groups() {
    let h = Hierarchy::new();
    let junk = Der::from(vec![0x30, 0x00]);
    let anchors = group(&[&h.root, &junk, &h.root, &h.ca]);
    assert_eq!(anchors.len(), 2);
    assert!(anchors.certificates().eq([&h.root, &h.ca]));
    assert_eq!(anchors.dropped().len(), 1);
    assert_eq!(anchors.dropped()[0].index, 1);
}

#[test]
fn the_bound_of_a_chain_is_exact() {
    let h = Hierarchy::new();
    let leaf = h.leaf().sign(&h.ca_key);
    let mut exact = options();
    exact.max_chain_size = leaf.len() + h.ca.len();
    let verify = |options: &PathOptions| verify_with(&leaf, from_ref(&h.ca), &[&h.root], options);
    assert_eq!(verify(&exact), Ok(1));
    exact.max_chain_size -= 1;
    let limit = exact.max_chain_size;
    assert_eq!(verify(&exact), Err(X509Error::ChainTooLarge { limit }));
}

/// Whoever relies on a path has to know until when: all of it.
#[test]
fn a_path_ends_with_the_first_of_its_certificates() {
    let h = Hierarchy::new();
    let end = |leaf: &str, ca: &str, root: &str| {
        let until = |parts: Parts, text: &str| {
            let not_after = time(text);
            parts.with(|parts| parts.not_after = not_after)
        };
        let leaf = until(h.leaf(), leaf).sign(&h.ca_key);
        let pool = [until(h.intermediate(), ca).sign(&h.root_key)];
        let root = until(h.anchor(), root).sign(&h.root_key);
        let anchors = group(&[&root]);
        let path = verify_path(&leaf, &pool, &anchors, &options(), ALGORITHMS, now());
        path.unwrap().not_after()
    };
    let (early, late) = ("261201000000Z", "270101000000Z");
    let first = at(1_796_083_200);
    assert_eq!(end(early, late, late), first);
    assert_eq!(end(late, early, late), first);
    assert_eq!(end(late, late, early), first);
    assert!(end(late, late, late) > first);
}

#[test]
fn the_anchor_of_a_path_is_told_by_its_position() {
    let h = Hierarchy::new();
    let other = Parts::ca("Other", "Other", &h.ca_key).sign(&h.ca_key);
    let leaf = h.leaf().sign(&h.ca_key);
    let anchors = group(&[&other, &h.root]);
    let pool = [h.ca.clone()];
    let path = verify_path(&leaf, &pool, &anchors, &options(), ALGORITHMS, now()).unwrap();
    assert_eq!((path.anchor(), path.anchor_index()), (&h.root, 1));
}

/// What is missing may be the issuer of an intermediate, too.
#[test]
fn an_unusable_link_is_told_wherever_it_was_needed() {
    let h = Hierarchy::new();
    let sub_key = key();
    let sub = Parts::ca("Sub", "CA", &sub_key).sign(&h.ca_key);
    let unusable = h
        .intermediate()
        .extensions(vec![
            basic_constraints(true, None),
            key_usage(DIGITAL_SIGNATURE),
        ])
        .sign(&h.root_key);
    let leaf = Parts::leaf(&h.leaf_key)
        .with(|parts| parts.issuer = name("Sub"))
        .sign(&sub_key);
    assert_eq!(
        verify(&leaf, &[sub, unusable], &[&h.root]),
        Err(X509Error::Certificate {
            index: 2,
            problem: Problem::KeyCertSignMissing
        })
    );
}

//! Certificate chains and the bundles that they end in: whose anchors count for whom.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::slice::from_ref;

use jose_x509::{Algorithm, CryptoProvider, SigningKey, provider::ring};
use pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use spiffe_bundle::{Bundle, BundleSet, SharedBundleSet};
use spiffe_id::{SpiffeId, SpiffeIdPattern, TrustDomain};
use svid::x509::{PeerRole, VerifyOptions, verify};

const PROVIDER: CryptoProvider = ring::provider();
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[webpki::ring::ECDSA_P256_SHA256];

struct Authority {
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

fn params(name: &str, id: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
    params
}

/// A CA of this trust domain, signed by another one or by itself.
fn authority(trust_domain: &str, by: Option<&Authority>) -> Authority {
    let mut params = params(trust_domain, &format!("spiffe://{trust_domain}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().unwrap();
    let certificate = match by {
        None => params.self_signed(&key),
        Some(by) => params.signed_by(&key, &by.issuer),
    };
    Authority {
        der: certificate.unwrap().der().clone(),
        issuer: Issuer::new(params, key),
    }
}

fn leaf(authority: &Authority, id: &str) -> CertificateDer<'static> {
    let mut params = params("leaf", id);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &authority.issuer).unwrap();
    leaf.der().clone()
}

fn bundle(trust_domain: &str, roots: &[&Authority]) -> Bundle {
    let trust_domain = TrustDomain::parse(trust_domain).unwrap();
    let builder = Bundle::builder(&PROVIDER, trust_domain);
    roots
        .iter()
        .fold(builder, |builder, root| {
            builder.with_x509_authority(&root.der)
        })
        .build()
        .unwrap()
}

fn set(bundles: impl IntoIterator<Item = Bundle>) -> BundleSet {
    let mut set = BundleSet::new();
    bundles
        .into_iter()
        .for_each(|bundle| set.add(bundle).unwrap());
    set
}

/// The identity that a chain proves, if any.
fn identity(chain: &[CertificateDer<'_>], bundles: &BundleSet) -> Option<SpiffeId> {
    let options = VerifyOptions::new(PeerRole::Client);
    let verified = verify(chain, bundles, &options, ALGORITHMS, UnixTime::now()).ok()?;
    Some(verified.unproven_spiffe_id().clone())
}

fn id(text: &str) -> SpiffeId {
    SpiffeId::parse(text).unwrap()
}

/// Two trust domains with one root: each identity is still of its own trust domain, and policy names that.
///
/// Covers: SPIFFE-BUNDLE-6.2-1, SPIFFE-BUNDLE-A2, SPIFFE-ID-A5
#[test]
fn a_shared_root_shares_no_identity() {
    let root = authority("root.test", None);
    let bundles = set([
        bundle("prod.test", &[&root]),
        bundle("staging.test", &[&root]),
    ]);
    assert_eq!(bundles.shared_keys().len(), 1);
    let policy = SpiffeIdPattern::parse("spiffe://prod.test/service/*").unwrap();
    for (name, allowed) in [
        ("spiffe://prod.test/service/pay", true),
        ("spiffe://staging.test/service/pay", false),
    ] {
        let peer = identity(&[leaf(&root, name)], &bundles).unwrap();
        assert_eq!(peer, id(name));
        assert_eq!(policy.matches(&peer), allowed);
    }
    // A trust domain without a bundle has no anchors, whoever signed.
    let name = "spiffe://dev.test/service/pay";
    assert_eq!(identity(&[leaf(&root, name)], &bundles), None);
}

/// While roots change, leaves of both are good, in whatever order the document has them. No agent is needed for it.
///
/// Covers: SPIFFE-BUNDLE-AppA-1, SPIFFE-BUNDLE-3-4
#[test]
fn both_roots_of_a_rotation() {
    let (old, new, other) = (
        authority("a.test", None),
        authority("a.test", None),
        authority("a.test", None),
    );
    let name = "spiffe://a.test/w";
    let leaves = [&old, &new, &other].map(|root| leaf(root, name));
    for order in [[&old, &new], [&new, &old]] {
        let document = bundle("a.test", &order).to_json();
        let trust_domain = TrustDomain::parse("a.test").unwrap();
        let read = Bundle::parse(&PROVIDER, trust_domain, document.as_bytes()).unwrap();
        let bundles = set([read]);
        let good = leaves
            .each_ref()
            .map(|leaf| identity(from_ref(leaf), &bundles));
        assert_eq!(good, [Some(id(name)), Some(id(name)), None]);
    }
    // When the old root is out, its leaves are refused at once.
    let shared = SharedBundleSet::new(set([bundle("a.test", &[&old, &new])]));
    let next = shared
        .snapshot()
        .iter()
        .next()
        .unwrap()
        .successor(&PROVIDER);
    let next = next.without_x509_authority(&old.der).build().unwrap();
    assert_eq!(next.sequence(), Some(2));
    shared.install(next).unwrap();
    let bundles = shared.snapshot();
    assert_eq!(identity(&leaves[..1], &bundles), None);
    assert_eq!(identity(&leaves[1..2], &bundles), Some(id(name)));
}

/// A CA of one trust domain that a foreign CA signed: the chain counts only if it ends in the bundle of the leaf's own
/// trust domain.
///
/// Covers: SPIFFE-ID-3.1-5, SPIFFE-ID-A8
#[test]
fn foreign_authorities_widen_nothing() {
    let a = authority("a.test", None);
    let b = authority("b.test", Some(&a));
    let name = "spiffe://b.test/w";
    let chain = [leaf(&b, name), b.der.clone()];
    let own_b = authority("b.test", None);
    let apart = set([bundle("a.test", &[&a]), bundle("b.test", &[&own_b])]);
    assert_eq!(identity(&chain, &apart), None);
    let joined = set([bundle("a.test", &[&a]), bundle("b.test", &[&a])]);
    assert_eq!(identity(&chain, &joined), Some(id(name)));
    // An authority says nothing about another trust domain, though both are known here.
    assert_eq!(identity(&[leaf(&a, name)], &apart), None);
    assert_eq!(
        identity(&[leaf(&own_b, "spiffe://a.test/admin")], &apart),
        None
    );
    // And the same with a token: the key is looked up in the bundle of its subject.
    let key = SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_kid("k");
    let with = |name: &str| {
        let trust_domain = TrustDomain::parse(name).unwrap();
        Bundle::builder(&PROVIDER, trust_domain).with_jwt_authority(&key.public_jwk())
    };
    let dev = set([with("dev.test").build().unwrap(), bundle("prod.test", &[])]);
    let prod = TrustDomain::parse("prod.test").unwrap();
    let keys = spiffe_bundle::JwtBundleSource::jwt_authorities(&dev, (&prod).into());
    assert!(keys.unwrap().get("k").is_none());
}

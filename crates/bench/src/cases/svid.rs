//! SVIDs of all three kinds against a bundle, for the first time and again.

use std::hint::black_box;
use std::sync::Arc;

use http::{HeaderMap, Uri};
use jose_x509::{Algorithm, Error, ReplayGuard, ReplayKey};
use pki_types::UnixTime;
use spiffe_bundle::{Bundle, BundleSet};
use spiffe_id::{SpiffeId, TrustDomain};
use svid::cache::{CacheLimits, Cached};
use svid::jwt::JwtSvidVerifier;
use svid::wit::{WitSvidHolder, WitSvidIssuer, WitSvidVerifier};
use svid::x509::{PeerRole, UnverifiedX509Svid, VerifyOptions, X509SvidVerifier};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{Planned, with_yardstick};
use crate::backend::Backend;
use crate::bar::Bar;
use crate::fixtures::{AUDIENCE, Chain, Key, SUBJECT, chain_time, four_keys};
use crate::harness::{Case, Work};
#[cfg(feature = "peers")]
use crate::peers;

pub(super) fn plan(cases: &mut Vec<Planned>, backend: Backend) {
    let mut add = |name: &str, make: fn(&str, Backend) -> Case| {
        let name = format!("{name}/{}", backend.name());
        cases.push(Planned::new(name, move |name| make(name, backend)));
    };
    add("jwt-svid-es256", |name, backend| {
        jwt_svid(name, backend, Algorithm::Es256, 0.90)
    });
    add("jwt-svid-rs256", |name, backend| {
        jwt_svid(name, backend, Algorithm::Rs256, 0.67)
    });
    add("jwt-svid-again-es256", |name, backend| {
        jwt_svid_again(name, backend, Algorithm::Es256)
    });
    add("jwt-svid-again-rs256", |name, backend| {
        jwt_svid_again(name, backend, Algorithm::Rs256)
    });
    add("wit-svid-wpt", wit_svid_wpt);
    add("wit-svid-again-wpt", wit_svid_again_wpt);
    add("x509-svid-chain", x509_svid_chain);
    add("x509-svid-again", x509_svid_again);
    // Parsing needs no provider, so once is enough.
    if backend == Backend::Ring {
        cases.push(Planned::new("x509-svid-parse", x509_svid_parse));
    }
}

fn home() -> TrustDomain {
    TrustDomain::parse("prod.example.org").expect("a trust domain")
}

fn set(bundle: Bundle) -> BundleSet {
    let mut set = BundleSet::new();
    set.install(bundle).expect("the first of its trust domain");
    set
}

fn jwt_bundles(backend: Backend, others: &[Key], signer: &Key) -> BundleSet {
    let builder = Bundle::builder(&backend.provider(), home());
    let keys = others.iter().chain([signer]);
    let bundle = keys.fold(builder, |builder, key| {
        builder.with_jwt_authority(&key.jwk())
    });
    set(bundle.build().expect("the keys are sound"))
}

fn jwt_svid(name: &str, backend: Backend, algorithm: Algorithm, share: f64) -> Case {
    let (others, signer) = four_keys(algorithm);
    let token = signer.token();
    let case = Case::new(name, jwt_verification(backend, &others, &signer, &token))
        .floor("the signature alone", backend.bare_verify(&signer, &token));
    let case = with_yardstick(case)
        .bar(Bar::OverFloor { at_most: 1500.0 })
        .bar(Bar::Allocations { at_most: 2 });
    #[cfg(feature = "peers")]
    let case = case.peer("spiffe", peers::spiffe::verify(&others, &signer, &token));
    match backend {
        Backend::Ring => {
            // Another provider's primitive than the peer's would decide.
            let _ = share;
            case
        }
        #[cfg(feature = "peers")]
        Backend::AwsLcRs => case.bar(Bar::Ratio {
            peer: "spiffe",
            at_most: share,
        }),
    }
}

fn jwt_verification(backend: Backend, others: &[Key], signer: &Key, token: &str) -> Work {
    let token = token.to_owned();
    let bundles = jwt_bundles(backend, others, signer);
    let verifier = JwtSvidVerifier::new(AUDIENCE).expect("an audience");
    Work::new(move || {
        verifier
            .verify(black_box(&token), &bundles, UnixTime::now())
            .expect("the token is good")
    })
}

/// What a repeat costs, as a share of the first time.
const AGAIN: Bar = Bar::Ratio {
    peer: "the first time",
    at_most: 0.05,
};

fn jwt_svid_again(name: &str, backend: Backend, algorithm: Algorithm) -> Case {
    let (others, signer) = four_keys(algorithm);
    let token = signer.token();
    let first = jwt_verification(backend, &others, &signer, &token);
    let bundles = jwt_bundles(backend, &others, &signer);
    let verifier = Cached::new(
        JwtSvidVerifier::new(AUDIENCE).expect("an audience"),
        backend.provider(),
        CacheLimits::default(),
    );
    let again = Work::new(move || {
        let svid = verifier.verify(black_box(&token), &bundles, UnixTime::now());
        svid.expect("the token is good")
    });
    Case::new(name, again)
        .peer("the first time", first)
        .bar(AGAIN)
}

/// Accepts every proof again and again, so that one request can be measured. A guard in memory adds a look into
/// its map.
struct Forgetful;

impl ReplayGuard for Forgetful {
    fn check_and_insert(&self, _: ReplayKey, _: UnixTime, _: UnixTime) -> Result<(), Error> {
        Ok(())
    }
}

/// A request with a WIT-SVID and its proof, and what is needed to verify it.
struct WitRequest {
    bundles: BundleSet,
    headers: HeaderMap,
    target: Uri,
    now: UnixTime,
    floor: Work,
}

impl WitRequest {
    fn new(backend: Backend) -> Self {
        let provider = backend.provider();
        let (others, issuer) = four_keys(Algorithm::Es256);
        let workload = Key::new(Algorithm::Es256, "workload");
        let now = UnixTime::now();
        let builder = Bundle::builder(&provider, home());
        let keys = others.iter().chain([&issuer]);
        let bundle = keys.fold(builder, |builder, key| {
            builder.with_wit_authority(&key.jwk())
        });
        let id = SpiffeId::parse(SUBJECT).expect("a SPIFFE ID");
        let wit = WitSvidIssuer::new(issuer.signing_key(&provider), home())
            .expect("the key has a name")
            .issue(&id, &workload.jwk(), None, now)
            .expect("the workload is at home");
        let holder = WitSvidHolder::new(wit.clone(), workload.signing_key(&provider))
            .expect("token and key belong together");
        let target = Uri::from_static("https://ledger.payments.prod.example.org/transfers");
        let mut headers = HeaderMap::new();
        holder
            .attach(&mut headers, &target, now)
            .expect("the proof");
        let proof = headers.get("authorization").expect("it is there");
        let proof = proof.to_str().expect("ASCII").trim_start_matches("WPT ");
        let mut first = backend.bare_verify(&issuer, &wit);
        let mut second = backend.bare_verify_with_new_key(&workload, proof);
        Self {
            bundles: set(bundle.build().expect("the keys are sound")),
            floor: Work::new(move || {
                first.once();
                second.once();
            }),
            headers,
            target,
            now,
        }
    }

    fn verifier() -> WitSvidVerifier {
        WitSvidVerifier::new("https://ledger.payments.prod.example.org").expect("an authority")
    }
}

fn wit_svid_wpt(name: &str, backend: Backend) -> Case {
    let WitRequest {
        bundles,
        headers,
        target,
        now,
        floor,
    } = WitRequest::new(backend);
    let verifier = WitRequest::verifier();
    let ours = Work::new(move || {
        let workload = verifier.verify(black_box(&headers), &target, &bundles, &Forgetful, now);
        workload.expect("token and proof are good")
    });
    with_yardstick(Case::new(name, ours).floor("two signatures alone", floor))
        .bar(Bar::OverFloor { at_most: 3000.0 })
}

/// The token is remembered, and its proof is new each time.
fn wit_svid_again_wpt(name: &str, backend: Backend) -> Case {
    let WitRequest {
        bundles,
        headers,
        target,
        now,
        floor,
    } = WitRequest::new(backend);
    let verifier = Cached::new(
        WitRequest::verifier(),
        backend.provider(),
        CacheLimits::default(),
    );
    let ours = Work::new(move || {
        let workload = verifier.verify(black_box(&headers), &target, &bundles, &Forgetful, now);
        workload.expect("token and proof are good")
    });
    // The token's signature is not verified again.
    Case::new(name, ours)
        .floor("two signatures alone", floor)
        .bar(Bar::OverFloor { at_most: 0.0 })
}

fn x509_bundles(backend: Backend, chain: &Chain) -> BundleSet {
    let bundle = Bundle::builder(&backend.provider(), home()).with_x509_authority(&chain.root);
    set(bundle.build().expect("the root is good"))
}

fn x509_verifier(backend: Backend) -> X509SvidVerifier {
    X509SvidVerifier::new(&backend.provider(), VerifyOptions::new(PeerRole::Client))
}

fn x509_verification(backend: Backend, chain: &Chain) -> Work {
    let bundles = x509_bundles(backend, chain);
    let verifier = x509_verifier(backend);
    let presented = [chain.leaf.clone(), chain.intermediate.clone()];
    Work::new(move || {
        let peer = verifier.verify(black_box(&presented), &bundles, chain_time());
        peer.expect("the chain is good")
    })
}

fn x509_svid_chain(name: &str, backend: Backend) -> Case {
    let chain = Chain::new();
    let provider = backend.provider();
    let anchor = anchor_from_trusted_cert(&chain.root).expect("the root is good");
    let anchors = [anchor.to_owned()];
    let (leaf, intermediates) = (chain.leaf.clone(), [chain.intermediate.clone()]);
    let webpki = Work::new(move || {
        let leaf = EndEntityCert::try_from(black_box(&leaf)).expect("the leaf is good");
        leaf.verify_for_usage(
            provider.certificate_algorithms,
            &anchors,
            black_box(&intermediates),
            chain_time(),
            KeyUsage::client_auth(),
            None,
            None,
        )
        .map(|_| ())
        .expect("the path is good");
    });
    with_yardstick(
        Case::new(name, x509_verification(backend, &chain)).peer("rustls-webpki", webpki),
    )
    .bar(Bar::OverPeer {
        peer: "rustls-webpki",
        at_most: 800.0,
    })
}

fn x509_svid_again(name: &str, backend: Backend) -> Case {
    let chain = Chain::new();
    let first = x509_verification(backend, &chain);
    let bundles = x509_bundles(backend, &chain);
    let verifier = Cached::new(
        x509_verifier(backend),
        backend.provider(),
        CacheLimits::default(),
    );
    let presented = [chain.leaf.clone(), chain.intermediate.clone()];
    let again = Work::new(move || {
        let peer = verifier.verify(black_box(&presented), &bundles, chain_time());
        Arc::clone(&peer.expect("the chain is good"))
    });
    Case::new(name, again)
        .peer("the first time", first)
        .bar(AGAIN)
}

/// Two certificates and a key as the Workload API delivers them. Neither ours nor the peer looks here whether the
/// key is the leaf's.
fn x509_svid_parse(name: &str) -> Case {
    let chain = Chain::new();
    let certificates = [chain.leaf.as_ref(), chain.intermediate.as_ref()].concat();
    let key = chain.leaf_key;
    #[cfg(feature = "peers")]
    let theirs = peers::spiffe::parse_x509_svid(certificates.clone(), key.clone());
    let ours = Work::new(move || {
        UnverifiedX509Svid::parse_der(black_box(&certificates), black_box(&key))
            .expect("the form is good")
    });
    let case = Case::new(name, ours);
    #[cfg(feature = "peers")]
    let case = case.peer("spiffe", theirs).bar(Bar::Ratio {
        peer: "spiffe",
        at_most: 0.13,
    });
    case
}

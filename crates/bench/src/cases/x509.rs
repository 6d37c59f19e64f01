//! A workload certificate that arrives: its names, and its path to the root.

use std::hint::black_box;

use jose_x509::x509::{Certificate, PathOptions, Purpose, TrustAnchors, verify_path};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{Planned, with_yardstick};
use crate::backend::Backend;
use crate::bar::Bar;
use crate::fixtures::{Chain, SUBJECT, chain_time};
use crate::harness::{Case, Work};

pub(super) fn plan(cases: &mut Vec<Planned>, backend: Backend) {
    // Parsing needs no provider, so once is enough.
    if backend == Backend::Ring {
        cases.push(Planned::new("x509-leaf", leaf));
    }
    let name = format!("x509-chain/{}", backend.name());
    cases.push(Planned::new(name, move |name| chain(name, backend)));
}

fn leaf(name: &str) -> Case {
    let der = Chain::new().leaf;
    let case = Case::new(name, {
        let der = der.clone();
        Work::new(move || {
            let leaf = Certificate::parse(black_box(&der)).expect("the leaf is good");
            assert_eq!(leaf.uri_names().next(), Some(SUBJECT));
        })
    });
    #[cfg(feature = "peers")]
    let case = add_leaf_peers(case, &der);
    case.bar(Bar::Ratio {
        peer: "x509-cert",
        at_most: 0.15,
    })
    .bar(Bar::Allocations { at_most: 0 })
}

#[cfg(feature = "peers")]
fn add_leaf_peers(case: Case, der: &pki_types::CertificateDer<'static>) -> Case {
    use x509_cert::der::Decode as _;
    use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

    let (one, two) = (der.clone(), der.clone());
    // The SAN is left as it is: its bytes would have to be parsed apart.
    case.peer(
        "x509-cert",
        Work::new(move || {
            x509_cert::Certificate::from_der(black_box(&one)).expect("the leaf is good")
        }),
    )
    .peer(
        "x509-parser",
        Work::new(move || {
            let (rest, leaf) =
                X509Certificate::from_der(black_box(&two)).expect("the leaf is good");
            assert!(rest.is_empty());
            let names = leaf.subject_alternative_name().expect("one SAN");
            let mut names = names.iter().flat_map(|names| &names.value.general_names);
            assert!(matches!(names.next(), Some(GeneralName::URI(SUBJECT))));
        }),
    )
}

fn chain(name: &str, backend: Backend) -> Case {
    let chain = Chain::new();
    let provider = backend.provider();
    let anchors = TrustAnchors::new([chain.root.clone()]);
    let options = PathOptions::new(Purpose::ClientAuth);
    let (leaf, intermediates) = (chain.leaf.clone(), [chain.intermediate.clone()]);
    let ours = Work::new(move || {
        let path = verify_path(
            black_box(&leaf),
            black_box(&intermediates),
            &anchors,
            &options,
            provider.certificate_algorithms,
            chain_time(),
        );
        path.expect("the path is good").not_after()
    });
    // It checks no `keyUsage`, neither form nor strength of keys, no validity of the anchor, and reads no names.
    let webpki = {
        let root = chain.root.clone();
        let anchor = anchor_from_trusted_cert(&root).expect("the root is good");
        let anchors = [anchor.to_owned()];
        let (leaf, intermediates) = (chain.leaf.clone(), [chain.intermediate.clone()]);
        Work::new(move || {
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
        })
    };
    with_yardstick(Case::new(name, ours).peer("rustls-webpki", webpki)).bar(Bar::OverPeer {
        peer: "rustls-webpki",
        at_most: 500.0,
    })
}

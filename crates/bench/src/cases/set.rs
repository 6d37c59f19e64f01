//! A SET that arrives at a receiver: token, event and subject, against the bare signature.

use std::hint::black_box;
use std::sync::Arc;

use jose_x509::{Algorithm, KeySet, VerifyingKey};
use pki_types::UnixTime;
use ssf_set::caep::SessionRevoked;
use ssf_set::{SetIssuer, SetRequest, SetVerifier, SubjectIdentifier};

use super::{Planned, with_yardstick};
use crate::backend::Backend;
use crate::bar::Bar;
use crate::fixtures::{AUDIENCE, SUBJECT, four_keys};
use crate::harness::{Case, Work};

const ISSUER: &str = "https://signals.prod.example.org";

pub(super) fn plan(cases: &mut Vec<Planned>, backend: Backend) {
    let name = format!("set-es256/{}", backend.name());
    cases.push(Planned::new(name, move |name| verification(name, backend)));
}

fn verification(name: &str, backend: Backend) -> Case {
    let (others, signer) = four_keys(Algorithm::Es256);
    let provider = backend.provider();
    let issuer = SetIssuer::new(signer.signing_key(&provider), provider, ISSUER);
    let subject = SubjectIdentifier::uri(SUBJECT).expect("a URI");
    let request = SetRequest::new(AUDIENCE, subject, SessionRevoked::default());
    let set = issuer
        .and_then(|issuer| issuer.issue(&request, UnixTime::now()))
        .expect("the event is sound");
    let keys = others
        .iter()
        .chain([&signer])
        .map(|key| VerifyingKey::from_jwk(&provider, key.jwk()).expect("the key is sound"));
    let keys = KeySet::new(keys.collect()).expect("each has its own name");
    let verifier = SetVerifier::ssf(ISSUER, Arc::new(keys), [AUDIENCE]).expect("an audience");
    let floor = backend.bare_verify(&signer, &set.compact);
    let ours = Work::new(move || {
        verifier
            .verify(black_box(&set.compact), UnixTime::now())
            .expect("the SET is good")
    });
    with_yardstick(Case::new(name, ours).floor("the signature alone", floor))
        .bar(Bar::OverFloor { at_most: 2000.0 })
}

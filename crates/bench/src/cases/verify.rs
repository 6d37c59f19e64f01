//! A JWT-SVID that arrives: structure, type, key, signature, times, audience, subject.

use std::hint::black_box;

use jose_x509::jwt::{Audience, Issuer, Type, Validator};
use jose_x509::{Algorithm, KeySet, VerifyingKey};
use pki_types::UnixTime;

use super::{Peers, Planned};
use crate::backend::Backend;
use crate::bar::Bar;
use crate::fixtures::{AUDIENCE, Key, SUBJECT, four_keys};
use crate::harness::{Case, Work};
#[cfg(feature = "peers")]
use crate::peers;

pub(super) fn plan(cases: &mut Vec<Planned>, backend: Backend, peers: Peers) {
    let algorithms = [
        ("es256", Algorithm::Es256),
        ("eddsa", Algorithm::EdDsa),
        ("rs256", Algorithm::Rs256),
    ];
    for (name, algorithm) in algorithms {
        let suffix = match peers {
            Peers::AwsLc => "",
            Peers::RustCrypto => "-rustcrypto",
        };
        cases.push(Planned::new(
            format!("verify-{name}{suffix}/{}", backend.name()),
            move |name| case(name, algorithm, backend, peers, owned, 2),
        ));
        if peers == Peers::AwsLc {
            cases.push(Planned::new(
                format!("verify-{name}-borrowed/{}", backend.name()),
                move |name| case(name, algorithm, backend, peers, borrowed, 0),
            ));
        }
    }
}

fn case(
    name: &str,
    algorithm: Algorithm,
    backend: Backend,
    peers: Peers,
    ours: fn(Backend, &[Key], &Key, String) -> Work,
    allocations: u64,
) -> Case {
    let (others, signer) = four_keys(algorithm);
    let token = signer.token();
    let case = Case::new(name, ours(backend, &others, &signer, token.clone()))
        .floor("the signature alone", backend.bare_verify(&signer, &token));
    #[cfg(feature = "peers")]
    let case = add_peers(case, algorithm, backend, peers, &others, &signer, &token);
    if peers == Peers::RustCrypto {
        return case;
    }
    let case = case
        .bar(Bar::ShareOfOverhead {
            peer: "jsonwebtoken-aws-lc",
            at_most: 0.45,
        })
        .bar(Bar::Allocations {
            at_most: allocations,
        });
    match backend {
        Backend::Ring => case,
        #[cfg(feature = "peers")]
        Backend::AwsLcRs => case.bar(Bar::Ratio {
            peer: "jsonwebtoken-aws-lc",
            at_most: match algorithm {
                Algorithm::Rs256 => 0.82,
                Algorithm::EdDsa => 0.96,
                _ => 0.95,
            },
        }),
    }
}

fn key_set(backend: Backend, others: &[Key], signer: &Key) -> KeySet {
    let keys = others.iter().chain([signer]).map(|key| {
        VerifyingKey::from_jwk(&backend.provider(), key.jwk()).expect("the key is sound")
    });
    KeySet::new(keys.collect()).expect("each has its own name")
}

fn validator() -> Validator {
    Validator::new(
        Type::OneOf(&["JWT"]),
        Issuer::NotApplicable {
            reason: "the trust domain of `sub` chose the keys",
        },
        Audience::AnyOf(vec![AUDIENCE.to_owned()]),
    )
    .with_kid_required()
    .with_required_claim("sub")
    .with_required_claim("nbf")
}

/// A token that outlives the text it came from.
fn owned(backend: Backend, others: &[Key], signer: &Key, token: String) -> Work {
    let keys = key_set(backend, others, signer);
    let validator = validator();
    Work::new(move || {
        // The time is an argument; the peers read the clock themselves.
        let jwt = validator
            .validate(black_box(&token), &keys, UnixTime::now())
            .expect("the token is good");
        assert_eq!(jwt.subject(), Some(SUBJECT));
        jwt
    })
}

/// A token in a buffer that serves the next one, too.
fn borrowed(backend: Backend, others: &[Key], signer: &Key, token: String) -> Work {
    let keys = key_set(backend, others, signer);
    let validator = validator();
    let mut buffer = Vec::new();
    Work::new(move || {
        let jwt = validator
            .validate_in(black_box(&token), &keys, UnixTime::now(), &mut buffer)
            .expect("the token is good");
        assert_eq!(jwt.subject(), Some(SUBJECT));
    })
}

/// The same checks by others: `alg`, `kid`, `typ`, `exp`, `nbf`, `aud` and `sub`.
#[cfg(feature = "peers")]
fn add_peers(
    case: Case,
    algorithm: Algorithm,
    backend: Backend,
    peers: Peers,
    others: &[Key],
    signer: &Key,
    token: &str,
) -> Case {
    let jsonwebtoken = peers::jsonwebtoken::verify(others, signer, token);
    if peers == Peers::RustCrypto {
        // Its floor would be the primitive of RustCrypto; no bar asks for it.
        return case.peer("jsonwebtoken-rustcrypto", jsonwebtoken);
    }
    let case = match backend {
        Backend::AwsLcRs => case.peer("jsonwebtoken-aws-lc", jsonwebtoken),
        Backend::Ring => case.peer_over(
            "jsonwebtoken-aws-lc",
            jsonwebtoken,
            crate::backend::aws_lc_verify(signer, token),
        ),
    };
    let case = case.peer("jwt-simple", peers::jwt_simple::verify(signer, token));
    #[cfg(feature = "openssl")]
    let case = case.peer("josekit", peers::josekit::verify(signer, token));
    if algorithm == Algorithm::EdDsa {
        return case; // JWT-SVID has no EdDSA, so `spiffe` has none.
    }
    case.peer("spiffe", peers::spiffe::verify(others, signer, token))
}

//! A token that is issued: claims to compact JWS.

use std::hint::black_box;

use jose_x509::jws::ProtectedHeader;
use jose_x509::{Algorithm, jwt};

use super::{Peers, Planned, with_yardstick};
use crate::backend::Backend;
use crate::bar::Bar;
use crate::fixtures::{CLAIMS, Key, kids};
use crate::harness::{Case, Work};
#[cfg(feature = "peers")]
use crate::peers;

pub(super) fn plan(cases: &mut Vec<Planned>, backend: Backend, peers: Peers) {
    for (name, algorithm) in [("es256", Algorithm::Es256), ("eddsa", Algorithm::EdDsa)] {
        let suffix = match peers {
            Peers::AwsLc => "",
            Peers::RustCrypto => "-rustcrypto",
        };
        cases.push(Planned::new(
            format!("sign-{name}{suffix}/{}", backend.name()),
            move |name| case(name, algorithm, backend, peers),
        ));
    }
}

fn case(name: &str, algorithm: Algorithm, backend: Backend, peers: Peers) -> Case {
    let kid = kids(1).next().expect("one name");
    let key = Key::new(algorithm, &kid);
    let case = Case::new(name, ours(backend, &key)).floor(
        "the signature alone",
        backend.bare_sign(&key, signing_input(&key)),
    );
    #[cfg(feature = "peers")]
    let case = add_peers(case, peers, &key);
    if peers == Peers::RustCrypto {
        return case;
    }
    let case = with_yardstick(case)
        .bar(Bar::OverFloor { at_most: 600.0 })
        .bar(Bar::Allocations { at_most: 1 });
    if backend == Backend::Ring {
        // Two signature implementations differ by more than what is done around them.
        return case;
    }
    case.bar(Bar::Ratio {
        peer: "jsonwebtoken-aws-lc",
        at_most: 0.65,
    })
}

fn ours(backend: Backend, key: &Key) -> Work {
    let key = key.signing_key(&backend.provider());
    let header = ProtectedHeader::new("JWT");
    Work::new(move || jwt::sign(&key, &header, black_box(&CLAIMS)).expect("it signs"))
}

/// What a signature of the token is over.
fn signing_input(key: &Key) -> Vec<u8> {
    let token = key.token();
    let (message, _) = token.rsplit_once('.').expect("a token has dots");
    message.as_bytes().to_vec()
}

#[cfg(feature = "peers")]
fn add_peers(case: Case, peers: Peers, key: &Key) -> Case {
    let jsonwebtoken = peers::jsonwebtoken::sign(key);
    if peers == Peers::RustCrypto {
        return case.peer("jsonwebtoken-rustcrypto", jsonwebtoken);
    }
    let case = case
        .peer("jsonwebtoken-aws-lc", jsonwebtoken)
        .peer("jwt-simple", peers::jwt_simple::sign(key));
    #[cfg(feature = "openssl")]
    let case = case.peer("josekit", peers::josekit::sign(key));
    case
}

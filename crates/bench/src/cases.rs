//! What is compared. One file a topic.

use crate::backend::Backend;
#[cfg(feature = "peers")]
use crate::bar::YARDSTICK;
use crate::harness::Case;
#[cfg(feature = "peers")]
use crate::{backend, fixtures, peers};

mod authority;
mod bundle;
mod cimd;
mod json;
mod keys;
mod oauth;
mod set;
mod sign;
mod svid;
mod txn;
mod verify;
mod x509;

/// A case that is not made yet: making one can take longer than measuring it.
pub struct Planned {
    /// Its name.
    pub name: String,
    make: Box<dyn FnOnce(&str) -> Case>,
}

impl Planned {
    fn new(name: impl Into<String>, make: impl FnOnce(&str) -> Case + 'static) -> Self {
        Self {
            name: name.into(),
            make: Box::new(make),
        }
    }

    /// Makes it.
    #[must_use]
    pub fn make(self) -> Case {
        (self.make)(&self.name)
    }
}

/// Adds what tells the speed of the machine, for limits in nanoseconds.
fn with_yardstick(case: Case) -> Case {
    #[cfg(feature = "peers")]
    let case = {
        let (others, signer) = fixtures::four_keys(jose_x509::Algorithm::Es256);
        let token = signer.token();
        case.peer_over(
            YARDSTICK,
            peers::jsonwebtoken::verify(&others, &signer, &token),
            backend::aws_lc_verify(&signer, &token),
        )
    };
    case
}

/// The peers of a run: the two backends of one of them exclude each other within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    /// `jsonwebtoken` on AWS-LC, and everything else.
    AwsLc,
    /// `jsonwebtoken` on RustCrypto, and nothing else.
    RustCrypto,
}

/// Every case.
#[must_use]
pub fn all(peers: Peers) -> Vec<Planned> {
    let mut cases = Vec::new();
    for backend in Backend::ALL {
        verify::plan(&mut cases, *backend, peers);
        sign::plan(&mut cases, *backend, peers);
        if peers == Peers::AwsLc {
            keys::plan(&mut cases, *backend);
            x509::plan(&mut cases, *backend);
            svid::plan(&mut cases, *backend);
            set::plan(&mut cases, *backend);
            oauth::plan(&mut cases, *backend);
            txn::plan(&mut cases, *backend);
        }
    }
    if peers == Peers::AwsLc {
        bundle::plan(&mut cases);
        json::plan(&mut cases);
        authority::plan(&mut cases);
        cimd::plan(&mut cases);
        txn::plan_policies(&mut cases);
    }
    cases
}

//! A key set that is fetched: JSON to keys that are ready to verify.

use std::hint::black_box;

use jose_x509::KeySet;
use jose_x509::jwk::SetLimits;

use super::Planned;
use crate::backend::Backend;
use crate::bar::Bar;
use crate::fixtures::jwks;
use crate::harness::{Case, Work};
#[cfg(feature = "peers")]
use crate::peers;

pub(super) fn plan(cases: &mut Vec<Planned>, backend: Backend) {
    for count in [4_u32, 1000] {
        let name = format!("keys-{count}/{}", backend.name());
        cases.push(Planned::new(name, move |name| case(name, count, backend)));
    }
}

fn case(name: &str, count: u32, backend: Backend) -> Case {
    let json = jwks(usize::try_from(count).expect("a small number"));
    let case = Case::new(name, ours(backend, &json, count));
    #[cfg(feature = "peers")]
    let case = case.peer("jsonwebtoken-aws-lc", peers::jsonwebtoken::key_set(json));
    case.bar(Bar::Ratio {
        peer: "jsonwebtoken-aws-lc",
        at_most: 0.5,
    })
    .bar(Bar::Allocations {
        at_most: count.into(),
    })
}

/// Strict JSON, canonical base64url and a point on the curve are checked for each key.
fn ours(backend: Backend, json: &[u8], count: u32) -> Work {
    let json = json.to_vec();
    let provider = backend.provider();
    let limits = SetLimits::new(1 << 20, 1000);
    let count = usize::try_from(count).expect("a small number");
    Work::new(move || {
        let keys = KeySet::from_jwks_slice_with(&provider, black_box(&json), &limits)
            .expect("the set is good");
        assert_eq!(keys.keys().len(), count);
        keys
    })
}

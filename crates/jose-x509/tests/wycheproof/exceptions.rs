//! Where this crate decides otherwise than Wycheproof, and why.

use std::ops::RangeInclusive;

/// Tests that come out otherwise, for one reason.
pub(crate) struct Exception {
    tests: &'static [RangeInclusive<u64>],
    pub(crate) reason: &'static str,
}

impl Exception {
    pub(crate) fn ids(&self) -> impl Iterator<Item = u64> {
        self.tests.iter().cloned().flatten()
    }

    pub(crate) fn has(&self, id: u64) -> bool {
        self.tests.iter().any(|range| range.contains(&id))
    }
}

const NO_HMAC: &str =
    "HMAC does not exist in this crate: who can verify with a shared key could also sign";

pub(crate) const SIGNATURE: &[Exception] = &[
    Exception {
        tests: &[1..=1, 348..=348, 352..=352, 357..=359, 376..=377],
        reason: NO_HMAC,
    },
    Exception {
        tests: &[372..=373],
        reason: "marked valid although a character outside the base64url alphabet stands in the token \
                 (and it is an HMAC)",
    },
    Exception {
        tests: &[346..=346, 350..=350],
        reason: "marked valid although the key is for PS256 and the header says PS384: a key has one \
                 algorithm here",
    },
    Exception {
        tests: &[347..=347, 351..=351],
        reason: "marked valid although the key's `alg` is `ES521`, which is no registered algorithm",
    },
];

pub(crate) const KEY: &[Exception] = &[Exception {
    tests: &[2..=2, 13..=15],
    reason: NO_HMAC,
}];

pub(crate) const CRYPTO_JWS: &[Exception] = &[Exception {
    tests: &[1..=1, 48..=48],
    reason: NO_HMAC,
}];

pub(crate) const ALL: &[&[Exception]] = &[SIGNATURE, KEY, CRYPTO_JWS];

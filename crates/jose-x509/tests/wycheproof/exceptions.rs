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

#[cfg(feature = "jwe")]
pub(crate) const ENCRYPTION: &[Exception] = &[
    Exception {
        tests: &[100..=105, 112..=112, 128..=128],
        reason: "RSA1_5 does not exist in this crate: its padding has been an oracle again and again",
    },
    Exception {
        tests: &[82..=87, 129..=129],
        reason: "RSA-OAEP does not exist in this crate, since it rests on SHA-1; RSA-OAEP-256 does",
    },
    Exception {
        tests: &[60..=61, 70..=75, 133..=133],
        reason: "A192KW, ECDH-ES+A192KW and the GCM key wraps do not exist in this crate: nothing needs them",
    },
    Exception {
        tests: &[
            28..=28,
            31..=31,
            53..=53,
            56..=56,
            77..=77,
            80..=80,
            89..=89,
            92..=92,
        ],
        reason: "A192GCM and A192CBC-HS384 do not exist in this crate: nothing needs them",
    },
    Exception {
        tests: &[135..=135],
        reason: "`zip` is refused whatever its value: a short token could become a long text",
    },
];

#[cfg(feature = "jwe")]
pub(crate) const CRYPTO_JWE: &[Exception] = &[];

pub(crate) const ALL: &[&[Exception]] = &[
    SIGNATURE,
    KEY,
    CRYPTO_JWS,
    #[cfg(feature = "jwe")]
    ENCRYPTION,
    #[cfg(feature = "jwe")]
    CRYPTO_JWE,
];

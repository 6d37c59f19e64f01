//! Project Wycheproof's JOSE vectors, read from the folder that the variable `WYCHEPROOF_DIR` names.
//!
//! Every test has to come out as Wycheproof says, except for the ones in `exceptions.rs`, which has the
//! reason for each. An exception that is not needed fails as well. Where the files come from and how to run
//! this is told in `docs/testing.md`.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

mod exceptions;
#[cfg(feature = "jwe")]
mod jwe;
mod jws;

use exceptions::Exception;

/// What became of one token: the error's code if it was refused.
type Verdict = Result<(), String>;

/// The folder, or nothing if this run goes without it.
fn directory() -> Option<PathBuf> {
    let directory = std::env::var_os("WYCHEPROOF_DIR").filter(|value| !value.is_empty());
    if directory.is_none() {
        eprintln!(
            "SKIPPED: WYCHEPROOF_DIR is not set, so no Wycheproof vector was run; see docs/testing.md"
        );
    }
    directory.map(PathBuf::from)
}

/// Runs the tests of one file that `run` has a verdict for, and compares with what is expected.
///
/// # Panics
///
/// If a test comes out otherwise than expected, an exception is not needed, or `count` tests were not run.
fn check(
    file: &str,
    exceptions: &[Exception],
    count: usize,
    run: impl Fn(&Value, &Value) -> Option<Verdict>,
) {
    let Some(directory) = directory() else { return };
    let path = directory.join(file);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let suite: Value = serde_json::from_slice(&text).unwrap();
    let mut problems = Vec::new();
    let mut differing = BTreeSet::new();
    let mut ran = 0;
    for group in suite["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let Some(verdict) = run(group, test) else {
                continue;
            };
            ran += 1;
            let id = test["tcId"].as_u64().unwrap();
            let expected = match test["result"].as_str().unwrap() {
                "valid" => true,
                "invalid" => false,
                other => panic!("tc{id} has the unknown result {other}"),
            };
            if verdict.is_ok() == expected {
                continue;
            }
            differing.insert(id);
            let excepted = exceptions.iter().any(|exception| exception.has(id));
            if !excepted {
                let comment = test["comment"].as_str().unwrap();
                problems.push(format!(
                    "tc{id} ({}, {comment}): {} expected, got {verdict:?}",
                    group["comment"], test["result"]
                ));
            }
        }
    }
    for exception in exceptions {
        assert!(exception.reason.len() > 20, "an exception without a reason");
        for id in exception.ids() {
            if !differing.contains(&id) {
                problems.push(format!(
                    "tc{id} came out as Wycheproof says; drop its exception"
                ));
            }
        }
    }
    assert!(problems.is_empty(), "{file}:\n{}", problems.join("\n"));
    assert_eq!(ran, count, "{file}: not all tests were run");
    eprintln!(
        "{file}: {ran} tests, {} of them excepted with a reason",
        differing.len()
    );
}

/// The exceptions themselves can be wrong only in ways that `check` finds, save for this one.
#[test]
fn no_test_is_excepted_twice() {
    for list in exceptions::ALL {
        let mut seen = BTreeSet::new();
        for exception in *list {
            for id in exception.ids() {
                assert!(seen.insert(id), "tc{id}");
            }
        }
    }
}

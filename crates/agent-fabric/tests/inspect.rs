//! `agent-fabric inspect`, run as the command it is, on input that other software made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use agent_fabric::inspect::{self, InspectOptions, Kind};
use clap::ValueEnum as _;
use pki_types::UnixTime;
use proptest::prelude::*;
use serde_json::Value;

const NOW: &str = "1800000010";
const ISSUER: &str = "https://as.example.org";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn real(name: &str) -> String {
    root()
        .join("test-vectors/real")
        .join(name)
        .to_str()
        .unwrap()
        .to_owned()
}

struct Output {
    code: i32,
    text: String,
    complaint: String,
}

impl Output {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|_| panic!("{} {}", self.text, self.complaint))
    }
}

fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_agent-fabric"))
        .arg("inspect")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Wrong use is noticed before anything is read.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    Output {
        code: output.status.code().unwrap(),
        text: String::from_utf8(output.stdout).unwrap(),
        complaint: String::from_utf8(output.stderr).unwrap(),
    }
}

fn verified(kind: &str, file: &str, more: &[&str]) -> Output {
    let file = real(file);
    let mut arguments = vec!["--json", "--at", NOW, "--as", kind, &file];
    arguments.extend_from_slice(more);
    run(&arguments, b"")
}

fn trust() -> String {
    format!("example.org={}", real("bundle.json"))
}

/// Kind, file and options of everything that OpenSSL and joserfc made.
fn everything() -> Vec<(&'static str, &'static str, Vec<String>, &'static str)> {
    let bundle = || vec!["--bundle".to_owned(), trust()];
    let with = |mut list: Vec<String>, more: &[&str]| {
        list.extend(more.iter().map(|text| (*text).to_owned()));
        list
    };
    let keys = |audience: &str, issuer: &str| {
        let jwks = real("jwks.json");
        with(
            Vec::new(),
            &["--jwks", &jwks, "--audience", audience, "--issuer", issuer],
        )
    };
    let wit = real("wit-svid.jwt");
    let workload = "spiffe://example.org/billing";
    vec![
        ("x509-svid", "x509-svid.pem", bundle(), workload),
        ("x509-svid", "x509-svid.der", bundle(), workload),
        (
            "jwt-svid",
            "jwt-svid.jwt",
            with(bundle(), &["--audience", "reports"]),
            workload,
        ),
        ("wit-svid", "wit-svid.jwt", bundle(), workload),
        (
            "wpt",
            "wpt.jwt",
            with(
                bundle(),
                &[
                    "--wit",
                    &wit,
                    "--audience",
                    "https://workload.example.org/path",
                ],
            ),
            workload,
        ),
        (
            "access-token",
            "access-token.jwt",
            keys("https://api.example.org", ISSUER),
            "alice",
        ),
        (
            "txn-token",
            "txn-token.jwt",
            keys("example.org", ISSUER),
            "alice",
        ),
        (
            "set",
            "set.jwt",
            keys("https://rp.example.org", ISSUER),
            "alice@example.org",
        ),
        (
            "rfc8417-set",
            "set.jwt",
            keys("https://rp.example.org", ISSUER),
            "alice@example.org",
        ),
        (
            "client-assertion",
            "client-assertion.jwt",
            keys(ISSUER, "c1"),
            "c1",
        ),
    ]
}

fn conformance_ids() -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("docs/conformance")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let text = std::fs::read_to_string(path).unwrap();
            let quoted = text
                .lines()
                .filter_map(|line| line.strip_prefix("id = \"")?.strip_suffix('"'));
            ids.extend(quoted.map(str::to_owned));
        }
    }
    ids
}

/// Certificates, tokens and proofs of OpenSSL and joserfc are valid, with every check shown.
#[test]
fn what_other_software_made_is_valid() {
    for (kind, file, options, subject) in everything() {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let output = verified(kind, file, &options);
        let report = output.json();
        assert_eq!(output.code, 0, "{kind}: {report}");
        assert_eq!(report["kind"], kind);
        assert_eq!(report["verified"], true, "{kind}");
        assert_eq!(report["subject"], subject, "{kind}");
        assert_eq!(report["error"], Value::Null, "{kind}");
        let checks = report["checks"].as_array().unwrap();
        assert!(
            checks.len() > 10 && checks.iter().all(|check| check["ok"] == true),
            "{kind}"
        );
        let pem = checks
            .iter()
            .any(|check| check["requirement"] == "X509-profile.pem-1");
        assert_eq!(
            pem,
            file.ends_with(".pem"),
            "{kind}: only PEM is checked as PEM"
        );
        assert!(
            report.get("claims").is_some() != report.get("document").is_some(),
            "{kind}"
        );
    }
    let output = verified("bundle", "bundle.json", &[]);
    assert_eq!(
        (output.code, &output.json()["verified"]),
        (0, &Value::Bool(true))
    );
}

/// Every clause that is listed exists in the tables, and none is listed twice for one kind.
#[test]
fn listed_clauses_exist() {
    let known = conformance_ids();
    let mut seen = BTreeSet::new();
    for kind in Kind::value_variants() {
        let mut listed = BTreeSet::new();
        for (requirement, _) in kind.checks() {
            assert!(
                known.contains(requirement),
                "{}: {requirement}",
                kind.name()
            );
            assert!(
                listed.insert(requirement),
                "{}: {requirement} is listed twice",
                kind.name()
            );
        }
        seen.insert(listed.len());
        assert!(!listed.is_empty());
    }
    assert!(seen.len() > 3);
}

/// A refusal lists what held before, then the one check that failed, and nothing behind it.
#[test]
fn a_refusal_ends_at_what_failed() {
    let trust = trust();
    let svid = |more: &[&str]| {
        let mut all = vec!["--bundle", trust.as_str()];
        all.extend_from_slice(more);
        verified("jwt-svid", "jwt-svid.jwt", &all)
    };
    let late = ["--audience", "reports", "--at", "1800009999"];
    let jwks = real("jwks.json");
    let keys = [
        "--jwks",
        jwks.as_str(),
        "--audience",
        "https://api.example.org",
        "--issuer",
    ];
    let access = |issuer| {
        let mut all = keys.to_vec();
        all.push(issuer);
        verified("access-token", "access-token.jwt", &all)
    };
    let elsewhere = format!("example.com={}", real("bundle.json"));
    let file = real("jwt-svid.jwt");
    let expired = run(
        &[
            &["--json", "--as", "jwt-svid", "--bundle", &trust, &file],
            &late[..],
        ]
        .concat(),
        b"",
    );
    for (output, code, before, requirement) in [
        (expired, "expired", "JWT-SVID-3.3-2", "JWT-SVID-4-3"),
        (
            svid(&["--audience", "other"]),
            "audience_mismatch",
            "JWT-SVID-3.2-2",
            "JWT-SVID-3.2-3",
        ),
        (
            access("https://evil.example"),
            "issuer_mismatch",
            "OAUTH-META-9068-4-8",
            "OAUTH-META-9068-4-4",
        ),
        (
            verified("x509-svid", "x509-svid.pem", &["--bundle", &elsewhere]),
            "no_bundle",
            "X509-5280.4.1.2.5-1",
            "X509-SVID-5.1-3",
        ),
        (
            verified("wit-svid", "jwt-svid.jwt", &["--bundle", &trust]),
            "wrong_type",
            "JWS-2-1",
            "WIT-SVID-2.2-2",
        ),
    ] {
        let report = output.json();
        assert_eq!(output.code, 1, "{report}");
        assert_eq!(report["verified"], false);
        assert_eq!(report["subject"], Value::Null);
        assert_eq!(report["error"]["code"], code, "{report}");
        assert_eq!(report["error"]["requirement"], requirement, "{report}");
        let checks = report["checks"].as_array().unwrap();
        let (last, others) = checks.split_last().unwrap();
        assert_eq!(
            (&last["requirement"], &last["ok"]),
            (&Value::from(requirement), &Value::Bool(false))
        );
        assert!(others.iter().all(|check| check["ok"] == true));
        assert_eq!(others.last().unwrap()["requirement"], before, "{report}");
    }
}

/// A SPIFFE ID is refused where it goes wrong, and nothing is said of what stands behind that.
#[test]
fn spiffe_ids_and_patterns() {
    for (kind, text, requirement, held) in [
        ("spiffe-id", "spiffe://example.org/a/", "SPIFFE-ID-2.2-5", 5),
        ("spiffe-id", "SPIFFE://example.org/a", "SPIFFE-ID-2-1", 1),
        ("spiffe-id", "spiffe://Example.org/a", "SPIFFE-ID-2.1-4", 2),
        (
            "spiffe-id-pattern",
            "spiffe://example.org/a*",
            "CIMD-SPIFFE-5.1-2",
            5,
        ),
        (
            "spiffe-id-pattern",
            "spiffe://example.org//a*",
            "SPIFFE-ID-2.2-2",
            5,
        ),
    ] {
        let output = run(&["--json", "--as", kind], text.as_bytes());
        let report = output.json();
        assert_eq!(
            (output.code, &report["error"]["requirement"]),
            (1, &Value::from(requirement)),
            "{report}"
        );
        assert_eq!(
            report["checks"].as_array().unwrap().len(),
            held + 1,
            "{report}"
        );
    }
    for (kind, text) in [
        ("spiffe-id", "spiffe://example.org/a\n"),
        ("spiffe-id", "spiffe://example.org"),
        ("spiffe-id-pattern", "spiffe://example.org/a/*\r\n"),
        ("spiffe-id-pattern", "spiffe://example.org/*"),
    ] {
        let output = run(&["--json", "--as", kind, "-"], text.as_bytes());
        assert_eq!(
            (output.code, &output.json()["verified"]),
            (0, &Value::Bool(true)),
            "{text}"
        );
    }
    // Only one newline is not part of it.
    assert_eq!(
        run(&["--as", "spiffe-id"], b"spiffe://example.org/a\n\n").code,
        1
    );
}

/// Wrong use ends with 2 and names the option; what is inspected never does.
#[test]
fn wrong_use() {
    let trust = trust();
    for (arguments, named) in [
        (vec!["--as", "jwt-svid"], "--bundle"),
        (vec!["--as", "jwt-svid", "--bundle", &trust], "--audience"),
        (
            vec!["--as", "x509-svid", "--bundle", "example.org"],
            "--bundle",
        ),
        (
            vec!["--as", "x509-svid", "--bundle", "Example.org=x"],
            "--bundle",
        ),
        (
            vec!["--as", "x509-svid", "--bundle", "example.org=/nowhere"],
            "/nowhere",
        ),
        (
            vec!["--as", "wpt", "--bundle", &trust, "--audience", "x"],
            "--wit",
        ),
        (vec!["--as", "txn-token", "--audience", "x"], "--jwks"),
        (vec!["--as", "cimd"], "--url"),
        (vec!["--at", "yesterday"], "--at"),
        (vec!["--as", "spiffe"], "spiffe"),
        (vec!["--frobnicate"], "--frobnicate"),
        (vec!["/nowhere"], "/nowhere"),
    ] {
        let output = run(&arguments, b"x");
        assert_eq!(output.code, 2, "{arguments:?}: {}", output.text);
        assert!(
            output.complaint.contains(named),
            "{arguments:?}: {}",
            output.complaint
        );
    }
    // Trust that is refused is named with its cause.
    let jwks = format!("example.org={}", real("wpt.jwt"));
    let output = run(&["--as", "wit-svid", "--bundle", &jwks], b"x");
    assert!(
        output.code == 2
            && output.complaint.contains("--bundle")
            && output.complaint.contains("JSON")
    );
}

/// The examples that the drafts print, and the proof minted with their keys.
#[test]
fn published_examples() {
    let vector = |table: &str, name: &str| -> String {
        let text = std::fs::read_to_string(root().join("docs/conformance").join(table)).unwrap();
        let entry = text.split_once(&format!("name = \"{name}\"\n")).unwrap().1;
        let data = entry.split_once("\ndata = ").unwrap().1;
        let quotes = ["'''", "\"\"\"", "'", "\""];
        let quote = quotes
            .iter()
            .find(|quote| data.starts_with(**quote))
            .unwrap();
        let content = data.strip_prefix(*quote).unwrap();
        content.split_once(*quote).unwrap().0.trim().to_owned()
    };
    let folder = std::env::temp_dir().join(format!("agent-fabric-inspect-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let place = |name: &str, content: &str| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut key: Value =
        serde_json::from_str(&vector("wimse-wit.toml", "wit-issuer-key-public")).unwrap();
    key["use"] = "wit-svid".into();
    let bundle = place(
        "bundle.json",
        &serde_json::json!({"keys": [key]}).to_string(),
    );
    let trust = format!("example.com={bundle}");
    let wit = place("wit", &vector("wimse-wit.toml", "wit-example"));
    let wpt = vector("wimse-wpt.toml", "wpt-02-example");
    let target = "https://workload.example.com/path";
    let common = [
        "--json",
        "--as",
        "wpt",
        "--bundle",
        &trust,
        "--wit",
        &wit,
        "--audience",
    ];
    let at = |time, audience| {
        let mut all = common.to_vec();
        all.extend([audience, "--at", time]);
        run(&all, wpt.as_bytes())
    };
    let output = at("1745509990", target);
    assert_eq!(
        (output.code, &output.json()["verified"]),
        (0, &Value::Bool(true)),
        "{}",
        output.text
    );
    assert_eq!(
        at("1745509990", "https://workload.example.com/other").json()["error"]["requirement"],
        "WIMSE-WPT-2-24"
    );
    let late = at("1745513000", target).json();
    assert_eq!(
        late["checks"],
        serde_json::json!([{"requirement": late["error"]["requirement"], "ok": false}])
    );
    // A bundle of the example is read whatever the state of its certificates.
    let example = vector("oauth-spiffe-client-auth.toml", "bundle");
    assert_eq!(
        run(&["--json"], example.as_bytes()).json()["kind"],
        "bundle"
    );
    assert_eq!(run(&["--json"], wpt.as_bytes()).json()["kind"], "wpt");
    let document = vector("cimd.toml", "SPIFFE document");
    let url = "https://example.org/client/metadata.json";
    let output = run(
        &["--json", "--as", "cimd", "--url", url],
        document.as_bytes(),
    );
    assert_eq!(
        (output.code, &output.json()["subject"]),
        (0, &Value::from(url)),
        "{}",
        output.text
    );
    let output = run(
        &["--json", "--as", "cimd", "--url", "http://example.org/c"],
        document.as_bytes(),
    );
    assert_eq!(
        (output.code, &output.json()["error"]["requirement"]),
        (1, &Value::from("CIMD-3-1"))
    );
    std::fs::remove_dir_all(folder).unwrap();
}

/// Decoding alone trusts nothing, says so, and prints neither tokens nor private keys.
#[test]
fn decoding_says_that_nothing_is_verified() {
    for (file, kind) in [
        ("x509-svid.pem", "x509-svid"),
        ("x509-svid.der", "x509-svid"),
        ("jwt-svid.jwt", "jwt-svid"),
        ("wit-svid.jwt", "wit-svid"),
        ("wpt.jwt", "wpt"),
        ("txn-token.jwt", "txn-token"),
        ("access-token.jwt", "access-token"),
        ("set.jwt", "set"),
        ("client-assertion.jwt", "client-assertion"),
        ("bundle.json", "bundle"),
        ("jwks.json", "jwk-set"),
    ] {
        let path = real(file);
        let (json, text) = (run(&["--json", &path], b""), run(&[&path], b""));
        assert_eq!((json.code, text.code), (0, 0), "{file}");
        let report = json.json();
        assert_eq!(
            (&report["kind"], &report["verified"]),
            (&Value::from(kind), &Value::Null),
            "{file}"
        );
        assert!(text.text.contains("NOT verified"), "{file}");
        let content = std::fs::read(&path).unwrap();
        if file.ends_with(".jwt") {
            let signature = std::str::from_utf8(&content)
                .unwrap()
                .rsplit('.')
                .next()
                .unwrap()
                .to_owned();
            assert!(
                !text.text.contains(&signature) && !json.text.contains(&signature),
                "{file}"
            );
        }
    }
    let token = std::fs::read_to_string(real("wpt.jwt")).unwrap();
    let secret = serde_json::json!({
        "kty": "EC", "d": "PRIVATE-PART", "x": [[{"d": "PRIVATE-PART"}]], "software_statement": token,
    });
    let output = run(&[], secret.to_string().as_bytes());
    assert!(
        output.code == 0 && !output.text.contains("PRIVATE-PART") && !output.text.contains(&token)
    );
}

/// Garbage of every size is refused with a reason that does not repeat it.
#[test]
fn garbage_is_refused_with_a_reason() {
    let long = vec![b'a'; inspect::MAX_INPUT + 1];
    let dots = vec![b'.'; 100_000];
    for input in [
        &b""[..],
        b"\n",
        b"\xff\xfe",
        b"a.b.c",
        b"0",
        b"{",
        b"[1]",
        b"-----BEGIN X-----",
        &long,
        &dots,
    ] {
        for kind in [
            None,
            Some("jwt-svid"),
            Some("spiffe-id"),
            Some("bundle"),
            Some("x509-svid"),
        ] {
            let trust = trust();
            let mut arguments = vec!["--json", "--bundle", &trust, "--audience", "a"];
            arguments.extend(kind.iter().flat_map(|kind| ["--as", kind]));
            let output = run(&arguments, input);
            let report = output.json();
            assert_eq!(output.code, 1, "{kind:?} {report}");
            assert!(
                report["error"]["message"].as_str().unwrap().len() > 10 && output.text.len() < 2000
            );
        }
    }
}

fn options_for(kind: Option<Kind>) -> InspectOptions {
    InspectOptions {
        kind,
        bundles: vec![trust()],
        wit: Some(real("wit-svid.jwt").into()),
        jwks: Some(real("jwks.json").into()),
        audience: Some("example.org".to_owned()),
        issuer: Some(ISSUER.to_owned()),
        url: Some("https://example.org/c".to_owned()),
        ..InspectOptions::default()
    }
}

fn any_input() -> impl Strategy<Value = Vec<u8>> {
    let files = [
        "jwt-svid.jwt",
        "wpt.jwt",
        "set.jwt",
        "x509-svid.der",
        "x509-svid.pem",
        "bundle.json",
    ];
    let bent = (
        proptest::sample::select(files.to_vec()),
        any::<prop::sample::Index>(),
        any::<u8>(),
    )
        .prop_map(|(file, at, byte)| {
            let mut bytes = std::fs::read(real(file)).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        });
    let text = "(spiffe://)?[a-zA-Z0-9_.*{}\":/\\[\\]-]{0,80}".prop_map(String::into_bytes);
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), text, bent]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Whatever it is given, it gives a report that is consistent in itself, for every kind.
    #[test]
    fn every_input_gets_a_consistent_report(input in any_input()) {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_010));
        for kind in Kind::value_variants().iter().map(|kind| Some(*kind)).chain([None]) {
            let report = inspect::inspect(&input, &options_for(kind), now).unwrap();
            prop_assert_eq!(report.verified, kind.map(|_| report.error.is_none()));
            let failed = report.checks.iter().filter(|check| !check.ok).count();
            prop_assert_eq!(failed, usize::from(kind.is_some() && report.error.as_ref().is_some_and(|error| error.requirement.is_some())));
            let json = report.to_json();
            prop_assert!(json.get("claims").is_some() != json.get("document").is_some());
            prop_assert!(!report.to_text().is_empty());
        }
    }
}

//! A request is accepted only if its one signature of the profile is right for everything that has to be covered.
//!
//! The input is method, target, fields (one a line), an empty line, and the content. With `S` as its first line, the request is
//! signed over the components and parameters of its own `Signature-Input` (`@WIT@` stands for a valid WIT), so that the
//! checks behind the signature are reached.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Request, Uri};
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, KeySet, MemoryReplayGuard, Signer, SigningKey, base64url};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::UnixTime;
use wimse::httpsig::{RequestVerifier, content_digest, unverified_components};
use wimse::{TrustAnchors, WitIssuer, WitRequest, WitVerifier, WorkloadIdentifier};

const NOW: u64 = 1_800_000_000;
const SUBJECT: &str = "wimse://example.com/caller";

struct Setup {
    workload: SigningKey,
    wit: String,
    anchors: BTreeMap<String, TrustAnchors>,
    verifier: RequestVerifier,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let key = || SigningKey::generate(&provider(), Algorithm::Ed25519).expect("a key");
    let (issuer, workload) = (key().with_kid("i"), key());
    let keys = KeySet::new(vec![issuer.verifying_key().expect("a key")]).expect("a set");
    let subject = WorkloadIdentifier::parse(SUBJECT).expect("an identifier");
    let request = WitRequest {
        subject: &subject,
        key: &workload.public_jwk(),
        id: None,
    };
    let wit = WitIssuer::new(issuer, "wimse://example.com")
        .and_then(|issuer| issuer.issue(&request, now()))
        .expect("a WIT");
    let anchors = TrustAnchors {
        keys: Arc::new(keys),
        issuers: Arc::new([]),
    };
    Setup {
        workload,
        wit,
        anchors: BTreeMap::from([("wimse://example.com".to_owned(), anchors)]),
        verifier: RequestVerifier::new(WitVerifier::new())
            .with_authority("https://svc.example.com")
            .expect("an authority"),
    }
});

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(NOW))
}

fuzz_target!(|data: &[u8]| {
    let setup = &*SETUP;
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let signed = text.strip_prefix("S\n");
    let (head, content) = signed
        .unwrap_or(text)
        .split_once("\n\n")
        .unwrap_or((signed.unwrap_or(text), ""));
    let mut lines = head.lines();
    let (Some(Ok(method)), Some(Ok(target))) = (
        lines.next().map(str::parse::<Method>),
        lines.next().map(str::parse::<Uri>),
    ) else {
        return;
    };
    let mut parts = Request::new(()).into_parts().0;
    parts.method = method;
    parts.uri = target;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            return;
        };
        let value = value.trim().replace("@WIT@", &setup.wit);
        let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value))
        else {
            return;
        };
        parts.headers.append(name, value);
    }
    let value = |text: &str| HeaderValue::from_str(text).expect("ASCII");
    if signed.is_some() {
        if !content.is_empty() {
            let digest = content_digest(&provider(), content.as_bytes());
            parts.headers.insert("content-digest", value(&digest));
        }
        let Some((label, base)) = base(&parts) else {
            return;
        };
        let signature = setup.workload.sign(base.as_bytes()).expect("a signature");
        let signature = base64url::encode(signature.as_ref())
            .replace('-', "+")
            .replace('_', "/");
        let signature = format!("{label}=:{signature}==:");
        parts.headers.insert("signature", value(&signature));
    }
    let replay = MemoryReplayGuard::new(4);
    let verify = || {
        let content = content.as_bytes();
        setup
            .verifier
            .verify(&parts, content, &setup.anchors, &replay, now())
    };
    let Ok(request) = verify() else {
        return;
    };
    assert!(signed.is_some(), "nobody else has the key");
    assert_eq!(verify().err().map(|error| error.code()), Some("replayed"));
    assert_eq!(request.identifier().as_str(), SUBJECT);
    assert_eq!(request.method(), &parts.method);
    assert!(request.created().as_secs() <= NOW + 60);
    assert!(request.expires().as_secs() + 30 > NOW);
    assert!(request.expires().as_secs() - request.created().as_secs() <= 300);
    assert!(!request.nonce().is_empty());
    let components = unverified_components(&parts.headers).expect("it was accepted");
    let covers = |name: &str| components.contains(&format!("\"{name}\""));
    for name in ["@method", "@path", "@query", "workload-identity-token"] {
        assert!(covers(name), "{name}");
    }
    for name in [
        "content-type",
        "content-digest",
        "authorization",
        "txn-token",
        "workload-identity-token",
    ] {
        let count = parts.headers.get_all(name).iter().count();
        assert!(count == 0 || (count == 1 && covers(name)), "{name}");
    }
    assert!(content.is_empty() || parts.headers.contains_key("content-digest"));
    for name in parts.headers.keys() {
        assert_eq!(request.covered_field(name).is_some(), covers(name.as_str()));
    }
});

/// The label and base of a `Signature-Input` with one signature, by other means than the crate's; nothing for components
/// that are not simple.
fn base(parts: &http::request::Parts) -> Option<(String, String)> {
    let mut lines = parts.headers.get_all("signature-input").iter();
    let input = lines.next()?.to_str().ok()?.trim();
    if lines.next().is_some() {
        return None;
    }
    let (label, params) = input.split_once('=')?;
    let list = params.strip_prefix('(')?.split_once(')')?.0;
    let mut base = String::new();
    for item in list.split(' ') {
        let name = item.strip_prefix('"')?.strip_suffix('"')?;
        let value = match name {
            "@method" => parts.method.as_str().to_owned(),
            "@path" if parts.uri.path().is_empty() => "/".to_owned(),
            "@path" => parts.uri.path().to_owned(),
            "@query" => format!("?{}", parts.uri.query().unwrap_or_default()),
            field => {
                let values = parts.headers.get_all(field).iter();
                let values = values.map(|value| value.to_str().ok().map(str::trim));
                values.collect::<Option<Vec<_>>>()?.join(", ")
            }
        };
        base.push_str(&format!("{item}: {value}\n"));
    }
    base.push_str(&format!("\"@signature-params\": {params}"));
    Some((label.to_owned(), base))
}

//! What a hostile receiver answers to a push, and what a hostile transmitter pushes. The input is two bytes that choose
//! status and media type, a line for `Retry-After`, and the body.
#![no_main]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use jose_x509::{Algorithm, KeySet, SigningKey, provider::ring};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::UnixTime;
use serde_json::Value;
use ssf_set::SetVerifier;
use ssf_stream::push::{self, Next, Outcome, Transmitter};

const STATUS: [u16; 12] = [200, 202, 204, 301, 400, 401, 403, 404, 413, 429, 500, 503];
const TYPES: [Option<&str>; 5] = [
    None,
    Some("application/json"),
    Some("application/secevent+jwt"),
    Some("Application/JSON; charset=utf-8"),
    Some("text/plain"),
];

/// A verifier with a key of which nobody has the other half.
fn verifier() -> &'static SetVerifier {
    static VERIFIER: OnceLock<SetVerifier> = OnceLock::new();
    VERIFIER.get_or_init(|| {
        let key = SigningKey::generate(&ring::provider(), Algorithm::Es256).expect("a key");
        let keys = KeySet::new(vec![key.verifying_key().expect("its public half")]).expect("a set");
        SetVerifier::ssf("https://signals.example.com", Arc::new(keys), ["rx"]).expect("a verifier")
    })
}

fuzz_target!(|data: &[u8]| {
    let Some(([status, media], rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let status = STATUS[usize::from(*status) % STATUS.len()];
    let status = StatusCode::from_u16(status).expect("a status");
    let mut headers = HeaderMap::new();
    if let Some(media) = TYPES[usize::from(*media) % TYPES.len()] {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    }
    let end = rest.iter().position(|byte| *byte == b'\n');
    let (line, body) = rest.split_at(end.unwrap_or(0));
    if let Ok(wait) = HeaderValue::from_bytes(line) {
        headers.insert(RETRY_AFTER, wait);
    }
    let body = body.get(1..).unwrap_or_default();
    answered(status, &headers, body);
    pushed(headers, body);
});

fn answered(status: StatusCode, headers: &HeaderMap, body: &[u8]) {
    let outcome = push::parse_response(status, headers, body);
    // Only an acceptance ends the duty, and only 202 is one.
    assert_eq!(outcome.next() == Next::Done, status == StatusCode::ACCEPTED);
    match &outcome {
        Outcome::Accepted | Outcome::Unauthorized => {
            assert!([202, 401, 403].contains(&status.as_u16()))
        }
        Outcome::Refused { description, .. } => {
            assert_eq!(status, StatusCode::BAD_REQUEST);
            let answer: Value = serde_json::from_slice(body).expect("strict JSON is JSON");
            assert!(answer["err"].is_string());
            let length = description.as_ref().map_or(0, |text| text.chars().count());
            assert!(length <= 1024);
        }
        Outcome::Unavailable { retry_after } => {
            assert!(status == 429 || status.is_server_error());
            let said = headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok());
            let said = said.and_then(|text| text.trim().parse().ok());
            assert_eq!(*retry_after, said.map(Duration::from_secs));
        }
        Outcome::Misconfigured { status: told } => assert_eq!(*told, status.as_u16()),
        _ => panic!("an outcome that nobody knows"),
    }
}

fn pushed(headers: HeaderMap, body: &[u8]) {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.headers_mut() = headers;
    let (parts, ()) = request.into_parts();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
    let transmitter = Transmitter::NotAuthenticated;
    let refused = push::receive(&parts, body, verifier(), transmitter, now);
    let response = refused.expect_err("nobody can sign").response();
    assert!([400, 413].contains(&response.status().as_u16()));
    if response.status() == StatusCode::BAD_REQUEST {
        let refusal: Value = serde_json::from_slice(response.body()).expect("JSON");
        assert!(refusal["err"].is_string());
    }
}

//! Push delivery, both sides.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code
)]

mod common;

use common::*;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use jose_x509::MemoryReplayGuard;
use serde_json::Value;
use ssf_set::SetErrorCode;
use ssf_stream::push::{self, MAX_BODY, Next, Outcome, Receipt, Rejection, Transmitter};

const ENDPOINT: &str = "https://gateway.example.org/signals";

fn receive(
    parties: &Parties,
    request: Request<Vec<u8>>,
    peer: Transmitter<'_>,
) -> Result<push::Accepted, Rejection> {
    let (parts, body) = request.into_parts();
    push::receive(&parts, &body, &parties.verifier, peer, at(NOW))
}

/// Covers: SET-PUSH-2.1-1, SET-PUSH-2.1-2, SET-PUSH-2.1-4, SET-PUSH-2.1-5, SET-7.3-1, SSF-6.1.1-4, SET-5.1-4
#[test]
fn a_push_is_a_post_of_the_bare_token_over_https() {
    let secret = HeaderValue::from_static("Bearer secret");
    let request = push::request("a.b.c", ENDPOINT, Some(&secret)).unwrap();
    assert_eq!(
        (request.method().as_str(), request.body().as_slice()),
        ("POST", b"a.b.c".as_slice())
    );
    assert_eq!(
        request.headers()["content-type"],
        "application/secevent+jwt"
    );
    assert_eq!(request.headers()["accept"], "application/json");
    assert_eq!(request.headers()["authorization"], "Bearer secret");
    assert!(!format!("{:?}", request.headers()).contains("secret"));
    for endpoint in [
        "http://gateway.example.org/",
        "ftp://a/",
        "https://u:p@a/",
        "https://a/#f",
        "/x",
        "",
        "https:a",
    ] {
        assert!(
            push::request("a.b.c", endpoint, None).is_err(),
            "{endpoint}"
        );
    }
}

/// Covers: SET-PUSH-2-1, SET-PUSH-2-2, SET-PUSH-2-3, SET-PUSH-2-4, SET-PUSH-2-5, SET-PUSH-2-6, SET-PUSH-2.1-3, SET-PUSH-2.1-7
/// Covers: SET-PUSH-2.3-1, SET-PUSH-2.3-2, SET-PUSH-2.3-3, SET-PUSH-2.3-4, SET-PUSH-2.3-5, SET-PUSH-2.3-6, SET-PUSH-2.3-8
/// Covers: SET-PUSH-2.4-1, SET-PUSH-2.4-2, SET-PUSH-2.4-4, SET-PUSH-2.4-5, SET-PUSH-2.4-6, SET-PUSH-2.4-7
/// Covers: SET-PUSH-A2, SET-PUSH-A3, SET-PUSH-A6
#[test]
fn each_rejection_has_its_status_and_code() {
    let (ours, foreign) = (parties(), parties());
    let good = ours.set().compact;
    let post = |body: &str| push::request(body, ENDPOINT, None).unwrap();
    let typed = |media: Option<&'static str>| {
        let mut request = post(&good);
        request.headers_mut().remove("content-type");
        if let Some(media) = media {
            request
                .headers_mut()
                .insert("content-type", HeaderValue::from_static(media));
        }
        request
    };
    let mut get = post(&good);
    *get.method_mut() = http::Method::GET;
    let mut twice = post(&good);
    twice
        .headers_mut()
        .append("content-type", HeaderValue::from_static("text/plain"));
    let mut binary = post("");
    *binary.body_mut() = vec![0xff, 0xfe];
    let challenge = HeaderValue::from_static("Bearer");
    let open = Transmitter::NotAuthenticated;
    for (name, request, peer, status, err) in [
        ("get", get, open, 405, None),
        ("large", post(&"a".repeat(MAX_BODY + 1)), open, 413, None),
        ("no type", typed(None), open, 400, Some("invalid_request")),
        (
            "jwt",
            typed(Some("application/jwt")),
            open,
            400,
            Some("invalid_request"),
        ),
        (
            "json",
            typed(Some("application/json")),
            open,
            400,
            Some("invalid_request"),
        ),
        ("two types", twice, open, 400, Some("invalid_request")),
        ("binary", binary, open, 400, Some("invalid_request")),
        (
            "garbage",
            post("<script>"),
            open,
            400,
            Some("invalid_request"),
        ),
        (
            "wrapped",
            post(&format!("{{\"set\":\"{good}\"}}")),
            open,
            400,
            Some("invalid_request"),
        ),
        (
            "forged",
            post(&foreign.set().compact),
            open,
            400,
            Some("invalid_key"),
        ),
        (
            "audience",
            post(&ours.set_for("https://x.example").compact),
            open,
            400,
            Some("invalid_audience"),
        ),
        (
            "no credentials",
            post(&good),
            Transmitter::NoCredentials {
                challenge: &challenge,
            },
            401,
            None,
        ),
        (
            "credentials",
            post(&good),
            Transmitter::WrongCredentials,
            400,
            Some("authentication_failed"),
        ),
        (
            "tenant",
            post(&good),
            Transmitter::Authenticated {
                issuers: &["https://b.example"],
            },
            400,
            Some("access_denied"),
        ),
    ] {
        let body = request.body().clone();
        let rejection = receive(&ours, request, peer).unwrap_err();
        let response = rejection.response();
        assert_eq!(response.status().as_u16(), status, "{name}");
        assert_eq!(rejection.code().map(SetErrorCode::as_str), err, "{name}");
        assert_eq!(
            response.headers().contains_key("www-authenticate"),
            status == 401,
            "{name}"
        );
        assert_eq!(
            response.headers().contains_key("allow"),
            status == 405,
            "{name}"
        );
        if let Some(err) = err {
            let answer: Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(answer["err"], err, "{name}");
            assert!(
                answer["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty())
            );
            assert_eq!(response.headers()["content-type"], "application/json");
            assert_eq!(response.headers()["content-language"], "en");
            let text = String::from_utf8(response.body().clone()).unwrap();
            assert!(
                body.is_empty() || !text.contains(&String::from_utf8_lossy(&body).into_owned())
            );
        }
    }
    assert_eq!(
        Rejection::invalid_state().code(),
        Some(&SetErrorCode::InvalidState)
    );
    assert_eq!(Rejection::not_stored().response().status(), 503);
    for media in [
        "Application/SecEvent+JWT",
        "application/secevent+jwt; charset=utf-8",
    ] {
        assert!(receive(&ours, typed(Some(media)), open).is_ok(), "{media}");
    }
    let known = Transmitter::Authenticated {
        issuers: &["https://b.example", ISSUER],
    };
    assert!(receive(&ours, post(&good), known).is_ok());
}

/// Covers: SET-PUSH-2-7, SET-PUSH-2-10, SET-PUSH-2-11, SET-PUSH-2.2-1, SET-PUSH-2.2-2, SET-PUSH-A5, SET-PUSH-A12, SET-A7
#[test]
fn a_repeated_set_is_answered_alike_and_marked() {
    let parties = parties();
    let guard = MemoryReplayGuard::new(100);
    let set = parties.set().compact;
    let deliver = || {
        let request = push::request(&set, ENDPOINT, None).unwrap();
        let accepted = receive(&parties, request, Transmitter::NotAuthenticated).unwrap();
        assert_eq!(accepted.set().issuer(), ISSUER);
        accepted
    };
    // Lost before it was stored: nothing is recorded, and it counts as new the next time.
    drop(deliver());
    let first = deliver()
        .settle(&parties.verifier, &guard, at(NOW))
        .unwrap();
    let second = deliver()
        .settle(&parties.verifier, &guard, at(NOW))
        .unwrap();
    assert!(matches!(first, Receipt::New(_)) && matches!(second, Receipt::Repeated(_)));
    for receipt in [first, second] {
        let response = receipt.response();
        assert_eq!(
            (response.status(), response.body().len()),
            (StatusCode::ACCEPTED, 0)
        );
    }
    // A guard without room is this side's failure, which must not lose the SET.
    let full = MemoryReplayGuard::new(0);
    let outcomes: Vec<_> = (0..64)
        .map(|_| {
            let request = push::request(&parties.set().compact, ENDPOINT, None).unwrap();
            let accepted = receive(&parties, request, Transmitter::NotAuthenticated).unwrap();
            accepted.settle(&parties.verifier, &full, at(NOW))
        })
        .collect();
    let refusal = outcomes
        .iter()
        .find_map(|outcome| outcome.as_ref().err())
        .unwrap();
    assert_eq!((refusal.status().as_u16(), refusal.code()), (503, None));
}

/// Covers: SET-PUSH-4-1, SET-PUSH-2.4-8, SET-PUSH-A7, SET-PUSH-2.2-1
#[test]
fn each_answer_says_what_to_do_next() {
    let json = |status, body: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("retry-after", HeaderValue::from_static("7"));
        push::parse_response(
            StatusCode::from_u16(status).unwrap(),
            &headers,
            body.as_bytes(),
        )
    };
    let nested = format!(
        "{{\"err\":\"invalid_key\",\"x\":{}{}}}",
        "[".repeat(50),
        "]".repeat(50)
    );
    let long = format!(
        "{{\"err\":\"invalid_key\",\"description\":\"{}\"}}",
        "a".repeat(9000)
    );
    for (status, body, next) in [
        (202, "", Next::Done),
        (200, "", Next::SetAside),
        (204, "", Next::SetAside),
        (302, "", Next::SetAside),
        (404, "", Next::SetAside),
        (401, "", Next::RenewCredentials),
        (403, "", Next::RenewCredentials),
        (429, "", Next::Retry),
        (500, "", Next::Retry),
        (503, "", Next::Retry),
        (400, "", Next::SetAside),
        (400, r#"{"err":"invalid_request"}"#, Next::SetAside),
        (
            400,
            r#"{"err":"invalid_key","description":"x"}"#,
            Next::CheckKeys,
        ),
        (
            400,
            r#"{"err":"authentication_failed"}"#,
            Next::RenewCredentials,
        ),
        (400, r#"{"err":"x","err":"invalid_key"}"#, Next::SetAside),
        (400, &nested, Next::SetAside),
        (400, &long, Next::SetAside),
    ] {
        assert_eq!(json(status, body).next(), next, "{status} {body}");
    }
    assert_eq!(
        json(429, ""),
        Outcome::Unavailable {
            retry_after: Some(std::time::Duration::from_secs(7))
        }
    );
    let Outcome::Refused { code, .. } = json(400, r#"{"err":"jws_failed"}"#) else {
        panic!()
    };
    assert_eq!(code, SetErrorCode::Other("jws_failed".to_owned()));
    assert_eq!(json(400, &long), Outcome::Misconfigured { status: 400 });
}

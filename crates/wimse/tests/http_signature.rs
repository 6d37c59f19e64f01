//! HTTP message signatures: the vectors, then what signer and verifiers do together.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    missing_docs,
    unreachable_pub
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::*;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, request, response};
use jose_x509::{KeySet, MemoryReplayGuard, Signer, SigningKey};
use proptest::prelude::*;
use serde_json::{Value, json};
use wimse::httpsig::*;
use wimse::{Error, PeerNames, PeerPolicy, TrustAnchors, WitVerifier, WorkloadIdentifier};

const FILE: &str = include_str!("../../../test-vectors/wimse/http-signature.json");

fn cases(kind: &str) -> (BTreeMap<String, TrustAnchors>, Vec<Value>) {
    let file: Value = serde_json::from_str(FILE).unwrap();
    let groups = file["groups"].as_array().unwrap();
    let group = groups.iter().find(|group| group["type"] == kind).unwrap();
    let keys = group["keys"].as_object().unwrap().iter();
    let anchors = keys.map(|(origin, keys)| {
        let keys = KeySet::from_jwks_slice(&PROVIDER, keys.to_string().as_bytes()).unwrap();
        let anchors = TrustAnchors {
            keys: Arc::new(keys),
            issuers: Arc::new([]),
        };
        (origin.clone(), anchors)
    });
    (
        anchors.collect(),
        group["cases"].as_array().unwrap().clone(),
    )
}

fn fields(message: &Value) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for field in message["fields"].as_array().unwrap() {
        let name: HeaderName = field[0].as_str().unwrap().parse().unwrap();
        headers.append(
            name,
            HeaderValue::from_str(field[1].as_str().unwrap()).unwrap(),
        );
    }
    headers
}

fn request_parts(message: &Value, base: &str) -> request::Parts {
    let target = message["target"].as_str().unwrap();
    let request = Request::builder()
        .method(message["method"].as_str().unwrap())
        .uri(format!("{base}{target}"));
    let mut parts = request.body(()).unwrap().into_parts().0;
    parts.headers = fields(message);
    parts
}

fn profile(case: &Value) -> Profile {
    match case["options"]["profile"].as_str() {
        Some("06") => Profile::V06,
        _ => Profile::V07,
    }
}

fn compare(case: &Value, result: Result<Value, Error>) {
    let (name, expected) = (&case["name"], &case["expected"]);
    match result {
        Ok(values) => {
            assert_eq!(expected["result"], "valid", "{name}");
            for (member, value) in expected["values"].as_object().unwrap() {
                assert_eq!(&values[member], value, "{name}: {member}");
            }
        }
        Err(error) => {
            assert_eq!(expected["result"], "invalid", "{name}: {error}");
            assert_eq!(expected["code"], error.code(), "{name}: {error}");
        }
    }
}

/// Every accepted request is refused when it comes again, and no refusal is answered with 401.
///
/// Covers: WIMSE-HTTPSIG-3-31, WIMSE-HTTPSIG-A10, WIMSE-HTTPSIG-3.5-1, WIMSE-HTTPSIG-3.5-3, WIMSE-WIT-5.2-1
/// Covers: WIMSE-WIT-5.2-3
#[test]
fn request_vectors() {
    let (anchors, cases) = cases("http-signature");
    for case in &cases {
        let mut verifier = RequestVerifier::new(WitVerifier::new())
            .with_authority("https://svc.example.com")
            .unwrap()
            .with_profile(profile(case));
        if let Some(audience) = case["options"]["exact_audience"].as_str() {
            verifier = verifier.with_exact_audience(audience);
        }
        let parts = request_parts(&case["input"], "");
        let content = case["input"]["content"].as_str().unwrap().as_bytes();
        let replay = MemoryReplayGuard::new(16);
        let now = at(case["now"].as_u64().unwrap());
        let verify = || verifier.verify(&parts, content, &anchors, &replay, now);
        let result = verify().map(|request| {
            assert_eq!(verify().unwrap_err().code(), "replayed");
            json!({
                "sub": request.identifier().as_str(), "nonce": request.nonce(), "path": request.path(),
                "query": request.query(), "demands_signed_response": request.demands_signed_response(),
            })
        });
        if let Err(error) = &result {
            assert_eq!(error.status_without_challenge(), StatusCode::BAD_REQUEST);
        }
        compare(case, result);
    }
}

#[test]
fn response_vectors() {
    let (anchors, cases) = cases("http-signature-response");
    let server = WorkloadIdentifier::parse("wimse://example.com/server").unwrap();
    let peers = BTreeMap::from([("svc.example.com".to_owned(), PeerPolicy::Exact(server))]);
    for case in &cases {
        let verifier = ResponseVerifier::new(WitVerifier::new()).with_profile(profile(case));
        let input = &case["input"];
        let sent = request_parts(&input["request"], "https://svc.example.com");
        let sent = SentRequest::of_signed(&sent).unwrap();
        let status = u16::try_from(input["status"].as_u64().unwrap()).unwrap();
        let response = Response::builder().status(status).body(()).unwrap();
        let mut parts = response.into_parts().0;
        parts.headers = fields(input);
        let content = input["content"].as_str().unwrap().as_bytes();
        let replay = MemoryReplayGuard::new(16);
        let now = at(case["now"].as_u64().unwrap());
        let verify = || verifier.verify(&sent, &parts, content, &peers, &anchors, &replay, now);
        let result = verify().map(|response| match response {
            None => json!({"sub": null}),
            Some(response) => {
                assert_eq!(verify().unwrap_err().code(), "replayed");
                json!({"sub": response.identifier().as_str(), "status": response.status().as_u16()})
            }
        });
        compare(case, result);
    }
}

struct World {
    issuer: SigningKey,
    client: Arc<SigningKey>,
    server: Arc<SigningKey>,
    replay: MemoryReplayGuard,
}

impl World {
    fn new() -> Self {
        Self {
            issuer: key("i"),
            client: Arc::new(key("c")),
            server: Arc::new(key("s")),
            replay: MemoryReplayGuard::new(100_000),
        }
    }

    fn wit(&self, name: &str, key: &SigningKey) -> String {
        let mut claims = claims(key);
        claims["sub"] = format!("{ORIGIN}/{name}").into();
        wit(&self.issuer, "wit+jwt", &claims)
    }

    fn client(&self) -> MessageSigner<Arc<SigningKey>> {
        MessageSigner::new(
            &self.wit("client", &self.client),
            self.client.clone(),
            PROVIDER,
        )
        .unwrap()
    }

    fn server(&self) -> MessageSigner<Arc<SigningKey>> {
        MessageSigner::new(
            &self.wit("server", &self.server),
            self.server.clone(),
            PROVIDER,
        )
        .unwrap()
    }

    fn verifier(&self) -> RequestVerifier {
        RequestVerifier::new(WitVerifier::new())
            .with_authority("https://svc.example.com")
            .unwrap()
    }

    fn verify(&self, parts: &request::Parts, content: &[u8]) -> Result<VerifiedRequest, Error> {
        let anchors = anchors(ORIGIN, &[&self.issuer]);
        self.verifier()
            .verify(parts, content, &anchors, &self.replay, at(NOW))
    }

    fn verify_response(
        &self,
        sent: &SentRequest,
        parts: &response::Parts,
        content: &[u8],
        peers: &impl PeerNames,
    ) -> Result<Option<VerifiedResponse>, Error> {
        let anchors = anchors(ORIGIN, &[&self.issuer]);
        ResponseVerifier::new(WitVerifier::new()).verify(
            sent,
            parts,
            content,
            peers,
            &anchors,
            &self.replay,
            at(NOW),
        )
    }
}

fn get(uri: &str) -> request::Parts {
    Request::get(uri).body(()).unwrap().into_parts().0
}

fn post(uri: &str) -> request::Parts {
    let request = Request::post(uri)
        .header(CONTENT_TYPE, " text/plain ")
        .header(AUTHORIZATION, "Bearer token");
    request.body(()).unwrap().into_parts().0
}

fn ok() -> response::Parts {
    Response::builder()
        .header(CONTENT_TYPE, "text/plain")
        .body(())
        .unwrap()
        .into_parts()
        .0
}

fn peers(name: &str) -> BTreeMap<String, PeerPolicy> {
    let peer = WorkloadIdentifier::parse(&format!("{ORIGIN}/{name}")).unwrap();
    BTreeMap::from([("svc.example.com".to_owned(), PeerPolicy::Exact(peer))])
}

const TARGET: &str = "https://svc.example.com/orders?id=1";

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers[name].to_str().unwrap()
}

/// The whole exchange: what is signed, what is in the fields, and who each side sees.
///
/// Covers: WIMSE-HTTPSIG-3-1, WIMSE-HTTPSIG-3-2, WIMSE-HTTPSIG-3-3, WIMSE-HTTPSIG-3-4, WIMSE-HTTPSIG-3-5, WIMSE-HTTPSIG-3-6
/// Covers: WIMSE-HTTPSIG-3-7, WIMSE-HTTPSIG-3-8, WIMSE-HTTPSIG-3-10, WIMSE-HTTPSIG-3-11, WIMSE-HTTPSIG-3-12
/// Covers: WIMSE-HTTPSIG-3-13, WIMSE-HTTPSIG-3-14, WIMSE-HTTPSIG-3-15, WIMSE-HTTPSIG-3-24, WIMSE-HTTPSIG-3-25
/// Covers: WIMSE-HTTPSIG-3-26, WIMSE-HTTPSIG-3.1-1, WIMSE-HTTPSIG-3.2-3, WIMSE-HTTPSIG-3.3-1, WIMSE-HTTPSIG-3.4-2
/// Covers: WIMSE-WIT-1.3-2
#[test]
fn exchange() {
    let world = World::new();
    let mut request = post(TARGET);
    let client = world.client().with_required_response_signature();
    let sent = client.sign_request(&mut request, b"hi", at(NOW)).unwrap();
    assert!(sent.demands_signature());
    assert_eq!(sent.authority(), "svc.example.com");
    let nonce = sent.nonce();
    assert_eq!(
        text(&request.headers, "signature-input"),
        format!(
            "sig1=(\"@method\" \"@path\" \"@query\" \"workload-identity-token\" \"content-type\" \"content-digest\" \
             \"authorization\");created={NOW};expires={};nonce=\"{nonce}\";tag=\"wimse-workload-to-workload\";\
             wimse-aud=\"https://svc.example.com/orders\";wimse-sign-response",
            NOW + 60
        )
    );
    assert_eq!(request.headers.get_all("signature").iter().count(), 1);
    let verified = world.verify(&request, b"hi").unwrap();
    assert_eq!(verified.identifier().as_str(), "wimse://example.com/client");
    assert!(verified.demands_signed_response());
    assert_eq!(verified.covered_field(&CONTENT_TYPE), Some("text/plain"));
    assert_eq!(verified.expires(), at(NOW + 60));

    let mut response = ok();
    let signer = ResponseSigner::new(world.server());
    assert!(
        signer
            .sign(&mut response, Content::Whole(b"yes"), &verified, at(NOW))
            .unwrap()
    );
    let input = text(&response.headers, "signature-input");
    assert!(input.starts_with(
        "sig1=(\"@status\" \"workload-identity-token\" \"content-type\" \"content-digest\" \"@method\";req \"@path\";req \
         \"@query\";req);created="
    ));
    assert!(input.ends_with(&format!(";wimse-req-nonce=\"{nonce}\"")));
    let verified = world
        .verify_response(&sent, &response, b"yes", &peers("server"))
        .unwrap()
        .unwrap();
    assert_eq!(verified.identifier().as_str(), "wimse://example.com/server");
    assert_eq!(verified.status(), StatusCode::OK);
    assert_eq!(verified.covered_field(&CONTENT_TYPE), Some("text/plain"));
}

/// The label and the components of revision 06, and an answer in the profile of the request.
///
/// Covers: WIMSE-HTTPSIG-L3-1, WIMSE-HTTPSIG-L3-3, WIMSE-HTTPSIG-L3-4, WIMSE-HTTPSIG-A23
#[test]
fn the_older_profile() {
    let world = World::new();
    let mut request = get(TARGET);
    let client = world.client().with_profile(Profile::V06);
    let sent = client.sign_request(&mut request, b"", at(NOW)).unwrap();
    let input = text(&request.headers, "signature-input");
    assert!(
        input.starts_with("wimse=(\"@method\" \"@request-target\" \"workload-identity-token\");")
    );
    let error = world.verify(&request, b"").unwrap_err();
    assert_eq!(
        error,
        Error::Signature(SignatureError::MissingComponent { component: "@path" })
    );
    let trusted = anchors(ORIGIN, &[&world.issuer]);
    let old = world.verifier().with_profile(Profile::V06);
    let verified = old
        .verify(&request, b"", &trusted, &world.replay, at(NOW))
        .unwrap();
    let mut response = ok();
    ResponseSigner::new(world.server())
        .sign(&mut response, Content::Whole(b"yes"), &verified, at(NOW))
        .unwrap();
    let input = text(&response.headers, "signature-input");
    assert!(input.contains("\"@request-target\";req") && input.contains(";wimse-req-nonce="));
    let verifier = ResponseVerifier::new(WitVerifier::new()).with_profile(Profile::V06);
    verifier
        .verify(
            &sent,
            &response,
            b"yes",
            &peers("server"),
            &trusted,
            &world.replay,
            at(NOW),
        )
        .unwrap()
        .unwrap();
}

/// Covers: WIMSE-HTTPSIG-3.4-1, WIMSE-HTTPSIG-3.4-2, WIMSE-HTTPSIG-3.4-3, WIMSE-HTTPSIG-3.5-4, WIMSE-HTTPSIG-3.2-4
#[test]
fn a_required_signature_that_is_impossible_is_an_error() {
    let world = World::new();
    let verified = |demand: bool| {
        let mut request = get(TARGET);
        let mut client = world.client();
        if demand {
            client = client.with_required_response_signature();
        }
        client.sign_request(&mut request, b"", at(NOW)).unwrap();
        world.verify(&request, b"").unwrap()
    };
    let (demanding, plain) = (verified(true), verified(false));
    let able = || ResponseSigner::new(world.server()).with_max_content(3);
    let unable = ResponseSigner::<Arc<SigningKey>>::unable();
    let whole = Content::Whole;
    for (signer, content, code, status) in [
        (&unable, whole(b"yes"), "no_signer", 501),
        (&able(), Content::Streamed, "streaming", 400),
        (&able(), whole(b"long"), "content_too_large", 400),
    ] {
        let mut parts = ok();
        let error = signer
            .sign(&mut parts, content, &demanding, at(NOW))
            .unwrap_err();
        assert_eq!(
            (error.code(), error.status_without_challenge().as_u16()),
            (code, status)
        );
        assert!(!signer.sign(&mut parts, content, &plain, at(NOW)).unwrap());
        assert!(!parts.headers.contains_key("signature"));
    }
    let required = able().with_required();
    let error = required
        .sign(&mut ok(), Content::Streamed, &plain, at(NOW))
        .unwrap_err();
    assert_eq!(error.code(), "streaming");
    let required = unable.with_required();
    let error = required
        .sign(&mut ok(), whole(b"yes"), &plain, at(NOW))
        .unwrap_err();
    assert_eq!(error.code(), "no_signer");
    assert!(
        able()
            .sign(&mut ok(), whole(b"yes"), &plain, at(NOW))
            .unwrap()
    );
}

/// Covers: WIMSE-HTTPSIG-5.1-2, WIMSE-WIT-9.2-1
#[test]
fn targets_without_tls_are_refused() {
    let world = World::new();
    let error = world
        .client()
        .sign_request(&mut get("http://svc.example.com/"), b"", at(NOW))
        .unwrap_err();
    assert_eq!(error.code(), "insecure_target");
    let meshed = world.client().with_channel_secured_elsewhere();
    meshed
        .sign_request(&mut get("http://svc.example.com/"), b"", at(NOW))
        .unwrap();
}

/// What nobody signed is not held against the limit for signed content, unless it had to be signed.
///
/// Covers: WIMSE-HTTPSIG-3.4-6
#[test]
fn an_unsigned_response_has_any_size() {
    let world = World::new();
    let large = vec![0; 1024 * 1024 + 1];
    let names = peers("server");
    let exchange = |client: &MessageSigner<Arc<SigningKey>>, response: &response::Parts| {
        let mut request = get(TARGET);
        let sent = client.sign_request(&mut request, b"", at(NOW)).unwrap();
        let result = world.verify_response(&sent, response, &large, &names);
        result.map(|response| response.is_some())
    };
    let (client, mut response) = (world.client(), ok());
    assert_eq!(exchange(&client, &response), Ok(false));
    let demanding = world.client().with_required_response_signature();
    let error = exchange(&demanding, &response).unwrap_err();
    assert_eq!(error.code(), "response_not_signed");
    // And our server lets it go out so, unless it is told to sign as much.
    let mut request = get(TARGET);
    let sent = client.sign_request(&mut request, b"", at(NOW)).unwrap();
    let verified = world.verify(&request, b"").unwrap();
    let server = ResponseSigner::new(world.server());
    let whole = Content::Whole(&large);
    assert!(
        !server
            .sign(&mut response, whole, &verified, at(NOW))
            .unwrap()
    );
    let able = server.with_max_content(large.len());
    assert!(able.sign(&mut response, whole, &verified, at(NOW)).unwrap());
    let error = world.verify_response(&sent, &response, &large, &names);
    assert_eq!(error.unwrap_err().code(), "content_too_large");
}

/// RFC 9110 section 4.2.4: nobody sends it. RFC 9421 section 2.2.3: the authority is host and port.
#[test]
fn user_information_is_not_sent_and_is_no_part_of_the_authority() {
    let world = World::new();
    let with_user = "https://user:PASSWORD@svc.example.com/orders?id=1";
    let audience = world.client().with_audience("svc").unwrap();
    for client in [world.client(), audience] {
        let mut request = get(with_user);
        let error = client.sign_request(&mut request, b"", at(NOW)).unwrap_err();
        assert_eq!(error.code(), "target_user_info");
        assert!(!request.headers.contains_key("signature-input"));
    }
    let error = world.client().with_audience(with_user).unwrap_err();
    assert_eq!(error, Error::TargetUserInfo);
    // Signed by somebody else, who covers the authority.
    let wit = world.wit("client", &world.client);
    let params = format!(
        "(\"@method\" \"@path\" \"@query\" \"workload-identity-token\" \"@authority\");created={NOW};expires={};\
         nonce=\"n\";tag=\"{TAG}\";wimse-aud=\"https://svc.example.com/orders\"",
        NOW + 60
    );
    let base = format!(
        "\"@method\": GET\n\"@path\": /orders\n\"@query\": ?id=1\n\"workload-identity-token\": {wit}\n\
         \"@authority\": svc.example.com\n\"@signature-params\": {params}"
    );
    let signature = base64(world.client.sign(base.as_bytes()).unwrap().as_ref());
    let signed = |target: &str, host: Option<&'static str>| {
        let mut request = get(target);
        let mut put = |name: &'static str, value: String| {
            request.headers.insert(name, value.parse().unwrap());
        };
        put("workload-identity-token", wit.clone());
        put("signature-input", format!("a={params}"));
        put("signature", format!("a=:{signature}:"));
        if let Some(host) = host {
            put("host", host.to_owned());
        }
        request
    };
    let outcome = |request: &request::Parts| {
        let trusted = anchors(ORIGIN, &[&world.issuer]);
        let fresh = MemoryReplayGuard::new(16);
        code(
            world
                .verifier()
                .verify(request, b"", &trusted, &fresh, at(NOW)),
        )
    };
    for (target, host, expected) in [
        (TARGET, None, "valid"),
        ("https://SVC.example.com:443/orders?id=1", None, "valid"),
        (with_user, None, "valid"),
        ("/orders?id=1", Some("svc.example.com"), "valid"),
        (
            "/orders?id=1",
            Some("user@svc.example.com"),
            "absent_component",
        ),
        (
            "https://svc.example.com@evil.example/orders?id=1",
            None,
            "invalid_signature",
        ),
    ] {
        assert_eq!(outcome(&signed(target, host)), expected, "{target}");
    }
    // Whom the client expects there goes by the host alone, too.
    let sent = SentRequest::of_signed(&signed(with_user, None)).unwrap();
    assert_eq!(sent.authority(), "svc.example.com");
}

/// Covers: WIMSE-HTTPSIG-3.1-2, WIMSE-HTTPSIG-3.1-3, WIMSE-HTTPSIG-3.1-4, WIMSE-HTTPSIG-A9
#[test]
fn audiences() {
    let world = World::new();
    assert!(world.client().with_audience("").is_err());
    assert!(world.client().with_audience("a\nb").is_err());
    assert!(world.client().with_audience("\u{e9}").is_err());
    assert!(
        world
            .client()
            .sign_request(&mut get("/orders"), b"", at(NOW))
            .is_err()
    );
    // Quotes and backslashes survive, and an identifier as audience is no sender.
    for audience in ["svc-b", r#"a"b\c"#, "wimse://example.com/admin"] {
        let mut request = get("/orders");
        let client = world.client().with_audience(audience).unwrap();
        client.sign_request(&mut request, b"", at(NOW)).unwrap();
        let trusted = anchors(ORIGIN, &[&world.issuer]);
        request
            .headers
            .insert("host", HeaderValue::from_static("svc.example.com"));
        request.headers.insert(
            "x-forwarded-host",
            HeaderValue::from_static("svc.example.com"),
        );
        let error = world.verify(&request, b"").unwrap_err();
        assert_eq!(error.code(), "audience_mismatch");
        let verifier = world.verifier().with_exact_audience(audience);
        let verified = verifier
            .verify(&request, b"", &trusted, &world.replay, at(NOW))
            .unwrap();
        assert_eq!(verified.identifier().as_str(), "wimse://example.com/client");
    }
}

/// Nonces are random, and nobody can use the nonce of another.
///
/// Covers: WIMSE-HTTPSIG-3-30, WIMSE-HTTPSIG-3-31, WIMSE-HTTPSIG-3-32
#[test]
fn nonces() {
    let world = World::new();
    let client = world.client();
    let mut seen = BTreeSet::new();
    for _ in 0..2000 {
        let sent = client.sign_request(&mut get(TARGET), b"", at(NOW)).unwrap();
        assert_eq!(sent.nonce().len(), 22);
        assert!(seen.insert(sent.nonce().to_owned()));
    }
    // Signed by hand, with a nonce of the test's choice.
    let signed = |name: &str, signer: &SigningKey| {
        let wit = world.wit(name, signer);
        let params = format!(
            "(\"@method\" \"@path\" \"@query\" \"workload-identity-token\");created={NOW};expires={};nonce=\"n\";\
             tag=\"{TAG}\";wimse-aud=\"https://svc.example.com/orders\"",
            NOW + 60
        );
        let base = format!(
            "\"@method\": GET\n\"@path\": /orders\n\"@query\": ?id=1\n\"workload-identity-token\": {wit}\n\
             \"@signature-params\": {params}"
        );
        let signature = signer.sign(base.as_bytes()).unwrap();
        let signature = base64(signature.as_ref());
        let mut request = get(TARGET);
        let mut put = |name: &'static str, value: String| {
            request.headers.insert(name, value.parse().unwrap());
        };
        put("workload-identity-token", wit);
        put("signature-input", format!("a={params}"));
        put("signature", format!("a=:{signature}:"));
        request
    };
    let first = signed("client", &world.client);
    let second = signed("server", &world.server);
    // A refused message spends nothing.
    let mut broken = first.clone();
    broken.method = http::Method::PUT;
    assert_eq!(
        world.verify(&broken, b"").unwrap_err().code(),
        "invalid_signature"
    );
    world.verify(&first, b"").unwrap();
    assert_eq!(world.verify(&second, b"").unwrap_err().code(), "replayed");
    // A guard without room refuses.
    let full = MemoryReplayGuard::new(0);
    let anchors = anchors(ORIGIN, &[&world.issuer]);
    let error = world
        .verifier()
        .verify(&first, b"", &anchors, &full, at(NOW))
        .unwrap_err();
    assert_eq!(error.code(), "replay_guard_full");
}

fn base64(bytes: &[u8]) -> String {
    let text = jose_x509::base64url::encode(bytes);
    let padding = "=".repeat((4 - text.len() % 4) % 4);
    text.replace('-', "+").replace('_', "/") + &padding
}

/// Covers: WIMSE-HTTPSIG-3-33, WIMSE-HTTPSIG-3-34, WIMSE-HTTPSIG-A19, WIMSE-HTTPSIG-A22
#[test]
fn order_and_limits() {
    let world = World::new();
    let mut request = post(TARGET);
    world
        .client()
        .sign_request(&mut request, b"hi", at(NOW))
        .unwrap();
    let small = world.verifier().with_max_content(1);
    let trusted = anchors(ORIGIN, &[&world.issuer]);
    let error = small
        .verify(&request, b"hi", &trusted, &world.replay, at(NOW))
        .unwrap_err();
    assert_eq!(
        error,
        Error::Signature(SignatureError::ContentTooLarge { limit: 1 })
    );
    // A WIT that nobody vouches for is refused as such, although the signature fits its key.
    let strangers = anchors(ORIGIN, &[&key("i")]);
    let error = world
        .verifier()
        .verify(&request, b"hi", &strangers, &world.replay, at(NOW))
        .unwrap_err();
    assert!(matches!(
        error,
        Error::Token {
            token: wimse::Token::Wit,
            ..
        }
    ));
    assert!(error.refresh_may_help() || error.code() == "invalid_signature");
    world.verify(&request, b"hi").unwrap();
}

/// A WIT that was verified elsewhere has to be the one in the message.
///
/// Covers: WIMSE-HTTPSIG-3-33
#[test]
fn a_wit_that_was_verified_before() {
    let world = World::new();
    let mut request = get(TARGET);
    world
        .client()
        .sign_request(&mut request, b"", at(NOW))
        .unwrap();
    let trusted = anchors(ORIGIN, &[&world.issuer]);
    let wit = |text: &str| WitVerifier::new().verify(text, &trusted, at(NOW)).unwrap();
    let other = wit(&world.wit("server", &world.server));
    let verify = |wit| {
        world
            .verifier()
            .verify_with_wit(wit, &request, b"", &world.replay, at(NOW))
    };
    assert_eq!(verify(other).unwrap_err().code(), "other_wit");
    verify(wit(text(&request.headers, "workload-identity-token"))).unwrap();
}

/// Lines that would continue or forge a base never become field values, and other characters are not signed.
///
/// Covers: WIMSE-HTTPSIG-R9421-2.5-4, WIMSE-HTTPSIG-A15, WIMSE-HTTPSIG-R9421-2.1-1
#[test]
fn values_that_cannot_be_signed() {
    for folded in [&b"a\r\n b"[..], b"a\nb", b"a\rb"] {
        assert!(HeaderValue::from_bytes(folded).is_err());
    }
    let world = World::new();
    let mut request = post(TARGET);
    request.headers.insert(
        AUTHORIZATION,
        HeaderValue::from_bytes(b"Bearer \xe9").unwrap(),
    );
    let error = world
        .client()
        .sign_request(&mut request, b"hi", at(NOW))
        .unwrap_err();
    assert_eq!(error.code(), "component_value");
    let mut request = post(TARGET);
    request
        .headers
        .append(AUTHORIZATION, HeaderValue::from_static("Bearer other"));
    let error = world
        .client()
        .sign_request(&mut request, b"hi", at(NOW))
        .unwrap_err();
    assert_eq!(
        error,
        Error::Signature(SignatureError::FieldCount {
            field: "authorization"
        })
    );
    let mut request = post(TARGET);
    world
        .client()
        .sign_request(&mut request, b"hi", at(NOW))
        .unwrap();
    request
        .headers
        .append(AUTHORIZATION, HeaderValue::from_static("Bearer other"));
    assert_eq!(
        world.verify(&request, b"hi").unwrap_err().code(),
        "field_count"
    );
}

/// What is not covered cannot be had from the verified request.
///
/// Covers: WIMSE-HTTPSIG-5.2-1, WIMSE-WIT-9.5-1, WIMSE-WIT-A18
#[test]
fn fields_that_are_not_covered_are_not_offered() {
    let world = World::new();
    let mut request = get(TARGET);
    request
        .headers
        .insert("x-role", HeaderValue::from_static("user"));
    world
        .client()
        .sign_request(&mut request, b"", at(NOW))
        .unwrap();
    request
        .headers
        .insert("x-role", HeaderValue::from_static("admin"));
    request.headers.insert(
        "x-workload-id",
        HeaderValue::from_static("wimse://example.com/admin"),
    );
    let verified = world.verify(&request, b"").unwrap();
    assert_eq!(verified.identifier().as_str(), "wimse://example.com/client");
    assert_eq!(
        verified.covered_field(&HeaderName::from_static("x-role")),
        None
    );
    assert!(
        verified
            .covered_field(&HeaderName::from_static("workload-identity-token"))
            .is_some()
    );
}

/// A WIT is good for nothing without a signature, and a signer takes only a WIT for its algorithm and time.
///
/// Covers: WIMSE-HTTPSIG-5.1-1, WIMSE-WIT-9.4-2
#[test]
fn wits_and_their_keys() {
    let world = World::new();
    let wit = world.wit("client", &world.client);
    let mut request = get(TARGET);
    request
        .headers
        .insert("workload-identity-token", wit.parse().unwrap());
    assert_eq!(
        world.verify(&request, b"").unwrap_err(),
        Error::Signature(SignatureError::NotSigned)
    );
    let late = world
        .client()
        .sign_request(&mut get(TARGET), b"", at(NOW + 3600));
    assert_eq!(late.unwrap_err().code(), "own_wit");
    let other = SigningKey::generate(&PROVIDER, jose_x509::Algorithm::Ed25519).unwrap();
    assert_eq!(
        MessageSigner::new(&wit, other, PROVIDER)
            .unwrap_err()
            .code(),
        "own_wit"
    );
    assert_eq!(
        MessageSigner::new("a.b.c", key("k"), PROVIDER)
            .unwrap_err()
            .code(),
        "own_wit"
    );
}

/// Covers: WIMSE-HTTPSIG-3.4-7, WIMSE-HTTPSIG-3.4-8, WIMSE-HTTPSIG-3.4-9, WIMSE-HTTPSIG-7-1
#[test]
fn preferences_and_names() {
    let request = accept_signature_of_requests(Profile::V07);
    assert_eq!(
        request,
        "sig1=(\"@method\" \"@path\" \"@query\" \"workload-identity-token\");created;expires;nonce;tag=\"wimse-workload-to-workload\""
    );
    let response = accept_signature_of_responses(Profile::V07);
    assert_eq!(
        response,
        "sig1=(\"@status\" \"workload-identity-token\" \"content-type\" \"content-digest\" \"@method\";req \"@path\";req \
         \"@query\";req);created;expires;nonce;tag=\"wimse-workload-to-workload\""
    );
    assert!(
        accept_signature_of_requests(Profile::V06)
            .to_str()
            .unwrap()
            .contains("@request-target")
    );
    assert_eq!(
        (WIMSE_AUD, WIMSE_SIGN_RESPONSE, WIMSE_REQ_NONCE),
        ("wimse-aud", "wimse-sign-response", "wimse-req-nonce")
    );
    // A preference demands nothing.
    let world = World::new();
    let mut parts = get(TARGET);
    parts.headers.insert(ACCEPT_SIGNATURE, response);
    let sent = world
        .client()
        .sign_request(&mut parts, b"", at(NOW))
        .unwrap();
    assert!(!sent.demands_signature());
    let answer = world
        .verify_response(&sent, &ok(), b"yes", &peers("server"))
        .unwrap();
    assert!(answer.is_none());
}

/// Covers: WIMSE-HTTPSIG-3.5-2, WIMSE-WIT-5.2-2, WIMSE-WPT-2.1-3, WIMSE-WPT-L2.1-1
#[test]
fn problem_details() {
    let error = Error::Signature(SignatureError::Expired);
    let status = error.status_without_challenge();
    let problem: Value =
        serde_json::from_str(&error.problem(status, "https://docs.example.com/")).unwrap();
    assert_eq!(problem["type"], "https://docs.example.com/expired");
    assert_eq!(problem["status"], 400);
    assert_eq!(problem["title"], "Bad Request");
    assert_eq!(
        Error::WitHash.status_without_challenge(),
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        Error::ProofAlgorithm.status_without_challenge(),
        StatusCode::BAD_REQUEST
    );
}

/// A signer that is in the trust domain but not the workload behind the name is refused, as is one behind
/// a name that nobody mapped.
///
/// Covers: WIMSE-HTTPSIG-A13, WIMSE-WIT-1.3-2, WIMSE-WIT-1.3-3, WIMSE-HTTPSIG-3.2-4
#[test]
fn unexpected_servers() {
    let world = World::new();
    let mut request = get(TARGET);
    let sent = world
        .client()
        .sign_request(&mut request, b"", at(NOW))
        .unwrap();
    let verified = world.verify(&request, b"").unwrap();
    let mut response = ok();
    ResponseSigner::new(world.server())
        .sign(&mut response, Content::Whole(b"yes"), &verified, at(NOW))
        .unwrap();
    for peers in [peers("other"), BTreeMap::new()] {
        let error = world
            .verify_response(&sent, &response, b"yes", &peers)
            .unwrap_err();
        assert_eq!(error.code(), "unexpected_peer");
    }
    world
        .verify_response(&sent, &response, b"yes", &peers("server"))
        .unwrap()
        .unwrap();
}

/// Covers: WIMSE-HTTPSIG-R9530-2-1
#[test]
fn digests() {
    let digest = |content: &[u8]| content_digest(&PROVIDER, content);
    assert_eq!(
        digest(b"No ice cream today.\n\n"),
        "sha-256=:UHKweBl9cpjdVqgTB65El8SexXlJYGG+XIslAYqC1mY=:"
    );
    assert_eq!(
        digest(b""),
        "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
    );
    assert_eq!(
        digest(br#"{"do stuff":"please"}"#),
        "sha-256=:cbGt0NeXNowo2Bxc4+J6yFR+h5QNpju5w4aYhc26q08=:"
    );
}

#[test]
fn options_have_bounds() {
    use std::time::Duration;
    let seconds = Duration::from_secs;
    let world = World::new();
    assert!(world.client().with_lifetime(seconds(301)).is_err());
    assert!(world.client().with_lifetime(seconds(0)).is_err());
    assert!(world.client().with_label("Sig").is_err());
    assert!(world.verifier().with_max_lifetime(seconds(3601)).is_err());
    assert!(world.verifier().with_leeway(seconds(301)).is_err());
    assert!(world.verifier().with_authority("https://a/b").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What is signed verifies, and any change of a signed part is noticed.
    ///
    /// Covers: WIMSE-HTTPSIG-6.3-1, WIMSE-HTTPSIG-3-16
    #[test]
    fn signed_messages(path in "(/[a-z%.]{0,6}){1,4}", query in proptest::option::of("[a-z=&]{0,12}"), content in proptest::collection::vec(any::<u8>(), 0..64), other in "[a-z]{1,5}") {
        let world = World::new();
        let mut uri = format!("https://svc.example.com{path}");
        if let Some(query) = &query {
            uri.push('?');
            uri.push_str(query);
        }
        let mut request = post(&uri);
        let client = world.client().with_audience("svc").unwrap();
        client.sign_request(&mut request, &content, at(NOW)).unwrap();
        let verifier = world.verifier().with_exact_audience("svc");
        let trusted = anchors(ORIGIN, &[&world.issuer]);
        let verify = |parts: &request::Parts, content: &[u8]| {
            verifier.verify(parts, content, &trusted, &MemoryReplayGuard::new(1), at(NOW)).map(|_| ())
        };
        let with_uri = |uri: String| {
            let mut parts = request.clone();
            parts.uri = uri.parse().unwrap();
            parts
        };
        prop_assert!(verify(&request, &content).is_ok());
        let mark = if query.is_some() { "&" } else { "?" };
        let longer_query = with_uri(format!("{uri}{mark}{other}"));
        prop_assert!(verify(&longer_query, &content).is_err());
        let tail = &uri["https://svc.example.com".len() + path.len()..];
        let longer_path = with_uri(format!("https://svc.example.com{path}{other}{tail}"));
        prop_assert!(verify(&longer_path, &content).is_err());
        let mut longer = content.clone();
        longer.push(0);
        prop_assert!(verify(&request, &longer).is_err());
        for name in ["content-type", "authorization", "workload-identity-token", "signature-input", "signature"] {
            let mut parts = request.clone();
            let value = format!("{}{other}", parts.headers[name].to_str().unwrap());
            parts.headers.insert(name, value.parse().unwrap());
            prop_assert!(verify(&parts, &content).is_err(), "{name}");
        }
    }

    /// Fields of any shape are refused or parsed, and what is parsed has the components that it names.
    #[test]
    fn any_field(input in "[ -~]{0,80}", signature in "[ -~]{0,40}") {
        let mut headers = HeaderMap::new();
        headers.insert("signature-input", input.parse().unwrap());
        headers.insert("signature", signature.parse().unwrap());
        if let Ok(components) = unverified_components(&headers) {
            prop_assert!(components.iter().all(|component| input.contains(component.as_str())));
        }
    }
}

/// On neither side does a type show a token that a message carries, its own WIT or its key.
///
/// Covers: WIMSE-MTLS-5-8, WIMSE-WPT-A18
#[test]
fn debug_output_has_no_secrets() {
    let world = World::new();
    let (bearer, txn) = ("SECRET-ACCESS-TOKEN", "SECRET-TXN-TOKEN");
    let mut request = get("https://svc.example.com/orders?token=SECRET-IN-QUERY");
    let mut put = |name: &'static str, value: &str| {
        request.headers.insert(name, value.parse().unwrap());
    };
    put("authorization", &format!("Bearer {bearer}"));
    put("txn-token", txn);
    let client = world.client();
    let sent = client.sign_request(&mut request, b"", at(NOW)).unwrap();
    assert!(request.headers["workload-identity-token"].is_sensitive());
    let again = SentRequest::of_signed(&request).unwrap();
    let verified = world.verify(&request, b"").unwrap();
    let server = ResponseSigner::new(world.server());
    let (mut response, content) = (ok(), Content::Whole(b"SECRET-CONTENT"));
    assert!(
        server
            .sign(&mut response, content, &verified, at(NOW))
            .unwrap()
    );
    let answer = world
        .verify_response(&sent, &response, b"SECRET-CONTENT", &peers("server"))
        .unwrap()
        .unwrap();

    let octets = format!("{:?}", b"SECRET-CONTENT");
    let key = |key: &SigningKey| {
        let jwk: Value = serde_json::from_str(&key.expose_jwk().unwrap()).unwrap();
        jwk["d"].as_str().unwrap().to_owned()
    };
    let keys = [key(&world.client), key(&world.server)];
    let wits = [
        text(&request.headers, "workload-identity-token"),
        text(&response.headers, "workload-identity-token"),
    ];
    for (type_name, shown) in [
        ("MessageSigner", format!("{client:?}")),
        ("SentRequest", format!("{sent:?}")),
        ("SentRequest", format!("{again:?}")),
        ("VerifiedRequest", format!("{verified:?}")),
        ("ResponseSigner", format!("{server:?}")),
        ("Whole", format!("{content:?}")),
        ("VerifiedResponse", format!("{answer:?}")),
    ] {
        assert!(shown.starts_with(type_name), "{shown}");
        assert!(
            !shown.contains("SECRET") && !shown.contains(&octets),
            "{shown}"
        );
        assert_shows_none_of(&shown, &[wits[0], wits[1], &keys[0], &keys[1]]);
    }
    assert!(format!("{verified:?}").contains("wimse://example.com/client"));
}

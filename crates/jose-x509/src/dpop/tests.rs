#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice
)]

use std::time::Duration;

use pki_types::UnixTime;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::provider::ring;
use crate::{Algorithm, Error, SigningKey, base64url};

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn htu(text: &str) -> Htu {
    Htu::parse(text).unwrap()
}

fn problem(text: &str) -> UriProblem {
    match Htu::parse(text) {
        Err(Error::Dpop(DpopError::Uri { problem, .. })) => problem,
        other => panic!("{text}: {other:?}"),
    }
}

/// Covers: POP-9449.4.3-8
#[test]
fn uris_are_compared_in_normal_form() {
    for (a, b) in [
        ("https://a.example/x", "https://A.EXAMPLE:443/x"),
        (
            "HTTPS://Server.Example.com:443/a/../token",
            "https://server.example.com/token",
        ),
        ("https://a.example", "https://a.example/"),
        ("https://a.example:", "https://a.example"),
        ("http://a.example:80/", "http://a.example"),
        ("http://a.example:00080/", "http://a.example"),
        ("https://a.example/%7Eu", "https://a.example/~u"),
        ("https://a.example/%74oken", "https://a.example/token"),
        ("https://a.example/%2e%2E/x", "https://a.example/x"),
        ("https://a.example/a%2fb", "https://a.example/a%2Fb"),
        ("https://a.example/./x", "https://a.example/x"),
        ("https://a.example/../../x", "https://a.example/x"),
        ("https://a.example/a/b/..", "https://a.example/a/"),
        ("https://a.example/a/.", "https://a.example/a/"),
        ("https://a.example/..", "https://a.example/"),
        ("https://a.example/x?q=1", "https://a.example/x?q=2"),
        ("https://a.example/x#f", "https://a.example/x"),
        ("https://a.example?/../b", "https://a.example"),
        ("https://[2001:DB8::0:1]/", "https://[2001:db8:0::1]:443"),
        ("https://127.0.0.1:8443/", "https://127.0.0.1:8443"),
    ] {
        assert_eq!(htu(a), htu(b), "{a} {b}");
        assert_eq!(htu(htu(a).as_str()), htu(a), "{a} again");
    }
    for (a, b) in [
        ("https://a.example/x/", "https://a.example/x"),
        ("https://a.example/a%2Fb", "https://a.example/a/b"),
        ("http://a.example/x", "https://a.example/x"),
        ("https://a.example/X", "https://a.example/x"),
        ("https://a.example/%2574oken", "https://a.example/token"),
        ("https://a.example/%252e%252e/x", "https://a.example/x"),
        ("https://a.example:444/x", "https://a.example/x"),
        ("https://a.example:80/x", "https://a.example/x"),
        ("https://a.example./x", "https://a.example/x"),
        ("https://xn--a-ecp.example/x", "https://a.example/x"),
        ("https://b.example/x", "https://a.example/x"),
        ("https://a.example//x", "https://a.example/x"),
    ] {
        assert_ne!(htu(a), htu(b), "{a} {b}");
    }
    let one = htu("https://a.example:8443/b/c?d");
    assert_eq!(
        (one.origin(), one.path()),
        ("https://a.example:8443", "/b/c")
    );
    assert!(one.is_https() && !htu("http://a.example").is_https());
}

/// Covers: POP-A12
#[test]
fn uris_that_parsers_read_differently_are_refused() {
    use UriProblem as P;
    for (text, expected) in [
        ("https://u@a.example/x", P::UserInformation),
        ("https://good@evil", P::UserInformation),
        ("https://good:pw@evil/", P::UserInformation),
        ("https://good.example\\@evil/", P::Characters),
        ("https:\\\\a.example/", P::Characters),
        ("https://a.example\\x", P::Characters),
        ("https://a.example/ x", P::Characters),
        ("https://a.example/\t", P::Characters),
        ("https://b\u{fc}cher.example/", P::Characters),
        ("https://a.example/%", P::Characters),
        ("https://a.example/%4", P::Characters),
        ("https://a.example/%zz", P::Characters),
        ("https://a.example/%+4", P::Characters),
        ("https://a%2eexample/", P::Host),
        ("https:///x", P::Host),
        ("https://", P::Host),
        ("https://:443/", P::Host),
        ("https://a..example/", P::Host),
        ("https://[::1/", P::Host),
        ("https://[fe80::1%25eth0]/", P::Host),
        ("https://[::1]x/", P::Port),
        ("https://0x7f.1/", P::Host),
        ("https://127.1/", P::Host),
        ("https://2130706433/", P::Host),
        ("https://127.0.0.1./", P::Host),
        ("https://127.0.0.01/", P::Host),
        ("https://a.0X1f/", P::Host),
        ("https://a.example:x/", P::Port),
        ("https://a.example:65536/", P::Port),
        ("https://a.example:+443/", P::Port),
        ("https://a.example:000443/", P::Port),
        ("https://a.example:1:443/", P::Host),
        ("ftp://a.example/", P::Scheme),
        ("https:/a.example/", P::Scheme),
        ("//a.example/", P::Scheme),
        ("/x", P::Scheme),
        ("", P::Scheme),
        ("javascript://a.example/", P::Scheme),
    ] {
        assert_eq!(problem(text), expected, "{text}");
    }
    let long = format!("https://a.example/{}", "x".repeat(MAX_HTU));
    assert_eq!(problem(&long), P::TooLong);
}

/// Covers: POP-policy-6, POP-A12
#[test]
fn the_target_comes_from_the_configuration_and_the_request_line() {
    let server = ExternalUrl::parse("https://Api.example/v1/").unwrap();
    for (request, target) in [
        ("/orders?x=1", "https://api.example/v1/orders"),
        ("/", "https://api.example/v1/"),
        ("//evil.example/x", "https://api.example/v1//evil.example/x"),
        ("/../../etc", "https://api.example/v1/etc"),
        ("/%2e%2e/x", "https://api.example/v1/x"),
    ] {
        assert_eq!(server.target(request).unwrap().as_str(), target);
    }
    for request in [
        "",
        "*",
        "orders",
        "https://evil.example/orders",
        "?x",
        "/a b",
        "/\\x",
    ] {
        assert!(server.target(request).is_err(), "{request}");
    }
    let long = format!("/{}", "x".repeat(MAX_HTU - 10));
    assert!(server.target(&long).is_err());
    for url in ["https://a.example/?x", "https://a.example#f", "a.example"] {
        assert!(ExternalUrl::parse(url).is_err(), "{url}");
    }
}

proptest! {
    /// Where a browser's parser and ours both accept, they agree on what is meant.
    #[test]
    fn agrees_with_the_url_crate(
        scheme in "(https?|HTTPS|Http)",
        host in "([a-zA-Z0-9_.-]{1,12}|[0-9.x]{1,9}|\\[[0-9a-fA-F:.]{2,12}\\])",
        port in "(:[0-9]{0,6})?",
        rest in "([/?#]([a-zA-Z0-9./%~!$;=:@_-]|%2[eEfF]|%7[eE]|\\.\\.|/|\\\\){0,20})?",
    ) {
        let text = format!("{scheme}://{host}{port}{rest}");
        let Ok(ours) = Htu::parse(&text) else { return Ok(()); };
        prop_assert_eq!(&Htu::parse(ours.as_str()).unwrap(), &ours);
        let Ok(url) = url::Url::parse(&text) else { return Ok(()); };
        let theirs = Htu::parse(url.as_str()).unwrap();
        prop_assert_eq!(theirs.as_str(), ours.as_str());
    }

    /// Whatever the text: no panic, and what is accepted is in normal form.
    #[test]
    fn normalising_is_idempotent(text in "(https?://)?[ -~]{0,60}") {
        if let Ok(once) = Htu::parse(&text) {
            prop_assert_eq!(&Htu::parse(once.as_str()).unwrap(), &once);
            prop_assert!(!once.as_str().contains(['?', '#', '@', '\\']) || once.path().contains('@'));
        }
    }

    #[test]
    fn no_request_target_leaves_the_external_url(target in "/[!-~]{0,40}") {
        let server = ExternalUrl::parse("https://api.example/v1").unwrap();
        if let Ok(htu) = server.target(&target) {
            prop_assert!(htu.as_str().starts_with("https://api.example/v1/"));
            prop_assert_eq!(Htu::parse(htu.as_str()).unwrap(), htu);
        }
    }

    #[test]
    fn challenges_are_read_without_panic(text in "[ -~]{0,80}") {
        let _ = ReceivedChallenge::parse_all([text.as_bytes()]);
    }

    #[test]
    fn challenges_that_are_written_are_read(realm in "[ !#-\\[\\]-~]{0,20}", scope in "[!#-\\[\\]-~]{1,9}") {
        let challenge = Challenge::dpop(Verifier::new(&ring::provider()).algorithms())
            .with_realm(&realm).unwrap().with_scope(&scope).unwrap().with_error("invalid_token");
        let bearer = Challenge::bearer().with_realm(&realm).unwrap();
        let joined = format!("{challenge}, {bearer}");
        let read = ReceivedChallenge::parse_all([joined.as_bytes()]).unwrap();
        prop_assert_eq!(read.len(), 2);
        prop_assert_eq!(read[0].parameter("realm"), Some(realm.as_str()));
        prop_assert_eq!(read[0].parameter("scope"), Some(scope.as_str()));
        prop_assert_eq!(read[0].parameter("algs"), Some("ES256 ES384 Ed25519 EdDSA"));
        prop_assert_eq!(read[1].parameter("REALM"), Some(realm.as_str()));
    }
}

/// Covers: POP-9449.7.1-2
#[test]
fn challenges_are_built_as_the_rfc_writes_them() {
    let es256 = crate::Algorithms::of(&[Algorithm::Es256]);
    let challenge = Challenge::dpop(es256)
        .with_error("invalid_token")
        .with_error_description("Invalid DPoP key binding")
        .unwrap();
    assert_eq!(
        challenge.to_string(),
        r#"DPoP error="invalid_token", error_description="Invalid DPoP key binding", algs="ES256""#
    );
    let both = crate::Algorithms::of(&[Algorithm::Es256, Algorithm::Ed25519]);
    let challenge = Challenge::dpop(both).with_error("invalid_token");
    assert_eq!(
        challenge.with_error("use_dpop_nonce").to_string(),
        r#"DPoP error="use_dpop_nonce", algs="ES256 Ed25519""#
    );
    assert_eq!(Challenge::bearer().to_string(), "Bearer");
    for bad in ["a\"b", "a\\b", "a\nb", "\u{e4}"] {
        let challenge = Challenge::dpop(es256);
        assert!(challenge.clone().with_realm(bad).is_err());
        assert!(challenge.clone().with_scope(bad).is_err());
        assert!(challenge.clone().with_error_description(bad).is_err());
        assert!(challenge.with_error_uri(bad).is_err());
    }
    assert!(Challenge::dpop(es256).with_error_uri("a b").is_err());
}

/// Covers: POP-9449.7.2-2, POP-9449.7.1-2
#[test]
fn challenges_are_separated_and_have_no_parameter_twice() {
    let parse =
        |fields: &[&str]| ReceivedChallenge::parse_all(fields.iter().map(|field| field.as_bytes()));
    let one = parse(&[
        r#"Bearer realm="a, b", error=invalid_token, DPoP algs="ES256 \"PS256", Negotiate abc==, Basic"#,
    ])
    .unwrap();
    let two = parse(&[
        r#"Bearer realm="a, b",, error=invalid_token"#,
        r#"DPoP  algs = "ES256 \"PS256""#,
        ", Negotiate abc== ,Basic,",
    ])
    .unwrap();
    assert_eq!(one, two);
    let schemes: Vec<_> = one.iter().map(ReceivedChallenge::scheme).collect();
    assert_eq!(schemes, ["Bearer", "DPoP", "Negotiate", "Basic"]);
    assert_eq!(one[0].parameter("Realm"), Some("a, b"));
    assert_eq!(one[1].parameter("error"), None);
    assert_eq!(one[1].parameter("algs"), Some("ES256 \"PS256"));
    assert_eq!(one[2].token68(), Some("abc=="));
    for bad in [
        r#"DPoP error="a", error="b""#,
        r#"DPoP error="a", ERROR="b""#,
        r#"DPoP error="a"#,
        r#"DPoP error="a" algs="b""#,
        r#"DPoP error="a", algs="#,
        r#"DPoP ="a""#,
        "DPoP\terror=\"\u{7}\"",
        "=a",
        "\"DPoP\"",
    ] {
        assert_eq!(
            parse(&[bad]),
            Err(DpopError::InvalidChallenge.into()),
            "{bad}"
        );
    }
    assert!(ReceivedChallenge::parse_all([&b"DPoP \xff"[..]]).is_err());
    assert!(parse(&[&"a,".repeat(MAX_CHALLENGES + 1)]).is_err());
    assert!(parse(&["a"; MAX_CHALLENGES]).is_ok());
    assert!(parse(&[&"a".repeat(10_000)]).is_err());
    let many: String = (0..20).map(|i| format!(", p{i}=1")).collect();
    assert!(parse(&[&format!("DPoP a=1{many}")]).is_err());
}

/// Covers: POP-9449.8.1-1, POP-9449.8-2
#[test]
fn nonces_have_a_syntax_and_come_alone() {
    for good in [
        "a",
        "eyJ7S_zG.eyJH0-Z.HX4w-7v",
        "!#$[]^~",
        &"x".repeat(MAX_NONCE),
    ] {
        assert_eq!(Nonce::parse(good).unwrap().as_str(), good);
    }
    for bad in [
        "",
        " ",
        "a b",
        "a\"",
        "a\\",
        "a\n",
        "\u{7f}",
        "\u{e4}",
        &"x".repeat(MAX_NONCE + 1),
    ] {
        assert_eq!(
            Nonce::parse(bad),
            Err(DpopError::InvalidNonce.into()),
            "{bad:?}"
        );
    }
    let read = |fields: &[&[u8]]| Nonce::from_fields(fields.iter().copied());
    assert_eq!(read(&[]).unwrap(), None);
    assert_eq!(read(&[b"a"]).unwrap(), Some(Nonce::parse("a").unwrap()));
    assert_eq!(read(&[b"a", b"a"]), Err(DpopError::MultipleNonces.into()));
    assert_eq!(read(&[b"\xff"]), Err(DpopError::InvalidNonce.into()));
    assert_eq!(
        format!("{:?}", Nonce::parse("secret").unwrap()),
        "Nonce(..)"
    );
}

#[test]
fn debug_output_has_no_access_token() {
    let target = Htu::parse("https://rs.example/a").unwrap();
    let verified = ProofTarget::new("GET", &target).with_access_token("SECRET", [0; 32]);
    let made = ProofRequest::new("GET", &target).with_access_token("SECRET");
    for shown in [format!("{verified:?}"), format!("{made:?}")] {
        assert!(
            shown.contains("GET") && !shown.contains("SECRET"),
            "{shown}"
        );
    }
}

/// Covers: POP-9449.8-2, POP-9449.8-3, POP-A17
#[test]
fn stateless_nonces_are_unpredictable_and_good_for_two_periods() {
    // And in the one before, for nodes whose clock is behind.
    let nonces = StatelessNonces::new(&ring::provider(), [7; 32], "as")
        .with_period(Duration::from_secs(100))
        .unwrap();
    let nonce = nonces.issue(at(1000)).unwrap();
    assert!(nonce.as_str().len() >= 22);
    assert_ne!(nonce, nonces.issue(at(1000)).unwrap());
    for (now, current) in [
        (899, false),
        (900, true),
        (999, true),
        (1000, true),
        (1099, true),
        (1199, true),
        (1200, false),
        (5000, false),
    ] {
        assert_eq!(nonces.is_current(&nonce, at(now)), current, "{now}");
    }
    assert!(nonces.is_current(&nonces.issue(at(0)).unwrap(), at(0)));
    // Another node with the same secret and name, and servers that differ in one of them.
    let other = |key, name: &str| {
        StatelessNonces::new(&ring::provider(), key, name)
            .with_period(Duration::from_secs(100))
            .unwrap()
    };
    assert!(other([7; 32], "as").is_current(&nonce, at(1000)));
    assert!(!other([8; 32], "as").is_current(&nonce, at(1000)));
    assert!(!other([7; 32], "rs").is_current(&nonce, at(1000)));
    let generated = [0; 2].map(|_| StatelessNonces::generate(&ring::provider(), "as").unwrap());
    assert!(!generated[0].is_current(&generated[1].issue(at(5)).unwrap(), at(5)));
    // Every bit counts.
    let bytes = base64url::decode(nonce.as_str(), "nonce").unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let changed = Nonce::parse(&base64url::encode(&changed)).unwrap();
        assert!(!nonces.is_current(&changed, at(1000)));
    }
    for period in [0, 9, 3601] {
        let nonces = StatelessNonces::new(&ring::provider(), [7; 32], "as");
        assert!(nonces.with_period(Duration::from_secs(period)).is_err());
    }
    assert!(!format!("{nonces:?}").contains('7'));
}

fn claims_of(proof: &str) -> Value {
    let payload = proof.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64url::decode(payload, "payload").unwrap()).unwrap()
}

fn header_of(proof: &str) -> Value {
    let header = proof.split('.').next().unwrap();
    serde_json::from_slice(&base64url::decode(header, "header").unwrap()).unwrap()
}

/// Covers: POP-9449.4.1-1, POP-9449.4.2-5, POP-9449.4.2-6, POP-9449.4.2-7, POP-9449.4.2-8, POP-9449.10-1
#[test]
fn what_the_client_makes() {
    let key = SigningKey::generate(&ring::provider(), Algorithm::Es256)
        .unwrap()
        .with_kid("k");
    let prover = Prover::from_key(key.clone());
    let target = htu("https://resource.example.org/protectedresource?a=b#c");
    let nonce = Nonce::parse("n-1").unwrap();
    let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    let request = ProofRequest::new("GET", &target)
        .with_access_token(token)
        .with_nonce(&nonce);
    let proof = prover.prove(&request, at(1_562_262_618)).unwrap();
    let public: Value = crate::Jwk::new(key.public_key().clone()).to_value();
    assert_eq!(
        header_of(&proof),
        json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": public})
    );
    let mut claims = claims_of(&proof);
    let jti = claims["jti"].take();
    assert_eq!(
        base64url::decode(jti.as_str().unwrap(), "jti")
            .unwrap()
            .len(),
        16
    );
    assert_eq!(
        claims,
        json!({
            "jti": null, "htm": "GET", "htu": "https://resource.example.org/protectedresource", "iat": 1_562_262_618,
            "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo", "nonce": "n-1",
        })
    );
    let again = prover.prove(&request, at(1_562_262_618)).unwrap();
    assert_ne!(claims_of(&again)["jti"], jti);
    let bare = claims_of(
        &prover
            .prove(&ProofRequest::new("POST", &target), at(1))
            .unwrap(),
    );
    assert_eq!((bare.get("ath"), bare.get("nonce")), (None, None));
    for method in ["", "GET ", "G\u{c4}T", "GET\n", &"G".repeat(33)] {
        assert!(
            prover
                .prove(&ProofRequest::new(method, &target), at(1))
                .is_err()
        );
    }
    assert_eq!(prover.dpop_jkt().len(), 43);
    assert_eq!(parse_jkt(&prover.dpop_jkt()).unwrap(), prover.jkt());
    for bad in [
        "",
        &prover.dpop_jkt()[1..],
        &format!("{}=", prover.dpop_jkt()),
        &format!("{}A", prover.dpop_jkt()),
        &format!("{}B", &prover.dpop_jkt()[..42]),
    ] {
        assert!(parse_jkt(bad).is_err(), "{bad}");
    }
}

fn first(target: &Htu, nonces: &NonceMemory) -> Attempt {
    Attempt::first(Role::ResourceServer, target, nonces)
}

const DEMAND: &[u8] = br#"DPoP error="use_dpop_nonce", error_description="Resource server requires nonce in DPoP proof""#;

/// Covers: POP-9449.8-4, POP-9449.4.2-8, POP-9449.9-1
#[test]
fn a_demanded_nonce_is_used_once_and_never_in_a_loop() {
    let target = htu("https://api.example/x");
    let mut nonces = NonceMemory::default();
    let demand = Response::new(401)
        .with_nonces([&b"n1"[..]])
        .with_challenges([DEMAND]);
    let attempt = first(&target, &nonces);
    assert_eq!(attempt.nonce(), None);
    let Next::Again(second) = attempt.after(&demand, &mut nonces).unwrap() else {
        panic!("no second attempt");
    };
    assert_eq!(second.nonce().map(Nonce::as_str), Some("n1"));
    let ends = second
        .clone()
        .after(&Response::new(200), &mut nonces)
        .unwrap();
    assert!(matches!(ends, Next::Done));
    let demand_again = Response::new(401)
        .with_nonces([&b"n2"[..]])
        .with_challenges([DEMAND]);
    let error = second.after(&demand_again, &mut nonces).unwrap_err();
    assert_eq!(error, DpopError::NonceLoop.into());
    assert_eq!(
        nonces.get(Role::ResourceServer, &target).map(Nonce::as_str),
        Some("n2")
    );

    let without = Response::new(401).with_challenges([DEMAND]);
    let error = first(&target, &nonces)
        .after(&without, &mut nonces)
        .unwrap_err();
    assert_eq!(error, DpopError::NonceNotGiven.into());
    let twice = Response::new(200).with_nonces([&b"a"[..], &b"b"[..]]);
    let error = first(&target, &nonces)
        .after(&twice, &mut nonces)
        .unwrap_err();
    assert_eq!(error, DpopError::MultipleNonces.into());
    let malformed = Response::new(401).with_challenges([&b"DPoP error=\""[..]]);
    let error = first(&target, &nonces)
        .after(&malformed, &mut nonces)
        .unwrap_err();
    assert_eq!(error, DpopError::InvalidChallenge.into());
    // Other refusals are answers.
    for response in [
        Response::new(401).with_challenges([&br#"DPoP error="invalid_token""#[..]]),
        Response::new(401).with_challenges([&br#"Bearer error="use_dpop_nonce""#[..]]),
        Response::new(403).with_challenges([DEMAND]),
        Response::new(400).with_oauth_error(Some("use_dpop_nonce")),
    ] {
        let next = first(&target, &nonces)
            .after(&response, &mut nonces)
            .unwrap();
        assert!(matches!(next, Next::Done), "{response:?}");
    }
    let at_the_token_endpoint = |response: Response<'_>| {
        Attempt::first(Role::AuthorizationServer, &target, &NonceMemory::default()).after(
            &response.with_nonces([&b"n"[..]]),
            &mut NonceMemory::default(),
        )
    };
    let demand = Response::new(400).with_oauth_error(Some("use_dpop_nonce"));
    assert!(matches!(at_the_token_endpoint(demand), Ok(Next::Again(_))));
    let other = Response::new(400).with_oauth_error(Some("invalid_grant"));
    assert!(matches!(at_the_token_endpoint(other), Ok(Next::Done)));
}

/// Covers: POP-9449.8.2-1, POP-9449.9-2, POP-9449.4.2-8
#[test]
fn nonces_are_kept_apart_by_server_and_renewed_by_any_response() {
    let (a, b) = (htu("https://a.example/x"), htu("https://b.example/x"));
    let mut nonces = NonceMemory::default();
    let success = Response::new(200).with_nonces([&b"n1"[..]]);
    let next = first(&a, &nonces).after(&success, &mut nonces).unwrap();
    assert!(matches!(next, Next::Done));
    let get = |nonces: &NonceMemory, role, target: &str| {
        nonces
            .get(role, &htu(target))
            .map(|nonce| nonce.as_str().to_owned())
    };
    assert_eq!(
        get(&nonces, Role::ResourceServer, "https://A.example:443/other").as_deref(),
        Some("n1")
    );
    assert_eq!(
        get(&nonces, Role::AuthorizationServer, "https://a.example/x"),
        None
    );
    assert_eq!(
        get(&nonces, Role::ResourceServer, "https://a.example:8443/x"),
        None
    );
    assert_eq!(
        get(&nonces, Role::ResourceServer, "http://a.example/x"),
        None
    );
    assert_eq!(get(&nonces, Role::ResourceServer, b.as_str()), None);
    nonces
        .observe(Role::ResourceServer, &a, [&b"n2"[..]])
        .unwrap();
    assert_eq!(first(&a, &nonces).nonce().map(Nonce::as_str), Some("n2"));
    nonces.observe(Role::ResourceServer, &a, []).unwrap();
    assert_eq!(first(&a, &nonces).nonce().map(Nonce::as_str), Some("n2"));

    // Bounded; the oldest makes room.
    let mut few = NonceMemory::new(2);
    for (target, nonce) in [
        (&a, "1"),
        (&b, "2"),
        (&a, "3"),
        (&htu("https://c.example"), "4"),
    ] {
        few.observe(Role::ResourceServer, target, [nonce.as_bytes()])
            .unwrap();
    }
    assert_eq!(few.get(Role::ResourceServer, &b), None);
    assert_eq!(
        few.get(Role::ResourceServer, &a).map(Nonce::as_str),
        Some("3")
    );
}

/// Covers: POP-9449.5-5, POP-A14
#[test]
fn a_client_that_wants_bound_tokens_takes_no_other() {
    require_bound_token("DPoP").unwrap();
    require_bound_token("dpop").unwrap();
    for other in ["Bearer", "", "DPoP ", "mac"] {
        assert_eq!(
            require_bound_token(other),
            Err(DpopError::TokenNotBound.into())
        );
    }
}

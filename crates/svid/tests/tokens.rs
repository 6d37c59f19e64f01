//! What is issued as a token, and how tokens of all algorithms, sizes and origins are taken.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

use std::cell::Cell;
use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Uri, header};
use jose_x509::jws::ProtectedHeader;
use jose_x509::sign::{SignFuture, Signature};
use jose_x509::{
    Algorithm, AsyncSigner, CryptoProvider, Fault, KeySet, Signer, SigningKey, base64url, jwt,
    provider::ring,
};
use pki_types::UnixTime;
use serde_json::{Value, json};
use spiffe_bundle::{Bundle, BundleSet, JwtBundleSource, WitBundleSource};
use spiffe_id::{SpiffeId, TrustDomain, TrustDomainRef};
use svid::AuthenticatedWorkload;
use svid::jwt::{
    self as jwt_svid, JwtSvid, JwtSvidIssuer, JwtSvidRequest, JwtSvidVerifier, MAX_KEYS_TRIED,
    UnverifiedJwtSvid,
};
use svid::wit::{
    BoundWorkload, UnprovenWitSvid, UnverifiedWitSvid, WitSvidIssuer, WitSvidRequest,
    WitSvidVerifier,
};
use svid::x509::{UnprovenX509Svid, UnverifiedX509Svid, X509Identity};
use wimse::{TrustAnchors, WitVerifier};

const PROVIDER: CryptoProvider = ring::provider();
const NOW: u64 = 1_800_000_000;
const ID: &str = "spiffe://a.test/agents/one";
const NINE: [Algorithm; 9] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn td(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

fn id() -> SpiffeId {
    SpiffeId::parse(ID).unwrap()
}

/// A new key, or the one RSA key.
fn key_of(algorithm: Algorithm, kid: &str) -> SigningKey {
    let rsa = algorithm.key_kind() == jose_x509::KeyKind::Rsa;
    let key = if rsa {
        let text = include_bytes!("../../../test-vectors/keys/rsa2048.jwk.json");
        let mut jwk: Value = serde_json::from_slice(text).unwrap();
        jwk["alg"] = algorithm.name().into();
        SigningKey::from_jwk_slice(&PROVIDER, jwk.to_string().as_bytes()).unwrap()
    } else {
        SigningKey::generate(&PROVIDER, algorithm).unwrap()
    };
    key.with_kid(kid)
}

fn key(kid: &str) -> SigningKey {
    key_of(Algorithm::Es256, kid)
}

fn set(jwt: &[&SigningKey], wit: &[&SigningKey]) -> BundleSet {
    let entry = |key: &&SigningKey, usage: &str| key.public_jwk().with_use(usage).to_value();
    let jwt = jwt.iter().map(|key| entry(key, "jwt-svid"));
    let wit = wit.iter().map(|key| entry(key, "wit-svid"));
    document(&jwt.chain(wit).collect::<Vec<_>>())
}

fn document(keys: &[Value]) -> BundleSet {
    let document = json!({"keys": keys}).to_string();
    let mut set = BundleSet::new();
    set.install(Bundle::parse(&PROVIDER, td("a.test"), document.as_bytes()).unwrap())
        .unwrap();
    set
}

fn claims() -> Value {
    json!({"sub": ID, "aud": "ledger", "exp": NOW + 300})
}

fn sign(key: &SigningKey, typ: &'static str, claims: &Value) -> String {
    jwt::sign(key, &ProtectedHeader::new(typ), claims).unwrap()
}

fn without_kid(key: &SigningKey) -> String {
    jwt::sign(key, &ProtectedHeader::new("JWT").without_kid(), &claims()).unwrap()
}

fn raw(key: &SigningKey, header: &str, payload: &str) -> String {
    let input = format!(
        "{}.{}",
        base64url::encode(header.as_bytes()),
        base64url::encode(payload.as_bytes())
    );
    let signature = Signer::sign(key, input.as_bytes()).unwrap();
    format!("{input}.{}", base64url::encode(signature.as_ref()))
}

fn code<T>(result: Result<T, svid::Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}

fn verify(token: &str, bundles: &impl JwtBundleSource) -> &'static str {
    let verifier = JwtSvidVerifier::new("ledger").unwrap();
    code(verifier.verify(token, bundles, at(NOW)))
}

fn wit_verifier() -> WitSvidVerifier {
    WitSvidVerifier::new("https://api.test").unwrap()
}

fn verify_wit(token: &str, bundles: &impl WitBundleSource) -> &'static str {
    code(wit_verifier().verify_wit(token, bundles, at(NOW)))
}

/// What is between the dots, decoded.
fn part(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).unwrap();
    serde_json::from_slice(&base64url::decode(part, "part").unwrap()).unwrap()
}

/// All nine algorithms issue and verify, for both kinds of token; no other one issues.
///
/// Covers: JWT-SVID-2.1-1, JWT-SVID-2.1-2, WIT-SVID-2.3-1, WIT-SVID-2.3-2, WIT-SVID-3.2-3
#[test]
fn nine_algorithms() {
    for algorithm in NINE {
        let name = algorithm.name();
        let (jwt, wit) = (key_of(algorithm, "j"), key_of(algorithm, "w"));
        let workload = key_of(algorithm, "own");
        let home = set(&[&jwt], &[]);
        let token = JwtSvidIssuer::new(jwt, td("a.test"))
            .unwrap()
            .issue(&id(), "ledger", Duration::from_secs(60), at(NOW))
            .unwrap();
        assert_eq!(part(&token, 0)["alg"], name);
        assert_eq!(verify(&token, &home), "valid", "{name}");
        let home = set(&[], &[&wit]);
        let token = WitSvidIssuer::new(wit, td("a.test"))
            .unwrap()
            .issue(&id(), &workload.public_jwk(), None, at(NOW))
            .unwrap();
        assert_eq!(part(&token, 1)["cnf"]["jwk"]["alg"], name);
        let verified = wit_verifier().verify_wit(&token, &home, at(NOW)).unwrap();
        assert_eq!(verified.wit().proof_algorithm(), algorithm);
    }
    for algorithm in [Algorithm::Ed25519, Algorithm::EdDsa] {
        let signer = key_of(algorithm, "k");
        let refused = "signing_key";
        assert_eq!(
            code(JwtSvidIssuer::new(signer.clone(), td("a.test"))),
            refused
        );
        assert_eq!(code(WitSvidIssuer::new(signer, td("a.test"))), refused);
    }
}

/// Signatures have exactly the form of JWS; PSS has the salt of its hash's length.
///
/// Covers: JWT-SVID-2.1-3
#[test]
fn forms_of_signatures() {
    let es256 = key("k");
    let home = set(&[&es256], &[]);
    let token = sign(&es256, "JWT", &claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let bytes = base64url::decode(signature, "signature").unwrap();
    let integer = |half: &[u8]| {
        let start = half.iter().position(|b| *b != 0).unwrap();
        let mut value = half[start..].to_vec();
        if value[0] & 0x80 != 0 {
            value.insert(0, 0);
        }
        [vec![2, u8::try_from(value.len()).unwrap()], value].concat()
    };
    let body = [integer(&bytes[..32]), integer(&bytes[32..])].concat();
    let der = [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat();
    let as_der = format!("{signed}.{}", base64url::encode(&der));
    assert_eq!(verify(&as_der, &home), "invalid_signature");

    let es512 = key_of(Algorithm::Es512, "k");
    let home = set(&[&es512], &[]);
    let token = sign(&es512, "JWT", &claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let bytes = base64url::decode(signature, "signature").unwrap();
    assert_eq!((bytes.len(), verify(&token, &home)), (132, "valid"));
    for bytes in [bytes[..131].to_vec(), [bytes.clone(), vec![0]].concat()] {
        let wrong = format!("{signed}.{}", base64url::encode(&bytes));
        assert_eq!(verify(&wrong, &home), "invalid_signature");
    }

    let ps256 = key_of(Algorithm::Ps256, "rsa2048");
    let home = set(&[&ps256], &[]);
    for (token, expected) in [
        (include_str!("data/ps256-salt-32.jwt"), "valid"),
        (include_str!("data/ps256-salt-20.jwt"), "invalid_signature"),
    ] {
        assert_eq!(verify(token.trim_end(), &home), expected);
    }
}

/// Without `kid` every key of the algorithm is tried, up to a bound; with one, no other key is.
///
/// Covers: JWT-SVID-2.2-2, JWT-SVID-2.2-3, JWT-SVID-A10
#[test]
fn keys_without_and_with_names() {
    let keys: Vec<SigningKey> = (0..=MAX_KEYS_TRIED)
        .map(|n| key(&format!("k{n}")))
        .collect();
    let all: Vec<&SigningKey> = keys.iter().collect();
    let (last, sixteen) = all.split_last().unwrap();
    let home = set(sixteen, &[]);
    for key in sixteen {
        assert_eq!(verify(&without_kid(key), &home), "valid");
    }
    assert_eq!(verify(&without_kid(last), &home), "invalid_signature");
    let none = key_of(Algorithm::Es384, "x");
    assert_eq!(verify(&without_kid(&none), &home), "unknown_key");
    assert_eq!(verify(&without_kid(last), &set(&all, &[])), "ambiguous_key");
    // Claims are judged by the key that verifies.
    let mut old = claims();
    old["exp"] = (NOW - 3600).into();
    let old = jwt::sign(sixteen[9], &ProtectedHeader::new("JWT").without_kid(), &old).unwrap();
    assert_eq!(verify(&old, &home), "expired");

    for kid in [
        "K1",
        "../../dev/null",
        "' OR 1=1 --",
        "https://evil.test/keys",
        "k1/",
        &"k".repeat(256),
    ] {
        let named = keys[1].clone().with_kid(kid);
        assert_eq!(
            verify(&sign(&named, "JWT", &claims()), &home),
            "unknown_key"
        );
    }
    let long = json!({"alg": "ES256", "kid": "k".repeat(257)}).to_string();
    let token = raw(&keys[1], &long, &claims().to_string());
    assert_eq!(verify(&token, &home), "header_type");
}

/// Covers: JWT-SVID-3-2, JWT-SVID-3.2-5, JWT-SVID-3.2-6, JWT-SVID-3.3-3, JWT-SVID-7.1-2, JWT-SVID-4-4
#[test]
fn jwt_svid_requests() {
    let k = key("k");
    let home = set(&[&k], &[]);
    let issuer = JwtSvidIssuer::new(k, td("a.test")).unwrap();
    let (id, now) = (id(), at(NOW));
    let request = JwtSvidRequest::new(&id, "spiffe://a.test/ledger");
    let token = issuer.issue_request(&request, now).unwrap();
    let plain = json!({"sub": ID, "aud": "spiffe://a.test/ledger", "iat": NOW, "exp": NOW + 300});
    assert_eq!(part(&token, 1), plain);

    let request = JwtSvidRequest::new(&id, "ledger")
        .with_other_audience("reports")
        .with_lifetime(Duration::from_secs(60))
        .with_id("one")
        .with_claim("https://a.test/role", "writer")
        .unwrap()
        .with_claim("test.a.tier", 1)
        .unwrap()
        .with_claim("scope", "read")
        .unwrap()
        .with_claim("role", json!(["x"]))
        .unwrap();
    assert_eq!(request.private_names().collect::<Vec<_>>(), ["role"]);
    let token = issuer
        .clone()
        .with_issuer("https://a.test")
        .unwrap()
        .issue_request(&request, now)
        .unwrap();
    let said = part(&token, 1);
    assert_eq!(
        said,
        json!({
            "sub": ID, "aud": ["ledger", "reports"], "iat": NOW, "exp": NOW + 60, "jti": "one", "iss": "https://a.test",
            "https://a.test/role": "writer", "test.a.tier": 1, "scope": "read", "role": ["x"],
        })
    );
    assert_eq!(verify(&token, &home), "valid");
    for name in ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf"] {
        let request = JwtSvidRequest::new(&id, "ledger").with_claim(name, 1);
        assert_eq!(code(request), "reserved_claim", "{name}");
    }

    let strict = issuer.clone().requiring_scoped_audiences();
    for (audience, expected) in [
        ("ledger", "valid"),
        ("spiffe://a.test/ledger", "valid"),
        ("https://ledger.a.test", "valid"),
        ("spiffe://a.test", "broad_audience"),
        ("spiffe://a.test/", "broad_audience"),
        ("spiffe://other.test", "broad_audience"),
        ("a.test", "broad_audience"),
        // Another domain's name is much more likely that of a service.
        ("ledger.test", "valid"),
    ] {
        let lifetime = Duration::from_secs(60);
        let strict = code(strict.issue(&id, audience, lifetime, now));
        assert_eq!(strict, expected, "{audience}");
        assert_eq!(code(issuer.issue(&id, audience, lifetime, now)), "valid");
    }

    let bounded = JwtSvidVerifier::new("ledger")
        .unwrap()
        .with_max_remaining_lifetime(Duration::from_secs(59));
    assert_eq!(
        code(bounded.verify(&token, &home, now)),
        "lifetime_too_long"
    );
    assert_eq!(code(bounded.verify(&token, &home, at(NOW + 1))), "valid");
    let mut none = claims();
    none["sub"] = "spiffe://a.test".into();
    let (k, opted) = (key("k"), JwtSvidVerifier::new("ledger").unwrap());
    let (token, home) = (sign(&k, "JWT", &none), set(&[&k], &[]));
    assert_eq!(
        code(opted.verify(&token, &home, now)),
        "spiffe_id_without_path"
    );
    let opted = opted.accepting_trust_domain_subjects();
    assert_eq!(code(opted.verify(&token, &home, now)), "valid");
}

/// A token is a JWT-SVID by all of its rules, and not because it names a workload; what it says beyond the SPIFFE ID is
/// there as it came, and means nothing here.
///
/// Covers: SPIFFE-ID-3.3-1, SPIFFE-ID-3.2-3, SPIFFE-ID-4.1.1-1
#[test]
fn other_tokens_are_no_svids() {
    let k = key("k");
    let home = set(&[&k], &[]);
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value;
        }
        claims
    };
    // An ID token, an access token and a token for anybody, all signed with the domain's own key.
    for (typ, claims) in [
        ("JWT", with("aud", Value::Null)),
        ("JWT", with("sub", "user-1".into())),
        ("JWT", with("exp", Value::Null)),
        ("at+jwt", claims()),
        ("wit+jwt", claims()),
        ("secevent+jwt", claims()),
    ] {
        assert_ne!(
            verify(&sign(&k, typ, &claims), &home),
            "valid",
            "{typ} {claims}"
        );
    }
    // One that an identity provider signed is not of the trust domain, whatever its `sub`.
    let provider = key("p");
    let id_token = with("iss", "https://idp.test".into());
    assert_eq!(
        verify(&sign(&provider, "JWT", &id_token), &home),
        "unknown_key"
    );

    let role = with("role", json!({"name": "admin"}));
    let token = sign(&k, "JWT", &role);
    let verifier = JwtSvidVerifier::new("ledger").unwrap();
    let svid = verifier.verify(&token, &home, at(NOW)).unwrap();
    assert_eq!(Value::Object(svid.jwt().claims_map().unwrap()), role);
    // Our issuer writes none of its own accord.
    let issuer = JwtSvidIssuer::new(k, td("a.test")).unwrap();
    let plain = issuer
        .issue(&id(), "ledger", Duration::from_secs(60), at(NOW))
        .unwrap();
    let said = part(&plain, 1);
    let mut names: Vec<_> = said.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["aud", "exp", "iat", "sub"]);
}

/// How a JWT-SVID travels, and that nothing else travels like that.
///
/// Covers: JWT-SVID-5.2-1, JWT-SVID-5.2-2, JWT-SVID-5.3-1, JWT-SVID-7.3-1, WIT-SVID-5-2, WIT-SVID-7.1-1
#[test]
fn bearer_tokens() {
    let (k, w) = (key("k"), key("w"));
    let token = sign(&k, "JWT", &claims());
    let target = |text: &str| text.parse::<Uri>().unwrap();
    for (text, expected) in [
        ("https://api.test/x", "valid"),
        ("http://localhost:8080/x", "valid"),
        ("http://127.0.0.1/", "valid"),
        ("http://[::1]:80/", "valid"),
        ("http://api.test/x", "insecure_target"),
        ("http://localhost.evil.test/", "insecure_target"),
        ("http://128.0.0.1/", "insecure_target"),
        ("ftp://api.test/x", "insecure_target"),
        ("/x", "insecure_target"),
    ] {
        let mut headers = HeaderMap::new();
        let sent = code(jwt_svid::attach(&mut headers, &token, &target(text)));
        assert_eq!(sent, expected, "{text}");
        if expected == "valid" {
            let value = &headers[header::AUTHORIZATION];
            assert_eq!(value, &format!("Bearer {token}"));
            assert!(value.is_sensitive() && headers.len() == 1);
            assert_eq!(jwt_svid::bearer_token(&headers).unwrap(), token);
        } else {
            assert!(headers.is_empty());
        }
    }
    // A WIT-SVID is no bearer token, and what is no token is none either.
    let wit = WitSvidIssuer::new(w.clone(), td("a.test"))
        .unwrap()
        .issue(&id(), &k.public_jwk(), None, at(NOW))
        .unwrap();
    assert_eq!(code(jwt_svid::authorization(&wit)), "wrong_type");
    assert_eq!(verify(&wit, &set(&[&w], &[])), "wrong_type");
    assert_eq!(code(jwt_svid::authorization("a b")), "token_characters");

    let fields = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        headers
    };
    let bearer = format!("Bearer {token}");
    let lower = format!("bearer {token}");
    for (values, good) in [
        (&[bearer.as_str()][..], true),
        (&[lower.as_str()], true),
        (&[], false),
        (&[&bearer, &bearer], false),
        (&["Basic YTpi"], false),
        (&["DPoP abc"], false),
        (&["Bearer"], false),
        (&["Bearer "], false),
        (&["Bearer a b"], false),
        (&["Bearer a,Bearer b"], false),
    ] {
        let headers = fields(values);
        let found = jwt_svid::bearer_token(&headers);
        assert_eq!(found.is_ok(), good, "{values:?}");
        if let Err(error) = found {
            assert_eq!(error.code(), "bearer_credential");
            assert_eq!(error.challenge().unwrap(), "Bearer");
            assert_eq!(error.requirement(), Some("JWT-SVID-5.2-2"));
        }
    }
    // In gRPC the fields are metadata, under the same name.
    assert_eq!(jwt_svid::GRPC_METADATA_KEY, header::AUTHORIZATION.as_str());
    let refused = JwtSvidVerifier::new("reports")
        .unwrap()
        .verify(&token, &set(&[&k], &[]), at(NOW))
        .unwrap_err();
    assert_eq!(
        refused.challenge().unwrap(),
        "Bearer error=\"invalid_token\""
    );
    let own = JwtSvidVerifier::new("").unwrap_err();
    assert_eq!((own.fault(), own.challenge()), (Fault::Configuration, None));
}

/// What was only parsed is no identity: not by its type, and not by the names of its methods.
///
/// Covers: JWT-SVID-4-9, WIT-SVID-4-3, SPIFFE-ID-3.2-2
#[test]
fn parsed_is_not_authenticated() {
    // A type that is authenticated would have `is` twice, and the call below would be ambiguous.
    struct Ambiguous;
    trait Not<A> {
        fn is() {}
    }
    impl<T: ?Sized> Not<()> for T {}
    impl<T: ?Sized + AuthenticatedWorkload> Not<Ambiguous> for T {}
    <UnverifiedJwtSvid<'_> as Not<_>>::is();
    <UnverifiedWitSvid<'_> as Not<_>>::is();
    <UnverifiedX509Svid as Not<_>>::is();
    <UnprovenWitSvid as Not<_>>::is();
    <UnprovenX509Svid as Not<_>>::is();

    fn authenticated<T: AuthenticatedWorkload>() {}
    authenticated::<JwtSvid>();
    authenticated::<BoundWorkload>();
    authenticated::<X509Identity>();

    // Nobody signed this, and it is long over.
    let forged = raw(
        &key("k"),
        r#"{"alg":"ES256"}"#,
        &json!({"sub": ID, "exp": 1}).to_string(),
    );
    let parsed = UnverifiedJwtSvid::parse(&forged).unwrap();
    assert_eq!(parsed.unverified_spiffe_id(), &id());
    assert_eq!(parsed.unverified_claims().unwrap()["exp"], 1);
    assert_eq!(parsed.unverified_header().kid(), None);
    assert!(!format!("{parsed:?}").contains(forged.split('.').next().unwrap()));
}

/// An ID token under a key that serves both is no JWT-SVID, and the other way round there is `typ`, audience and
/// a `sub` that no user has.
///
/// Covers: JWT-SVID-A6
#[test]
fn id_tokens() {
    let k = key("k");
    let home = set(&[&k], &[]);
    let user = json!({"iss": "https://a.test", "sub": "alice", "aud": "ledger", "exp": NOW + 300, "nonce": "n"});
    assert_eq!(verify(&sign(&k, "JWT", &user), &home), "spiffe_id");
    let mut client = claims();
    client["iss"] = "https://a.test".into();
    client["aud"] = "client-1".into();
    assert_eq!(
        verify(&sign(&k, "JWT", &client), &home),
        "audience_mismatch"
    );
    assert_eq!(verify(&sign(&k, "at+jwt", &client), &home), "wrong_type");
}

/// Hostile shapes cost no more than the limits, and give an error.
///
/// Covers: JWT-SVID-A17, WIT-SVID-A18, WIT-SVID-A19, JWT-SVID-4-8, WIT-SVID-1-1
#[test]
fn hostile_shapes() {
    let k = key("k");
    let home = set(&[&k], &[&k]);
    let ten_megabytes = "a".repeat(10 * 1024 * 1024);
    for token in [
        ten_megabytes.clone(),
        format!("a.{ten_megabytes}.a"),
        ".".repeat(1024 * 1024),
        "{".repeat(1024 * 1024),
    ] {
        assert_eq!(verify(&token, &home), "too_large");
        assert_eq!(verify_wit(&token, &home), "too_large");
        assert_eq!(code(UnverifiedJwtSvid::parse(&token)), "too_large");
    }
    let (jwt_header, wit_header) = (
        r#"{"alg":"ES256","kid":"k"}"#,
        r#"{"alg":"ES256","kid":"k","typ":"wit+jwt"}"#,
    );
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(2000), "]".repeat(2000));
    let members: Vec<String> = (0..300).map(|n| format!(r#""m{n}":0"#)).collect();
    let many = format!("{{{}}}", members.join(","));
    for (payload, expected) in [
        (deep.as_str(), "too_deep"),
        (&many, "too_many_members"),
        (
            r#"{"sub":"spiffe://a.test/x","sub":"spiffe://a.test/y"}"#,
            "duplicate_member",
        ),
        (r#"{"cnf":{"jwk":{}},"cnf":{}}"#, "duplicate_member"),
        (
            r#"{"cnf":{"jwk":{"kty":"EC","kty":"RSA"}}}"#,
            "duplicate_member",
        ),
        (r#"{"sub":1e400}"#, "invalid_json"),
        (r#"{"sub":[{"a":1}]}"#, "claim_type"),
        (r#"{"sub":{"a":1}}"#, "claim_type"),
        (r#"{"sub":null}"#, "claim_type"),
        (r#"{"sub":""}"#, "claim_type"),
        (r#"{"sub":-1}"#, "claim_type"),
        (r#"{"sub":true}"#, "claim_type"),
        ("{}", "missing_claim"),
        ("[]", "json_shape"),
        ("1", "json_shape"),
        ("", "invalid_json"),
    ] {
        assert_eq!(
            verify(&raw(&k, jwt_header, payload), &home),
            expected,
            "{payload:.60}"
        );
        assert_eq!(
            verify_wit(&raw(&k, wit_header, payload), &home),
            expected,
            "{payload:.60}"
        );
    }
    let wit = raw(&k, wit_header, "{}");
    let (head, signature) = wit.rsplit_once('.').unwrap();
    for (token, expected) in [
        (head.to_owned(), "segment_count"),
        (format!("{wit}.x"), "segment_count"),
        (format!("{wit}.x.y"), "encrypted_not_signed"),
        (format!("{wit}="), "token_characters"),
        (format!("{head} .{signature}"), "token_characters"),
        (format!("{head}."), "empty_signature"),
        (
            json!({"payload": "e30", "signature": signature}).to_string(),
            "json_serialization",
        ),
    ] {
        assert_eq!(verify_wit(&token, &home), expected, "{token}");
    }
    // An escaped name or value is the same one.
    let escaped = r#"{"\u0073ub":"spiffe:\/\/a.test\/x","aud":"ledger","exp":9999999999}"#;
    assert_eq!(verify(&raw(&k, jwt_header, escaped), &home), "valid");
    let renamed = r#"{"alg":"ES256","kid":"k","\u006aku":"https://evil.test"}"#;
    assert_eq!(
        verify(&raw(&k, renamed, escaped), &home),
        "header_key_material"
    );

    // Keys that are too large, too small or off their curve never come into use.
    let rsa = |bits: usize, e: &str| {
        let n = base64url::encode(&vec![0xc1; bits / 8]);
        json!({"kty": "RSA", "kid": "r", "alg": "RS256", "n": n, "e": e})
    };
    let mut weak = vec![
        rsa(16384, "AQAB"),
        rsa(1024, "AQAB"),
        rsa(2048, "Aw"),
        rsa(2048, "AgAAAAE"),
        json!({"kty": "EC", "kid": "r", "crv": "P-256", "x": base64url::encode(&[1; 32]), "y": base64url::encode(&[1; 32])}),
    ];
    let mut mixed = key_of(Algorithm::Es384, "r").public_jwk().to_value();
    mixed["crv"] = "P-256".into();
    weak.push(mixed);
    for mut jwk in weak {
        for usage in ["jwt-svid", "wit-svid"] {
            jwk["use"] = usage.into();
            let set = document(&[jwk.clone()]);
            let bundle = set.get(&td("a.test")).unwrap();
            assert_eq!((bundle.skipped(), bundle.is_empty()), (1, true), "{jwk}");
        }
    }
    // The key decides the algorithm, and its `alg` if it has one.
    let rs256 = key_of(Algorithm::Rs256, "k");
    let ps256 = key_of(Algorithm::Ps256, "k");
    let es384 = key_of(Algorithm::Es384, "k");
    for (signer, known) in [(&ps256, &rs256), (&rs256, &k), (&k, &es384), (&k, &rs256)] {
        let token = sign(signer, "JWT", &claims());
        assert_eq!(verify(&token, &set(&[known], &[])), "algorithm_mismatch");
    }
}

/// Nothing that is printed has a part of the token in it.
///
/// Covers: JWT-SVID-A18
#[test]
fn tokens_are_not_printed() {
    let (k, other) = (key("k"), key("k"));
    let home = set(&[&k], &[&k]);
    let tamper = |token: &str| {
        let (signed, _) = token.rsplit_once('.').unwrap();
        format!("{signed}.{}", base64url::encode(&[7; 64]))
    };
    let good = sign(&k, "JWT", &claims());
    let mut expired = claims();
    expired["exp"] = 1.into();
    let foreign = sign(&other, "JWT", &claims());
    let tokens = [
        good.clone(),
        tamper(&good),
        foreign,
        sign(&k, "JWT", &expired),
        sign(&k, "wit+jwt", &claims()),
        raw(
            &k,
            r#"{"alg":"ES256","jku":"https://secret.test"}"#,
            &claims().to_string(),
        ),
        format!("{good}.x"),
        good.replace('.', "!"),
    ];
    let verifier = JwtSvidVerifier::new("ledger").unwrap();
    for token in &tokens {
        let mut texts = Vec::new();
        match verifier.verify(token, &home, at(NOW)) {
            Ok(svid) => texts.push(format!("{svid:?}")),
            Err(error) => texts.extend([format!("{error}"), format!("{error:?}")]),
        }
        if let Err(error) = wit_verifier().verify_wit(token, &home, at(NOW)) {
            texts.extend([format!("{error}"), format!("{error:?}")]);
        }
        for text in texts {
            for part in token.split(['.', '!']).filter(|part| part.len() > 8) {
                assert!(
                    !text.contains(part) && !text.contains("secret.test"),
                    "{text}"
                );
            }
        }
    }
}

/// A key without `use`, or of another one, verifies nothing, whoever put it into the bundle.
///
/// Covers: JWT-SVID-A19, JWT-SVID-6.2-1
#[test]
fn keys_of_other_uses() {
    let k = key("k");
    let entry = |usage: Value| {
        let mut jwk = k.public_jwk().to_value();
        jwk["use"] = usage;
        document(&[jwk])
    };
    let token = sign(&k, "JWT", &claims());
    assert_eq!(verify(&token, &entry(json!("jwt-svid"))), "valid");
    let stripped = document(&[k.public_jwk().to_value()]);
    assert_eq!(stripped.get(&td("a.test")).unwrap().skipped(), 1);
    assert_eq!(verify(&token, &stripped), "no_authorities");
    for usage in ["wit-svid", "x509-svid", "sig", "JWT-SVID"] {
        assert_eq!(
            verify(&token, &entry(json!(usage))),
            "no_authorities",
            "{usage}"
        );
    }
    // Even where a WIT key has got among them, its tokens do not pass.
    let wit = WitSvidIssuer::new(k.clone(), td("a.test"))
        .unwrap()
        .issue(&id(), &key("own").public_jwk(), None, at(NOW))
        .unwrap();
    assert_eq!(verify(&wit, &set(&[&k], &[])), "wrong_type");
}

/// Whatever a verifier would refuse for its form is refused where somebody can mend it: by the issuer, and by the
/// verifier of a recipient whose name no token can have.
#[test]
fn what_is_issued_can_be_verified() {
    let (k, own) = (key("k"), key("own").public_jwk());
    let home = set(&[&k], &[&k]);
    let jwt = JwtSvidIssuer::new(k.clone(), td("a.test")).unwrap();
    let wit = WitSvidIssuer::new(k, td("a.test")).unwrap();
    let (id, minute) = (id(), Duration::from_secs(60));
    for (audience, good) in [
        ("ledger", true),
        ("ledger:8080", true),
        ("https://10.0.0.1:8443", true),
        ("team payments", true),
        ("", false),
        ("10.0.0.1:8443", false),
        ("[::1]:443", false),
        ("foo_bar:8080", false),
        ("line\nbreak", false),
    ] {
        let token = jwt.issue(&id, audience, minute, at(NOW));
        let verifier = JwtSvidVerifier::new(audience);
        if good {
            let verified = verifier.unwrap().verify(&token.unwrap(), &home, at(NOW));
            assert_eq!(code(verified), "valid", "{audience}");
        } else {
            assert_eq!(code(token), "invalid_option", "{audience}");
            assert_eq!(code(verifier), "invalid_option", "{audience}");
            let second = JwtSvidRequest::new(&id, "ledger").with_other_audience(audience);
            let token = jwt.issue_request(&second, at(NOW));
            assert_eq!(code(token), "invalid_option", "{audience}");
            let several = ["ledger".to_owned(), audience.to_owned()];
            let verifier = JwtSvidVerifier::for_audiences(several);
            assert_eq!(code(verifier), "invalid_option", "{audience}");
        }
    }
    for (name, good) in [
        ("a.test", true),
        ("urn:x:y", true),
        ("", false),
        ("x y:z", false),
    ] {
        let expected = if good { "valid" } else { "invalid_option" };
        assert_eq!(code(jwt.clone().with_issuer(name)), expected, "{name}");
        assert_eq!(code(wit.clone().with_issuer(name)), expected, "{name}");
        let forced = wit.clone().with_discoverable_issuer(name);
        assert_eq!(code(forced), expected, "{name}");
        if good {
            let token = jwt.clone().with_issuer(name).unwrap();
            let token = token.issue(&id, "ledger", minute, at(NOW)).unwrap();
            assert_eq!(verify(&token, &home), "valid", "{name}");
            let token = wit.clone().with_issuer(name).unwrap();
            let token = token.issue(&id, &own, None, at(NOW)).unwrap();
            assert_eq!(verify_wit(&token, &home), "valid", "{name}");
        }
    }
    for (length, good) in [(0, false), (1, true), (256, true), (257, false)] {
        let name = "j".repeat(length);
        let request = JwtSvidRequest::new(&id, "ledger").with_id(name.clone());
        let of_jwt = jwt.issue_request(&request, at(NOW));
        let of_wit = wit.issue(&id, &own, Some(name), at(NOW));
        if good {
            assert_eq!(verify(&of_jwt.unwrap(), &home), "valid", "{length}");
            assert_eq!(verify_wit(&of_wit.unwrap(), &home), "valid", "{length}");
        } else {
            assert_eq!(code(of_jwt), "invalid_option", "{length}");
            assert_eq!(code(of_wit), "invalid_option", "{length}");
        }
    }
}

/// Covers: WIT-SVID-3.3-2, WIT-SVID-3.5-1, WIT-SVID-3.7-2, WIT-SVID-3.8-1, WIT-SVID-3.8-3, WIT-SVID-2.1-4, WIT-SVID-A2
/// Covers: WIT-SVID-1-2
#[test]
fn wit_svid_requests() {
    let issuing = SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_thumbprint_kid();
    let other = SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_thumbprint_kid();
    assert_ne!(issuing.kid(), other.kid());
    let home = set(&[], &[&issuing]);
    let thumbprint = base64url::encode(&issuing.public_key().thumbprint(&PROVIDER));
    let issuer = WitSvidIssuer::new(issuing, td("a.test")).unwrap();
    let (id, own) = (id(), key("own").public_jwk());
    let request = WitSvidRequest::new(&id, &own)
        .with_random_id(&PROVIDER)
        .unwrap()
        .with_claim("https://a.test/zone", json!({"eu": true}))
        .unwrap()
        .with_claim("zone", "eu")
        .unwrap();
    assert_eq!(request.private_names().collect::<Vec<_>>(), ["zone"]);
    let token = issuer
        .clone()
        .with_not_before(WitSvidIssuer::<SigningKey>::DEFAULT_BACKDATING)
        .unwrap()
        .issue_request(&request, at(NOW))
        .unwrap();
    let header = json!({"alg": "ES256", "kid": thumbprint, "typ": "wit+jwt"});
    assert_eq!(part(&token, 0), header);
    let said = part(&token, 1);
    assert_eq!(
        (&said["nbf"], &said["exp"]),
        (&json!(NOW - 30), &json!(NOW + 3600))
    );
    assert_eq!(
        (&said["zone"], &said["https://a.test/zone"]),
        (&json!("eu"), &json!({"eu": true}))
    );
    assert!(said.get("aud").is_none() && said.get("iss").is_none());
    let verified = wit_verifier().verify_wit(&token, &home, at(NOW)).unwrap();
    assert_eq!(verified.token_id(), said["jti"].as_str());
    assert_eq!(verified.issuer_key_id(), Some(thumbprint.as_str()));

    // The general verifier of WITs takes it, too.
    let anchors = TrustAnchors {
        keys: home
            .wit_authorities(td("a.test").as_trust_domain_ref())
            .unwrap(),
        issuers: Arc::new([]),
    };
    let anchors = std::collections::BTreeMap::from([("spiffe://a.test".to_owned(), anchors)]);
    let wit = WitVerifier::new()
        .verify(&token, &anchors, at(NOW))
        .unwrap();
    assert_eq!(wit.unproven_identifier().as_str(), ID);

    for name in ["aud", "iss", "sub", "exp", "nbf", "iat", "jti", "cnf"] {
        let request = WitSvidRequest::new(&id, &own).with_claim(name, "x");
        assert_eq!(code(request), "reserved_claim", "{name}");
    }
    for iss in ["https://idp.test", "http://idp.test", "HTTPS://idp.test"] {
        let refused = issuer.clone().with_issuer(iss);
        assert_eq!(code(refused), "discoverable_issuer", "{iss}");
    }
    let named = issuer.clone().with_issuer("spiffe://a.test").unwrap();
    let forced = issuer.clone().with_discoverable_issuer("https://idp.test");
    let forced = forced.unwrap();
    for (issuer, iss) in [(named, "spiffe://a.test"), (forced, "https://idp.test")] {
        let token = issuer.issue(&id, &own, None, at(NOW)).unwrap();
        assert_eq!(part(&token, 1)["iss"], iss);
        assert_eq!(verify_wit(&token, &home), "valid");
    }
    assert_eq!(
        code(issuer.clone().with_lifetime(Duration::ZERO)),
        "invalid_option"
    );
    assert_eq!(
        code(issuer.clone().with_lifetime(Duration::from_secs(86_401))),
        "invalid_option"
    );
    assert_eq!(
        code(issuer.with_not_before(Duration::from_secs(301))),
        "invalid_option"
    );

    let ids: HashSet<String> = (0..100_000)
        .map(|_| PROVIDER.random_id().unwrap())
        .collect();
    assert_eq!(ids.len(), 100_000);
    assert!(
        ids.iter()
            .all(|id| id.len() >= 22 && base64url::decode(id, "jti").is_ok())
    );
}

/// Every member that has to be there is missed, and none that may be there decides anything.
///
/// Covers: WIT-SVID-4-1, WIT-SVID-3.5-3, WIT-SVID-3.7-3, WIT-SVID-3.3-1
#[test]
fn wit_svid_members() {
    struct Asked<'a>(&'a BundleSet, Cell<usize>);
    impl WitBundleSource for Asked<'_> {
        fn wit_authorities(&self, name: TrustDomainRef<'_>) -> Option<Arc<KeySet>> {
            assert_eq!(name.as_str(), "a.test");
            self.1.set(self.1.get() + 1);
            self.0.wit_authorities(name)
        }
    }
    let (issuing, own) = (key("k"), key("own"));
    let home = set(&[], &[&issuing]);
    let full = json!({
        "sub": ID, "exp": NOW + 3600, "cnf": {"jwk": own.public_jwk().to_value()},
        "nbf": NOW, "iat": NOW, "jti": "one",
    });
    let headers = [
        (r#"{"typ":"wit+jwt","kid":"k"}"#, "missing_header"),
        (r#"{"alg":"ES256","kid":"k"}"#, "wrong_type"),
        (r#"{"alg":"ES256","typ":"wit+jwt"}"#, "missing_header"),
        (
            r#"{"alg":"ES256","typ":"wit+jwt","kid":""}"#,
            "missing_header",
        ),
        (
            r#"{"alg":"EdDSA","typ":"wit+jwt","kid":"k"}"#,
            "algorithm_not_allowed",
        ),
        (r#"{"alg":"ES256","typ":"wit+jwt","kid":"k"}"#, "valid"),
    ];
    for (header, expected) in headers {
        let token = raw(&issuing, header, &full.to_string());
        assert_eq!(verify_wit(&token, &home), expected, "{header}");
    }
    for name in ["sub", "exp", "cnf", "nbf", "iat", "jti"] {
        let mut less = full.clone();
        less.as_object_mut().unwrap().remove(name);
        let expected = match name {
            "sub" | "exp" | "cnf" => "missing_claim",
            _ => "valid",
        };
        assert_eq!(
            verify_wit(&sign(&issuing, "wit+jwt", &less), &home),
            expected,
            "{name}"
        );
    }
    let mut no_alg = full.clone();
    no_alg["cnf"]["jwk"].as_object_mut().unwrap().remove("alg");
    assert_eq!(
        verify_wit(&sign(&issuing, "wit+jwt", &no_alg), &home),
        "confirmation_key"
    );

    // Whatever `iss` says, the only thing that is asked is the bundle of the subject's trust domain.
    let asked = Asked(&home, Cell::new(0));
    let mut elsewhere = full.clone();
    elsewhere["iss"] = "https://evil.test/.well-known/jwks.json".into();
    assert_eq!(
        verify_wit(&sign(&issuing, "wit+jwt", &elsewhere), &asked),
        "valid"
    );
    assert_eq!(asked.1.get(), 1);

    // Without the policy any lifespan is taken, also that of our own longest token by a clock that is a second late.
    let year = NOW + 365 * 86_400;
    let claims = json!({"sub": ID, "exp": year, "cnf": full["cnf"]});
    assert_eq!(
        verify_wit(&sign(&issuing, "wit+jwt", &claims), &home),
        "valid"
    );
    let longest = WitSvidIssuer::new(issuing.clone(), td("a.test")).unwrap();
    let longest = longest.with_lifetime(Duration::from_secs(86_400)).unwrap();
    let longest = longest.issue(&id(), &own.public_jwk(), None, at(NOW + 1));
    assert_eq!(verify_wit(&longest.unwrap(), &home), "valid");

    let hour = wit_verifier().with_max_lifespan(Duration::from_secs(3600));
    let mut cases = vec![(full.clone(), "valid"), (full.clone(), "lifetime_too_long")];
    cases[1].0["exp"] = (NOW + 3601).into();
    let mut none = full;
    none.as_object_mut().unwrap().remove("nbf");
    cases.push((none, "unknown_lifespan"));
    for (claims, expected) in cases {
        let token = sign(&issuing, "wit+jwt", &claims);
        assert_eq!(code(hour.verify_wit(&token, &home, at(NOW))), expected);
        assert_eq!(verify_wit(&token, &home), "valid");
    }
}

/// A key behind a network issues the same tokens.
#[test]
fn asynchronous_signers() {
    struct Remote(SigningKey);
    impl AsyncSigner for Remote {
        fn algorithm(&self) -> Algorithm {
            self.0.algorithm()
        }

        fn kid(&self) -> Option<&str> {
            self.0.kid()
        }

        fn sign<'a>(&'a self, message: &'a [u8]) -> SignFuture<'a> {
            Box::pin(async move {
                let signature: Signature = Signer::sign(&self.0, message)?;
                Ok(signature)
            })
        }
    }
    fn now_or_never<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("nothing here waits"),
        }
    }
    let (k, own) = (key("k"), key("own"));
    let home = set(&[&k], &[&k]);
    let id = id();
    let issuer = JwtSvidIssuer::with_async_signer(Remote(k.clone()), td("a.test")).unwrap();
    let request = JwtSvidRequest::new(&id, "ledger");
    let token = now_or_never(issuer.issue_request_async(&request, at(NOW))).unwrap();
    assert_eq!(verify(&token, &home), "valid");
    let issuer = WitSvidIssuer::with_async_signer(Remote(k), td("a.test")).unwrap();
    let jwk = own.public_jwk();
    let request = WitSvidRequest::new(&id, &jwk);
    let token = now_or_never(issuer.issue_request_async(&request, at(NOW))).unwrap();
    assert_eq!(verify_wit(&token, &home), "valid");
    let nameless = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
    let refused = JwtSvidIssuer::with_async_signer(Remote(nameless), td("a.test"));
    assert_eq!(code(refused), "signing_key");
}

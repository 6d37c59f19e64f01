//! A proof is accepted only if what its text says, read again without the crate, is the request at hand.
//!
//! With `S` as its first line, the input goes on with a request target, the members of the header besides `alg` and
//! `jwk`, and the claims, all of which are signed. `@ATH@` stands for the hash of the access token. Any other input is a
//! proof of its own.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use jose_x509::dpop::{ExternalUrl, ProofTarget, Verifier};
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, MemoryReplayGuard, Signer, SigningKey, base64url};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::UnixTime;
use serde_json::Value;

/// When the examples of RFC 9449 were made.
const NOW: u64 = 1_562_262_618;
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(&provider(), Algorithm::Es256).expect("a key"));

fuzz_target!(|data: &[u8]| {
    let text = core::str::from_utf8(data).unwrap_or_default();
    let (target, proof) = match text.strip_prefix("S\n") {
        None => ("/token", data.to_vec()),
        Some(signed) => {
            let mut lines = signed.splitn(3, '\n');
            let (Some(target), Some(header), Some(claims)) =
                (lines.next(), lines.next(), lines.next())
            else {
                return;
            };
            (target, sign(header, claims).into_bytes())
        }
    };
    let server = ExternalUrl::parse("https://server.example.com").expect("a URL");
    let Ok(target) = server.target(target) else {
        return;
    };
    let jkt = KEY.public_key().thumbprint(&provider());
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let verifier = Verifier::new(&provider());
    for bound in [false, true] {
        let replay = MemoryReplayGuard::new(1);
        let mut expected = ProofTarget::new("POST", &target);
        if bound {
            expected = expected.with_access_token(TOKEN, jkt);
        }
        let Ok(accepted) = verifier.verify([&proof[..]], &expected, &replay, now) else {
            continue;
        };
        let again = verifier.verify([&proof[..]], &expected, &replay, now);
        assert_eq!(again.err().map(|error| error.code()), Some("replayed"));

        let text = core::str::from_utf8(&proof).expect("an accepted proof is text");
        assert!(text.len() <= 4096);
        let segments: Vec<_> = text.split('.').collect();
        assert_eq!(segments.len(), 3);
        let (header, claims) = (read(segments[0]), read(segments[1]));
        let mut names: Vec<_> = header.as_object().expect("an object").keys().collect();
        names.sort();
        assert_eq!(names, ["alg", "jwk", "typ"]);
        let typ = header["typ"].as_str().expect("text").to_ascii_lowercase();
        assert!(typ == "dpop+jwt" || typ == "application/dpop+jwt");
        let alg = header["alg"].as_str().expect("text");
        assert!(["ES256", "ES384", "Ed25519", "EdDSA"].contains(&alg));
        for private in ["d", "k", "p", "q"] {
            assert!(header["jwk"].get(private).is_none());
        }
        assert_eq!(claims["htm"], "POST");
        let jti = claims["jti"].as_str().expect("text");
        assert!((1..=256).contains(&jti.len()) && jti == accepted.id());
        let iat = claims["iat"].as_f64().expect("a number").floor();
        assert!((NOW as f64 - 60.0..=NOW as f64 + 10.0).contains(&iat));
        // What a browser makes of `htu` is the target, once its unreserved characters are decoded.
        let htu = claims["htu"].as_str().expect("text");
        let url = url::Url::parse(htu).expect("an accepted URI is a URL");
        assert_eq!(
            url.origin().ascii_serialization(),
            "https://server.example.com"
        );
        assert!(url.username().is_empty() && url.password().is_none());
        assert_eq!(decoded(url.path()), decoded(target.path()));
        if bound {
            assert_eq!(claims["ath"], hash(TOKEN));
            assert_eq!(accepted.jkt(), jkt);
        }
    }
});

fn sign(header: &str, claims: &str) -> String {
    let jwk = KEY.public_jwk().key().clone();
    let jwk = jose_x509::Jwk::new(jwk).to_value();
    let header = format!(r#"{{"alg":"ES256","jwk":{jwk}{header}}}"#);
    let claims = claims.replace("@ATH@", &hash(TOKEN));
    let encode = |text: &str| base64url::encode(text.as_bytes());
    let input = format!("{}.{}", encode(&header), encode(&claims));
    let signature = KEY.sign(input.as_bytes()).expect("a signature");
    format!("{input}.{}", base64url::encode(signature.as_ref()))
}

fn hash(text: &str) -> String {
    base64url::encode(&provider().sha256(text.as_bytes()))
}

fn read(segment: &str) -> Value {
    let json = base64url::decode(segment, "segment").expect("base64url");
    serde_json::from_slice(&json).expect("JSON")
}

/// The path with every percent-encoding in one form: decoded if unreserved, else in upper case.
fn decoded(path: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let byte = u8::from_str_radix(&rest[at + 1..at + 3], 16).expect("two digits");
        let plain = char::from(byte);
        if plain.is_ascii_alphanumeric() || "-._~".contains(plain) {
            out.push(plain);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        rest = &rest[at + 3..];
    }
    out + rest
}

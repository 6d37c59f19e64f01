//! Encrypted SETs: what a transmitter encrypts, what a receiver takes, and what it tells of the rest.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code
)]

use jose_x509::jwe::{
    self, ContentEncryption, Decrypter, DecryptionKey, KeyManagement, KeyType, ProtectedHeader,
};
use jose_x509::{MemoryReplayGuard, base64url, jws, jwt};
use serde_json::{Value, json};
use ssf_set::caep::{Common, SessionRevoked};
use ssf_set::{
    Encryption, Error, SetErrorCode, SetIssuer, SetRequest, SetVerifier, SubjectIdentifier,
};

mod common;
use common::{AUDIENCE, ISSUER, NOW, PROVIDER, at, changed, claims, code, key, sign, verifier};

fn recipient(kid: &str) -> DecryptionKey {
    DecryptionKey::generate(KeyManagement::EcdhEsA256Kw, KeyType::X25519)
        .unwrap()
        .with_kid(kid)
}

fn receiving(verifier: SetVerifier, key: &DecryptionKey) -> SetVerifier {
    verifier.with_decryption(Decrypter::new(key.clone()), Encryption::Optional)
}

fn seal(key: &DecryptionKey, signed: &str) -> String {
    let header = ProtectedHeader::new().with_cty("JWT");
    seal_with(key, &header, signed)
}

fn seal_with(key: &DecryptionKey, header: &ProtectedHeader, plaintext: &str) -> String {
    let content = ContentEncryption::A256Gcm;
    jwe::encrypt(key.encryption_key(), content, header, plaintext.as_bytes()).unwrap()
}

fn revoked(audience: &str) -> SetRequest {
    SetRequest::new(
        audience,
        SubjectIdentifier::uri("spiffe://example.org/agent").unwrap(),
        SessionRevoked::new(Common::at(NOW)),
    )
}

/// Covers: SET-2.4-3, SET-5.1-4, SET-PUSH-5.3-2
#[test]
fn what_a_transmitter_encrypts_only_its_receiver_reads() {
    for (algorithm, kind) in [
        (KeyManagement::EcdhEs, KeyType::P256),
        (KeyManagement::EcdhEsA256Kw, KeyType::X25519),
        (KeyManagement::RsaOaep256, KeyType::Rsa),
    ] {
        for content in ContentEncryption::ALL {
            let recipient = DecryptionKey::generate(algorithm, kind)
                .unwrap()
                .with_kid("enc-1");
            let signer = key("a");
            let verifier = verifier(&signer);
            let issuer = SetIssuer::new(signer, PROVIDER, ISSUER)
                .unwrap()
                .with_recipient([AUDIENCE], recipient.encryption_key().clone(), content);
            let set = issuer.issue(&revoked(AUDIENCE), at(NOW)).unwrap();
            assert_eq!(set.compact.matches('.').count(), 4);
            let header = set.compact.split('.').next().unwrap();
            let header: Value =
                serde_json::from_slice(&base64url::decode(header, "header").unwrap()).unwrap();
            assert_eq!(header["typ"], "secevent+jwt");
            assert_eq!(header["cty"], "JWT");
            assert_eq!(header["kid"], "enc-1");

            let read = receiving(verifier.clone(), &recipient)
                .verify(&set.compact, at(NOW))
                .unwrap();
            assert_eq!((read.issuer(), read.id()), (ISSUER, set.id.as_str()));

            let error = verifier.verify(&set.compact, at(NOW)).unwrap_err();
            assert_eq!(error.code(), "encrypted_not_signed");
            assert_eq!(error.set_error_code(), Some(SetErrorCode::InvalidKey));

            // SETs for others are not encrypted.
            let other = issuer
                .issue(&revoked("https://other.example"), at(NOW))
                .unwrap();
            assert_eq!(other.compact.matches('.').count(), 2);
        }
    }
}

/// Covers: SET-5.1-4
#[test]
fn one_key_serves_all_audiences_of_an_encrypted_set() {
    let (ours, theirs) = (recipient("ours"), recipient("theirs"));
    let alias = "https://gateway-2.example.org";
    let issuer = SetIssuer::new(key("a"), PROVIDER, ISSUER)
        .unwrap()
        .with_recipient(
            [AUDIENCE, alias],
            ours.encryption_key().clone(),
            ContentEncryption::A128Gcm,
        )
        .with_recipient(
            ["https://theirs.example"],
            theirs.encryption_key().clone(),
            ContentEncryption::A128Gcm,
        );
    let issue = |audiences: &[&str]| {
        let (first, rest) = audiences.split_first().unwrap();
        let request = rest.iter().fold(revoked(first), |request, audience| {
            request.with_audience(*audience)
        });
        issuer.issue(&request, at(NOW)).map(|set| set.compact)
    };
    assert_eq!(issue(&[AUDIENCE, alias]).unwrap().matches('.').count(), 4);
    for audiences in [
        [AUDIENCE, "https://theirs.example"],
        [AUDIENCE, "https://nobody.example"],
        ["https://nobody.example", AUDIENCE],
    ] {
        assert_eq!(issue(&audiences).unwrap_err(), Error::SeveralRecipients);
    }
    let plain = issue(&["https://nobody.example", "https://none.example"]).unwrap();
    assert_eq!(plain.matches('.').count(), 2);
}

/// Covers: SET-2.4-2, SET-2.4-3
#[test]
fn what_is_inside_is_verified_like_any_other_set() {
    let (signer, recipient) = (key("a"), recipient("r"));
    let verifier = receiving(verifier(&signer), &recipient);
    let verify = |token: &str| verifier.verify(token, at(NOW));
    let good = sign(&signer, &claims());
    assert_eq!(code(verify(&good)), "valid");
    assert_eq!(code(verify(&seal(&recipient, &good))), "valid");

    let unsigned = |header: Value| {
        let encode = |value: &Value| base64url::encode(value.to_string().as_bytes());
        format!("{}.{}.AAAA", encode(&header), encode(&claims()))
    };
    let other_type = jwt::sign(&signer, &jws::ProtectedHeader::new("at+jwt"), &claims()).unwrap();
    for (inside, expected) in [
        (sign(&key("a"), &claims()), "invalid_signature"),
        (sign(&key("b"), &claims()), "unknown_key"),
        (
            unsigned(json!({"alg": "none", "typ": "secevent+jwt"})),
            "unsupported_algorithm",
        ),
        (claims().to_string(), "json_serialization"),
        (other_type, "wrong_type"),
        (seal(&recipient, &good), "encrypted_not_signed"),
        (
            sign(&signer, &changed(&json!({"aud": "https://other.example"}))),
            "audience_mismatch",
        ),
        (
            sign(&signer, &changed(&json!({"iss": "https://other.example"}))),
            "issuer_mismatch",
        ),
        (
            sign(&signer, &changed(&json!({"sub": "u"}))),
            "forbidden_claim",
        ),
        (String::new(), "segment_count"),
    ] {
        assert_eq!(code(verify(&seal(&recipient, &inside))), expected);
    }

    // Claims that are encrypted and not signed are nobody's.
    let bare = seal_with(&recipient, &ProtectedHeader::new(), &claims().to_string());
    let error = verify(&bare).unwrap_err();
    assert_eq!(error.code(), "not_nested_jwt");
    assert_eq!(error.set_error_code(), Some(SetErrorCode::InvalidRequest));

    // What the header repeats is what was signed.
    for (name, value, expected) in [
        ("iss", json!(ISSUER), "valid"),
        (
            "iss",
            json!("https://other.example"),
            "replicated_claim_mismatch",
        ),
        ("aud", json!([AUDIENCE]), "replicated_claim_mismatch"),
        ("sub", json!("u"), "replicated_claim_mismatch"),
    ] {
        let header = ProtectedHeader::new().with_cty("JWT");
        let header = header.with_parameter(name, value).unwrap();
        assert_eq!(
            code(verify(&seal_with(&recipient, &header, &good))),
            expected
        );
    }
}

/// Covers: SET-PUSH-2.4-2
#[test]
fn a_key_that_does_not_fit_is_told_as_invalid_key() {
    let (signer, ours) = (key("a"), recipient("ours"));
    let verifier = receiving(verifier(&signer), &ours);
    let good = sign(&signer, &claims());
    let sealed = seal(&ours, &good);
    let (start, tag) = sealed.rsplit_once('.').unwrap();
    let flipped = if tag.starts_with('A') { "B" } else { "A" };
    let other_kind = DecryptionKey::generate(KeyManagement::EcdhEs, KeyType::P256)
        .unwrap()
        .with_kid("ours");
    for (token, expected) in [
        (
            format!("{start}.{}", tag.replacen(|_: char| true, flipped, 1)),
            "decryption_failed",
        ),
        (seal(&recipient("ours"), &good), "decryption_failed"),
        (seal(&recipient("theirs"), &good), "unknown_recipient_key"),
        (seal(&other_kind, &good), "jwe_key_mismatch"),
    ] {
        let error = verifier.verify(&token, at(NOW)).unwrap_err();
        assert_eq!(error.code(), expected);
        assert_eq!(
            error.set_error_code(),
            Some(SetErrorCode::InvalidKey),
            "{expected}"
        );
        // The issuer's keys have nothing to do with it.
        assert!(
            !error.refresh_may_help() && !error.retryable(),
            "{expected}"
        );
    }
    let narrow = self::verifier(&signer).with_decryption(
        Decrypter::new(ours).with_content_encryptions(&[ContentEncryption::A128Gcm]),
        Encryption::Optional,
    );
    assert_eq!(
        code(narrow.verify(&sealed, at(NOW))),
        "content_encryption_not_allowed"
    );
}

/// Covers: SET-5.1-4
#[test]
fn a_receiver_can_demand_encryption() {
    let (signer, recipient) = (key("a"), recipient("r"));
    let decrypter = Decrypter::new(recipient.clone());
    let verifier = verifier(&signer).with_decryption(decrypter, Encryption::Required);
    let good = sign(&signer, &claims());
    assert_eq!(
        code(verifier.verify(&seal(&recipient, &good), at(NOW))),
        "valid"
    );
    for token in [good.as_str(), "", "a.b.c.d.e.f"] {
        let error = verifier.verify(token, at(NOW)).unwrap_err();
        assert_eq!(error.code(), "not_encrypted");
        assert_eq!(error.set_error_code(), Some(SetErrorCode::InvalidRequest));
    }
}

/// A SET is the same in every envelope.
///
/// Covers: SET-2.2-5
#[test]
fn encrypting_again_makes_no_new_set() {
    let (signer, recipient) = (key("a"), recipient("r"));
    let verifier = receiving(verifier(&signer), &recipient);
    let good = sign(&signer, &claims());
    let guard = MemoryReplayGuard::new(100);
    let first = verifier.verify_once(&seal(&recipient, &good), &guard, at(NOW));
    assert_eq!(code(first), "valid");
    for token in [seal(&recipient, &good), good] {
        let error = verifier.verify_once(&token, &guard, at(NOW)).unwrap_err();
        assert!(error.is_replay());
    }
}

/// Covers: SET-A10
#[test]
fn what_is_too_long_is_refused_unread() {
    let (signer, recipient) = (key("a"), recipient("r"));
    let verifier = receiving(verifier(&signer), &recipient);
    let sealed = seal(&recipient, &sign(&signer, &claims()));
    let (head, rest) = sealed.split_once('.').unwrap();
    let long = format!("{head}.{}{rest}", "A".repeat(10_000_000));
    assert_eq!(code(verifier.verify(&long, at(NOW))), "too_large");
    let issuer = SetIssuer::new(signer, PROVIDER, ISSUER)
        .unwrap()
        .with_recipient(
            [AUDIENCE],
            recipient.encryption_key().clone(),
            ContentEncryption::A256Gcm,
        );
    let padded = revoked(AUDIENCE)
        .with_claim("padding", "x".repeat(60_000))
        .unwrap();
    let error = issuer.issue(&padded, at(NOW)).unwrap_err();
    assert_eq!(error.code(), "too_large");
}

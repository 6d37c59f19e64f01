//! Encrypted tokens against josekit: what we accept it accepts, with the same plaintext, and our rules hold.
//!
//! The input is a token in text, or, after a zero octet, a header: content for a shared key is then encrypted
//! under it, so that the differences lie in the header.
#![no_main]

use std::sync::LazyLock;

use jose_x509::base64url;
use jose_x509::jwe::{
    ContentEncryption, Decrypter, DecryptionKey, KeyManagement, KeyType, SymmetricDecryptionKey,
    SymmetricKeyManagement,
};
use josekit::jwe::alg::direct::DirectJweDecrypter;
use josekit::jwe::enc::A128GCM;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const KEY: [u8; 16] = [7; 16];
const PLAINTEXT: &[u8] = b"plaintext";

struct Setup {
    decrypter: Decrypter,
    josekit: DirectJweDecrypter,
    agreement: Decrypter,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let algorithm = SymmetricKeyManagement::Dir(ContentEncryption::A128Gcm);
    let key = SymmetricDecryptionKey::from_bytes(algorithm, &KEY).expect("a key");
    let agreement = DecryptionKey::generate(KeyManagement::EcdhEs, KeyType::P256).expect("a key");
    Setup {
        decrypter: Decrypter::new(key),
        josekit: josekit::jwe::Dir.decrypter_from_bytes(KEY).expect("a key"),
        agreement: Decrypter::new(agreement),
    }
});

fuzz_target!(|data: &[u8]| {
    let setup = &*SETUP;
    let Some((0, header)) = data.split_first() else {
        if let Ok(token) = std::str::from_utf8(data) {
            let _ = setup.decrypter.decrypt(token);
            assert!(
                setup.agreement.decrypt(token).is_err(),
                "nobody knows this key"
            );
        }
        return;
    };
    let encoded = base64url::encode(header);
    let iv = [1; 12];
    let (ciphertext, tag) = josekit::jwe::JweContentEncryption::encrypt(
        &A128GCM,
        &KEY,
        Some(&iv),
        PLAINTEXT,
        encoded.as_bytes(),
    )
    .expect("a ciphertext");
    let [iv, ciphertext, tag] = [&iv[..], &ciphertext, &tag.expect("a tag")].map(base64url::encode);
    let token = format!("{encoded}..{iv}.{ciphertext}.{tag}");
    assert!(
        setup.agreement.decrypt(&token).is_err(),
        "nobody knows this key"
    );
    let Ok(ours) = setup.decrypter.decrypt(&token) else {
        return;
    };
    assert_eq!(ours.unauthenticated_bytes(), PLAINTEXT);
    let members: Value = serde_json::from_slice(header).expect("an accepted header is JSON");
    assert_eq!(members["alg"], "dir");
    assert_eq!(members["enc"], "A128GCM");
    for refused in ["zip", "crit", "b64", "jku", "x5u", "jwk", "x5c"] {
        assert!(members.get(refused).is_none(), "{refused}");
    }
    assert_eq!(ours.content_type(), members["cty"].as_str());
    assert_eq!(ours.typ(), members["typ"].as_str());
    let (theirs, _) = josekit::jwe::deserialize_compact(&token, &setup.josekit)
        .expect("accepted by josekit, too");
    assert_eq!(theirs, PLAINTEXT);
});

//! Encrypted tokens.

use anyhow::{Context as _, Result};
use jose_x509::jwe::{
    ContentEncryption, Decrypter, DecryptionKey, EncryptionKey, KeyManagement, KeyType,
    ProtectedHeader, encrypt,
};
use serde_json::{Value, json};

use super::Context;
use super::jws::judge;
use super::peers::Peer;
use super::report::{Direction, Report, Tally};
use super::tokens::{PAYLOAD, answers, flip, text, unsupported, with_alg};

/// One kind of token: the whole matrix would tell nothing more than its rows and columns.
struct Case {
    algorithm: KeyManagement,
    kind: KeyType,
    name: &'static str,
    content: ContentEncryption,
}

const CASES: &[Case] = {
    use ContentEncryption as C;
    use KeyManagement as A;
    const fn case(
        algorithm: KeyManagement,
        kind: KeyType,
        name: &'static str,
        content: ContentEncryption,
    ) -> Case {
        Case {
            algorithm,
            kind,
            name,
            content,
        }
    }
    &[
        case(A::EcdhEs, KeyType::P256, "P-256", C::A128Gcm),
        case(A::EcdhEs, KeyType::P256, "P-256", C::A256Gcm),
        case(A::EcdhEs, KeyType::P256, "P-256", C::A128CbcHs256),
        case(A::EcdhEs, KeyType::P256, "P-256", C::A256CbcHs512),
        case(A::EcdhEs, KeyType::P384, "P-384", C::A256Gcm),
        case(A::EcdhEs, KeyType::X25519, "X25519", C::A256CbcHs512),
        case(A::EcdhEsA128Kw, KeyType::P256, "P-256", C::A128Gcm),
        case(A::EcdhEsA128Kw, KeyType::X25519, "X25519", C::A128CbcHs256),
        case(A::EcdhEsA256Kw, KeyType::P384, "P-384", C::A256CbcHs512),
        case(A::EcdhEsA256Kw, KeyType::X25519, "X25519", C::A256Gcm),
        case(A::RsaOaep256, KeyType::Rsa, "RSA", C::A256Gcm),
        case(A::RsaOaep256, KeyType::Rsa, "RSA", C::A128CbcHs256),
    ]
};

pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    let own: Vec<DecryptionKey> = CASES
        .iter()
        .map(|case| DecryptionKey::generate(case.algorithm, case.kind))
        .collect::<Result<_, _>>()?;
    // The Python package `cryptography` has no JWE.
    for peer in context
        .peers
        .iter()
        .filter(|peer| peer.name != "cryptography")
    {
        exchange(peer, &own, report)?;
    }
    Ok(())
}

fn exchange(peer: &Peer, own: &[DecryptionKey], report: &mut Report) -> Result<()> {
    let jobs: Vec<Value> = CASES
        .iter()
        .zip(own)
        .map(|(case, key)| {
            json!({
                "alg": case.algorithm.name(),
                "enc": case.content.name(),
                "kind": case.name,
                "jwk": bare(&key.encryption_key().to_jwk().into()),
                "payload": PAYLOAD,
            })
        })
        .collect();
    let made = peer.make(&json!({"jwe": jobs}))?;
    let mut ours = Vec::new();
    for ((case, key), made) in CASES
        .iter()
        .zip(own)
        .zip(answers(&made, "jwe", jobs.len())?)
    {
        let subject = subject(case);
        if let Some(why) = unsupported(made) {
            report.not_there(&subject, peer.name, why);
            continue;
        }
        report.exchange(&subject, peer.name, Direction::Theirs, |tally| {
            decrypt_theirs(key, made, tally)
        });
        match encrypt_to_theirs(case, made) {
            Ok(job) => ours.push((subject, job)),
            Err(error) => report.exchange(&subject, peer.name, Direction::Ours, |_| Err(error)),
        }
    }
    let jobs: Vec<&Value> = ours.iter().map(|(_, job)| job).collect();
    let verdicts = peer.check(&json!({"jwe": jobs}))?;
    for ((subject, _), verdicts) in ours.iter().zip(answers(&verdicts, "jwe", jobs.len())?) {
        report.exchange(subject, peer.name, Direction::Ours, |tally| {
            judge(verdicts, tally)
        });
    }
    Ok(())
}

fn subject(case: &Case) -> String {
    let (alg, enc) = (case.algorithm.name(), case.content.name());
    format!("JWE {alg} {enc} {}", case.name)
}

/// The key without the members that say what it is for: peers differ in which of them they take.
pub(crate) fn bare(jwk: &Value) -> Value {
    let mut jwk = jwk.clone();
    if let Some(members) = jwk.as_object_mut() {
        members.retain(|name, _| !matches!(name.as_str(), "use" | "alg" | "key_ops" | "kid"));
    }
    jwk
}

fn decrypt_theirs(key: &DecryptionKey, made: &Value, tally: &mut Tally) -> Result<()> {
    let decrypter = Decrypter::new(key.clone());
    let decrypt = |token: &str| -> Result<Vec<u8>> {
        Ok(decrypter.decrypt(token)?.unauthenticated_bytes().to_vec())
    };
    let token = text(made, "token")?;
    tally.accepts("token", decrypt(token), &PAYLOAD.as_bytes().to_vec())?;
    for (what, token) in tampered(token)? {
        tally.refuses(&what, &decrypt(&token))?;
    }
    let algorithm = key.encryption_key().algorithm();
    let stranger = Decrypter::new(DecryptionKey::generate(
        algorithm,
        key.encryption_key().key_type(),
    )?);
    tally.refuses("another key", &stranger.decrypt(token))
}

fn encrypt_to_theirs(case: &Case, made: &Value) -> Result<Value> {
    let jwk = bare(made.get("jwk").context("no jwk")?).to_string();
    let key = EncryptionKey::from_jwk_slice(case.algorithm, jwk.as_bytes())?;
    let private = bare(made.get("private_jwk").context("no private_jwk")?);
    // Their private key is read here as well.
    DecryptionKey::from_jwk_slice(case.algorithm, private.to_string().as_bytes())?;
    let header = ProtectedHeader::new();
    let token = encrypt(&key, case.content, &header, PAYLOAD.as_bytes())?;
    let mut tokens = vec![token.clone()];
    tokens.extend(tampered(&token)?.into_iter().map(|(_, token)| token));
    Ok(json!({
        "alg": case.algorithm.name(),
        "enc": case.content.name(),
        "private_jwk": private,
        "tokens": tokens,
    }))
}

/// The token with a change in each part, and under names of other algorithms.
fn tampered(token: &str) -> Result<Vec<(String, String)>> {
    let mut list = vec![
        ("changed vector".to_owned(), flip(token, 2)?),
        ("changed ciphertext".to_owned(), flip(token, 3)?),
        ("changed tag".to_owned(), flip(token, 4)?),
        ("RSA1_5".to_owned(), with_alg(token, "RSA1_5")?),
        ("dir".to_owned(), with_alg(token, "dir")?),
    ];
    if !token.contains("..") {
        list.push(("changed key".to_owned(), flip(token, 1)?));
    }
    Ok(list)
}

//! Signed tokens, and the keys for them as JWK, SPKI, PKCS#8 and SEC1.

use anyhow::{Context as _, Result, bail};
use jose_x509::jws::{self, ProtectedHeader, UnverifiedJws};
use jose_x509::provider::ring;
use jose_x509::{
    Algorithm, Algorithms, CryptoProvider, Jwk, PublicKey, SigningKey, VerifyingKey, base64url,
};
use serde_json::{Value, json};

use super::Context;
use super::peers::Peer;
use super::report::{Direction, Report, Tally};
use super::tokens::{PAYLOAD, answers, flip, text, unsupported, verdict, with_alg};

const PROVIDER: CryptoProvider = ring::provider();

pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    for peer in &context.peers {
        exchange(peer, report)?;
    }
    Ok(())
}

fn exchange(peer: &Peer, report: &mut Report) -> Result<()> {
    let jobs: Vec<Value> = Algorithm::ALL
        .iter()
        .map(|algorithm| json!({"alg": algorithm.name(), "payload": PAYLOAD}))
        .collect();
    let made = peer.make(&json!({"jws": jobs}))?;
    let mut ours = Vec::new();
    for (algorithm, made) in Algorithm::ALL
        .into_iter()
        .zip(answers(&made, "jws", jobs.len())?)
    {
        let subject = format!("JWS {algorithm}");
        if let Some(why) = unsupported(made) {
            report.not_there(&subject, peer.name, why);
            continue;
        }
        report.exchange(&subject, peer.name, Direction::Theirs, |tally| {
            verify_theirs(algorithm, made, tally)
        });
        match sign_with_theirs(algorithm, made) {
            Ok(job) => ours.push((algorithm, job)),
            Err(error) => report.exchange(&subject, peer.name, Direction::Ours, |_| Err(error)),
        }
    }
    let jobs: Vec<&Value> = ours.iter().map(|(_, job)| job).collect();
    let verdicts = peer.check(&json!({"jws": jobs}))?;
    for ((algorithm, _), verdicts) in ours.iter().zip(answers(&verdicts, "jws", jobs.len())?) {
        let subject = format!("JWS {algorithm}");
        report.exchange(&subject, peer.name, Direction::Ours, |tally| {
            judge(verdicts, tally)
        });
    }
    Ok(())
}

/// Their token under their key, in each form of the key, and the same token tampered with.
fn verify_theirs(algorithm: Algorithm, made: &Value, tally: &mut Tally) -> Result<()> {
    let token = text(made, "token")?;
    let jwk = made.get("jwk").context("no jwk")?.to_string();
    let jwk = Jwk::from_slice(jwk.as_bytes())?.with_algorithm(algorithm)?;
    let key = VerifyingKey::from_jwk(&PROVIDER, jwk.clone())?;
    tally.accepts("token", verify(token, &key), &PAYLOAD.as_bytes().to_vec())?;
    let thumbprint = base64url::encode(&jwk.thumbprint(&PROVIDER));
    if text(made, "thumbprint")? != thumbprint {
        bail!("the thumbprints differ");
    }

    let spki = PublicKey::from_spki_pem(text(made, "spki_pem")?);
    tally.accepts("SPKI in PEM", spki, jwk.key())?;
    let spki = PublicKey::from_spki_der(&jwk.key().to_spki_der()?);
    tally.accepts("SPKI in DER", spki, jwk.key())?;
    let pkcs8 = SigningKey::from_pkcs8_pem(&PROVIDER, algorithm, text(made, "pkcs8_pem")?);
    let public = pkcs8.map(|key| key.public_key().clone());
    tally.accepts("PKCS#8 in PEM", public, jwk.key())?;
    if let Ok(sec1) = text(made, "sec1_pem") {
        let public = SigningKey::from_sec1_pem(&PROVIDER, sec1).map(|key| key.public_key().clone());
        tally.accepts("SEC1 in PEM", public, jwk.key())?;
        let key = SigningKey::from_pkcs8_pem(&PROVIDER, algorithm, sec1);
        tally.refuses("a SEC1 key as PKCS#8", &key)?;
    }

    for (what, token) in tampered(token, algorithm)? {
        tally.refuses(&what, &verify(&token, &key))?;
    }
    let stranger = SigningKey::generate(&PROVIDER, Algorithm::Es256)?.verifying_key()?;
    tally.refuses("another key", &verify(token, &stranger))
}

/// Our token with their private key, which is how RSA keys come here.
fn sign_with_theirs(algorithm: Algorithm, made: &Value) -> Result<Value> {
    let key = SigningKey::from_pkcs8_pem(&PROVIDER, algorithm, text(made, "pkcs8_pem")?)?;
    let header = ProtectedHeader::without_typ();
    let token = jws::sign(&key, &header, PAYLOAD.as_bytes())?;
    let mut tokens = vec![token.clone()];
    tokens.extend(
        tampered(&token, algorithm)?
            .into_iter()
            .map(|(_, token)| token),
    );
    let jwk = Jwk::new(key.public_key().clone());
    Ok(json!({"alg": algorithm.name(), "jwk": jwk, "tokens": tokens}))
}

/// The first token is good and the others are not.
pub(crate) fn judge(verdicts: &Value, tally: &mut Tally) -> Result<()> {
    let verdicts = verdicts.as_array().context("no verdicts")?;
    let (good, bad) = verdicts.split_first().context("no verdict")?;
    if let Some(why) = unsupported(good) {
        bail!("the peer made such tokens and does not check them: {why}");
    }
    tally.accepts(
        "token",
        verdict(good).map_err(anyhow::Error::msg),
        &PAYLOAD.to_owned(),
    )?;
    for (index, answer) in bad.iter().enumerate() {
        let answer = verdict(answer);
        tally.refuses(&format!("tampered token {}", index + 1), &answer)?;
    }
    Ok(())
}

fn verify(token: &str, key: &VerifyingKey) -> Result<Vec<u8>> {
    let verified = UnverifiedJws::parse(token)?.verify(key, Algorithms::ALL)?;
    Ok(verified.payload().to_vec())
}

/// The token with a change in each part, and under names of other algorithms.
pub(crate) fn tampered(token: &str, algorithm: Algorithm) -> Result<Vec<(String, String)>> {
    let (input, _) = token.rsplit_once('.').context("no signature")?;
    let mut list = vec![
        ("changed payload".to_owned(), flip(token, 1)?),
        ("changed signature".to_owned(), flip(token, 2)?),
        ("no signature".to_owned(), format!("{input}.")),
        ("none".to_owned(), with_alg(&format!("{input}."), "none")?),
        ("HS256".to_owned(), with_alg(token, "HS256")?),
    ];
    for other in Algorithm::ALL {
        if !other.is_same_operation(algorithm) {
            list.push((format!("under {other}"), with_alg(token, other.name())?));
        }
    }
    Ok(list)
}

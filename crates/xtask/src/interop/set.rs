//! Encrypted Security Event Tokens.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jose_x509::jwe::{
    ContentEncryption, Decrypter, DecryptionKey, EncryptionKey, KeyManagement, KeyType,
};
use jose_x509::provider::ring;
use jose_x509::{Algorithm, KeySet, SigningKey};
use pki_types::UnixTime;
use serde_json::{Value, json};
use ssf_set::caep::{Common, SessionRevoked};
use ssf_set::{Encryption, SetIssuer, SetRequest, SetVerifier, SubjectIdentifier};

use super::Context;
use super::jwe::bare;
use super::peers::Peer;
use super::report::{Direction, Report, Tally};
use super::tokens::{answers, flip, text, verdict};

const ISSUER: &str = "https://signals.interop.example";
const AUDIENCE: &str = "https://receiver.interop.example";
const NOW: u64 = 1_800_000_000;
const ALGORITHM: KeyManagement = KeyManagement::EcdhEsA256Kw;
const CONTENT: ContentEncryption = ContentEncryption::A256Gcm;

pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    // The Python package `cryptography` has no JWE.
    for peer in context
        .peers
        .iter()
        .filter(|peer| peer.name != "cryptography")
    {
        exchange(peer, report)?;
    }
    Ok(())
}

/// Both parties of an exchange, of which the peer plays one.
struct Parties {
    signer: SigningKey,
    receiver: DecryptionKey,
    verifier: SetVerifier,
}

impl Parties {
    fn new() -> Result<Self> {
        let signer = SigningKey::generate(&ring::provider(), Algorithm::Es256)?.with_kid("s");
        let keys = Arc::new(KeySet::new(vec![signer.verifying_key()?])?);
        Ok(Self {
            verifier: SetVerifier::ssf(ISSUER, keys, [AUDIENCE])?,
            receiver: DecryptionKey::generate(ALGORITHM, KeyType::P256)?,
            signer,
        })
    }

    fn issuer(&self) -> Result<SetIssuer<SigningKey>> {
        Ok(SetIssuer::new(
            self.signer.clone(),
            ring::provider(),
            ISSUER,
        )?)
    }

    fn verify(&self, verifier: &SetVerifier, set: &str) -> Result<String> {
        Ok(verifier.verify(set, now())?.id().to_owned())
    }
}

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(NOW))
}

fn request() -> Result<SetRequest> {
    Ok(SetRequest::new(
        AUDIENCE,
        SubjectIdentifier::uri("spiffe://interop.example/agent")?,
        SessionRevoked::new(Common::at(NOW)),
    ))
}

/// The peer encrypts a SET of ours to us, as an intermediary would.
fn exchange(peer: &Peer, report: &mut Report) -> Result<()> {
    let parties = Parties::new()?;
    let set = parties.issuer()?.issue(&request()?, now())?;
    let job = |header: Value| {
        json!({
            "alg": ALGORITHM.name(),
            "enc": CONTENT.name(),
            "kind": "P-256",
            "jwk": bare(&parties.receiver.encryption_key().to_jwk().into()),
            "payload": set.compact,
            "header": header,
        })
    };
    let nested = json!({"typ": "secevent+jwt", "cty": "JWT"});
    let jobs = [job(nested), job(json!({"typ": "secevent+jwt"}))];
    let made = peer.make(&json!({"jwe": jobs}))?;
    let [nested, bare] = answers(&made, "jwe", jobs.len())? else {
        anyhow::bail!("not one answer for each job");
    };
    report.exchange("encrypted SET", peer.name, Direction::Theirs, |tally| {
        read_theirs(&parties, text(nested, "token")?, &set.id, tally)?;
        let without = decrypting(&parties).verify(text(bare, "token")?, now());
        tally.refuses("a token without `cty`", &without)
    });
    report.exchange("encrypted SET", peer.name, Direction::Ours, |tally| {
        give_ours(&parties, peer, nested, tally)
    });
    Ok(())
}

fn decrypting(parties: &Parties) -> SetVerifier {
    let decrypter = Decrypter::new(parties.receiver.clone());
    let verifier = parties.verifier.clone();
    verifier.with_decryption(decrypter, Encryption::Required)
}

fn read_theirs(parties: &Parties, token: &str, id: &str, tally: &mut Tally) -> Result<()> {
    let verifier = decrypting(parties);
    tally.accepts("token", parties.verify(&verifier, token), &id.to_owned())?;
    for segment in 1..5 {
        let changed = flip(token, segment)?;
        tally.refuses("changed token", &verifier.verify(&changed, now()))?;
    }
    tally.refuses("no key", &parties.verifier.verify(token, now()))
}

/// What the peer decrypts is the signed SET.
fn give_ours(parties: &Parties, peer: &Peer, made: &Value, tally: &mut Tally) -> Result<()> {
    let jwk = bare(made.get("jwk").context("no jwk")?).to_string();
    let key = EncryptionKey::from_jwk_slice(ALGORITHM, jwk.as_bytes())?;
    let issuer = parties.issuer()?.with_recipient([AUDIENCE], key, CONTENT);
    let set = issuer.issue(&request()?, now())?;
    let changed = flip(&set.compact, 3)?;
    let job = json!({
        "alg": ALGORITHM.name(),
        "enc": CONTENT.name(),
        "private_jwk": bare(made.get("private_jwk").context("no private_jwk")?),
        "tokens": [set.compact, changed],
    });
    let verdicts = peer.check(&json!({"jwe": [job]}))?;
    let verdicts = answers(&verdicts, "jwe", 1)?;
    let [good, bad] = verdicts
        .first()
        .and_then(Value::as_array)
        .context("no verdicts")?
        .as_slice()
    else {
        anyhow::bail!("not one verdict for each token");
    };
    let read = verdict(good)
        .map_err(anyhow::Error::msg)
        .and_then(|signed| parties.verify(&parties.verifier, &signed));
    tally.accepts("token", read, &set.id)?;
    tally.refuses("changed token", &verdict(bad))
}

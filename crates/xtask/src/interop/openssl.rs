//! Keys and signatures of the `openssl` command, which knows nothing of JOSE.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use jose_x509::jws::{self, ProtectedHeader, SigningInput, UnverifiedJws};
use jose_x509::provider::ring;
use jose_x509::{
    Algorithm, Algorithms, CryptoProvider, Jwk, KeyKind, PublicKey, SigningKey, VerifyingKey,
};

use super::Context;
use super::jws::tampered;
use super::peers::succeed;
use super::report::{Direction, Report, Tally};
use super::tokens::PAYLOAD;

const PROVIDER: CryptoProvider = ring::provider();
const PEER: &str = "openssl";

pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    if !context.openssl {
        return Ok(());
    }
    for algorithm in Algorithm::ALL {
        let subject = format!("signature {algorithm}");
        let folder = context.work.join(algorithm.name());
        fs::create_dir_all(&folder)?;
        make_key(&folder, algorithm)?;
        report.exchange(&subject, PEER, Direction::Theirs, |tally| {
            verify_theirs(&folder, algorithm, tally)
        });
        report.exchange(&subject, PEER, Direction::Ours, |tally| {
            check_ours(&folder, algorithm, tally)
        });
    }
    Ok(())
}

fn openssl(folder: &Path, arguments: &str) -> Result<()> {
    let arguments = arguments.split_whitespace();
    succeed(Command::new("openssl").args(arguments).current_dir(folder))
}

/// A private key in PKCS#8 (PEM and DER) and, where it exists, in its older form; the public key as SPKI.
fn make_key(folder: &Path, algorithm: Algorithm) -> Result<()> {
    let kind = match algorithm.key_kind() {
        KeyKind::Ed25519 => "ED25519".to_owned(),
        KeyKind::Rsa => "RSA -pkeyopt rsa_keygen_bits:2048".to_owned(),
        _ => format!("EC -pkeyopt ec_paramgen_curve:{}", curve(algorithm)?),
    };
    openssl(folder, &format!("genpkey -algorithm {kind} -out key.pem"))?;
    openssl(
        folder,
        "pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der",
    )?;
    openssl(folder, "pkey -in key.pem -pubout -out spki.pem")?;
    openssl(
        folder,
        "pkey -in key.pem -pubout -outform DER -out spki.der",
    )?;
    if algorithm.key_kind() != KeyKind::Ed25519 {
        openssl(folder, "pkey -in key.pem -traditional -out older.pem")?;
    }
    Ok(())
}

fn curve(algorithm: Algorithm) -> Result<&'static str> {
    Ok(match algorithm.name() {
        "ES256" => "P-256",
        "ES384" => "P-384",
        "ES512" => "P-521",
        other => bail!("{other} has no curve"),
    })
}

/// The options of `openssl pkeyutl` for this algorithm, which hashes the message itself.
fn options(algorithm: Algorithm) -> &'static str {
    match algorithm.name() {
        "RS256" => "-digest sha256",
        "RS384" => "-digest sha384",
        "RS512" => "-digest sha512",
        "PS256" => "-digest sha256 -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest",
        "PS384" => "-digest sha384 -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest",
        "PS512" => "-digest sha512 -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest",
        "ES256" => "-digest sha256",
        "ES384" => "-digest sha384",
        "ES512" => "-digest sha512",
        _ => "",
    }
}

fn verify_theirs(folder: &Path, algorithm: Algorithm, tally: &mut Tally) -> Result<()> {
    let read = |name: &str| fs::read_to_string(folder.join(name));
    let public = PublicKey::from_spki_pem(&read("spki.pem")?)?;
    let der = fs::read(folder.join("spki.der"))?;
    tally.accepts("SPKI in DER", PublicKey::from_spki_der(&der), &public)?;
    tally.accepts("our SPKI", public.to_spki_der(), &der)?;
    let pem = SigningKey::from_pkcs8_pem(&PROVIDER, algorithm, &read("key.pem")?);
    tally.accepts(
        "PKCS#8 in PEM",
        pem.map(|key| key.public_key().clone()),
        &public,
    )?;
    let der = fs::read(folder.join("key.der"))?;
    let der = SigningKey::from_pkcs8_der(&PROVIDER, algorithm, &der);
    tally.accepts(
        "PKCS#8 in DER",
        der.map(|key| key.public_key().clone()),
        &public,
    )?;
    if let Ok(older) = read("older.pem") {
        if ecdsa_len(algorithm).is_some() {
            let key = SigningKey::from_sec1_pem(&PROVIDER, &older);
            tally.accepts(
                "SEC1 in PEM",
                key.map(|key| key.public_key().clone()),
                &public,
            )?;
        }
        let older = SigningKey::from_pkcs8_pem(&PROVIDER, algorithm, &older);
        tally.refuses("SEC1 or PKCS#1 as PKCS#8", &older)?;
    }
    let private_as_public = PublicKey::from_spki_pem(&read("key.pem")?);
    tally.refuses("a private key as a public one", &private_as_public)?;

    let header = ProtectedHeader::without_typ();
    let input = SigningInput::new(&header, algorithm.name(), None, PAYLOAD.as_bytes());
    fs::write(folder.join("message"), input.as_bytes())?;
    let sign = "pkeyutl -sign -rawin -inkey key.pem -in message -out signature";
    openssl(folder, &format!("{sign} {}", options(algorithm)))?;
    let mut signature = fs::read(folder.join("signature"))?;
    if let Some(length) = ecdsa_len(algorithm) {
        signature = from_der(&signature, length / 2).context("OpenSSL's ECDSA signature")?;
    }
    let token = input.finish(&signature);
    let jwk = Jwk::new(public).with_algorithm(algorithm)?;
    let key = VerifyingKey::from_jwk(&PROVIDER, jwk)?;
    let verify = |token: &str| -> Result<Vec<u8>> {
        let verified = UnverifiedJws::parse(token)?.verify(&key, Algorithms::ALL)?;
        Ok(verified.payload().to_vec())
    };
    tally.accepts("signature", verify(&token), &PAYLOAD.as_bytes().to_vec())?;
    for (what, token) in tampered(&token, algorithm)? {
        tally.refuses(&what, &verify(&token))?;
    }
    Ok(())
}

fn check_ours(folder: &Path, algorithm: Algorithm, tally: &mut Tally) -> Result<()> {
    let der = fs::read(folder.join("key.der"))?;
    let key = SigningKey::from_pkcs8_der(&PROVIDER, algorithm, &der)?;
    fs::write(folder.join("our-spki.der"), key.public_key().to_spki_der()?)?;
    let token = jws::sign(&key, &ProtectedHeader::without_typ(), PAYLOAD.as_bytes())?;
    let (input, signature) = token.rsplit_once('.').context("no signature")?;
    let mut signature = jose_x509::base64url::decode(signature, "signature")?;
    if ecdsa_len(algorithm).is_some() {
        signature = to_der(&signature)?;
    }
    fs::write(folder.join("our-signature"), signature)?;
    let verify = |message: &str| {
        fs::write(folder.join("our-message"), message)?;
        let verify = "pkeyutl -verify -rawin -pubin -keyform DER -inkey our-spki.der";
        let files = "-in our-message -sigfile our-signature";
        openssl(folder, &format!("{verify} {files} {}", options(algorithm)))
    };
    tally.accepts("signature", verify(input), &())?;
    tally.refuses("changed message", &verify(&format!("{input}A")))
}

fn ecdsa_len(algorithm: Algorithm) -> Option<usize> {
    let length = algorithm.signature_len()?;
    (algorithm.key_kind() != KeyKind::Ed25519).then_some(length)
}

/// `SEQUENCE { r INTEGER, s INTEGER }` as two numbers of fixed length.
fn from_der(der: &[u8], length: usize) -> Result<Vec<u8>> {
    let signature = ::openssl::ecdsa::EcdsaSig::from_der(der)?;
    let length = i32::try_from(length)?;
    let [r, s] = [signature.r(), signature.s()].map(|number| number.to_vec_padded(length));
    Ok([r?, s?].concat())
}

fn to_der(signature: &[u8]) -> Result<Vec<u8>> {
    let (r, s) = signature.split_at(signature.len() / 2);
    let number = ::openssl::bn::BigNum::from_slice;
    Ok(::openssl::ecdsa::EcdsaSig::from_private_components(number(r)?, number(s)?)?.to_der()?)
}

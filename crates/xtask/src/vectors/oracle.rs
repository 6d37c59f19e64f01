//! Signatures by OpenSSL (through josekit), which shares no code with the crates under test.
//!
//! ECDSA and RSASSA-PSS signatures are random. So that the files stay as they are, [`Oracle::sign`] keeps the
//! signature of a committed token with the same header and payload as long as OpenSSL accepts it. It takes
//! the first such token in the order of the files; a file that also holds a second valid signature of the same
//! content has to hold it after the first.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwk::Jwk;
use josekit::jws::{
    ES256, ES384, EdDSA, HS256, JwsSigner, JwsVerifier, PS256, PS384, PS512, RS256, RS384, RS512,
};
use serde_json::{Map, Value, json};

/// Members of a JWK that hold private or symmetric material.
const PRIVATE_MEMBERS: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The test keys, and the signatures that are committed already.
pub(crate) struct Oracle {
    keys: BTreeMap<String, Map<String, Value>>,
    /// Signatures by signing input.
    committed: BTreeMap<String, Vec<String>>,
}

impl Oracle {
    /// Reads `test-vectors/keys/*.jwk.json` and the tokens of all vector files in `directory`.
    pub(crate) fn load(directory: &Path) -> Result<Self> {
        let mut oracle = Self {
            keys: BTreeMap::new(),
            committed: BTreeMap::new(),
        };
        for path in json_files(directory)? {
            let text = fs::read_to_string(&path)?;
            let value: Value = serde_json::from_str(&text)
                .with_context(|| format!("cannot parse {}", path.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            match (name.strip_suffix(".jwk.json"), value) {
                (Some(key), Value::Object(jwk)) => {
                    oracle.keys.insert(key.to_owned(), jwk);
                }
                (_, value) => oracle.collect(&value),
            }
        }
        Ok(oracle)
    }

    /// A compact JWS over exactly these header and payload bytes, under the key file `key`.
    pub(crate) fn sign(
        &mut self,
        algorithm: &str,
        key: &str,
        header: &str,
        payload: impl AsRef<[u8]>,
    ) -> Result<String> {
        let input = format!("{}.{}", encode(header), encode(payload));
        self.sign_input(algorithm, key, &input)
    }

    /// A compact JWS over a signing input that need not be well formed.
    pub(crate) fn sign_input(&mut self, algorithm: &str, key: &str, input: &str) -> Result<String> {
        let jwk = self.josekit_key(key)?;
        let verifier = verifier(algorithm, &jwk)?;
        let kept = self
            .committed
            .get(input)
            .into_iter()
            .flatten()
            .find(|signature| {
                let bytes = URL_SAFE_NO_PAD.decode(signature);
                bytes.is_ok_and(|bytes| verifier.verify(input.as_bytes(), &bytes).is_ok())
            });
        if let Some(signature) = kept {
            return Ok(format!("{input}.{signature}"));
        }
        let signature = encode(signer(algorithm, &jwk)?.sign(input.as_bytes())?);
        let token = format!("{input}.{signature}");
        let known = self.committed.entry(input.to_owned()).or_default();
        known.push(signature);
        Ok(token)
    }

    /// A compact JWS with an HMAC whose secret is `secret`: only ever part of an attack.
    pub(crate) fn sign_hs256(secret: &[u8], header: &str, payload: &str) -> Result<String> {
        let input = format!("{}.{}", encode(header), encode(payload));
        let signature = HS256.signer_from_bytes(secret)?.sign(input.as_bytes())?;
        Ok(format!("{input}.{}", encode(signature)))
    }

    /// The public half of a test key, with `kid` and `alg` set to these.
    pub(crate) fn public_jwk(&self, key: &str, kid: &str, algorithm: &str) -> Result<Value> {
        let mut jwk = self.key(key)?.clone();
        jwk.retain(|name, _| !PRIVATE_MEMBERS.contains(&name.as_str()));
        jwk.insert("kid".to_owned(), json!(kid));
        jwk.insert("alg".to_owned(), json!(algorithm));
        Ok(Value::Object(jwk))
    }

    fn key(&self, name: &str) -> Result<&Map<String, Value>> {
        self.keys
            .get(name)
            .with_context(|| format!("there is no test-vectors/keys/{name}.jwk.json"))
    }

    fn josekit_key(&self, name: &str) -> Result<Jwk> {
        let mut jwk = self.key(name)?.clone();
        jwk.remove("kid");
        Ok(Jwk::from_map(jwk)?)
    }

    /// Remembers every signature in the strings of `value`.
    fn collect(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                let is_token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
                for token in text.split(|c| !is_token(c)) {
                    if let Some((input, signature)) = token.rsplit_once('.') {
                        let known = self.committed.entry(input.to_owned()).or_default();
                        known.push(signature.to_owned());
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.collect(value)),
            Value::Object(members) => members.values().for_each(|value| self.collect(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Base64url without padding.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a base64url text without padding.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>> {
    Ok(URL_SAFE_NO_PAD.decode(text)?)
}

/// SHA-256 by OpenSSL.
pub(crate) fn sha256(text: impl AsRef<[u8]>) -> [u8; 32] {
    openssl::sha::sha256(text.as_ref())
}

/// Splits a compact token into header, payload and signature, all still encoded.
pub(crate) fn split(token: &str) -> Result<(&str, &str, &str)> {
    let mut segments = token.split('.');
    match (
        segments.next(),
        segments.next(),
        segments.next(),
        segments.next(),
    ) {
        (Some(header), Some(payload), Some(signature), None) => Ok((header, payload, signature)),
        _ => bail!("not a compact token"),
    }
}

/// The token with one bit of its signature flipped.
pub(crate) fn corrupt(token: &str) -> Result<String> {
    let (header, payload, signature) = split(token)?;
    let mut bytes = decode(signature)?;
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    Ok(format!("{header}.{payload}.{}", encode(bytes)))
}

fn signer(algorithm: &str, jwk: &Jwk) -> Result<Box<dyn JwsSigner>> {
    Ok(match algorithm {
        "ES256" => Box::new(ES256.signer_from_jwk(jwk)?),
        "ES384" => Box::new(ES384.signer_from_jwk(jwk)?),
        "EdDSA" | "Ed25519" => Box::new(EdDSA.signer_from_jwk(jwk)?),
        "RS256" => Box::new(RS256.signer_from_jwk(jwk)?),
        "RS384" => Box::new(RS384.signer_from_jwk(jwk)?),
        "RS512" => Box::new(RS512.signer_from_jwk(jwk)?),
        "PS256" => Box::new(PS256.signer_from_jwk(jwk)?),
        "PS384" => Box::new(PS384.signer_from_jwk(jwk)?),
        "PS512" => Box::new(PS512.signer_from_jwk(jwk)?),
        _ => bail!("the oracle does not sign with {algorithm}"),
    })
}

fn verifier(algorithm: &str, jwk: &Jwk) -> Result<Box<dyn JwsVerifier>> {
    Ok(match algorithm {
        "ES256" => Box::new(ES256.verifier_from_jwk(jwk)?),
        "ES384" => Box::new(ES384.verifier_from_jwk(jwk)?),
        "EdDSA" | "Ed25519" => Box::new(EdDSA.verifier_from_jwk(jwk)?),
        "RS256" => Box::new(RS256.verifier_from_jwk(jwk)?),
        "RS384" => Box::new(RS384.verifier_from_jwk(jwk)?),
        "RS512" => Box::new(RS512.verifier_from_jwk(jwk)?),
        "PS256" => Box::new(PS256.verifier_from_jwk(jwk)?),
        "PS384" => Box::new(PS384.verifier_from_jwk(jwk)?),
        "PS512" => Box::new(PS512.verifier_from_jwk(jwk)?),
        _ => bail!("the oracle does not verify {algorithm}"),
    })
}

/// Every `*.json` below `directory`, sorted.
fn json_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory)
            .with_context(|| format!("cannot read {}", directory.display()))?
        {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

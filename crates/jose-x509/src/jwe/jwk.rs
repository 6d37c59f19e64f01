//! Keys for encryption as JWKs. Everything about them is checked before OpenSSL is asked.

use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::rsa::{Rsa, RsaPrivateKeyBuilder};
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use super::KeyType;
use crate::base64url;
use crate::error::{Error, KeyProblem};
use crate::json;
use crate::jwk::parse::check_purpose;
use crate::jwk::{Curve, PublicKey};
use crate::jws::header::is_kid;

pub(super) const fn refuse(problem: KeyProblem) -> Error {
    Error::InvalidKey { problem }
}

pub(super) fn malformed(_: ErrorStack) -> Error {
    refuse(KeyProblem::Malformed)
}

const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The members of a JWK, overwritten when they are no longer needed.
pub(super) struct Members(pub(super) Map<String, Value>);

impl Drop for Members {
    fn drop(&mut self) {
        for value in self.0.values_mut() {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}

impl Members {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Error> {
        json::object(bytes, &json::Limits::HEADER.with_bytes(64 * 1024))
            .map(Self)
            .map_err(|source| Error::Json {
                what: "JWK",
                source,
            })
    }

    /// What the members `use`, `key_ops`, `alg` and `kid` say: the key is for encryption, for one of
    /// these operations and under one of these names.
    pub(super) fn check_attributes(
        &self,
        names: &[&str],
        operations: &[&str],
    ) -> Result<Option<String>, Error> {
        let key_use = text(&self.0, "use")?;
        let key_ops = match self.0.get("key_ops") {
            None => None,
            Some(value) => Some(strings(value).ok_or(refuse(KeyProblem::Member("key_ops")))?),
        };
        check_purpose(key_use, key_ops.as_deref()).map_err(refuse)?;
        let allows = |ops: &Vec<String>| ops.iter().any(|op| operations.contains(&op.as_str()));
        if key_use.is_some_and(|key_use| key_use != "enc")
            || !key_ops.as_ref().is_none_or(allows)
            || text(&self.0, "alg")?.is_some_and(|alg| !names.contains(&alg))
        {
            return Err(refuse(KeyProblem::Inconsistent));
        }
        match text(&self.0, "kid")? {
            Some(kid) if !is_kid(kid) => Err(refuse(KeyProblem::Member("kid"))),
            kid => Ok(kid.map(str::to_owned)),
        }
    }

    /// The shared key of an `oct` JWK.
    pub(super) fn symmetric(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        if text(&self.0, "kty")? != Some("oct") {
            return Err(refuse(KeyProblem::Unsupported));
        }
        secret(&self.0, "k")
    }

    /// The key pair of an EC, OKP or RSA JWK, whose halves belong together.
    pub(super) fn private(&self) -> Result<PKey<Private>, Error> {
        if self.0.contains_key("oth") || self.0.contains_key("k") {
            return Err(refuse(KeyProblem::Unsupported));
        }
        let (kind, public) = public_half(&self.0)?;
        let number = |name| {
            let bytes = secret(&self.0, name)?;
            BigNum::from_slice(&bytes).map_err(malformed)
        };
        let mismatch = |_| refuse(KeyProblem::Mismatch);
        match kind {
            KeyType::P256 | KeyType::P384 => {
                let public = public.ec_key().map_err(malformed)?;
                if secret(&self.0, "d")?.len() != coordinate_len(kind) {
                    return Err(refuse(KeyProblem::Member("d")));
                }
                let key = EcKey::from_private_components(
                    public.group(),
                    &*number("d")?,
                    public.public_key(),
                )
                .map_err(mismatch)?;
                key.check_key().map_err(mismatch)?;
                PKey::from_ec_key(key).map_err(malformed)
            }
            KeyType::X25519 => {
                let key = PKey::private_key_from_raw_bytes(&secret(&self.0, "d")?, Id::X25519)
                    .map_err(|_| refuse(KeyProblem::Member("d")))?;
                if key.public_eq(&public) {
                    Ok(key)
                } else {
                    Err(refuse(KeyProblem::Mismatch))
                }
            }
            KeyType::Rsa => {
                let public = public.rsa().map_err(malformed)?;
                let own = |number: &openssl::bn::BigNumRef| number.to_owned().map_err(malformed);
                let (p, q) = (number("p")?, number("q")?);
                let (dp, dq, qi) = (number("dp")?, number("dq")?, number("qi")?);
                let key =
                    RsaPrivateKeyBuilder::new(own(public.n())?, own(public.e())?, number("d")?)
                        .and_then(|key| key.set_factors(p, q))
                        .and_then(|key| key.set_crt_params(dp, dq, qi))
                        .map_err(mismatch)?
                        .build();
                if key.check_key().is_ok_and(|good| good) {
                    PKey::from_rsa(key).map_err(malformed)
                } else {
                    Err(refuse(KeyProblem::Mismatch))
                }
            }
        }
    }
}

/// A public JWK: without any private member.
pub(super) fn public(members: &Map<String, Value>) -> Result<(KeyType, PKey<Public>), Error> {
    if PRIVATE_MEMBERS
        .iter()
        .any(|name| members.contains_key(*name))
    {
        return Err(refuse(KeyProblem::PrivateMaterial));
    }
    public_half(members)
}

fn public_half(members: &Map<String, Value>) -> Result<(KeyType, PKey<Public>), Error> {
    let required = |name| text(members, name)?.ok_or(refuse(KeyProblem::Member(name)));
    let bytes = |name| {
        base64url::decode(required(name)?, name).map_err(|_| refuse(KeyProblem::Member(name)))
    };
    match required("kty")? {
        "RSA" => {
            let (n, e) = (bytes("n")?, bytes("e")?);
            PublicKey::from_rsa(&n, &e)?;
            let number = |bytes: &[u8]| BigNum::from_slice(bytes).map_err(malformed);
            let key = Rsa::from_public_components(number(&n)?, number(&e)?).map_err(malformed)?;
            Ok((KeyType::Rsa, PKey::from_rsa(key).map_err(malformed)?))
        }
        "EC" => {
            let (kind, curve) = match required("crv")? {
                "P-256" => (KeyType::P256, Curve::P256),
                "P-384" => (KeyType::P384, Curve::P384),
                _ => return Err(refuse(KeyProblem::Unsupported)),
            };
            let (x, y) = (bytes("x")?, bytes("y")?);
            PublicKey::from_coordinates(curve, &x, &y)?;
            Ok((kind, ec_point(kind, &x, &y)?))
        }
        "OKP" if required("crv")? == "X25519" => {
            let x = bytes("x")?;
            check_x25519(&x)?;
            let key = PKey::public_key_from_raw_bytes(&x, Id::X25519).map_err(malformed)?;
            Ok((KeyType::X25519, key))
        }
        _ => Err(refuse(KeyProblem::Unsupported)),
    }
}

/// A point that was found to be on its curve.
fn ec_point(kind: KeyType, x: &[u8], y: &[u8]) -> Result<PKey<Public>, Error> {
    let invalid = |_| refuse(KeyProblem::InvalidPoint);
    let nid = if kind == KeyType::P256 {
        Nid::X9_62_PRIME256V1
    } else {
        Nid::SECP384R1
    };
    let group = EcGroup::from_curve_name(nid).map_err(malformed)?;
    let x = BigNum::from_slice(x).map_err(malformed)?;
    let y = BigNum::from_slice(y).map_err(malformed)?;
    let key = EcKey::from_public_key_affine_coordinates(&group, &x, &y).map_err(invalid)?;
    key.check_key().map_err(invalid)?;
    PKey::from_ec_key(key).map_err(malformed)
}

/// Refuses the u coordinates with which every private key agrees on zero (RFC 7748 section 6.1).
pub(super) fn check_x25519(u: &[u8]) -> Result<(), Error> {
    let u: [u8; 32] = u.try_into().map_err(|_| refuse(KeyProblem::Member("x")))?;
    if SMALL_ORDER_U.iter().any(|small| same_u(small, &u)) {
        return Err(refuse(KeyProblem::InvalidPoint));
    }
    Ok(())
}

/// The top bit does not count.
fn same_u(small: &[u8; 32], u: &[u8; 32]) -> bool {
    let [rest @ .., last] = u;
    let [small @ .., small_last] = small;
    rest == small && last & 0x7f == *small_last
}

/// The points of small order of Curve25519 and its twist, with the encodings that are not canonical.
pub(super) const SMALL_ORDER_U: [[u8; 32]; 7] = [
    // 0 and 1
    [0; 32],
    [
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0,
    ],
    // Order 8
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
        0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
        0x11, 0x57,
    ],
    // p - 1, p and p + 1
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    [
        0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    [
        0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
];

pub(super) const fn coordinate_len(kind: KeyType) -> usize {
    match kind {
        KeyType::P384 => 48,
        _ => 32,
    }
}

/// An array of strings.
pub(super) fn strings(value: &Value) -> Option<Vec<String>> {
    let texts = value.as_array()?.iter();
    texts.map(|text| text.as_str().map(str::to_owned)).collect()
}

fn text<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, Error> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(refuse(KeyProblem::Member(name))),
    }
}

fn secret(members: &Map<String, Value>, name: &'static str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let missing = refuse(KeyProblem::Member(name));
    let encoded = text(members, name)?.ok_or(missing.clone())?;
    base64url::decode(encoded, name)
        .map(Zeroizing::new)
        .map_err(|_| missing)
}

//! Reading public JWKs: one pass over the text, nothing copied but the key and its name.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki_types::CertificateDer;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Curve, Jwk, Name, PublicKey, Rare, Use};
use crate::algorithm::Algorithm;
use crate::base64url;
use crate::error::{Error, KeyProblem};
use crate::json::{self, Member};
use crate::x509::Certificate;

/// Bytes of the longest accepted numbers, and one more to tell that there are more.
const MAX_COORDINATE: usize = 66 + 1;
const MAX_MODULUS: usize = 8192 / 8 + 1;
const MAX_EXPONENT: usize = 6;
/// Most certificates in `x5c`.
const MAX_CERTIFICATES: usize = 8;

/// The members of a JWK that mean something here, as they were found.
#[derive(Default)]
pub(super) struct Members<'a> {
    kty: Option<Member<'a>>,
    crv: Option<Member<'a>>,
    x: Option<Member<'a>>,
    y: Option<Member<'a>>,
    n: Option<Member<'a>>,
    e: Option<Member<'a>>,
    kid: Option<Member<'a>>,
    key_use: Option<Member<'a>>,
    key_ops: Option<Member<'a>>,
    alg: Option<Member<'a>>,
    x5c: Option<Member<'a>>,
    x5t_s256: Option<Member<'a>>,
    private: bool,
}

impl<'a> Members<'a> {
    fn take(&mut self, name: &str, value: Member<'a>) {
        let slot = match name {
            "kty" => &mut self.kty,
            "crv" => &mut self.crv,
            "x" => &mut self.x,
            "y" => &mut self.y,
            "n" => &mut self.n,
            "e" => &mut self.e,
            "kid" => &mut self.kid,
            "use" => &mut self.key_use,
            "key_ops" => &mut self.key_ops,
            "alg" => &mut self.alg,
            "x5c" => &mut self.x5c,
            "x5t#S256" => &mut self.x5t_s256,
            "d" | "p" | "q" | "dp" | "dq" | "qi" | "oth" | "k" => {
                self.private = true;
                return;
            }
            _ => return,
        };
        *slot = Some(value);
    }

    fn public(&self) -> Result<Jwk, KeyProblem> {
        // Said first of all, and also of keys of unknown types.
        if self.private || text("kty", self.kty.as_ref())? == Some("oct") {
            return Err(KeyProblem::PrivateMaterial);
        }
        self.jwk()
    }

    fn jwk(&self) -> Result<Jwk, KeyProblem> {
        let key = self.key()?;
        let certificates = self.certificates(&key)?;
        let key_ops = match &self.key_ops {
            None => None,
            Some(Member::Texts(first, others)) => Some(
                first
                    .iter()
                    .chain(others)
                    .map(|op| op.to_string())
                    .collect(),
            ),
            Some(_) => return Err(KeyProblem::Member("key_ops")),
        };
        let key_use = text("use", self.key_use.as_ref())?;
        check_purpose(key_use, key_ops.as_deref())?;
        let algorithm = match text("alg", self.alg.as_ref())? {
            None => None,
            Some(name) => Some(
                Algorithm::from_name(name)
                    .ok_or(KeyProblem::Unsupported)
                    .and_then(|algorithm| {
                        if algorithm.key_kind() == key.kind() {
                            Ok(algorithm)
                        } else {
                            Err(KeyProblem::Inconsistent)
                        }
                    })?,
            ),
        };
        let x5t_s256 = match text("x5t#S256", self.x5t_s256.as_ref())? {
            None => None,
            Some(text) => Some(
                base64url::decode_array(text, "key").map_err(|_| KeyProblem::Member("x5t#S256"))?,
            ),
        };
        let is_rare = key_ops.is_some() || !certificates.is_empty() || x5t_s256.is_some();
        Ok(Jwk {
            key,
            kid: text("kid", self.kid.as_ref())?.map(Name::new),
            key_use: key_use.map(Use::new),
            algorithm,
            rare: is_rare.then(|| {
                Box::new(Rare {
                    key_ops,
                    certificates,
                    x5t_s256,
                })
            }),
        })
    }

    /// RFC 7517 section 4.7: standard base64, and the first certificate is one of this very key.
    fn certificates(&self, key: &PublicKey) -> Result<Vec<CertificateDer<'static>>, KeyProblem> {
        const WRONG: KeyProblem = KeyProblem::Member("x5c");
        let Some(x5c) = &self.x5c else {
            return Ok(Vec::new());
        };
        let chain = certificates(x5c).ok_or(WRONG)?;
        let leaf = chain.first().ok_or(WRONG)?;
        let leaf = Certificate::parse(leaf).map_err(|_| WRONG)?;
        match PublicKey::from_spki_der(leaf.spki_der()) {
            Ok(own) if own == *key => Ok(chain),
            _ => Err(KeyProblem::Inconsistent),
        }
    }

    fn key(&self) -> Result<PublicKey, KeyProblem> {
        // Members of another key type beside those of this one are a sign of confusion.
        let only = |foreign: &[&Option<Member<'_>>]| {
            if foreign.iter().any(|member| member.is_some()) {
                Err(KeyProblem::Inconsistent)
            } else {
                Ok(())
            }
        };
        let kty = text("kty", self.kty.as_ref())?.ok_or(KeyProblem::Member("kty"))?;
        let crv = || text("crv", self.crv.as_ref())?.ok_or(KeyProblem::Member("crv"));
        match kty {
            "EC" => {
                only(&[&self.n, &self.e])?;
                let curve = Curve::from_name(crv()?).ok_or(KeyProblem::Unsupported)?;
                let (mut x, mut y) = ([0; MAX_COORDINATE], [0; MAX_COORDINATE]);
                PublicKey::of_coordinates(
                    curve,
                    octets("x", self.x.as_ref(), &mut x)?,
                    octets("y", self.y.as_ref(), &mut y)?,
                )
            }
            "OKP" => {
                only(&[&self.n, &self.e, &self.y])?;
                if crv()? != "Ed25519" {
                    return Err(KeyProblem::Unsupported);
                }
                let mut x = [0; 33];
                PublicKey::of_ed25519(octets("x", self.x.as_ref(), &mut x)?)
            }
            "RSA" => {
                only(&[&self.crv, &self.x, &self.y])?;
                let (mut n, mut e) = ([0; MAX_MODULUS], [0; MAX_EXPONENT]);
                PublicKey::of_rsa(
                    octets("n", self.n.as_ref(), &mut n)?,
                    octets("e", self.e.as_ref(), &mut e)?,
                )
            }
            _ => Err(KeyProblem::Unsupported),
        }
    }
}

/// The certificates of `x5c`: at least one, and not too many, in standard base64.
pub(crate) fn certificates(x5c: &Member<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let Member::Texts(Some(first), others) = x5c else {
        return None;
    };
    if others.len() >= MAX_CERTIFICATES {
        return None;
    }
    core::iter::once(first)
        .chain(others)
        .map(|text| STANDARD.decode(text.as_bytes()).map(CertificateDer::from))
        .collect::<Result<_, _>>()
        .ok()
}

fn text<'m>(
    name: &'static str,
    member: Option<&'m Member<'_>>,
) -> Result<Option<&'m str>, KeyProblem> {
    match member {
        None => Ok(None),
        Some(Member::Text(text)) => Ok(Some(text)),
        Some(_) => Err(KeyProblem::Member(name)),
    }
}

/// Decodes into `place`, which is filled to its end where the value is too long for it.
fn octets<'p>(
    name: &'static str,
    member: Option<&Member<'_>>,
    place: &'p mut [u8],
) -> Result<&'p [u8], KeyProblem> {
    const WRONG: fn(&'static str) -> KeyProblem = KeyProblem::Member;
    let text = text(name, member)?.ok_or(WRONG(name))?;
    let len = base64url::decode_slice(text, place).ok_or(WRONG(name))?;
    place.get(..len).ok_or(WRONG(name))
}

/// RFC 7517 section 4.3: unique operations, of one kind, consistent with `use`.
pub(crate) fn check_purpose(
    key_use: Option<&str>,
    key_ops: Option<&[String]>,
) -> Result<(), KeyProblem> {
    let Some(ops) = key_ops else { return Ok(()) };
    let has = |names: &[&str]| ops.iter().any(|op| names.contains(&op.as_str()));
    let signs = has(&["sign", "verify"]);
    let encrypts = has(&[
        "encrypt",
        "decrypt",
        "wrapKey",
        "unwrapKey",
        "deriveKey",
        "deriveBits",
    ]);
    let repeated = ops
        .iter()
        .enumerate()
        .any(|(i, op)| ops.iter().skip(i + 1).any(|other| other == op));
    let contradicts = (key_use == Some("sig") && !signs) || (key_use == Some("enc") && signs);
    if repeated || (signs && encrypts) || contradicts {
        return Err(KeyProblem::Inconsistent);
    }
    Ok(())
}

/// Reads one public JWK.
pub(super) fn public(text: &[u8]) -> Result<Jwk, Error> {
    object(text)?.public().map_err(Error::from)
}

/// Reads the public half of a private JWK.
pub(crate) fn public_half(text: &[u8]) -> Result<Jwk, Error> {
    object(text)?.jwk().map_err(Error::from)
}

fn object(text: &[u8]) -> Result<Members<'_>, Error> {
    let mut members = Members::default();
    let limits = json::Limits::HEADER.with_bytes(64 * 1024);
    json::read_object(text, &limits, |name, value| members.take(name, value)).map_err(
        |source| match source.kind() {
            json::JsonErrorKind::Shape => KeyProblem::Malformed.into(),
            _ => Error::Json {
                what: "JWK",
                source,
            },
        },
    )?;
    Ok(members)
}

/// Reads one public JWK from members that were read before.
pub(super) fn of_members(members: &Map<String, Value>) -> Result<Jwk, KeyProblem> {
    let mut found = Members::default();
    for (name, value) in members {
        found.take(name, Member::of(value));
    }
    found.public()
}

/// Hands each entry of the set `text` to `entry`.
pub(super) fn each_of_set(
    text: &[u8],
    limits: &json::Limits,
    entry: impl FnMut(Result<Jwk, KeyProblem>),
) -> Result<(), Error> {
    let mut found = false;
    json::read_with(
        text,
        limits,
        Set {
            found: &mut found,
            entry,
        },
    )
    .map_err(|source| match source.kind() {
        json::JsonErrorKind::Shape => KeyProblem::Member("keys").into(),
        _ => Error::Json {
            what: "JWK Set",
            source,
        },
    })?;
    if found {
        Ok(())
    } else {
        Err(KeyProblem::Member("keys").into())
    }
}

/// The object around `keys`.
struct Set<'f, F> {
    /// Whether there is an array of that name.
    found: &'f mut bool,
    entry: F,
}

impl<'de, F: FnMut(Result<Jwk, KeyProblem>)> DeserializeSeed<'de> for Set<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(Result<Jwk, KeyProblem>)> Visitor<'de> for Set<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JWK Set")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(json::Text)? {
            if name == "keys" {
                *self.found = map.next_value_seed(Keys(&mut self.entry))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// The value of `keys`; whether it is an array.
struct Keys<'f, F>(&'f mut F);

impl<'de, F: FnMut(Result<Jwk, KeyProblem>)> DeserializeSeed<'de> for Keys<'_, F> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Result<Jwk, KeyProblem>)> Visitor<'de> for Keys<'_, F> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of JWKs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        while seq.next_element_seed(Entry(&mut *self.0))?.is_some() {}
        Ok(true)
    }
}

/// One entry of `keys`: whatever is wrong with its inside is not wrong with the set.
struct Entry<'f, F>(&'f mut F);

impl<'de, F: FnMut(Result<Jwk, KeyProblem>)> DeserializeSeed<'de> for Entry<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! not_an_object {
    ($($method:ident: $type:ty)*) => {$(
        fn $method<E>(self, _: $type) -> Result<(), E> {
            (self.0)(Err(KeyProblem::Malformed));
            Ok(())
        }
    )*};
}

impl<'de, F: FnMut(Result<Jwk, KeyProblem>)> Visitor<'de> for Entry<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JWK")
    }

    not_an_object! {
        visit_bool: bool
        visit_i64: i64
        visit_u64: u64
        visit_f64: f64
        visit_str: &str
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        (self.0)(Err(KeyProblem::Malformed));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        (self.0)(Err(KeyProblem::Malformed));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut members = Members::default();
        while let Some(name) = map.next_key_seed(json::Text)? {
            let value = map.next_value_seed(json::AnyMember)?;
            members.take(&name, value);
        }
        (self.0)(members.public());
        Ok(())
    }
}

//! Reading public JWKs: one pass over the text, nothing copied but the key and its name.

use core::fmt;
use std::borrow::Cow;

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

/// A member of a JWK that means something here, and is a text.
#[derive(Clone, Copy)]
enum Text {
    Kty,
    Crv,
    X,
    Y,
    N,
    E,
    Kid,
    Use,
    Alg,
    X5tS256,
}

const TEXTS: usize = Text::X5tS256 as usize + 1;

impl Text {
    const fn name(self) -> &'static str {
        match self {
            Self::Kty => "kty",
            Self::Crv => "crv",
            Self::X => "x",
            Self::Y => "y",
            Self::N => "n",
            Self::E => "e",
            Self::Kid => "kid",
            Self::Use => "use",
            Self::Alg => "alg",
            Self::X5tS256 => "x5t#S256",
        }
    }
}

/// What the name of a member says of its value.
enum Field {
    Text(Text),
    KeyOps,
    X5c,
    Private,
    Other,
}

impl Field {
    fn of(name: &str) -> Self {
        Self::Text(match name.as_bytes() {
            [b'k', b't', b'y'] => Text::Kty,
            [b'c', b'r', b'v'] => Text::Crv,
            [b'x'] => Text::X,
            [b'y'] => Text::Y,
            [b'n'] => Text::N,
            [b'e'] => Text::E,
            [b'k', b'i', b'd'] => Text::Kid,
            [b'u', b's', b'e'] => Text::Use,
            [b'a', b'l', b'g'] => Text::Alg,
            b"x5t#S256" => Text::X5tS256,
            b"key_ops" => return Self::KeyOps,
            b"x5c" => return Self::X5c,
            [b'd' | b'p' | b'q' | b'k'] | b"dp" | b"dq" | b"qi" | b"oth" => return Self::Private,
            _ => return Self::Other,
        })
    }
}

/// A member that has to be a text.
#[derive(Default)]
enum Found<'a> {
    #[default]
    Nothing,
    Text(Cow<'a, str>),
    SomethingElse,
}

impl<'a> From<Member<'a>> for Found<'a> {
    fn from(member: Member<'a>) -> Self {
        match member {
            Member::Text(text) => Self::Text(text),
            _ => Self::SomethingElse,
        }
    }
}

/// The members of a JWK that mean something here, as they were found.
#[derive(Default)]
pub(super) struct Members<'a> {
    texts: [Found<'a>; TEXTS],
    key_ops: Option<Member<'a>>,
    x5c: Option<Member<'a>>,
    private: bool,
}

impl<'a> Members<'a> {
    fn found(&mut self, text: Text) -> &mut Found<'a> {
        let [kty, crv, x, y, n, e, kid, key_use, alg, x5t_s256] = &mut self.texts;
        match text {
            Text::Kty => kty,
            Text::Crv => crv,
            Text::X => x,
            Text::Y => y,
            Text::N => n,
            Text::E => e,
            Text::Kid => kid,
            Text::Use => key_use,
            Text::Alg => alg,
            Text::X5tS256 => x5t_s256,
        }
    }

    /// Takes a member that was read before.
    fn take(&mut self, name: &str, value: Member<'a>) {
        match Field::of(name) {
            Field::Text(text) => *self.found(text) = value.into(),
            Field::KeyOps => self.key_ops = Some(value),
            Field::X5c => self.x5c = Some(value),
            Field::Private => self.private = true,
            Field::Other => {}
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "there is a place for each of these texts"
    )]
    fn text(&self, text: Text) -> Result<Option<&str>, KeyProblem> {
        match &self.texts[text as usize] {
            Found::Nothing => Ok(None),
            Found::Text(text) => Ok(Some(text)),
            Found::SomethingElse => Err(KeyProblem::Member(text.name())),
        }
    }

    fn public(&self) -> Result<Jwk, KeyProblem> {
        // Said first of all, and also of keys of unknown types.
        if self.private || self.text(Text::Kty)? == Some("oct") {
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
        let key_use = self.text(Text::Use)?;
        check_purpose(key_use, key_ops.as_deref())?;
        let algorithm = match self.text(Text::Alg)? {
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
        let x5t_s256 = match self.text(Text::X5tS256)? {
            None => None,
            Some(text) => Some(
                base64url::decode_array(text, "key").map_err(|_| KeyProblem::Member("x5t#S256"))?,
            ),
        };
        let is_rare = key_ops.is_some() || !certificates.is_empty() || x5t_s256.is_some();
        Ok(Jwk {
            key,
            kid: self.text(Text::Kid)?.map(Name::new),
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
        let certified = Certificate::certified_key(leaf).ok_or(WRONG)?;
        match PublicKey::from_spki_der(certified) {
            Ok(own) if own == *key => Ok(chain),
            _ => Err(KeyProblem::Inconsistent),
        }
    }

    fn key(&self) -> Result<PublicKey, KeyProblem> {
        // Members of another key type beside those of this one are a sign of confusion.
        let only = |foreign: &[Text]| {
            let has = |text: &Text| !matches!(self.text(*text), Ok(None));
            if foreign.iter().any(has) {
                Err(KeyProblem::Inconsistent)
            } else {
                Ok(())
            }
        };
        let kty = self.text(Text::Kty)?.ok_or(KeyProblem::Member("kty"))?;
        let crv = || self.text(Text::Crv)?.ok_or(KeyProblem::Member("crv"));
        match kty {
            "EC" => {
                only(&[Text::N, Text::E])?;
                let curve = Curve::from_name(crv()?).ok_or(KeyProblem::Unsupported)?;
                let (mut x, mut y) = ([0; MAX_COORDINATE], [0; MAX_COORDINATE]);
                PublicKey::of_coordinates(
                    curve,
                    self.octets(Text::X, &mut x)?,
                    self.octets(Text::Y, &mut y)?,
                )
            }
            "OKP" => {
                only(&[Text::N, Text::E, Text::Y])?;
                if crv()? != "Ed25519" {
                    return Err(KeyProblem::Unsupported);
                }
                let mut x = [0; 33];
                PublicKey::of_ed25519(self.octets(Text::X, &mut x)?)
            }
            "RSA" => {
                only(&[Text::Crv, Text::X, Text::Y])?;
                let (mut n, mut e) = ([0; MAX_MODULUS], [0; MAX_EXPONENT]);
                PublicKey::of_rsa(self.octets(Text::N, &mut n)?, self.octets(Text::E, &mut e)?)
            }
            _ => Err(KeyProblem::Unsupported),
        }
    }

    /// Decodes into `place`, which is filled to its end where the value is too long for it.
    fn octets<'p>(&self, text: Text, place: &'p mut [u8]) -> Result<&'p [u8], KeyProblem> {
        let wrong = KeyProblem::Member(text.name());
        let encoded = self.text(text)?.ok_or(wrong)?;
        let len = base64url::decode_slice(encoded, place).ok_or(wrong)?;
        place.get(..len).ok_or(wrong)
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
    let limits = json::Limits::HEADER.with_bytes(64 * 1024);
    json::read_object(text, &limits, Members::take).map_err(|source| match source.kind() {
        json::JsonErrorKind::Shape => KeyProblem::Malformed.into(),
        _ => Error::Json {
            what: "JWK",
            source,
        },
    })
}

/// Reads one public JWK from members that were read before.
pub(super) fn of_members(members: &Map<String, Value>) -> Result<Jwk, KeyProblem> {
    let mut found = Members::default();
    for (name, value) in members {
        found.take(name, Member::of(value));
    }
    found.public()
}

/// What takes the entries of a set.
pub(super) trait Entries {
    fn entry(&mut self, entry: Result<Jwk, KeyProblem>);

    /// Forgets the entries, because all of them come again.
    fn restart(&mut self);
}

/// Hands each entry of the set `text` to `entries`.
pub(super) fn each_of_set(
    text: &[u8],
    limits: &json::Limits,
    entries: &mut impl Entries,
) -> Result<(), Error> {
    let found =
        json::read_with(text, limits, &mut Set(entries)).map_err(|source| match source.kind() {
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

/// The object around `keys`; whether there is an array of that name.
struct Set<'e, E>(&'e mut E);

impl<'de, E: Entries> json::Reader<'de> for Set<'_, E> {
    type Value = bool;

    fn read<D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(Set(&mut *self.0))
    }

    fn restart(&mut self) {
        self.0.restart();
    }
}

impl<'de, E: Entries> Visitor<'de> for Set<'_, E> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JWK Set")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(name) = map.next_key_seed(json::Text)? {
            if name == "keys" {
                found = map.next_value_seed(Keys(&mut |entry| self.0.entry(entry)))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
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
        while seq.next_element_seed(ReadJwk(&mut *self.0))?.is_some() {}
        Ok(true)
    }
}

/// Reads one JWK within another text: whatever is wrong with its inside is not wrong with that text.
pub(crate) struct ReadJwk<'f, F>(pub(crate) &'f mut F);

impl<'de, F: FnMut(Result<Jwk, KeyProblem>)> DeserializeSeed<'de> for ReadJwk<'_, F> {
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

impl<'de, F: FnMut(Result<Jwk, KeyProblem>)> Visitor<'de> for ReadJwk<'_, F> {
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
        while let Some(field) = map.next_key_seed(FieldName)? {
            match field {
                Field::Text(text) => *members.found(text) = map.next_value_seed(MaybeText)?,
                Field::KeyOps => members.key_ops = Some(map.next_value_seed(json::AnyMember)?),
                Field::X5c => members.x5c = Some(map.next_value_seed(json::AnyMember)?),
                Field::Private | Field::Other => {
                    members.private |= matches!(field, Field::Private);
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        (self.0)(members.public());
        Ok(())
    }
}

/// Reads the name of a member.
struct FieldName;

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Field, E> {
        Ok(Field::of(name))
    }
}

/// Reads a text, or tells that it is something else.
struct MaybeText;

impl<'de> DeserializeSeed<'de> for MaybeText {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! something_else {
    ($($method:ident: $type:ty)*) => {$(
        fn $method<E>(self, _: $type) -> Result<Found<'de>, E> {
            Ok(Found::SomethingElse)
        }
    )*};
}

impl<'de> Visitor<'de> for MaybeText {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Found<'de>, E> {
        Ok(Found::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Found<'de>, E> {
        Ok(Found::Text(Cow::Owned(text.to_owned())))
    }

    something_else! {
        visit_bool: bool
        visit_i64: i64
        visit_u64: u64
        visit_f64: f64
    }

    fn visit_unit<E>(self) -> Result<Found<'de>, E> {
        Ok(Found::SomethingElse)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Found<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::SomethingElse)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Found::SomethingElse)
    }
}

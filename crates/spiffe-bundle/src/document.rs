//! The text of a bundle document in one pass: nothing is copied but the keys.

use core::fmt;
use core::marker::PhantomData;
use std::borrow::Cow;

use base64_simd::{AsOut as _, URL_SAFE_NO_PAD};
use jose_x509::jwk::{Curve, Jwk};
use jose_x509::{Algorithm, Error as JoseError, KeyKind, KeyProblem, PublicKey};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

use crate::entry::{EntryProblem, Use};
use crate::error::Error;
use crate::parse::{MAX_KEYS, MAX_KID_LENGTH};

/// A member that may be there.
#[derive(Debug, Default)]
pub(crate) enum Found<T> {
    #[default]
    Absent,
    /// Of another type than it has to be.
    Wrong,
    Is(T),
}

/// A bundle document.
#[derive(Debug, Default)]
pub(crate) struct Document<'a> {
    sequence: Found<u64>,
    refresh_hint: Found<u64>,
    keys: Found<Entries<'a>>,
}

#[derive(Debug)]
struct Entries<'a> {
    first: Vec<Entry<'a>>,
    /// Those above the limit are counted and forgotten.
    count: usize,
}

/// A bundle map.
#[derive(Debug)]
pub(crate) struct BundleMap<'a> {
    pub(crate) trust_domains: Found<Documents<'a>>,
}

/// The bundles of a map by their names, as they were found.
#[derive(Debug)]
pub(crate) struct Documents<'a>(pub(crate) Vec<(Cow<'a, str>, Found<Document<'a>>)>);

/// The members of a document, of the right types.
pub(crate) struct Content<'a> {
    pub(crate) sequence: Option<u64>,
    pub(crate) refresh_hint: Option<u64>,
    pub(crate) entries: Vec<Entry<'a>>,
}

impl<'a> Document<'a> {
    pub(crate) fn content(self) -> Result<Content<'a>, Error> {
        let integer = |found, member| match found {
            Found::Absent => Ok(None),
            Found::Wrong => Err(Error::Member { member }),
            Found::Is(number) => Ok(Some(number)),
        };
        let sequence = integer(self.sequence, "spiffe_sequence")?;
        let refresh_hint = integer(self.refresh_hint, "spiffe_refresh_hint")?;
        let Found::Is(entries) = self.keys else {
            return Err(Error::Member { member: "keys" });
        };
        if entries.count > MAX_KEYS {
            return Err(Error::TooManyKeys { limit: MAX_KEYS });
        }
        Ok(Content {
            sequence,
            refresh_hint,
            entries: entries.first,
        })
    }
}

/// An entry of `keys`.
#[derive(Debug)]
pub(crate) enum Entry<'a> {
    /// This refuses the document.
    NotAnObject,
    /// And so does a private member.
    PrivateKey,
    /// What is wrong with this entry alone.
    Problem(EntryProblem),
    /// The key of an anchor, and its `x5c`.
    Anchor(Box<PublicKey>, Option<Field<'a>>),
    /// A key of this use, with what is published of it again and nothing else. In a box, because an entry is moved more
    /// often than it is made.
    Token(Use, Box<Jwk>),
}

/// The value of a member of an entry.
#[derive(Debug)]
pub(crate) enum Field<'a> {
    Text(Cow<'a, str>),
    Other(Box<Value>),
}

impl Field<'_> {
    fn to_value(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_ref()),
            Self::Other(value) => Value::clone(value),
        }
    }
}

/// The members of an entry that mean something here.
#[derive(Default)]
struct Members<'a> {
    kty: Option<Field<'a>>,
    crv: Option<Field<'a>>,
    x: Option<Field<'a>>,
    y: Option<Field<'a>>,
    n: Option<Field<'a>>,
    e: Option<Field<'a>>,
    kid: Option<Field<'a>>,
    key_use: Option<Field<'a>>,
    key_ops: Option<Field<'a>>,
    alg: Option<Field<'a>>,
    x5c: Option<Field<'a>>,
    x5t_s256: Option<Field<'a>>,
    private: bool,
}

fn text<'m>(field: Option<&'m Field<'_>>) -> Option<&'m str> {
    match field {
        Some(Field::Text(text)) => Some(text),
        _ => None,
    }
}

impl<'a> Members<'a> {
    /// Where a member of this name goes; nothing for names without a meaning.
    fn slot(&mut self, name: &str) -> Option<&mut Option<Field<'a>>> {
        Some(match name {
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
                return None;
            }
            _ => return None,
        })
    }

    fn entry(&mut self) -> Entry<'a> {
        if !matches!(text(self.kty.as_ref()), Some("RSA" | "EC" | "OKP")) {
            return Entry::Problem(EntryProblem::UnknownKeyType);
        }
        if self.private {
            return Entry::PrivateKey;
        }
        let Some(key_use) = text(self.key_use.as_ref()).and_then(Use::from_name) else {
            return Entry::Problem(EntryProblem::UnknownUse);
        };
        // What has no meaning for the use must not make the entry unusable.
        if key_use == Use::X509Svid {
            (self.kid, self.alg, self.key_ops) = (None, None, None);
        }
        let read = match (key_use, self.plain(key_use)) {
            (Use::X509Svid, Some(jwk)) => Ok(self.anchor(&jwk)),
            (Use::X509Svid, None) => self
                .general()
                .map_err(EntryProblem::Key)
                .map(|jwk| self.anchor(&jwk)),
            (token, Some(jwk)) => Ok(Entry::Token(token, Box::new(jwk))),
            (token, None) => self
                .general()
                .map_err(EntryProblem::Key)
                .and_then(|jwk| token_jwk(&jwk, token))
                .map(|jwk| Entry::Token(token, Box::new(jwk))),
        };
        read.unwrap_or_else(Entry::Problem)
    }

    fn anchor(&mut self, jwk: &Jwk) -> Entry<'a> {
        Entry::Anchor(Box::new(jwk.key().clone()), self.x5c.take())
    }

    /// An EC key as nearly all publishers write it, as [`general`](Self::general) and [`token_jwk`] would make it;
    /// nothing for what they have to judge.
    fn plain(&self, key_use: Use) -> Option<Jwk> {
        let unusual = [&self.n, &self.e, &self.key_ops, &self.x5t_s256];
        if text(self.kty.as_ref()) != Some("EC") || unusual.iter().any(|one| one.is_some()) {
            return None;
        }
        let curve = match text(self.crv.as_ref())? {
            "P-256" => Curve::P256,
            "P-384" => Curve::P384,
            _ => return None,
        };
        if let Some(alg) = &self.alg {
            let algorithm = Algorithm::from_name(text(Some(alg))?)?;
            if algorithm.key_kind() != curve.key_kind() {
                return None;
            }
        }
        let (x, y) = (text(self.x.as_ref())?, text(self.y.as_ref())?);
        let (mut x_place, mut y_place) = ([0; 48], [0; 48]);
        let x = octets(x, &mut x_place)?;
        let y = octets(y, &mut y_place)?;
        let key = PublicKey::from_coordinates(curve, x, y).ok()?;
        let jwk = Jwk::new(key).with_use(key_use.as_str());
        if key_use == Use::X509Svid {
            return Some(jwk);
        }
        let kid = text(self.kid.as_ref()).filter(|kid| is_name(kid))?;
        Some(jwk.with_kid(kid))
    }

    fn general(&self) -> Result<Jwk, KeyProblem> {
        let named = [
            ("kty", &self.kty),
            ("crv", &self.crv),
            ("x", &self.x),
            ("y", &self.y),
            ("n", &self.n),
            ("e", &self.e),
            ("kid", &self.kid),
            ("use", &self.key_use),
            ("key_ops", &self.key_ops),
            ("alg", &self.alg),
            ("x5t#S256", &self.x5t_s256),
        ];
        let members: Map<String, Value> = named
            .into_iter()
            .filter_map(|(name, field)| Some((name.to_owned(), field.as_ref()?.to_value())))
            .collect();
        Jwk::from_value(&Value::Object(members)).map_err(problem)
    }
}

/// Decodes what fits into `place`.
fn octets<'p>(text: &str, place: &'p mut [u8]) -> Option<&'p [u8]> {
    let len = URL_SAFE_NO_PAD.decoded_length(text.as_bytes()).ok()?;
    let place = place.get_mut(..len)?;
    URL_SAFE_NO_PAD
        .decode(text.as_bytes(), place.as_out())
        .ok()?;
    Some(place)
}

fn is_name(kid: &str) -> bool {
    !kid.is_empty() && kid.len() <= MAX_KID_LENGTH
}

/// What is kept of a key that verifies tokens: nothing that is not published again.
pub(crate) fn token_jwk(jwk: &Jwk, key_use: Use) -> Result<Jwk, EntryProblem> {
    let kid = jwk
        .kid()
        .filter(|kid| is_name(kid))
        .ok_or(EntryProblem::NoKid)?;
    // The nine algorithms of token SVIDs have no EdDSA.
    if jwk.key().kind() == KeyKind::Ed25519 {
        return Err(EntryProblem::KeyKind);
    }
    if !jwk.may_verify() {
        return Err(EntryProblem::Key(KeyProblem::Inconsistent));
    }
    let own = Jwk::new(jwk.key().clone())
        .with_kid(kid)
        .with_use(key_use.as_str());
    match (jwk.key().kind(), jwk.algorithm()) {
        (KeyKind::Rsa, Some(algorithm)) => own
            .with_algorithm(algorithm)
            .map_err(|error| EntryProblem::Key(problem(error))),
        _ => Ok(own),
    }
}

pub(crate) fn problem(error: JoseError) -> KeyProblem {
    match error {
        JoseError::InvalidKey { problem } => problem,
        _ => KeyProblem::Malformed,
    }
}

/// A string, borrowed from the text unless it has escapes.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// What is an array or an object, and can say that it is neither.
trait Parts<'de>: Sized {
    fn wrong() -> Self;

    fn from_seq<A: SeqAccess<'de>>(mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::wrong())
    }

    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::wrong())
    }
}

struct Reader<T>(PhantomData<T>);

macro_rules! wrong {
    ($($method:ident: $type:ty)*) => {$(
        fn $method<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok(T::wrong())
        }
    )*};
}

impl<'de, T: Parts<'de>> Visitor<'de> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    wrong! {
        visit_bool: bool
        visit_i64: i64
        visit_u64: u64
        visit_f64: f64
        visit_str: &str
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::wrong())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<T, A::Error> {
        T::from_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::from_map(map)
    }
}

impl<'de: 'a, 'a> Parts<'de> for Found<Entries<'a>> {
    fn wrong() -> Self {
        Self::Wrong
    }

    fn from_seq<A: SeqAccess<'de>>(mut seq: A) -> Result<Self, A::Error> {
        let (mut first, mut count) = (Vec::new(), 0_usize);
        while let Some(entry) = seq.next_element()? {
            count = count.saturating_add(1);
            if count <= MAX_KEYS {
                first.push(entry);
            }
        }
        Ok(Self::Is(Entries { first, count }))
    }
}

impl<'de: 'a, 'a> Parts<'de> for Entry<'a> {
    fn wrong() -> Self {
        Self::NotAnObject
    }

    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut members = Members::default();
        while let Some(name) = map.next_key_seed(Text)? {
            match members.slot(&name) {
                Some(slot) => *slot = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(members.entry())
    }
}

impl<'de: 'a, 'a> Parts<'de> for Found<Document<'a>> {
    fn wrong() -> Self {
        Self::Wrong
    }

    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let integer = |value: Value| value.as_u64().map_or(Found::Wrong, Found::Is);
        let mut document = Document::default();
        while let Some(name) = map.next_key_seed(Text)? {
            match name.as_ref() {
                "spiffe_sequence" => document.sequence = integer(map.next_value()?),
                "spiffe_refresh_hint" => document.refresh_hint = integer(map.next_value()?),
                "keys" => document.keys = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Self::Is(document))
    }
}

impl<'de: 'a, 'a> Parts<'de> for Found<Documents<'a>> {
    fn wrong() -> Self {
        Self::Wrong
    }

    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut documents = Vec::new();
        while let Some(name) = map.next_key_seed(Text)? {
            documents.push((name, map.next_value()?));
        }
        Ok(Self::Is(Documents(documents)))
    }
}

impl<'de: 'a, 'a> Parts<'de> for Found<BundleMap<'a>> {
    fn wrong() -> Self {
        Self::Wrong
    }

    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut trust_domains = Found::Absent;
        while let Some(name) = map.next_key_seed(Text)? {
            match name.as_ref() {
                "trust_domains" => trust_domains = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Self::Is(BundleMap { trust_domains }))
    }
}

macro_rules! deserialize {
    ($($type:ty)*) => {$(
        impl<'de: 'a, 'a> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Reader(PhantomData))
            }
        }
    )*};
}

deserialize! {
    Entry<'a>
    Found<Entries<'a>>
    Found<Document<'a>>
    Found<Documents<'a>>
}

/// A text that has to be an object.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Parts<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader(PhantomData)).map(Self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyField)
    }
}

/// Reads a [`Field`].
struct AnyField;

macro_rules! scalars {
    ($($method:ident: $type:ty)*) => {$(
        fn $method<E>(self, value: $type) -> Result<Field<'de>, E> {
            Ok(Field::Other(Box::new(value.into())))
        }
    )*};
}

impl<'de> Visitor<'de> for AnyField {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    scalars! {
        visit_bool: bool
        visit_i64: i64
        visit_u64: u64
        visit_f64: f64
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Field<'de>, E> {
        Ok(Field::Other(Box::new(Value::Null)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Field<'de>, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(seq)).map(|value| Field::Other(value.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field<'de>, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(map)).map(|value| Field::Other(value.into()))
    }
}

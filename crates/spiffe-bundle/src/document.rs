//! The text of a bundle document in one pass: nothing is copied but the keys.

use std::borrow::Cow;

use base64_simd::{AsOut as _, URL_SAFE_NO_PAD};
use jose_x509::jwk::{Curve, Jwk};
use jose_x509::{Algorithm, Error as JoseError, KeyKind, KeyProblem, PublicKey};
use serde_json::{Map, Value};

use crate::entry::{EntryProblem, Use};
use crate::error::Error;
use crate::parse::{MAX_KEYS, MAX_KID_LENGTH};

mod visit;

pub(crate) use visit::Object;

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

/// The entries of `keys`, each with its place.
#[derive(Debug, Default)]
pub(crate) struct Entries<'a> {
    /// The keys that verify tokens, with what is published of them again and nothing else. They lie apart from their
    /// places and uses, so that they are handed on as they are.
    pub(crate) jwks: Vec<Jwk>,
    pub(crate) tokens: Vec<(usize, Use)>,
    pub(crate) others: Vec<(usize, Entry<'a>)>,
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
    pub(crate) entries: Entries<'a>,
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
            entries,
        })
    }
}

/// An entry of `keys` that is not the key of a token.
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

    fn add_to(&mut self, entries: &mut Entries<'a>) {
        match self.token() {
            Ok((key_use, jwk)) => {
                entries.jwks.push(jwk);
                entries.tokens.push((entries.count, key_use));
            }
            Err(other) => entries.others.push((entries.count, other)),
        }
    }

    /// The key of a token, or what the entry is instead.
    fn token(&mut self) -> Result<(Use, Jwk), Entry<'a>> {
        if !matches!(text(self.kty.as_ref()), Some("RSA" | "EC" | "OKP")) {
            return Err(Entry::Problem(EntryProblem::UnknownKeyType));
        }
        if self.private {
            return Err(Entry::PrivateKey);
        }
        let Some(key_use) = text(self.key_use.as_ref()).and_then(Use::from_name) else {
            return Err(Entry::Problem(EntryProblem::UnknownUse));
        };
        // What has no meaning for the use must not make the entry unusable.
        if key_use == Use::X509Svid {
            (self.kid, self.alg, self.key_ops) = (None, None, None);
        }
        if let Some(jwk) = self.plain(key_use) {
            return match key_use {
                Use::X509Svid => Err(self.anchor(&jwk)),
                token => Ok((token, jwk)),
            };
        }
        let jwk = self
            .general()
            .map_err(|problem| Entry::Problem(EntryProblem::Key(problem)))?;
        match key_use {
            Use::X509Svid => Err(self.anchor(&jwk)),
            token => token_jwk(&jwk, token)
                .map(|jwk| (token, jwk))
                .map_err(Entry::Problem),
        }
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

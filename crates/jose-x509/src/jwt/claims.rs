//! The registered claims, exact and without coercion.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::json::{self, AnyMember, JsonErrorKind, Member, Members};
use crate::jws::{Header, UnverifiedJws, VerifiedJws};
use crate::jwt::confirmation::{Confirmation, ReadConfirmation};
use crate::jwt::string_or_uri::is_string_or_uri;
use crate::key::VerifyingKey;
use crate::text::Text;

/// The latest accepted time: 9999-12-31T23:59:59Z.
pub const MAX_NUMERIC_DATE: u64 = 253_402_300_799;

/// A time in seconds since 1970-01-01T00:00:00Z, and whether a fraction was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumericDate {
    seconds: u64,
    fraction: bool,
}

impl NumericDate {
    /// Whole seconds, rounded down: right for an end.
    #[must_use]
    pub const fn floor(self) -> u64 {
        self.seconds
    }

    /// Whole seconds, rounded up: right for a beginning.
    #[must_use]
    pub const fn ceil(self) -> u64 {
        if self.fraction {
            self.seconds.saturating_add(1)
        } else {
            self.seconds
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the range is checked first, and everything in it is exact in an f64"
    )]
    pub(crate) fn of(member: &Member<'_>) -> Option<Self> {
        match member {
            Member::Unsigned(seconds) if *seconds <= MAX_NUMERIC_DATE => Some(Self {
                seconds: *seconds,
                fraction: false,
            }),
            Member::Float(number) if *number >= 0.0 && *number <= MAX_NUMERIC_DATE as f64 => {
                Some(Self {
                    seconds: number.floor() as u64,
                    fraction: number.fract() > 0.0,
                })
            }
            _ => None,
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct Registered {
    pub(super) iss: Option<Text>,
    pub(super) sub: Option<Text>,
    pub(super) aud: Audiences,
    pub(super) exp: Option<NumericDate>,
    pub(super) nbf: Option<NumericDate>,
    pub(super) iat: Option<NumericDate>,
    pub(super) jti: Option<Text>,
    /// What `cnf` was found to be; apart, because it is large and few tokens have it.
    pub(super) cnf: Option<Result<Box<Confirmation>, Error>>,
    /// One bit for each of the claims that were asked for by position.
    pub(super) present: u64,
    /// Whether `iss`, `sub` and `aud` are there and no StringOrURI.
    pub(super) unlike_names: [bool; 3],
}

/// The values of `aud`; a single one needs no allocation.
#[derive(Clone, Default)]
pub(super) struct Audiences {
    first: Option<Text>,
    others: Vec<Text>,
}

impl Audiences {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Text> {
        self.first.iter().chain(&self.others)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn is_single(&self) -> bool {
        self.others.is_empty()
    }
}

/// Longest `jti` that is read, in octets.
pub const MAX_JTI: usize = 256;

/// Claims of one kind of token beside the registered ones, read in the same pass over the payload by
/// [`Validator::validate_with`](crate::jwt::Validator::validate_with).
pub trait ReadClaims: Default {
    /// Takes the value of the claim `name` from `map` and returns `true`, or leaves it there and returns `false`. It is
    /// asked for every claim but `iss`, `sub`, `aud`, `exp`, `nbf`, `iat`, `jti` and `cnf`, once for each.
    ///
    /// The rules of [`json`](crate::json) hold for all that is taken. Nothing is judged here: the other claims
    /// may be wrong, so a value of a wrong type is noted and told later.
    ///
    /// # Errors
    ///
    /// Those of `map`.
    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// The value of a claim if it is a text, for [`ReadClaims::read`]; a value of another type is taken, too.
///
/// # Errors
///
/// Those of `map`.
pub fn next_text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Cow<'de, str>>, A::Error> {
    Ok(match map.next_value_seed(AnyMember)? {
        Member::Text(text) => Some(text),
        _ => None,
    })
}

/// None.
impl ReadClaims for () {
    fn read<'de, A: MapAccess<'de>>(&mut self, _: &str, _: &mut A) -> Result<bool, A::Error> {
        Ok(false)
    }
}

impl Registered {
    /// Reads the claims, and those of a kind of token into `own`; `wanted` are up to 64 names whose presence is noted,
    /// and `undefined` registered ones that mean nothing in this kind.
    ///
    /// Into places that are there, because all of it would be moved several times on its way out.
    pub(super) fn read<C: ReadClaims>(
        &mut self,
        own: &mut C,
        payload: &[u8],
        limits: &json::Limits,
        wanted: &[&'static str],
        undefined: &[&'static str],
    ) -> Result<(), Error> {
        let mut reading = Reading {
            claims: self,
            own,
            wanted,
            undefined,
            payload,
            wrong: None,
        };
        json::read_members(payload, limits, &mut reading).map_err(|source| {
            match source.kind() {
                JsonErrorKind::TooLarge => Error::TooLarge {
                    what: "claims set",
                    limit: limits.bytes,
                },
                _ => Error::Json {
                    what: "claims set",
                    source,
                },
            }
        })?;
        match reading.wrong {
            Some(claim) => Err(Error::ClaimType { claim }),
            None => Ok(()),
        }
    }

    fn take(&mut self, name: &str, value: Member<'_>, base: &[u8]) -> Result<(), &'static str> {
        let text = |value, claim, max: usize| match value {
            Member::Text(text) if !text.is_empty() && text.len() <= max => {
                Ok(Some(Text::of(text, base)))
            }
            _ => Err(claim),
        };
        let date = |value: &Member<'_>, claim| NumericDate::of(value).map(Some).ok_or(claim);
        let unlike_name = |value: &Member<'_>| match value {
            Member::Text(text) => !is_string_or_uri(text),
            _ => false,
        };
        let [iss, sub, aud] = &mut self.unlike_names;
        match name {
            "iss" => {
                *iss = unlike_name(&value);
                self.iss = text(value, "iss", usize::MAX)?;
            }
            "sub" => {
                *sub = unlike_name(&value);
                self.sub = text(value, "sub", usize::MAX)?;
            }
            "jti" => self.jti = text(value, "jti", MAX_JTI)?,
            "exp" => self.exp = date(&value, "exp")?,
            "nbf" => self.nbf = date(&value, "nbf")?,
            "iat" => self.iat = date(&value, "iat")?,
            "aud" => {
                let (first, others) = match value {
                    Member::Text(one) => (Some(one), Vec::new()),
                    Member::Texts(first, others) => (first, others),
                    _ => return Err("aud"),
                };
                let mut all = first.iter().chain(&others);
                if all.clone().any(|one| one.is_empty()) || first.is_none() {
                    return Err("aud");
                }
                *aud = all.any(|one| !is_string_or_uri(one));
                self.aud = Audiences {
                    first: first.map(|one| Text::of(one, base)),
                    others: others.into_iter().map(|one| Text::of(one, base)).collect(),
                };
            }
            _ => {}
        }
        Ok(())
    }
}

/// The claims on their way from a payload.
struct Reading<'r, C> {
    claims: &'r mut Registered,
    own: &'r mut C,
    wanted: &'r [&'static str],
    undefined: &'r [&'static str],
    payload: &'r [u8],
    /// The first claim of a wrong type.
    wrong: Option<&'static str>,
}

impl<'de, C: ReadClaims> Members<'de> for Reading<'_, C> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if self.undefined.contains(&name) {
            map.next_value::<IgnoredAny>()?;
            return Ok(());
        }
        if let Some(position) = self.wanted.iter().position(|wanted| *wanted == name) {
            self.claims.present |= bit(position);
        }
        match name {
            "cnf" => self.claims.cnf = Some(map.next_value_seed(ReadConfirmation)?),
            "iss" | "sub" | "aud" | "exp" | "nbf" | "iat" | "jti" => {
                let value = map.next_value_seed(AnyMember)?;
                if let Err(claim) = self.claims.take(name, value, self.payload) {
                    self.wrong.get_or_insert(claim);
                }
            }
            _ => {
                if !self.own.read(name, map)? {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn restart(&mut self) {
        *self.claims = Registered::default();
        *self.own = C::default();
        self.wrong = None;
    }
}

/// The bit of [`Registered::present`] for a position.
pub(super) fn bit(position: usize) -> u64 {
    u32::try_from(position)
        .ok()
        .and_then(|position| 1_u64.checked_shl(position))
        .unwrap_or(0)
}

/// A JWT whose signature and claims were checked by a [`Validator`](crate::jwt::Validator).
///
/// `B` holds its bytes: a `Vec<u8>` of its own, or a slice of the buffer that was given to
/// [`Validator::validate_in`](crate::jwt::Validator::validate_in).
pub struct Jwt<B = Vec<u8>> {
    pub(super) jws: VerifiedJws<B>,
    pub(super) registered: Registered,
}

impl<B: AsRef<[u8]>> Jwt<B> {
    fn text<'a>(&'a self, text: Option<&'a Text>) -> Option<&'a str> {
        text.map(|text| text.get(self.jws.payload()))
    }

    /// `iss`.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.text(self.registered.iss.as_ref())
    }

    /// `sub`.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.text(self.registered.sub.as_ref())
    }

    /// `aud`, one or several.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.registered
            .aud
            .iter()
            .map(|one| one.get(self.jws.payload()))
    }

    /// `jti`.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.text(self.registered.jti.as_ref())
    }

    /// `exp` in seconds since the epoch, rounded down.
    #[must_use]
    pub fn expires(&self) -> Option<u64> {
        self.registered.exp.map(NumericDate::floor)
    }

    /// `iat` in seconds since the epoch, rounded down.
    #[must_use]
    pub fn issued_at(&self) -> Option<u64> {
        self.registered.iat.map(NumericDate::floor)
    }

    /// `nbf` in seconds since the epoch, rounded up.
    #[must_use]
    pub fn not_before(&self) -> Option<u64> {
        self.registered.nbf.map(NumericDate::ceil)
    }

    /// `cnf`, which proves nothing until the presenter has proven possession of its key.
    #[must_use]
    pub fn confirmation(&self) -> Option<&Confirmation> {
        match &self.registered.cnf {
            Some(Ok(confirmation)) => Some(confirmation),
            // A token with any other was refused.
            _ => None,
        }
    }

    /// The protected header.
    #[must_use]
    pub fn header(&self) -> Header<'_> {
        self.jws.header()
    }

    /// The key that verified the signature.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        self.jws.key()
    }

    /// The claims as the caller's type, which may borrow from this token.
    ///
    /// # Errors
    ///
    /// [`Error::ClaimsShape`].
    pub fn claims<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        json::again(self.jws.payload()).ok_or(Error::ClaimsShape)
    }

    /// All claims, untouched.
    ///
    /// # Errors
    ///
    /// [`Error::ClaimsShape`]; not for a token that was validated.
    pub fn claims_map(&self) -> Result<Map<String, Value>, Error> {
        self.claims()
    }
}

/// Enough to find the token again, and nothing that could be used in its place.
impl<B: AsRef<[u8]>> fmt::Debug for Jwt<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("typ", &self.header().typ())
            .field("sub", &self.subject())
            .field("jti", &self.id())
            .finish_non_exhaustive()
    }
}

/// What an unverified token says of its issuer and subject: enough to choose the keys, and nothing
/// to act upon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnverifiedClaims {
    /// `iss`.
    pub unverified_issuer: Option<String>,
    /// `sub`.
    pub unverified_subject: Option<String>,
}

/// Reads `iss` and `sub` of a token before its verification, to choose the key source by them.
/// After verification the same claims have to be compared with what that source stands for.
///
/// # Errors
///
/// [`Error::Json`], [`Error::TooLarge`], [`Error::ClaimType`].
pub fn peek_claims<B: AsRef<[u8]>>(jws: &UnverifiedJws<'_, B>) -> Result<UnverifiedClaims, Error> {
    let payload = jws.unverified_payload();
    let mut claims = Registered::default();
    claims.read(&mut (), payload, &json::Limits::CLAIMS, &[], &[])?;
    let own = |text: Option<&Text>| text.map(|text| text.get(payload).to_owned());
    Ok(UnverifiedClaims {
        unverified_issuer: own(claims.iss.as_ref()),
        unverified_subject: own(claims.sub.as_ref()),
    })
}

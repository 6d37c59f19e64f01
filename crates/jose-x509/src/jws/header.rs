//! The protected header: what is understood, what is refused.

use std::borrow::Cow;
use std::fmt;

use pki_types::CertificateDer;

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::error::Error;
use crate::json::{self, JsonErrorKind, Member};
use crate::jwk::{self, Jwk, PublicKey};
use crate::key::VerifyingKey;
use crate::text::Text;
use crate::x509::Certificate;

/// What a profile accepts in the header beyond `alg`, `kid`, `typ` and `cty`.
///
/// The default accepts no `crit` and no key material.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderRules {
    /// Extensions that the caller implements and that `crit` may therefore name.
    pub understood: &'static [&'static str],
    /// Whether `jwk` may be present. It never selects a trusted key by itself; the caller reads it
    /// from [`Header::raw`].
    pub allow_jwk: bool,
    /// Whether `x5c` may be present, with the same promise; see
    /// [`CertificateKeys`](super::CertificateKeys).
    pub allow_x5c: bool,
    /// Whether `kid` must be visible ASCII, for key names that people or other systems compare.
    pub visible_ascii_kid: bool,
}

/// Names that `crit` must not have: those of RFC 7515 and RFC 7518.
const STANDARD: [&str; 18] = [
    "alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit", "epk",
    "apu", "apv", "iv", "tag", "enc", "zip",
];
const STANDARD_PBES2: [&str; 2] = ["p2s", "p2c"];
pub(crate) const MAX_CRIT: usize = 8;
const MAX_KID: usize = 256;

/// Whether RFC 7515 to 7518 define this header parameter.
pub(crate) fn is_standard(name: &str) -> bool {
    STANDARD.contains(&name) || STANDARD_PBES2.contains(&name)
}

/// An opaque name of bounded length.
pub(crate) fn is_kid(kid: &str) -> bool {
    // Told for many bytes at a time; other characters are looked at one by one.
    let plain = kid
        .bytes()
        .fold(true, |all, byte| all & matches!(byte, b' '..=b'~'));
    kid.len() <= MAX_KID && (plain || !kid.chars().any(char::is_control))
}

fn is_visible_ascii_kid(kid: &str) -> bool {
    is_kid(kid) && kid.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What was read from a header; text lies in the token's buffer.
pub(super) struct Parsed {
    pub(super) algorithm: Algorithm,
    kid: Option<Text>,
    typ: Option<Text>,
    cty: Option<Text>,
    /// Whether `jwk`, `x5c` or `x5t#S256` say something about the key.
    hints: bool,
    /// Whether there are members besides the four above.
    others: bool,
}

/// A view of a protected header. Until the signature is verified it is what the sender claims.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    parsed: &'a Parsed,
    json: &'a [u8],
}

impl<'a> Header<'a> {
    pub(super) fn new(parsed: &'a Parsed, json: &'a [u8]) -> Self {
        Self { parsed, json }
    }

    /// `alg`.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.parsed.algorithm
    }

    /// `kid`: an opaque name of at most 256 bytes without control characters.
    #[must_use]
    pub fn kid(&self) -> Option<&'a str> {
        self.parsed.kid.as_ref().map(|text| text.get(self.json))
    }

    /// `typ` as it stands.
    #[must_use]
    pub fn typ(&self) -> Option<&'a str> {
        self.parsed.typ.as_ref().map(|text| text.get(self.json))
    }

    pub(crate) fn has_typ(&self) -> bool {
        self.parsed.typ.is_some()
    }

    /// `cty` as it stands.
    #[must_use]
    pub fn cty(&self) -> Option<&'a str> {
        self.parsed.cty.as_ref().map(|text| text.get(self.json))
    }

    /// Whether there are members besides `alg`, `kid`, `typ` and `cty`; [`members`](Self::members) has them.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.parsed.others
    }

    /// Whether `typ` names this media type: compared without case, `application/` added where
    /// either has no `/` (RFC 7515 section 4.1.9).
    #[must_use]
    pub fn is_type(&self, expected: &str) -> bool {
        let typ = self.parsed.typ.as_ref();
        typ.is_some_and(|typ| same_media_type(typ.bytes(self.json), expected))
    }

    /// Whether `cty` names this media type, compared as `typ` is; `JWT` means a token inside.
    #[must_use]
    pub fn is_content_type(&self, expected: &str) -> bool {
        let cty = self.parsed.cty.as_ref();
        cty.is_some_and(|cty| same_media_type(cty.bytes(self.json), expected))
    }

    /// `x5c`: the certificates, that of the key first. Nothing about them is checked here but their
    /// number, which is 1 to 8, and their encoding: standard base64 with padding.
    ///
    /// # Errors
    ///
    /// [`Error::HeaderType`].
    pub fn certificates(&self) -> Result<Option<Vec<CertificateDer<'static>>>, Error> {
        match self.members()?.get("x5c") {
            None => Ok(None),
            Some(x5c) => jwk::certificates(&Member::of(x5c))
                .map(Some)
                .ok_or(Error::HeaderType { name: "x5c" }),
        }
    }

    /// RFC 7515 section 6: whatever else the header says of its key has to be true of `key`.
    pub(super) fn check_hints(&self, key: &VerifyingKey) -> Result<(), Error> {
        if !self.parsed.hints {
            return Ok(());
        }
        let members = self.members()?;
        let known = key.jwk();
        let agrees = |name, agrees| match agrees {
            true => Ok(()),
            false => Err(Error::ContradictoryKeys { name }),
        };
        if let Some(jwk) = members.get("jwk") {
            agrees("jwk", Jwk::from_value(jwk)?.key() == known.key())?;
        }
        let chain = self.certificates()?;
        let leaf = chain.as_ref().and_then(|chain| chain.first());
        if let Some(leaf) = leaf {
            let certificate = Certificate::parse(leaf)?;
            let certified = PublicKey::from_spki_der(certificate.spki_der())?;
            agrees("x5c", certified == *known.key())?;
        }
        if let Some(value) = members.get("x5t#S256") {
            let named: [u8; 32] = value
                .as_str()
                .and_then(|text| base64url::decode_array(text, "header").ok())
                .ok_or(Error::HeaderType { name: "x5t#S256" })?;
            let is = |certificate: &CertificateDer<'_>| key.provider().sha256(certificate) == named;
            let configured = known.certificates().first();
            let known = known.certificate_thumbprint();
            agrees(
                "x5t#S256",
                leaf.is_none_or(is)
                    && configured.is_none_or(is)
                    && known.is_none_or(|x| *x == named),
            )?;
        }
        Ok(())
    }

    /// The header's JSON text, for parameters that a profile defines.
    #[must_use]
    pub fn raw(&self) -> &'a str {
        core::str::from_utf8(self.json).unwrap_or_default()
    }

    /// All members.
    ///
    /// # Errors
    ///
    /// [`Error::Json`]; not for a header that was parsed.
    pub fn members(&self) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
        json::object(self.json, &json::Limits::HEADER).map_err(|source| Error::Json {
            what: "header",
            source,
        })
    }
}

pub(crate) fn same_media_type(found: &[u8], expected: &str) -> bool {
    fn bare(name: &[u8]) -> &[u8] {
        let prefix = b"application/";
        match name.split_at_checked(prefix.len()) {
            Some((head, rest)) if head.eq_ignore_ascii_case(prefix) && !rest.contains(&b'/') => {
                rest
            }
            _ => name,
        }
    }
    // As nearly everybody writes it.
    found == expected.as_bytes()
        || (!found.contains(&b';') && bare(found).eq_ignore_ascii_case(bare(expected.as_bytes())))
}

/// Without the other members, of which some are large and none is known here.
impl fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("algorithm", &self.algorithm())
            .field("kid", &self.kid())
            .field("typ", &self.typ())
            .finish_non_exhaustive()
    }
}

impl Parsed {
    pub(super) fn read(bytes: &[u8], rules: &HeaderRules, limit: usize) -> Result<Self, Error> {
        let parsed = json::read_object(
            bytes,
            &json::Limits::HEADER.with_bytes(limit),
            |parsed: &mut Found<'_>, name, value| match name {
                "alg" => parsed.alg = Some(text_only(value)),
                "kid" => parsed.kid = Some(text_only(value)),
                "typ" => parsed.typ = Some(text_only(value)),
                "cty" => parsed.cty = Some(text_only(value)),
                _ => parsed.other(name, value, rules),
            },
        )
        .map_err(|source| match source.kind() {
            JsonErrorKind::TooLarge => Error::TooLarge {
                what: "header",
                limit,
            },
            _ => Error::Json {
                what: "header",
                source,
            },
        })?;
        if parsed.b64 {
            return Err(Error::UnencodedPayload);
        }
        if parsed.enc {
            return Err(Error::EncryptedNotSigned);
        }
        if let Some(name) = parsed.key_material {
            return Err(Error::HeaderKeyMaterial { name });
        }
        if let Some(crit) = parsed.crit {
            check_crit(crit, bytes, rules)?;
        }
        let algorithm = match parsed.alg {
            None => return Err(Error::MissingHeader { name: "alg" }),
            Some(None) => return Err(Error::HeaderType { name: "alg" }),
            Some(Some(name)) => Algorithm::from_name(&name).ok_or(Error::UnsupportedAlgorithm)?,
        };
        let text = |name: &'static str,
                    value: Option<Option<Cow<'_, str>>>,
                    accept: fn(&str) -> bool| match value {
            None => Ok(None),
            Some(Some(text)) if accept(&text) => Ok(Some(Text::of(text, bytes))),
            Some(_) => Err(Error::HeaderType { name }),
        };
        let kid = if rules.visible_ascii_kid {
            is_visible_ascii_kid
        } else {
            is_kid
        };
        Ok(Self {
            algorithm,
            kid: text("kid", parsed.kid, kid)?,
            typ: text("typ", parsed.typ, |_| true)?,
            cty: text("cty", parsed.cty, |_| true)?,
            hints: parsed.hints,
            others: parsed.others,
        })
    }
}

#[derive(Default)]
struct Found<'a> {
    alg: Option<Option<Cow<'a, str>>>,
    kid: Option<Option<Cow<'a, str>>>,
    typ: Option<Option<Cow<'a, str>>>,
    cty: Option<Option<Cow<'a, str>>>,
    crit: Option<Member<'a>>,
    b64: bool,
    enc: bool,
    hints: bool,
    key_material: Option<&'static str>,
    others: bool,
}

impl<'a> Found<'a> {
    /// Notes a member besides `alg`, `kid`, `typ` and `cty`.
    fn other(&mut self, name: &str, value: Member<'a>, rules: &HeaderRules) {
        self.others = true;
        match name {
            "crit" => self.crit = Some(value),
            "b64" => self.b64 = true,
            "enc" => self.enc = true,
            "jku" => self.key_material = Some("jku"),
            "x5u" => self.key_material = Some("x5u"),
            "jwk" if !rules.allow_jwk => self.key_material = Some("jwk"),
            "x5c" if !rules.allow_x5c => self.key_material = Some("x5c"),
            "jwk" | "x5c" | "x5t#S256" => self.hints = true,
            _ => {}
        }
    }
}

/// The text, or `None` for a value of another type.
fn text_only(value: Member<'_>) -> Option<Cow<'_, str>> {
    match value {
        Member::Text(text) => Some(text),
        _ => None,
    }
}

/// RFC 7515 section 4.1.11.
fn check_crit(crit: Member<'_>, header: &[u8], rules: &HeaderRules) -> Result<(), Error> {
    let Member::Texts(first, mut names) = crit else {
        return Err(Error::InvalidCritical);
    };
    names.extend(first);
    let repeated = names
        .iter()
        .enumerate()
        .any(|(i, name)| names.iter().skip(i + 1).any(|other| other == name));
    let standard = names.iter().any(|name| is_standard(name));
    if names.is_empty() || names.len() > MAX_CRIT || repeated || standard {
        return Err(Error::InvalidCritical);
    }
    let present = json::read_object(
        header,
        &json::Limits::HEADER.with_bytes(header.len()),
        |present: &mut usize, name, _| {
            *present += usize::from(names.iter().any(|critical| critical == name));
        },
    )
    .map_err(|source| Error::Json {
        what: "header",
        source,
    })?;
    if present != names.len() {
        return Err(Error::InvalidCritical);
    }
    if names
        .iter()
        .any(|name| !rules.understood.contains(&name.as_ref()))
    {
        return Err(Error::UnsupportedCritical);
    }
    Ok(())
}

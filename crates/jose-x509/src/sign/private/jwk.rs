//! Private JWKs (RFC 7518 section 6.2.2 and 6.3.2, RFC 8037 section 2).

use std::borrow::Cow;

use super::{
    Algorithm, Ec, Error, Jwk, KeyKind, KeyProblem, MALFORMED, OctetStringRef, PublicKey, Rsa,
    UNSUPPORTED, Zeroizing, encode, oid, parse,
};
use crate::base64url;
use crate::json;
use der::Decode;
use spki::AlgorithmIdentifierRef;

/// Above any key that is accepted: RSA of 8192 bits.
const MAX_JWK: usize = 16 * 1024;

/// What a private JWK says.
pub(crate) struct PrivateJwk {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    pub(crate) public: PublicKey,
    pub(crate) pkcs8: Zeroizing<Vec<u8>>,
}

/// The private members, borrowed: the text is the caller's, and no copy of it is left behind.
#[derive(serde::Deserialize)]
struct Secrets<'a> {
    #[serde(borrow)]
    d: Cow<'a, str>,
    #[serde(borrow)]
    p: Option<Cow<'a, str>>,
    #[serde(borrow)]
    q: Option<Cow<'a, str>>,
    #[serde(borrow)]
    dp: Option<Cow<'a, str>>,
    #[serde(borrow)]
    dq: Option<Cow<'a, str>>,
    #[serde(borrow)]
    qi: Option<Cow<'a, str>>,
    oth: Option<serde::de::IgnoredAny>,
}

impl PrivateJwk {
    pub(crate) fn read(text: &[u8]) -> Result<Self, Error> {
        let limits = json::Limits::HEADER.with_bytes(MAX_JWK);
        let secrets: Secrets<'_> = json::from_slice(text, &limits).map_err(|source| {
            if source.kind() == json::JsonErrorKind::Shape {
                member("d")
            } else {
                Error::Json {
                    what: "JWK",
                    source,
                }
            }
        })?;
        let public = crate::jwk::parse::public_half(text)?;
        let algorithm = match (public.algorithm(), public.key().kind()) {
            (Some(algorithm), _) => algorithm,
            (None, KeyKind::Rsa) => return Err(member("alg")),
            (None, KeyKind::Ed25519) => Algorithm::Ed25519,
            (None, _) => public.key().curve().ok_or(UNSUPPORTED)?.algorithm(),
        };
        if !public.may_sign() {
            return Err(Error::InvalidKey {
                problem: KeyProblem::Inconsistent,
            });
        }
        let key = public.key();
        let d = octets("d", &secrets.d)?;
        let pkcs8 = match key.curve() {
            Some(curve) => Ec::new(curve, &d)?.to_pkcs8()?,
            None if key.kind() == KeyKind::Ed25519 => ed25519_to_pkcs8(&d)?,
            None => secrets.rsa_to_pkcs8(key, &d)?,
        };
        Ok(Self {
            algorithm,
            kid: public.kid().map(str::to_owned),
            public: key.clone(),
            pkcs8,
        })
    }
}

impl Secrets<'_> {
    fn rsa_to_pkcs8(&self, public: &PublicKey, d: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let crate::jwk::KeyMaterial::Rsa { n, e } = public.material() else {
            return Err(UNSUPPORTED);
        };
        if self.oth.is_some() {
            return Err(UNSUPPORTED);
        }
        let part =
            |name, text: &Option<Cow<'_, str>>| octets(name, text.as_deref().ok_or(member(name))?);
        let (p, q) = (part("p", &self.p)?, part("q", &self.q)?);
        let (dp, dq, qi) = (
            part("dp", &self.dp)?,
            part("dq", &self.dq)?,
            part("qi", &self.qi)?,
        );
        Rsa {
            n,
            e,
            d,
            p: &p,
            q: &q,
            dp: &dp,
            dq: &dq,
            qi: &qi,
        }
        .to_pkcs8()
        .map_err(|_| MALFORMED)
    }
}

const fn member(name: &'static str) -> Error {
    Error::InvalidKey {
        problem: KeyProblem::Member(name),
    }
}

fn octets(name: &'static str, text: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    match base64url::decode(text, "key") {
        Ok(bytes) if !bytes.is_empty() => Ok(Zeroizing::new(bytes)),
        _ => Err(member(name)),
    }
}

/// The seed is an OCTET STRING inside the OCTET STRING (RFC 8410 section 7).
fn ed25519_to_pkcs8(seed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    if seed.len() != 32 {
        return Err(member("d"));
    }
    let inner = Zeroizing::new([[0x04, 0x20].as_slice(), seed].concat());
    let algorithm = AlgorithmIdentifierRef {
        oid: oid::ED25519,
        parameters: None,
    };
    encode(algorithm, &inner)
}

/// Writes a private key as a JWK.
pub(crate) fn to_jwk(public: &Jwk, pkcs8: &[u8]) -> Result<Zeroizing<String>, Error> {
    // Room for the longest key, so that no outgrown copy is left behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_JWK));
    text.push_str(&public.to_value().to_string());
    text.pop();
    let mut put = |name: &str, secret: &[u8]| {
        let secret = Zeroizing::new(base64url::encode(secret));
        text.extend([",\"", name, "\":\"", secret.as_str(), "\""]);
    };
    let info = parse(pkcs8)?;
    let inner = info.private_key.as_bytes();
    match public.key().kind() {
        KeyKind::Ed25519 => {
            put(
                "d",
                <&OctetStringRef>::from_der(inner)
                    .map_err(|_| MALFORMED)?
                    .as_bytes(),
            );
        }
        KeyKind::Rsa => {
            let key = pkcs1::RsaPrivateKeyRef::from_der(inner).map_err(|_| MALFORMED)?;
            put("d", key.private_exponent.as_bytes());
            put("p", key.prime1.as_bytes());
            put("q", key.prime2.as_bytes());
            put("dp", key.exponent1.as_bytes());
            put("dq", key.exponent2.as_bytes());
            put("qi", key.coefficient.as_bytes());
        }
        KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => {
            put("d", Ec::from_info(&info)?.scalar());
        }
    }
    text.push('}');
    Ok(text)
}

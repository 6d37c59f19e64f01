//! The check of a WPT, with the WIT that it belongs to.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Uri};
use jose_x509::jwt::{
    Audience, Issuer, Jwt, ReadClaims, Type, UnverifiedJwt, Validator, next_text,
};
use jose_x509::{Error as JoseError, ReplayGuard, ReplayKey, base64url};
use pki_types::UnixTime;
use serde::de::MapAccess;
use serde_json::{Map, Value};

use crate::audience::Audiences;
use crate::error::{Error, Token};
use crate::identifier::WorkloadIdentifier;
use crate::wit::{UnprovenWit, WitAnchors, WitVerifier};
use crate::wpt::fields::{RequestTokens, one};
use crate::wpt::{WPT_TYPE, WireForm};

/// Verifies WIT and WPT of a request. Immutable; threads share it.
#[derive(Clone, Debug)]
pub struct WptVerifier {
    wit: WitVerifier,
    validator: Validator,
    form: WireForm,
    audiences: Audiences,
    context_fields: Vec<HeaderName>,
    max_ahead: u64,
    leeway: u64,
}

const MAX_AHEAD: u64 = 300;
const LEEWAY: u64 = 30;

impl WptVerifier {
    /// A verifier for the current wire form that accepts no audience yet: add authorities under which
    /// this server is reached, from configuration, never from the request.
    #[must_use]
    pub fn new(wit: WitVerifier) -> Self {
        let validator = Validator::new(
            Type::OneOf(&[WPT_TYPE]),
            Issuer::NotApplicable {
                reason: "the WIT says who signs",
            },
            Audience::NotApplicable {
                reason: "compared with the request's target below",
            },
        )
        .with_required_claim("jti")
        .with_required_claim("aud")
        .with_undefined_claims(&["iss", "sub", "iat", "cnf"]);
        let validator = validator
            .clone()
            .with_leeway(Duration::from_secs(LEEWAY))
            .unwrap_or(validator);
        Self {
            wit,
            validator,
            form: WireForm::default(),
            audiences: Audiences::default(),
            context_fields: Vec::new(),
            max_ahead: MAX_AHEAD,
            leeway: LEEWAY,
        }
    }

    /// Accepts proofs for any path under this scheme and authority, such as `https://api.example.com`;
    /// the path has to be the request's own.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] when `base` is not an http or https URI without path and query.
    pub fn with_authority(mut self, base: &str) -> Result<Self, Error> {
        self.audiences.add_authority(base)?;
        Ok(self)
    }

    /// Accepts this audience literally, where rewriting hides the target from the caller.
    #[must_use]
    pub fn with_exact_audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.add_exact(audience.into());
        self
    }

    /// Treats a field as a context token that `oth` has to cover.
    #[must_use]
    pub fn with_context_field(mut self, field: HeaderName) -> Self {
        self.context_fields.push(field);
        self
    }

    /// Reads another wire form, instead of the current one.
    #[must_use]
    pub fn with_wire_form(mut self, form: WireForm) -> Self {
        self.form = form;
        self
    }

    /// How far ahead `exp` may lie: 300 seconds by default and at most.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] above 300 seconds.
    pub fn with_max_lifetime(mut self, ahead: Duration) -> Result<Self, Error> {
        if ahead.as_secs() > MAX_AHEAD {
            return Err(Error::InvalidOption {
                option: "max lifetime",
                range: "0 to 300 seconds",
            });
        }
        self.max_ahead = ahead.as_secs();
        Ok(self)
    }

    /// Authenticates the workload that sent a request: the WIT first, then the proof, and last the
    /// replay guard, so that nobody can spend the proof of another.
    ///
    /// `target` is the request's target as received; only its path is used.
    ///
    /// # Errors
    ///
    /// [`Error`], with the requirement that is broken.
    pub fn verify(
        &self,
        headers: &HeaderMap,
        target: &Uri,
        anchors: &(impl WitAnchors + ?Sized),
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<AuthenticatedWorkload, Error> {
        let tokens = RequestTokens::from_headers(headers, self.form)?;
        let proof = self.read(&tokens);
        let wit = self.wit.verify(tokens.wit, anchors, now)?;
        proof?.verify(wit, headers, target, replay, now)
    }

    /// Reads the proof of a request whose WIT is verified by other means, such as a WIT-SVID.
    ///
    /// # Errors
    ///
    /// [`Error::Token`].
    pub fn read<'v, 't>(
        &'v self,
        tokens: &RequestTokens<'t>,
    ) -> Result<UnverifiedProof<'v, 't>, Error> {
        let jws = self.validator.parse(tokens.wpt).map_err(refused)?;
        Ok(UnverifiedProof {
            verifier: self,
            jwt: self.validator.read_with(jws).map_err(refused)?,
            tokens: *tokens,
        })
    }

    fn check_audience(&self, proof: &Jwt, target: &Uri) -> Result<(), Error> {
        let mut audience = proof.audience();
        let (Some(aud), None) = (audience.next(), audience.next()) else {
            return Err(Error::Claim { claim: "aud" });
        };
        if self.audiences.contains(aud, target.path()) {
            Ok(())
        } else {
            Err(Error::Audience)
        }
    }

    fn check_others(
        &self,
        oth: Option<&Value>,
        headers: &HeaderMap,
        hash: impl Fn(&str) -> [u8; 32],
    ) -> Result<(), Error> {
        let empty = Map::new();
        let oth = match oth {
            None => &empty,
            Some(Value::Object(members)) if !members.is_empty() => members,
            Some(_) => return Err(Error::OtherTokenHash),
        };
        // Every member is understood and right …
        for (name, named) in oth {
            let field = self
                .context_fields
                .iter()
                .find(|field| field.as_str() == name)
                .ok_or(Error::OtherTokenHash)?;
            let value = one(headers, field)?.ok_or(Error::OtherTokenHash)?;
            let named = named.as_str().ok_or(Error::OtherTokenHash)?;
            let named = decode(named).ok_or(Error::OtherTokenHash)?;
            if named != hash(value) {
                return Err(Error::OtherTokenHash);
            }
        }
        // … and every context token of the request is a member.
        let uncovered =
            |field: &&HeaderName| headers.contains_key(*field) && !oth.contains_key(field.as_str());
        if self.context_fields.iter().find(uncovered).is_some() {
            Err(Error::OtherTokenHash)
        } else {
            Ok(())
        }
    }
}

const fn refused(source: JoseError) -> Error {
    Error::Token {
        token: Token::Wpt,
        source,
    }
}

/// The proof of a request, which a [`WptVerifier`] has read and not verified: anybody can write one.
pub struct UnverifiedProof<'v, 't> {
    verifier: &'v WptVerifier,
    jwt: UnverifiedJwt<'v, 't, Vec<u8>, Bound>,
    tokens: RequestTokens<'t>,
}

/// Without the tokens.
impl fmt::Debug for UnverifiedProof<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedProof").finish_non_exhaustive()
    }
}

impl UnverifiedProof<'_, '_> {
    /// As [`WptVerifier::verify`], with a WIT that was verified: the proof has to be one for it, whatever WIT the
    /// request has.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn verify(
        self,
        wit: UnprovenWit,
        headers: &HeaderMap,
        target: &Uri,
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<AuthenticatedWorkload, Error> {
        let Self {
            verifier,
            jwt,
            tokens,
        } = self;
        if jwt.unverified_header().algorithm() != wit.proof_algorithm() {
            return Err(Error::ProofAlgorithm);
        }
        let (proof, bound) = jwt.validate_with(&ProofKey(&wit), now).map_err(refused)?;
        let (limit, leeway) = (verifier.max_ahead, verifier.leeway);
        if proof
            .expires()
            .is_some_and(|exp| exp > now.as_secs().saturating_add(limit + leeway))
        {
            return Err(Error::LivesTooLong {
                token: Token::Wpt,
                limit,
            });
        }
        verifier.check_audience(&proof, target)?;
        let hash = |token: &str| wit.proof_key().provider().sha256(token.as_bytes());
        if bound.wth.hash("wth")? != Some(*wit.hash()) {
            return Err(Error::WitHash);
        }
        if bound.tth.hash("tth")? != tokens.txn_token.map(hash) {
            return Err(Error::TransactionTokenHash);
        }
        if verifier.form == WireForm::LegacyField
            && bound.ath.hash("ath")? != tokens.access_token.map(hash)
        {
            return Err(Error::Claim { claim: "ath" });
        }
        verifier.check_others(bound.oth.as_ref(), headers, hash)?;
        let id = proof.id().ok_or(Error::Claim { claim: "jti" })?;
        let key = ReplayKey::new(
            wit.proof_key().provider(),
            &[
                b"wpt",
                wit.unproven_identifier().as_str().as_bytes(),
                id.as_bytes(),
            ],
        );
        let kept = proof.expires().unwrap_or_default().saturating_add(leeway);
        replay
            .check_and_insert(
                key,
                UnixTime::since_unix_epoch(Duration::from_secs(kept)),
                now,
            )
            .map_err(Error::Replay)?;
        Ok(AuthenticatedWorkload { wit, proof })
    }
}

/// The key of the WIT and no other, whatever the header of the proof says.
struct ProofKey<'a>(&'a UnprovenWit);

impl jose_x509::KeySource for ProofKey<'_> {
    fn candidates<'k>(
        &'k self,
        _: &jose_x509::jws::Header<'_>,
    ) -> Result<jose_x509::key::Candidates<'k>, JoseError> {
        Ok(jose_x509::key::Candidates::one(self.0.proof_key()))
    }
}

/// The claims that bind a proof to tokens.
#[derive(Default)]
struct Bound {
    wth: Claimed,
    tth: Claimed,
    ath: Claimed,
    /// As it stands, `null` included.
    oth: Option<Value>,
}

impl ReadClaims for Bound {
    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        let hash = match name {
            "wth" => &mut self.wth,
            "tth" => &mut self.tth,
            "ath" => &mut self.ath,
            "oth" => {
                self.oth = Some(map.next_value()?);
                return Ok(true);
            }
            _ => return Ok(false),
        };
        *hash = Claimed::of(next_text(map)?.as_deref());
        Ok(true)
    }
}

/// A claim that has to be the hash of a token, in base64url.
#[derive(Default)]
enum Claimed {
    #[default]
    Absent,
    Hash([u8; 32]),
    /// Something else.
    Wrong,
}

impl Claimed {
    fn of(text: Option<&str>) -> Self {
        text.and_then(decode).map_or(Self::Wrong, Self::Hash)
    }

    fn hash(&self, claim: &'static str) -> Result<Option<[u8; 32]>, Error> {
        match self {
            Self::Absent => Ok(None),
            Self::Hash(hash) => Ok(Some(*hash)),
            Self::Wrong => Err(Error::Claim { claim }),
        }
    }
}

fn decode(text: &str) -> Option<[u8; 32]> {
    base64url::decode_array(text, "hash").ok()
}

/// A workload that has proven to be the holder of its WIT, for one request.
pub struct AuthenticatedWorkload {
    wit: UnprovenWit,
    proof: Jwt,
}

impl AuthenticatedWorkload {
    /// Who it is.
    #[must_use]
    pub fn identifier(&self) -> &WorkloadIdentifier {
        self.wit.unproven_identifier()
    }

    /// The verified WIT.
    #[must_use]
    pub fn wit(&self) -> &Jwt {
        self.wit.jwt()
    }

    /// The verified proof.
    #[must_use]
    pub fn proof(&self) -> &Jwt {
        &self.proof
    }
}

/// Without the tokens.
impl fmt::Debug for AuthenticatedWorkload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticatedWorkload")
            .field("identifier", self.identifier())
            .field("jti", &self.proof.id())
            .finish_non_exhaustive()
    }
}

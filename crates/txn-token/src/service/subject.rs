//! Subject tokens: what the service takes from them.

use std::time::Duration;

use jose_x509::jws::ProtectedHeader;
use jose_x509::jwt::{self, Audience, Issuer, Type, Validator};
use jose_x509::{KeySource, Signer, json};
use pki_types::UnixTime;
use serde_json::{Map, Value, json as object};
use token_exchange::{ScopeSet, SubjectToken, TokenType};

use crate::error::Error;

/// How long ago a self-signed subject token may have been made.
const MAX_AGE: Duration = Duration::from_secs(300);
const LEEWAY: Duration = Duration::from_secs(5);

/// What a subject token says, after its verification.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FoundSubject {
    /// Who vouches for the subject, and within whose names it is one.
    pub issuer: String,
    /// The subject.
    pub subject: String,
    /// What the token grants; `None` where it does not say.
    pub scope: Option<ScopeSet>,
    /// When it ends, in seconds since the epoch.
    pub expires: Option<u64>,
    /// All of its claims, for the policy. None of them is copied into a transaction token by itself.
    pub claims: Map<String, Value>,
}

impl FoundSubject {
    /// A subject that a verifier found.
    #[must_use]
    pub fn new(issuer: impl Into<String>, subject: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            subject: subject.into(),
            scope: None,
            expires: None,
            claims: Map::new(),
        }
    }
}

/// Verifies one type of subject token.
pub trait SubjectVerifier: Send + Sync {
    /// Verifies a token that `requester` presented: its signature, times and revocation, and that it was meant for this
    /// service or domain.
    ///
    /// # Errors
    ///
    /// [`Error::SubjectToken`], or [`Error::Token`] with the reason.
    fn verify(&self, token: &str, requester: &str, now: UnixTime) -> Result<FoundSubject, Error>;
}

/// A subject token that a workload signs itself (draft section 11.2.1): it lives for a minute.
///
/// # Errors
///
/// [`Error::Token`] when signing fails.
pub fn self_signed_subject(
    signer: &impl Signer,
    workload: &str,
    subject: &str,
    service: &str,
    now: UnixTime,
) -> Result<SubjectToken, Error> {
    let claims = object!({
        "iss": workload, "sub": subject, "aud": service,
        "iat": now.as_secs(), "exp": now.as_secs().saturating_add(60),
    });
    let token = jwt::sign(signer, &ProtectedHeader::new("JWT"), &claims)?;
    Ok(SubjectToken {
        unverified_token: token,
        token_type: TokenType::SelfSigned,
    })
}

/// A subject token that nobody signs (draft section 11.2.2): the text of a JSON object with `sub` and further members.
#[must_use]
pub fn unsigned_subject(subject: &str, members: &Map<String, Value>) -> SubjectToken {
    let mut object = members.clone();
    object.insert("sub".to_owned(), subject.into());
    SubjectToken {
        unverified_token: Value::Object(object).to_string(),
        token_type: TokenType::UnsignedJson,
    }
}

pub(super) fn self_signed(
    token: &str,
    requester: &str,
    service: &str,
    keys: &(dyn KeySource + Send + Sync),
    now: UnixTime,
) -> Result<FoundSubject, Error> {
    let validator = Validator::new(
        // The draft names no type; that of another kind of token is refused.
        Type::AbsentOrOneOf(&["JWT"]),
        Issuer::Exactly(requester.to_owned()),
        Audience::AnyOf(vec![service.to_owned()]),
    )
    .with_required_claim("sub")
    .with_required_claim("iat")
    .with_max_age(MAX_AGE)
    .with_leeway(LEEWAY)?;
    let jwt = validator.validate(token, keys, now)?;
    let claims = jwt.claims_map()?;
    Ok(FoundSubject {
        expires: jwt.expires(),
        // What a workload says of its own scope is no grant.
        scope: None,
        claims,
        ..FoundSubject::new(requester, jwt.subject().unwrap_or_default())
    })
}

pub(super) fn unsigned(text: &str, requester: &str) -> Result<FoundSubject, Error> {
    let claims =
        json::object(text.as_bytes(), &json::Limits::CLAIMS).map_err(|_| Error::SubjectToken {
            what: "it is not one strict JSON object",
        })?;
    let subject = match claims.get("sub") {
        Some(Value::String(subject)) if !subject.is_empty() => subject.clone(),
        _ => {
            return Err(Error::SubjectToken {
                what: "its `sub` is missing, empty or no text",
            });
        }
    };
    Ok(FoundSubject {
        claims,
        ..FoundSubject::new(requester, subject)
    })
}

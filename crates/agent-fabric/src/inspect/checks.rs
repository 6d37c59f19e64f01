//! What is checked for each kind, in the order of its validator.
//!
//! A validator stops at the first rule that is broken. So whatever stands before that rule held, whatever stands
//! behind it is not known. Rules that one place of a validator checks together, in an order that depends on the
//! input, share a [`Place`]: when one of them is broken, nothing is said about the others.

use super::Kind;
use super::report::Check;

// One row a line reads as the table that it is.
#[rustfmt::skip]
mod tables;

use tables::{
    ACCESS_TOKEN, BUNDLE, CIMD, CLIENT_ASSERTION, JWT_SVID, RFC8417_SET, SPIFFE_ID,
    SPIFFE_ID_PATTERN, SSF_SET, TXN_TOKEN, WIT_SVID, WPT, X509_SVID,
};

/// Where in a validator something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    // Tokens.
    Form,
    Header,
    KeyMaterial,
    Critical,
    Algorithm,
    HeaderTypes,
    Encoding,
    OtherHeaders,
    Type,
    Kid,
    AllowedAlgorithm,
    Claims,
    Subject,
    Bundle,
    Authorities,
    Key,
    KeyFits,
    Signature,
    ExpiryPresent,
    Expired,
    NotBefore,
    IssuedAt,
    Times,
    IssuerPresent,
    Issuer,
    AudiencePresent,
    AudienceMatches,
    AudienceSole,
    NoAudience,
    Required,
    Confirmation,
    ConfirmationKey,
    ConfirmationAlgorithm,
    Compression,
    Lifetime,
    // Proofs.
    Wit,
    ProofAlgorithm,
    WitHash,
    TransactionTokenHash,
    OtherHashes,
    // Transaction tokens.
    Spellings,
    Body,
    Requester,
    Actor,
    ActorChain,
    Agentic,
    ActorNames,
    ChainTimes,
    // Security events.
    NoSubject,
    Transaction,
    TimeOfEvent,
    Events,
    SubjectId,
    // Client assertions.
    ClientSubject,
    // SPIFFE IDs.
    Length,
    Scheme,
    DomainCharacters,
    DomainEmpty,
    DomainLength,
    Path,
    // Documents.
    Url,
    Size,
    Json,
    Sequence,
    RefreshHint,
    Keys,
    KeyCount,
    Entries,
    MemberTypes,
    ClientId,
    Secrets,
    Urls,
    Jwks,
    SpiffeId,
    Methods,
    SigningAlgorithm,
    Grants,
    Redirects,
    RedirectsPresent,
    // Certificates.
    Pem,
    Presented,
    Leaf,
    UriName,
    NoPath,
    KeyUsagePresent,
    Input,
    CriticalExtensions,
    NotCa,
    KeyUsage,
    NoConstraints,
    Purpose,
    Validity,
    Certification,
    Intermediates,
}

impl Place {
    /// Which places a table may have instead of this one: the same check or one shortly before it.
    const fn merged_with(self) -> &'static [Self] {
        match self {
            Self::ExpiryPresent => &[Self::Expired],
            Self::Expired => &[Self::ExpiryPresent],
            Self::NotBefore => &[Self::IssuedAt],
            Self::IssuedAt | Self::Times => &[Self::IssuedAt, Self::NotBefore],
            Self::IssuerPresent => &[Self::Issuer],
            Self::AudiencePresent | Self::AudienceSole => &[Self::AudienceMatches],
            Self::Key | Self::KeyFits => &[Self::Signature],
            _ => &[],
        }
    }
}

/// Where, the clause that asks for it, and what it asks for.
type Step = (Place, &'static str, &'static str);

/// The checks of a kind, all of which held.
pub(super) fn passed(kind: Kind) -> Vec<Check> {
    steps(kind)
        .iter()
        .map(|(_, requirement, text)| Check {
            requirement,
            text,
            ok: true,
        })
        .collect()
}

/// The checks up to and with the one that failed, and the clause that refused. `refused` is what the validator
/// says about it; the table fills in where it says nothing.
pub(super) fn failed(
    kind: Kind,
    place: Place,
    refused: Option<&'static str>,
) -> (Vec<Check>, Option<&'static str>) {
    let steps = steps(kind);
    let found = |place: Place| {
        steps
            .iter()
            .position(|(other, ..)| *other == place)
            .map(|at| (place, at))
    };
    let Some((place, at)) =
        found(place).or_else(|| place.merged_with().iter().find_map(|other| found(*other)))
    else {
        // Nothing is known about what came before; the clause alone is.
        let only = refused.map(|requirement| Check {
            requirement,
            text: "see the reason",
            ok: false,
        });
        return (only.into_iter().collect(), refused);
    };
    let mut checks: Vec<Check> = passed(kind).into_iter().take(at).collect();
    // Of the rules of one place, the one that the validator names.
    let here = steps.iter().filter(|(other, ..)| *other == place);
    let named = here
        .clone()
        .find(|(_, requirement, _)| Some(*requirement) == refused);
    let own = here
        .clone()
        .next()
        .filter(|(_, requirement, _)| refused.is_none() || speaks_for(kind, requirement));
    let (requirement, text) = match (named.or(own), refused) {
        (Some((_, requirement, text)), _) => (*requirement, *text),
        (None, Some(requirement)) => (requirement, "see the reason"),
        (None, None) => return (checks, None),
    };
    // A clause may stand for several rules of which an earlier one held.
    checks.retain(|check| check.requirement != requirement);
    checks.push(Check {
        requirement,
        text,
        ok: false,
    });
    (checks, Some(requirement))
}

/// Validators of these two kinds are made of the general one for JWTs, which names general clauses only.
fn speaks_for(kind: Kind, requirement: &str) -> bool {
    matches!(kind, Kind::AccessToken | Kind::ClientAssertion) && !requirement.starts_with("JW")
}

/// The checks of a kind, in the order of its validator.
pub(super) const fn steps(kind: Kind) -> &'static [Step] {
    match kind {
        Kind::SpiffeId => &SPIFFE_ID,
        Kind::SpiffeIdPattern => &SPIFFE_ID_PATTERN,
        Kind::Bundle => &BUNDLE,
        Kind::Cimd => &CIMD,
        Kind::X509Svid => &X509_SVID,
        Kind::JwtSvid => &JWT_SVID,
        Kind::WitSvid => &WIT_SVID,
        Kind::Wpt => &WPT,
        Kind::TxnToken => &TXN_TOKEN,
        Kind::AccessToken => &ACCESS_TOKEN,
        Kind::Set => &SSF_SET,
        Kind::Rfc8417Set => &RFC8417_SET,
        Kind::ClientAssertion => &CLIENT_ASSERTION,
    }
}

//! What is checked for each kind, in the order of its validator.
//!
//! A validator stops at the first rule that is broken. So whatever stands before that rule held, whatever stands
//! behind it is not known. Rules that one place of a validator checks together, in an order that depends on the
//! input, share a [`Place`]: when one of them is broken, nothing is said about the others.

use super::Kind;
use super::report::Check;

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

use Place as P;

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

const SPIFFE_ID: [Step; 11] = [
    (P::Length, "SPIFFE-ID-2.3-5", "at most 2048 bytes"),
    (P::Scheme, "SPIFFE-ID-2-1", "begins with spiffe://"),
    (
        P::DomainCharacters,
        "SPIFFE-ID-2.1-5",
        "a trust domain of a-z, 0-9, dot, dash and underscore",
    ),
    (
        P::DomainEmpty,
        "SPIFFE-ID-2-2",
        "a trust domain that is not empty",
    ),
    (
        P::DomainLength,
        "SPIFFE-ID-2.3-3",
        "a trust domain of at most 255 bytes",
    ),
    (
        P::Path,
        "SPIFFE-ID-2.2-6",
        "path segments of letters, digits, dot, dash and underscore",
    ),
    (P::Path, "SPIFFE-ID-2.2-2", "no empty path segment"),
    (P::Path, "SPIFFE-ID-2.2-3", "no path segment `.` or `..`"),
    (P::Path, "SPIFFE-ID-2.2-5", "no slash at the end"),
    (P::Path, "SPIFFE-ID-2-3", "no query"),
    (P::Path, "SPIFFE-ID-2-4", "no fragment"),
];

const SPIFFE_ID_PATTERN: [Step; 11] = [
    (P::Length, "SPIFFE-ID-2.3-5", "at most 2048 bytes"),
    (P::Scheme, "SPIFFE-ID-2-1", "begins with spiffe://"),
    (
        P::DomainCharacters,
        "SPIFFE-ID-2.1-5",
        "a trust domain of a-z, 0-9, dot, dash and underscore",
    ),
    (
        P::DomainEmpty,
        "SPIFFE-ID-2-2",
        "a trust domain that is not empty",
    ),
    (
        P::DomainLength,
        "SPIFFE-ID-2.3-3",
        "a trust domain of at most 255 bytes",
    ),
    (
        P::Path,
        "CIMD-SPIFFE-5.1-2",
        "a wildcard only as the final `/*`",
    ),
    (
        P::Path,
        "SPIFFE-ID-2.2-6",
        "path segments of letters, digits, dot, dash and underscore",
    ),
    (P::Path, "SPIFFE-ID-2.2-2", "no empty path segment"),
    (P::Path, "SPIFFE-ID-2.2-3", "no path segment `.` or `..`"),
    (P::Path, "SPIFFE-ID-2.2-5", "no slash at the end"),
    (P::Path, "SPIFFE-ID-2-3", "no query"),
];

const BUNDLE: [Step; 8] = [
    (P::Json, "SPIFFE-BUNDLE-4-1", "one JSON object"),
    (P::Json, "SPIFFE-BUNDLE-6.3-1", "no member occurs twice"),
    (
        P::Sequence,
        "SPIFFE-BUNDLE-4.1.1-3",
        "spiffe_sequence is an unsigned integer if present",
    ),
    (
        P::RefreshHint,
        "SPIFFE-BUNDLE-4.1.2-3",
        "spiffe_refresh_hint is an unsigned integer if present",
    ),
    (
        P::Keys,
        "SPIFFE-BUNDLE-4.1.3-1",
        "keys is an array of objects",
    ),
    (
        P::KeyCount,
        "SPIFFE-BUNDLE-A16",
        "no more keys than are read",
    ),
    (P::Entries, "SPIFFE-BUNDLE-4.2-6", "no private key"),
    (
        P::Entries,
        "JWT-SVID-6.2-4",
        "no kid names two keys of one use",
    ),
];

const CIMD: [Step; 24] = [
    (P::Url, "CIMD-3-1", "the URL is https"),
    (P::Url, "CIMD-3-2", "the URL has no user information"),
    (P::Url, "CIMD-3-4", "the URL has a path"),
    (P::Url, "CIMD-3-5", "the URL has no dot segments"),
    (P::Url, "CIMD-3-7", "the URL has no fragment"),
    (
        P::Url,
        "CIMD-3-11",
        "all readers of the URL see the same host and path",
    ),
    (P::Size, "CIMD-8.7-1", "at most 5120 bytes"),
    (P::Json, "CIMD-4-1", "one JSON object, no member twice"),
    (
        P::MemberTypes,
        "CIMD-7591-11",
        "members have the right JSON type",
    ),
    (
        P::ClientId,
        "CIMD-4-2",
        "client_id is the URL it was fetched from",
    ),
    (P::Secrets, "CIMD-4.1-2", "no client secret"),
    (P::Secrets, "CIMD-4.1-3", "no private or symmetric key"),
    (P::Urls, "CIMD-8.6-7", "URLs of the document are https"),
    (P::Jwks, "CIMD-7591-7", "not both jwks and jwks_uri"),
    (
        P::SpiffeId,
        "CIMD-SPIFFE-5.1-2",
        "spiffe_id is a SPIFFE ID, or one followed by `/*`",
    ),
    (
        P::Methods,
        "CIMD-4.1-1",
        "no authentication by a shared secret",
    ),
    (
        P::Methods,
        "CIMD-7591-2",
        "a known authentication method with what it needs",
    ),
    (
        P::SigningAlgorithm,
        "CIMD-7591-3",
        "an asymmetric signing algorithm",
    ),
    (P::Grants, "CIMD-7591-4", "no implicit and password grant"),
    (
        P::Grants,
        "CIMD-7591-5",
        "response types that the grants go with",
    ),
    (
        P::Grants,
        "CIMD-7591-12",
        "the grants that the grant profiles need",
    ),
    (P::Grants, "CIMD-7591-6", "scope is a list of scopes"),
    (
        P::Redirects,
        "CIMD-8.1-1",
        "redirect URIs on the client's origin or on loopback",
    ),
    (
        P::RedirectsPresent,
        "CIMD-4.2-1",
        "a redirect URI where the grant needs one",
    ),
];

const X509_SVID: [Step; 20] = [
    (P::Pem, "X509-profile.pem-1", "PEM of certificates alone"),
    (P::Presented, "X509-SVID-5.1-1", "there is a certificate"),
    (
        P::Leaf,
        "X509-5280.4.1-2",
        "the leaf is a strict DER certificate",
    ),
    (P::UriName, "X509-SVID-2-4", "the leaf has a URI name"),
    (
        P::UriName,
        "X509-SVID-2-3",
        "the leaf has one URI name only",
    ),
    (P::UriName, "X509-SVID-2-6", "the URI name is a SPIFFE ID"),
    (P::NoPath, "X509-SVID-5.2-5", "the SPIFFE ID has a path"),
    (
        P::KeyUsagePresent,
        "X509-SVID-4.3-7",
        "the leaf has keyUsage with digitalSignature",
    ),
    (
        P::Input,
        "X509-profile.input-1",
        "no more certificates than are read",
    ),
    (
        P::CriticalExtensions,
        "X509-5280.4.2-1",
        "critical extensions of the leaf are understood",
    ),
    (P::NotCa, "X509-SVID-5.2-1", "the leaf is no CA"),
    (
        P::KeyUsage,
        "X509-SVID-5.2-2",
        "the leaf must not sign certificates or revocation lists",
    ),
    (
        P::NoConstraints,
        "X509-SVID-4.2-3",
        "the leaf has no name constraints",
    ),
    (P::Purpose, "X509-SVID-4.4-4", "extKeyUsage allows the use"),
    (
        P::Validity,
        "X509-5280.4.1.2.5-1",
        "the leaf is within its time",
    ),
    (
        P::Bundle,
        "X509-SVID-5.1-3",
        "the leaf's trust domain has a bundle with anchors",
    ),
    (
        P::Certification,
        "X509-SVID-5.1-2",
        "a path leads to an anchor of that trust domain",
    ),
    (
        P::Certification,
        "X509-5280.4.1.1.3-1",
        "the signatures of the path verify",
    ),
    (
        P::Certification,
        "X509-SVID-4.2-2",
        "name constraints of the path hold",
    ),
    (
        P::Intermediates,
        "X509-SVID-3.2-4",
        "no intermediate names a workload",
    ),
];

const JWT_SVID: [Step; 24] = [
    (P::Form, "JWT-SVID-1-1", "compact form of three parts"),
    (P::Header, "JWS-4-1", "the header is one JSON object"),
    (P::KeyMaterial, "JWS-4.1.3-1", "no key in the header"),
    (P::Critical, "JWS-4.1.11-1", "no critical extension"),
    (
        P::Algorithm,
        "JWT-SVID-2.1-2",
        "alg is a known asymmetric signature algorithm",
    ),
    (
        P::HeaderTypes,
        "JWS-4-4",
        "header parameters have the right type",
    ),
    (P::Encoding, "JWS-2-1", "canonical base64url"),
    (
        P::AllowedAlgorithm,
        "JWT-SVID-4-1",
        "alg is one of JWT-SVID",
    ),
    (
        P::OtherHeaders,
        "JWT-SVID-2-2",
        "no header parameter besides alg, kid and typ",
    ),
    (P::Type, "JWT-SVID-2.3-2", "typ is absent, JWT or JOSE"),
    (
        P::Claims,
        "JWT-7519.4-1",
        "the claims are one JSON object with claims of the right type",
    ),
    (
        P::Subject,
        "JWT-SVID-3.1-2",
        "sub is the SPIFFE ID of a workload",
    ),
    (
        P::Bundle,
        "JWT-SVID-4-7",
        "there is a bundle of that trust domain",
    ),
    (
        P::Authorities,
        "JWT-SVID-6.2-2",
        "the bundle has keys for JWT-SVIDs",
    ),
    (P::Key, "JWT-SVID-2.2-3", "the bundle has the key"),
    (P::KeyFits, "JWT-SVID-4-8", "the key is for this alg"),
    (P::Signature, "JWT-SVID-4-2", "the signature verifies"),
    (P::ExpiryPresent, "JWT-SVID-3.3-2", "exp is there"),
    (P::Expired, "JWT-SVID-4-3", "exp has not passed"),
    (
        P::NotBefore,
        "JWT-SVID-4-5",
        "nbf has passed if it is there",
    ),
    (
        P::IssuedAt,
        "JWT-7519.4.1.6-1",
        "iat is not in the future, and the times fit together",
    ),
    (P::AudiencePresent, "JWT-SVID-3.2-2", "aud is there"),
    (
        P::AudienceMatches,
        "JWT-SVID-3.2-3",
        "aud has the expected audience",
    ),
    (
        P::Confirmation,
        "JWT-7800.3.1-2",
        "the token is not bound to a key",
    ),
];

const WIT_SVID: [Step; 26] = [
    (P::Form, "WIT-SVID-1-1", "compact form of three parts"),
    (P::Header, "JWS-4-1", "the header is one JSON object"),
    (P::KeyMaterial, "JWS-4.1.3-1", "no key in the header"),
    (P::Critical, "JWS-4.1.11-1", "no critical extension"),
    (
        P::Algorithm,
        "WIT-SVID-2.3-2",
        "alg is a known asymmetric signature algorithm",
    ),
    (
        P::HeaderTypes,
        "JWS-4-4",
        "header parameters have the right type",
    ),
    (P::Encoding, "JWS-2-1", "canonical base64url"),
    (P::Type, "WIT-SVID-2.2-2", "typ is wit+jwt"),
    (P::Kid, "WIT-SVID-2.1-2", "kid is there"),
    (
        P::Claims,
        "JWT-7519.4-1",
        "the claims are one JSON object with claims of the right type",
    ),
    (
        P::Subject,
        "WIT-SVID-3.1-2",
        "sub is the SPIFFE ID of a workload",
    ),
    (
        P::Bundle,
        "WIT-SVID-3.7-3",
        "there is a bundle of that trust domain",
    ),
    (
        P::Authorities,
        "WIT-SVID-6.2-2",
        "the bundle has keys for WIT-SVIDs",
    ),
    (
        P::Compression,
        "WIMSE-WIT-3-9",
        "the token is not compressed",
    ),
    (
        P::AllowedAlgorithm,
        "WIT-SVID-2.3-1",
        "alg is one of WIT-SVID",
    ),
    (P::Key, "WIT-SVID-2.1-5", "the bundle has the key"),
    (P::KeyFits, "JWS-4.1.1-3", "the key is for this alg"),
    (P::Signature, "WIT-SVID-4-4", "the signature verifies"),
    (P::ExpiryPresent, "WIT-SVID-3.4-2", "exp is there"),
    (P::Expired, "WIT-SVID-3.4-3", "exp has not passed"),
    (
        P::NotBefore,
        "WIT-SVID-3.5-2",
        "nbf has passed if it is there",
    ),
    (P::Confirmation, "WIT-SVID-3.2-2", "cnf has a public key"),
    (
        P::Lifetime,
        "WIMSE-WIT-5.1.4-7",
        "exp is at most 24 hours ahead",
    ),
    (
        P::ConfirmationKey,
        "WIMSE-WIT-5.1.4-6",
        "cnf.jwk has alg and can verify a proof",
    ),
    (P::NoAudience, "WIT-SVID-3.8-2", "there is no aud"),
    (
        P::ConfirmationAlgorithm,
        "WIT-SVID-3.2-4",
        "cnf.jwk.alg is one of WIT-SVID",
    ),
];

const WPT: [Step; 21] = [
    (P::Wit, "WIMSE-WPT-2-18", "the WIT is valid"),
    (P::Form, "WIMSE-WPT-2-20", "compact form of three parts"),
    (P::Header, "JWS-4-1", "the header is one JSON object"),
    (P::KeyMaterial, "JWS-4.1.3-1", "no key in the header"),
    (P::Critical, "JWS-4.1.11-1", "no critical extension"),
    (
        P::Algorithm,
        "JWS-4.1.1-1",
        "alg is a known asymmetric signature algorithm",
    ),
    (
        P::HeaderTypes,
        "JWS-4-4",
        "header parameters have the right type",
    ),
    (P::Encoding, "JWS-2-1", "canonical base64url"),
    (
        P::ProofAlgorithm,
        "WIMSE-WPT-2-21",
        "alg is cnf.jwk.alg of the WIT",
    ),
    (P::Type, "WIMSE-WPT-2-23", "typ is wpt+jwt"),
    (
        P::Signature,
        "WIMSE-WPT-2-22",
        "the key of the WIT verifies the signature",
    ),
    (
        P::Claims,
        "JWT-7519.4-1",
        "the claims are one JSON object with claims of the right type",
    ),
    (
        P::Expired,
        "WIMSE-WPT-2-25",
        "exp is there and has not passed",
    ),
    (
        P::IssuedAt,
        "JWT-7519.4.1.6-1",
        "nbf and iat are not in the future",
    ),
    (P::Required, "WIMSE-WPT-2-10", "jti is there"),
    (
        P::Confirmation,
        "JWT-7800.3.1-2",
        "the proof has no cnf of its own",
    ),
    (
        P::Lifetime,
        "WIMSE-WPT-2-26",
        "exp is at most 300 seconds ahead",
    ),
    (
        P::AudienceMatches,
        "WIMSE-WPT-2-24",
        "aud is the target of the request",
    ),
    (P::WitHash, "WIMSE-WPT-2-27", "wth is the hash of the WIT"),
    (
        P::TransactionTokenHash,
        "WIMSE-WPT-2-29",
        "tth is the hash of the request's transaction token: there is none",
    ),
    (
        P::OtherHashes,
        "WIMSE-WPT-2-31",
        "oth has no token that is not there",
    ),
];

const TXN_TOKEN: [Step; 32] = [
    (P::Form, "TXN-TOKEN-9-1", "compact form of three parts"),
    (P::Header, "JWS-4-1", "the header is one JSON object"),
    (P::KeyMaterial, "JWS-4.1.3-1", "no key in the header"),
    (P::Critical, "JWS-4.1.11-1", "no critical extension"),
    (
        P::Algorithm,
        "JWS-4.1.1-1",
        "alg is a known asymmetric signature algorithm",
    ),
    (
        P::HeaderTypes,
        "JWS-4-4",
        "header parameters have the right type",
    ),
    (P::Encoding, "JWS-2-1", "canonical base64url"),
    (P::Type, "TXN-TOKEN-9.1-1", "typ is txntoken+jwt"),
    (P::Kid, "TXN-TOKEN-9.1-3", "kid is there"),
    (
        P::AllowedAlgorithm,
        "JWS-5.2-3",
        "alg is one of those that are accepted",
    ),
    (P::Key, "JWS-4.1.4-2", "the key set has the key"),
    (P::KeyFits, "JWS-4.1.1-3", "the key is for this alg"),
    (P::Signature, "TXN-TOKEN-12.2-2", "the signature verifies"),
    (
        P::Claims,
        "JWT-7519.4-1",
        "the claims are one JSON object with claims of the right type",
    ),
    (P::ExpiryPresent, "TXN-TOKEN-9.2-5", "exp is there"),
    (P::Expired, "TXN-TOKEN-12.2-4", "exp has not passed"),
    (
        P::NotBefore,
        "TXN-TOKEN-12.2-5",
        "nbf has passed if it is there",
    ),
    (
        P::IssuedAt,
        "TXN-TOKEN-9.2-2",
        "iat is there and not in the future",
    ),
    (
        P::Times,
        "JWT-7519.4.1.6-1",
        "the times fit together, and the lifetime is at most an hour",
    ),
    (P::Issuer, "JWT-7519.4.1.1-2", "iss is the expected issuer"),
    (P::AudiencePresent, "TXN-TOKEN-9.2-3", "aud is there"),
    (
        P::AudienceMatches,
        "TXN-TOKEN-9.2-4",
        "aud is the trust domain alone",
    ),
    (P::Required, "TXN-TOKEN-9.2-7", "sub is there"),
    (
        P::Confirmation,
        "JWT-7800.3.1-2",
        "the token is not bound to a key",
    ),
    (
        P::Spellings,
        "TXN-TOKEN-C-2",
        "no claim under two names with two meanings",
    ),
    (
        P::Body,
        "TXN-TOKEN-9.2-6",
        "txn is there, and the contexts are objects",
    ),
    (
        P::Requester,
        "TXN-TOKEN-9.2-11",
        "req_wl and scope are there and well formed",
    ),
    (P::Actor, "AGENTIC-CTX-P-3", "act names an agent"),
    (P::ActorChain, "AGENTIC-CTX-P-5", "act_chain lists agents"),
    (P::Agentic, "AGENTIC-CTX-P-8", "agentic_ctx is well formed"),
    (
        P::ActorNames,
        "AGENTIC-CTX-V-2",
        "agents are of the trust domain, and none acts twice",
    ),
    (
        P::ChainTimes,
        "AGENTIC-CTX-V-4",
        "the times of the chain are in order",
    ),
];

const ACCESS_TOKEN: [Step; 18] = [
    (P::Form, "JWS-3.1-1", "compact form of three parts"),
    (P::Header, "JWS-4-1", "the header is one JSON object"),
    (P::KeyMaterial, "JWS-4.1.3-1", "no key in the header"),
    (P::Critical, "JWS-4.1.11-1", "no critical extension"),
    (
        P::Algorithm,
        "OAUTH-META-9068-2.1-1",
        "alg is a known asymmetric signature algorithm",
    ),
    (
        P::HeaderTypes,
        "JWS-4-4",
        "header parameters have the right type",
    ),
    (P::Encoding, "JWS-2-1", "canonical base64url"),
    (P::Type, "OAUTH-META-9068-4-2", "typ is at+jwt"),
    (P::Key, "JWS-4.1.4-2", "the key set has the key"),
    (P::KeyFits, "JWS-4.1.1-3", "the key is for this alg"),
    (
        P::Signature,
        "OAUTH-META-9068-4-6",
        "the signature verifies",
    ),
    (
        P::Claims,
        "JWT-7519.4-1",
        "the claims are one JSON object with claims of the right type",
    ),
    (
        P::Expired,
        "OAUTH-META-9068-4-7",
        "exp is there and has not passed",
    ),
    (
        P::NotBefore,
        "OAUTH-META-9068-4-8",
        "nbf and iat are not in the future, and the times fit together",
    ),
    (
        P::Issuer,
        "OAUTH-META-9068-4-4",
        "iss is the expected issuer",
    ),
    (
        P::AudienceMatches,
        "OAUTH-META-9068-4-5",
        "aud is the resource alone",
    ),
    (
        P::Required,
        "OAUTH-META-9068-2.2-1",
        "sub, client_id, iat and jti are there",
    ),
    (
        P::Confirmation,
        "JWT-7800.3.1-2",
        "the token is not bound to a key",
    ),
];

const SSF_SET: [Step; 26] = [
    (P::Form, "JWS-3.1-1", "compact form of three parts"),
    (P::Header, "JWS-4-1", "the header is one JSON object"),
    (P::KeyMaterial, "JWS-4.1.3-1", "no key in the header"),
    (P::Critical, "JWS-4.1.11-1", "no critical extension"),
    (
        P::Algorithm,
        "SET-2.4-2",
        "alg is a known asymmetric signature algorithm",
    ),
    (
        P::HeaderTypes,
        "JWS-4-4",
        "header parameters have the right type",
    ),
    (P::Encoding, "JWS-2-1", "canonical base64url"),
    (
        P::Claims,
        "JWT-7519.4-1",
        "the claims are one JSON object with claims of the right type",
    ),
    (P::IssuerPresent, "SET-2.2-1", "iss is there"),
    (P::Issuer, "SSF-4.1.6-2", "iss is the expected issuer"),
    (P::Type, "SET-2.3-4", "typ is secevent+jwt"),
    (P::Key, "SET-5.1-2", "the key set of the issuer has the key"),
    (P::KeyFits, "JWS-4.1.1-3", "the key is for this alg"),
    (P::Signature, "SET-5.1-1", "the signature verifies"),
    (P::ExpiryPresent, "SSF-4.1.7-1", "there is no exp"),
    (
        P::NotBefore,
        "JWT-7519.4.1.5-1",
        "nbf has passed if it is there",
    ),
    (P::IssuedAt, "JWT-7519.4.1.6-1", "iat is not in the future"),
    (P::AudiencePresent, "SET-2.2-6", "aud is there"),
    (
        P::AudienceMatches,
        "SET-2.2-7",
        "aud has the expected audience",
    ),
    (P::Required, "SET-2.2-4", "iat and jti are there"),
    (
        P::Confirmation,
        "JWT-7800.3.1-2",
        "the token is not bound to a key",
    ),
    (P::NoSubject, "SSF-4.1.2-1", "there is no sub"),
    (
        P::Transaction,
        "SET-2.2-14",
        "txn is a string if it is there",
    ),
    (P::TimeOfEvent, "SET-2.2-15", "toe is a time if it is there"),
    (
        P::Events,
        "SSF-4.2.1-1",
        "exactly one event, named by a URI, with an object as payload",
    ),
    (P::SubjectId, "SSF-3.1-1", "sub_id is a subject identifier"),
];

const RFC8417_SET: [Step; 24] = [
    (P::Form, "JWS-3.1-1", "compact form of three parts"),
    (P::Header, "JWS-4-1", "the header is one JSON object"),
    (P::KeyMaterial, "JWS-4.1.3-1", "no key in the header"),
    (P::Critical, "JWS-4.1.11-1", "no critical extension"),
    (
        P::Algorithm,
        "SET-2.4-2",
        "alg is a known asymmetric signature algorithm",
    ),
    (
        P::HeaderTypes,
        "JWS-4-4",
        "header parameters have the right type",
    ),
    (P::Encoding, "JWS-2-1", "canonical base64url"),
    (
        P::Claims,
        "JWT-7519.4-1",
        "the claims are one JSON object with claims of the right type",
    ),
    (P::IssuerPresent, "SET-2.2-1", "iss is there"),
    (P::Issuer, "SSF-4.1.6-2", "iss is the expected issuer"),
    (P::Type, "SET-2.3-4", "typ is secevent+jwt"),
    (P::Key, "SET-5.1-2", "the key set of the issuer has the key"),
    (P::KeyFits, "JWS-4.1.1-3", "the key is for this alg"),
    (P::Signature, "SET-5.1-1", "the signature verifies"),
    (
        P::Expired,
        "SET-2.2-10",
        "exp has not passed if it is there",
    ),
    (
        P::NotBefore,
        "JWT-7519.4.1.5-1",
        "nbf has passed if it is there",
    ),
    (P::IssuedAt, "JWT-7519.4.1.6-1", "iat is not in the future"),
    (P::AudiencePresent, "SET-2.2-6", "aud is there"),
    (
        P::AudienceMatches,
        "SET-2.2-7",
        "aud has the expected audience",
    ),
    (P::Required, "SET-2.2-4", "iat and jti are there"),
    (
        P::Confirmation,
        "JWT-7800.3.1-2",
        "the token is not bound to a key",
    ),
    (
        P::Transaction,
        "SET-2.2-14",
        "txn is a string if it is there",
    ),
    (P::TimeOfEvent, "SET-2.2-15", "toe is a time if it is there"),
    (
        P::Events,
        "SET-2-1",
        "events is an object with an event, each named by a URI",
    ),
];

const CLIENT_ASSERTION: [Step; 21] = [
    (P::Form, "RFC7523-2.2-2", "compact form of three parts"),
    (P::Header, "JWS-4-1", "the header is one JSON object"),
    (P::KeyMaterial, "JWS-4.1.3-1", "no key in the header"),
    (P::Critical, "JWS-4.1.11-1", "no critical extension"),
    (
        P::Algorithm,
        "JWS-4.1.1-1",
        "alg is a known asymmetric signature algorithm",
    ),
    (
        P::HeaderTypes,
        "JWS-4-4",
        "header parameters have the right type",
    ),
    (P::Encoding, "JWS-2-1", "canonical base64url"),
    (
        P::Type,
        "RFC7523-10070-4-8",
        "typ is client-authentication+jwt or JWT, or absent",
    ),
    (P::Key, "JWS-4.1.4-2", "the client's key set has the key"),
    (P::KeyFits, "JWS-4.1.1-3", "the key is for this alg"),
    (P::Signature, "RFC7523-3-12", "the signature verifies"),
    (
        P::Claims,
        "JWT-7519.4-1",
        "the claims are one JSON object with claims of the right type",
    ),
    (P::Expired, "RFC7523-3-6", "exp is there and has not passed"),
    (P::NotBefore, "RFC7523-3-8", "nbf has passed if it is there"),
    (
        P::IssuedAt,
        "JWT-7519.4.1.6-1",
        "iat is not in the future, and the times fit together",
    ),
    (P::Issuer, "RFC7523-3-1", "iss is the client id"),
    (
        P::AudienceMatches,
        "RFC7523-10070-4-1",
        "aud is the issuer identifier of the server alone",
    ),
    (P::Required, "RFC7523-3-2", "sub and jti are there"),
    (
        P::Confirmation,
        "JWT-7800.3.1-2",
        "the token is not bound to a key",
    ),
    (P::ClientSubject, "RFC7523-3-4", "sub is the client id"),
    (
        P::Lifetime,
        "RFC7523-3-7",
        "exp is at most 300 seconds ahead",
    ),
];

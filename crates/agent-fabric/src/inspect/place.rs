//! Where in its validator an error arises: the earliest place where it can.

use jose_x509::Error as JoseError;
use jose_x509::x509::{CertificateProblem, X509Error};

use super::checks::Place;

/// For tokens that are checked by the general validator alone.
pub(super) fn token(error: &JoseError) -> Place {
    match error {
        JoseError::TooLarge { what: "token", .. }
        | JoseError::JsonSerialization
        | JoseError::TokenCharacters { .. }
        | JoseError::SegmentCount
        | JoseError::EncryptedNotSigned
        | JoseError::EmptySignature => Place::Form,
        JoseError::TooLarge { .. }
        | JoseError::InvalidBase64 { what: "header" }
        | JoseError::Json { what: "header", .. }
        | JoseError::UnencodedPayload => Place::Header,
        JoseError::HeaderKeyMaterial { .. } => Place::KeyMaterial,
        JoseError::InvalidCritical | JoseError::UnsupportedCritical => Place::Critical,
        JoseError::MissingHeader { name: "alg" }
        | JoseError::HeaderType { name: "alg" }
        | JoseError::UnsupportedAlgorithm => Place::Algorithm,
        JoseError::HeaderType { .. } => Place::HeaderTypes,
        JoseError::InvalidBase64 { .. } => Place::Encoding,
        JoseError::WrongType => Place::Type,
        JoseError::MissingHeader { .. } => Place::Kid,
        JoseError::AlgorithmNotAllowed { .. } => Place::AllowedAlgorithm,
        JoseError::UnknownKey | JoseError::AmbiguousKey => Place::Key,
        JoseError::AlgorithmMismatch { .. } => Place::KeyFits,
        JoseError::InvalidSignature => Place::Signature,
        JoseError::MissingClaim { claim: "exp" } | JoseError::ForbiddenClaim { claim: "exp" } => {
            Place::ExpiryPresent
        }
        JoseError::Expired => Place::Expired,
        JoseError::NotYetValid => Place::NotBefore,
        JoseError::IssuedInFuture => Place::IssuedAt,
        JoseError::ContradictoryTimes
        | JoseError::LifetimeTooLong { .. }
        | JoseError::TooOld { .. } => Place::Times,
        JoseError::MissingClaim { claim: "iss" } => Place::IssuerPresent,
        JoseError::IssuerMismatch => Place::Issuer,
        JoseError::MissingClaim { claim: "aud" } => Place::AudiencePresent,
        JoseError::ForbiddenClaim { .. } => Place::NoAudience,
        JoseError::AudienceMismatch => Place::AudienceMatches,
        JoseError::MultipleAudiences => Place::AudienceSole,
        JoseError::UnexpectedConfirmation
        | JoseError::UnusableConfirmation
        | JoseError::InvalidKey { .. }
        | JoseError::MissingClaim { claim: "cnf" } => Place::Confirmation,
        JoseError::MissingClaim { .. } => Place::Required,
        _ => Place::Claims,
    }
}

/// SVIDs of all kinds.
pub(super) fn svid(error: &svid::Error) -> Place {
    use svid::Error as E;
    match error {
        E::EmptyChain => Place::Presented,
        E::NoUriName | E::SeveralUriNames => Place::UriName,
        E::SpiffeId {
            credential: svid::Credential::X509,
            ..
        } => Place::UriName,
        E::NoPath {
            credential: svid::Credential::X509,
        } => Place::NoPath,
        E::SpiffeId { .. } | E::NoPath { .. } => Place::Subject,
        E::NoKeyUsage => Place::KeyUsagePresent,
        E::IntermediateId { .. } => Place::Intermediates,
        E::X509(source) => x509(source),
        E::NoBundle { .. }
        | E::NoAuthorities {
            credential: svid::Credential::X509,
        } => Place::Bundle,
        E::NoAuthorities { .. } => Place::Authorities,
        E::HeaderParameter => Place::OtherHeaders,
        // The subject is read before anything is verified.
        E::Token {
            source: JoseError::MissingClaim { claim: "sub" },
            ..
        } => Place::Subject,
        E::Token { source, .. } => token(source),
        E::Wimse(source) => wit(source),
        E::ConfirmationAlgorithm => Place::ConfirmationAlgorithm,
        _ => Place::Form,
    }
}

/// A WIT inside a WIT-SVID.
fn wit(error: &wimse::Error) -> Place {
    match error {
        wimse::Error::Token { source, .. } => token(source),
        wimse::Error::Compressed { .. } => Place::Compression,
        wimse::Error::LivesTooLong { .. } => Place::Lifetime,
        wimse::Error::ConfirmationKey => Place::ConfirmationKey,
        _ => Place::Compression,
    }
}

/// A proof, and the WIT that comes with it.
pub(super) fn wpt(error: &wimse::Error) -> Place {
    use wimse::{Error as E, Token};
    match error {
        E::Token {
            token: Token::Wpt,
            source,
        } => match source {
            JoseError::MissingClaim { claim: "aud" } => Place::Required,
            source => token(source),
        },
        E::ProofAlgorithm => Place::ProofAlgorithm,
        E::LivesTooLong {
            token: Token::Wpt, ..
        } => Place::Lifetime,
        E::Audience | E::Claim { claim: "aud" } => Place::AudienceMatches,
        E::WitHash | E::Claim { claim: "wth" } => Place::WitHash,
        E::TransactionTokenHash | E::Claim { claim: "tth" } => Place::TransactionTokenHash,
        E::OtherTokenHash | E::Claim { .. } => Place::OtherHashes,
        _ => Place::Wit,
    }
}

/// Transaction tokens.
pub(super) fn txn_token(error: &txn_token::Error) -> Place {
    use txn_token::Error as E;
    match error {
        E::Token(source) => match source {
            // Its absence is noticed together with the bound on the lifetime.
            JoseError::MissingClaim { claim: "iat" } => Place::IssuedAt,
            JoseError::MissingClaim {
                claim: "scope" | "txn",
            }
            | JoseError::ClaimType {
                claim: "scope" | "txn" | "tctx" | "rctx" | "txn_iat" | "txn_exp",
            } => Place::Body,
            JoseError::MissingClaim { claim: "req_wl" }
            | JoseError::ClaimType { claim: "req_wl" } => Place::Requester,
            JoseError::ClaimType {
                claim: "req_wl_chain",
            } => Place::Agentic,
            source => token(source),
        },
        E::TwoSpellings {
            claim: "act_chain", ..
        }
        | E::ChainTooLong { .. } => Place::ActorChain,
        E::TwoSpellings { .. } => Place::Spellings,
        E::InvalidContext => Place::Body,
        E::MalformedActor { claim: "act_chain" } => Place::ActorChain,
        E::MalformedActor { .. } => Place::Actor,
        E::AgenticContext { .. } | E::UnsupportedLineage => Place::Agentic,
        E::UnknownActorTrustDomain { .. }
        | E::UnknownActorIssuer { .. }
        | E::RepeatedActor { .. } => Place::ActorNames,
        E::ChainTimes => Place::ChainTimes,
        _ => Place::Body,
    }
}

/// Security event tokens.
pub(super) fn set(error: &ssf_set::Error) -> Place {
    use ssf_set::Error as E;
    match error {
        E::Token(source) => token(source),
        E::UnknownIssuer => Place::Issuer,
        E::Claim { claim: "sub", .. } => Place::NoSubject,
        E::Claim { claim: "txn", .. } => Place::Transaction,
        E::Claim { claim: "toe", .. } => Place::TimeOfEvent,
        E::Claim {
            claim: "iat" | "jti" | "iss",
            ..
        } => Place::Required,
        E::Claim {
            claim: "sub_id", ..
        } => Place::SubjectId,
        // Events may have subjects of their own.
        _ => Place::Events,
    }
}

/// Client assertions.
pub(super) fn client_assertion(error: &oauth_spiffe_client_auth::Error) -> Place {
    use oauth_spiffe_client_auth::Error as E;
    match error {
        E::Assertion(source) => token(source),
        E::AssertionSubject => Place::ClientSubject,
        E::LivesTooLong { .. } => Place::Lifetime,
        _ => Place::Form,
    }
}

/// SPIFFE IDs and patterns of them.
pub(super) fn spiffe_id(error: &spiffe_id::Error, input: &str) -> Place {
    use spiffe_id::Error as E;
    // A trust domain ends at the first slash after `spiffe://`.
    let domain_end = input
        .get(9..)
        .and_then(|rest| rest.find('/'))
        .map_or(input.len(), |at| at.saturating_add(9));
    let in_domain = error.offset().is_some_and(|offset| offset < domain_end);
    match error {
        E::TooLong { .. } => Place::Length,
        E::Scheme => Place::Scheme,
        E::EmptyTrustDomain => Place::DomainEmpty,
        E::TrustDomainTooLong => Place::DomainLength,
        E::Query { .. } | E::Fragment { .. } | E::TrustDomainCharacter { .. } if in_domain => {
            Place::DomainCharacters
        }
        E::Wildcard { .. } if in_domain => Place::DomainCharacters,
        _ => Place::Path,
    }
}

/// Bundle documents.
pub(super) const fn bundle(error: &spiffe_bundle::Error) -> Place {
    use spiffe_bundle::Error as E;
    match error {
        E::Member { member } => match member.as_bytes() {
            b"spiffe_sequence" => Place::Sequence,
            b"spiffe_refresh_hint" => Place::RefreshHint,
            _ => Place::Keys,
        },
        E::TooManyKeys { .. } => Place::KeyCount,
        E::NotAnObject { .. } | E::PrivateKey { .. } | E::ConflictingKid { .. } => Place::Entries,
        _ => Place::Json,
    }
}

/// Client ID Metadata Documents.
pub(super) fn cimd(error: &cimd::Error) -> Place {
    use cimd::Error as E;
    match error {
        E::Url {
            place: "client_id", ..
        } => Place::Url,
        E::Url { .. } => Place::Urls,
        E::TooLarge { .. } => Place::Size,
        E::Json(_) => Place::Json,
        E::MemberType { .. } => Place::MemberTypes,
        E::ClientIdMismatch
        | E::MemberMissing {
            member: "client_id",
        } => Place::ClientId,
        E::SecretMember { .. } | E::SecretKey { .. } => Place::Secrets,
        E::MemberValue { member: "jwks", .. } => Place::Jwks,
        E::SpiffeId(_) => Place::SpiffeId,
        E::MemberMissing {
            member: "redirect_uris",
        } => Place::RedirectsPresent,
        E::MemberMissing { .. }
        | E::SharedSecretMethod
        | E::UnsupportedMethod
        | E::ConfidentialRequired => Place::Methods,
        E::MemberValue {
            member: "token_endpoint_auth_signing_alg",
            ..
        } => Place::SigningAlgorithm,
        E::MemberValue { .. } => Place::Grants,
        E::RedirectUri { .. } => Place::Redirects,
        _ => Place::Url,
    }
}

/// Certificates and their path.
pub(super) const fn x509(error: &X509Error) -> Place {
    use CertificateProblem as C;
    match error {
        X509Error::Pem { .. } => Place::Pem,
        X509Error::TooManyCertificates { .. } | X509Error::ChainTooLarge { .. } => Place::Input,
        X509Error::NoTrustAnchors => Place::Bundle,
        X509Error::Certificate { index: 0, problem } => match problem {
            C::UnsupportedCriticalExtension => Place::CriticalExtensions,
            C::CaUsedAsLeaf => Place::NotCa,
            C::LeafWithCaKeyUsage | C::DigitalSignatureMissing => Place::KeyUsage,
            C::NameConstraintsInLeaf => Place::NoConstraints,
            C::PurposeNotAllowed => Place::Purpose,
            C::Expired | C::NotYetValid => Place::Validity,
            _ => Place::Leaf,
        },
        _ => Place::Certification,
    }
}

//! Errors, and how a service answers them.

use http::StatusCode;
use jose_x509::{Error as JoseError, Fault};
use token_exchange::Error as ExchangeError;

use crate::policy::Denial;

/// What is wrong with a call-chain policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyProblem {
    /// Not in the form of a policy, an unknown key, or an unknown kind of rule.
    #[error("it is malformed, or has a key or a kind of rule that does not exist")]
    Syntax,
    /// A route that is neither open nor has a policy, or both.
    #[error("a route has to be open or to have a policy, and not both")]
    Route,
    /// No rules.
    #[error("it has no rules")]
    NoRules,
    /// More than 256 roles, rules, or IDs of a role.
    #[error("it has more than 256 roles, rules, or IDs in a role")]
    TooLarge,
    /// A rule names a role that does not exist, or none.
    #[error("a rule names a role that is not defined, or no role")]
    UndefinedRole,
    /// A role that no rule names.
    #[error("a role is not used by any rule")]
    UnusedRole,
    /// A role without IDs.
    #[error("a role has no IDs")]
    EmptyRole,
    /// Not a SPIFFE ID pattern.
    #[error("a role has an ID that is not a SPIFFE ID, or one followed by `/*`")]
    Pattern,
    /// A check that whole namespaces may perform.
    #[error("a role of kind `check` needs exact IDs, or at least two segments before `/*`")]
    BroadCheck,
}

/// Every way in which this crate refuses something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No `Txn-Token` field.
    #[error("the request has no `Txn-Token` field")]
    MissingField,
    /// Several `Txn-Token` fields or values.
    #[error("the request has to carry exactly one `Txn-Token` field with one value")]
    FieldCount,
    /// The field holds something else than a compact token.
    #[error("the `Txn-Token` field is not one compact token")]
    FieldValue,
    /// The field holds more than 16 KiB.
    #[error("the `Txn-Token` field is longer than 16 KiB")]
    FieldTooLong,
    /// The token itself: structure, type, key, signature, or a claim.
    #[error("transaction token: {0}")]
    Token(#[from] JoseError),
    /// A claim under its current and an earlier name, with two meanings.
    #[error("claims `{claim}` and `{alias}` are two spellings of one claim and differ")]
    TwoSpellings {
        /// The current name.
        claim: &'static str,
        /// The earlier name.
        alias: &'static str,
    },
    /// `act` or an entry of `act_chain`.
    #[error("claim `{claim}` does not name an agent, or without `act` there is a chain")]
    MalformedActor {
        /// The claim.
        claim: &'static str,
    },
    /// An agent that is not a SPIFFE ID of a configured trust domain.
    #[error("agent {position} of the path is not a SPIFFE ID of an accepted trust domain")]
    UnknownActorTrustDomain {
        /// The position in `act_chain`, or after its end for `act`.
        position: usize,
    },
    /// An agent that is named within an issuer that is not configured.
    #[error("agent {position} of the path is named within an issuer that is not accepted")]
    UnknownActorIssuer {
        /// The position in `act_chain`, or after its end for `act`.
        position: usize,
    },
    /// An agent acts twice.
    #[error("agent {position} of the path acts in this transaction already")]
    RepeatedActor {
        /// The position in `act_chain`, or after its end for `act`.
        position: usize,
    },
    /// Too many entries in `act_chain`.
    #[error("claim `act_chain` has more than {limit} entries")]
    ChainTooLong {
        /// The limit.
        limit: usize,
    },
    /// Times in `act_chain` run backwards or lie after the token's own.
    #[error("the times in claim `act_chain` decrease, or lie after `iat`")]
    ChainTimes,
    /// A member of `agentic_ctx`.
    #[error("claim `agentic_ctx`: member `{member}` is malformed or too long")]
    AgenticContext {
        /// The member.
        member: &'static str,
    },
    /// The chain of agents is in the form of a profile that is not accepted.
    #[error("the chain of agents is in the form of a profile that is not accepted here")]
    UnsupportedLineage,
    /// One agent and several in the same `agentic_ctx`.
    #[error("claim `agentic_ctx` has the members of one agent beside those of several")]
    MixedLayouts,
    /// Too many agents in `txn_path`.
    #[error("the transaction went through {limit} agents, which is the most")]
    TooManyHops {
        /// The limit.
        limit: usize,
    },
    /// `min_assurance_level` above the level of an agent.
    #[error("member `min_assurance_level` is higher than the assurance of an agent")]
    AssuranceRises,
    /// An attestation document.
    #[error("the attestation is not acceptable: {what}")]
    Attestation {
        /// Which rule.
        what: &'static str,
    },
    /// `tctx`, `rctx`, `request_context` or `request_details`.
    #[error("a context is not one JSON object of at most 16 KiB, 16 levels and distinct members")]
    InvalidContext,

    /// The caller is neither the agent nor a gateway that forwards for it.
    #[error("the authenticated caller is not the agent that the token names")]
    CallerMismatch,
    /// Another agent, or none.
    #[error("the token's agent may not do this, or it names none")]
    ActorNotAllowed,
    /// The least assurance of the agents is too low, or of a level that is not known.
    #[error("the assurance of the agents is lower than demanded, or of no known level")]
    AssuranceTooLow,
    /// A manifest that is not among the known ones.
    #[error("the agent's manifest is not one that is known to be good")]
    UnknownManifest,
    /// The version or the deployment of the agent.
    #[error("the agent's `{member}` may not do this, or is not stated")]
    ActorVersion {
        /// `version` or `deployment`.
        member: &'static str,
    },
    /// Another requesting workload.
    #[error("the workload in claim `req_wl` may not do this")]
    RequesterNotAllowed,
    /// A rule of the call-chain policy.
    #[error("the chain of agents is refused: {}", .0.code)]
    CallChain(Denial),
    /// A scope is missing.
    #[error("claim `scope` does not cover the operation")]
    InsufficientScope,
    /// The action is not among the allowed ones.
    #[error("`allowed_actions` does not have the action")]
    ActionNotAllowed,
    /// The details do not cover the call, or are of a type that is not understood here.
    #[error("`authorization_details` do not cover the operation")]
    DetailNotGranted,
    /// A constraint that is not met, or that nobody here knows.
    #[error("`environment_constraints` has a constraint that this environment does not meet")]
    EnvironmentConstraint,

    /// A token on its way out of the trust domain.
    #[error("the host is not one of the trust domain: the token is not sent")]
    OutsideTrustDomain,
    /// The other end is not known to be the token service.
    #[error("the other end is not authenticated as the token service")]
    UntrustedTokenService,
    /// The request to the token service.
    #[error(transparent)]
    Request(#[from] ExchangeError),
    /// Nobody was authenticated.
    #[error("the workload that asks is not authenticated")]
    Unauthenticated,
    /// The workload may not ask for this kind of token, or not for this subject.
    #[error("the authenticated workload may not ask for this: {what}")]
    NotPermitted {
        /// Which permission it lacks.
        what: &'static str,
    },
    /// The subject token, by its own rules.
    #[error("the subject token is not acceptable: {what}")]
    SubjectToken {
        /// Which rule.
        what: &'static str,
    },
    /// A scope that was neither granted with the subject token nor configured, or that the workload may not have.
    #[error("the scope is not one that the subject token and the workload have")]
    ScopeNotGranted,
    /// A policy decided for more than was asked for.
    #[error("the service's own policy widened `{what}`: no token is issued")]
    PolicyWidens {
        /// What.
        what: &'static str,
    },
    /// A hook of the service refused.
    #[error("the service's policy refuses the request")]
    Refused,
    /// The credential on which the token would rest has ended.
    #[error("the subject token has expired")]
    SubjectExpired,
    /// A claim without content.
    #[error("claim `{claim}` would be empty")]
    EmptyClaim {
        /// The claim.
        claim: &'static str,
    },
    /// A claim that no verifier would read, because it is too long.
    #[error("claim `{claim}` would be longer than {limit} bytes")]
    ClaimTooLong {
        /// The claim.
        claim: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Claims that no verifier would read, because they are too deep or too many.
    #[error("the claims would have more than 16 levels, or an object of more than 256 members")]
    ClaimsTooComplex,
    /// A token that no verifier would read, because it is too long.
    #[error("the token would be longer than 16 KiB")]
    TokenTooLong,
    /// Part of a presented token in the claims of the new one.
    #[error("a claim would hold a part of a token that was presented")]
    PresentedToken,
    /// The token to be replaced belongs to another trust domain.
    #[error("the token to be replaced is of another trust domain")]
    OtherTrustDomain,
    /// The token to be replaced has expired.
    #[error("the token to be replaced has expired")]
    ReplacedExpired,
    /// The replacement would permit or change what its input does not.
    #[error("the replacement may not widen or change `{what}`")]
    Widens {
        /// A claim or a member of `agentic_ctx`.
        what: &'static str,
    },
    /// Replaced too often.
    #[error("the token was replaced {limit} times already")]
    TooManyReplacements {
        /// The limit.
        limit: usize,
    },
    /// The transaction has lasted too long.
    #[error("the transaction is older than replacements may make it")]
    TransactionTooOld,
    /// The transaction was ended: it went beyond a threshold, or the service's policy ended it.
    #[error("the transaction has ended: no further token of it is issued")]
    TransactionEnded,
    /// No room to remember that a transaction ended.
    #[error("the store of ended transactions is full; give it more room")]
    EndedStoreFull,
    /// The store of ended transactions gave no answer.
    #[error("the store of ended transactions cannot be reached")]
    EndedStoreUnavailable,
    /// An outcome without an agent that hands over, or not stated by that agent itself.
    #[error("an outcome can only be stated by the agent that hands over, about itself")]
    OutcomeOfAnother,
    /// A call-chain policy.
    #[error("call-chain policy: {0}")]
    Policy(PolicyProblem),
    /// A request for a grant to another domain, or a grant of one.
    #[cfg(feature = "chaining")]
    #[error(transparent)]
    Chaining(#[from] identity_chaining::Error),
    /// A trust agreement that must not be.
    #[cfg(feature = "chaining")]
    #[error("cross-domain trust agreement: {0}")]
    Agreement(crate::chaining::AgreementProblem),
    /// A limit of `agentic_ctx` that a grant for another domain would not have.
    #[cfg(feature = "chaining")]
    #[error(
        "`{member}` of claim `agentic_ctx` would be lost: the agreement does not carry this limit to the partner"
    )]
    LimitNotCarried {
        /// The member.
        member: &'static str,
    },
    /// A request for a grant that did not come over TLS.
    #[cfg(feature = "chaining")]
    #[error("the request did not come over TLS")]
    Insecure,
    /// An option outside its range.
    #[error("option `{option}` has to be {range}")]
    InvalidOption {
        /// The option.
        option: &'static str,
        /// What is allowed.
        range: &'static str,
    },
}

impl Error {
    /// A stable name for logs and tests.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingField => "missing_field",
            Self::FieldCount => "field_count",
            Self::FieldValue => "field_value",
            Self::FieldTooLong => "field_too_long",
            Self::Token(source) => source.code(),
            Self::TwoSpellings { .. } => "two_spellings",
            Self::MalformedActor { .. } => "malformed_actor",
            Self::UnknownActorTrustDomain { .. } => "unknown_actor_trust_domain",
            Self::UnknownActorIssuer { .. } => "unknown_actor_issuer",
            Self::RepeatedActor { .. } => "repeated_actor",
            Self::ChainTooLong { .. } => "chain_too_long",
            Self::ChainTimes => "chain_times",
            Self::AgenticContext { .. } => "agentic_context",
            Self::UnsupportedLineage => "unsupported_lineage",
            Self::MixedLayouts => "mixed_layouts",
            Self::TooManyHops { .. } => "too_many_hops",
            Self::AssuranceRises => "assurance_rises",
            Self::Attestation { .. } => "attestation",
            Self::OutsideTrustDomain => "outside_trust_domain",
            Self::UntrustedTokenService => "untrusted_token_service",
            Self::AssuranceTooLow => "assurance_too_low",
            Self::UnknownManifest => "unknown_manifest",
            Self::ActorVersion { .. } => "actor_version",
            Self::InvalidContext => "invalid_context",
            Self::CallerMismatch => "caller_mismatch",
            Self::ActorNotAllowed => "actor_not_allowed",
            Self::RequesterNotAllowed => "requester_not_allowed",
            Self::CallChain(_) => "call_chain",
            Self::InsufficientScope => "insufficient_scope",
            Self::ActionNotAllowed => "action_not_allowed",
            Self::DetailNotGranted => "detail_not_granted",
            Self::EnvironmentConstraint => "environment_constraint",
            Self::Request(source) => source.code(),
            Self::Unauthenticated => "unauthenticated",
            Self::NotPermitted { .. } => "not_permitted",
            Self::SubjectToken { .. } => "subject_token",
            Self::ScopeNotGranted => "scope_not_granted",
            Self::PolicyWidens { .. } => "policy_widens",
            Self::Refused => "refused",
            Self::SubjectExpired => "subject_expired",
            Self::EmptyClaim { .. } => "empty_claim",
            Self::ClaimTooLong { .. } => "claim_too_long",
            Self::ClaimsTooComplex => "claims_too_complex",
            Self::TokenTooLong => "token_too_long",
            Self::PresentedToken => "presented_token",
            Self::OtherTrustDomain => "other_trust_domain",
            Self::ReplacedExpired => "replaced_expired",
            Self::Widens { .. } => "widens",
            Self::TooManyReplacements { .. } => "too_many_replacements",
            Self::TransactionTooOld => "transaction_too_old",
            Self::TransactionEnded => "transaction_ended",
            Self::EndedStoreFull => "ended_store_full",
            Self::EndedStoreUnavailable => "ended_store_unavailable",
            Self::OutcomeOfAnother => "outcome_of_another",
            Self::Policy(_) => "policy",
            #[cfg(feature = "chaining")]
            Self::Chaining(source) => source.code(),
            #[cfg(feature = "chaining")]
            Self::Agreement(_) => "agreement",
            #[cfg(feature = "chaining")]
            Self::LimitNotCarried { .. } => "limit_not_carried",
            #[cfg(feature = "chaining")]
            Self::Insecure => "insecure",
            Self::InvalidOption { .. } => "invalid_option",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Token(source) => source.fault(),
            Self::Request(source) => source.fault(),
            #[cfg(feature = "chaining")]
            Self::Chaining(source) => source.fault(),
            #[cfg(feature = "chaining")]
            Self::Agreement(_) => Fault::Configuration,
            #[cfg(feature = "chaining")]
            Self::LimitNotCarried { .. } => Fault::Policy,
            Self::Policy(_)
            | Self::InvalidOption { .. }
            | Self::EmptyClaim { .. }
            | Self::PolicyWidens { .. } => Fault::Configuration,
            Self::CallerMismatch
            | Self::ActorNotAllowed
            | Self::AssuranceTooLow
            | Self::UnknownManifest
            | Self::ActorVersion { .. }
            | Self::RequesterNotAllowed
            | Self::CallChain(_)
            | Self::InsufficientScope
            | Self::ActionNotAllowed
            | Self::DetailNotGranted
            | Self::EnvironmentConstraint
            | Self::UnknownActorTrustDomain { .. }
            | Self::UnknownActorIssuer { .. }
            | Self::Widens { .. }
            | Self::TooManyReplacements { .. }
            | Self::TransactionTooOld
            | Self::TransactionEnded
            | Self::NotPermitted { .. }
            | Self::ScopeNotGranted
            | Self::Refused => Fault::Policy,
            Self::EndedStoreFull | Self::EndedStoreUnavailable => Fault::Transient,
            _ => Fault::Peer,
        }
    }

    /// Whether fetching the keys of the token service anew may help.
    #[must_use]
    pub fn refresh_may_help(&self) -> bool {
        matches!(self, Self::Token(source) if source.refresh_may_help())
    }

    /// The status with which a workload answers: 401 for no or no valid token, 400 for several, 431 for one that is too long,
    /// 403 for one that is not enough.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::FieldCount => StatusCode::BAD_REQUEST,
            Self::FieldTooLong => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::CallerMismatch
            | Self::ActorNotAllowed
            | Self::AssuranceTooLow
            | Self::UnknownManifest
            | Self::ActorVersion { .. }
            | Self::RequesterNotAllowed
            | Self::CallChain(_)
            | Self::InsufficientScope
            | Self::ActionNotAllowed
            | Self::DetailNotGranted
            | Self::EnvironmentConstraint => StatusCode::FORBIDDEN,
            _ => match self.fault() {
                Fault::Configuration => StatusCode::INTERNAL_SERVER_ERROR,
                Fault::Transient => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::UNAUTHORIZED,
            },
        }
    }

    /// The `error` (RFC 6749 section 5.2, RFC 8693 section 2.2.2) with which the token service answers.
    #[must_use]
    pub fn oauth_error(&self) -> &'static str {
        match self {
            Self::Request(source) => source.oauth_error().error,
            #[cfg(feature = "chaining")]
            Self::Chaining(source) => source.oauth_error().error,
            #[cfg(feature = "chaining")]
            Self::Agreement(_) => "server_error",
            Self::Widens { what: "scope" }
            | Self::EmptyClaim { claim: "scope" }
            | Self::ScopeNotGranted => "invalid_scope",
            Self::Unauthenticated => "invalid_client",
            Self::NotPermitted { .. } | Self::Refused => "unauthorized_client",
            Self::PolicyWidens { .. } => "server_error",
            Self::EndedStoreFull | Self::EndedStoreUnavailable => "temporarily_unavailable",
            Self::OtherTrustDomain => "invalid_target",
            _ => "invalid_request",
        }
    }

    /// The answer of the token service: 401 for nobody, 500 for a fault of its own, else 400. It says nothing of tokens,
    /// subjects, or of which workloads there are.
    #[must_use]
    pub fn to_response(&self) -> http::Response<Vec<u8>> {
        #[cfg(feature = "chaining")]
        if let Self::Chaining(source) = self {
            return source.to_response();
        }
        let (status, description) = match self {
            Self::Unauthenticated => (
                StatusCode::UNAUTHORIZED,
                "client authentication is required",
            ),
            Self::PolicyWidens { .. } | Self::EmptyClaim { .. } | Self::InvalidOption { .. } => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the service cannot decide this",
            ),
            Self::EndedStoreFull | Self::EndedStoreUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the service cannot tell for now",
            ),
            Self::ScopeNotGranted => (StatusCode::BAD_REQUEST, "the scope is not granted"),
            Self::NotPermitted { .. } | Self::Refused => {
                (StatusCode::BAD_REQUEST, "the client may not ask for this")
            }
            Self::Request(source) => (StatusCode::BAD_REQUEST, source.oauth_error().description),
            _ => (StatusCode::BAD_REQUEST, "the request is not acceptable"),
        };
        let answer = token_exchange::OAuthError::new(self.oauth_error(), description, status);
        let mut response = answer.to_response();
        if status == StatusCode::UNAUTHORIZED {
            // Mutual TLS and assertions have no scheme of their own; a challenge is demanded all the same.
            response.headers_mut().insert(
                http::header::WWW_AUTHENTICATE,
                http::HeaderValue::from_static("Bearer"),
            );
        }
        response
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::MissingField => "TXN-TOKEN-12.1-1",
            Self::FieldCount | Self::FieldValue | Self::FieldTooLong => "TXN-TOKEN-12.1-2",
            Self::Token(source) => match source {
                JoseError::WrongType => "TXN-TOKEN-9.1-1",
                JoseError::MissingHeader { name: "kid" } => "TXN-TOKEN-9.1-3",
                JoseError::AudienceMismatch => "TXN-TOKEN-9.2-4",
                JoseError::MultipleAudiences | JoseError::MissingClaim { claim: "aud" } => {
                    "TXN-TOKEN-9.2-3"
                }
                JoseError::MissingClaim { claim: "iat" } | JoseError::IssuedInFuture => {
                    "TXN-TOKEN-9.2-2"
                }
                JoseError::MissingClaim { claim: "exp" } => "TXN-TOKEN-9.2-5",
                JoseError::Expired => "TXN-TOKEN-12.2-4",
                JoseError::NotYetValid => "TXN-TOKEN-12.2-5",
                JoseError::InvalidSignature | JoseError::UnknownKey => "TXN-TOKEN-12.2-2",
                JoseError::MissingClaim { claim: "txn" }
                | JoseError::ClaimType { claim: "txn" } => "TXN-TOKEN-9.2-6",
                JoseError::MissingClaim { claim: "sub" }
                | JoseError::ClaimType { claim: "sub" } => "TXN-TOKEN-9.2-7",
                JoseError::MissingClaim { claim: "scope" }
                | JoseError::ClaimType { claim: "scope" } => "TXN-TOKEN-9.2-8",
                JoseError::MissingClaim { claim: "req_wl" }
                | JoseError::ClaimType { claim: "req_wl" } => "TXN-TOKEN-9.2-11",
                other => return other.requirement(),
            },
            Self::TwoSpellings {
                claim: "act_chain", ..
            } => "AGENTIC-CTX-P-6",
            Self::TwoSpellings { .. } => "TXN-TOKEN-C-2",
            Self::MalformedActor { claim: "act_chain" } => "AGENTIC-CTX-P-5",
            Self::MalformedActor { .. } => "AGENTIC-CTX-P-3",
            Self::UnknownActorTrustDomain { .. } => "AGENTIC-CTX-V-2",
            Self::UnknownActorIssuer { .. } => "AGENTIC-CTX-V-3",
            Self::RepeatedActor { .. } => "AGENTIC-CTX-V-5",
            Self::ChainTooLong { .. } => "AGENTIC-CTX-P-7",
            Self::ChainTimes => "AGENTIC-CTX-V-4",
            Self::AgenticContext {
                member: "txn_path" | "hop_count",
            } => "TXN-AGENTS-4.2.2-4",
            Self::AgenticContext { .. } | Self::UnsupportedLineage => "AGENTIC-CTX-P-8",
            Self::MixedLayouts => "TXN-AGENTS-A14",
            Self::TooManyHops { .. } => "TXN-AGENTS-5.13-2",
            Self::AssuranceRises => "TXN-AGENTS-5.10-1",
            Self::Attestation { .. } => "TXN-AGENTS-5.12-1",
            Self::OutsideTrustDomain => "TXN-TOKEN-14-1",
            Self::UntrustedTokenService => "TXN-TOKEN-13.9-1",
            Self::AssuranceTooLow => "TXN-AGENTS-5.10-2",
            Self::UnknownManifest => "TXN-AGENTS-3.6.3-1",
            Self::ActorVersion { .. } => "AGENTIC-CTX-V-9",
            Self::InvalidContext => "TXN-TOKEN-11.1-10",
            Self::CallerMismatch => "AGENTIC-CTX-V-6",
            Self::ActorNotAllowed => "TXN-AGENTS-5.3-1",
            Self::RequesterNotAllowed => "AGENTIC-CTX-V-7",
            Self::CallChain(_) => "AGENTIC-CTX-C-15",
            Self::InsufficientScope => "TXN-AGENTS-5.6-1",
            Self::ActionNotAllowed => "AGENTIC-CTX-E-1",
            Self::DetailNotGranted => "AGENTIC-CTX-E-2",
            Self::EnvironmentConstraint => "AGENTIC-CTX-E-3",
            Self::Request(source) => return source.requirement(),
            Self::Unauthenticated => "TXN-TOKEN-11.5-2",
            Self::NotPermitted { .. } => "TXN-TOKEN-13.10-1",
            Self::SubjectToken { .. } => "TXN-TOKEN-11.3-2",
            Self::ScopeNotGranted => "TXN-TOKEN-13.14-1",
            Self::PolicyWidens { .. } => "TXN-TOKEN-11.3-9",
            Self::Refused => "TXN-TOKEN-11.3-12",
            Self::SubjectExpired => "TXN-TOKEN-6-2",
            Self::EmptyClaim { .. }
            | Self::ClaimTooLong { .. }
            | Self::ClaimsTooComplex
            | Self::TokenTooLong => return None,
            Self::PresentedToken => "TXN-TOKEN-13.4-1",
            Self::OtherTrustDomain => "TXN-TOKEN-13.15-4",
            Self::ReplacedExpired => "TXN-TOKEN-13.15-5",
            Self::Widens { .. } => "TXN-TOKEN-13.15-3",
            Self::TooManyReplacements { .. } | Self::TransactionTooOld => "TXN-TOKEN-13.15-7",
            Self::TransactionEnded | Self::EndedStoreFull | Self::EndedStoreUnavailable => {
                "TXN-AGENTS-5.13-3"
            }
            Self::OutcomeOfAnother => "AGENTIC-CTX-I-9",
            Self::Policy(_) => "AGENTIC-CTX-C-1",
            #[cfg(feature = "chaining")]
            Self::Chaining(source) => return source.requirement(),
            #[cfg(feature = "chaining")]
            Self::Agreement(problem) => problem.requirement(),
            #[cfg(feature = "chaining")]
            Self::LimitNotCarried { .. } => "AGENTIC-CTX-E-4",
            #[cfg(feature = "chaining")]
            Self::Insecure => "TXN-CHAIN-9.3-1",
            Self::InvalidOption { .. } => return None,
        })
    }
}

//! The servers' side: who sent this request (section 7)?

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use jose_x509::dpop::ProofTarget;
use jose_x509::jws::{HeaderRules, Limits, UnverifiedJws};
use jose_x509::jwt::{Audience, ConfirmationRule, Issuer, Jwt, Type, Validator};
use jose_x509::replay::AsyncReplayGuard;
use jose_x509::{Algorithms, CryptoProvider, Error as JoseError, ReplayGuard, VerifyingKey, json};
use pki_types::UnixTime;

use super::attester::find;
use super::{
    ATTESTATION_TYPE, AttesterTrust, CLIENT_ATTESTATION, InstanceBinding, MAX_FIELD, PopMethod,
};
use crate::error::Error;
use crate::pop::{DEFAULT_ALGORITHMS, PopVerifier, ProvenKey, UnspentPop, field};

const LEEWAY: u64 = 60;

/// Verifies attestations alone: an immutable value that threads share.
#[derive(Clone, Debug)]
pub struct AttestationVerifier {
    provider: CryptoProvider,
    validator: Validator,
    algorithms: Algorithms,
}

impl AttestationVerifier {
    /// A verifier for attestations by elliptic curve keys, with 60 seconds of leeway, as old as their `exp` allows.
    #[must_use]
    pub fn new(provider: &CryptoProvider) -> Self {
        let validator = Validator::new(
            Type::OneOf(&[ATTESTATION_TYPE]),
            Issuer::NotApplicable {
                reason: "the key says which attester signed",
            },
            Audience::NotApplicable {
                reason: "an attestation is for every server; its proofs are for one",
            },
        )
        .with_algorithms(DEFAULT_ALGORITHMS)
        .with_confirmation(ConfirmationRule::Required)
        .with_required_claim("sub")
        .with_limits(Limits::default(), json::Limits::CLAIMS);
        Self {
            provider: *provider,
            validator: validator
                .clone()
                .with_leeway(Duration::from_secs(LEEWAY))
                .unwrap_or(validator),
            algorithms: DEFAULT_ALGORITHMS,
        }
    }

    /// Other algorithms. All that exist here are asymmetric.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] for the empty set.
    pub fn with_algorithms(mut self, algorithms: Algorithms) -> Result<Self, Error> {
        if algorithms.is_empty() {
            let member = "client_attestation_signing_alg_values_supported";
            return Err(Error::Metadata { member });
        }
        self.algorithms = algorithms;
        self.validator = self.validator.with_algorithms(algorithms);
        Ok(self)
    }

    /// Bounds the age of attestations, whatever their `exp` says; `iat` is required then.
    #[must_use]
    pub fn with_max_age(mut self, age: Duration) -> Self {
        self.validator = self.validator.with_max_age(age);
        self
    }

    /// The accepted algorithms.
    #[must_use]
    pub fn algorithms(&self) -> Algorithms {
        self.algorithms
    }

    /// Verifies an attestation. It identifies nobody until the possession of its key is proven.
    ///
    /// # Errors
    ///
    /// [`Error::Attestation`], [`Error::InstanceKey`], and [`Error::StaleAttestation`] for one that is signed well and too old.
    pub fn verify(
        &self,
        attestation: &str,
        trust: &(impl AttesterTrust + ?Sized),
        now: UnixTime,
    ) -> Result<UnprovenAttestation, Error> {
        let mut rules = HeaderRules::default();
        rules.allow_x5c = true;
        let limits = Limits::new(MAX_FIELD, MAX_FIELD).map_err(Error::Attestation)?;
        let jws =
            UnverifiedJws::parse_with(attestation, &rules, &limits).map_err(Error::Attestation)?;
        let refused = |error| match error {
            JoseError::Expired | JoseError::TooOld { .. } => Error::StaleAttestation(error),
            JoseError::UnusableConfirmation => Error::InstanceKey,
            other => Error::Attestation(other),
        };
        // The type is checked before a key is looked up, so that no other kind of token gets that far.
        let unverified = self.validator.read(jws).map_err(refused)?;
        let client_id = unverified
            .unverified_subject()
            .ok_or(Error::Attestation(JoseError::MissingClaim { claim: "sub" }))?
            .to_owned();
        let attesters = trust.attesters(&client_id);
        let header = unverified.unverified_header();
        let (attester, keys) =
            find(&attesters, &header, &self.provider, now).map_err(Error::Attestation)?;
        let jwt = unverified.validate(&keys, now).map_err(refused)?;
        let jwk = jwt
            .confirmation()
            .and_then(|confirmation| confirmation.jwk.clone())
            .ok_or(Error::InstanceKey)?;
        let key = VerifyingKey::from_jwk(&self.provider, jwk).map_err(Error::Attestation)?;
        Ok(UnprovenAttestation {
            client_id,
            key,
            attester,
            jwt,
        })
    }
}

/// A verified attestation, whose sender has not yet proven to have its key.
#[derive(Debug)]
pub struct UnprovenAttestation {
    client_id: String,
    key: VerifyingKey,
    attester: Arc<str>,
    jwt: Jwt,
}

impl UnprovenAttestation {
    /// `sub`.
    #[must_use]
    pub fn unproven_client_id(&self) -> &str {
        &self.client_id
    }

    /// `cnf.jwk`, the Client Instance Key.
    #[must_use]
    pub fn instance_key(&self) -> &VerifyingKey {
        &self.key
    }

    /// All claims.
    #[must_use]
    pub fn jwt(&self) -> &Jwt {
        &self.jwt
    }
}

/// A request, as far as attestations are concerned.
#[derive(Clone, Copy, Debug)]
pub struct AttestedRequest<'a> {
    headers: &'a HeaderMap,
    client_id: Option<&'a str>,
    target: Option<ProofTarget<'a>>,
}

impl<'a> AttestedRequest<'a> {
    /// A request with these fields.
    #[must_use]
    pub fn new(headers: &'a HeaderMap) -> Self {
        Self {
            headers,
            client_id: None,
            target: None,
        }
    }

    /// Its parameter `client_id`, which has to be the one that is attested.
    #[must_use]
    pub fn with_client_id(mut self, client_id: Option<&'a str>) -> Self {
        self.client_id = client_id;
        self
    }

    /// Its method and target, for DPoP proofs; without them there is no combined mode. At a resource server
    /// it names the access token too.
    #[must_use]
    pub fn with_target(mut self, target: ProofTarget<'a>) -> Self {
        self.target = Some(target);
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    AuthorizationServer,
    ResourceServer,
}

/// Verifies attested requests to one server: an immutable value that threads share.
///
/// For client authentication beside other methods see [`ClientAuthenticator`](crate::ClientAuthenticator). This one also
/// serves resource servers, and authorization servers that take an attestation as an additional signal.
#[derive(Clone, Debug)]
pub struct Verifier {
    attestations: AttestationVerifier,
    pub(super) pop: PopVerifier,
    pub(super) role: Role,
}

impl Verifier {
    /// For the authorization server with this issuer identifier (RFC 8414). An endpoint is not one.
    #[must_use]
    pub fn for_authorization_server(provider: &CryptoProvider, issuer: &str) -> Self {
        Self {
            attestations: AttestationVerifier::new(provider),
            pop: PopVerifier::new(issuer),
            role: Role::AuthorizationServer,
        }
    }

    /// For the resource server with this resource identifier (RFC 9728).
    #[must_use]
    pub fn for_resource_server(provider: &CryptoProvider, resource: &str) -> Self {
        Self {
            role: Role::ResourceServer,
            ..Self::for_authorization_server(provider, resource)
        }
    }

    /// Other rules for attestations.
    #[must_use]
    pub fn with_attestations(self, attestations: AttestationVerifier) -> Self {
        Self {
            attestations,
            ..self
        }
    }

    /// Changes the rules for proofs, such as `|pop| Ok(pop.with_challenges(source))`.
    ///
    /// # Errors
    ///
    /// What `change` says.
    pub fn with_proofs(
        self,
        change: impl FnOnce(PopVerifier) -> Result<PopVerifier, Error>,
    ) -> Result<Self, Error> {
        Ok(Self {
            pop: change(self.pop)?,
            ..self
        })
    }

    /// The rules for attestations.
    #[must_use]
    pub fn attestations(&self) -> &AttestationVerifier {
        &self.attestations
    }

    /// The rules for proofs.
    #[must_use]
    pub fn proofs(&self) -> &PopVerifier {
        &self.pop
    }

    /// Verifies a request and spends its proof.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`refuse`](Self::refuse) makes the response of it.
    pub fn verify(
        &self,
        request: &AttestedRequest<'_>,
        trust: &(impl AttesterTrust + ?Sized),
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<AttestedClient, Error> {
        self.check(request, trust, now)?.spend(replay, now)
    }

    /// As [`verify`](Self::verify) where an attestation is an additional signal: a request without one is `None` if the
    /// accepted methods have [`PopMethod::None`]. One that is sent has to be right in any case.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub fn verify_signal(
        &self,
        request: &AttestedRequest<'_>,
        trust: &(impl AttesterTrust + ?Sized),
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<Option<AttestedClient>, Error> {
        let sent = [CLIENT_ATTESTATION, super::CLIENT_ATTESTATION_POP]
            .iter()
            .any(|name| request.headers.contains_key(*name));
        if !sent && self.pop.methods().contains(PopMethod::None) {
            return Ok(None);
        }
        self.verify(request, trust, replay, now).map(Some)
    }

    /// Checks everything but whether the proof was used before.
    ///
    /// # Errors
    ///
    /// In this order: the attestation's field, itself, `client_id`, the proof (see [`PopVerifier::check`]).
    pub fn check(
        &self,
        request: &AttestedRequest<'_>,
        trust: &(impl AttesterTrust + ?Sized),
        now: UnixTime,
    ) -> Result<UnspentAttestation, Error> {
        let attestation =
            field(request.headers, CLIENT_ATTESTATION)?.ok_or(Error::MissingAttestation)?;
        let attestation = self.attestations.verify(attestation, trust, now)?;
        let named = request.client_id.filter(|client_id| !client_id.is_empty());
        if named.is_some_and(|named| named != attestation.client_id) {
            return Err(Error::ClientIdMismatch);
        }
        let proof = self.pop.check(
            request.headers,
            &attestation.key,
            request.target.as_ref(),
            now,
        )?;
        Ok(UnspentAttestation { attestation, proof })
    }
}

/// An attested request that is right in every way, and whose proof may have been used before.
#[derive(Debug)]
pub struct UnspentAttestation {
    attestation: UnprovenAttestation,
    proof: UnspentPop,
}

impl UnspentAttestation {
    /// `sub`, for a server that gives each client a replay guard of its own.
    #[must_use]
    pub fn unspent_client_id(&self) -> &str {
        &self.attestation.client_id
    }

    /// The thumbprint of the instance's key, for one that gives each instance a replay guard of its own.
    #[must_use]
    pub fn unspent_jkt(&self) -> [u8; 32] {
        self.proof.unspent_jkt()
    }

    /// Spends the proof.
    ///
    /// # Errors
    ///
    /// As [`UnspentPop::spend`].
    pub fn spend(
        self,
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<AttestedClient, Error> {
        Ok(AttestedClient {
            proof: self.proof.spend(replay, now)?,
            attestation: self.attestation,
        })
    }

    /// As [`spend`](Self::spend), with a guard behind a network.
    ///
    /// # Errors
    ///
    /// As [`UnspentPop::spend`].
    pub async fn spend_async(
        self,
        replay: &(impl AsyncReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<AttestedClient, Error> {
        Ok(AttestedClient {
            proof: self.proof.spend_async(replay, now).await?,
            attestation: self.attestation,
        })
    }
}

/// An instance of a client that has shown its attestation and proven its key.
#[derive(Debug)]
pub struct AttestedClient {
    attestation: UnprovenAttestation,
    proof: ProvenKey,
}

impl AttestedClient {
    /// The client.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.attestation.client_id
    }

    /// The name of the attester that vouches for the instance.
    #[must_use]
    pub fn attester(&self) -> &str {
        &self.attestation.attester
    }

    /// What grants of this request are bound to.
    #[must_use]
    pub fn binding(&self) -> InstanceBinding {
        InstanceBinding::new(self.proof.jkt())
    }

    /// The proof.
    #[must_use]
    pub fn proof(&self) -> &ProvenKey {
        &self.proof
    }

    /// The claims of the attestation.
    #[must_use]
    pub fn attestation(&self) -> &Jwt {
        &self.attestation.jwt
    }
}

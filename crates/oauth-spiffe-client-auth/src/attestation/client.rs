//! The client's side: an instance, its attestations, and what servers told it.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jose_x509::dpop::{Htu, Nonce, NonceMemory, ProofRequest, Prover, ReceivedChallenge, Role};
use jose_x509::jws::UnverifiedJws;
use jose_x509::jwt::{Confirmation, peek_claims};
use jose_x509::{CryptoProvider, PublicKey, Signer, SigningKey, json};
use pki_types::UnixTime;
use serde_json::Value;

use super::{CLIENT_ATTESTATION, CLIENT_ATTESTATION_CHALLENGE, CLIENT_ATTESTATION_POP, Challenge};
use crate::error::{Error, USE_CHALLENGE, USE_NONCE};
use crate::pop;

/// An attestation with the key that it is for. There is no way to give it another key: that needs a new attestation.
pub struct HeldAttestation<S = SigningKey> {
    attestation: String,
    client_id: String,
    prover: Prover<Arc<S>>,
    signer: Arc<S>,
    provider: CryptoProvider,
}

impl HeldAttestation {
    /// An attestation for a key in memory.
    ///
    /// # Errors
    ///
    /// [`Error::HeldAttestation`] for an attestation of another key, or none at all.
    pub fn new(attestation: impl Into<String>, key: SigningKey) -> Result<Self, Error> {
        let (provider, public) = (*key.provider(), key.public_key().clone());
        Self::with_signer(attestation, key, public, &provider)
    }
}

impl<S: Signer> HeldAttestation<S> {
    /// An attestation for a key that is elsewhere, such as in a secure element. The attestation is the attester's to
    /// sign and the servers' to verify; only whose it is gets compared here.
    ///
    /// # Errors
    ///
    /// As [`HeldAttestation::new`].
    pub fn with_signer(
        attestation: impl Into<String>,
        signer: S,
        public_key: PublicKey,
        provider: &CryptoProvider,
    ) -> Result<Self, Error> {
        let attestation = attestation.into();
        let jws = UnverifiedJws::parse(&attestation).map_err(|_| Error::HeldAttestation)?;
        let claims = json::object(jws.unverified_payload(), &json::Limits::CLAIMS)
            .map_err(|_| Error::HeldAttestation)?;
        let confirmation = claims.get("cnf").map(Confirmation::from_value);
        let attested = match confirmation {
            Some(Ok(confirmation)) => confirmation.jwk.ok_or(Error::HeldAttestation)?,
            _ => return Err(Error::HeldAttestation),
        };
        if attested.thumbprint(provider) != public_key.thumbprint(provider) {
            return Err(Error::HeldAttestation);
        }
        let client_id = peek_claims(&jws)
            .ok()
            .and_then(|claims| claims.unverified_subject)
            .ok_or(Error::HeldAttestation)?;
        let signer = Arc::new(signer);
        Ok(Self {
            prover: Prover::new(provider, public_key, Arc::clone(&signer)),
            signer,
            attestation,
            client_id,
            provider: *provider,
        })
    }

    /// The client (`sub`), as the attestation says.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The thumbprint of the key.
    #[must_use]
    pub fn jkt(&self) -> [u8; 32] {
        self.prover.jkt()
    }

    /// Adds the attestation and a new proof JWT for the server with this issuer or resource identifier. `challenge` is
    /// the most recent one of this server: see [`Attempt::challenge`].
    ///
    /// # Errors
    ///
    /// [`Error::Proof`], [`Error::FieldValue`].
    pub fn attach(
        &self,
        headers: &mut HeaderMap,
        server: &str,
        challenge: Option<&Challenge>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let proof = pop::sign(&*self.signer, &self.provider, server, challenge, now)?;
        self.put(headers, CLIENT_ATTESTATION_POP, &proof)
    }

    /// Adds the attestation and a new DPoP proof by the same key, which stands for both (combined mode). A `dpop_jkt`
    /// in an authorization request does not replace it.
    ///
    /// # Errors
    ///
    /// [`Error::CombinedProof`], [`Error::FieldValue`].
    pub fn attach_combined(
        &self,
        headers: &mut HeaderMap,
        request: &ProofRequest<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let proof = self
            .prover
            .prove(request, now)
            .map_err(Error::CombinedProof)?;
        headers.remove(CLIENT_ATTESTATION_POP);
        self.put(headers, pop::DPOP, &proof)
    }

    fn put(&self, headers: &mut HeaderMap, name: &'static str, proof: &str) -> Result<(), Error> {
        for (name, value) in [(CLIENT_ATTESTATION, &*self.attestation), (name, proof)] {
            let mut value = HeaderValue::from_str(value).map_err(|_| Error::FieldValue)?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(())
    }
}

/// Without attestation and key.
impl<S> std::fmt::Debug for HeldAttestation<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldAttestation")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// The attestations of an instance: one, with a key of its own, for each server, so that servers cannot recognise the
/// instance among each other.
#[derive(Debug)]
pub struct HeldAttestations<S = SigningKey>(BTreeMap<String, HeldAttestation<S>>);

impl<S> Default for HeldAttestations<S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S: Signer> HeldAttestations<S> {
    /// Keeps the attestation for the server with this identifier, in place of the one it had.
    ///
    /// # Errors
    ///
    /// [`Error::HeldAttestation`] when another server already sees this key.
    pub fn insert(&mut self, server: &str, held: HeldAttestation<S>) -> Result<(), Error> {
        let jkt = held.jkt();
        let elsewhere =
            |(name, other): (&String, &HeldAttestation<S>)| name != server && other.jkt() == jkt;
        if self.0.iter().any(elsewhere) {
            return Err(Error::HeldAttestation);
        }
        self.0.insert(server.to_owned(), held);
        Ok(())
    }

    /// The attestation for a server.
    #[must_use]
    pub fn get(&self, server: &str) -> Option<&HeldAttestation<S>> {
        self.0.get(server)
    }
}

/// A server, as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    role: Role,
    identifier: String,
    target: Htu,
}

impl Server {
    /// The authorization server with this issuer identifier, and the endpoint that the requests are for.
    #[must_use]
    pub fn authorization(issuer: &str, target: &Htu) -> Self {
        Self {
            role: Role::AuthorizationServer,
            identifier: issuer.to_owned(),
            target: target.clone(),
        }
    }

    /// The resource server with this resource identifier, and the resource that the requests are for.
    #[must_use]
    pub fn resource(resource: &str, target: &Htu) -> Self {
        Self {
            role: Role::ResourceServer,
            identifier: resource.to_owned(),
            target: target.clone(),
        }
    }

    /// The issuer or resource identifier.
    #[must_use]
    pub fn identifier(&self) -> &str {
        &self.identifier
    }
}

/// The latest challenge and DPoP nonce of each server, wherever they came from: a plain value that the client keeps where
/// it likes.
#[derive(Clone, Debug)]
pub struct ChallengeMemory {
    challenges: BTreeMap<String, (u64, Challenge)>,
    nonces: NonceMemory,
    capacity: usize,
    turn: u64,
}

impl Default for ChallengeMemory {
    /// For 1024 servers.
    fn default() -> Self {
        Self::new(1024)
    }
}

impl ChallengeMemory {
    /// A memory for so many servers. The one whose challenge is the oldest makes room.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self {
            challenges: BTreeMap::new(),
            nonces: NonceMemory::new(capacity),
            capacity,
            turn: 0,
        }
    }

    /// The challenge for the next proof towards this server.
    #[must_use]
    pub fn get(&self, server: &Server) -> Option<&Challenge> {
        self.challenges
            .get(&server.identifier)
            .map(|(_, challenge)| challenge)
    }

    /// The nonce for the next DPoP proof towards this server.
    #[must_use]
    pub fn nonce(&self, server: &Server) -> Option<&Nonce> {
        self.nonces.get(server.role, &server.target)
    }

    /// Remembers what any response of this server, also a successful one, has in its fields. Tells whether it had a
    /// challenge, and a nonce.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidChallenge`], also for several, and [`Error::DpopProof`] for malformed nonces.
    pub fn observe(&mut self, server: &Server, headers: &HeaderMap) -> Result<(bool, bool), Error> {
        let nonces = headers.get_all("dpop-nonce");
        let nonce = self
            .nonces
            .observe(
                server.role,
                &server.target,
                nonces.iter().map(HeaderValue::as_bytes),
            )
            .map_err(Error::DpopProof)?;
        let mut values = headers.get_all(CLIENT_ATTESTATION_CHALLENGE).iter();
        let challenge = match (values.next(), values.next()) {
            (None, _) => None,
            (Some(value), None) => {
                let text = value.to_str().map_err(|_| Error::InvalidChallenge)?;
                Some(Challenge::parse(text)?)
            }
            (Some(_), Some(_)) => return Err(Error::InvalidChallenge),
        };
        let given = (challenge.is_some(), nonce.is_some());
        if let Some(challenge) = challenge {
            self.remember(server, challenge);
        }
        Ok(given)
    }

    pub(super) fn remember(&mut self, server: &Server, challenge: Challenge) {
        self.turn = self.turn.saturating_add(1);
        self.challenges
            .insert(server.identifier.clone(), (self.turn, challenge));
        if self.challenges.len() > self.capacity {
            let oldest = self.challenges.iter().min_by_key(|(_, (turn, _))| *turn);
            if let Some(server) = oldest.map(|(server, _)| server.clone()) {
                self.challenges.remove(&server);
            }
        }
    }
}

/// What of a response matters here.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

/// Longest body that is searched for an error.
const MAX_BODY: usize = 16 * 1024;

impl<'a> Answer<'a> {
    /// A response with this status, these fields and this body.
    #[must_use]
    pub fn new(status: StatusCode, headers: &'a HeaderMap, body: &'a [u8]) -> Self {
        Self {
            status,
            headers,
            body,
        }
    }

    /// `error`, from the body at an authorization server, and from `WWW-Authenticate` at a resource server.
    fn error(&self, role: Role) -> Option<String> {
        if role == Role::AuthorizationServer {
            if !matches!(
                self.status,
                StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED
            ) {
                return None;
            }
            let limits = json::Limits::DOCUMENT.with_bytes(MAX_BODY);
            return match json::object(self.body, &limits).ok()?.remove("error")? {
                Value::String(error) => Some(error),
                _ => None,
            };
        }
        if self.status != StatusCode::UNAUTHORIZED {
            return None;
        }
        let fields = self.headers.get_all(header::WWW_AUTHENTICATE);
        let challenges =
            ReceivedChallenge::parse_all(fields.iter().map(HeaderValue::as_bytes)).ok()?;
        let error = |challenge: &ReceivedChallenge| challenge.parameter("error").map(str::to_owned);
        challenges.iter().find_map(error)
    }
}

/// One try at a request. There are at most two.
#[derive(Clone, Debug)]
pub struct Attempt {
    server: Server,
    challenge: Option<Challenge>,
    nonce: Option<Nonce>,
    second: bool,
}

impl Attempt {
    /// The first try, with what is remembered of the server.
    #[must_use]
    pub fn first(server: &Server, memory: &ChallengeMemory) -> Self {
        Self {
            server: server.clone(),
            challenge: memory.get(server).cloned(),
            nonce: memory.nonce(server).cloned(),
            second: false,
        }
    }

    /// The challenge for this try's proof JWT.
    #[must_use]
    pub fn challenge(&self) -> Option<&Challenge> {
        self.challenge.as_ref()
    }

    /// The nonce for this try's DPoP proof.
    #[must_use]
    pub fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }

    /// What to do after the response to this try. Its challenge and nonce are remembered in any case.
    ///
    /// # Errors
    ///
    /// [`Error::ChallengeLoop`] when the server demands something for the second time, [`Error::ChallengeNotGiven`] when
    /// it gives none with its demand; those of [`ChallengeMemory::observe`].
    pub fn after(self, answer: &Answer<'_>, memory: &mut ChallengeMemory) -> Result<Next, Error> {
        let (challenge, nonce) = memory.observe(&self.server, answer.headers)?;
        let given = match answer.error(self.server.role).as_deref() {
            Some(USE_CHALLENGE) => challenge,
            Some(USE_NONCE) => nonce,
            Some("use_fresh_attestation") => return Ok(Next::FreshAttestation),
            _ => return Ok(Next::Done),
        };
        if self.second {
            return Err(Error::ChallengeLoop);
        }
        if !given {
            return Err(Error::ChallengeNotGiven);
        }
        Ok(Next::Again(Self {
            second: true,
            ..Self::first(&self.server, memory)
        }))
    }
}

/// What to do after a response.
#[derive(Clone, Debug)]
pub enum Next {
    /// The response is the answer, be it good or bad.
    Done,
    /// Send the request again, with a new proof.
    Again(Attempt),
    /// Get a new attestation first.
    FreshAttestation,
}

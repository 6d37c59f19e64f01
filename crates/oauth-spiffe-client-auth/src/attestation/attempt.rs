//! The client's side: what servers told it, and when to try again.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use jose_x509::dpop::{Htu, Nonce, NonceMemory, ReceivedChallenge, Role};
use jose_x509::json;
use serde_json::Value;

use super::{CLIENT_ATTESTATION_CHALLENGE, Challenge};
use crate::error::{Error, USE_CHALLENGE, USE_NONCE};

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

//! The client's side: nonces that servers gave, and when to try again (RFC 9449 sections 8 and 9).

use std::collections::BTreeMap;

use super::challenge::ReceivedChallenge;
use super::error::DpopError;
use super::htu::Htu;
use super::nonce::Nonce;
use crate::error::Error;

/// What a server is to the client. One origin can be both, with different nonces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The authorization server.
    AuthorizationServer,
    /// A resource server.
    ResourceServer,
}

/// The latest nonce of each server: a plain value that the client keeps where it likes.
#[derive(Clone, Debug)]
pub struct NonceMemory {
    nonces: BTreeMap<(Role, String), (u64, Nonce)>,
    capacity: usize,
    /// Counts what was remembered, to find the oldest.
    turn: u64,
}

impl Default for NonceMemory {
    /// For 1024 servers.
    fn default() -> Self {
        Self::new(1024)
    }
}

impl NonceMemory {
    /// A memory for so many servers. The one whose nonce is the oldest makes room, which costs a round
    /// trip.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self {
            nonces: BTreeMap::new(),
            capacity,
            turn: 0,
        }
    }

    /// The nonce for the next request to this server.
    #[must_use]
    pub fn get(&self, role: Role, target: &Htu) -> Option<&Nonce> {
        let server = (role, target.origin().to_owned());
        self.nonces.get(&server).map(|(_, nonce)| nonce)
    }

    /// Remembers what any response of this server, also a successful one, has in its `DPoP-Nonce` fields,
    /// and gives it.
    ///
    /// # Errors
    ///
    /// [`DpopError::MultipleNonces`], [`DpopError::InvalidNonce`].
    pub fn observe<'f>(
        &mut self,
        role: Role,
        target: &Htu,
        fields: impl IntoIterator<Item = &'f [u8]>,
    ) -> Result<Option<Nonce>, Error> {
        let Some(nonce) = Nonce::from_fields(fields)? else {
            return Ok(None);
        };
        self.turn = self.turn.saturating_add(1);
        let server = (role, target.origin().to_owned());
        self.nonces.insert(server, (self.turn, nonce.clone()));
        if self.nonces.len() > self.capacity {
            let oldest = self.nonces.iter().min_by_key(|(_, (turn, _))| *turn);
            if let Some(server) = oldest.map(|(server, _)| server.clone()) {
                self.nonces.remove(&server);
            }
        }
        Ok(Some(nonce))
    }
}

/// What of a response matters here.
#[derive(Clone, Debug, Default)]
pub struct Response<'a> {
    status: u16,
    nonces: Vec<&'a [u8]>,
    challenges: Vec<&'a [u8]>,
    oauth_error: Option<&'a str>,
}

impl<'a> Response<'a> {
    /// A response with this status code.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// The values of its `DPoP-Nonce` fields.
    #[must_use]
    pub fn with_nonces(mut self, values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        self.nonces.extend(values);
        self
    }

    /// The values of its `WWW-Authenticate` fields.
    #[must_use]
    pub fn with_challenges(mut self, values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        self.challenges.extend(values);
        self
    }

    /// Member `error` of its body, for an endpoint of the authorization server.
    #[must_use]
    pub fn with_oauth_error(mut self, error: Option<&'a str>) -> Self {
        self.oauth_error = error;
        self
    }

    fn demands_nonce(&self, role: Role) -> Result<bool, Error> {
        const NAME: &str = "use_dpop_nonce";
        if role == Role::AuthorizationServer && matches!(self.status, 400 | 401) {
            return Ok(self.oauth_error == Some(NAME));
        }
        if self.status != 401 {
            return Ok(false);
        }
        let challenges = ReceivedChallenge::parse_all(self.challenges.iter().copied())?;
        Ok(challenges.iter().any(|challenge| {
            challenge.is_scheme("DPoP") && challenge.parameter("error") == Some(NAME)
        }))
    }
}

/// One try at a request. There are at most two.
///
/// ```
/// use jose_x509::dpop::{Attempt, Htu, Next, NonceMemory, Response, Role};
///
/// let target = Htu::parse("https://api.example/orders")?;
/// let mut nonces = NonceMemory::default();
/// let mut attempt = Attempt::first(Role::ResourceServer, &target, &nonces);
/// loop {
///     // … prove with `attempt.nonce()` and send; the server answers:
///     let response = match attempt.nonce() {
///         None => Response::new(401)
///             .with_nonces([&b"eyJ7S_zG.eyJH0-Z.HX4w-7v"[..]])
///             .with_challenges([&br#"DPoP error="use_dpop_nonce""#[..]]),
///         Some(_) => Response::new(200),
///     };
///     match attempt.after(&response, &mut nonces)? {
///         Next::Done => break,
///         Next::Again(next) => attempt = next,
///     }
/// }
/// # Ok::<(), jose_x509::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Attempt {
    role: Role,
    target: Htu,
    nonce: Option<Nonce>,
    second: bool,
}

impl Attempt {
    /// The first try, with the nonce that is remembered.
    #[must_use]
    pub fn first(role: Role, target: &Htu, nonces: &NonceMemory) -> Self {
        Self {
            role,
            target: target.clone(),
            nonce: nonces.get(role, target).cloned(),
            second: false,
        }
    }

    /// The nonce for this try's proof, which is a new one for each.
    #[must_use]
    pub fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }

    /// What to do after the response to this try. Its nonce is remembered in any case.
    ///
    /// # Errors
    ///
    /// [`DpopError::NonceLoop`] when the server demands a nonce for the second time, and
    /// [`DpopError::NonceNotGiven`] when it demands one and gives none; [`DpopError::MultipleNonces`],
    /// [`DpopError::InvalidNonce`], [`DpopError::InvalidChallenge`].
    pub fn after(self, response: &Response<'_>, nonces: &mut NonceMemory) -> Result<Next, Error> {
        let fields = response.nonces.iter().copied();
        let given = nonces.observe(self.role, &self.target, fields)?;
        if !response.demands_nonce(self.role)? {
            return Ok(Next::Done);
        }
        if self.second {
            return Err(DpopError::NonceLoop.into());
        }
        Ok(Next::Again(Self {
            nonce: Some(given.ok_or(DpopError::NonceNotGiven)?),
            second: true,
            ..self
        }))
    }
}

/// What to do after a response.
#[derive(Clone, Debug)]
pub enum Next {
    /// The response is the answer, be it good or bad.
    Done,
    /// Send the request again, with a new proof and the nonce of this try.
    Again(Attempt),
}

/// Checks `token_type` of a token response to a client that wants nothing but bound tokens.
///
/// # Errors
///
/// [`DpopError::TokenNotBound`]; the token is to be thrown away then.
pub fn require_bound_token(token_type: &str) -> Result<(), Error> {
    if token_type.eq_ignore_ascii_case("DPoP") {
        Ok(())
    } else {
        Err(DpopError::TokenNotBound.into())
    }
}

//! Challenges that a server gives (section 6).

use std::fmt;
use std::time::Duration;

use jose_x509::dpop::{Nonce, NonceSource, StatelessNonces};
use jose_x509::{CryptoProvider, Error as JoseError, ReplayGuard, ReplayKey};
use pki_types::UnixTime;

use crate::error::Error;

const MAX_CHALLENGE: usize = 512;

/// A challenge: opaque text of 1 to 512 printable ASCII characters, as it stands in a field. Its `Debug` output does
/// not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Challenge(String);

impl Challenge {
    /// Checks the syntax.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidChallenge`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fits = (1..=MAX_CHALLENGE).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::InvalidChallenge)
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenge(..)")
    }
}

/// Gives challenges, and knows them again.
pub trait ChallengeSource: fmt::Debug + Send + Sync {
    /// An unpredictable challenge, good from now on for a while.
    ///
    /// # Errors
    ///
    /// [`Error::Challenges`].
    fn issue(&self, now: UnixTime) -> Result<Challenge, Error>;

    /// Whether this source (on any node) gave `challenge`, and recently.
    fn is_current(&self, challenge: &Challenge, now: UnixTime) -> bool;

    /// Called last of all for an accepted proof. By default a challenge may be used again.
    ///
    /// # Errors
    ///
    /// [`Error::ChallengeRequired`] for one that is for once and was used, [`Error::Challenges`].
    fn spend(&self, challenge: &Challenge, now: UnixTime) -> Result<(), Error> {
        let _ = (challenge, now);
        Ok(())
    }
}

/// Challenges that need no memory: authenticated by HMAC together with their time and the server's name. They are
/// good for 150 to 300 seconds, any number of times. Nodes with the same secret and name accept each other's.
#[derive(Debug)]
pub struct StatelessChallenges(StatelessNonces);

const PERIOD: u64 = 150;

impl StatelessChallenges {
    /// Challenges of the server with this issuer or resource identifier, under a secret of 32 random bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Challenges`].
    pub fn new(provider: &CryptoProvider, secret: [u8; 32], server: &str) -> Result<Self, Error> {
        // A nonce for DPoP is no challenge, also under the same secret.
        let name = ["client attestation challenge of ", server].concat();
        StatelessNonces::new(provider, secret, name)
            .with_period(Duration::from_secs(PERIOD))
            .map(Self)
            .map_err(Error::Challenges)
    }

    /// Challenges under a fresh secret, which only this value knows.
    ///
    /// # Errors
    ///
    /// [`Error::Challenges`].
    pub fn generate(provider: &CryptoProvider, server: &str) -> Result<Self, Error> {
        Self::new(
            provider,
            provider.random().map_err(Error::Challenges)?,
            server,
        )
    }
}

impl ChallengeSource for StatelessChallenges {
    fn issue(&self, now: UnixTime) -> Result<Challenge, Error> {
        let nonce = self.0.issue(now).map_err(Error::Challenges)?;
        Challenge::parse(nonce.as_str())
    }

    fn is_current(&self, challenge: &Challenge, now: UnixTime) -> bool {
        Nonce::parse(challenge.as_str()).is_ok_and(|nonce| self.0.is_current(&nonce, now))
    }
}

/// Challenges that are good once: a replay guard remembers what was used, so nothing is stored for a challenge that
/// never comes back.
pub struct SingleUseChallenges<C, G> {
    challenges: C,
    used: G,
    provider: CryptoProvider,
}

/// Longer than any challenge of this crate is good.
const REMEMBERED: u64 = 600;

impl<C: ChallengeSource, G: ReplayGuard> SingleUseChallenges<C, G> {
    /// Makes the challenges of a source, which may be good for 600 seconds at most, good once. Nodes share the guard.
    #[must_use]
    pub fn new(challenges: C, used: G, provider: CryptoProvider) -> Self {
        Self {
            challenges,
            used,
            provider,
        }
    }
}

impl<C: ChallengeSource, G: ReplayGuard> ChallengeSource for SingleUseChallenges<C, G> {
    fn issue(&self, now: UnixTime) -> Result<Challenge, Error> {
        self.challenges.issue(now)
    }

    fn is_current(&self, challenge: &Challenge, now: UnixTime) -> bool {
        self.challenges.is_current(challenge, now)
    }

    fn spend(&self, challenge: &Challenge, now: UnixTime) -> Result<(), Error> {
        let text = challenge.as_str().as_bytes();
        let key = ReplayKey::new(&self.provider, &[b"client-attestation-challenge", text]);
        let until = Duration::from_secs(now.as_secs().saturating_add(REMEMBERED));
        self.used
            .check_and_insert(key, UnixTime::since_unix_epoch(until), now)
            .map_err(|error| match error {
                JoseError::Replayed => Error::ChallengeRequired,
                other => Error::Challenges(other),
            })
    }
}

impl<C: fmt::Debug, G> fmt::Debug for SingleUseChallenges<C, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SingleUseChallenges")
            .field(&self.challenges)
            .finish()
    }
}

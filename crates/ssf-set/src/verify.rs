//! Verification, in the profile of SSF 1.0 or plain (RFC 8417).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

#[cfg(feature = "jwe")]
use jose_x509::jwe::Decrypter;
use jose_x509::jws::{HeaderRules, Limits, UnverifiedJws};
use jose_x509::jwt::{Audience, Expiry, Issuer, Jwt, Type, Validator};
use jose_x509::{Algorithms, Error as JoseError, KeySource, ReplayGuard, json};
use pki_types::UnixTime;
use serde::{Deserialize, Deserializer};

use crate::authority::Authority;
#[cfg(feature = "jwe")]
use crate::encryption::{Decryption, Encryption, is_encrypted};
use crate::error::{Error, Problem};
use crate::event::Event;
use crate::node::Node;
use crate::payload::seconds_of;
use crate::set::{SecurityEventToken, TYPE};
use crate::subject::{Strictness, Subject, legacy};

/// Which rules a SET has to obey beyond RFC 8417.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// SSF 1.0 section 4.1: `typ`, `sub_id` and exactly one event; neither `sub` nor `exp`.
    Ssf,
    /// RFC 8417 alone: `sub` and `exp` may be there, and one transition may have several aspects.
    Rfc8417(EventPolicy),
}

/// What a plain verifier does with several events, and with those that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventPolicy {
    /// There is one event.
    Single,
    /// Events of unknown types are left out, of several at least one is known.
    IgnoreUnknown,
    /// All events are known.
    AllUnderstood,
}

/// The most events of a plain SET.
pub const MAX_EVENTS: usize = 16;
/// The longest `txn`, in bytes.
const MAX_TXN: usize = 1024;
const LEEWAY: Duration = Duration::from_secs(60);
const RETENTION: u64 = 7 * 24 * 60 * 60;

const TYPES: Type = Type::OneOf(&[TYPE]);

/// Verifies SETs: an immutable value that threads share. To rotate keys, make a new one and swap it.
#[derive(Clone)]
pub struct SetVerifier {
    profile: Profile,
    issuers: BTreeMap<String, Arc<dyn KeySource + Send + Sync>>,
    authorities: BTreeMap<String, Authority>,
    legacy: BTreeSet<String>,
    alternatives: Vec<(String, String)>,
    validator: Validator,
    audiences: Vec<String>,
    audience_optional: bool,
    typ_optional: bool,
    algorithms: Algorithms,
    leeway: Duration,
    max_age: Option<Duration>,
    retention: u64,
    #[cfg(feature = "jwe")]
    decryption: Option<Decryption>,
}

impl SetVerifier {
    /// A verifier in the profile of SSF 1.0 for SETs of one issuer, signed with its keys, to any of
    /// these audiences. [`with_issuer`](Self::with_issuer) adds issuers.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] without an issuer or an audience: nothing means "any".
    pub fn ssf<A: Into<String>>(
        issuer: &str,
        keys: Arc<dyn KeySource + Send + Sync>,
        audiences: impl IntoIterator<Item = A>,
    ) -> Result<Self, Error> {
        Self::new(Profile::Ssf, issuer, keys, audiences)
    }

    /// A verifier of plain SETs.
    ///
    /// # Errors
    ///
    /// As [`SetVerifier::ssf`].
    pub fn rfc8417<A: Into<String>>(
        policy: EventPolicy,
        issuer: &str,
        keys: Arc<dyn KeySource + Send + Sync>,
        audiences: impl IntoIterator<Item = A>,
    ) -> Result<Self, Error> {
        Self::new(Profile::Rfc8417(policy), issuer, keys, audiences)
    }

    fn new<A: Into<String>>(
        profile: Profile,
        issuer: &str,
        keys: Arc<dyn KeySource + Send + Sync>,
        audiences: impl IntoIterator<Item = A>,
    ) -> Result<Self, Error> {
        let audiences: Vec<String> = audiences.into_iter().map(Into::into).collect();
        if audiences.is_empty() || audiences.iter().any(String::is_empty) {
            return Err(Error::InvalidOption {
                option: "audience",
                range: "at least one name of this receiver, none of them empty",
            });
        }
        Self {
            profile,
            issuers: BTreeMap::new(),
            authorities: BTreeMap::new(),
            legacy: BTreeSet::new(),
            alternatives: Vec::new(),
            validator: Validator::new(
                TYPES,
                Issuer::NotApplicable { reason: "" },
                Audience::NotApplicable { reason: "" },
            ),
            audiences,
            audience_optional: false,
            typ_optional: false,
            algorithms: Algorithms::ALL,
            leeway: LEEWAY,
            max_age: None,
            retention: RETENTION,
            #[cfg(feature = "jwe")]
            decryption: None,
        }
        .with_issuer(issuer, keys)
    }

    /// Trusts another issuer, or replaces the keys of one. Its keys verify its SETs and no others.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for an empty name.
    pub fn with_issuer(
        mut self,
        issuer: &str,
        keys: Arc<dyn KeySource + Send + Sync>,
    ) -> Result<Self, Error> {
        if issuer.is_empty() {
            return Err(Error::InvalidOption {
                option: "issuer",
                range: "the `iss` of the transmitter, not empty",
            });
        }
        self.issuers.insert(issuer.to_owned(), keys);
        self.rebuild()
    }

    /// Believes an issuer only about the subjects that `authority` covers. Without it an issuer is believed about all:
    /// right for the one issuer of one's own tenant, and for no other.
    #[must_use]
    pub fn with_authority(mut self, issuer: &str, authority: Authority) -> Self {
        self.authorities.insert(issuer.to_owned(), authority);
        self
    }

    /// Reads SETs of this issuer that have their subject in the event's payload, with `subject_type`, as RISC had it
    /// before its final version. `sub_id` is preferred where it is, and has to be the same.
    #[must_use]
    pub fn with_legacy_subjects(mut self, issuer: &str) -> Self {
        self.legacy.insert(issuer.to_owned());
        self
    }

    /// Knows two URIs as names of one event type: a SET may have its event under both, with the same payload, and it counts once,
    /// under `name`.
    #[must_use]
    pub fn with_alternative_name(mut self, name: &str, alternative: &str) -> Self {
        self.alternatives
            .push((name.to_owned(), alternative.to_owned()));
        self
    }

    /// Narrows the algorithms, for example to RS256 for the CAEP interoperability profile.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: Algorithms) -> Self {
        self.algorithms = algorithms;
        self.validator = self.validator.with_algorithms(algorithms);
        self
    }

    /// Sets the tolerated difference of clocks, 60 seconds by default.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] above 300 seconds.
    pub fn with_leeway(mut self, leeway: Duration) -> Result<Self, Error> {
        self.leeway = leeway;
        self.rebuild()
    }

    /// Refuses SETs whose `iat` is longer ago. Without it late SETs are accepted, since polling and
    /// retries deliver late.
    #[must_use]
    pub fn with_max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self.validator = self.validator.with_max_age(age);
        self
    }

    /// Sets how long the identity of a SET is remembered, seven days by default.
    #[must_use]
    pub fn with_replay_retention(mut self, retention: Duration) -> Self {
        self.retention = retention.as_secs();
        self
    }

    /// Decrypts SETs that are encrypted to this receiver; what is inside is verified like any other SET, since
    /// everybody can encrypt. Without it an encrypted SET is refused.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// use jose_x509::jwe::{ContentEncryption, DecryptionKey, Decrypter, KeyManagement, KeyType};
    /// # use jose_x509::{Algorithm, KeySet, SigningKey, provider::ring};
    /// # use pki_types::UnixTime;
    /// # use ssf_set::caep::{Common, SessionRevoked};
    /// use ssf_set::{Encryption, SetIssuer, SetRequest, SetVerifier, SubjectIdentifier};
    /// # let provider = ring::provider();
    /// # let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
    /// # let key = SigningKey::generate(&provider, Algorithm::Es256)?.with_thumbprint_kid();
    /// # let keys = Arc::new(KeySet::new(vec![key.verifying_key()?])?);
    /// # let (transmitter, gateway) = ("https://signals.example.com", "https://gateway.example.org");
    /// # let event = SessionRevoked::new(Common::at(now.as_secs()));
    /// # let subject = SubjectIdentifier::uri("spiffe://example.org/agents/reporter")?;
    ///
    /// // The receiver's key pair, whose public half the transmitter is given.
    /// let private = DecryptionKey::generate(KeyManagement::EcdhEsA256Kw, KeyType::X25519)?.with_kid("enc-1");
    /// let public = private.encryption_key().clone();
    ///
    /// let issuer = SetIssuer::new(key, provider, transmitter)?
    ///     .with_recipient([gateway], public, ContentEncryption::A256Gcm);
    /// let set = issuer.issue(&SetRequest::new(gateway, subject, event), now)?;
    ///
    /// let verifier = SetVerifier::ssf(transmitter, keys, [gateway])?
    ///     .with_decryption(Decrypter::new(private), Encryption::Required);
    /// assert_eq!(verifier.verify(&set.compact, now)?.id(), set.id);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "jwe")]
    #[must_use]
    pub fn with_decryption(mut self, decrypter: Decrypter, encryption: Encryption) -> Self {
        self.decryption = Some(Decryption {
            decrypter,
            encryption,
        });
        self
    }

    /// Accepts plain SETs without `aud`; one that is there still has to fit.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] in the SSF profile.
    pub fn with_audience_optional(mut self) -> Result<Self, Error> {
        self.demand_plain("audience_optional")?;
        self.audience_optional = true;
        self.rebuild()
    }

    /// Accepts plain SETs without `typ`, of peers from before RFC 8417.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] in the SSF profile.
    pub fn with_typ_optional(mut self) -> Result<Self, Error> {
        self.demand_plain("typ_optional")?;
        self.typ_optional = true;
        self.rebuild()
    }

    fn demand_plain(&self, option: &'static str) -> Result<(), Error> {
        if self.profile == Profile::Ssf {
            return Err(Error::InvalidOption {
                option,
                range: "plain RFC 8417 verifiers only",
            });
        }
        Ok(())
    }

    fn rebuild(mut self) -> Result<Self, Error> {
        let typ = if self.typ_optional {
            Type::AbsentOrOneOf(&[TYPE])
        } else {
            TYPES
        };
        let audience = if self.audience_optional {
            Audience::NotApplicable {
                reason: "checked after validation, since it may be absent",
            }
        } else {
            Audience::AnyOf(self.audiences.clone())
        };
        let issuer = Issuer::NotApplicable {
            reason: "chooses the keys, and is compared after validation",
        };
        let expiry = match self.profile {
            Profile::Ssf => Expiry::Forbidden,
            Profile::Rfc8417(_) => Expiry::Optional,
        };
        let mut validator = Validator::new(typ, issuer, audience)
            .with_algorithms(self.algorithms)
            .with_expiry(expiry)
            .with_required_claim("iss")
            .with_required_claim("iat")
            .with_required_claim("jti")
            .with_limits(limits()?, json::Limits::CLAIMS)
            .with_leeway(self.leeway)
            .map_err(|_| Error::InvalidOption {
                option: "leeway",
                range: "0 to 300 seconds",
            })?;
        if let Some(age) = self.max_age {
            validator = validator.with_max_age(age);
        }
        self.validator = validator;
        Ok(self)
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Verifies a SET: structure, issuer, type, signature, times, audience, claims, subject, event.
    ///
    /// Whether it was received before is for [`SetVerifier::record`], to be asked after the SET has
    /// been stored: asked before, a crash in between would lose the event.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, in that order. [`Error::set_error_code`] is what to tell the
    /// transmitter.
    pub fn verify(&self, compact: &str, now: UnixTime) -> Result<SecurityEventToken, Error> {
        let (jwt, issuer) = self.open(compact, now)?;
        self.read(jwt, issuer)
    }

    /// The verified JWT, decrypted before if need be, and the issuer whose keys verified it.
    #[cfg(feature = "jwe")]
    fn open(&self, compact: &str, now: UnixTime) -> Result<(Jwt, &str), Error> {
        match &self.decryption {
            Some(decryption) if is_encrypted(compact) => decryption
                .decrypter
                .decrypt_jwt_with(compact, |signed| self.authenticate(signed, now)),
            Some(Decryption {
                encryption: Encryption::Required,
                ..
            }) => Err(Error::NotEncrypted),
            _ => self.authenticate(compact, now),
        }
    }

    #[cfg(not(feature = "jwe"))]
    fn open(&self, compact: &str, now: UnixTime) -> Result<(Jwt, &str), Error> {
        self.authenticate(compact, now)
    }

    /// The JWT whose signature and registered claims were checked, and the issuer whose keys verified it.
    fn authenticate(&self, signed: &str, now: UnixTime) -> Result<(Jwt, &str), Error> {
        let jws = UnverifiedJws::parse_with(signed, &HeaderRules::default(), &limits()?)
            .map_err(Error::Token)?;
        let unverified = self.validator.read(jws).map_err(Error::Token)?;
        let unverified_issuer = unverified
            .unverified_issuer()
            .ok_or(Error::Token(JoseError::MissingClaim { claim: "iss" }))?;
        let (issuer, keys) = self
            .issuers
            .get_key_value(unverified_issuer)
            .ok_or(Error::UnknownIssuer)?;
        let jwt = unverified
            .validate(keys.as_ref(), now)
            .map_err(Error::Token)?;
        Ok((jwt, issuer))
    }

    /// What is a SET's own.
    fn read(&self, jwt: Jwt, issuer: &str) -> Result<SecurityEventToken, Error> {
        if self.audience_optional {
            let mut audience = jwt.audience().peekable();
            let fits = |aud: &str| self.audiences.iter().any(|own| own == aud);
            if audience.peek().is_some() && !audience.any(fits) {
                return Err(Error::Token(JoseError::AudienceMismatch));
            }
        }
        let claims: Own<'_> = jwt.claims().map_err(Error::Token)?;
        let Some(issued_at) = jwt.issued_at() else {
            return Err(wrong("iat", Problem::Missing));
        };
        if self.profile == Profile::Ssf && jwt.subject().is_some() {
            return Err(wrong("sub", Problem::Forbidden));
        }
        let transaction = transaction(claims.txn)?;
        let time_of_event = time(claims.toe.as_ref())?;
        let payloads = payloads(claims.events)?;
        let in_event = match payloads.first() {
            Some((_, Node::Object(payload))) if self.legacy.contains(issuer) => {
                payload.get(legacy::MEMBER).cloned()
            }
            _ => None,
        };
        let events = self.events(payloads)?;
        let sub_id = claims
            .sub_id
            .map(|sub_id| Subject::from_node(&sub_id, Strictness::Lenient))
            .transpose()?;
        let subject = legacy::choose(sub_id, in_event.as_ref())?;
        if subject.is_none() && self.profile == Profile::Ssf {
            return Err(wrong("sub_id", Problem::Missing));
        }
        let latest = issued_at.saturating_add(self.leeway.as_secs());
        for event in &events {
            event.check(subject.as_ref(), latest)?;
            self.check_authority(issuer, event, subject.as_ref())?;
        }
        Ok(SecurityEventToken {
            jwt,
            issued_at,
            time_of_event,
            transaction,
            subject,
            events,
            claims: OnceLock::new(),
        })
    }

    /// Remembers a SET by issuer and `jti`. Call it when the SET has been stored, and act on the event
    /// only if this succeeds.
    ///
    /// # Errors
    ///
    /// [`Error::Replay`]: with [`Error::is_replay`] the SET was received before, and is to be answered
    /// like the first time.
    pub fn record(
        &self,
        set: &SecurityEventToken,
        guard: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<(), Error> {
        let until = now.as_secs().saturating_add(self.retention);
        guard
            .check_and_insert(
                set.replay_key(),
                UnixTime::since_unix_epoch(Duration::from_secs(until)),
                now,
            )
            .map_err(Error::Replay)
    }

    /// [`verify`](Self::verify) and [`record`](Self::record) in one, for a receiver that stores nothing.
    ///
    /// # Errors
    ///
    /// As both.
    pub fn verify_once(
        &self,
        compact: &str,
        guard: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<SecurityEventToken, Error> {
        let set = self.verify(compact, now)?;
        self.record(&set, guard, now)?;
        Ok(set)
    }

    fn check_authority(
        &self,
        issuer: &str,
        event: &Event,
        subject: Option<&Subject>,
    ) -> Result<(), Error> {
        // These are about the stream, which the issuer itself names.
        if matches!(event, Event::Verification(_) | Event::StreamUpdated(_)) {
            return Ok(());
        }
        match (self.authorities.get(issuer), subject) {
            (None, _) => Ok(()),
            (Some(authority), Some(subject)) if authority.allows(event, subject) => Ok(()),
            (Some(_), _) => Err(Error::NoAuthority),
        }
    }

    /// The event of a SET that has it under two names.
    fn one_of_two(&self, payloads: &[Payload<'_>]) -> Option<usize> {
        let [(one, payload), (other, same)] = payloads else {
            return None;
        };
        let index = self.alternatives.iter().find_map(|(name, alternative)| {
            if name == one && alternative == other {
                Some(0)
            } else if name == other && alternative == one {
                Some(1)
            } else {
                None
            }
        })?;
        let [payload, same] = [payload, same].map(|payload| payload.clone().into_value());
        (payload == same).then_some(index)
    }

    fn events(&self, mut payloads: Vec<Payload<'_>>) -> Result<Vec<Event>, Error> {
        let limit = match self.profile {
            Profile::Ssf | Profile::Rfc8417(EventPolicy::Single) => 1,
            Profile::Rfc8417(_) => MAX_EVENTS,
        };
        if let Some(index) = self.one_of_two(&payloads) {
            let (uri, payload) = payloads.swap_remove(index);
            return Ok(vec![Event::read(index, &uri, payload)?]);
        }
        let count = payloads.len();
        if count > limit {
            return Err(Error::EventCount { limit });
        }
        let mut events = Vec::with_capacity(count);
        for (index, (uri, payload)) in payloads.into_iter().enumerate() {
            let event = Event::read(index, &uri, payload)?;
            match (self.profile, &event) {
                (Profile::Rfc8417(EventPolicy::AllUnderstood), Event::Unknown(_)) => {
                    return Err(Error::UnknownEvent { index });
                }
                (Profile::Rfc8417(EventPolicy::IgnoreUnknown), Event::Unknown(_)) if count > 1 => {}
                _ => events.push(event),
            }
        }
        if events.is_empty() {
            return Err(Error::UnknownEvent { index: 0 });
        }
        Ok(events)
    }
}

/// The largest token that is read: 64 KiB.
fn limits() -> Result<Limits, Error> {
    Limits::new(64 * 1024, 8 * 1024).map_err(Error::Token)
}

const fn wrong(claim: &'static str, problem: Problem) -> Error {
    Error::Claim { claim, problem }
}

/// The claims that are SETs' own. What a SET has besides is read when somebody asks for it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Own<'a> {
    #[serde(borrow, deserialize_with = "present")]
    txn: Option<Node<'a>>,
    #[serde(borrow, deserialize_with = "present")]
    toe: Option<Node<'a>>,
    #[serde(borrow, deserialize_with = "present")]
    events: Option<Node<'a>>,
    #[serde(borrow, deserialize_with = "present")]
    sub_id: Option<Node<'a>>,
}

/// An event's URI and its payload.
type Payload<'a> = (Cow<'a, str>, Node<'a>);

/// A member that is there, `null` too, which is another value than none.
fn present<'de, D: Deserializer<'de>>(member: D) -> Result<Option<Node<'de>>, D::Error> {
    Node::deserialize(member).map(Some)
}

fn payloads(events: Option<Node<'_>>) -> Result<Vec<Payload<'_>>, Error> {
    match events {
        None => Err(wrong("events", Problem::Missing)),
        Some(Node::Object(events)) if events.is_empty() => Err(wrong("events", Problem::Empty)),
        Some(Node::Object(events)) => Ok(events.into_sorted()),
        Some(_) => Err(wrong("events", Problem::Type)),
    }
}

fn transaction(txn: Option<Node<'_>>) -> Result<Option<String>, Error> {
    match txn {
        None => Ok(None),
        Some(Node::Text(txn)) if txn.len() > MAX_TXN => Err(wrong("txn", Problem::TooLong)),
        Some(Node::Text(txn)) => Ok(Some(txn.into_owned())),
        Some(_) => Err(wrong("txn", Problem::Type)),
    }
}

fn time(toe: Option<&Node<'_>>) -> Result<Option<u64>, Error> {
    match toe {
        None => Ok(None),
        Some(Node::Number(number)) => match seconds_of(number) {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(wrong("toe", Problem::Range)),
        },
        Some(_) => Err(wrong("toe", Problem::Type)),
    }
}

impl fmt::Debug for SetVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetVerifier")
            .field("profile", &self.profile)
            .field("issuers", &self.issuers.keys().collect::<Vec<_>>())
            .field("audiences", &self.audiences)
            .finish_non_exhaustive()
    }
}

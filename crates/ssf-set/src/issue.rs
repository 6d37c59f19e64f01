//! Issuing SETs in the profile of SSF 1.0.

#[cfg(feature = "jwe")]
use jose_x509::jwe::{ContentEncryption, EncryptionKey};
use jose_x509::jws::ProtectedHeader;
use jose_x509::{CryptoProvider, Signer, jwt};
use pki_types::UnixTime;
use serde_json::{Map, Value};

#[cfg(feature = "jwe")]
use crate::encryption::Recipients;
use crate::error::{Error, Problem};
use crate::event::Event;
use crate::set::TYPE;
use crate::subject::{Strictness, Subject};
use crate::text;

/// What one SET says. It has one event: what happened to two subjects, or happened twice, is two SETs.
#[derive(Clone, Debug)]
pub struct SetRequest {
    audience: Vec<String>,
    subject: Subject,
    event: Event,
    transaction: Option<String>,
    time_of_event: Option<u64>,
    claims: Map<String, Value>,
}

/// Claims that the issuer writes itself, and those that would make a SET look like another token.
const RESERVED: [&str; 13] = [
    "iss", "sub", "sub_id", "aud", "exp", "nbf", "iat", "jti", "txn", "toe", "events", "cnf",
    "nonce",
];

impl SetRequest {
    /// An event about a subject, for one audience.
    pub fn new(
        audience: impl Into<String>,
        subject: impl Into<Subject>,
        event: impl Into<Event>,
    ) -> Self {
        Self {
            audience: vec![audience.into()],
            subject: subject.into(),
            event: event.into(),
            transaction: None,
            time_of_event: None,
            claims: Map::new(),
        }
    }

    /// Adds an audience. Several are for receivers that are known to be one entity.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience.push(audience.into());
        self
    }

    /// Sets `txn`, the same in every SET of one cause. Without it each SET has a fresh one.
    #[must_use]
    pub fn with_transaction(mut self, transaction: impl Into<String>) -> Self {
        self.transaction = Some(transaction.into());
        self
    }

    /// Sets `toe`.
    #[must_use]
    pub fn with_time_of_event(mut self, time: UnixTime) -> Self {
        self.time_of_event = Some(time.as_secs());
        self
    }

    /// Adds a claim to the envelope.
    ///
    /// # Errors
    ///
    /// [`Error::Claim`] for a claim that the issuer writes itself or that SETs must not have.
    pub fn with_claim(mut self, name: &str, value: impl Into<Value>) -> Result<Self, Error> {
        if let Some(claim) = RESERVED.iter().find(|reserved| **reserved == name) {
            return Err(Error::Claim {
                claim,
                problem: Problem::Forbidden,
            });
        }
        self.claims.insert(name.to_owned(), value.into());
        Ok(self)
    }
}

/// A signed SET, ready for delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedSet {
    /// `jti`.
    pub id: String,
    /// The compact serialization.
    pub compact: String,
}

/// Issues SETs for one transmitter.
#[derive(Debug)]
pub struct SetIssuer<S> {
    signer: S,
    provider: CryptoProvider,
    issuer: String,
    #[cfg(feature = "jwe")]
    recipients: Recipients,
}

impl<S: Signer> SetIssuer<S> {
    /// An issuer by its `iss`. The provider makes the random `jti` and `txn`.
    ///
    /// # Errors
    ///
    /// [`Error::Claim`] when `issuer` is empty, or has a colon and is not a URI.
    pub fn new(signer: S, provider: CryptoProvider, issuer: &str) -> Result<Self, Error> {
        if !text::is_string_or_uri(issuer) {
            return Err(Error::Claim {
                claim: "iss",
                problem: Problem::Form,
            });
        }
        Ok(Self {
            signer,
            provider,
            issuer: issuer.to_owned(),
            #[cfg(feature = "jwe")]
            recipients: Recipients::default(),
        })
    }

    /// Encrypts SETs for a receiver, known by one or several audiences, to its key. Where one audience of a SET
    /// has a key, all have that key, or the SET is not issued.
    ///
    /// Encryption hides what a SET says from those who carry it, not how long it is.
    #[cfg(feature = "jwe")]
    #[must_use]
    pub fn with_recipient<A: Into<String>>(
        mut self,
        audiences: impl IntoIterator<Item = A>,
        key: EncryptionKey,
        content: ContentEncryption,
    ) -> Self {
        let audiences = audiences.into_iter().map(Into::into);
        self.recipients.insert(audiences, key, content);
        self
    }

    /// `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Issues a SET for each of several events: what happened independently is never one SET.
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue), for the first that fails.
    pub fn issue_each<'r>(
        &self,
        requests: impl IntoIterator<Item = &'r SetRequest>,
        now: UnixTime,
    ) -> Result<Vec<SignedSet>, Error> {
        requests
            .into_iter()
            .map(|request| self.issue(request, now))
            .collect()
    }

    /// Issues a SET, with `iat` from `now` and a fresh `jti` of 128 random bits.
    ///
    /// # Errors
    ///
    /// [`Error::SeveralRecipients`] where an audience has a key that the others do not have;
    /// [`Error::Claim`] for an audience that is neither a URI nor a plain name; what a verifier would
    /// refuse in the event or the subject; [`Error::Token`] when signing fails.
    pub fn issue(&self, request: &SetRequest, now: UnixTime) -> Result<SignedSet, Error> {
        if !request
            .audience
            .iter()
            .all(|aud| text::is_string_or_uri(aud))
        {
            return Err(Error::Claim {
                claim: "aud",
                problem: Problem::Form,
            });
        }
        let payload = Value::Object(request.event.to_payload());
        // The fields of events are public, so what goes out is read once more as a receiver would.
        let event = Event::read(0, request.event.uri(), (&payload).into())?;
        let subject = request.subject.to_value();
        event.check(
            Some(&Subject::from_value(&subject, Strictness::Lenient)?),
            now.as_secs(),
        )?;

        let id = self.provider.random_id().map_err(Error::Token)?;
        let transaction = match &request.transaction {
            Some(transaction) => transaction.clone(),
            None => self.provider.random_id().map_err(Error::Token)?,
        };
        let mut claims = request.claims.clone();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("iss", self.issuer.as_str().into());
        put("iat", now.as_secs().into());
        put("jti", id.as_str().into());
        put("txn", transaction.into());
        put("sub_id", subject);
        put(
            "aud",
            match request.audience.as_slice() {
                [one] => one.as_str().into(),
                several => several.to_vec().into(),
            },
        );
        if let Some(time) = request.time_of_event {
            put("toe", time.into());
        }
        let mut events = Map::new();
        events.insert(request.event.uri().to_owned(), payload);
        put("events", events.into());
        let compact =
            jwt::sign(&self.signer, &ProtectedHeader::new(TYPE), &claims).map_err(Error::Token)?;
        #[cfg(feature = "jwe")]
        let compact = self.recipients.seal(&request.audience, compact)?;
        Ok(SignedSet { id, compact })
    }
}

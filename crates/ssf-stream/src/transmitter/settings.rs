//! What a transmitter offers, and its bounds.

use std::time::Duration;

use serde_json::{Value, json};

use crate::address::AddressPolicy;
use crate::error::{Error, https};
use crate::metadata::{POLL, PUSH, TransmitterMetadata, well_known_url};

/// The subjects of a new stream (`default_subjects`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subjects {
    /// All; the receiver removes those that it does not want.
    All,
    /// None; the receiver adds those that it wants.
    None,
}

/// What happens to a stream that its receiver does not use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InactivityAction {
    /// It is paused.
    Pause,
    /// It is disabled.
    Disable,
    /// It is deleted.
    Delete,
}

/// A part of the API, which a transmitter may leave out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Disabled {
    pub(super) status: bool,
    pub(super) subjects: bool,
    pub(super) verification: bool,
}

/// What a transmitter offers, and its bounds.
///
/// The endpoints are all below one URL, `base`: `/streams`, `/status`, `/subjects/add`, `/subjects/remove`, `/verify`, and
/// `/poll/` with the identifier of the stream.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) issuer: String,
    pub(super) base: String,
    pub(super) jwks_uri: String,
    pub(super) jwks: Option<Vec<u8>>,
    pub(super) events_supported: Vec<String>,
    pub(super) push: bool,
    pub(super) poll: bool,
    pub(super) polls_in_order: bool,
    pub(super) authorization_schemes: Vec<String>,
    pub(super) critical_subject_members: Vec<String>,
    pub(super) subjects: Subjects,
    pub(super) streams_per_receiver: usize,
    pub(super) subjects_per_stream: usize,
    pub(super) min_verification_interval: u64,
    pub(super) inactivity: Option<(u64, InactivityAction)>,
    pub(super) max_description: usize,
    pub(super) removal_grace: u64,
    pub(super) retention: u64,
    pub(super) long_poll: u64,
    pub(super) deliver_all: bool,
    pub(super) verified_first: bool,
    pub(super) uniform_400: bool,
    pub(super) addresses: AddressPolicy,
    pub(super) disabled: Disabled,
    pub(super) authorization_servers: Option<Vec<String>>,
}

impl Settings {
    /// Both delivery methods, all subjects, one stream for each receiver, one verification a minute, events kept for seven
    /// days.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`] when one of the URLs is not plain https, or `base` has a query.
    pub fn new<E: Into<String>>(
        issuer: &str,
        base: &str,
        jwks_uri: &str,
        events_supported: impl IntoIterator<Item = E>,
    ) -> Result<Self, Error> {
        well_known_url(issuer)?;
        https(jwks_uri, "jwks_uri")?;
        let what = "the base of the endpoints";
        if https(base, what)?.query().is_some() {
            return Err(Error::Endpoint { what });
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            base: base.strip_suffix('/').unwrap_or(base).to_owned(),
            jwks_uri: jwks_uri.to_owned(),
            jwks: None,
            events_supported: events_supported.into_iter().map(Into::into).collect(),
            push: true,
            poll: true,
            polls_in_order: false,
            authorization_schemes: vec!["urn:ietf:rfc:6749".to_owned()],
            critical_subject_members: Vec::new(),
            subjects: Subjects::All,
            streams_per_receiver: 1,
            subjects_per_stream: 10_000,
            min_verification_interval: 60,
            inactivity: None,
            max_description: 256,
            removal_grace: 0,
            retention: 7 * 24 * 60 * 60,
            long_poll: 30,
            deliver_all: false,
            verified_first: false,
            uniform_400: false,
            addresses: AddressPolicy::public(),
            disabled: Disabled::default(),
            authorization_servers: None,
        })
    }

    /// Serves this JWK Set at the path of `jwks_uri`.
    #[must_use]
    pub fn with_jwks(mut self, jwks: &Value) -> Self {
        self.jwks = Some(jwks.to_string().into_bytes());
        self
    }

    /// Offers no push.
    #[must_use]
    pub fn without_push(mut self) -> Self {
        self.push = false;
        self
    }

    /// Offers no poll.
    #[must_use]
    pub fn without_poll(mut self) -> Self {
        self.poll = false;
        self
    }

    /// Leaves the status endpoint out.
    #[must_use]
    pub fn without_status(mut self) -> Self {
        self.disabled.status = true;
        self
    }

    /// Leaves the two subject endpoints out.
    #[must_use]
    pub fn without_subjects(mut self) -> Self {
        self.disabled.subjects = true;
        self
    }

    /// Leaves the verification endpoint out.
    #[must_use]
    pub fn without_verification(mut self) -> Self {
        self.disabled.verification = true;
        self
    }

    /// Sets the `spec_urn`s of the schemes by which receivers are authorized: `urn:ietf:rfc:6749` unless set.
    #[must_use]
    pub fn with_authorization_schemes(
        mut self,
        urns: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        self.authorization_schemes = urns.into_iter().map(str::to_owned).collect();
        self
    }

    /// Publishes resource metadata (RFC 9728) with these authorization servers.
    #[must_use]
    pub fn with_authorization_servers(
        mut self,
        servers: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        self.authorization_servers = Some(servers.into_iter().map(str::to_owned).collect());
        self
    }

    /// Names the members of complex subjects that a receiver has to understand.
    #[must_use]
    pub fn with_critical_subject_members(
        mut self,
        members: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        self.critical_subject_members = members.into_iter().map(str::to_owned).collect();
        self
    }

    /// Sets the subjects of a new stream.
    #[must_use]
    pub fn with_default_subjects(mut self, subjects: Subjects) -> Self {
        self.subjects = subjects;
        self
    }

    /// Allows this many streams for each receiver, at least one.
    #[must_use]
    pub fn with_streams_per_receiver(mut self, streams: usize) -> Self {
        self.streams_per_receiver = streams.max(1);
        self
    }

    /// Allows this many subjects, added and removed, for each stream.
    #[must_use]
    pub fn with_subjects_per_stream(mut self, subjects: usize) -> Self {
        self.subjects_per_stream = subjects;
        self
    }

    /// Sets the time between two verifications, at least a second.
    #[must_use]
    pub fn with_min_verification_interval(mut self, interval: Duration) -> Self {
        self.min_verification_interval = interval.as_secs().max(1);
        self
    }

    /// Stops streams that their receivers do not use.
    #[must_use]
    pub fn with_inactivity_timeout(mut self, timeout: Duration, action: InactivityAction) -> Self {
        self.inactivity = Some((timeout.as_secs(), action));
        self
    }

    /// Cuts descriptions to this many bytes, 256 unless set.
    #[must_use]
    pub fn with_max_description(mut self, bytes: usize) -> Self {
        self.max_description = bytes;
        self
    }

    /// Goes on to send events about a subject for some time after it was removed, so that who steals a receiver's credentials
    /// cannot hide by a removal what happens at once.
    #[must_use]
    pub fn with_removal_grace(mut self, grace: Duration) -> Self {
        self.removal_grace = grace.as_secs();
        self
    }

    /// Sets how long events are kept, seven days unless set.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention.as_secs();
        self
    }

    /// How long events are kept. With the capacity of the queue, this is what receivers have to be told.
    #[must_use]
    pub fn retention(&self) -> Duration {
        Duration::from_secs(self.retention)
    }

    /// Sets how long a poll waits, 30 seconds unless set.
    #[must_use]
    pub fn with_long_poll(mut self, wait: Duration) -> Self {
        self.long_poll = wait.as_secs();
        self
    }

    /// Lets no event overtake another in a stream that is polled, as none does in one that is pushed: after an answer that was lost, the
    /// receiver gets nothing before the visibility timeout of the queue, and then the same SETs again. Otherwise it gets later ones
    /// meanwhile, and several pollers of one stream share its events.
    #[must_use]
    pub fn with_polls_in_order(mut self) -> Self {
        self.polls_in_order = true;
        self
    }

    /// Delivers all supported events to receivers that do not say which. Otherwise these get none.
    #[must_use]
    pub fn with_all_events_by_default(mut self) -> Self {
        self.deliver_all = true;
        self
    }

    /// Sends no event before the receiver has acknowledged a verification event at its endpoint: who gives the address of
    /// somebody else makes the transmitter send no more than that. Events wait meanwhile.
    #[must_use]
    pub fn with_verification_first(mut self) -> Self {
        self.verified_first = true;
        self
    }

    /// Answers 400 instead of 404 to polls of streams that are not the receiver's.
    #[must_use]
    pub fn with_uniform_400(mut self) -> Self {
        self.uniform_400 = true;
        self
    }

    /// Sets where receivers may have their endpoints.
    #[must_use]
    pub fn with_addresses(mut self, addresses: AddressPolicy) -> Self {
        self.addresses = addresses;
        self
    }

    /// Where receivers may have their endpoints.
    #[must_use]
    pub fn addresses(&self) -> &AddressPolicy {
        &self.addresses
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(super) fn metadata(&self) -> TransmitterMetadata {
        let unless = |disabled: bool, path| (!disabled).then(|| self.url(path));
        let mut methods = Vec::new();
        if self.push {
            methods.push(PUSH.to_owned());
        }
        if self.poll {
            methods.push(POLL.to_owned());
        }
        TransmitterMetadata {
            issuer: self.issuer.clone(),
            spec_version: Some("1_0".to_owned()),
            jwks_uri: Some(self.jwks_uri.clone()),
            delivery_methods_supported: methods,
            configuration_endpoint: Some(self.url("/streams")),
            status_endpoint: unless(self.disabled.status, "/status"),
            add_subject_endpoint: unless(self.disabled.subjects, "/subjects/add"),
            remove_subject_endpoint: unless(self.disabled.subjects, "/subjects/remove"),
            verification_endpoint: unless(self.disabled.verification, "/verify"),
            critical_subject_members: self.critical_subject_members.clone(),
            authorization_schemes: self.authorization_schemes.clone(),
            default_subjects_all: Some(self.subjects == Subjects::All),
        }
    }

    /// The resource metadata (RFC 9728), if it is published.
    pub(super) fn resource_metadata(&self) -> Option<Vec<u8>> {
        let servers = self.authorization_servers.as_ref()?;
        let metadata = json!({
            "resource": self.base,
            "authorization_servers": servers,
            "scopes_supported": [super::READ, super::MANAGE],
            "bearer_methods_supported": ["header"],
        });
        Some(metadata.to_string().into_bytes())
    }
}

//! The CAEP Interoperability Profile 1.0 (draft 02): what a transmitter's metadata, streams and SETs have to be, as findings.
//!
//! A finding is no refusal: a receiver that is not bound to the profile goes on.

use jose_x509::{Algorithm, Algorithms};
use serde_json::Value;
use ssf_set::caep::Common;
use ssf_set::{Event, SecurityEventToken, Subject, SubjectIdentifier};

use crate::metadata::{POLL, PUSH, TransmitterMetadata};
use crate::receiver::management::OAUTH;
use crate::stream::StreamConfiguration;

/// The use cases, of which an implementation may support some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UseCase {
    /// `session-revoked` (section 3.1).
    SessionRevocation,
    /// `credential-change` (section 3.2).
    CredentialChange,
}

impl UseCase {
    fn event(self) -> &'static str {
        match self {
            Self::SessionRevocation => ssf_set::caep::SessionRevoked::URI,
            Self::CredentialChange => ssf_set::caep::CredentialChange::URI,
        }
    }
}

/// Where the profile is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// An endpoint is not https.
    #[error("`{0}` is not an https URL")]
    NotHttps(&'static str),
    /// `spec_version` is absent, malformed or below `1_0`.
    #[error("`spec_version` is not 1_0 or greater")]
    SpecVersion,
    /// A member is absent or empty.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// Push and poll are not both offered.
    #[error("`delivery_methods_supported` does not have both push and poll")]
    DeliveryMethods,
    /// OAuth 2.0 is not among the authorization schemes.
    #[error("`authorization_schemes` does not have urn:ietf:rfc:6749")]
    AuthorizationScheme,
    /// The key of a SET is not in the published key set.
    #[error("the key set does not have the key that signed")]
    KeyNotPublished,
    /// A key that is too short.
    #[error("an RSA key has less than 2048 bits")]
    WeakKey,
    /// An event type of a use case is not supported.
    #[error("an event type of a use case is not supported")]
    EventType(UseCase),
    /// A SET is signed otherwise than with RS256.
    #[error("the SET is not signed with RS256")]
    Algorithm,
    /// A subject of another format than `email` and `iss_sub`, or `opaque` for events about the stream.
    #[error("the subject has a format that the profile does not have")]
    SubjectFormat,
    /// A SET with several events.
    #[error("the SET does not have just one event")]
    EventCount,
    /// `reason_admin` is absent or empty.
    #[error("`reason_admin` has no text")]
    ReasonAdmin,
}

impl Finding {
    /// The requirement (an id of `docs/conformance`).
    #[must_use]
    pub const fn requirement(&self) -> &'static str {
        match self {
            Self::NotHttps(_) => "CAEP-INTEROP-2.1-1",
            Self::SpecVersion => "CAEP-INTEROP-2.3.1-1",
            Self::Missing(member) => match member.as_bytes() {
                b"delivery_methods_supported" => "CAEP-INTEROP-2.3.2-1",
                b"jwks_uri" => "CAEP-INTEROP-2.3.3-1",
                b"configuration_endpoint" => "CAEP-INTEROP-2.3.4-1",
                b"status_endpoint" => "CAEP-INTEROP-2.3.5-1",
                _ => "CAEP-INTEROP-2.3.6-1",
            },
            Self::DeliveryMethods => "CAEP-INTEROP-2.3.8.1-1",
            Self::AuthorizationScheme => "CAEP-INTEROP-2.3.7-1",
            Self::KeyNotPublished => "CAEP-INTEROP-2.3.3-1",
            Self::WeakKey => "CAEP-INTEROP-2.6-2",
            Self::EventType(UseCase::SessionRevocation) => "CAEP-INTEROP-3.1-1",
            Self::EventType(UseCase::CredentialChange) => "CAEP-INTEROP-3.2-1",
            Self::Algorithm => "CAEP-INTEROP-2.6-1",
            Self::SubjectFormat => "CAEP-INTEROP-2.5-2",
            Self::EventCount => "CAEP-INTEROP-2.8.1-1",
            Self::ReasonAdmin => "CAEP-INTEROP-3.1-2",
        }
    }
}

/// The profile, for the use cases that are claimed.
#[derive(Clone, Debug)]
pub struct InteropProfile {
    cases: Vec<UseCase>,
}

impl InteropProfile {
    /// The profile for some use cases. The others are not checked: they are not claimed.
    #[must_use]
    pub fn new(cases: impl IntoIterator<Item = UseCase>) -> Self {
        Self {
            cases: cases.into_iter().collect(),
        }
    }

    /// The algorithms of the profile, for [`StreamReceiver::with_algorithms`](crate::receiver::StreamReceiver::with_algorithms).
    #[must_use]
    pub fn algorithms() -> Algorithms {
        Algorithms::of(&[Algorithm::Rs256])
    }

    /// Checks metadata.
    #[must_use]
    pub fn check_metadata(&self, metadata: &TransmitterMetadata) -> Vec<Finding> {
        let mut findings = Vec::new();
        if !metadata.spec_version.as_deref().is_some_and(is_final) {
            findings.push(Finding::SpecVersion);
        }
        let endpoints = [
            ("jwks_uri", &metadata.jwks_uri, true),
            (
                "configuration_endpoint",
                &metadata.configuration_endpoint,
                true,
            ),
            ("status_endpoint", &metadata.status_endpoint, true),
            (
                "verification_endpoint",
                &metadata.verification_endpoint,
                true,
            ),
            (
                "add_subject_endpoint",
                &metadata.add_subject_endpoint,
                false,
            ),
            (
                "remove_subject_endpoint",
                &metadata.remove_subject_endpoint,
                false,
            ),
        ];
        for (name, endpoint, required) in endpoints {
            match endpoint {
                Some(url) if !url.starts_with("https://") => findings.push(Finding::NotHttps(name)),
                None if required => findings.push(Finding::Missing(name)),
                _ => {}
            }
        }
        let methods = &metadata.delivery_methods_supported;
        let offers = |method| methods.iter().any(|own| own == method);
        if methods.is_empty() {
            findings.push(Finding::Missing("delivery_methods_supported"));
        } else if !offers(PUSH) || !offers(POLL) {
            findings.push(Finding::DeliveryMethods);
        }
        if !metadata
            .authorization_schemes
            .iter()
            .any(|urn| urn == OAUTH)
        {
            findings.push(Finding::AuthorizationScheme);
        }
        findings
    }

    /// Checks a stream.
    #[must_use]
    pub fn check_stream(&self, stream: &StreamConfiguration) -> Vec<Finding> {
        let mut findings = Vec::new();
        if !stream.delivery.endpoint_url().starts_with("https://") {
            findings.push(Finding::NotHttps("endpoint_url"));
        }
        let supported = stream.events_supported.as_ref();
        for case in &self.cases {
            let known = supported.is_none_or(|all| all.iter().any(|uri| uri == case.event()));
            if !known {
                findings.push(Finding::EventType(*case));
            }
        }
        findings
    }

    /// Checks the JWK Set at `jwks_uri`, and that it has the key of a SET (by its `kid`).
    #[must_use]
    pub fn check_keys(&self, jwks: &Value, set: &SecurityEventToken) -> Vec<Finding> {
        let mut findings = Vec::new();
        let keys = jwks.get("keys").and_then(Value::as_array);
        let keys = keys.into_iter().flatten();
        let kid = set.jwt().header().kid().map(str::to_owned);
        let mut published = false;
        for key in keys {
            let text = |name| key.get(name).and_then(Value::as_str);
            published |= text("kid").is_some() && text("kid") == kid.as_deref();
            // 2048 bits are 256 bytes, without a leading zero: 342 characters.
            if text("kty") == Some("RSA") && text("n").is_none_or(|n| bits(n) < 2048) {
                findings.push(Finding::WeakKey);
            }
        }
        if !published {
            findings.push(Finding::KeyNotPublished);
        }
        findings
    }

    /// Checks a SET that was verified.
    #[must_use]
    pub fn check_set(&self, set: &SecurityEventToken) -> Vec<Finding> {
        let mut findings = Vec::new();
        if set.jwt().header().algorithm() != Algorithm::Rs256 {
            findings.push(Finding::Algorithm);
        }
        if set.events().len() != 1 {
            findings.push(Finding::EventCount);
        }
        let event = set.event();
        if let Some(subject) = set.subject() {
            if !fits(subject, event) {
                findings.push(Finding::SubjectFormat);
            }
        }
        findings.extend(self.check_event(event));
        findings
    }

    /// Checks an event, also before it is sent.
    #[must_use]
    pub fn check_event(&self, event: &Event) -> Vec<Finding> {
        let claimed = self.cases.iter().any(|case| case.event() == event.uri());
        let text = |common: &Common| {
            let reasons = common.reason_admin.as_ref();
            reasons.is_some_and(|reasons| reasons.iter().any(|(_, text)| !text.trim().is_empty()))
        };
        match event.common() {
            Some(common) if claimed && !text(common) => vec![Finding::ReasonAdmin],
            _ => Vec::new(),
        }
    }
}

fn fits(subject: &Subject, event: &Event) -> bool {
    let about_stream = matches!(event, Event::Verification(_) | Event::StreamUpdated(_));
    match subject.as_simple() {
        Some(SubjectIdentifier::Email { .. } | SubjectIdentifier::IssSub { .. }) => !about_stream,
        Some(SubjectIdentifier::Opaque { .. }) => about_stream,
        // Complex subjects are beyond the profile, which a receiver may go.
        _ => false,
    }
}

/// Whether a `spec_version` is `1_0` or a greater final one. A draft of a version comes before it.
fn is_final(version: &str) -> bool {
    let (numbers, draft) = match version.split_once("-ID") {
        Some((numbers, draft)) => (numbers, Some(draft)),
        None => (version, None),
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u32>().ok()).flatten()
    };
    let Some((major, minor)) = numbers.split_once('_') else {
        return false;
    };
    let (Some(major), Some(minor)) = (number(major), number(minor)) else {
        return false;
    };
    match draft {
        None => (major, minor) >= (1, 0),
        Some(draft) => number(draft).is_some() && (major, minor) > (1, 0),
    }
}

/// The bits of a base64url number.
fn bits(text: &str) -> usize {
    let Ok(bytes) = jose_x509::base64url::decode(text, "n") else {
        return 0;
    };
    let mut digits = bytes.iter().skip_while(|byte| **byte == 0);
    match digits.next() {
        None => 0,
        Some(first) => {
            let zeros = usize::try_from(first.leading_zeros()).unwrap_or(8);
            8_usize
                .saturating_sub(zeros)
                .saturating_add(digits.count().saturating_mul(8))
        }
    }
}

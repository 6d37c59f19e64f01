//! Verifying signed requests, and what requests and responses have in common.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method, Uri, request};
use jose_x509::jwt::Jwt;
use jose_x509::{ReplayGuard, ReplayKey};
use pki_types::UnixTime;

use super::base::signature_base;
use super::component::{Component, Message, Name, RequestView, label, one_value, path, required};
use super::fields::{Params, Tagged, tagged};
use super::{Profile, SignatureError, WIMSE_AUD, digest};
use crate::audience::Audiences;
use crate::error::Error;
use crate::identifier::WorkloadIdentifier;
use crate::wit::{UnprovenWit, WORKLOAD_IDENTITY_TOKEN, WitAnchors, WitVerifier};

/// What requests and responses are held against.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) wit: WitVerifier,
    pub(super) profile: Profile,
    pub(super) max_lifetime: u64,
    pub(super) leeway: u64,
    pub(super) max_content: usize,
}

const MAX_LIFETIME: u64 = 300;
const LONGEST_LIFETIME: u64 = 3600;
const LEEWAY: u64 = 30;
const MAX_LEEWAY: u64 = 300;
/// How far ahead the signer's clock may be.
const MAX_AHEAD: u64 = 60;
const MAX_CONTENT: usize = 1024 * 1024;

impl Rules {
    pub(super) fn new(wit: WitVerifier) -> Self {
        Self {
            wit,
            profile: Profile::default(),
            max_lifetime: MAX_LIFETIME,
            leeway: LEEWAY,
            max_content: MAX_CONTENT,
        }
    }

    pub(super) fn set_max_lifetime(&mut self, lifetime: Duration) -> Result<(), Error> {
        if !(1..=LONGEST_LIFETIME).contains(&lifetime.as_secs()) {
            return Err(Error::InvalidOption {
                option: "max lifetime",
                range: "1 to 3600 seconds",
            });
        }
        self.max_lifetime = lifetime.as_secs();
        Ok(())
    }

    pub(super) fn set_leeway(&mut self, leeway: Duration) -> Result<(), Error> {
        if leeway.as_secs() > MAX_LEEWAY {
            return Err(Error::InvalidOption {
                option: "leeway",
                range: "0 to 300 seconds",
            });
        }
        self.leeway = leeway.as_secs();
        Ok(())
    }

    /// Everything that can be said of the signature without a key: sizes of fields, tag, size of the content,
    /// parameters, times.
    pub(super) fn parse(
        &self,
        headers: &HeaderMap,
        content: &[u8],
        now: UnixTime,
    ) -> Result<Tagged, SignatureError> {
        // Whatever size it has: content without a signature is no affair of this profile.
        let tagged = tagged(headers)?;
        if content.len() > self.max_content {
            return Err(SignatureError::ContentTooLarge {
                limit: self.max_content,
            });
        }
        let Params {
            created, expires, ..
        } = tagged.params;
        let now = now.as_secs();
        if created > now.saturating_add(MAX_AHEAD) {
            return Err(SignatureError::NotYetValid);
        }
        match expires.checked_sub(created) {
            Some(lifetime) if (1..=self.max_lifetime).contains(&lifetime) => {}
            _ => {
                return Err(SignatureError::Lifetime {
                    limit: self.max_lifetime,
                });
            }
        }
        if now >= expires.saturating_add(self.leeway) {
            return Err(SignatureError::Expired);
        }
        Ok(tagged)
    }

    pub(super) fn check_coverage(
        &self,
        tagged: &Tagged,
        message: &Message<'_>,
    ) -> Result<(), SignatureError> {
        for component in required(self.profile, message) {
            if !tagged.components.contains(&component) {
                let component = label(&component);
                return Err(SignatureError::MissingComponent { component });
            }
        }
        Ok(())
    }

    /// WIT, signature, content and nonce, in this order: nobody can spend the nonce of another.
    pub(super) fn check_proof(
        &self,
        tagged: &Tagged,
        message: &Message<'_>,
        content: &[u8],
        wit: &UnprovenWit,
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<Vec<(HeaderName, String)>, Error> {
        let key = wit.proof_key();
        let provider = key.provider();
        if provider.sha256(wit_field(message.headers())?.as_bytes()) != *wit.hash() {
            return Err(SignatureError::OtherWit.into());
        }
        let base = signature_base(&tagged.components, &tagged.text, message)?;
        key.verify(wit.proof_algorithm(), base.as_bytes(), &tagged.signature)
            .map_err(SignatureError::Signature)?;
        digest::check(provider, message.headers(), content)?;
        let covered = covered_fields(&tagged.components, message)?;
        let nonce = tagged.params.nonce.as_bytes();
        // The current profile binds a nonce to nobody: a repetition by another sender is one as well.
        let sender = match self.profile {
            Profile::V07 => "",
            Profile::V06 => wit.unproven_identifier().as_str(),
        };
        let once = ReplayKey::new(provider, &[b"wimse-httpsig", sender.as_bytes(), nonce]);
        let kept = tagged.params.expires.saturating_add(self.leeway);
        replay
            .check_and_insert(
                once,
                UnixTime::since_unix_epoch(Duration::from_secs(kept)),
                now,
            )
            .map_err(SignatureError::Replay)?;
        Ok(covered)
    }
}

/// The WIT of a message.
pub(super) fn wit_field(headers: &HeaderMap) -> Result<&str, SignatureError> {
    one_value(headers, &HeaderName::from_static(WORKLOAD_IDENTITY_TOKEN)).ok_or(
        SignatureError::FieldCount {
            field: WORKLOAD_IDENTITY_TOKEN,
        },
    )
}

fn covered_fields(
    components: &[Component],
    message: &Message<'_>,
) -> Result<Vec<(HeaderName, String)>, SignatureError> {
    let mut fields = Vec::new();
    for (index, component) in components.iter().enumerate() {
        if let (Name::Field(name), false) = (&component.name, component.req) {
            fields.push((name.clone(), message.value(component, index)?.into_owned()));
        }
    }
    Ok(fields)
}

/// Verifies signed requests. Immutable; threads share it.
#[derive(Clone, Debug)]
pub struct RequestVerifier {
    rules: Rules,
    audiences: Audiences,
}

impl RequestVerifier {
    /// A verifier for the current profile that accepts no audience yet: add authorities under which this server
    /// is reached, from configuration, never from the request. Content up to 1 MiB.
    #[must_use]
    pub fn new(wit: WitVerifier) -> Self {
        Self {
            rules: Rules::new(wit),
            audiences: Audiences::default(),
        }
    }

    /// Accepts signatures for any path under this scheme and authority, such as `https://api.example.com`; the
    /// path has to be the request's own.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] when `base` is not an http or https URI without path and query.
    pub fn with_authority(mut self, base: &str) -> Result<Self, Error> {
        self.audiences.add_authority(base)?;
        Ok(self)
    }

    /// Accepts this audience literally, where rewriting hides the target from the caller.
    #[must_use]
    pub fn with_exact_audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.add_exact(audience.into());
        self
    }

    /// Verifies another profile, instead of the current one.
    #[must_use]
    pub fn with_profile(mut self, profile: Profile) -> Self {
        self.rules.profile = profile;
        self
    }

    /// The longest time from `created` to `expires`: 300 seconds by default. The response that the drafts
    /// print has 302.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] outside 1 to 3600 seconds.
    pub fn with_max_lifetime(mut self, lifetime: Duration) -> Result<Self, Error> {
        self.rules.set_max_lifetime(lifetime)?;
        Ok(self)
    }

    /// How long after `expires` a signature is still accepted: 30 seconds by default.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] above 300 seconds.
    pub fn with_leeway(mut self, leeway: Duration) -> Result<Self, Error> {
        self.rules.set_leeway(leeway)?;
        Ok(self)
    }

    /// Accepts content up to this many bytes.
    #[must_use]
    pub fn with_max_content(mut self, bytes: usize) -> Self {
        self.rules.max_content = bytes;
        self
    }

    /// Verifies a request with all of its content: parameters, audience, coverage, the WIT, then the signature
    /// with the key of the WIT, the content, and last the replay guard.
    ///
    /// # Errors
    ///
    /// [`SignatureError::NotSigned`] when no signature is meant for this profile, otherwise [`Error`] with the
    /// requirement that is broken. Answer with [`Error::status_without_challenge`].
    pub fn verify(
        &self,
        parts: &request::Parts,
        content: &[u8],
        anchors: &(impl WitAnchors + ?Sized),
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<VerifiedRequest, Error> {
        let (tagged, message) = self.check_request(parts, content, now)?;
        let wit = self
            .rules
            .wit
            .verify(wit_field(&parts.headers)?, anchors, now)?;
        self.finish(tagged, message, content, wit, replay, now)
    }

    /// As [`RequestVerifier::verify`], for a WIT that was verified by other means, such as a WIT-SVID.
    ///
    /// # Errors
    ///
    /// [`SignatureError::OtherWit`] when it is not the one of the request, and as [`RequestVerifier::verify`].
    pub fn verify_with_wit(
        &self,
        wit: UnprovenWit,
        parts: &request::Parts,
        content: &[u8],
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<VerifiedRequest, Error> {
        let (tagged, message) = self.check_request(parts, content, now)?;
        self.finish(tagged, message, content, wit, replay, now)
    }

    fn check_request<'a>(
        &self,
        parts: &'a request::Parts,
        content: &[u8],
        now: UnixTime,
    ) -> Result<(Tagged, RequestView<'a>), Error> {
        let tagged = self.rules.parse(&parts.headers, content, now)?;
        let audience = tagged.params.audience.as_deref();
        let audience = audience.ok_or(SignatureError::Parameter {
            parameter: WIMSE_AUD,
        })?;
        if !self.audiences.contains(audience, path(&parts.uri)) {
            return Err(SignatureError::Audience.into());
        }
        let view = RequestView {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
        };
        self.rules
            .check_coverage(&tagged, &Message::Request(view))?;
        Ok((tagged, view))
    }

    fn finish(
        &self,
        tagged: Tagged,
        view: RequestView<'_>,
        content: &[u8],
        wit: UnprovenWit,
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<VerifiedRequest, Error> {
        let message = Message::Request(view);
        let covered = self
            .rules
            .check_proof(&tagged, &message, content, &wit, replay, now)?;
        Ok(VerifiedRequest {
            wit,
            method: view.method.clone(),
            uri: view.uri.clone(),
            covered,
            params: tagged.params,
            profile: self.rules.profile,
        })
    }
}

/// A request whose sender has proven to be the holder of its WIT, and of which every covered part is as it was
/// signed.
pub struct VerifiedRequest {
    wit: UnprovenWit,
    method: Method,
    uri: Uri,
    covered: Vec<(HeaderName, String)>,
    params: Params,
    profile: Profile,
}

impl VerifiedRequest {
    /// Who sent it: `sub` of the WIT.
    #[must_use]
    pub fn identifier(&self) -> &WorkloadIdentifier {
        self.wit.unproven_identifier()
    }

    /// The verified WIT.
    #[must_use]
    pub fn wit(&self) -> &Jwt {
        self.wit.jwt()
    }

    /// The signed method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The signed path, as it was sent. Route by this one: a router that decodes it or removes dot segments may
    /// see another path than the signer.
    #[must_use]
    pub fn path(&self) -> &str {
        path(&self.uri)
    }

    /// The signed query, without its question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// The value of a field that the signature covers. Other fields may be anybody's on the way, and nothing
    /// should be decided by them.
    #[must_use]
    pub fn covered_field(&self, name: &HeaderName) -> Option<&str> {
        let field = self.covered.iter().find(|(covered, _)| covered == name);
        field.map(|(_, value)| value.as_str())
    }

    /// `nonce`.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.params.nonce
    }

    /// `created`.
    #[must_use]
    pub fn created(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.params.created))
    }

    /// `expires`.
    #[must_use]
    pub fn expires(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.params.expires))
    }

    /// Whether the client demands a signed response.
    #[must_use]
    pub fn demands_signed_response(&self) -> bool {
        self.params.sign_response
    }

    pub(super) fn profile(&self) -> Profile {
        self.profile
    }

    /// For the response; its fields are not taken from the request.
    pub(super) fn view(&self) -> RequestView<'_> {
        static NO_FIELDS: std::sync::LazyLock<HeaderMap> = std::sync::LazyLock::new(HeaderMap::new);
        RequestView {
            method: &self.method,
            uri: &self.uri,
            headers: &NO_FIELDS,
        }
    }
}

/// Which fields are covered, and not what is in them: among them are tokens. The query may have some as well.
impl fmt::Debug for VerifiedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedRequest")
            .field("identifier", self.identifier())
            .field("method", &self.method)
            .field("path", &self.path())
            .field("covered", &Names(&self.covered))
            .finish_non_exhaustive()
    }
}

/// The names of covered fields.
pub(super) struct Names<'a>(pub(super) &'a [(HeaderName, String)]);

impl fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name.as_str()))
            .finish()
    }
}

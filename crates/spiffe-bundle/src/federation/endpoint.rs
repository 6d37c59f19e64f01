//! The configured side of a federation relationship (section 5).

use std::sync::Arc;

use spiffe_id::{SpiffeId, TrustDomain, TrustDomainRef};
use url::Url;

use super::fetch::FetchPlan;
use crate::Bundle;
use crate::error::{Error, UrlProblem};

/// How the endpoint's server is authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointProfile {
    /// `https_web`: by a certificate of a public CA for the host of the URL.
    HttpsWeb,
    /// `https_spiffe`: by an X509-SVID with exactly this SPIFFE ID.
    HttpsSpiffe {
        /// The server's SPIFFE ID.
        endpoint_spiffe_id: SpiffeId,
    },
}

impl EndpointProfile {
    /// The profile's identifier: `https_web` or `https_spiffe`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::HttpsWeb => "https_web",
            Self::HttpsSpiffe { .. } => "https_spiffe",
        }
    }
}

/// One direction of federation: whose bundle is fetched, where, and how its server is authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relationship {
    pub(super) trust_domain: TrustDomain,
    pub(super) url: Url,
    pub(super) profile: EndpointProfile,
    pub(super) follow_redirects: bool,
    pub(super) bootstrap: Option<Bundle>,
}

impl Relationship {
    /// A relationship with an endpoint of profile `https_web`.
    ///
    /// # Errors
    ///
    /// [`Error::EndpointUrl`].
    pub fn https_web(trust_domain: TrustDomain, url: &str) -> Result<Self, Error> {
        Ok(Self {
            trust_domain,
            url: endpoint_url(url)?,
            profile: EndpointProfile::HttpsWeb,
            follow_redirects: true,
            bootstrap: None,
        })
    }

    /// A relationship with an endpoint of profile `https_spiffe`. The caller needs a bundle for the trust
    /// domain of `endpoint_spiffe_id` before the first fetch.
    ///
    /// # Errors
    ///
    /// [`Error::EndpointUrl`]; [`Error::EndpointId`] for a SPIFFE ID without a path.
    pub fn https_spiffe(
        trust_domain: TrustDomain,
        url: &str,
        endpoint_spiffe_id: SpiffeId,
    ) -> Result<Self, Error> {
        if endpoint_spiffe_id.is_trust_domain_id() {
            return Err(Error::EndpointId);
        }
        Ok(Self {
            profile: EndpointProfile::HttpsSpiffe { endpoint_spiffe_id },
            ..Self::https_web(trust_domain, url)?
        })
    }

    /// A relationship as configuration files write it: `profile` is the identifier, compared exactly, and
    /// `endpoint_spiffe_id` belongs to `https_spiffe` alone.
    ///
    /// # Errors
    ///
    /// As the other constructors; [`Error::UnknownProfile`]; [`Error::EndpointId`] when the ID is missing
    /// or superfluous.
    pub fn from_profile_name(
        trust_domain: TrustDomain,
        url: &str,
        profile: &str,
        endpoint_spiffe_id: Option<SpiffeId>,
    ) -> Result<Self, Error> {
        match (profile, endpoint_spiffe_id) {
            ("https_web", None) => Self::https_web(trust_domain, url),
            ("https_spiffe", Some(id)) => Self::https_spiffe(trust_domain, url, id),
            ("https_web" | "https_spiffe", _) => Err(Error::EndpointId),
            _ => Err(Error::UnknownProfile),
        }
    }

    /// Refuses redirects.
    #[must_use]
    pub const fn without_redirects(mut self) -> Self {
        self.follow_redirects = false;
        self
    }

    /// Sets the first bundle of the trust domain, which the operator got by other means. A self-serving endpoint of
    /// profile `https_spiffe` needs one. It is used until there is another one: a bundle that was stored after an
    /// earlier fetch is never replaced by it.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignBundle`] for the bundle of another trust domain.
    pub fn with_bootstrap(mut self, bundle: Bundle) -> Result<Self, Error> {
        if bundle.trust_domain() != self.trust_domain() {
            return Err(Error::ForeignBundle);
        }
        self.bootstrap = Some(bundle);
        Ok(self)
    }

    /// The trust domain whose bundle is fetched.
    #[must_use]
    pub fn trust_domain(&self) -> TrustDomainRef<'_> {
        self.trust_domain.as_trust_domain_ref()
    }

    /// The endpoint.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The profile.
    #[must_use]
    pub const fn profile(&self) -> &EndpointProfile {
        &self.profile
    }

    /// The trust domain of the endpoint's server, whose bundle authenticates it: under `https_spiffe` alone.
    #[must_use]
    pub fn endpoint_trust_domain(&self) -> Option<TrustDomainRef<'_>> {
        match &self.profile {
            EndpointProfile::HttpsWeb => None,
            EndpointProfile::HttpsSpiffe { endpoint_spiffe_id } => {
                Some(endpoint_spiffe_id.trust_domain())
            }
        }
    }

    /// Whether the endpoint's server belongs to the trust domain whose bundle it serves, so that the
    /// operator has to provide its first bundle.
    #[must_use]
    pub fn is_self_serving(&self) -> bool {
        matches!(&self.profile, EndpointProfile::HttpsSpiffe { endpoint_spiffe_id }
            if self.trust_domain.contains(endpoint_spiffe_id))
    }

    /// Begins a fetch, always at the configured URL: redirects of earlier fetches are forgotten.
    #[must_use]
    pub fn fetch(&self) -> FetchPlan {
        FetchPlan::new(Arc::new(self.clone()))
    }
}

/// Reads an absolute endpoint URL (section 5.2.1.1).
pub(super) fn endpoint_url(text: &str) -> Result<Url, Error> {
    refuse_ambiguous(text)?;
    checked(Url::parse(text).map_err(|_| refused(UrlProblem::Malformed))?)
}

/// Reads the target of a redirect, which may be relative to `base`.
pub(super) fn redirect_url(base: &Url, text: &str) -> Result<Url, Error> {
    refuse_ambiguous(text)?;
    checked(
        base.join(text)
            .map_err(|_| refused(UrlProblem::Malformed))?,
    )
}

/// URL parsers forgive what follows here, each in its own way; and they drop an empty user information.
fn refuse_ambiguous(text: &str) -> Result<(), Error> {
    if text.len() > MAX_URL_LENGTH || !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return Err(refused(UrlProblem::Malformed));
    }
    let scheme = "https:";
    let after_scheme = match text.get(..scheme.len()) {
        Some(start) if start.eq_ignore_ascii_case(scheme) => text.get(scheme.len()..),
        _ => None,
    };
    if after_scheme.is_some_and(|rest| !rest.starts_with("//"))
        || after_scheme.unwrap_or(text).starts_with("///")
    {
        return Err(refused(UrlProblem::Malformed));
    }
    let before_query = text.split(['?', '#']).next().unwrap_or_default();
    let authority = before_query
        .split_once("//")
        .and_then(|(_, rest)| rest.split('/').next());
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err(refused(UrlProblem::UserInfo));
    }
    Ok(())
}

fn checked(mut url: Url) -> Result<Url, Error> {
    if url.scheme() != "https" {
        return Err(refused(UrlProblem::Scheme));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused(UrlProblem::UserInfo));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(refused(UrlProblem::Malformed));
    }
    url.set_fragment(None);
    Ok(url)
}

const fn refused(problem: UrlProblem) -> Error {
    Error::EndpointUrl { problem }
}

const MAX_URL_LENGTH: usize = 2048;

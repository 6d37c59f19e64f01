//! What this server asks of a document beyond the draft.

use crate::{AuthMethod, HttpsUrl};

/// The body limit of the draft: 5 kilobytes.
pub const DEFAULT_MAX_BODY: usize = 5120;

/// The largest body limit that can be set.
pub const HARD_MAX_BODY: usize = 64 * 1024;

/// What a document has to satisfy besides the rules that always hold.
///
/// The default accepts 5120 bytes, every authentication method of [`AuthMethod`], asymmetric signature algorithms,
/// redirect URIs on the origin of the client or on loopback, and no `spiffe_id` that covers a whole trust domain.
#[derive(Debug, Clone)]
pub struct DocumentPolicy {
    pub(crate) max_body: usize,
    pub(crate) confidential: bool,
    pub(crate) methods: Vec<AuthMethod>,
    pub(crate) algorithms: Vec<String>,
    pub(crate) redirects: RedirectPolicy,
    pub(crate) trust_domain_wildcard: bool,
    pub(crate) development: Vec<HostPattern>,
}

impl Default for DocumentPolicy {
    fn default() -> Self {
        let algorithms = [
            "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "EdDSA", "Ed25519",
        ];
        Self {
            max_body: DEFAULT_MAX_BODY,
            confidential: false,
            methods: AuthMethod::ALL.to_vec(),
            algorithms: algorithms.map(String::from).to_vec(),
            redirects: RedirectPolicy::SameOrigin,
            trust_domain_wildcard: false,
            development: Vec::new(),
        }
    }
}

impl DocumentPolicy {
    /// The default policy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the body limit in bytes, at most [`HARD_MAX_BODY`].
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes.min(HARD_MAX_BODY);
        self
    }

    /// Refuses clients that do not authenticate.
    #[must_use]
    pub fn require_confidential(mut self) -> Self {
        self.confidential = true;
        self
    }

    /// The authentication methods this server supports.
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = AuthMethod>) -> Self {
        self.methods = methods.into_iter().collect();
        self
    }

    /// The values of `token_endpoint_auth_signing_alg` this server verifies. `none` and the `HS` family stay refused.
    #[must_use]
    pub fn signing_algorithms<S: Into<String>>(
        mut self,
        algorithms: impl IntoIterator<Item = S>,
    ) -> Self {
        self.algorithms = algorithms.into_iter().map(Into::into).collect();
        self
    }

    /// Which redirect URIs a document may list.
    #[must_use]
    pub fn redirects(mut self, redirects: RedirectPolicy) -> Self {
        self.redirects = redirects;
        self
    }

    /// Hosts that serve documents of clients under development (section 8.10): these may list any redirect URI, and the
    /// client is marked, see [`Trust::Development`](crate::Trust).
    #[must_use]
    pub fn development_hosts(mut self, hosts: impl IntoIterator<Item = HostPattern>) -> Self {
        self.development = hosts.into_iter().collect();
        self
    }

    /// Whether documents from this URL are of clients under development.
    #[must_use]
    pub fn is_development(&self, url: &HttpsUrl) -> bool {
        self.development.iter().any(|host| host.matches(url))
    }

    /// Accepts a `spiffe_id` such as `spiffe://example.org/*`.
    #[must_use]
    pub fn allow_trust_domain_wildcard(mut self) -> Self {
        self.trust_domain_wildcard = true;
        self
    }
}

/// Which redirect URIs a document may list; judged for every entry before the document is accepted. Loopback
/// (`http://127.0.0.1`, `http://[::1]`, `http://localhost`) is allowed by each.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RedirectPolicy {
    /// The origin of the `client_id`.
    SameOrigin,
    /// The origin of the `client_id`, or a host of the list.
    AllowListed(Vec<HostPattern>),
    /// Any `https` URL, and private-use schemes that are reverse domain names (RFC 8252 section 7.1).
    Any,
}

/// A host, or all hosts below one, optionally with a path prefix.
///
/// ```
/// use cimd::{ClientIdUrl, HostPattern};
///
/// let hosts = HostPattern::parse("*.example.com").unwrap();
/// assert!(hosts.matches(ClientIdUrl::parse("https://a.example.com/c")?.as_url()));
/// assert!(!hosts.matches(ClientIdUrl::parse("https://example.com/c")?.as_url()));
/// assert!(!hosts.matches(ClientIdUrl::parse("https://badexample.com/c")?.as_url()));
/// # Ok::<(), cimd::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    host: String,
    below: bool,
    path: String,
}

impl HostPattern {
    /// Parses `example.com`, `*.example.com`, or either followed by a path such as `/apps/`, which limits the pattern to
    /// paths that begin with these whole segments. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (below, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let url = HttpsUrl::parse(&format!("https://{rest}"), "host").ok()?;
        // No port, no query: what is left has to be host and path.
        if url.has_query() || url.authority() != url.host() {
            return None;
        }
        let path = url.path().trim_end_matches('/').to_owned();
        Some(Self {
            host: url.host().to_ascii_lowercase(),
            below,
            path,
        })
    }

    /// Whether the pattern means `url`.
    #[must_use]
    pub fn matches(&self, url: &HttpsUrl) -> bool {
        let host = url.host().to_ascii_lowercase();
        let host_matches = if self.below {
            host.strip_suffix(&self.host)
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        } else {
            host == self.host
        };
        let rest = url.path().strip_prefix(&self.path);
        host_matches && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

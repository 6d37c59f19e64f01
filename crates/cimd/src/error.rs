//! What can be wrong with a client identifier, its document or the way to it.

use std::time::Duration;

use thiserror::Error as ThisError;

/// Why a Client Identifier URL, a document or a fetch is refused.
///
/// The text names the place and the rule and never quotes the document, so it may be logged. To the client send only
/// [`oauth_error`](Self::oauth_error) and [`oauth_description`](Self::oauth_description): anything more would let a
/// client use the server to explore a network.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// A URL breaks the rules for URLs.
    #[error("{place}: {problem}")]
    Url {
        /// `client_id`, or the member of the document.
        place: &'static str,
        /// Which rule.
        problem: UrlProblem,
    },
    /// The document is not one strict JSON object.
    #[error("the document is not acceptable JSON: {0}")]
    Json(JsonProblem),
    /// The response or document is larger than the limit.
    #[error("the document is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A member that has to be present is absent.
    #[error("member `{member}` is missing")]
    MemberMissing {
        /// Its name.
        member: &'static str,
    },
    /// A member has the wrong JSON type.
    #[error("member `{member}` is not {expected}")]
    MemberType {
        /// Its name.
        member: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// A member has a value that is not allowed, alone or together with the other members.
    #[error("member `{member}`: {reason}")]
    MemberValue {
        /// Its name.
        member: &'static str,
        /// Which rule.
        reason: &'static str,
    },
    /// `client_id` in the document is not the URL that was fetched.
    #[error("member `client_id` differs from the URL of the document")]
    ClientIdMismatch,
    /// A member that carries a client secret is present.
    #[error("member `{member}` has no place in a public document")]
    SecretMember {
        /// Its name.
        member: &'static str,
    },
    /// A key of `jwks` is symmetric or has private parts.
    #[error("key {index} of `jwks` is secret")]
    SecretKey {
        /// Index in `keys`.
        index: usize,
    },
    /// `token_endpoint_auth_method` names a method that needs a shared secret.
    #[error("the token endpoint authentication method needs a shared secret")]
    SharedSecretMethod,
    /// `token_endpoint_auth_method` is unknown or not enabled.
    #[error("the token endpoint authentication method is not supported")]
    UnsupportedMethod,
    /// The policy asks for clients that authenticate, and this one does not.
    #[error("the client does not authenticate, but has to")]
    ConfidentialRequired,
    /// An entry of `redirect_uris` is not acceptable.
    #[error("redirect URI {index}: {reason}")]
    RedirectUri {
        /// Index in `redirect_uris`.
        index: usize,
        /// Which rule.
        reason: &'static str,
    },
    /// The requested redirect URI is none of the registered ones.
    #[error("the requested redirect URI is not registered")]
    RedirectUriNotRegistered,
    /// `spiffe_id` is neither a SPIFFE ID nor one followed by `/*`.
    #[error("member `spiffe_id`: {0}")]
    SpiffeId(spiffe_id::Error),
    /// The policy does not allow this host.
    #[error("the host is not allowed")]
    HostRefused,
    /// The port is not one that documents are fetched from.
    #[error("port {port} is not allowed")]
    PortRefused {
        /// The port.
        port: u16,
    },
    /// The name resolves, also or only, to a special-use address.
    #[error("the host resolves to a special-use address")]
    AddressRefused,
    /// The name resolves to nothing.
    #[error("the host has no address")]
    NoAddress,
    /// An exception for loopback or a single address was asked for outside development.
    #[error("address exceptions exist for development only, and only for a server on loopback")]
    ExceptionOutsideDevelopment,
    /// The response status is not 200.
    #[error("the response status is {status}, not 200")]
    Status {
        /// The status code.
        status: u16,
    },
    /// The response is not `application/json` or `application/*+json`.
    #[error("the response has no JSON media type")]
    ContentType,
    /// The response is compressed, although that was not asked for.
    #[error("the response has a content encoding")]
    ContentEncoding,
    /// The logo is no PNG, JPEG, WebP or GIF.
    #[error("the logo is not an image of an accepted kind")]
    Logo,
    /// The software statement of a known issuer does not hold, or is not about this client.
    #[error("member `software_statement` does not hold for this client")]
    SoftwareStatement,
    /// Too many fetches for this requester or from this host.
    #[error("too many fetches, one more in {}s", retry_after.as_secs())]
    TooManyFetches {
        /// When the next one is allowed.
        retry_after: Duration,
    },
    /// The name could not be resolved.
    #[error("the host could not be resolved")]
    Resolve,
    /// No connection to the checked address.
    #[error("the connection failed")]
    Connect,
    /// No connection in the time to resolve and connect.
    #[error("the connection took too long")]
    ConnectTimeout,
    /// The TLS handshake failed, or the certificate is not valid for the host.
    #[error("the TLS handshake failed")]
    Tls,
    /// The peer broke HTTP or closed early.
    #[error("the HTTP exchange failed")]
    Http,
    /// The time for the whole fetch is over.
    #[error("the fetch took too long")]
    Timeout,
}

/// Which rule for URLs is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum UrlProblem {
    /// More than [`MAX_URL_LENGTH`](crate::MAX_URL_LENGTH) bytes.
    #[error("the URL is too long")]
    TooLong,
    /// Not `https://` in lower case.
    #[error("the URL does not begin with `https://`")]
    Scheme,
    /// A byte that no URI has, or a broken percent-escape.
    #[error("a character that a URI cannot have at offset {offset}")]
    Character {
        /// Where.
        offset: usize,
    },
    /// An `@` in the authority.
    #[error("the URL has user information")]
    Userinfo,
    /// The host is empty or not a name of labels.
    #[error("the host is not a domain name")]
    Host,
    /// The host is an address in one of its many forms.
    #[error("the host is an IP address")]
    IpHost,
    /// The port is empty, zero, padded or above 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// No path.
    #[error("the URL has no path")]
    NoPath,
    /// `.` or `..` as a path segment, also percent-encoded.
    #[error("the path has a dot segment")]
    DotSegment,
    /// A fragment, also an empty one.
    #[error("the URL has a fragment")]
    Fragment,
    /// A query, which the policy forbids.
    #[error("the URL has a query")]
    Query,
    /// The root path, which the policy forbids.
    #[error("the URL has only the root path")]
    RootPath,
    /// A general URL parser reads another host, port or path than the raw text shows.
    #[error("URL parsers would disagree about the URL")]
    Ambiguous,
}

/// Why JSON is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum JsonProblem {
    /// Not JSON, not UTF-8, or followed by something else.
    #[error("syntax error")]
    Syntax,
    /// The same member twice in one object.
    #[error("duplicate member")]
    Duplicate,
    /// Nested deeper than [`MAX_JSON_DEPTH`](crate::MAX_JSON_DEPTH).
    #[error("nested too deeply")]
    Depth,
    /// Valid JSON, but no object.
    #[error("not an object")]
    NotObject,
}

/// Who has to act on an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The client or its host sent something wrong.
    Peer,
    /// A policy of this server refuses something that another server may accept.
    Policy,
    /// This server is set up wrongly.
    Configuration,
    /// The network failed; later it may work.
    Transient,
}

impl Error {
    /// A stable name for logs and metrics, in `snake_case`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Url { problem, .. } => problem.code(),
            Self::Json(problem) => match problem {
                JsonProblem::Syntax => "json_syntax",
                JsonProblem::Duplicate => "json_duplicate",
                JsonProblem::Depth => "json_depth",
                JsonProblem::NotObject => "json_not_object",
            },
            Self::TooLarge { .. } => "too_large",
            Self::MemberMissing { .. } => "member_missing",
            Self::MemberType { .. } => "member_type",
            Self::MemberValue { .. } => "member_value",
            Self::ClientIdMismatch => "client_id_mismatch",
            Self::SecretMember { .. } => "secret_member",
            Self::SecretKey { .. } => "secret_key",
            Self::SharedSecretMethod => "shared_secret_method",
            Self::UnsupportedMethod => "unsupported_method",
            Self::ConfidentialRequired => "confidential_required",
            Self::RedirectUri { .. } => "redirect_uri",
            Self::RedirectUriNotRegistered => "redirect_uri_not_registered",
            Self::SpiffeId(_) => "spiffe_id",
            Self::HostRefused => "host_refused",
            Self::PortRefused { .. } => "port_refused",
            Self::AddressRefused => "address_refused",
            Self::NoAddress => "no_address",
            Self::ExceptionOutsideDevelopment => "exception_outside_development",
            Self::Status { .. } => "status",
            Self::ContentType => "content_type",
            Self::ContentEncoding => "content_encoding",
            Self::Logo => "logo",
            Self::SoftwareStatement => "software_statement",
            Self::TooManyFetches { .. } => "too_many_fetches",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Timeout => "timeout",
        }
    }

    /// Who has to act.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::ConfidentialRequired
            | Self::UnsupportedMethod
            | Self::HostRefused
            | Self::PortRefused { .. }
            | Self::AddressRefused
            | Self::SpiffeId(spiffe_id::Error::PrefixWithoutSegment)
            | Self::Url {
                problem: UrlProblem::Query | UrlProblem::RootPath,
                ..
            } => Fault::Policy,
            Self::ExceptionOutsideDevelopment => Fault::Configuration,
            Self::NoAddress
            | Self::TooManyFetches { .. }
            | Self::Resolve
            | Self::Connect
            | Self::ConnectTimeout
            | Self::Tls
            | Self::Http
            | Self::Timeout => Fault::Transient,
            Self::Status { status } if *status >= 500 => Fault::Transient,
            _ => Fault::Peer,
        }
    }

    /// Whether the same fetch may succeed later without anybody changing anything. Never retry inside one request.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        matches!(self.fault(), Fault::Transient)
    }

    /// The error code for the client: `invalid_request` for a redirect URI that is not registered (shown to the user,
    /// never sent to that URI), otherwise `invalid_client`.
    #[must_use]
    pub const fn oauth_error(&self) -> &'static str {
        match self {
            Self::RedirectUriNotRegistered => "invalid_request",
            _ => "invalid_client",
        }
    }

    /// The description for the client: one text for all causes, so that refused connections, timeouts and statuses look
    /// alike.
    #[must_use]
    pub const fn oauth_description(&self) -> &'static str {
        match self {
            Self::RedirectUriNotRegistered => "the redirect URI is not registered",
            _ => "the client metadata document cannot be used",
        }
    }

    /// The requirement that is broken, an id of `docs/conformance/cimd.toml`.
    #[must_use]
    pub const fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::Url { place, problem } => match problem {
                _ if !matches!(place.as_bytes(), b"client_id") => match problem {
                    UrlProblem::Scheme => "CIMD-8.6-7",
                    _ => "CIMD-8.6-1",
                },
                UrlProblem::Scheme => "CIMD-3-1",
                UrlProblem::Userinfo => "CIMD-3-2",
                UrlProblem::Port => "CIMD-3-3",
                UrlProblem::NoPath => "CIMD-3-4",
                UrlProblem::DotSegment => "CIMD-3-5",
                UrlProblem::Query => "CIMD-3-6",
                UrlProblem::Fragment => "CIMD-3-7",
                UrlProblem::TooLong => "CIMD-3-9",
                UrlProblem::RootPath => "CIMD-3-10",
                UrlProblem::Character { .. }
                | UrlProblem::Host
                | UrlProblem::IpHost
                | UrlProblem::Ambiguous => "CIMD-3-11",
            },
            Self::Json(_) => "CIMD-4-1",
            Self::TooLarge { .. } => "CIMD-8.7-1",
            Self::MemberMissing { member } => match member.as_bytes() {
                b"client_id" => "CIMD-4-2",
                b"redirect_uris" => "CIMD-4.2-1",
                b"spiffe_id" => "CIMD-SPIFFE-5.1-1",
                _ => return None,
            },
            Self::MemberType { .. } => "CIMD-7591-11",
            Self::MemberValue { member, .. } => match member.as_bytes() {
                b"token_endpoint_auth_signing_alg" => "CIMD-7591-3",
                b"grant_types" => "CIMD-7591-4",
                b"response_types" => "CIMD-7591-5",
                b"scope" => "CIMD-7591-6",
                b"jwks" => "CIMD-7591-7",
                b"authorization_grant_profiles_supported" => "CIMD-7591-12",
                _ => return None,
            },
            Self::ClientIdMismatch => "CIMD-4-2",
            Self::SecretMember { .. } => "CIMD-4.1-2",
            Self::SecretKey { .. } => "CIMD-4.1-3",
            Self::SharedSecretMethod => "CIMD-4.1-1",
            Self::UnsupportedMethod => "CIMD-7591-2",
            Self::ConfidentialRequired => "CIMD-4-5",
            Self::RedirectUri { .. } => "CIMD-8.1-1",
            Self::RedirectUriNotRegistered => "CIMD-4.2-2",
            Self::SpiffeId(_) => "CIMD-SPIFFE-5.1-2",
            Self::HostRefused => "CIMD-8.9-1",
            Self::PortRefused { .. } => "CIMD-8.6-8",
            Self::AddressRefused => "CIMD-8.6-1",
            Self::ExceptionOutsideDevelopment => "CIMD-8.6-6",
            Self::Status { .. } => "CIMD-5-3",
            Self::ContentType => "CIMD-4-4",
            Self::ContentEncoding | Self::Tls => "CIMD-5-5",
            Self::ConnectTimeout | Self::Timeout => "CIMD-8.7-2",
            Self::Logo => "CIMD-8.8-1",
            Self::SoftwareStatement => "CIMD-4.3-1",
            Self::TooManyFetches { .. } => "CIMD-5.2-5",
            Self::NoAddress | Self::Resolve | Self::Connect | Self::Http => "CIMD-5.1-1",
        })
    }
}

impl UrlProblem {
    const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "url_too_long",
            Self::Scheme => "url_scheme",
            Self::Character { .. } => "url_character",
            Self::Userinfo => "url_userinfo",
            Self::Host => "url_host",
            Self::IpHost => "url_ip_host",
            Self::Port => "url_port",
            Self::NoPath => "url_no_path",
            Self::DotSegment => "url_dot_segment",
            Self::Fragment => "url_fragment",
            Self::Query => "url_query",
            Self::RootPath => "url_root_path",
            Self::Ambiguous => "url_ambiguous",
        }
    }
}

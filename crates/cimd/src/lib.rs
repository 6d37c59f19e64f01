//! OAuth Client ID Metadata Document.
//!
//! A client without prior registration uses an `https` URL as its `client_id`; the authorization server fetches the
//! document at that URL and learns redirect URIs, keys and authentication method from it. This crate has the rules for
//! the URL, for the fetch and for the document, without I/O; the feature `client` adds a ready fetcher.
//!
//! ```
//! use cimd::{CachePolicy, ClientIdUrl, ClientMetadata, DocumentPolicy, FetchPlan, FetchPolicy};
//! use http::{HeaderMap, HeaderValue, StatusCode, header};
//!
//! // The client_id of an authorization request, not known otherwise.
//! let url = ClientIdUrl::parse("https://app.example.com/client.json")?;
//!
//! // Resolve plan.host() once and check every address before connecting to one of them.
//! let policy = FetchPolicy::default();
//! let plan = FetchPlan::new(url.as_url(), &policy)?;
//! plan.check_addresses(&["93.184.215.14:443".parse().unwrap()])?;
//! let request = plan.request()?; // send this over TLS
//! assert_eq!(request.uri(), "/client.json");
//!
//! // The response came back.
//! let mut headers = HeaderMap::new();
//! headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
//! let body = br#"{
//!     "client_id": "https://app.example.com/client.json",
//!     "client_name": "Example",
//!     "redirect_uris": ["https://app.example.com/callback"],
//!     "token_endpoint_auth_method": "private_key_jwt",
//!     "jwks_uri": "https://app.example.com/jwks.json"
//! }"#;
//! let body = plan.parse_response(StatusCode::OK, &headers, body)?;
//! let client = ClientMetadata::parse(&url, &body, &DocumentPolicy::default())?;
//!
//! assert!(client.is_confidential());
//! assert!(client.match_redirect_uri("https://app.example.com/callback").is_ok());
//! assert!(client.match_redirect_uri("https://app.example.com/callback/").is_err());
//! # Ok::<(), cimd::Error>(())
//! ```
//!
//! # What it refuses
//!
//! - URLs that two parsers could read differently, judged by their raw text: user information, IP addresses in any
//!   spelling, dot segments also when encoded, backslashes, control and non-ASCII characters.
//! - Hosts with any special-use address, unusual privileged ports, redirects, other statuses than 200, other media types
//!   than JSON, bodies above 5120 bytes.
//! - Documents with duplicate members, a foreign `client_id`, a secret or private key, an authentication method with a
//!   shared secret, both `jwks` and `jwks_uri`, or any redirect URI outside the policy, whichever one a request uses.
//! - `spiffe_id` wildcards that are not whole segments, and those over a whole trust domain unless the policy allows it.
//!
//! # What it keeps
//!
//! - Valid documents while they are fresh, by their exact URL: [`DocumentCache`].
//! - For seconds, which hosts and ports gave no response at all: [`UnreachableHosts`]. Nothing of a response that was an
//!   error or not a valid document (section 5.2).
//! - How many fetches there were from each host and for each requester: [`FetchLimiter`].
//!
//! # Specification
//!
//! draft-ietf-oauth-client-id-metadata-document-02, with client metadata of RFC 7591, loopback redirects of RFC 8252, the
//! special-purpose registries of RFC 6890, and `spiffe_id` and `spiffe_bundle_endpoint` of
//! draft-ietf-oauth-spiffe-client-auth-02 section 5.1.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `client` | no | `client::Fetcher` on tokio, hyper and rustls, and `client::Directory` with cache, limits and shared fetches |
//! | `server` | no | `server::Publisher`, which serves one's own document |

mod cache;
mod change;
#[cfg(feature = "client")]
pub mod client;
mod consent;
mod error;
mod fetch;
mod freshness;
pub mod guard;
mod json;
mod limit;
mod logo;
mod members;
mod metadata;
mod method;
mod policy;
mod redirect;
#[cfg(feature = "server")]
pub mod server;
pub mod support;
mod url;

pub use cache::{DocumentCache, Expired, Unreachable, UnreachableHosts};
pub use change::{Change, Reaction};
pub use consent::{Client, Consent, Trust, Warning, looks_like_url};
pub use error::{Error, Fault, JsonProblem, UrlProblem};
pub use fetch::{Answer, BodyReader, FetchPlan, FetchPolicy};
pub use freshness::{CachePolicy, Freshness};
pub use json::MAX_JSON_DEPTH;
pub use limit::{FetchLimiter, Rate};
pub use logo::Logo;
pub use members::check_public_keys;
pub use metadata::ClientMetadata;
pub use method::AuthMethod;
pub use policy::{DEFAULT_MAX_BODY, DocumentPolicy, HARD_MAX_BODY, HostPattern, RedirectPolicy};
pub use url::{ClientIdUrl, HttpsUrl, MAX_URL_LENGTH, UrlWarning};

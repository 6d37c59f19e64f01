//! What a client reads of a server: its metadata (RFC 8414, RFC 9728), taken only if they are the server's own.

use jose_x509::dpop::Htu;
use jose_x509::{Algorithm, Algorithms, json};
use serde_json::{Map, Value};

use crate::attestation::{PopMethod, PopMethods};
use crate::error::Error;
use crate::method::Method;

const MAX_METADATA: usize = 256 * 1024;

/// The metadata of an authorization server or a protected resource. Its identifier equals the one that the metadata were
/// fetched for, so that a client cannot be led to sign something for another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerMetadata {
    identifier: String,
    members: Map<String, Value>,
}

impl ServerMetadata {
    /// Reads what the well-known URL of the issuer identifier `issuer` answered (RFC 8414 section 3).
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] for anything but an object, for another `issuer`, one that is no `https` URL without query and
    /// fragment, and for endpoints that are no `https` URLs.
    pub fn authorization_server(issuer: &str, body: &[u8]) -> Result<Self, Error> {
        Self::read(issuer, "issuer", body)
    }

    /// Reads what the well-known URL of the resource identifier `resource` answered (RFC 9728 section 3).
    ///
    /// # Errors
    ///
    /// As [`authorization_server`](Self::authorization_server), for the member `resource`.
    pub fn protected_resource(resource: &str, body: &[u8]) -> Result<Self, Error> {
        Self::read(resource, "resource", body)
    }

    /// What the client's configuration says of an authorization server that publishes no metadata.
    ///
    /// # Errors
    ///
    /// As [`authorization_server`](Self::authorization_server).
    pub fn configured(
        issuer: &str,
        token_endpoint: &str,
        methods: &[Method],
    ) -> Result<Self, Error> {
        let mut members = Map::new();
        members.insert("issuer".to_owned(), issuer.into());
        members.insert("token_endpoint".to_owned(), token_endpoint.into());
        crate::method::advertise(&mut members, methods);
        Self::of_members(issuer, "issuer", members)
    }

    fn read(expected: &str, member: &'static str, body: &[u8]) -> Result<Self, Error> {
        let limits = json::Limits::DOCUMENT.with_bytes(MAX_METADATA);
        let members = json::object(body, &limits).map_err(|_| Error::Metadata { member })?;
        Self::of_members(expected, member, members)
    }

    fn of_members(
        expected: &str,
        member: &'static str,
        members: Map<String, Value>,
    ) -> Result<Self, Error> {
        let same = members.get(member).is_some_and(|name| name == expected);
        if !same || !is_identifier(expected) {
            return Err(Error::Metadata { member });
        }
        for member in ENDPOINTS {
            if members.get(member).is_some_and(|url| !is_endpoint(url)) {
                return Err(Error::Metadata { member });
            }
        }
        if let Some(aliases) = members.get(ALIASES) {
            let fits = |aliases: &Map<String, Value>| aliases.values().all(is_endpoint);
            if !aliases.as_object().is_some_and(fits) {
                return Err(Error::Metadata { member: ALIASES });
            }
        }
        Ok(Self {
            identifier: expected.to_owned(),
            members,
        })
    }

    /// The issuer or resource identifier: the audience of whatever is signed for this server.
    #[must_use]
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// The token endpoint for a client that uses this method: over mutual TLS it may have an alias (RFC 8705).
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] when there is none.
    pub fn token_endpoint(&self, method: Method) -> Result<&str, Error> {
        const NAME: &str = "token_endpoint";
        let alias = self
            .members
            .get(ALIASES)
            .filter(|_| method == Method::SpiffeX509)
            .and_then(|aliases| aliases.get(NAME));
        alias
            .or_else(|| self.members.get(NAME))
            .and_then(Value::as_str)
            .ok_or(Error::Metadata { member: NAME })
    }

    /// The strongest method of `available` that the server advertises.
    ///
    /// # Errors
    ///
    /// [`Error::NoCommonMethod`].
    pub fn choose_method(&self, available: &[Method]) -> Result<Method, Error> {
        let supported = self.members.get("token_endpoint_auth_methods_supported");
        Method::choose(supported.unwrap_or(&Value::Null), available)
    }

    /// `challenge_endpoint`.
    #[must_use]
    pub fn challenge_endpoint(&self) -> Option<&str> {
        self.members
            .get("challenge_endpoint")
            .and_then(Value::as_str)
    }

    /// `client_attestation_pop_methods_supported`: absent if the server says nothing of attestations as a signal.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] for an empty or malformed list.
    pub fn pop_methods(&self) -> Result<Option<PopMethods>, Error> {
        let value = self.members.get("client_attestation_pop_methods_supported");
        value.map(PopMethods::from_value).transpose()
    }

    /// Whether the server takes proofs of this kind by a key with this algorithm. A server that lists none is taken
    /// to be content with any.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] for a malformed list, and for one with `none` or a MAC.
    pub fn takes_algorithm(&self, method: PopMethod, algorithm: Algorithm) -> Result<bool, Error> {
        let member = match method {
            PopMethod::DpopCombined => "dpop_signing_alg_values_supported",
            _ => "client_attestation_pop_signing_alg_values_supported",
        };
        let listed = crate::attestation::algorithms(&self.members, member)?;
        Ok(listed.is_none_or(|listed: Algorithms| listed.contains(algorithm)))
    }

    /// All members.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }
}

const ALIASES: &str = "mtls_endpoint_aliases";
/// What a client of this crate sends something to.
const ENDPOINTS: [&str; 5] = [
    "token_endpoint",
    "challenge_endpoint",
    "pushed_authorization_request_endpoint",
    "introspection_endpoint",
    "revocation_endpoint",
];

/// RFC 8414 section 2, RFC 9728 section 2.
pub(crate) fn is_identifier(url: &str) -> bool {
    Htu::parse(url).is_ok_and(|url| url.is_https()) && !url.contains(['?', '#'])
}

fn is_endpoint(url: &Value) -> bool {
    let fits = |url: &str| Htu::parse(url).is_ok_and(|url| url.is_https()) && !url.contains('#');
    url.as_str().is_some_and(fits)
}

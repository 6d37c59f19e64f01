//! Finding the authorization server of another domain (draft section 2.2), and what its metadata say (section 3).

use std::collections::BTreeMap;

use jose_x509::json;
use serde_json::{Map, Value};
use token_exchange::TokenType;

use crate::error::Error;
use crate::redeem::GRANT_TYPE;
use crate::url::ServerUrl;

const MAX_DOCUMENT: usize = 256 * 1024;
const MAX_ITEMS: usize = 64;
/// `identity_chaining_requested_token_types_supported`.
pub const REQUESTED_TOKEN_TYPES: &str = "identity_chaining_requested_token_types_supported";
/// `authorization_grant_profiles_supported`.
pub const GRANT_PROFILES: &str = "authorization_grant_profiles_supported";

/// The servers that a client uses, whatever a resource says.
#[derive(Clone, Debug, Default)]
pub struct AllowedServers {
    servers: Vec<ServerUrl>,
    by_resource: BTreeMap<String, ServerUrl>,
    preferred: bool,
}

impl AllowedServers {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows a server. The order is the order of preference.
    #[must_use]
    pub fn allow(mut self, issuer: ServerUrl) -> Self {
        self.servers.push(issuer);
        self
    }

    /// Uses this server for a resource, and does not ask the resource.
    #[must_use]
    pub fn with_static(mut self, resource: impl Into<String>, issuer: ServerUrl) -> Self {
        self.by_resource.insert(resource.into(), issuer);
        self
    }

    /// Where a resource names several allowed servers, uses the one that was allowed first.
    #[must_use]
    pub fn by_preference(mut self) -> Self {
        self.preferred = true;
        self
    }

    /// The server of the static map.
    #[must_use]
    pub fn static_server(&self, resource: &str) -> Option<&ServerUrl> {
        self.by_resource.get(resource)
    }

    /// The server for a resource, from the map or else from the resource's metadata (RFC 9728). Nothing that is not on
    /// the list is ever given to be fetched or asked.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] for metadata of another resource or of the wrong shape, [`Error::ServerUrl`],
    /// [`Error::UnlistedServer`], [`Error::AmbiguousServer`].
    pub fn find(&self, resource: &str, metadata: &[u8]) -> Result<&ServerUrl, Error> {
        if let Some(server) = self.by_resource.get(resource) {
            return Ok(server);
        }
        let members = document(metadata)?;
        if members.get("resource").and_then(Value::as_str) != Some(resource) {
            return Err(Error::Metadata { member: "resource" });
        }
        let named = texts(&members, "authorization_servers")?.unwrap_or_default();
        for name in &named {
            ServerUrl::parse(name)?;
        }
        let mut known = self
            .servers
            .iter()
            .filter(|server| named.iter().any(|name| name == server.as_str()));
        let first = known.next().ok_or(Error::UnlistedServer)?;
        match known.count() {
            0 => Ok(first),
            _ if self.preferred => Ok(first),
            more => Err(Error::AmbiguousServer {
                count: more.saturating_add(1),
            }),
        }
    }
}

/// An authorization server as its own metadata describe it (RFC 8414).
#[derive(Clone, Debug)]
pub struct AuthorizationServer {
    issuer: ServerUrl,
    token_endpoint: ServerUrl,
    requested: Option<Vec<String>>,
    profiles: Vec<String>,
}

impl AuthorizationServer {
    /// A configured server.
    #[must_use]
    pub fn new(issuer: ServerUrl, token_endpoint: ServerUrl) -> Self {
        Self {
            issuer,
            token_endpoint,
            requested: None,
            profiles: Vec::new(),
        }
    }

    /// Reads the document at [`ServerUrl::metadata_url`] of `issuer`.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] for another issuer's document, for members of the wrong type, and for the ID-JAG profile
    /// without the grant type that it needs; [`Error::ServerUrl`].
    pub fn from_metadata(issuer: &ServerUrl, document_bytes: &[u8]) -> Result<Self, Error> {
        let members = document(document_bytes)?;
        if members.get("issuer").and_then(Value::as_str) != Some(issuer.as_str()) {
            return Err(Error::Metadata { member: "issuer" });
        }
        let endpoint = members.get("token_endpoint").and_then(Value::as_str);
        let endpoint = endpoint.ok_or(Error::Metadata {
            member: "token_endpoint",
        })?;
        let profiles = texts(&members, GRANT_PROFILES)?.unwrap_or_default();
        let grants = texts(&members, "grant_types_supported")?.unwrap_or_default();
        let profiled = profiles
            .iter()
            .any(|one| one == crate::id_jag::GRANT_PROFILE);
        if profiled && !grants.iter().any(|one| one == GRANT_TYPE) {
            return Err(Error::Metadata {
                member: GRANT_PROFILES,
            });
        }
        Ok(Self {
            issuer: issuer.clone(),
            token_endpoint: ServerUrl::parse(endpoint)?,
            requested: texts(&members, REQUESTED_TOKEN_TYPES)?,
            profiles,
        })
    }

    /// The issuer identifier.
    #[must_use]
    pub fn issuer(&self) -> &ServerUrl {
        &self.issuer
    }

    /// The token endpoint.
    #[must_use]
    pub fn token_endpoint(&self) -> &ServerUrl {
        &self.token_endpoint
    }

    /// Whether it says that it issues grants of this type; `None` if it says nothing about types. A type that is not
    /// listed may be supported all the same.
    #[must_use]
    pub fn says_requested_type(&self, token_type: &TokenType) -> Option<bool> {
        let listed = |types: &Vec<String>| types.iter().any(|one| one == token_type.as_str());
        self.requested.as_ref().map(listed)
    }

    /// Whether it says that it supports a profile of grants. That says nothing of which issuers, tenants, clients or
    /// subjects it accepts.
    #[must_use]
    pub fn supports_grant_profile(&self, profile: &str) -> bool {
        self.profiles.iter().any(|one| one == profile)
    }
}

/// Writes `identity_chaining_requested_token_types_supported`, unless there is no type.
pub fn advertise_requested_types(metadata: &mut Map<String, Value>, types: &[TokenType]) {
    if !types.is_empty() {
        let types = types.iter().map(TokenType::as_str).collect();
        metadata.insert(REQUESTED_TOKEN_TYPES.to_owned(), types);
    }
}

fn document(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    json::object(bytes, &json::Limits::DOCUMENT.with_bytes(MAX_DOCUMENT)).map_err(|_| {
        Error::Metadata {
            member: "the document",
        }
    })
}

/// A member that has to be an array of texts if it is there.
pub(crate) fn texts(
    members: &Map<String, Value>,
    member: &'static str,
) -> Result<Option<Vec<String>>, Error> {
    let wrong = Error::Metadata { member };
    match members.get(member) {
        None => Ok(None),
        Some(Value::Array(items)) if items.len() <= MAX_ITEMS => {
            let text = |item: &Value| item.as_str().map(str::to_owned);
            let all: Option<Vec<String>> = items.iter().map(text).collect();
            all.map(Some).ok_or(wrong)
        }
        Some(_) => Err(wrong),
    }
}

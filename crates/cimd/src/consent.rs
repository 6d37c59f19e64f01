//! A client as this server knows it, and what a person has to see of it.

use std::sync::Arc;

use crate::{ClientIdUrl, ClientMetadata, Error, HttpsUrl, redirect};

/// Where the registration of a client comes from. The text of a `client_id` does not tell: an operator may have given
/// one that begins with `https://`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Client {
    /// The operator registered the identifier with this document, if any. Nothing is fetched for it.
    Registered {
        /// The `client_id`.
        client_id: Arc<str>,
        /// What the operator knows, and keeps: a host that changes hands changes nothing here.
        metadata: Option<Arc<ClientMetadata>>,
    },
    /// The document at the `client_id` was fetched, now or while it is fresh.
    Fetched {
        /// The document.
        metadata: Arc<ClientMetadata>,
        /// How far its host is known.
        trust: Trust,
    },
}

/// How far the host of a document is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Trust {
    /// Anybody can put a document there: a service for clients under development.
    Development,
    /// A host that nobody vouched for.
    Unknown,
    /// A host that the operator listed.
    Listed,
}

impl Client {
    /// The `client_id`.
    #[must_use]
    pub fn client_id(&self) -> &str {
        match self {
            Self::Registered { client_id, .. } => client_id,
            Self::Fetched { metadata, .. } => metadata.client_id().as_str(),
        }
    }

    /// What is known of the client.
    #[must_use]
    pub fn metadata(&self) -> Option<&Arc<ClientMetadata>> {
        match self {
            Self::Registered { metadata, .. } => metadata.as_ref(),
            Self::Fetched { metadata, .. } => Some(metadata),
        }
    }

    /// What to show a person who is asked for consent (section 8.5).
    ///
    /// # Errors
    ///
    /// [`Error::RedirectUriNotRegistered`] and [`Error::MemberMissing`] when the document does not list `redirect_uri`:
    /// then there is nothing to consent to.
    pub fn consent<'a>(&'a self, redirect_uri: &str, language: &str) -> Result<Consent<'a>, Error> {
        let mut warnings = Vec::new();
        match self {
            Self::Fetched { trust, .. } if *trust == Trust::Development => {
                warnings.push(Warning::Development);
            }
            Self::Fetched { trust, .. } if *trust == Trust::Unknown => {
                warnings.push(Warning::UnknownHost);
            }
            _ => {}
        }
        if let Some(metadata) = self.metadata() {
            metadata.match_redirect_uri(redirect_uri)?;
        } else {
            warnings.push(Warning::NoDocument);
        }
        if redirect::is_loopback(redirect_uri) {
            warnings.push(Warning::Loopback);
        }
        let host = match self {
            Self::Fetched { metadata, .. } => Some(metadata.client_id().as_url().host()),
            Self::Registered { metadata, .. } => metadata
                .as_ref()
                .map(|metadata| metadata.client_id().as_url().host()),
        };
        Ok(Consent {
            client_id: self.client_id(),
            host,
            name: self
                .metadata()
                .and_then(|metadata| metadata.localized("client_name", language))
                .filter(|name| !name.trim().is_empty()),
            logo_uri: self.metadata().and_then(|metadata| metadata.logo_uri()),
            warnings,
        })
    }
}

/// What a person has to see before consent. The name stands beside the host and never instead of it: it is the client's
/// own claim. Escape every text, and serve the logo from your own origin, see [`Logo`](crate::Logo).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Consent<'a> {
    /// The whole identifier.
    pub client_id: &'a str,
    /// The host of the identifier, in its ASCII form: what the client proved to control. `None` for an identifier that
    /// the operator registered without a document.
    pub host: Option<&'a str>,
    /// The name the client gives itself.
    pub name: Option<&'a str>,
    /// Where the logo is to be fetched by the server.
    pub logo_uri: Option<&'a HttpsUrl>,
    /// What makes the client less trustworthy than others.
    pub warnings: Vec<Warning>,
}

/// What a person has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Warning {
    /// A client under development: its host lends documents to anybody.
    Development,
    /// Nobody vouched for the host; the name may be another client's.
    UnknownHost,
    /// Nothing is known but the identifier.
    NoDocument,
    /// The answer goes to a program on the person's machine, which can be any program.
    Loopback,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Development => "this client is under development",
            Self::UnknownHost => "this server does not know the client's host",
            Self::NoDocument => "nothing is known of this client but its identifier",
            Self::Loopback => "the answer goes to a program on your own machine",
        })
    }
}

/// Whether an identifier that this server makes itself can be taken for a URL (section 7.1).
#[must_use]
pub fn looks_like_url(client_id: &str) -> bool {
    client_id
        .get(..8)
        .is_some_and(|start| start.eq_ignore_ascii_case("https://"))
        || ClientIdUrl::parse(client_id).is_ok()
}

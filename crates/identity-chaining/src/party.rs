//! Who sends a token request.

use crate::error::Error;

/// How a client authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientMethod {
    /// By a certificate (RFC 8705, X509-SVID).
    MutualTls,
    /// By an assertion that it signed or that was signed for it (`private_key_jwt`, JWT-SVID, WIT-SVID).
    SignedAssertion,
    /// By a secret that both sides know.
    SharedSecret,
    /// Not at all: a public client, known by what it says.
    Public,
}

/// The client of a request, as the server's client authentication found it. A failed authentication gives none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    id: String,
    method: ClientMethod,
    certificate: Option<[u8; 32]>,
}

impl Client {
    /// A client and how it authenticated.
    #[must_use]
    pub fn new(id: impl Into<String>, method: ClientMethod) -> Self {
        Self {
            id: id.into(),
            method,
            certificate: None,
        }
    }

    /// Adds `x5t#S256` of the certificate of the request's connection, for grants that are bound to one.
    #[must_use]
    pub fn with_certificate(mut self, thumbprint: [u8; 32]) -> Self {
        self.certificate = Some(thumbprint);
        self
    }

    /// `x5t#S256` of the connection's certificate.
    #[must_use]
    pub fn certificate(&self) -> Option<[u8; 32]> {
        self.certificate
    }

    /// Its identifier at this server.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How it authenticated.
    #[must_use]
    pub fn method(&self) -> ClientMethod {
        self.method
    }
}

/// Which clients a server serves: those that authenticate with a key, unless it says more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientRules {
    shared_secrets: bool,
    public_clients: bool,
}

impl ClientRules {
    /// Clients that authenticate with a key.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            shared_secrets: false,
            public_clients: false,
        }
    }

    /// Serves clients that authenticate with a shared secret, too.
    #[must_use]
    pub const fn with_shared_secrets(self) -> Self {
        Self {
            shared_secrets: true,
            ..self
        }
    }

    /// Serves public clients, too. Their grants are good for one use.
    #[must_use]
    pub const fn with_public_clients(self) -> Self {
        Self {
            public_clients: true,
            ..self
        }
    }

    /// The client, if it may be served.
    ///
    /// # Errors
    ///
    /// [`Error::ClientNotAuthenticated`] for none, [`Error::ClientMethod`] for a shared secret, [`Error::PublicClient`].
    pub fn check<'c>(&self, client: Option<&'c Client>) -> Result<&'c Client, Error> {
        let client = client.ok_or(Error::ClientNotAuthenticated)?;
        match client.method {
            ClientMethod::SharedSecret if !self.shared_secrets => Err(Error::ClientMethod),
            ClientMethod::Public if !self.public_clients => Err(Error::PublicClient),
            _ => Ok(client),
        }
    }
}

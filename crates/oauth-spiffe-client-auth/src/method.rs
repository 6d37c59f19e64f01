//! The methods, as server metadata names them.

use serde_json::Value;

/// A way to authenticate a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Method {
    /// An X509-SVID over mutual TLS.
    SpiffeX509,
    /// A WIT-SVID with a proof of possession.
    SpiffeWit,
    /// A JWT-SVID as client assertion.
    SpiffeJwt,
    /// A client attestation with a proof JWT.
    AttestJwt,
    /// A client attestation whose proof is the request's DPoP proof.
    AttestDpop,
    /// A client assertion by a registered key (RFC 7523).
    PrivateKeyJwt,
}

impl Method {
    /// All methods, the strongest first: possession of a key proven by the connection, by a token, and not at all.
    pub const ALL: [Self; 6] = [
        Self::SpiffeX509,
        Self::SpiffeWit,
        Self::AttestDpop,
        Self::AttestJwt,
        Self::PrivateKeyJwt,
        Self::SpiffeJwt,
    ];

    /// The methods that use SVIDs.
    pub const SPIFFE: [Self; 3] = [Self::SpiffeX509, Self::SpiffeWit, Self::SpiffeJwt];

    /// The value in `token_endpoint_auth_methods_supported`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SpiffeWit => "spiffe_wit",
            Self::SpiffeX509 => "spiffe_x509",
            Self::SpiffeJwt => "spiffe_jwt",
            Self::AttestJwt => "attest_jwt_client_auth",
            Self::AttestDpop => "attest_jwt_client_auth_dpop",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The strongest method that the server advertises and the client has.
    ///
    /// # Errors
    ///
    /// [`Error::NoCommonMethod`](crate::Error::NoCommonMethod): there is no falling back to a secret.
    pub fn choose(supported: &Value, available: &[Self]) -> Result<Self, crate::Error> {
        let supported = supported.as_array().map(Vec::as_slice).unwrap_or_default();
        let both = |method: &Self| {
            available.contains(method) && supported.iter().any(|name| name == method.name())
        };
        Self::ALL
            .into_iter()
            .find(both)
            .ok_or(crate::Error::NoCommonMethod)
    }
}

/// Adds what a server with these methods advertises to its metadata (RFC 8414), besides what is there already.
pub fn advertise(metadata: &mut serde_json::Map<String, Value>, methods: &[Method]) {
    let enabled = || {
        Method::ALL
            .into_iter()
            .filter(|method| methods.contains(method))
            .map(Method::name)
    };
    for (endpoint, member) in [
        ("token_endpoint", "token_endpoint_auth_methods_supported"),
        (
            "revocation_endpoint",
            "revocation_endpoint_auth_methods_supported",
        ),
        (
            "introspection_endpoint",
            "introspection_endpoint_auth_methods_supported",
        ),
    ] {
        if endpoint == "token_endpoint" || metadata.contains_key(endpoint) {
            let member = metadata
                .entry(member)
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(names) = member {
                for name in enabled() {
                    if !names.iter().any(|other| other == name) {
                        names.push(name.into());
                    }
                }
            }
        }
    }
}

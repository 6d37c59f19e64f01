//! Members of client and server metadata (RFC 8705 sections 2.1.2, 3.3, 3.4 and 5, RFC 9449 sections 5.1 and 5.2).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::BindingError;
use crate::algorithm::{Algorithm, Algorithms};
use crate::dpop::Htu;
use crate::error::Error;
use crate::json;
use crate::mtls::{MtlsError, RegisteredCertificates, RegisteredSubject, Registration};

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    json::from_slice(bytes, &json::Limits::DOCUMENT).map_err(|source| match source.kind() {
        json::JsonErrorKind::Shape => BindingError::Metadata.into(),
        _ => Error::Json {
            what: "metadata",
            source,
        },
    })
}

/// The members of a client's metadata that are about mutual TLS and DPoP. Others are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClientMetadata {
    /// How the client authenticates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_method: Option<String>,
    /// The subject of the client's certificate, in the form of RFC 4514.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_subject_dn: Option<String>,
    /// A `dNSName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_dns: Option<String>,
    /// A `uniformResourceIdentifier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_uri: Option<String>,
    /// An `iPAddress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_ip: Option<String>,
    /// An `rfc822Name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_email: Option<String>,
    /// Whether the client's access tokens are bound to its certificate.
    #[serde(default)]
    pub tls_client_certificate_bound_access_tokens: bool,
    /// Whether the client always uses DPoP.
    #[serde(default)]
    pub dpop_bound_access_tokens: bool,
}

impl ClientMetadata {
    /// Reads metadata, strictly.
    ///
    /// # Errors
    ///
    /// [`Error::Json`]; [`BindingError::Metadata`] for members of the wrong type.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Error> {
        read(bytes)
    }

    /// How the client is registered for mutual TLS. `jwks` is its JWK Set, from the member `jwks` or from behind
    /// `jwks_uri`.
    ///
    /// # Errors
    ///
    /// [`MtlsError::OtherMethod`] for any other method; [`MtlsError::SubjectCount`] and [`MtlsError::InvalidSubject`];
    /// [`MtlsError::NoCertificate`] and the other errors of [`RegisteredCertificates::from_jwks_slice`].
    pub fn registration(&self, jwks: Option<&[u8]>) -> Result<Registration, Error> {
        match self.token_endpoint_auth_method.as_deref() {
            Some(crate::mtls::TLS_CLIENT_AUTH) => self.subject().map(Registration::TlsClientAuth),
            Some(crate::mtls::SELF_SIGNED) => {
                let jwks = jwks.ok_or(MtlsError::NoCertificate)?;
                let registered = RegisteredCertificates::from_jwks_slice(jwks)?;
                Ok(Registration::SelfSignedTlsClientAuth(registered))
            }
            _ => Err(MtlsError::OtherMethod.into()),
        }
    }

    fn subject(&self) -> Result<RegisteredSubject, Error> {
        let members = [
            (
                "tls_client_auth_subject_dn",
                &self.tls_client_auth_subject_dn,
            ),
            ("tls_client_auth_san_dns", &self.tls_client_auth_san_dns),
            ("tls_client_auth_san_uri", &self.tls_client_auth_san_uri),
            ("tls_client_auth_san_ip", &self.tls_client_auth_san_ip),
            ("tls_client_auth_san_email", &self.tls_client_auth_san_email),
        ];
        let mut registered = members
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)));
        match (registered.next(), registered.count()) {
            (Some((member, value)), 0) => RegisteredSubject::parse(member, value),
            (first, more) => Err(MtlsError::SubjectCount {
                count: more.saturating_add(usize::from(first.is_some())),
            }
            .into()),
        }
    }
}

/// The members of an authorization server's metadata that are about mutual TLS and DPoP. Others are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerMetadata {
    /// Whether the server binds access tokens to certificates.
    #[serde(default)]
    pub tls_client_certificate_bound_access_tokens: bool,
    /// Endpoints for clients that use mutual TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtls_endpoint_aliases: Option<EndpointAliases>,
    /// The algorithms of proofs. Absent if the server does not support DPoP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_signing_alg_values_supported: Option<DpopAlgorithms>,
}

impl ServerMetadata {
    /// Reads metadata, strictly.
    ///
    /// # Errors
    ///
    /// [`Error::Json`]; [`BindingError::Metadata`] for members of the wrong type, aliases that are not `https`, and a
    /// list of algorithms with `none` or a symmetric one.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Error> {
        read(bytes)
    }

    /// The URL to use for an endpoint: its alias if this client uses mutual TLS and there is one, else `plain`.
    /// The issuer stays the same in any case.
    #[must_use]
    pub fn endpoint<'a>(&'a self, name: &str, plain: &'a str, uses_mtls: bool) -> &'a str {
        self.mtls_endpoint_aliases
            .as_ref()
            .filter(|_| uses_mtls)
            .and_then(|aliases| aliases.get(name))
            .unwrap_or(plain)
    }
}

/// `mtls_endpoint_aliases`: `https` URLs by the names of endpoints, such as `token_endpoint`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<String, String>",
    into = "BTreeMap<String, String>"
)]
pub struct EndpointAliases(BTreeMap<String, String>);

impl EndpointAliases {
    /// The alias of an endpoint.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl TryFrom<BTreeMap<String, String>> for EndpointAliases {
    type Error = Error;

    fn try_from(aliases: BTreeMap<String, String>) -> Result<Self, Error> {
        for url in aliases.values() {
            if !Htu::parse(url)?.is_https() || url.contains('#') {
                return Err(MtlsError::InsecureEndpoint.into());
            }
        }
        Ok(Self(aliases))
    }
}

impl From<EndpointAliases> for BTreeMap<String, String> {
    fn from(aliases: EndpointAliases) -> Self {
        aliases.0
    }
}

/// `dpop_signing_alg_values_supported`: names of algorithms. Those that this crate does not know are kept out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<&'static str>")]
pub struct DpopAlgorithms(Algorithms);

impl DpopAlgorithms {
    /// The list of these algorithms: those of the server's [`Verifier`](crate::dpop::Verifier).
    #[must_use]
    pub const fn new(algorithms: Algorithms) -> Self {
        Self(algorithms)
    }

    /// The algorithms that are known here.
    #[must_use]
    pub const fn algorithms(self) -> Algorithms {
        self.0
    }
}

impl TryFrom<Vec<String>> for DpopAlgorithms {
    type Error = Error;

    fn try_from(names: Vec<String>) -> Result<Self, Error> {
        let forbidden = |name: &String| name.eq_ignore_ascii_case("none") || name.starts_with("HS");
        if names.iter().any(forbidden) {
            return Err(BindingError::Metadata.into());
        }
        let known: Vec<_> = names
            .iter()
            .filter_map(|name| Algorithm::from_name(name))
            .collect();
        Ok(Self(Algorithms::of(&known)))
    }
}

impl From<DpopAlgorithms> for Vec<&'static str> {
    fn from(algorithms: DpopAlgorithms) -> Self {
        algorithms.0.iter().map(Algorithm::name).collect()
    }
}

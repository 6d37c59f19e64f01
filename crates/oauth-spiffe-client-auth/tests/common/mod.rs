//! A trust domain with its keys, an authorization server, and requests to it.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jose_x509::jws::ProtectedHeader;
use jose_x509::{Algorithm, CryptoProvider, MemoryReplayGuard, SigningKey, jwt, provider::ring};
use oauth_spiffe_client_auth::{
    AuthenticatedClient, ClientAuthenticator, Error, RegisteredClient, TokenRequest,
};
use pki_types::{CertificateDer, UnixTime};
use serde_json::{Value, json};
use spiffe_bundle::{Bundle, BundleSet};
use spiffe_id::{SpiffeId, SpiffeIdPattern, TrustDomain};
use svid::x509::CertificateAuthority;

pub const PROVIDER: CryptoProvider = ring::provider();
pub const NOW: u64 = 1_800_000_000;
pub const DOMAIN: &str = "example.org";
pub const ISSUER: &str = "https://as.example.com";
pub const AGENT: &str = "spiffe://example.org/client/1234";
pub const OTHER: &str = "spiffe://example.org/client/5678";
pub const CLIENT: &str = "agents";

pub type Form = Vec<(String, String)>;

pub fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

pub fn td(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

pub fn id(text: &str) -> SpiffeId {
    SpiffeId::parse(text).unwrap()
}

pub fn key(kid: &str) -> SigningKey {
    SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_kid(kid)
}

pub fn form(pairs: &[(&str, &str)]) -> Form {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

pub fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    headers
}

/// A trust domain: one key for every use.
pub struct Domain {
    pub name: &'static str,
    pub jwt: SigningKey,
    pub wit: SigningKey,
    pub ca: CertificateAuthority,
}

impl Domain {
    pub fn new(name: &'static str) -> Self {
        let root = Duration::from_secs(86_400);
        Self {
            name,
            jwt: key("jwt"),
            wit: key("wit"),
            ca: CertificateAuthority::self_signed(&td(name), key("ca"), root, at(NOW)).unwrap(),
        }
    }

    pub fn bundle(&self) -> Bundle {
        Bundle::builder(&PROVIDER, td(self.name))
            .with_jwt_authority(&self.jwt.public_jwk())
            .with_wit_authority(&self.wit.public_jwk())
            .with_x509_authority(self.ca.certificate())
            .build()
            .unwrap()
    }

    /// A certificate for the workload.
    pub fn leaf(&self, workload: &str) -> CertificateDer<'static> {
        let lifetime = Duration::from_secs(3600);
        self.ca
            .issue_leaf(
                &id(workload),
                key("leaf").public_key(),
                &[],
                lifetime,
                at(NOW),
            )
            .unwrap()
    }
}

/// The claims of a JWT-SVID of the agent for the server.
pub fn svid_claims() -> Value {
    json!({"sub": AGENT, "aud": [ISSUER], "iat": NOW, "exp": NOW + 300})
}

pub fn sign(key: &SigningKey, typ: &'static str, claims: &Value) -> String {
    jwt::sign(key, &ProtectedHeader::new(typ), claims).unwrap()
}

/// An authorization server: bundles, registrations, and what it remembers.
pub struct Server {
    pub bundles: BundleSet,
    pub clients: Vec<RegisteredClient>,
    pub replay: MemoryReplayGuard,
    pub authenticator: ClientAuthenticator<BundleSet>,
}

impl Server {
    /// With this bundle, and one client: every workload below `/client`.
    pub fn new(domains: &[&Domain]) -> Self {
        let mut bundles = BundleSet::new();
        for domain in domains {
            bundles.install(domain.bundle()).unwrap();
        }
        Self::with_bundles(bundles)
    }

    pub fn with_bundles(bundles: BundleSet) -> Self {
        let pattern = SpiffeIdPattern::parse("spiffe://example.org/client/*").unwrap();
        Self {
            clients: vec![RegisteredClient::new(CLIENT, pattern)],
            replay: MemoryReplayGuard::new(100),
            authenticator: ClientAuthenticator::new(ISSUER, bundles.clone(), PROVIDER),
            bundles,
        }
    }

    pub fn at(
        &self,
        headers: &HeaderMap,
        form: &[(String, String)],
        peer: &[CertificateDer<'_>],
        now: u64,
    ) -> Result<AuthenticatedClient, Error> {
        let request = TokenRequest::of(headers, form, peer);
        self.authenticator
            .authenticate(&request, &self.clients, &self.replay, at(now))
    }

    /// The code of what comes of a request, or `valid`.
    pub fn code(
        &self,
        headers: &HeaderMap,
        form: &[(String, String)],
        peer: &[CertificateDer<'_>],
    ) -> &'static str {
        code(self.at(headers, form, peer, NOW))
    }

    /// The code for a JWT-SVID as assertion.
    pub fn jwt(&self, svid: &str) -> &'static str {
        self.code(&HeaderMap::new(), &jwt_form(svid), &[])
    }
}

pub fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}

pub fn jwt_form(svid: &str) -> Form {
    let mut form = form(&[("grant_type", "client_credentials")]);
    oauth_spiffe_client_auth::client::with_jwt_svid(&mut form, None, svid);
    form
}

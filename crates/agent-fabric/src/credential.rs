//! An agent's credential: shown to the gateway, and verified again by the broker.

use jose_x509::Error as JoseError;
use jose_x509::jws::{HeaderRules, Limits, UnverifiedJws};
use jose_x509::{CryptoProvider, base64url, json};
use pki_types::{CertificateDer, UnixTime};
use serde_json::{Value, json};
use spiffe_bundle::{JwtBundleSource, WitBundleSource, X509BundleSource};
use spiffe_id::SpiffeId;
use svid::Credential;
use svid::jwt::JwtSvidVerifier;
use svid::wit::WitSvidVerifier;
use svid::x509::{PeerRole, VerifyOptions};

/// The kinds of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// An X509-SVID.
    X509,
    /// A JWT-SVID.
    Jwt,
    /// A WIT-SVID.
    Wit,
}

impl CredentialKind {
    /// The name in logs and policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X509 => "x509-svid",
            Self::Jwt => "jwt-svid",
            Self::Wit => "wit-svid",
        }
    }
}

/// A credential as it was presented. Having it proves nothing.
#[derive(Clone)]
pub enum AgentCredential {
    /// A certificate chain, leaf first.
    X509(Vec<CertificateDer<'static>>),
    /// A JWT-SVID.
    Jwt(String),
    /// A WIT-SVID.
    Wit(String),
}

/// Whom a verified credential names.
#[derive(Clone, Debug)]
pub struct AgentIdentity {
    /// The SPIFFE ID.
    pub spiffe_id: SpiffeId,
    /// When the credential ends, in seconds since the epoch.
    pub expires: u64,
}

const MAX_CHAIN: usize = 8;

/// More than any verifier here reads.
const MAX_TOKEN: usize = 64 * 1024;
/// `typ` of a security event token (RFC 8417, section 2.3).
const SECURITY_EVENT: &str = "secevent+jwt";

/// Whether a token, verified or not, says that it is a security event token, by its `typ` or by `events`. It is then no credential,
/// however good its signature (RFC 8417, section 4.2). What cannot be read is none; it is refused as what it is.
#[must_use]
pub fn is_security_event(unverified_token: &str) -> bool {
    let limits = Limits::new(MAX_TOKEN, MAX_TOKEN).unwrap_or_default();
    let rules = HeaderRules::default();
    let Ok(jws) = UnverifiedJws::parse_with(unverified_token, &rules, &limits) else {
        return false;
    };
    jws.unverified_header().is_type(SECURITY_EVENT)
        || json::object(jws.unverified_payload(), &json::Limits::CLAIMS)
            .is_ok_and(|claims| claims.contains_key("events"))
}

impl AgentCredential {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> CredentialKind {
        match self {
            Self::X509(_) => CredentialKind::X509,
            Self::Jwt(_) => CredentialKind::Jwt,
            Self::Wit(_) => CredentialKind::Wit,
        }
    }

    /// The token, of which nothing may be written down.
    #[must_use]
    pub fn as_token(&self) -> Option<&str> {
        match self {
            Self::X509(_) => None,
            Self::Jwt(token) | Self::Wit(token) => Some(token),
        }
    }

    /// The form in which a gateway forwards it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::X509(chain) => {
                let chain: Vec<String> = chain.iter().map(|der| base64url::encode(der)).collect();
                json!({"kind": "x509-svid", "chain": chain})
            }
            Self::Jwt(token) => json!({"kind": "jwt-svid", "token": token}),
            Self::Wit(token) => json!({"kind": "wit-svid", "token": token}),
        }
    }

    /// Reads the forwarded form.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        let token = || value.get("token")?.as_str().map(str::to_owned);
        match value.get("kind")?.as_str()? {
            "x509-svid" => {
                let chain = value
                    .get("chain")?
                    .as_array()
                    .filter(|chain| chain.len() <= MAX_CHAIN)?;
                let der = |item: &Value| {
                    base64url::decode(item.as_str()?, "certificate")
                        .ok()
                        .map(CertificateDer::from)
                };
                chain
                    .iter()
                    .map(der)
                    .collect::<Option<Vec<_>>>()
                    .map(Self::X509)
            }
            "jwt-svid" => token().map(Self::Jwt),
            "wit-svid" => token().map(Self::Wit),
            _ => None,
        }
    }

    /// Verifies signature, trust domain and lifetime, and that it is no security event token. `gateway` is the audience of a JWT-SVID, and `wit` the rules of a
    /// WIT-SVID. That the presenter holds the key is for whoever terminates the connection to know.
    ///
    /// # Errors
    ///
    /// [`svid::Error`].
    pub fn verify<B: X509BundleSource + JwtBundleSource + WitBundleSource>(
        &self,
        bundles: &B,
        gateway: &str,
        wit: &WitSvidVerifier,
        provider: &CryptoProvider,
        now: UnixTime,
    ) -> Result<AgentIdentity, svid::Error> {
        let events = |credential| svid::Error::Token {
            credential,
            source: JoseError::WrongType,
        };
        Ok(match self {
            Self::Jwt(token) if is_security_event(token) => return Err(events(Credential::Jwt)),
            Self::Wit(token) if is_security_event(token) => return Err(events(Credential::Wit)),
            Self::X509(chain) => {
                let options = VerifyOptions::new(PeerRole::Client);
                let identity = svid::x509::verify(
                    chain,
                    bundles,
                    &options,
                    provider.certificate_algorithms,
                    now,
                )?;
                AgentIdentity {
                    spiffe_id: identity.unproven_spiffe_id().clone(),
                    expires: identity.not_after().as_secs(),
                }
            }
            Self::Jwt(token) => {
                let verifier = JwtSvidVerifier::new(gateway)?.requiring_single_audience();
                let svid = verifier.verify(token, bundles, now)?;
                AgentIdentity {
                    spiffe_id: svid.spiffe_id().clone(),
                    expires: svid.expires().as_secs(),
                }
            }
            Self::Wit(token) => {
                let svid = wit.verify_wit(token, bundles, now)?;
                let expires = svid.wit().jwt().expires().unwrap_or_default();
                AgentIdentity {
                    spiffe_id: svid.unproven_spiffe_id().clone(),
                    expires,
                }
            }
        })
    }
}

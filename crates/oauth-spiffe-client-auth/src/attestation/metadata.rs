//! Metadata of servers and clients (sections 7.6, 8 and 9).

use jose_x509::{Algorithm, Algorithms};
use serde_json::{Map, Value};

use super::AttestationVerifier;
use crate::error::Error;
use crate::method::Method;
use crate::pop::PopVerifier;

const ATTESTATION_ALGS: &str = "client_attestation_signing_alg_values_supported";
const POP_ALGS: &str = "client_attestation_pop_signing_alg_values_supported";
const POP_METHODS: &str = "client_attestation_pop_methods_supported";
const DPOP_ALGS: &str = "dpop_signing_alg_values_supported";

/// A way to prove possession, as `client_attestation_pop_methods_supported` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PopMethod {
    /// A proof JWT in a field of its own.
    AttestationPopJwt,
    /// The request's DPoP proof, by the attestation's key.
    DpopCombined,
    /// No attestation at all.
    None,
}

impl PopMethod {
    /// All methods.
    pub const ALL: [Self; 3] = [Self::AttestationPopJwt, Self::DpopCombined, Self::None];

    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AttestationPopJwt => "attestation_pop_jwt",
            Self::DpopCombined => "dpop_combined",
            Self::None => "none",
        }
    }
}

/// `client_attestation_pop_methods_supported`: at least one method. Those that are not known here are kept, and mean
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PopMethods {
    known: Vec<PopMethod>,
    unknown: Vec<String>,
}

/// Proof JWTs alone.
impl Default for PopMethods {
    fn default() -> Self {
        Self {
            known: vec![PopMethod::AttestationPopJwt],
            unknown: Vec::new(),
        }
    }
}

impl PopMethods {
    /// These methods.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] for none.
    pub fn new(methods: &[PopMethod]) -> Result<Self, Error> {
        if methods.is_empty() {
            return Err(Error::Metadata {
                member: POP_METHODS,
            });
        }
        Ok(Self {
            known: methods.to_vec(),
            unknown: Vec::new(),
        })
    }

    /// Reads the member.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] for anything but an array of strings that is not empty.
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        let wrong = Error::Metadata {
            member: POP_METHODS,
        };
        let names = value.as_array().filter(|names| !names.is_empty());
        let mut methods = Self {
            known: Vec::new(),
            unknown: Vec::new(),
        };
        for name in names.ok_or(wrong.clone())? {
            let name = name.as_str().ok_or(wrong.clone())?;
            match PopMethod::ALL
                .into_iter()
                .find(|method| method.name() == name)
            {
                Some(method) => methods.known.push(method),
                None => methods.unknown.push(name.to_owned()),
            }
        }
        Ok(methods)
    }

    /// The member.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let known = self.known.iter().map(|method| method.name());
        known
            .chain(self.unknown.iter().map(String::as_str))
            .collect()
    }

    /// Whether a method is listed.
    #[must_use]
    pub fn contains(&self, method: PopMethod) -> bool {
        self.known.contains(&method)
    }

    /// The method for a client that sends DPoP proofs by its instance key, or none. `None` is for a server that
    /// demands no attestation and accepts none that this client can prove.
    ///
    /// # Errors
    ///
    /// [`Error::NoCommonMethod`] when an attestation is demanded and there is no method for it.
    pub fn choose(&self, uses_dpop: bool) -> Result<Option<PopMethod>, Error> {
        if uses_dpop && self.contains(PopMethod::DpopCombined) {
            Ok(Some(PopMethod::DpopCombined))
        } else if self.contains(PopMethod::AttestationPopJwt) {
            Ok(Some(PopMethod::AttestationPopJwt))
        } else if self.contains(PopMethod::None) {
            Ok(None)
        } else {
            Err(Error::NoCommonMethod)
        }
    }
}

/// Adds what a server with these rules advertises to its metadata (RFC 8414, RFC 9728): the methods of client
/// authentication at an authorization server, the algorithms, the ways to prove possession, and where challenges are.
pub fn advertise(
    metadata: &mut Map<String, Value>,
    attestations: &AttestationVerifier,
    proofs: &PopVerifier,
    challenge_endpoint: Option<&str>,
) {
    let methods = proofs.methods();
    let names = |algorithms: Algorithms| algorithms.iter().map(Algorithm::name).collect::<Value>();
    if metadata.contains_key("token_endpoint") {
        let mut enabled = Vec::new();
        if methods.contains(PopMethod::AttestationPopJwt) {
            enabled.push(Method::AttestJwt);
        }
        if methods.contains(PopMethod::DpopCombined) {
            enabled.push(Method::AttestDpop);
        }
        crate::method::advertise(metadata, &enabled);
    }
    advertise_proofs(metadata, proofs, challenge_endpoint);
    metadata.insert(
        ATTESTATION_ALGS.to_owned(),
        names(attestations.algorithms()),
    );
}

/// What goes for WIT-SVIDs too.
pub(crate) fn advertise_proofs(
    metadata: &mut Map<String, Value>,
    proofs: &PopVerifier,
    challenge_endpoint: Option<&str>,
) {
    let names = |algorithms: Algorithms| algorithms.iter().map(Algorithm::name).collect::<Value>();
    let mut put = |member: &str, value: Value| metadata.insert(member.to_owned(), value);
    if proofs.methods().contains(PopMethod::AttestationPopJwt) {
        put(POP_ALGS, names(proofs.algorithms()));
    }
    if let Some(dpop) = proofs.dpop() {
        put(DPOP_ALGS, names(dpop.algorithms()));
    }
    put(POP_METHODS, proofs.methods().to_value());
    if let Some(url) = challenge_endpoint {
        put("challenge_endpoint", url.into());
    }
}

/// The members of a client's metadata (section 9). A server keeps to its own rules, whatever they say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientAttestationMetadata {
    /// `token_endpoint_auth_method`, if it is one of attestation.
    pub token_endpoint_auth_method: Option<Method>,
    /// `client_attestation_signing_alg_values_supported`.
    pub attestation_algorithms: Option<Algorithms>,
    /// `client_attestation_pop_signing_alg_values_supported`.
    pub pop_algorithms: Option<Algorithms>,
    /// `client_attestation_pop_methods_supported`.
    pub pop_methods: Option<PopMethods>,
}

impl ClientAttestationMetadata {
    /// Metadata of a client that authenticates by one of the two methods of attestation.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] for another method.
    pub fn new(method: Method, algorithms: Algorithms) -> Result<Self, Error> {
        let pop = match method {
            Method::AttestJwt => PopMethod::AttestationPopJwt,
            Method::AttestDpop => PopMethod::DpopCombined,
            _ => {
                let member = "token_endpoint_auth_method";
                return Err(Error::Metadata { member });
            }
        };
        Ok(Self {
            token_endpoint_auth_method: Some(method),
            attestation_algorithms: Some(algorithms),
            pop_algorithms: Some(algorithms),
            pop_methods: Some(PopMethods::new(&[pop])?),
        })
    }

    /// Reads the members out of a client's metadata. Algorithms that are not known here are left out.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] for wrong types, for `none` in either list and for a MAC in the list for proofs.
    pub fn from_metadata(metadata: &Map<String, Value>) -> Result<Self, Error> {
        let method = metadata.get("token_endpoint_auth_method");
        let attested = [Method::AttestJwt, Method::AttestDpop];
        Ok(Self {
            token_endpoint_auth_method: attested
                .into_iter()
                .find(|attested| method.is_some_and(|name| name == attested.name())),
            attestation_algorithms: algorithms(metadata, ATTESTATION_ALGS)?,
            pop_algorithms: algorithms(metadata, POP_ALGS)?,
            pop_methods: metadata
                .get(POP_METHODS)
                .map(PopMethods::from_value)
                .transpose()?,
        })
    }

    /// The members.
    #[must_use]
    pub fn to_metadata(&self) -> Map<String, Value> {
        let names =
            |algorithms: Algorithms| algorithms.iter().map(Algorithm::name).collect::<Value>();
        let members = [
            (
                "token_endpoint_auth_method",
                self.token_endpoint_auth_method
                    .map(|method| method.name().into()),
            ),
            (ATTESTATION_ALGS, self.attestation_algorithms.map(names)),
            (POP_ALGS, self.pop_algorithms.map(names)),
            (
                POP_METHODS,
                self.pop_methods.as_ref().map(PopMethods::to_value),
            ),
        ];
        members
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

/// A list of algorithms; MACs may sign attestations elsewhere, and proofs nowhere.
pub(crate) fn algorithms(
    metadata: &Map<String, Value>,
    member: &'static str,
) -> Result<Option<Algorithms>, Error> {
    let Some(value) = metadata.get(member) else {
        return Ok(None);
    };
    let wrong = Error::Metadata { member };
    let mut known = Algorithms::of(&[]);
    for name in value.as_array().ok_or(wrong.clone())? {
        let name = name.as_str().ok_or(wrong.clone())?;
        if name == "none" || (member != ATTESTATION_ALGS && name.starts_with("HS")) {
            return Err(wrong);
        }
        if let Some(algorithm) = Algorithm::from_name(name) {
            known = known.union(Algorithms::of(&[algorithm]));
        }
    }
    Ok(Some(known))
}

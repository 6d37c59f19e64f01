//! Transmitter configuration metadata (SSF 1.0 section 7).

use jose_x509::json;
use serde_json::{Map, Value};
use ssf_set::Problem;

use crate::error::{Error, https};

const WHAT: &str = "transmitter metadata";
const MAX_ENTRIES: usize = 64;

/// Delivery by push.
pub const PUSH: &str = "urn:ietf:rfc:8935";
/// Delivery by poll.
pub const POLL: &str = "urn:ietf:rfc:8936";

/// A transmitter's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransmitterMetadata {
    /// `issuer`: `iss` of its SETs.
    pub issuer: String,
    /// `spec_version`; absent means `1_0-ID1`.
    pub spec_version: Option<String>,
    /// `jwks_uri`.
    pub jwks_uri: Option<String>,
    /// `delivery_methods_supported`.
    pub delivery_methods_supported: Vec<String>,
    /// `configuration_endpoint`.
    pub configuration_endpoint: Option<String>,
    /// `status_endpoint`.
    pub status_endpoint: Option<String>,
    /// `add_subject_endpoint`.
    pub add_subject_endpoint: Option<String>,
    /// `remove_subject_endpoint`.
    pub remove_subject_endpoint: Option<String>,
    /// `verification_endpoint`.
    pub verification_endpoint: Option<String>,
    /// `critical_subject_members`.
    pub critical_subject_members: Vec<String>,
    /// `spec_urn` of each of the `authorization_schemes`.
    pub authorization_schemes: Vec<String>,
    /// `default_subjects`: whether a new stream has all subjects (`ALL`) or none (`NONE`).
    pub default_subjects_all: Option<bool>,
}

/// The URL of an issuer's metadata: the well-known name goes between host and path.
///
/// # Errors
///
/// [`Error::Endpoint`] when the issuer is not an https URL, or has a query, a fragment, user
/// information, or a path that is not in its normal form.
pub fn well_known_url(issuer: &str) -> Result<String, Error> {
    well_known(issuer, "ssf-configuration")
}

/// The URL with a well-known name between host and path.
pub(crate) fn well_known(issuer: &str, name: &str) -> Result<String, Error> {
    let url = check_issuer(issuer)?;
    let path = url.path().strip_suffix('/').unwrap_or(url.path());
    let origin = url.origin().ascii_serialization();
    Ok(format!("{origin}/.well-known/{name}{path}"))
}

fn check_issuer(issuer: &str) -> Result<url::Url, Error> {
    let what = "the issuer";
    let url = https(issuer, what)?;
    let normal = url.as_str() == issuer || url.as_str().strip_suffix('/') == Some(issuer);
    let encoded = issuer.to_ascii_lowercase();
    if url.query().is_some() || !normal || encoded.contains("%2f") || encoded.contains("%2e") {
        return Err(Error::Endpoint { what });
    }
    Ok(url)
}

impl TransmitterMetadata {
    /// Metadata of version `1_0` with the keys' URL, both delivery methods, and nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`].
    pub fn new(issuer: &str, jwks_uri: &str) -> Result<Self, Error> {
        check_issuer(issuer)?;
        https(jwks_uri, "jwks_uri")?;
        Ok(Self {
            issuer: issuer.to_owned(),
            spec_version: Some("1_0".to_owned()),
            jwks_uri: Some(jwks_uri.to_owned()),
            delivery_methods_supported: vec![PUSH.to_owned(), POLL.to_owned()],
            configuration_endpoint: None,
            status_endpoint: None,
            add_subject_endpoint: None,
            remove_subject_endpoint: None,
            verification_endpoint: None,
            critical_subject_members: Vec::new(),
            authorization_schemes: Vec::new(),
            default_subjects_all: None,
        })
    }

    /// Reads the document that was fetched for `issuer`. Unknown members are ignored.
    ///
    /// # Errors
    ///
    /// [`Error::IssuerMismatch`] when it is somebody else's; [`Error::Json`], [`Error::Member`],
    /// [`Error::Endpoint`].
    pub fn parse(body: &[u8], issuer: &str) -> Result<Self, Error> {
        check_issuer(issuer)?;
        let limits = json::Limits::DOCUMENT.with_bytes(64 * 1024);
        let object =
            json::object(body, &limits).map_err(|source| Error::Json { what: WHAT, source })?;
        let found = text(&object, "issuer")?.ok_or(wrong("issuer", Problem::Missing))?;
        if found != issuer {
            return Err(Error::IssuerMismatch { what: WHAT });
        }
        let endpoint = |name| match text(&object, name)? {
            Some(url) => https(&url, name).map(|_| Some(url)),
            None => Ok(None),
        };
        let default_subjects_all = match text(&object, "default_subjects")?.as_deref() {
            None => None,
            Some("ALL") => Some(true),
            Some("NONE") => Some(false),
            Some(_) => return Err(wrong("default_subjects", Problem::Value)),
        };
        Ok(Self {
            issuer: found,
            spec_version: text(&object, "spec_version")?,
            jwks_uri: endpoint("jwks_uri")?,
            delivery_methods_supported: texts(&object, "delivery_methods_supported")?,
            configuration_endpoint: endpoint("configuration_endpoint")?,
            status_endpoint: endpoint("status_endpoint")?,
            add_subject_endpoint: endpoint("add_subject_endpoint")?,
            remove_subject_endpoint: endpoint("remove_subject_endpoint")?,
            verification_endpoint: endpoint("verification_endpoint")?,
            critical_subject_members: texts(&object, "critical_subject_members")?,
            authorization_schemes: schemes(&object)?,
            default_subjects_all,
        })
    }

    /// The document. Empty members are left out.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut object = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                object.insert(name.to_owned(), value);
            }
        };
        let text = |text: &Option<String>| text.clone().map(Value::from);
        let list = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone().into());
        put("issuer", Some(self.issuer.as_str().into()));
        put("spec_version", text(&self.spec_version));
        put("jwks_uri", text(&self.jwks_uri));
        put("configuration_endpoint", text(&self.configuration_endpoint));
        put("status_endpoint", text(&self.status_endpoint));
        put("add_subject_endpoint", text(&self.add_subject_endpoint));
        put(
            "remove_subject_endpoint",
            text(&self.remove_subject_endpoint),
        );
        put("verification_endpoint", text(&self.verification_endpoint));
        put(
            "delivery_methods_supported",
            list(&self.delivery_methods_supported),
        );
        put(
            "critical_subject_members",
            list(&self.critical_subject_members),
        );
        put(
            "default_subjects",
            self.default_subjects_all
                .map(|all| if all { "ALL" } else { "NONE" }.into()),
        );
        let scheme = |urn: &String| serde_json::json!({"spec_urn": urn});
        put(
            "authorization_schemes",
            (!self.authorization_schemes.is_empty())
                .then(|| self.authorization_schemes.iter().map(scheme).collect()),
        );
        Value::Object(object)
    }
}

const fn wrong(member: &'static str, problem: Problem) -> Error {
    Error::Member {
        what: WHAT,
        member,
        problem,
    }
}

fn text(object: &Map<String, Value>, name: &'static str) -> Result<Option<String>, Error> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(name, Problem::Type)),
    }
}

fn array<'a>(object: &'a Map<String, Value>, name: &'static str) -> Result<&'a [Value], Error> {
    match object.get(name) {
        None => Ok(&[]),
        Some(Value::Array(elements)) if elements.len() > MAX_ENTRIES => {
            Err(wrong(name, Problem::TooLong))
        }
        Some(Value::Array(elements)) => Ok(elements),
        Some(_) => Err(wrong(name, Problem::Type)),
    }
}

fn texts(object: &Map<String, Value>, name: &'static str) -> Result<Vec<String>, Error> {
    let text = |element: &Value| {
        let text = element.as_str().map(str::to_owned);
        text.ok_or(wrong(name, Problem::Type))
    };
    array(object, name)?.iter().map(text).collect()
}

fn schemes(object: &Map<String, Value>) -> Result<Vec<String>, Error> {
    let name = "authorization_schemes";
    let urn = |element: &Value| {
        let urn = element.get("spec_urn").and_then(Value::as_str);
        urn.map(str::to_owned).ok_or(wrong(name, Problem::Form))
    };
    array(object, name)?.iter().map(urn).collect()
}

//! The rules for single members of the document.

use serde_json::{Map, Value};
use spiffe_id::SpiffeIdPattern;

use crate::{AuthMethod, ClientIdUrl, DocumentPolicy, Error, HttpsUrl, json};

/// Checks that a JWK Set, from `jwks` or from `jwks_uri`, has public keys only.
///
/// # Errors
///
/// [`Error::TooLarge`] above [`HARD_MAX_BODY`](crate::HARD_MAX_BODY) bytes, [`Error::Json`], [`Error::MemberType`] where
/// the shape is wrong, [`Error::SecretKey`] for a symmetric or private key.
pub fn check_public_keys(body: &[u8]) -> Result<(), Error> {
    if body.len() > crate::HARD_MAX_BODY {
        return Err(Error::TooLarge {
            limit: crate::HARD_MAX_BODY,
        });
    }
    check_keys(&Value::Object(json::object(body)?))
}

fn check_keys(jwks: &Value) -> Result<(), Error> {
    const SECRET: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "priv", "k"];
    let shape = Error::MemberType {
        member: "jwks",
        expected: "a JWK Set",
    };
    let keys = jwks
        .get("keys")
        .and_then(Value::as_array)
        .ok_or(shape.clone())?;
    for (index, key) in keys.iter().enumerate() {
        let members = key.as_object().ok_or(shape.clone())?;
        let kind = members
            .get("kty")
            .and_then(Value::as_str)
            .ok_or(shape.clone())?;
        if kind == "oct" || SECRET.iter().any(|name| members.contains_key(*name)) {
            return Err(Error::SecretKey { index });
        }
    }
    Ok(())
}

const STRINGS: &[&str] = &[
    "client_id",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "scope",
    "software_id",
    "software_version",
    "software_statement",
    "spiffe_id",
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
];
const STRING_ARRAYS: &[&str] = &[
    "redirect_uris",
    "grant_types",
    "response_types",
    "contacts",
    "authorization_grant_profiles_supported",
];
const BOOLEANS: &[&str] = &[
    "dpop_bound_access_tokens",
    "require_pushed_authorization_requests",
    "tls_client_certificate_bound_access_tokens",
];
/// URLs the server may fetch.
const FETCHED: &[&str] = &[
    "jwks_uri",
    "logo_uri",
    "spiffe_bundle_endpoint",
    "sector_identifier_uri",
];
/// URLs a person may open; a fragment is fine there.
const OPENED: &[&str] = &["client_uri", "tos_uri", "policy_uri"];
/// Members that may have a `#<language tag>` behind their name.
const LOCALIZED: &[&str] = &[
    "client_name",
    "client_uri",
    "logo_uri",
    "tos_uri",
    "policy_uri",
];

/// The member a name speaks of, without language tag.
fn base_name(name: &str) -> &str {
    match name.split_once('#') {
        Some((base, tag)) if LOCALIZED.contains(&base) && !tag.is_empty() => base,
        _ => name,
    }
}

fn known<'a>(table: &[&'a str], name: &str) -> Option<&'a str> {
    table.iter().find(|known| **known == name).copied()
}

pub(crate) fn check_types(members: &Map<String, Value>) -> Result<(), Error> {
    for (name, value) in members {
        let base = base_name(name);
        if let Some(member) =
            known(STRINGS, name).or_else(|| (base == "client_name").then_some("client_name"))
        {
            if !value.is_string() {
                return Err(Error::MemberType {
                    member,
                    expected: "a string",
                });
            }
        } else if let Some(member) = known(STRING_ARRAYS, name) {
            if !value
                .as_array()
                .is_some_and(|values| values.iter().all(Value::is_string))
            {
                return Err(Error::MemberType {
                    member,
                    expected: "an array of strings",
                });
            }
        } else if let Some(member) = known(BOOLEANS, name) {
            if !value.is_boolean() {
                return Err(Error::MemberType {
                    member,
                    expected: "true or false",
                });
            }
        }
    }
    Ok(())
}

/// The URL that was fetched and the one in the document are the same string (section 4).
pub(crate) fn check_client_id(
    members: &Map<String, Value>,
    url: &ClientIdUrl,
) -> Result<(), Error> {
    let client_id = members.get("client_id").ok_or(Error::MemberMissing {
        member: "client_id",
    })?;
    if client_id.as_str() == Some(url.as_str()) {
        Ok(())
    } else {
        Err(Error::ClientIdMismatch)
    }
}

pub(crate) fn check_secrets(members: &Map<String, Value>) -> Result<(), Error> {
    for member in ["client_secret", "client_secret_expires_at"] {
        if members.contains_key(member) {
            return Err(Error::SecretMember { member });
        }
    }
    members.get("jwks").map_or(Ok(()), check_keys)
}

pub(crate) fn collect_urls(
    members: &Map<String, Value>,
) -> Result<Vec<(&'static str, HttpsUrl)>, Error> {
    let mut urls = Vec::new();
    for (name, value) in members {
        let base = base_name(name);
        let (member, opened) = match (known(FETCHED, base), known(OPENED, base)) {
            (Some(member), _) => (member, false),
            (_, Some(member)) => (member, true),
            _ => continue,
        };
        let text = value.as_str().ok_or(Error::MemberType {
            member,
            expected: "a string",
        })?;
        let url = if opened {
            HttpsUrl::parse_with_fragment(text, member)?
        } else {
            HttpsUrl::parse(text, member)?
        };
        urls.push((member, url));
    }
    Ok(urls)
}

pub(crate) fn spiffe_id(
    members: &Map<String, Value>,
    policy: &DocumentPolicy,
) -> Result<Option<SpiffeIdPattern>, Error> {
    let parse = if policy.trust_domain_wildcard {
        SpiffeIdPattern::parse_allowing_trust_domain
    } else {
        SpiffeIdPattern::parse
    };
    members
        .get("spiffe_id")
        .and_then(Value::as_str)
        .map(parse)
        .transpose()
        .map_err(Error::SpiffeId)
}

pub(crate) fn methods(
    members: &Map<String, Value>,
    policy: &DocumentPolicy,
) -> Result<&'static [AuthMethod], Error> {
    let has_keys = members.contains_key("jwks") || members.contains_key("jwks_uri");
    let has_spiffe_id = members.contains_key("spiffe_id");
    let methods: &'static [AuthMethod] = match members
        .get("token_endpoint_auth_method")
        .and_then(Value::as_str)
    {
        Some(name) if name.starts_with("client_secret_") => return Err(Error::SharedSecretMethod),
        Some(name) => AuthMethod::from_name(name)
            .ok_or(Error::UnsupportedMethod)?
            .alone(),
        None if has_spiffe_id => AuthMethod::SPIFFE,
        None if has_keys => AuthMethod::PrivateKeyJwt.alone(),
        None => AuthMethod::None.alone(),
    };
    if !methods.iter().any(|method| policy.methods.contains(method)) {
        return Err(Error::UnsupportedMethod);
    }
    for method in methods {
        match method {
            AuthMethod::PrivateKeyJwt | AuthMethod::SelfSignedTlsClientAuth if !has_keys => {
                return Err(Error::MemberMissing { member: "jwks" });
            }
            AuthMethod::SpiffeJwt | AuthMethod::SpiffeX509 | AuthMethod::SpiffeWit
                if !has_spiffe_id =>
            {
                return Err(Error::MemberMissing {
                    member: "spiffe_id",
                });
            }
            AuthMethod::None if policy.confidential => return Err(Error::ConfidentialRequired),
            _ => {}
        }
    }
    Ok(methods)
}

/// RFC 6749 section 3.3.
pub(crate) fn is_scope_token(token: &str) -> bool {
    !token.is_empty()
        && token
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

//! Metadata of servers and clients (draft sections 7 and 8).

use serde_json::{Map, Value, json};
use token_exchange::TokenType;

use super::GRANT_PROFILE;
use crate::discovery::{GRANT_PROFILES, advertise_requested_types, texts};
use crate::error::Error;
use crate::redeem::GRANT_TYPE;

const PROFILE_PREFIX: &str = "urn:ietf:params:oauth:grant-profile:";
const GRANTS: [&str; 2] = [token_exchange::GRANT_TYPE, GRANT_TYPE];

/// Writes that an identity provider issues ID-JAGs.
pub fn advertise_issuance(metadata: &mut Map<String, Value>) {
    advertise_requested_types(metadata, &[TokenType::IdJag]);
}

/// Writes the grant profiles that a resource authorization server supports: names of profiles, and never those of
/// issuers, tenants or clients.
///
/// # Errors
///
/// [`Error::Metadata`] for what is no profile's name, and for ID-JAG without `jwt-bearer` in `grant_types_supported`.
pub fn advertise_grant_profiles(
    metadata: &mut Map<String, Value>,
    profiles: &[&str],
) -> Result<(), Error> {
    let wrong = Error::Metadata {
        member: GRANT_PROFILES,
    };
    let named = |profile: &&str| {
        profile.strip_prefix(PROFILE_PREFIX).is_some_and(|name| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            !name.is_empty() && name.bytes().all(plain)
        })
    };
    let grants = texts(metadata, "grant_types_supported")?.unwrap_or_default();
    if !profiles.iter().all(named)
        || (profiles.contains(&GRANT_PROFILE) && !grants.iter().any(|one| one == GRANT_TYPE))
    {
        return Err(wrong);
    }
    metadata.insert(GRANT_PROFILES.to_owned(), profiles.into());
    Ok(())
}

/// The members of the metadata of a client that uses ID-JAGs.
#[must_use]
pub fn client_metadata() -> Map<String, Value> {
    let members = [
        (GRANT_PROFILES, json!([GRANT_PROFILE])),
        ("grant_types", json!(GRANTS)),
    ];
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Whether a client's metadata say that it uses ID-JAGs.
///
/// # Errors
///
/// [`Error::Metadata`] for members of the wrong type, and for the profile without both grant types that it needs.
pub fn check_client(metadata: &Map<String, Value>) -> Result<bool, Error> {
    let profiles = texts(metadata, GRANT_PROFILES)?.unwrap_or_default();
    if !profiles.iter().any(|one| one == GRANT_PROFILE) {
        return Ok(false);
    }
    let grants = texts(metadata, "grant_types")?.unwrap_or_default();
    let has = |grant: &str| grants.iter().any(|one| one == grant);
    if GRANTS.into_iter().all(has) {
        Ok(true)
    } else {
        Err(Error::Metadata {
            member: GRANT_PROFILES,
        })
    }
}

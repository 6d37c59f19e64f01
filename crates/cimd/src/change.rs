//! What changed between two fetches of one document.

use serde_json::Value;

use crate::{AuthMethod, ClientMetadata};

/// The members whose change a server should act on (section 8.4).
const WATCHED: [&str; 10] = [
    "redirect_uris",
    "token_endpoint_auth_method",
    "scope",
    "grant_types",
    "jwks",
    "jwks_uri",
    "client_name",
    "logo_uri",
    "spiffe_id",
    "spiffe_bundle_endpoint",
];

/// A changed member with its old and its new value; `None` where it is absent.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Change<'a> {
    /// The member.
    pub member: &'static str,
    /// What it was.
    pub old: Option<&'a Value>,
    /// What it is.
    pub new: Option<&'a Value>,
}

/// What a server should do about changes, as a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reaction {
    /// Nothing changed that matters.
    Nothing,
    /// Ask the user again before the next grant.
    AskAgain,
    /// Revoke what was granted.
    Revoke,
}

impl ClientMetadata {
    /// The watched members in which `newer` differs.
    pub fn changes<'a>(&'a self, newer: &'a Self) -> impl Iterator<Item = Change<'a>> {
        WATCHED.into_iter().filter_map(|member| {
            let (old, new) = (self.members().get(member), newer.members().get(member));
            (old != new).then_some(Change { member, old, new })
        })
    }

    /// The default reaction: revoke when a client that authenticated no longer does or when none of its keys inside the
    /// document is left, ask again for every other change except that keys were added or some rotated.
    #[must_use]
    pub fn reaction(&self, newer: &Self) -> Reaction {
        let downgraded =
            self.is_confidential() && newer.accepted_methods().contains(&AuthMethod::None);
        if downgraded || self.keys_replaced(newer) {
            return Reaction::Revoke;
        }
        if self
            .changes(newer)
            .all(|change| change.member == "jwks" && change.old.is_some() && change.new.is_some())
        {
            return Reaction::Nothing;
        }
        Reaction::AskAgain
    }

    /// Whether both documents have keys inside and none of the old ones is left.
    #[must_use]
    pub fn keys_replaced(&self, newer: &Self) -> bool {
        let (Some(old), Some(new)) = (keys(self), keys(newer)) else {
            return false;
        };
        !old.is_empty() && !old.iter().any(|key| new.contains(key))
    }
}

fn keys(document: &ClientMetadata) -> Option<&Vec<Value>> {
    document.jwks()?.get("keys")?.as_array()
}

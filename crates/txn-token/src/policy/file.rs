//! The written form of a policy.

use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyFile {
    pub(super) roles: BTreeMap<String, RoleFile>,
    pub(super) rules: Vec<Rule>,
}

/// A list of IDs, or a table that also says what kind of role it is.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum RoleFile {
    Ids(Vec<String>),
    Table(RoleTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleTable {
    pub(super) ids: Vec<String>,
    #[serde(default)]
    pub(super) kind: RoleKind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RoleKind {
    /// Its having acted is what counts.
    #[default]
    Agent,
    /// It counts only with the outcome `ok`, unless a rule says otherwise.
    Check,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutcomeRule {
    Any,
    Ok,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Rule {
    /// The role is in the history.
    Require {
        role: String,
        outcome: Option<OutcomeRule>,
        #[serde(default)]
        include_current: bool,
    },
    /// All of the roles are.
    RequireAll {
        roles: Vec<String>,
        outcome: Option<OutcomeRule>,
        #[serde(default)]
        include_current: bool,
    },
    /// One of the roles is.
    RequireAny {
        roles: Vec<String>,
        outcome: Option<OutcomeRule>,
        #[serde(default)]
        include_current: bool,
    },
    /// Both roles are in the path, and the first link of the one comes before the first of the other.
    Order { first: String, then: String },
    /// The agent that handed over to the current one has the role.
    Immediate {
        role: String,
        outcome: Option<OutcomeRule>,
    },
    /// The first agent of the path has the role.
    Originator { role: String },
    /// No agent of the path has the role.
    Forbid { role: String },
    /// Every agent of the path has one of the roles.
    Only { roles: Vec<String> },
    /// The path is at most this long.
    MaxHops { limit: usize },
    /// The path is at least this long.
    MinHops { limit: usize },
    /// The newest link with the role is at most this old.
    MaxAge { role: String, seconds: u64 },
}

impl Rule {
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Require { .. } => "require",
            Self::RequireAll { .. } => "require_all",
            Self::RequireAny { .. } => "require_any",
            Self::Order { .. } => "order",
            Self::Immediate { .. } => "immediate",
            Self::Originator { .. } => "originator",
            Self::Forbid { .. } => "forbid",
            Self::Only { .. } => "only",
            Self::MaxHops { .. } => "max_hops",
            Self::MinHops { .. } => "min_hops",
            Self::MaxAge { .. } => "max_age",
        }
    }

    pub(super) fn roles(&self) -> Vec<&str> {
        match self {
            Self::Require { role, .. }
            | Self::Immediate { role, .. }
            | Self::Originator { role }
            | Self::Forbid { role }
            | Self::MaxAge { role, .. } => vec![role],
            Self::RequireAll { roles, .. }
            | Self::RequireAny { roles, .. }
            | Self::Only { roles } => roles.iter().map(String::as_str).collect(),
            Self::Order { first, then } => vec![first, then],
            Self::MaxHops { .. } | Self::MinHops { .. } => Vec::new(),
        }
    }

    /// Whether it names at least one role or needs none.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::MaxHops { .. } | Self::MinHops { .. }) || !self.roles().is_empty()
    }
}

//! A role: the agents that it means.

use spiffe_id::{SpiffeId, SpiffeIdPattern, SpiffeIdRef};

use super::MAX_ENTRIES;
use super::file::{RoleFile, RoleKind};
use crate::error::PolicyProblem;

#[derive(Clone, Debug)]
pub(super) struct Role {
    pub(super) name: Box<str>,
    pub(super) kind: RoleKind,
    ids: Box<[Ids]>,
}

/// What one entry of a role means.
#[derive(Clone, Debug)]
enum Ids {
    /// This ID alone.
    Exact(Box<str>),
    /// Every ID that begins with this, which ends in `/`.
    Below(Box<str>),
}

/// Fewest segments before the `/*` of a pattern that makes a check.
const MIN_CHECK_SEGMENTS: usize = 2;

impl Role {
    pub(super) fn read(name: String, file: RoleFile) -> Result<Self, PolicyProblem> {
        let (ids, kind) = match file {
            RoleFile::Ids(ids) => (ids, RoleKind::default()),
            RoleFile::Table(table) => (table.ids, table.kind),
        };
        if ids.is_empty() {
            return Err(PolicyProblem::EmptyRole);
        }
        if ids.len() > MAX_ENTRIES {
            return Err(PolicyProblem::TooLarge);
        }
        let read = |text: &String| {
            SpiffeIdPattern::parse(text).map_err(|_| PolicyProblem::Pattern)?;
            let Some(base) = text.strip_suffix("/*") else {
                return Ok(Ids::Exact(text.as_str().into()));
            };
            let segments = SpiffeId::parse(base).map(|base| base.segments().count());
            if kind == RoleKind::Check && segments.is_ok_and(|count| count < MIN_CHECK_SEGMENTS) {
                return Err(PolicyProblem::BroadCheck);
            }
            Ok(Ids::Below(format!("{base}/").into()))
        };
        Ok(Self {
            ids: ids.iter().map(read).collect::<Result<_, _>>()?,
            name: name.into(),
            kind,
        })
    }

    /// Whether an agent of this name has the role. What is no SPIFFE ID has none.
    pub(super) fn has(&self, agent: &mut Agent<'_>) -> bool {
        let name = agent.name;
        self.ids.iter().any(|ids| match ids {
            // Equal to a text that is a SPIFFE ID.
            Ids::Exact(id) => id.len() == name.len() && **id == *name,
            // A SPIFFE ID in its beginning only.
            Ids::Below(prefix) => name.starts_with(&**prefix) && agent.is_id(),
        })
    }
}

/// The name of an agent, and whether it is a SPIFFE ID, once that was asked.
pub(super) struct Agent<'a> {
    name: &'a str,
    is_id: Option<bool>,
}

impl<'a> Agent<'a> {
    pub(super) const fn new(name: &'a str) -> Self {
        Self { name, is_id: None }
    }

    fn is_id(&mut self) -> bool {
        *self
            .is_id
            .get_or_insert_with(|| SpiffeIdRef::parse(self.name).is_ok())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The same agents as the patterns of `spiffe-id` say.
    #[test]
    fn a_role_means_what_its_patterns_mean() {
        let texts = ["spiffe://example.org/a/b", "spiffe://example.org/agents/*"];
        let names = texts.map(str::to_owned).to_vec();
        let role = Role::read("role".into(), RoleFile::Ids(names)).unwrap();
        let patterns = texts.map(|text| SpiffeIdPattern::parse(text).unwrap());
        for name in [
            "spiffe://example.org/a/b",
            "spiffe://example.org/a/b/",
            "spiffe://example.org/a/b/c",
            "spiffe://example.org/a",
            "spiffe://example.org/agents",
            "spiffe://example.org/agents/",
            "spiffe://example.org/agents/x",
            "spiffe://example.org/agents/x/y",
            "spiffe://example.org/agents/../x",
            "spiffe://example.org/agents//x",
            "spiffe://example.org/agents/x?y",
            "spiffe://example.org/agents-of/x",
            "spiffe://Example.org/agents/x",
            "SPIFFE://example.org/agents/x",
            "spiffe://example.com/agents/x",
            "spiffe://example.org/agents/*",
            "client-7",
            "",
        ] {
            let id = SpiffeId::parse(name).ok();
            let expected = id.is_some_and(|id| patterns.iter().any(|one| one.matches(&id)));
            assert_eq!(role.has(&mut Agent::new(name)), expected, "{name}");
        }
    }
}

//! Which resource servers there are, and which of them a token is for.

use std::collections::BTreeMap;

use crate::authority::ScopeSet;
use crate::error::Error;
use crate::resource::ResourceIndicator;

/// A protected resource that this server issues tokens for.
#[derive(Clone, Debug)]
pub struct ResourceServer {
    indicator: ResourceIndicator,
    audience: Option<String>,
    scopes: ScopeSet,
}

impl ResourceServer {
    /// A resource that understands these scopes.
    #[must_use]
    pub const fn new(indicator: ResourceIndicator, scopes: ScopeSet) -> Self {
        Self {
            indicator,
            audience: None,
            scopes,
        }
    }

    /// Names it in `aud` by a registered identifier instead of its indicator.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }
}

/// The resource servers of an authorization server. A `resource` is looked up and never fetched.
///
/// ```
/// use token_exchange::{ResourceIndicator, ResourceRegistry, ResourceServer, ScopeSet};
///
/// let calendar = ResourceIndicator::parse("https://cal.example.com/")?;
/// let registry = ResourceRegistry::new([ResourceServer::new(calendar.clone(), ScopeSet::parse("calendar")?)]);
/// let target = registry.resolve(&[calendar], None, None, &ScopeSet::parse("calendar contacts")?)?;
/// assert_eq!(target.audience, ["https://cal.example.com/"]);
/// assert_eq!(target.scopes.to_string(), "calendar");
/// # Ok::<(), token_exchange::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResourceRegistry {
    servers: BTreeMap<String, ResourceServer>,
    most: usize,
}

/// Where a token is good, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// The resources.
    pub resources: Vec<ResourceIndicator>,
    /// `aud`, never empty.
    pub audience: Vec<String>,
    /// The scopes that every one of the resources understands: tell the client when they are fewer than it asked for.
    pub scopes: ScopeSet,
}

impl ResourceRegistry {
    /// The given servers. A token is for one of them.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = ResourceServer>) -> Self {
        Self {
            servers: servers
                .into_iter()
                .map(|server| (server.indicator.as_str().to_owned(), server))
                .collect(),
            most: 1,
        }
    }

    /// Lets a token be for several servers, each of which can use it at the others: for tokens that are bound to a key.
    #[must_use]
    pub const fn with_most_targets(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// The resource that is registered under this name of `aud`, or under this indicator.
    #[must_use]
    pub fn named(&self, audience: &str) -> Option<&ResourceIndicator> {
        let by_name = || {
            self.servers
                .values()
                .find(|server| server.audience.as_deref() == Some(audience))
        };
        self.servers
            .get(audience)
            .or_else(by_name)
            .map(|server| &server.indicator)
    }

    /// Decides where a token is good. `granted` is what the user granted with the code or the subject token had; a request
    /// may choose from it, and the grant stays whole for the next one. `default` is the client's one resource where the
    /// request names none.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidTarget`] for a resource that is not registered or not granted, for more than allowed, and where
    /// neither request, grant nor default names one. [`Error::InvalidScope`] where no scope means something at all of them.
    pub fn resolve(
        &self,
        requested: &[ResourceIndicator],
        granted: Option<&[ResourceIndicator]>,
        default: Option<&ResourceIndicator>,
        scopes: &ScopeSet,
    ) -> Result<Target, Error> {
        let chosen = match (requested, granted) {
            ([], Some(granted)) => granted,
            ([], None) => default.map(std::slice::from_ref).unwrap_or_default(),
            (requested, _) => requested,
        };
        let mut resources: Vec<ResourceIndicator> = Vec::new();
        for resource in chosen {
            if granted.is_some_and(|granted| !granted.contains(resource)) {
                return Err(Error::InvalidTarget);
            }
            if !resources.contains(resource) {
                resources.push(resource.clone());
            }
        }
        if resources.is_empty() || resources.len() > self.most {
            return Err(Error::InvalidTarget);
        }
        let (mut audience, mut left) = (Vec::new(), scopes.clone());
        for resource in &resources {
            let server = self
                .servers
                .get(resource.as_str())
                .ok_or(Error::InvalidTarget)?;
            let name = server.audience.as_deref().unwrap_or(resource.as_str());
            if !audience.iter().any(|other| other == name) {
                audience.push(name.to_owned());
            }
            left = left.intersect(&server.scopes);
        }
        if left.is_empty() {
            return Err(Error::InvalidScope);
        }
        Ok(Target {
            resources,
            audience,
            scopes: left,
        })
    }
}

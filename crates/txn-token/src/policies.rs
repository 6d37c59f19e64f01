//! Which call-chain policy applies to which resource.

use jose_x509::json;
use pki_types::UnixTime;
use serde::Deserialize;

use crate::error::{Error, PolicyProblem};
use crate::policy::{CallChainPolicy, Decision, Denial};
use crate::token::TxnToken;

/// Policies by service, path, method and scope. The first route that matches decides; where none does, the call is refused.
///
/// ```
/// use txn_token::CallChainPolicies;
///
/// CallChainPolicies::from_json(br#"{"routes": [
///     {"service": "status", "open": true},
///     {"service": "payments", "path": "/transfers", "method": "POST", "policy": {
///         "roles": {"fraud-validation": ["spiffe://example.org/checks/fraud"]},
///         "rules": [{"rule": "require", "role": "fraud-validation"}]
///     }}
/// ]}"#)?;
/// # Ok::<(), txn_token::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "File")]
pub struct CallChainPolicies {
    routes: Vec<Route>,
}

/// What is called, as the service itself knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resource<'a> {
    /// The service's name in the policies.
    pub service: &'a str,
    /// The path, percent-decoded and without dot segments, as the service dispatches by it.
    pub path: &'a str,
    /// The method.
    pub method: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    routes: Vec<Route>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Route {
    service: Option<String>,
    /// Whole segments at the beginning of the path.
    path: Option<String>,
    method: Option<String>,
    scope: Option<String>,
    #[serde(default)]
    open: bool,
    policy: Option<CallChainPolicy>,
}

const MAX_ROUTES: usize = 1024;

impl TryFrom<File> for CallChainPolicies {
    type Error = PolicyProblem;

    fn try_from(file: File) -> Result<Self, PolicyProblem> {
        if file.routes.is_empty() {
            return Err(PolicyProblem::NoRules);
        }
        if file.routes.len() > MAX_ROUTES {
            return Err(PolicyProblem::TooLarge);
        }
        // Open, or with a policy: one of the two, and said.
        if file
            .routes
            .iter()
            .any(|route| route.open == route.policy.is_some())
        {
            return Err(PolicyProblem::Route);
        }
        Ok(Self {
            routes: file.routes,
        })
    }
}

impl CallChainPolicies {
    /// Reads strict JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`].
    pub fn from_json(text: &[u8]) -> Result<Self, Error> {
        let syntax = || Error::Policy(PolicyProblem::Syntax);
        json::check(text, &json::Limits::CLAIMS).map_err(|_| syntax())?;
        let file: File = serde_json::from_slice(text).map_err(|_| syntax())?;
        Self::try_from(file).map_err(Error::Policy)
    }

    /// Takes over another text as a whole, or stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`], which is to be reported: the former policies stay in force.
    pub fn reload(&mut self, text: &[u8]) -> Result<(), Error> {
        *self = Self::from_json(text)?;
        Ok(())
    }

    /// Judges the chain of a verified token for a resource.
    pub fn evaluate(&self, token: &TxnToken, resource: &Resource<'_>, now: UnixTime) -> Decision {
        let found = self
            .routes
            .iter()
            .enumerate()
            .find(|(_, route)| route.matches(token, resource));
        match found {
            Some((
                _,
                Route {
                    policy: Some(policy),
                    ..
                },
            )) => policy.evaluate(token, now),
            Some((_, Route { open: true, .. })) => Decision::Allow,
            _ => Decision::Deny(Denial {
                code: "no_policy",
                rule: self.routes.len(),
                kind: "route",
                role: None,
                link: None,
            }),
        }
    }
}

impl Route {
    fn matches(&self, token: &TxnToken, resource: &Resource<'_>) -> bool {
        let is =
            |wanted: &Option<String>, own: &str| wanted.as_ref().is_none_or(|name| name == own);
        let below = |prefix: &String| {
            let rest = resource.path.strip_prefix(prefix.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        is(&self.service, resource.service)
            && is(&self.method, resource.method)
            && self.path.as_ref().is_none_or(below)
            && self
                .scope
                .as_ref()
                .is_none_or(|scope| token.scope().contains(scope))
    }
}

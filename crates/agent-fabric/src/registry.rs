//! Who and what exists: agent classes and instances, tools, and what was revoked.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use spiffe_id::{SpiffeId, SpiffeIdPattern, SpiffeIdRef};
use token_exchange::Authority;

/// A class of agents: what every instance of it may do at most.
#[derive(Clone, Debug)]
pub struct AgentClass {
    /// Its name, which policies use.
    pub name: String,
    /// The SPIFFE IDs of its instances.
    pub members: SpiffeIdPattern,
    /// Its ceiling.
    pub ceiling: Authority,
}

/// The state of one agent instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It works.
    Active,
    /// It was stopped by a signal or an operator.
    Quarantined,
}

/// One agent instance.
#[derive(Clone, Debug)]
pub struct AgentInstance {
    /// Its SPIFFE ID.
    pub id: SpiffeId,
    /// The name of its class.
    pub class: String,
    /// What it may do beyond the class' ceiling: nothing. What it may do less: this.
    pub ceiling: Authority,
    /// Its state.
    pub status: Status,
}

/// A tool behind the gateway.
#[derive(Clone, Debug)]
pub struct Tool {
    /// The name that agents know.
    pub name: String,
    /// Its workload.
    pub id: SpiffeId,
    /// Where it is, which agents learn from the gateway alone.
    pub endpoint: String,
    /// The scope that a call needs.
    pub scope: String,
}

/// Why somebody or something is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Nobody registered this SPIFFE ID.
    #[error("the agent is not registered")]
    UnknownAgent,
    /// The instance's class does not exist, or its pattern does not match the instance.
    #[error("the agent's class does not exist or does not contain it")]
    ClassMismatch,
    /// The instance is quarantined.
    #[error("the agent is quarantined")]
    Quarantined,
    /// The user's session was revoked.
    #[error("the user's session was revoked")]
    SessionRevoked,
    /// No tool of this name.
    #[error("there is no such tool")]
    UnknownTool,
}

impl RegistryError {
    /// A stable name of the cause.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownAgent => "unknown_agent",
            Self::ClassMismatch => "class_mismatch",
            Self::Quarantined => "agent_quarantined",
            Self::SessionRevoked => "session_revoked",
            Self::UnknownTool => "unknown_tool",
        }
    }
}

/// An active agent with its class.
#[derive(Clone, Debug)]
pub struct ActiveAgent {
    /// The instance.
    pub instance: AgentInstance,
    /// Its class.
    pub class: AgentClass,
}

impl ActiveAgent {
    /// The ceiling of class and instance together.
    #[must_use]
    pub fn ceiling(&self) -> Authority {
        self.class.ceiling.intersect(&self.instance.ceiling)
    }
}

#[derive(Debug, Default)]
struct Inner {
    classes: BTreeMap<String, AgentClass>,
    instances: BTreeMap<String, AgentInstance>,
    tools: BTreeMap<String, Tool>,
    revoked_users: BTreeMap<String, u64>,
}

/// The registry of one component. Signals change it at once.
#[derive(Debug, Default)]
pub struct Registry(RwLock<Inner>);

impl Registry {
    fn read<T>(&self, look: impl FnOnce(&Inner) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Registers a class.
    pub fn add_class(&self, class: AgentClass) {
        self.write(|inner| inner.classes.insert(class.name.clone(), class));
    }

    /// Registers an instance, or replaces it.
    pub fn add_instance(&self, instance: AgentInstance) {
        self.write(|inner| {
            inner
                .instances
                .insert(instance.id.as_str().to_owned(), instance)
        });
    }

    /// Registers a tool.
    pub fn add_tool(&self, tool: Tool) {
        self.write(|inner| inner.tools.insert(tool.name.clone(), tool));
    }

    /// The agent of a SPIFFE ID, if it is registered, fits its class and is active.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    pub fn active_agent(&self, id: SpiffeIdRef<'_>) -> Result<ActiveAgent, RegistryError> {
        self.read(|inner| {
            let instance = inner
                .instances
                .get(id.as_str())
                .ok_or(RegistryError::UnknownAgent)?;
            let class = inner
                .classes
                .get(&instance.class)
                .ok_or(RegistryError::ClassMismatch)?;
            if !class.members.matches(id) {
                return Err(RegistryError::ClassMismatch);
            }
            match instance.status {
                Status::Active => Ok(ActiveAgent {
                    instance: instance.clone(),
                    class: class.clone(),
                }),
                Status::Quarantined => Err(RegistryError::Quarantined),
            }
        })
    }

    /// The tool of a name.
    ///
    /// # Errors
    ///
    /// [`RegistryError::UnknownTool`].
    pub fn tool(&self, name: &str) -> Result<Tool, RegistryError> {
        self.read(|inner| {
            inner
                .tools
                .get(name)
                .cloned()
                .ok_or(RegistryError::UnknownTool)
        })
    }

    /// Quarantines one instance; its class goes on. Tells whether there was such an instance.
    pub fn quarantine(&self, id: &str) -> bool {
        self.write(|inner| match inner.instances.get_mut(id) {
            Some(instance) => {
                instance.status = Status::Quarantined;
                true
            }
            None => false,
        })
    }

    /// Refuses every delegation of the user that was issued until `seconds` since the epoch.
    pub fn revoke_user(&self, user: &str, seconds: u64) {
        self.write(|inner| {
            let until = inner.revoked_users.entry(user.to_owned()).or_default();
            *until = seconds.max(*until);
        });
    }

    /// Whether a delegation of the user, issued at `seconds` since the epoch, still holds.
    ///
    /// # Errors
    ///
    /// [`RegistryError::SessionRevoked`].
    pub fn check_user(&self, user: &str, issued_at: u64) -> Result<(), RegistryError> {
        let revoked = self.read(|inner| {
            inner
                .revoked_users
                .get(user)
                .is_some_and(|until| issued_at <= *until)
        });
        if revoked {
            Err(RegistryError::SessionRevoked)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry {
        let registry = Registry::default();
        registry.add_class(AgentClass {
            name: "payments".into(),
            members: SpiffeIdPattern::parse("spiffe://enterprise.example/agents/advisor/*")
                .unwrap(),
            ceiling: Authority::unbounded(),
        });
        for (id, class) in [
            ("agents/advisor/payments", "payments"),
            ("agents/search", "payments"),
            ("agents/advisor/x", "none"),
        ] {
            registry.add_instance(AgentInstance {
                id: SpiffeId::parse(&format!("spiffe://enterprise.example/{id}")).unwrap(),
                class: class.into(),
                ceiling: Authority::unbounded(),
                status: Status::Active,
            });
        }
        registry
    }

    #[test]
    fn an_instance_has_to_be_active_and_of_its_class() {
        let registry = registry();
        let active = |id: &str| {
            registry
                .active_agent(SpiffeIdRef::parse(id).unwrap())
                .map(|agent| agent.class.name)
        };
        let payments = "spiffe://enterprise.example/agents/advisor/payments";
        assert_eq!(active(payments).as_deref(), Ok("payments"));
        assert_eq!(
            active("spiffe://enterprise.example/agents/search"),
            Err(RegistryError::ClassMismatch)
        );
        assert_eq!(
            active("spiffe://enterprise.example/agents/advisor/x"),
            Err(RegistryError::ClassMismatch)
        );
        assert_eq!(
            active("spiffe://enterprise.example/agents/advisor/y"),
            Err(RegistryError::UnknownAgent)
        );
        assert!(
            registry.quarantine(payments)
                && !registry.quarantine("spiffe://enterprise.example/none")
        );
        assert_eq!(active(payments), Err(RegistryError::Quarantined));
    }

    #[test]
    fn a_revocation_ends_what_was_issued_before_it() {
        let registry = registry();
        registry.revoke_user("u", 100);
        registry.revoke_user("u", 50);
        assert_eq!(
            registry.check_user("u", 100),
            Err(RegistryError::SessionRevoked)
        );
        assert_eq!(registry.check_user("u", 101), Ok(()));
        assert_eq!(registry.check_user("v", 1), Ok(()));
    }
}

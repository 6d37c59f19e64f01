//! Whether an agent may call a tool: Cedar policies over facts that other rooms have verified.

use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request, RestrictedExpression,
};

/// The facts of one call. Every one of them comes from a verified credential or the registry.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The agent's SPIFFE ID.
    pub agent: &'a str,
    /// The agent's class.
    pub class: &'a str,
    /// The tool's name.
    pub tool: &'a str,
    /// The tool's SPIFFE ID.
    pub tool_id: &'a str,
    /// The trust domain of the agent.
    pub trust_domain: &'a str,
    /// How the agent proved who it is.
    pub credential: &'a str,
}

/// A set of Cedar policies.
#[derive(Debug)]
pub struct Policy {
    policies: PolicySet,
    authorizer: Authorizer,
}

/// Why a policy cannot be used, or a call is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The text is not Cedar.
    #[error("the policy is not valid Cedar: {0}")]
    Syntax(Box<cedar_policy::ParseErrors>),
    /// A fact cannot be expressed in Cedar.
    #[error("a fact of the call cannot be expressed in Cedar")]
    Fact,
    /// No policy permits the call, or one forbids it.
    #[error("the policy does not permit this agent to call this tool")]
    Denied,
}

impl PolicyError {
    /// A stable name of the cause.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "policy_syntax",
            Self::Fact => "policy_fact",
            Self::Denied => "policy_denied",
        }
    }
}

impl Policy {
    /// Reads policies: `principal` is an `Agent`, `action` is `Action::"call"`, `resource` is a `Tool`,
    /// and `context` has `class`, `tool_id`, `trust_domain` and `credential`.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Syntax`].
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let policies = text
            .parse()
            .map_err(|errors| PolicyError::Syntax(Box::new(errors)))?;
        Ok(Self {
            policies,
            authorizer: Authorizer::new(),
        })
    }

    /// Decides on a call. A policy that fails to evaluate permits nothing.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Denied`], [`PolicyError::Fact`].
    pub fn check(&self, call: &Call<'_>) -> Result<(), PolicyError> {
        let uid = |kind: &str, id: &str| {
            let json = serde_json::json!({"type": kind, "id": id});
            EntityUid::from_json(json).map_err(|_| PolicyError::Fact)
        };
        let text = |value: &str| RestrictedExpression::new_string(value.to_owned());
        let context = Context::from_pairs([
            ("class".to_owned(), text(call.class)),
            ("tool_id".to_owned(), text(call.tool_id)),
            ("trust_domain".to_owned(), text(call.trust_domain)),
            ("credential".to_owned(), text(call.credential)),
        ])
        .map_err(|_| PolicyError::Fact)?;
        let (agent, action, tool) = (
            uid("Agent", call.agent)?,
            uid("Action", "call")?,
            uid("Tool", call.tool)?,
        );
        let request =
            Request::new(agent, action, tool, context, None).map_err(|_| PolicyError::Fact)?;
        let response = self
            .authorizer
            .is_authorized(&request, &self.policies, &Entities::empty());
        let failed = response.diagnostics().errors().next().is_some();
        match response.decision() {
            Decision::Allow if !failed => Ok(()),
            _ => Err(PolicyError::Denied),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Call<'_> = Call {
        agent: "spiffe://enterprise.example/agents/advisor/payments",
        class: "payments",
        tool: "refund",
        tool_id: "spiffe://enterprise.example/tools/payments/refund",
        trust_domain: "enterprise.example",
        credential: "x509-svid",
    };

    fn decide(policy: &str, call: &Call<'_>) -> bool {
        Policy::parse(policy).unwrap().check(call).is_ok()
    }

    #[test]
    fn only_what_is_permitted_and_not_forbidden() {
        let permit = r#"permit(principal, action == Action::"call", resource == Tool::"refund") when { context.class == "payments" };"#;
        assert!(decide(permit, &CALL));
        assert!(!decide("", &CALL));
        assert!(!decide(
            permit,
            &Call {
                tool: "export",
                ..CALL
            }
        ));
        assert!(!decide(
            permit,
            &Call {
                class: "research",
                ..CALL
            }
        ));
        let forbid = format!(
            "{permit} forbid(principal, action, resource) when {{ context.credential == \"jwt-svid\" }};"
        );
        assert!(decide(&forbid, &CALL));
        assert!(!decide(
            &forbid,
            &Call {
                credential: "jwt-svid",
                ..CALL
            }
        ));
        // A policy that cannot be evaluated fails closed, even beside one that permits.
        let broken = format!(
            "{permit} forbid(principal, action, resource) when {{ context.nothing == 1 }};"
        );
        assert!(!decide(&broken, &CALL));
        assert!(Policy::parse("permit(").is_err());
    }
}

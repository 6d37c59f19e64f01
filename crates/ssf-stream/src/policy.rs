//! What a receiver does about an event: a small table, not a program.

use ssf_set::caep::{ComplianceStatus, RiskLevel};
use ssf_set::{Event, SecurityEventToken, Subject};

/// Which events a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trigger {
    /// CAEP `session-revoked`.
    SessionRevoked,
    /// CAEP `risk-level-change` to this level or a higher one.
    RiskAtLeast(RiskLevel),
    /// CAEP `device-compliance-change` to `not-compliant`.
    DeviceNotCompliant,
    /// Any event of this type, compared exactly.
    EventType(String),
}

impl Trigger {
    fn fits(&self, event: &Event) -> bool {
        match (self, event) {
            (Self::SessionRevoked, Event::SessionRevoked(_)) => true,
            (Self::RiskAtLeast(level), Event::RiskLevelChange(event)) => {
                event.current_level >= *level
            }
            (Self::DeviceNotCompliant, Event::DeviceComplianceChange(event)) => {
                event.current_status == ComplianceStatus::NotCompliant
            }
            (Self::EventType(uri), event) => event.uri() == uri,
            _ => false,
        }
    }
}

/// What to do with the subject. Every action takes something away; no event gives anything back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// End what began before the event.
    Revoke,
    /// Leave the subject no more than these scopes.
    NarrowScope(Vec<String>),
    /// Break the link between the identifier and the account that it led to: somebody else may have it now. Whoever
    /// proves the identifier later does not reach that account.
    Unlink,
    /// Demand a fresh and stronger authentication.
    StepUp,
    /// Admit the one instance no longer.
    QuarantineInstance,
    /// Admit no workload whose SPIFFE ID fits the pattern, in the syntax of the crate `spiffe-id`.
    QuarantineNamespace(String),
}

/// Rules, in order; all that fit apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponsePolicy {
    rules: Vec<(Trigger, Action)>,
    broad_subjects: bool,
}

impl ResponsePolicy {
    /// A policy without rules.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule.
    #[must_use]
    pub fn with_rule(mut self, trigger: Trigger, action: Action) -> Self {
        self.rules.push((trigger, action));
        self
    }

    /// Acts also on complex subjects that name no user, device, session or application, such as a
    /// whole tenant.
    #[must_use]
    pub fn with_broad_subjects(mut self) -> Self {
        self.broad_subjects = true;
        self
    }

    /// What to do about a SET.
    pub fn decide(&self, set: &SecurityEventToken) -> Decision<'_> {
        let fits = |(trigger, action)| {
            let trigger: &Trigger = trigger;
            set.events()
                .iter()
                .any(|event| trigger.fits(event))
                .then_some(action)
        };
        let actions: Vec<&Action> = self
            .rules
            .iter()
            .filter_map(|(trigger, action)| fits((trigger, action)))
            .collect();
        if actions.is_empty() {
            return Decision::Nothing;
        }
        let broad = match set.subject() {
            Some(Subject::Complex(subject)) => subject.is_broad(),
            Some(_) => false,
            None => true,
        };
        if broad && !self.broad_subjects {
            Decision::TooBroad
        } else {
            Decision::Act(actions)
        }
    }
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an event for which nothing is done is told to the operator, not dropped"]
#[non_exhaustive]
pub enum Decision<'a> {
    /// No rule fits: the event is not handled. Tell the operator when it is of a type that needs an answer.
    Nothing,
    /// Rules fit, and the subject is one that the policy does not act upon: tell the operator.
    TooBroad,
    /// Do all of these.
    Act(Vec<&'a Action>),
}

//! `risk-level-change`.

use serde_json::{Map, Value};

use crate::caep::common::{Common, vocabulary};
use crate::caep::session::put;
use crate::error::{Error, Problem};
use crate::node::Object;
use crate::payload::Members;

vocabulary! {
    /// A level of risk, ordered. A closed vocabulary: an unknown level is an error and never a low one.
    RiskLevel {
        /// Low.
        Low = "LOW",
        /// Medium.
        Medium = "MEDIUM",
        /// High.
        High = "HIGH",
    }
}

/// `risk-level-change`: the assessed risk of the subject changed.
///
/// The levels decide. An event that says `LOW` is no reason to give back what an earlier one took.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RiskLevelChange {
    /// The common claims.
    pub common: Common,
    /// Why, in a free vocabulary. Untrusted text.
    pub risk_reason: Option<String>,
    /// What the risk is about: `USER`, `DEVICE`, `SESSION`, `TENANT`, `ORG_UNIT`, `GROUP`, or another.
    pub principal: String,
    /// The level now.
    pub current_level: RiskLevel,
    /// The level before. `None` means that the transmitter does not know it.
    pub previous_level: Option<RiskLevel>,
}

impl RiskLevelChange {
    /// The event type.
    pub const URI: &'static str =
        "https://schemas.openid.net/secevent/caep/event-type/risk-level-change";

    /// A change of the risk of a principal (such as `USER`).
    ///
    /// # Errors
    ///
    /// [`Error::Event`] when `principal` is empty.
    pub fn new(common: Common, principal: &str, current_level: RiskLevel) -> Result<Self, Error> {
        if principal.is_empty() {
            return Err(Error::Event {
                event: "risk-level-change",
                member: "principal",
                problem: Problem::Empty,
            });
        }
        Ok(Self {
            common,
            risk_reason: None,
            principal: principal.to_owned(),
            current_level,
            previous_level: None,
        })
    }

    /// Sets the level before.
    #[must_use]
    pub fn with_previous_level(mut self, level: RiskLevel) -> Self {
        self.previous_level = Some(level);
        self
    }

    /// Sets the reason, such as `PASSWORD_FOUND_IN_DATA_BREACH`.
    #[must_use]
    pub fn with_risk_reason(mut self, reason: impl Into<String>) -> Self {
        self.risk_reason = Some(reason.into());
        self
    }

    pub(crate) fn read(payload: Object<'_>) -> Result<Self, Error> {
        let mut members = Members::new("risk-level-change", payload);
        Ok(Self {
            risk_reason: members.text("risk_reason")?,
            principal: members.required_text("principal")?,
            current_level: members.required_closed("current_level", RiskLevel::from_name)?,
            previous_level: members.closed("previous_level", RiskLevel::from_name)?,
            common: Common::take(members)?,
        })
    }

    pub(crate) fn to_payload(&self) -> Map<String, Value> {
        let mut payload = self.common.to_payload();
        put(&mut payload, "risk_reason", self.risk_reason.as_deref());
        put(&mut payload, "principal", Some(&self.principal));
        put(
            &mut payload,
            "current_level",
            Some(self.current_level.as_str()),
        );
        put(
            &mut payload,
            "previous_level",
            self.previous_level.map(RiskLevel::as_str),
        );
        payload
    }
}

//! `act` of an access token (agents draft sections 3.2.1 and 3.2.2).

use serde_json::Value;

use super::FoundSubject;
use crate::actor::Actor;
use crate::error::Error;

/// By which claim of a verified access token its agent is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentRule {
    /// `client_id`, or `clientId`. An `act` that names another is left aside; of one that names the client, its history is kept.
    #[default]
    Client,
    /// The same, and an `act` that names another agent refuses the token.
    ClientOrRefuse,
    /// `act` of these issuers, which are trusted to name actors; else `client_id`.
    ActOf(Vec<String>),
}

/// The agent that a verified access token names; `None` where it names no client.
///
/// # Errors
///
/// [`Error::SubjectToken`] for two names of the client that differ, and as the rule says; [`Error::MalformedActor`].
pub fn agent_of(found: &FoundSubject, rule: &AgentRule) -> Result<Option<Actor>, Error> {
    let client = match (found.claims.get("client_id"), found.claims.get("clientId")) {
        (Some(client), Some(alias)) if client != alias => {
            return Err(Error::SubjectToken {
                what: "`client_id` and `clientId` differ",
            });
        }
        (client, alias) => client.or(alias),
    };
    let client = client.map(read).transpose()?;
    let act = found.claims.get("act").map(read).transpose()?;
    match (rule, act) {
        (AgentRule::ActOf(issuers), Some(act)) if issuers.contains(&found.issuer) => Ok(Some(act)),
        (AgentRule::ClientOrRefuse, Some(act)) => {
            let differs = |client: &Actor| client.party().subject() != act.party().subject();
            if client.as_ref().is_none_or(differs) {
                return Err(Error::SubjectToken {
                    what: "`act` is not the client",
                });
            }
            Ok(client.map(|client| client.with_history_of(&act)))
        }
        (_, Some(act)) => Ok(client.map(|client| client.with_history_of(&act))),
        (_, None) => Ok(client),
    }
}

/// A name, or an object as it is.
fn read(value: &Value) -> Result<Actor, Error> {
    match value {
        Value::String(name) => Actor::read(serde_json::json!({ "sub": name })),
        other => Actor::read(other),
    }
}

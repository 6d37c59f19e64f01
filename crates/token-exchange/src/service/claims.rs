//! What a token says that is issued.

use std::sync::Arc;

use jose_x509::jwt::Confirmation;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::act::{ActorChain, MayAct};
use crate::authority::ScopeSet;

/// The claims of a token that is issued. They serialize as the JSON object that a JWT has.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TokenClaims {
    /// This server.
    #[serde(serialize_with = "text")]
    pub iss: Arc<str>,
    /// On whose behalf.
    #[serde(serialize_with = "text")]
    pub sub: Arc<str>,
    /// For whom: a text if there is one, an array for several.
    #[serde(serialize_with = "one_or_many")]
    pub aud: Vec<String>,
    /// When it was issued, in seconds since the epoch.
    pub iat: u64,
    /// When it ends, in seconds since the epoch.
    pub exp: u64,
    /// Its name.
    #[serde(serialize_with = "text")]
    pub jti: Arc<str>,
    /// The client that it was issued to.
    #[serde(serialize_with = "text")]
    pub client_id: Arc<str>,
    /// What for.
    pub scope: ScopeSet,
    /// Who acts.
    pub act: ActorChain,
    /// Who may take over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_act: Option<MayAct>,
    /// What it is bound to.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "cnf")]
    pub cnf: Option<Confirmation>,
    /// What for, in detail: a JSON array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_details: Option<Value>,
    /// What all tokens out of one source have in common.
    #[serde(serialize_with = "text")]
    pub grant_id: Arc<str>,
    /// Those of the [rules](crate::ExchangeRules::claims), none of which is one of the others.
    #[serde(flatten)]
    pub further: Map<String, Value>,
}

impl TokenClaims {
    /// The claims as JSON object, for [`Introspection::of`](crate::Introspection::of).
    #[must_use]
    pub fn to_map(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(members)) => members,
            // Texts, numbers and JSON values under texts always are an object.
            _ => Map::new(),
        }
    }
}

fn text<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

fn one_or_many<S: Serializer>(audience: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match audience {
        [one] => serializer.serialize_str(one),
        several => several.serialize(serializer),
    }
}

fn cnf<S: Serializer>(key: &Option<Confirmation>, serializer: S) -> Result<S::Ok, S::Error> {
    key.as_ref()
        .map(Confirmation::to_value)
        .serialize(serializer)
}

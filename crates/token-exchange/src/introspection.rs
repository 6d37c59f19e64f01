//! What a resource server is told of a token (RFC 7662 with the members of RFC 8693, RFC 8707 and RFC 9396).

use std::time::Duration;

use http::{Response, StatusCode};
use pki_types::UnixTime;
use serde_json::{Map, Value};

use crate::authority::DetailTypes;
use crate::error::json_response;

/// The members that are told, besides `active` and `authorization_details`.
const TOLD: [&str; 13] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "client_id",
    "scope",
    "act",
    "may_act",
    "cnf",
    "grant_id",
];

/// Whether this `nbf` is a time that has come: a fraction of a second is waited for, and what is no number never comes.
fn has_begun(start: &Value, now: UnixTime) -> bool {
    let now = Duration::from_secs(now.as_secs()).as_secs_f64();
    start.as_f64().is_some_and(|start| start <= now)
}

/// An answer of an introspection endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Introspection(Map<String, Value>);

impl Introspection {
    /// The answer about a token that is not valid, not known, or not for the one who asks.
    #[must_use]
    pub fn inactive() -> Self {
        Self(Map::from_iter([("active".to_owned(), false.into())]))
    }

    /// The answer for the resource server with these names (its indicator, and what `aud` calls it) about a token with
    /// these verified or stored claims. A token that is not for it, has ended, or has not begun is inactive, and so are one
    /// whose `jti` or `grant_id` `is_revoked` knows and one whose `exp` or `nbf` cannot be read. Details are those at its
    /// location; of a malformed claim, or a type that is not registered, there are none.
    #[must_use]
    pub fn of(
        claims: &Map<String, Value>,
        names: &[&str],
        types: &DetailTypes,
        is_revoked: impl Fn(&str) -> bool,
        now: UnixTime,
    ) -> Self {
        let is_for = match claims.get("aud") {
            Some(Value::String(one)) => names.contains(&one.as_str()),
            Some(Value::Array(several)) => several
                .iter()
                .filter_map(Value::as_str)
                .any(|one| names.contains(&one)),
            _ => false,
        };
        let seconds = |name: &str| claims.get(name).and_then(Value::as_u64);
        let in_time = seconds("exp").is_some_and(|end| now.as_secs() < end)
            && claims.get("nbf").is_none_or(|start| has_begun(start, now));
        let revoked = ["jti", "grant_id"]
            .iter()
            .filter_map(|name| claims.get(*name)?.as_str())
            .any(is_revoked);
        if !is_for || !in_time || revoked {
            return Self::inactive();
        }
        let mut members = Map::from_iter([("active".to_owned(), true.into())]);
        for name in TOLD {
            if let Some(value) = claims.get(name) {
                members.insert(name.to_owned(), value.clone());
            }
        }
        if let Some(details) = claims
            .get("authorization_details")
            .and_then(|details| types.grant(details).ok())
        {
            let here = details.at_locations(names);
            if !here.as_slice().is_empty() {
                members.insert("authorization_details".to_owned(), here.to_value());
            }
        }
        Self(members)
    }

    /// Whether the token is good.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.0.get("active") == Some(&Value::Bool(true))
    }

    /// The members of the answer.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The HTTP response, not to be stored by anybody.
    #[must_use]
    pub fn to_response(&self) -> Response<Vec<u8>> {
        let body = Value::Object(self.0.clone()).to_string();
        json_response(StatusCode::OK, body.into_bytes())
    }
}

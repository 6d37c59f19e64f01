//! What is to be kept of every exchange.

use std::sync::Arc;

use pki_types::UnixTime;
use serde_json::{Value, json};

use crate::act::Party;
use crate::authority::ScopeSet;

/// One exchange, granted or refused: enough to prove each hop, and no token, and nothing that only the client stated but
/// its id.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuditRecord {
    /// When.
    pub time: UnixTime,
    /// The client, unless nobody asked.
    pub client_id: Option<Arc<str>>,
    /// The subject, once its token was verified.
    pub subject: Option<Party>,
    /// The actor, once it was known.
    pub actor: Option<Party>,
    /// `jti` of the subject token.
    pub subject_id: Option<Arc<str>>,
    /// `jti` of the actor token.
    pub actor_id: Option<Arc<str>>,
    /// `jti` of what was issued; nothing for an exchange that was refused.
    pub issued_id: Option<Arc<str>>,
    /// The grant that all tokens out of one source share.
    pub grant_id: Option<Arc<str>>,
    /// The targets, by their registered identifiers.
    pub targets: Vec<String>,
    /// What was granted.
    pub scopes: ScopeSet,
    /// The details that were granted: a JSON array.
    pub authorization_details: Option<Value>,
    /// Nothing for an exchange that was granted, or else [`Error::code`](crate::Error::code).
    pub refused: Option<&'static str>,
    /// The version of the rules.
    pub policy: String,
}

impl AuditRecord {
    pub(super) fn new(time: UnixTime, policy: &str) -> Self {
        Self {
            time,
            client_id: None,
            subject: None,
            actor: None,
            subject_id: None,
            actor_id: None,
            issued_id: None,
            grant_id: None,
            targets: Vec::new(),
            scopes: ScopeSet::default(),
            authorization_details: None,
            refused: None,
            policy: policy.to_owned(),
        }
    }

    /// One line for a log. What comes from tokens and requests is in JSON strings, with control characters, `<`, `>` and
    /// `&` escaped, so that it is data wherever the line ends up.
    #[must_use]
    pub fn to_line(&self) -> String {
        let party = |party: &Option<Party>| {
            party
                .as_ref()
                .map(|party| json!({"iss": party.issuer(), "sub": party.subject()}))
        };
        let line = json!({
            "time": self.time.as_secs(),
            "client_id": self.client_id.as_deref(),
            "subject": party(&self.subject),
            "actor": party(&self.actor),
            "subject_jti": self.subject_id.as_deref(),
            "actor_jti": self.actor_id.as_deref(),
            "jti": self.issued_id.as_deref(),
            "grant_id": self.grant_id.as_deref(),
            "targets": self.targets,
            "scope": self.scopes.as_str(),
            "authorization_details": self.authorization_details,
            "refused": self.refused,
            "policy": self.policy,
        });
        let mut text = String::new();
        for char in line.to_string().chars() {
            match char {
                '<' => text.push_str("\\u003c"),
                '>' => text.push_str("\\u003e"),
                '&' => text.push_str("\\u0026"),
                // Line ends of Unicode, which JSON allows in strings.
                '\u{85}' => text.push_str("\\u0085"),
                '\u{2028}' => text.push_str("\\u2028"),
                '\u{2029}' => text.push_str("\\u2029"),
                '\u{7f}' => text.push_str("\\u007f"),
                other => text.push(other),
            }
        }
        text
    }
}

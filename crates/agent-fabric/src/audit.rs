//! The audit log: append-only, hash-chained, from user to tool.
//!
//! Each record carries the SHA-256 of its predecessor, so that nobody can change, drop or reorder a
//! record without breaking every later one. The hash of the last record is what to anchor elsewhere.

use std::sync::{Mutex, PoisonError};

use jose_x509::{CryptoProvider, base64url, json};
use pki_types::UnixTime;
use serde::{Deserialize, Serialize};
use txn_token::TxnToken;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It was allowed.
    Allowed,
    /// It was refused.
    Refused,
    /// Something took note, without a decision.
    Noted,
}

/// What happened, without tokens and keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The component that writes: `broker`, `gateway`, `tool:refund`.
    pub component: String,
    /// What was done: `token.issue`, `tool.call`, `signal.received`.
    pub action: String,
    /// The transaction, once there is one.
    pub txn: Option<String>,
    /// On whose behalf.
    pub user: Option<String>,
    /// Which agent acts: its class in the registry.
    pub agent: Option<String>,
    /// Which instance of it: its SPIFFE ID.
    pub instance: Option<String>,
    /// Who acts, current actor first.
    pub actors: Vec<String>,
    /// The tool that it is about.
    pub tool: Option<String>,
    /// What the agent says that it is about: a text that nobody verified.
    pub unverified_intent: Option<String>,
    /// To what.
    pub target: Option<String>,
    /// Which kind of credential was shown: `x509-svid`, `jwt-svid`, `wit-svid+wpt`, `txn-token`.
    pub credential: Option<String>,
    /// How it ended.
    pub decision: Decision,
    /// Why, as a stable code.
    pub reason: Option<String>,
}

impl Event {
    /// An event of a component.
    #[must_use]
    pub fn new(component: &str, action: &str, decision: Decision) -> Self {
        Self {
            component: component.to_owned(),
            action: action.to_owned(),
            txn: None,
            user: None,
            agent: None,
            instance: None,
            actors: Vec::new(),
            tool: None,
            unverified_intent: None,
            target: None,
            credential: None,
            decision,
            reason: None,
        }
    }

    /// Sets the transaction.
    #[must_use]
    pub fn txn(mut self, txn: impl Into<String>) -> Self {
        self.txn = Some(txn.into());
        self
    }

    /// Sets the user.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Sets the actors, the current one first.
    #[must_use]
    pub fn actors<S: Into<String>>(mut self, actors: impl IntoIterator<Item = S>) -> Self {
        self.actors = actors.into_iter().map(Into::into).collect();
        self
    }

    /// Sets which agent acts, by its class and the SPIFFE ID of its instance.
    #[must_use]
    pub fn agent(mut self, agent: impl Into<String>, instance: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self.instance = Some(instance.into());
        self
    }

    /// Takes over what a verified token says: transaction, user, agents and intent, and the tool if it names one alone.
    #[must_use]
    pub fn token(mut self, token: &TxnToken) -> Self {
        self.txn = Some(token.txn().to_owned());
        self.user = Some(token.subject().to_owned());
        let context = token.agentic_context();
        self.agent = context.and_then(|context| context.agent_type.clone());
        self.unverified_intent = context.and_then(|context| context.intent.clone());
        let mut actions = context
            .and_then(|context| context.allowed_actions.as_ref())
            .into_iter()
            .flatten();
        self.tool = match (actions.next(), actions.next()) {
            (Some(tool), None) => Some(tool.clone()),
            _ => None,
        };
        let path = token.path();
        self.actors = path.into_iter().rev().map(str::to_owned).collect();
        self.instance = self.actors.first().cloned();
        self
    }

    /// Sets the target.
    #[must_use]
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Sets the kind of credential.
    #[must_use]
    pub fn credential(mut self, credential: &str) -> Self {
        self.credential = Some(credential.to_owned());
        self
    }

    /// Sets the reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

/// Longest text of a peer in the log, in bytes.
const MAX_TEXT: usize = 1024;
/// Shortest part of a token that is searched for.
const MIN_PART: usize = 16;

/// The text of a peer as it may stand in the log: cut to 1024 bytes, without control characters, and without a word if it has
/// one of the tokens that the peer showed, or a segment of one.
#[must_use]
pub fn clean(text: &str, shown: &[&str]) -> String {
    let segments = shown.iter().flat_map(|token| token.split('.'));
    let mut parts = shown
        .iter()
        .copied()
        .chain(segments)
        .filter(|part| part.len() >= MIN_PART);
    if parts.any(|part| text.contains(part)) {
        return "(withheld: it has a token in it)".to_owned();
    }
    let mut kept = String::new();
    for character in text.chars().filter(|character| !character.is_control()) {
        if kept.len().saturating_add(character.len_utf8()) > MAX_TEXT {
            break;
        }
        kept.push(character);
    }
    kept
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Position, from 0.
    pub seq: u64,
    /// Seconds since the epoch.
    pub time: u64,
    /// What happened.
    pub event: Event,
    /// The hash of the record before; 43 `A`s for the first.
    pub previous: String,
    /// The hash of everything above.
    pub hash: String,
}

/// Why a log is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// A line is not a record.
    #[error("line {seq} of the audit log is not a record")]
    Malformed {
        /// The line, from 0.
        seq: u64,
    },
    /// A record was changed.
    #[error("record {seq} of the audit log was altered: its hash does not fit its content")]
    Altered {
        /// The record.
        seq: u64,
    },
    /// A record is missing, repeated or out of order.
    #[error(
        "record {seq} of the audit log does not follow its predecessor: one was dropped, added or moved"
    )]
    Broken {
        /// The record.
        seq: u64,
    },
}

impl AuditError {
    /// A stable name of the cause.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed { .. } => "audit_malformed",
            Self::Altered { .. } => "audit_record_altered",
            Self::Broken { .. } => "audit_chain_broken",
        }
    }
}

/// An append-only log in memory.
#[derive(Debug)]
pub struct AuditLog {
    provider: CryptoProvider,
    records: Mutex<Vec<Record>>,
}

const START: [u8; 32] = [0; 32];

impl AuditLog {
    /// An empty log.
    #[must_use]
    pub fn new(provider: CryptoProvider) -> Self {
        Self {
            provider,
            records: Mutex::default(),
        }
    }

    /// Appends an event.
    pub fn append(&self, event: Event, now: UnixTime) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = records
            .last()
            .map_or_else(|| base64url::encode(&START), |last| last.hash.clone());
        let seq = u64::try_from(records.len()).unwrap_or(u64::MAX);
        let mut record = Record {
            seq,
            time: now.as_secs(),
            event,
            previous,
            hash: String::new(),
        };
        record.hash = hash(&self.provider, &record);
        records.push(record);
    }

    /// A copy of the records.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The log as JSON lines.
    #[must_use]
    pub fn to_lines(&self) -> String {
        let lines = self
            .records()
            .into_iter()
            .filter_map(|record| serde_json::to_string(&record).ok());
        lines.map(|line| line + "\n").collect()
    }
}

/// Reads a log and checks its chain.
///
/// # Errors
///
/// [`AuditError`] with the first record that does not fit.
pub fn read_verified(provider: &CryptoProvider, lines: &str) -> Result<Vec<Record>, AuditError> {
    let mut records: Vec<Record> = Vec::new();
    for (line, seq) in lines.lines().zip(0_u64..) {
        let record: Record = json::from_slice(line.as_bytes(), &json::Limits::CLAIMS)
            .map_err(|_| AuditError::Malformed { seq })?;
        if record.hash != hash(provider, &record) {
            return Err(AuditError::Altered { seq });
        }
        let previous = records
            .last()
            .map_or_else(|| base64url::encode(&START), |last| last.hash.clone());
        if record.seq != seq || record.previous != previous {
            return Err(AuditError::Broken { seq });
        }
        records.push(record);
    }
    Ok(records)
}

/// The hash of a record, over its canonical JSON without the hash itself.
fn hash(provider: &CryptoProvider, record: &Record) -> String {
    let content = (record.seq, record.time, &record.event, &record.previous);
    base64url::encode(&provider.sha256(&serde_json::to_vec(&content).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use jose_x509::provider::ring;

    use super::*;

    fn log() -> String {
        let log = AuditLog::new(ring::provider());
        for txn in ["t1", "t1", "t2"] {
            log.append(
                Event::new("gateway", "tool.call", Decision::Allowed)
                    .txn(txn)
                    .user("u"),
                crate::net::now(),
            );
        }
        log.to_lines()
    }

    fn check(lines: &str) -> Result<usize, AuditError> {
        read_verified(&ring::provider(), lines).map(|records| records.len())
    }

    #[test]
    fn texts_of_peers_are_short_and_hold_no_token() {
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c2VyLTEifQ.c2lnbmF0dXJlLW9mLWl0";
        assert_eq!(clean("refund 84729", &[token]), "refund 84729");
        for text in [token, "see eyJzdWIiOiJ1c2VyLTEifQ!", "c2lnbmF0dXJlLW9mLWl0"] {
            assert!(
                clean(text, &["x", token]).starts_with("(withheld"),
                "{text}"
            );
            assert_eq!(clean(text, &[]), text);
        }
        assert_eq!(clean("a\u{1b}[2Jb\n", &[]), "a[2Jb");
        assert_eq!(clean(&"é".repeat(600), &[]).len(), 1024);
        assert_eq!(clean(&format!("x{}", "é".repeat(600)), &[]).len(), 1023);
    }

    #[test]
    fn every_change_of_a_record_is_noticed() {
        let good = log();
        assert_eq!(check(&good), Ok(3));
        assert_eq!(
            check(&good.replacen("\"u\"", "\"v\"", 1)),
            Err(AuditError::Altered { seq: 0 })
        );
        assert_eq!(
            check(&good.replacen("allowed", "refused", 1)),
            Err(AuditError::Altered { seq: 0 })
        );
        let lines: Vec<&str> = good.lines().collect();
        assert_eq!(
            check(&[lines[0], lines[2]].join("\n")),
            Err(AuditError::Broken { seq: 1 })
        );
        assert_eq!(
            check(&[lines[1], lines[0], lines[2]].join("\n")),
            Err(AuditError::Broken { seq: 0 })
        );
        assert_eq!(
            check(&[lines[0], lines[0]].join("\n")),
            Err(AuditError::Broken { seq: 1 })
        );
        assert_eq!(check("{}"), Err(AuditError::Malformed { seq: 0 }));
    }
}

//! What was found.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// A check and the clause that asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// An id of `docs/conformance`.
    pub requirement: &'static str,
    /// What it asks for, in a few words.
    pub text: &'static str,
    /// Whether it held.
    pub ok: bool,
}

/// Why the thing is refused or malformed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A stable code.
    pub code: String,
    /// An id of `docs/conformance`.
    pub requirement: Option<&'static str>,
    /// What is wrong and how to fix it, without repeating the thing.
    pub message: String,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What it is.
    pub kind: String,
    /// `None` when nothing was verified.
    pub verified: Option<bool>,
    /// Whom it is about.
    pub subject: Option<String>,
    /// Decoded header of a token.
    pub header: Option<Value>,
    /// Decoded claims of a token.
    pub claims: Option<Value>,
    /// Anything else, decoded.
    pub document: Option<Value>,
    /// The checks that were made.
    pub checks: Vec<Check>,
    /// Why it is refused.
    pub error: Option<Refusal>,
    /// What else there is to know, such as what was not checked.
    pub notes: Vec<String>,
}

/// Kinds whose content is claims.
const TOKENS: [&str; 18] = [
    "jwt",
    "jwt-svid",
    "wit",
    "wit-svid",
    "wpt",
    "txn-token",
    "access-token",
    "set",
    "rfc8417-set",
    "client-assertion",
    "id-jag",
    "dpop-proof",
    "client-attestation",
    "client-attestation-pop",
    "logout-token",
    "token",
    "jwe",
    "jws",
];

impl Report {
    /// Whether the thing was refused or is malformed.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.error.is_some()
    }

    /// The report as one JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let checks: Vec<Value> = self
            .checks
            .iter()
            .map(|check| json!({"requirement": check.requirement, "ok": check.ok}))
            .collect();
        let error = self.error.as_ref().map(|error| {
            json!({"code": error.code, "requirement": error.requirement, "message": error.message})
        });
        let mut object = json!({
            "kind": self.kind, "verified": self.verified, "subject": self.subject, "checks": checks, "error": error,
        });
        if let Some(members) = object.as_object_mut() {
            // Exactly one of the two is there, with null if nothing could be decoded.
            let (name, content) = match (&self.claims, &self.document) {
                (Some(claims), _) => ("claims", claims.clone()),
                (None, Some(document)) => ("document", document.clone()),
                (None, None) if TOKENS.contains(&self.kind.as_str()) => ("claims", Value::Null),
                (None, None) => ("document", Value::Null),
            };
            members.insert(name.to_owned(), content);
            if let Some(header) = &self.header {
                members.insert("header".to_owned(), header.clone());
            }
            if !self.notes.is_empty() {
                members.insert("notes".to_owned(), self.notes.clone().into());
            }
        }
        object
    }

    /// The report for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{}: ", self.kind);
        text.push_str(match (self.verified, &self.error) {
            (_, Some(_)) => "REFUSED",
            (Some(true), None) => "verified",
            (Some(false), None) => "not verified",
            (None, None) => "decoded, NOT verified: anybody can have written this",
        });
        text.push('\n');
        if let Some(subject) = &self.subject {
            let _ = writeln!(text, "subject: {}", subject.escape_debug());
        }
        for check in &self.checks {
            let _ = writeln!(
                text,
                "  {} {:<24} {}",
                if check.ok { "ok  " } else { "FAIL" },
                check.requirement,
                check.text
            );
        }
        if let Some(error) = &self.error {
            let clause = error
                .requirement
                .map(|id| format!(" [{id}]"))
                .unwrap_or_default();
            let _ = writeln!(text, "{}{clause}: {}", error.code, error.message);
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        if self.verified == Some(false) && (self.claims.is_some() || self.document.is_some()) {
            text.push_str("what it says, NOT verified: anybody can have written this\n");
        }
        for (name, value) in [
            ("header", &self.header),
            ("claims", &self.claims),
            ("document", &self.document),
        ] {
            if let Some(value) = value {
                let _ = writeln!(text, "{name}: {}", printable(value));
            }
        }
        text
    }
}

/// Indented JSON in which nothing can move the cursor, change colours or reverse the text of a terminal.
fn printable(value: &Value) -> String {
    let mut text = String::new();
    for char in serde_json::to_string_pretty(value)
        .unwrap_or_default()
        .chars()
    {
        let hidden = matches!(char, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if hidden || (char.is_control() && char != '\n') {
            let _ = write!(text, "\\u{:04x}", u32::from(char));
        } else {
            text.push(char);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_cannot_steer_a_terminal() {
        let value = json!({"a\u{9b}b": "x\u{202e}y\u{1b}[31m\u{feff}\u{85}é"});
        let text = printable(&value);
        assert!(
            text.chars().all(|char| char == '\n' || !char.is_control())
                && !text.contains('\u{202e}')
        );
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}

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
    /// Decoded claims of a token.
    pub claims: Option<Value>,
    /// Anything else, decoded.
    pub document: Option<Value>,
    /// The checks that were made.
    pub checks: Vec<Check>,
    /// Why it is refused.
    pub error: Option<Refusal>,
}

impl Report {
    /// Whether the thing was refused or is malformed.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.error.is_some()
    }

    /// The report as one JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let checks: Vec<Value> =
            self.checks.iter().map(|check| json!({"requirement": check.requirement, "ok": check.ok})).collect();
        let error = self.error.as_ref().map(|error| {
            json!({"code": error.code, "requirement": error.requirement, "message": error.message})
        });
        let mut object = json!({
            "kind": self.kind, "verified": self.verified, "subject": self.subject, "checks": checks, "error": error,
        });
        if let (Some(members), Some(claims)) = (object.as_object_mut(), &self.claims) {
            members.insert("claims".to_owned(), claims.clone());
        }
        if let (Some(members), Some(document)) = (object.as_object_mut(), &self.document) {
            members.insert("document".to_owned(), document.clone());
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
            let _ = writeln!(text, "subject: {subject}");
        }
        for check in &self.checks {
            let _ = writeln!(text, "  {} {:<24} {}", if check.ok { "ok  " } else { "FAIL" }, check.requirement, check.text);
        }
        if let Some(error) = &self.error {
            let clause = error.requirement.map(|id| format!(" [{id}]")).unwrap_or_default();
            let _ = writeln!(text, "{}{clause}: {}", error.code, error.message);
        }
        for value in [&self.claims, &self.document].into_iter().flatten() {
            let _ = writeln!(text, "{}", serde_json::to_string_pretty(value).unwrap_or_default());
        }
        text
    }
}

//! What the demo prints: for people, or one JSON object per line.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Allowed or done.
    Done,
    /// Refused, as expected of an attack or of a step that shows a refusal.
    Refused,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(super) struct Line<'a> {
    /// Who did it.
    pub(super) who: &'a str,
    /// To whom.
    pub(super) to: &'a str,
    /// With which credential.
    pub(super) credential: &'a str,
    /// What was checked, or which error refused it.
    pub(super) check: &'a str,
    /// How it ended.
    pub(super) outcome: Outcome,
    /// How long it took.
    pub(super) took: Duration,
}

/// Collects and prints.
#[derive(Debug)]
pub(super) struct Report {
    json: bool,
    verbose: bool,
    started: Instant,
    steps: u32,
    attacks: u32,
    refused: u32,
    failures: Vec<String>,
    revocation: Option<Duration>,
}

impl Report {
    /// An empty report.
    #[must_use]
    pub(super) fn new(json: bool, verbose: bool) -> Self {
        Self {
            json,
            verbose,
            started: Instant::now(),
            steps: 0,
            attacks: 0,
            refused: 0,
            failures: Vec::new(),
            revocation: None,
        }
    }

    /// Begins a step of the story.
    pub(super) fn step(&mut self, title: &str) {
        self.steps += 1;
        let number = self.steps;
        self.print(&json!({"step": number, "title": title}), || {
            format!("\n{number:>2}  {title}")
        });
    }

    /// Prints a heading that is no step.
    pub(super) fn title(&mut self, title: &str) {
        self.print(&json!({"title": title}), || format!("\n{title}"));
    }

    /// Tells one thing that happened.
    pub(super) fn line(&mut self, line: &Line<'_>) {
        let outcome = match line.outcome {
            Outcome::Done => "ok",
            Outcome::Refused => "refused",
        };
        let step = self.steps;
        let value = json!({
            "step": step, "who": line.who, "to": line.to, "credential": line.credential, "check": line.check,
            "decision": outcome, "us": u64::try_from(line.took.as_micros()).unwrap_or(u64::MAX),
        });
        self.print(&value, || {
            // What is told after the fact has no time of its own.
            let took = if line.took.is_zero() {
                String::new()
            } else {
                format!(" ({})", millis(line.took))
            };
            format!(
                "    {} → {} [{}]\n      {outcome}: {}{took}",
                line.who, line.to, line.credential, line.check
            )
        });
    }

    /// Shows a decoded token, only with `-v`.
    pub(super) fn token(&mut self, name: &str, header: &Value, claims: &Value) {
        if self.verbose {
            let step = self.steps;
            self.print(
                &json!({"step": step, "token": name, "header": header, "claims": claims}),
                || format!("      {name}\n        {header}\n        {claims}"),
            );
        }
    }

    /// Tells of an attack, which has to have been refused with the given code.
    pub(super) fn attack(&mut self, name: &str, expected: &str, got: Result<(), String>) {
        self.attacks += 1;
        let (refused, reason) = match got {
            Ok(()) => (false, "accepted".to_owned()),
            Err(code) => (code == expected, code),
        };
        if refused {
            self.refused += 1;
        } else {
            self.failures.push(format!(
                "attack '{name}': expected {expected}, got {reason}"
            ));
        }
        let value = json!({"attack": name, "refused": refused, "error": reason});
        self.print(&value, || {
            format!(
                "    {} {name}: {reason}",
                if refused { "refused " } else { "NOT REFUSED" }
            )
        });
    }

    /// Notes the time from a signal to the refusal that follows from it.
    pub(super) fn revocation(&mut self, took: Duration) {
        self.revocation = Some(self.revocation.map_or(took, |longest| longest.max(took)));
    }

    /// Notes that an expectation did not hold.
    pub(super) fn failure(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.print(&json!({"failure": what}), || format!("    FAILED: {what}"));
        self.failures.push(what);
    }

    /// Prints the end; tells whether every expectation held.
    pub(super) fn finish(&mut self) -> bool {
        let ok =
            self.failures.is_empty() && self.attacks == self.refused && self.revocation.is_some();
        let (steps, attacks, refused) = (self.steps, self.attacks, self.refused);
        let revocation = self.revocation.unwrap_or_default();
        let duration = self.started.elapsed();
        let value = json!({
            "ok": ok, "steps": steps, "attacks": attacks, "refused": refused,
            "revocation_ms": ms(revocation), "duration_ms": ms(duration),
        });
        self.print(&value, || {
            format!(
                "\n{}: {steps} steps, {refused} of {attacks} attacks refused, refusal {} after the signal, {} in all",
                if ok { "All as expected" } else { "NOT as expected" },
                millis(revocation),
                millis(duration)
            )
        });
        for failure in std::mem::take(&mut self.failures) {
            eprintln!("failed: {failure}");
        }
        ok
    }

    fn print(&self, value: &Value, text: impl FnOnce() -> String) {
        let line = if self.json { value.to_string() } else { text() };
        // A reader that went away is no reason to stop: the exit code still tells.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

/// Milliseconds with three decimals.
fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

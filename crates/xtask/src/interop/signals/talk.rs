//! A conversation with a script: JSON lines on its standard input and output.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::interop::report::Tally;

/// A running script. It ends with the conversation.
pub(super) struct Talk {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Talk {
    pub(super) fn start(python: &Path, script: &Path) -> Result<Self> {
        let mut child = Command::new(python)
            .arg(script)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONWARNINGS", "ignore")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", script.display()))?;
        let input = child.stdin.take().context("no standard input")?;
        let output = child.stdout.take().context("no standard output")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    pub(super) fn say(&mut self, value: &Value) -> Result<()> {
        writeln!(self.input, "{value}")?;
        Ok(self.input.flush()?)
    }

    /// What the script says next; what it found wrong is an error.
    pub(super) fn hear(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let value: Value = serde_json::from_str(&line).context("the script broke off")?;
        if let Some(failed) = value.get("failed") {
            bail!("{failed}");
        }
        Ok(value)
    }

    pub(super) fn ask(&mut self, value: &Value) -> Result<Value> {
        self.say(value)?;
        self.hear()
    }

    /// Adds what the script counted.
    pub(super) fn count(end: &Value, tally: &mut Tally) -> Result<()> {
        let number = |member: &str| {
            let found = end.get(member).and_then(Value::as_u64);
            found.with_context(|| format!("the script did not count what it `{member}`"))
        };
        tally.add(number("accepted")?, number("refused")?);
        Ok(())
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

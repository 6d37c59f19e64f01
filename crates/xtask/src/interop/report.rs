//! The table of results.

use anyhow::{Result, bail};

/// Who made what the other one judged.
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    /// The peer made it.
    Theirs,
    /// We made it.
    Ours,
}

struct Row {
    subject: String,
    peer: String,
    direction: &'static str,
    outcome: Outcome,
}

enum Outcome {
    Agreed { accepted: usize, refused: usize },
    NotThere(String),
    Failed(String),
}

/// Counts what came out as it should.
#[derive(Default)]
pub(crate) struct Tally {
    accepted: usize,
    refused: usize,
}

impl Tally {
    /// Something good: it has to be accepted, with this result.
    pub(crate) fn accepts<T: PartialEq, E: std::fmt::Display>(
        &mut self,
        what: &str,
        result: Result<T, E>,
        expected: &T,
    ) -> Result<()> {
        match result {
            Ok(value) if value == *expected => {
                self.accepted += 1;
                Ok(())
            }
            Ok(_) => bail!("{what}: accepted, with another result"),
            Err(error) => bail!("{what}: refused: {error}"),
        }
    }

    /// What a peer counted.
    pub(crate) fn add(&mut self, accepted: u64, refused: u64) {
        let number = |count| usize::try_from(count).unwrap_or(usize::MAX);
        self.accepted = self.accepted.saturating_add(number(accepted));
        self.refused = self.refused.saturating_add(number(refused));
    }

    /// Something bad: it has to be refused.
    pub(crate) fn refuses<T, E>(&mut self, what: &str, result: &Result<T, E>) -> Result<()> {
        if result.is_ok() {
            bail!("{what}: ACCEPTED");
        }
        self.refused += 1;
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Runs one exchange and notes how it went.
    pub(crate) fn exchange(
        &mut self,
        subject: &str,
        peer: &str,
        direction: Direction,
        run: impl FnOnce(&mut Tally) -> Result<()>,
    ) {
        let mut tally = Tally::default();
        let outcome = match run(&mut tally) {
            Ok(()) => Outcome::Agreed {
                accepted: tally.accepted,
                refused: tally.refused,
            },
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        self.push(subject, peer, direction, outcome);
    }

    /// Notes that the peer lacks something.
    pub(crate) fn not_there(&mut self, subject: &str, peer: &str, why: &str) {
        let outcome = Outcome::NotThere(why.to_owned());
        self.push(subject, peer, Direction::Theirs, outcome);
    }

    fn push(&mut self, subject: &str, peer: &str, direction: Direction, outcome: Outcome) {
        self.rows.push(Row {
            subject: subject.to_owned(),
            peer: peer.to_owned(),
            direction: match direction {
                Direction::Theirs => "theirs -> ours",
                Direction::Ours => "ours -> theirs",
            },
            outcome,
        });
    }

    pub(crate) fn failures(&self) -> usize {
        let failed = |row: &&Row| matches!(row.outcome, Outcome::Failed(_));
        self.rows.iter().filter(failed).count()
    }

    pub(crate) fn print(&self) {
        let width = |text: fn(&Row) -> &str| self.rows.iter().map(|row| text(row).len()).max();
        let subject = width(|row| &row.subject).unwrap_or_default();
        let peer = width(|row| &row.peer).unwrap_or_default();
        for row in &self.rows {
            let outcome = match &row.outcome {
                Outcome::Agreed { accepted, refused } => {
                    format!("ok: {accepted} accepted, {refused} refused as expected")
                }
                Outcome::NotThere(why) => format!("not in the peer: {why}"),
                Outcome::Failed(why) => format!("FAILED: {why}"),
            };
            println!(
                "{:subject$}  {:peer$}  {}  {outcome}",
                row.subject, row.peer, row.direction
            );
        }
        println!("{} exchanges, {} failed", self.rows.len(), self.failures());
    }
}

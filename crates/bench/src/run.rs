//! The run over all cases, in the programs that have the peers.

use std::time::Duration;

use clap::Parser as _;

use crate::cases::{self, Peers, Planned};
use crate::cli::Options;
use crate::harness::{self, Counter, Effort};
use crate::report::Row;

/// Times every case and prints the rows as JSON.
///
/// # Errors
///
/// When the duration makes no sense.
pub fn print_times(peers: Peers) -> anyhow::Result<()> {
    let options = Options::parse();
    let effort = Effort::lasting(Duration::try_from_secs_f64(options.seconds)?);
    crate::peers::jsonwebtoken::install(peers);
    let rows = planned(&options, peers).map(|planned| {
        let mut case = planned.make();
        let times = harness::time(&mut case, effort);
        Row::of_times(&case, &times)
    });
    print(rows)
}

/// Counts the allocations of every case and prints the rows as JSON.
///
/// # Errors
///
/// When a row cannot be written as JSON.
pub fn print_allocations(counter: Counter) -> anyhow::Result<()> {
    let options = Options::parse();
    crate::peers::jsonwebtoken::install(Peers::AwsLc);
    let rows = planned(&options, Peers::AwsLc).map(|planned| {
        let mut case = planned.make();
        let (ours, floor) = harness::count(&mut case, counter);
        Row::of_allocations(&case, ours, floor)
    });
    print(rows)
}

fn planned(options: &Options, peers: Peers) -> impl Iterator<Item = Planned> {
    cases::all(peers)
        .into_iter()
        .filter(|planned| planned.name.contains(&options.filter))
}

fn print(rows: impl Iterator<Item = Row>) -> anyhow::Result<()> {
    let rows: Vec<Row> = rows.collect();
    println!("{}", serde_json::to_string(&rows)?);
    Ok(())
}

//! `signals-speed`: how many events one core pushes, and how long a revoked agent is still served.
//!
//! Prints one JSON line. `docs/performance.md` says what is measured and how to run it.

mod push;
mod refusal;

use std::time::{Duration, SystemTime};

use clap::Parser;
use pki_types::UnixTime;
use serde::Serialize;

#[derive(Parser)]
struct Options {
    /// The events that are pushed, each to every stream.
    #[arg(long, default_value_t = 5000)]
    events: usize,
    /// The streams, each with a receiver's endpoint and a connection of its own.
    #[arg(long, default_value_t = 8)]
    streams: usize,
    /// The agents that are revoked, one after the other.
    #[arg(long, default_value_t = 500)]
    agents: usize,
}

#[derive(Serialize)]
struct Figures {
    push: push::Figures,
    refusal: refusal::Figures,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    anyhow::ensure!(
        options.events > 0 && options.streams > 0 && options.agents > 0,
        "nothing to do"
    );
    let figures = Figures {
        push: push::measure(options.events, options.streams)?,
        refusal: refusal::measure(options.agents)?,
    };
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

fn clock() -> UnixTime {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixTime::since_unix_epoch(now.unwrap_or(Duration::ZERO))
}

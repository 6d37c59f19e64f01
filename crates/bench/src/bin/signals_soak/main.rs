//! `signals-soak`: a transmitter and receivers in processes of their own, over TLS on loopback, with kills and broken connections.
//!
//! Prints one JSON line with what became of the events, and fails when one of the figures is bad. `docs/performance.md` says what is done
//! and how to run it.

mod faults;
mod inbox;
mod net;
mod plan;
mod receiver;
mod supervisor;
mod transmitter;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Options {
    /// The events that the transmitter has to acknowledge; each goes to every receiver.
    #[arg(long, default_value_t = 100_000)]
    events: u64,
    /// Chooses the faults and kills.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The receivers to which events are pushed, each with one stream.
    #[arg(long, default_value_t = 1)]
    receivers: usize,
    /// The receivers that poll, each with one stream.
    #[arg(long, default_value_t = 1)]
    pollers: usize,
    /// The most events that are asked for and not acknowledged.
    #[arg(long, default_value_t = 32)]
    window: usize,
    /// Seconds for which the pushers' claims hold, and for which SETs that were polled are not given again: how long a stream rests after
    /// the transmitter or a poller was killed.
    #[arg(long, default_value_t = 4)]
    hold: u64,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What a process of the program is, unless it is the one that starts the others.
#[derive(Subcommand)]
enum Role {
    /// Takes numbers of events on its input, pushes the events and has them polled.
    Transmitter {
        /// The folder of the run.
        dir: PathBuf,
        /// Seconds for which claims hold.
        hold: u64,
        /// Chooses the faults.
        seed: u64,
    },
    /// Has one stream, which is pushed to it or which it polls.
    Receiver {
        /// The folder of the run.
        dir: PathBuf,
        /// Which of the receivers.
        index: usize,
        /// Chooses the faults.
        seed: u64,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    match options.role {
        None => supervisor::run(&supervisor::Load {
            events: options.events,
            seed: options.seed,
            receivers: options.receivers,
            pollers: options.pollers,
            window: options.window,
            hold: options.hold,
        }),
        Some(Role::Transmitter { dir, hold, seed }) => transmitter::run(&dir, hold, seed),
        Some(Role::Receiver { dir, index, seed }) => receiver::run(&dir, index, seed),
    }
}

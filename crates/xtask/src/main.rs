//! The project's own chores, as `cargo xtask <command>`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod ci;
mod conformance;
mod fuzz;
mod interop;
mod vectors;

#[derive(Parser)]
#[command(name = "xtask", about = "The project's own chores")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compare the requirement tables with what the tests and vectors say they cover.
    Conformance(conformance::Args),
    /// Regenerate the generated files under test-vectors.
    Vectors(vectors::Args),
    /// Build the fuzz targets with stable Rust and run each for a while.
    Fuzz(fuzz::Args),
    /// Exchange keys, tokens and certificates with other software.
    Interop(interop::Args),
    /// Run .ci/run.
    Ci,
}

fn main() -> ExitCode {
    let root = workspace_root();
    let outcome = match Cli::parse().command {
        Command::Conformance(args) => conformance::run(&root, &args),
        Command::Vectors(args) => vectors::run(&root, &args),
        Command::Fuzz(args) => fuzz::run(&root, &args),
        Command::Interop(args) => interop::run(&root, &args),
        Command::Ci => ci::run(&root),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The directory that holds `crates/`, two levels above this package.
fn workspace_root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root.pop();
    root
}

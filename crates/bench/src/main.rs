//! `cargo run --release -p bench -- --json [--filter TEXT]`: builds and runs what measures, and prints what it found.

use std::env;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use bench::cli::Options;
use bench::report::{Row, table};
use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut rows = measure("bench-aws-lc", &options)?;
    for counted in measure("bench-allocations", &options)? {
        if let Some(row) = rows.iter_mut().find(|row| row.case == counted.case) {
            row.merge(counted);
        }
    }
    rows.extend(measure("bench-rustcrypto", &options)?);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print!("{}", table(&rows));
    }
    Ok(())
}

/// Runs a program of this crate that has the peers, which this one goes without.
fn measure(program: &str, options: &Options) -> anyhow::Result<Vec<Row>> {
    let features = if cfg!(feature = "openssl") {
        "openssl"
    } else {
        "peers"
    };
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["run", "--quiet", "--release", "--manifest-path", manifest])
        .args(["--features", features, "--bin", program, "--"])
        .args(["--filter", &options.filter])
        .args(["--seconds", &options.seconds.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be run")?;
    ensure!(output.status.success(), "{program} failed");
    serde_json::from_slice(&output.stdout).with_context(|| format!("{program} wrote no rows"))
}

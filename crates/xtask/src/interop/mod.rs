//! `cargo xtask interop`: exchanges keys, tokens and certificates with other software, in both directions.
//!
//! The peers' scripts lie in `crates/xtask/interop`. This command installs their libraries, in the versions that
//! are pinned there, into a folder below `target`, and starts itself again with the feature `interop`, which has
//! OpenSSL in it.
//!
//! To add a scenario, write a file in this directory with a function of type `Scenario`, and add it to `SCENARIOS`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

#[cfg(feature = "interop")]
mod jwe;
#[cfg(feature = "interop")]
mod jws;
#[cfg(feature = "interop")]
mod oauth;
#[cfg(feature = "interop")]
mod openssl;
#[cfg(feature = "interop")]
mod peers;
#[cfg(feature = "interop")]
mod report;
#[cfg(feature = "interop")]
mod set;
#[cfg(feature = "interop")]
mod signals;
#[cfg(feature = "interop")]
mod svid;
#[cfg(feature = "interop")]
mod tls;
#[cfg(feature = "interop")]
mod tokens;
#[cfg(feature = "interop")]
mod txn;
#[cfg(feature = "interop")]
mod x509;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fail if a peer cannot be run, because `python3`, `node`, `npm` or `openssl` is missing.
    #[arg(long)]
    all: bool,
    /// The scenarios to run; all by default.
    scenarios: Vec<String>,
}

/// Runs `cargo xtask interop` in a build that has the libraries.
#[cfg(not(feature = "interop"))]
pub(crate) fn run(root: &Path, args: &Args) -> Result<ExitCode> {
    use anyhow::Context;

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    command
        .args(["run", "--quiet", "--package", "xtask"])
        .args(["--features", "interop", "--", "interop"])
        .args(&args.scenarios)
        .current_dir(root);
    if args.all {
        command.arg("--all");
    }
    let status = command.status().context("cannot run cargo")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What a scenario has to work with.
#[cfg(feature = "interop")]
pub(crate) struct Context {
    /// Peers that make and check tokens.
    peers: Vec<peers::Peer>,
    /// The SPIFFE library for Python, which knows SVIDs and bundles.
    spiffe: Option<peers::Peer>,
    /// Clients and servers of OAuth.
    oauth: Vec<peers::Peer>,
    /// An interpreter and the script that speaks TLS with it.
    python_tls: Option<(std::path::PathBuf, std::path::PathBuf)>,
    /// An interpreter and the folder with the scripts that speak Shared Signals with it.
    python_signals: Option<(std::path::PathBuf, std::path::PathBuf)>,
    /// Whether the `openssl` command is there.
    openssl: bool,
    /// An empty folder for files.
    work: std::path::PathBuf,
}

/// Exchanges something with the peers and reports how it went; an error is a failure of the scenario itself.
#[cfg(feature = "interop")]
type Scenario = fn(&Context, &mut report::Report) -> Result<()>;

#[cfg(feature = "interop")]
const SCENARIOS: &[(&str, Scenario)] = &[
    ("jws", jws::run),
    ("openssl", openssl::run),
    ("jwe", jwe::run),
    ("x509", x509::run),
    ("svid", svid::run),
    ("tls", tls::run),
    ("oauth", oauth::run),
    ("set", set::run),
    ("signals", signals::run),
    ("txn", txn::run),
];

#[cfg(feature = "interop")]
pub(crate) fn run(root: &Path, args: &Args) -> Result<ExitCode> {
    use anyhow::bail;

    let known = |name: &String| SCENARIOS.iter().any(|(scenario, _)| scenario == name);
    if let Some(name) = args.scenarios.iter().find(|name| !known(name)) {
        bail!("there is no scenario `{name}`");
    }
    let (context, missing) = peers::set_up(root)?;
    let mut report = report::Report::default();
    for (name, scenario) in SCENARIOS {
        if args.scenarios.is_empty() || args.scenarios.iter().any(|wanted| wanted == name) {
            scenario(&context, &mut report)?;
        }
    }
    report.print();
    for what in &missing {
        println!("SKIPPED: {what}");
    }
    let complete = missing.is_empty() || !args.all;
    Ok(if report.failures() == 0 && complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

//! `cargo xtask vectors`: writes the generated files under `test-vectors`, or checks that they are fresh.
//!
//! Generating takes OpenSSL, so this command starts itself again with the feature `oracle`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

#[cfg(feature = "oracle")]
mod claims;
#[cfg(feature = "oracle")]
mod file;
#[cfg(feature = "oracle")]
mod identity_chaining;
#[cfg(feature = "oracle")]
mod jose_x509;
#[cfg(feature = "oracle")]
mod oracle;
#[cfg(feature = "oracle")]
mod pop;
#[cfg(feature = "oracle")]
mod ssf_set;
#[cfg(feature = "oracle")]
mod svid;
#[cfg(feature = "oracle")]
mod tokens;
#[cfg(feature = "oracle")]
mod txn_token;
#[cfg(feature = "oracle")]
mod wimse;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if a file differs from what would be written.
    #[arg(long)]
    check: bool,
}

/// Runs `cargo xtask vectors` in a build that has the generators.
#[cfg(not(feature = "oracle"))]
pub(crate) fn run(root: &Path, args: &Args) -> Result<ExitCode> {
    use anyhow::Context;

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    command
        .args(["run", "--quiet", "--package", "xtask"])
        .args(["--features", "oracle", "--", "vectors"])
        .current_dir(root);
    if args.check {
        command.arg("--check");
    }
    let status = command.status().context("cannot run cargo")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Makes the files of one crate, or of one part of it.
#[cfg(feature = "oracle")]
type Generator = fn(&mut oracle::Oracle) -> Result<Vec<file::VectorFile>>;

/// Every generator. A crate's generator is one file in this directory; add it here.
#[cfg(feature = "oracle")]
const GENERATORS: &[Generator] = &[
    jose_x509::generate,
    claims::generate,
    pop::generate,
    svid::generate,
    wimse::generate,
    txn_token::generate,
    identity_chaining::generate,
    ssf_set::generate,
];

#[cfg(feature = "oracle")]
pub(crate) fn run(root: &Path, args: &Args) -> Result<ExitCode> {
    use std::fs;

    let mut oracle = oracle::Oracle::load(&root.join("test-vectors"))?;
    let mut stale = Vec::new();
    for generate in GENERATORS {
        for file in generate(&mut oracle)? {
            let path = root.join("test-vectors").join(file.path);
            let text = file.to_json()?;
            if fs::read_to_string(&path).is_ok_and(|committed| committed == text) {
                continue;
            }
            stale.push(format!("test-vectors/{}", file.path));
            if !args.check {
                if let Some(directory) = path.parent() {
                    fs::create_dir_all(directory)?;
                }
                fs::write(&path, text)?;
            }
        }
    }
    for path in &stale {
        if args.check {
            eprintln!("error: {path} is stale; run `cargo xtask vectors`");
        } else {
            println!("wrote {path}");
        }
    }
    Ok(if args.check && !stale.is_empty() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

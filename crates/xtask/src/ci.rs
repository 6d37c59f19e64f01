//! `cargo xtask ci`: the same script that continuous integration runs.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

pub(crate) fn run(root: &Path) -> Result<ExitCode> {
    let status = Command::new("bash")
        .arg(".ci/run")
        .current_dir(root)
        .status()
        .context("cannot start bash")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

//! The peers: installed in the pinned versions, and spoken to with JSON on standard input and output.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Context;

/// A library of another project.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: PathBuf,
    arguments: Vec<std::ffi::OsString>,
}

impl Peer {
    /// Lets the peer make keys and tokens.
    pub(crate) fn make(&self, request: &Value) -> Result<Value> {
        self.exchange("make", request)
    }

    /// Lets the peer judge tokens.
    pub(crate) fn check(&self, request: &Value) -> Result<Value> {
        self.exchange("check", request)
    }

    fn exchange(&self, mode: &str, request: &Value) -> Result<Value> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .arg(mode)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONWARNINGS", "ignore")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start the peer {}", self.name))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(request.to_string().as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("the peer {} failed: {}", self.name, output.status);
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("the peer {} did not answer with JSON", self.name))
    }
}

/// The peers that this machine can run, and what is missing for the others.
pub(crate) fn set_up(root: &Path) -> Result<(Context, Vec<String>)> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("interop");
    let work = folder.join("work");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&work)?;
    let scripts = root.join("crates/xtask/interop");
    let mut peers = Vec::new();
    let mut missing = Vec::new();
    let (mut spiffe, mut python_tls) = (None, None);
    if runs("python3", &["-c", "import ensurepip, venv"]) {
        let python = install_python(&folder, &scripts)?;
        let peer = |name: &'static str| Peer {
            name,
            program: python.clone(),
            arguments: vec![scripts.join("python/peer.py").into(), name.into()],
        };
        peers.extend(["joserfc", "jwcrypto", "cryptography"].map(peer));
        spiffe = Some(peer("spiffe"));
        python_tls = Some((python.clone(), scripts.join("python/tls.py")));
    } else {
        missing.push(
            "joserfc, jwcrypto, cryptography, spiffe and ssl need `python3` with `venv`".to_owned(),
        );
    }
    if runs("node", &["--version"]) && runs("npm", &["--version"]) {
        peers.push(Peer {
            name: "jose (npm)",
            program: "node".into(),
            arguments: vec![install_node(&folder, &scripts)?.into()],
        });
    } else {
        missing.push("jose (npm) needs `node` and `npm`".to_owned());
    }
    let openssl = runs("openssl", &["version"]);
    if !openssl {
        missing.push("the exchange with OpenSSL needs the command `openssl`".to_owned());
    }
    let context = Context {
        peers,
        spiffe,
        python_tls,
        openssl,
        work,
    };
    Ok((context, missing))
}

/// Whether the command is there and succeeds.
fn runs(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A virtual environment with the pinned packages; returns its interpreter.
fn install_python(folder: &Path, scripts: &Path) -> Result<PathBuf> {
    let environment = folder.join("python");
    let python = environment.join("bin/python");
    let requirements = scripts.join("python/requirements.txt");
    if !python.exists() {
        succeed(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(&environment),
        )?;
    }
    succeed(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet"])
            .args(["--disable-pip-version-check", "--requirement"])
            .arg(requirements),
    )?;
    Ok(python)
}

/// A copy of the script beside the pinned packages, where `node` finds them.
fn install_node(folder: &Path, scripts: &Path) -> Result<PathBuf> {
    let folder = folder.join("node");
    fs::create_dir_all(&folder)?;
    for name in ["package.json", "peer.mjs"] {
        fs::copy(scripts.join("node").join(name), folder.join(name))?;
    }
    succeed(
        Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund"])
            .args(["--no-package-lock", "--ignore-scripts"])
            .current_dir(&folder),
    )?;
    Ok(folder.join("peer.mjs"))
}

/// Runs a command that has to succeed, without showing what it says to the end.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

//! The peers: installed in the pinned versions, and spoken to with JSON on standard input and output.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

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
        self.ask(&mut self.command(mode), request)
    }

    /// The command that runs the peer in this mode.
    pub(crate) fn command(&self, mode: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .arg(mode)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONWARNINGS", "ignore");
        command
    }

    /// Runs such a command to its end.
    pub(crate) fn ask(&self, command: &mut Command, request: &Value) -> Result<Value> {
        let mut child = command
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
    let (mut spiffe, mut python_tls, mut python_signals) = (None, None, None);
    let mut oauth = Vec::new();
    if runs("python3", &["-c", "import ensurepip, venv"]) {
        let python = install_python(&folder, &scripts)?;
        let peer = |name: &'static str| Peer {
            name,
            program: python.clone(),
            arguments: vec![scripts.join("python/peer.py").into(), name.into()],
        };
        peers.extend(["joserfc", "jwcrypto", "cryptography"].map(peer));
        spiffe = Some(peer("spiffe"));
        oauth.extend(["authlib", "requests-oauthlib"].map(|name| Peer {
            name,
            program: python.clone(),
            arguments: vec![scripts.join("python/oauth.py").into()],
        }));
        python_tls = Some((python.clone(), scripts.join("python/tls.py")));
        python_signals = Some((python, root.join("test-vectors/ssf-stream/peer")));
    } else {
        missing.push(
            "joserfc, jwcrypto, cryptography, spiffe, ssl, authlib and requests-oauthlib need `python3` with `venv`"
                .to_owned(),
        );
    }
    if runs("node", &["--version"]) && runs("npm", &["--version"]) {
        let folder = install_node(&folder, &scripts)?;
        let peer = |name, script| Peer {
            name,
            program: "node".into(),
            arguments: vec![folder.join(script).into()],
        };
        peers.push(peer("jose (npm)", "peer.mjs"));
        oauth.extend([
            peer("oauth4webapi", "oauth.mjs"),
            peer("openid-client", "oauth.mjs"),
            peer(MCP_SDK, "mcp.mjs"),
            peer(OIDC_PROVIDER, "oidc_provider.mjs"),
        ]);
    } else {
        missing.push(
            "jose, oauth4webapi, openid-client, oidc-provider and the MCP SDK (npm) need `node` and `npm`".to_owned(),
        );
    }
    let openssl = runs("openssl", &["version"]);
    if !openssl {
        missing.push("the exchange with OpenSSL needs the command `openssl`".to_owned());
    }
    let context = Context {
        peers,
        spiffe,
        oauth,
        python_tls,
        python_signals,
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

/// The client of the Model Context Protocol.
pub(crate) const MCP_SDK: &str = "MCP TypeScript SDK";
/// An authorization server.
pub(crate) const OIDC_PROVIDER: &str = "oidc-provider";

/// A folder with copies of the scripts beside the pinned packages, where `node` finds them.
fn install_node(folder: &Path, scripts: &Path) -> Result<PathBuf> {
    let folder = folder.join("node");
    fs::create_dir_all(&folder)?;
    for name in [
        "package.json",
        "peer.mjs",
        "oauth.mjs",
        "mcp.mjs",
        "oidc_provider.mjs",
    ] {
        fs::copy(scripts.join("node").join(name), folder.join(name))?;
    }
    succeed(
        Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund"])
            .args(["--no-package-lock", "--ignore-scripts"])
            .current_dir(&folder),
    )?;
    Ok(folder)
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

/// A peer's process, which ends with this value.
pub(crate) struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        let output = child.stdout.take().context("no output")?;
        Ok(Self {
            child,
            output: BufReader::new(output),
        })
    }

    /// With JSON on standard input, which then ends.
    pub(crate) fn start_with(command: &mut Command, input: &Value) -> Result<Self> {
        let mut running = Self::start(command)?;
        let mut stdin = running.child.stdin.take().context("no input")?;
        stdin.write_all(input.to_string().as_bytes())?;
        Ok(running)
    }

    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("the peer said nothing");
        }
        Ok(line)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

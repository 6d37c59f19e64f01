//! `cargo xtask fuzz`: coverage-guided fuzzing with stable Rust.
//!
//! libFuzzer needs the compiler's coverage counters, which stable `rustc` can insert when asked for the
//! LLVM pass by name. Sanitizers would need a nightly compiler; in a workspace without `unsafe` the debug
//! assertions and overflow checks that are switched on here find what there is to find.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

const RUSTFLAGS: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];

/// Inputs are no longer than this many bytes, unless `[package.metadata.fuzz]` says otherwise.
const DEFAULT_MAX_LEN: u64 = 4096;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds for each target.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Begin with this number instead of a random one, so that the same inputs come again.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    seed: Option<u32>,
    /// Print the names of the targets and stop.
    #[arg(long)]
    list: bool,
    /// Also build the targets that compare with OpenSSL.
    #[arg(long)]
    oracle: bool,
    /// Run one input through one target, to reproduce a finding.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// The targets to run; all by default.
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    bin: Vec<Bin>,
    package: Package,
}

#[derive(Deserialize)]
struct Bin {
    name: String,
    #[serde(default, rename = "required-features")]
    required_features: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    fuzz: toml::Table,
}

/// What one target's run came to.
struct Outcome {
    executions: String,
    coverage: String,
    /// The reproducer, or why there is none.
    finding: Option<String>,
}

pub(crate) fn run(root: &Path, args: &Args) -> Result<ExitCode> {
    let manifest = root.join("fuzz/Cargo.toml");
    let text = fs::read_to_string(&manifest).context("cannot read fuzz/Cargo.toml")?;
    let manifest: Manifest = toml::from_str(&text).context("cannot parse fuzz/Cargo.toml")?;
    let built = |bin: &Bin| args.oracle || bin.required_features.is_empty();
    let bins = manifest.bin.into_iter().filter(built);
    let known: Vec<String> = bins.map(|bin| bin.name).collect();
    if args.list {
        known.iter().for_each(|name| println!("{name}"));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = args.targets.iter().find(|name| !known.contains(name)) {
        bail!(
            "there is no fuzz target `{name}`; `cargo xtask fuzz --list --oracle` lists them, \
             and some need `--oracle`"
        );
    }
    let targets = if args.targets.is_empty() {
        known
    } else {
        args.targets.clone()
    };

    let binaries = build(root, &targets, args.oracle)?;
    if let Some(input) = &args.replay {
        let [target] = targets.as_slice() else {
            bail!("--replay takes exactly one target");
        };
        let status = Command::new(binaries.join(target)).arg(input).status()?;
        return Ok(if status.success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }

    let width = targets.iter().map(String::len).max().unwrap_or_default();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let queue = Mutex::new(VecDeque::from(targets));
    let findings = Mutex::new(0_usize);
    let work = || -> Result<()> {
        loop {
            let next = queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            let Some(target) = next else { return Ok(()) };
            let max_len = manifest
                .package
                .metadata
                .fuzz
                .get(&target)
                .and_then(|entry| entry.get("max_len")?.as_integer()?.try_into().ok())
                .unwrap_or(DEFAULT_MAX_LEN);
            let outcome = run_target(root, &binaries, &target, args, max_len)?;
            let Outcome {
                executions,
                coverage,
                finding,
            } = outcome;
            println!(
                "{target:width$}  {executions:>10} executions  {coverage:>6} edges  {}",
                finding.as_deref().unwrap_or("ok")
            );
            if finding.is_some() {
                *findings.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            match thread.join() {
                Ok(result) => result?,
                Err(_) => bail!("a worker thread panicked"),
            }
        }
        Ok(())
    })?;
    let findings = findings
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    Ok(if findings == 0 {
        ExitCode::SUCCESS
    } else {
        eprintln!("{findings} target(s) with findings");
        ExitCode::FAILURE
    })
}

/// Builds the targets and returns the directory of the binaries.
fn build(root: &Path, targets: &[String], oracle: bool) -> Result<PathBuf> {
    // An explicit triple, although it is the host's, keeps the flags away from build scripts and macros.
    let triple = host_triple()?;
    let base =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let target_dir = base.join("fuzz");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args([
            "build",
            "--quiet",
            "--release",
            "--manifest-path",
            "fuzz/Cargo.toml",
        ])
        .args(["--target", &triple])
        .arg("--target-dir")
        .arg(&target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.join("\u{1f}"))
        .env_remove("RUSTFLAGS")
        .current_dir(root);
    if oracle {
        cargo.args(["--features", "oracle"]);
    }
    for target in targets {
        cargo.args(["--bin", target]);
    }
    if !cargo.status().context("cannot run cargo")?.success() {
        bail!("the fuzz targets do not build");
    }
    Ok(target_dir.join(triple).join("release"))
}

fn host_triple() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot run rustc")?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("rustc names no host")
}

fn run_target(
    root: &Path,
    binaries: &Path,
    target: &str,
    args: &Args,
    max_len: u64,
) -> Result<Outcome> {
    let fuzz = root.join("fuzz");
    let corpus = fuzz.join("corpus").join(target);
    let artifacts = fuzz.join("artifacts").join(target);
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&artifacts)?;
    let mut command = Command::new(binaries.join(target));
    command
        .arg(format!("-max_total_time={}", args.seconds))
        .arg(format!("-max_len={max_len}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]);
    if let Some(seed) = args.seed {
        command.arg(format!("-seed={seed}"));
    }
    let dictionary = fuzz.join("dictionaries").join(format!("{target}.dict"));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    // libFuzzer writes what it finds to the first directory, and only reads the others.
    command.arg(&corpus);
    let seeds = fuzz.join("seeds").join(target);
    if seeds.is_dir() {
        command.arg(&seeds);
    }
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run fuzz target {target}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    let finding = (!output.status.success()).then(|| {
        for line in report(&log) {
            eprintln!("{target}: {line}");
        }
        log.lines()
            .find_map(|line| line.split("Test unit written to ").nth(1))
            .map_or_else(
                || format!("FAILED ({})", output.status),
                |path| format!("FINDING {path}"),
            )
    });
    Ok(Outcome {
        executions: last_word_after(&log, "stat::number_of_executed_units:"),
        coverage: last_word_after(&log, " cov:"),
        finding,
    })
}

/// What a failed run said: from the panic on, if there is one, and never more than 40 lines.
fn report(log: &str) -> Vec<&str> {
    let lines: Vec<&str> = log.lines().collect();
    let panic = lines.iter().position(|line| line.contains("panicked at"));
    let begin = panic.unwrap_or(lines.len().saturating_sub(40));
    lines.into_iter().skip(begin).take(40).collect()
}

/// The word that follows the last occurrence of `label`.
fn last_word_after(log: &str, label: &str) -> String {
    log.rsplit(label)
        .next()
        .filter(|_| log.contains(label))
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap_or("?")
        .to_owned()
}

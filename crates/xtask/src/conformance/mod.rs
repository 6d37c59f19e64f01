//! `cargo xtask conformance`: which requirements the tests and vectors say they cover.
//!
//! `docs/conformance/README.md` explains the tables, the `Covers:` lines and the waivers.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

use self::cfg::Cfg;
use self::coverage::{Report, SpecScore, VectorCovers};
use self::source::Scan;
use self::tables::Tables;

mod cfg;
mod coverage;
mod source;
mod tables;
mod workspace;

#[cfg(test)]
mod tests;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print the table as JSON.
    #[arg(long)]
    json: bool,
    /// List the open ids of one spec, such as JWT-SVID, or of all with `all`.
    #[arg(long, value_name = "SPEC")]
    open: Option<String>,
}

pub(crate) fn run(root: &Path, args: &Args) -> Result<ExitCode> {
    let tables = Tables::read(&root.join("docs/conformance"))?;
    let (scans, mut problems) = scan_workspace(root, &tables)?;
    let vectors = vector_files(root)?;
    let mut report = coverage::report(&tables, &scans, &vectors);
    report.failures.append(&mut problems);

    if let Some(spec) = &args.open {
        print_open(&report, spec)?;
    } else if args.json {
        print_json(&report)?;
    } else {
        print_table(&report);
    }
    for note in &report.notes {
        eprintln!("note: {}", relative(root, note));
    }
    for failure in &report.failures {
        eprintln!("error: {}", relative(root, failure));
    }
    Ok(if report.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        eprintln!("{} problem(s)", report.failures.len());
        ExitCode::FAILURE
    })
}

/// Walks every test target, and finds files that claim coverage but belong to none.
fn scan_workspace(root: &Path, tables: &Tables) -> Result<(Vec<Scan>, Vec<String>)> {
    let host = Cfg::host()?;
    let read = |path: &Path| fs::read_to_string(path).ok();
    let mut scans = Vec::new();
    for target in workspace::targets(root)? {
        let cfg = host.with_features(target.features.iter().map(String::as_str));
        let scan = source::scan(&target.root, &cfg, target.built, &read)
            .with_context(|| format!("in target {}", target.name))?;
        scans.push(scan);
    }

    let known: BTreeSet<&str> = tables.rows().map(|row| row.id.as_str()).collect();
    let seen: BTreeSet<PathBuf> = scans
        .iter()
        .flat_map(|scan| &scan.files)
        .filter_map(|file| file.canonicalize().ok())
        .collect();
    let mut problems = Vec::new();
    for file in rust_files(&root.join("crates"))? {
        if file.canonicalize().is_ok_and(|path| seen.contains(&path)) {
            continue;
        }
        let text = read(&file).unwrap_or_default();
        let docs: Vec<&str> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("///"))
            .collect();
        let ids = source::covered_ids(&docs.join("\n"));
        if ids.iter().any(|id| known.contains(id.as_str())) {
            problems.push(format!(
                "{}: claims coverage, but no test target contains this file",
                file.display()
            ));
        }
    }
    Ok((scans, problems))
}

/// `*.rs` below `src` and `tests` of every crate.
fn rust_files(crates: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = Vec::new();
    for entry in fs::read_dir(crates).context("cannot read crates")? {
        let path = entry?.path();
        directories.extend([path.join("src"), path.join("tests")]);
    }
    while let Some(directory) = directories.pop() {
        if !directory.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The `covers` lists of `test-vectors/<crate>/*.json`.
fn vector_files(root: &Path) -> Result<Vec<VectorCovers>> {
    let mut files = Vec::new();
    let top = root.join("test-vectors");
    if !top.is_dir() {
        return Ok(files);
    }
    for directory in fs::read_dir(&top)? {
        let directory = directory?.path();
        if !directory.is_dir() || directory.ends_with("keys") {
            continue;
        }
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let text = fs::read_to_string(&path)?;
                let value: Value = serde_json::from_str(&text)
                    .with_context(|| format!("cannot parse {}", path.display()))?;
                let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
                files.push(VectorCovers {
                    path: name,
                    covers: case_covers(&value),
                });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Case name and id, for every id of every case of one vector file.
fn case_covers(file: &Value) -> Vec<(String, String)> {
    let list = |value: &Value, member: &str| -> Vec<Value> {
        let array = value.get(member).and_then(Value::as_array);
        array.cloned().unwrap_or_default()
    };
    let mut covers = Vec::new();
    for group in list(file, "groups") {
        for case in list(&group, "cases") {
            let name = case.get("name").and_then(Value::as_str).unwrap_or("?");
            for id in list(&case, "covers") {
                covers.push((name.to_owned(), id.as_str().unwrap_or_default().to_owned()));
            }
        }
    }
    covers
}

fn print_open(report: &Report, spec: &str) -> Result<()> {
    if spec != "all" && !report.specs.iter().any(|score| score.spec == spec) {
        bail!("no table has the spec id {spec}");
    }
    for open in &report.open {
        if spec == "all" || open.spec == spec {
            println!("{}  {}", open.id, open.text);
        }
    }
    Ok(())
}

fn print_json(report: &Report) -> Result<()> {
    #[derive(Serialize)]
    struct Output<'a> {
        specs: &'a [SpecScore],
    }
    println!(
        "{}",
        serde_json::to_string(&Output {
            specs: &report.specs
        })?
    );
    Ok(())
}

fn print_table(report: &Report) {
    println!(
        "{:<16} {:<26} {:>5} {:>8} {:>7} {:>5} {:>8} {:>8} {:>7} {:>5}",
        "spec",
        "crate",
        "reqs",
        "covered",
        "waived",
        "open",
        "attacks",
        "covered",
        "waived",
        "open"
    );
    let row = |score: &SpecScore| {
        println!(
            "{:<16} {:<26} {:>5} {:>8} {:>7} {:>5} {:>8} {:>8} {:>7} {:>5}",
            score.spec,
            score.krate,
            score.requirements,
            score.covered,
            score.waived,
            score.open,
            score.attacks,
            score.attacks_covered,
            score.attacks_waived,
            score.attacks_open
        );
    };
    report.specs.iter().for_each(row);
    let sum = |count: fn(&SpecScore) -> usize| report.specs.iter().map(count).sum();
    row(&SpecScore {
        spec: "total".to_owned(),
        krate: String::new(),
        requirements: sum(|s| s.requirements),
        covered: sum(|s| s.covered),
        waived: sum(|s| s.waived),
        open: sum(|s| s.open),
        attacks: sum(|s| s.attacks),
        attacks_covered: sum(|s| s.attacks_covered),
        attacks_waived: sum(|s| s.attacks_waived),
        attacks_open: sum(|s| s.attacks_open),
    });
}

/// Messages name files from the workspace root on.
fn relative(root: &Path, message: &str) -> String {
    message.replace(&format!("{}/", root.display()), "")
}

//! The requirement tables `docs/conformance/*.toml`, their waivers, and the list of finished specs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// A waiver with less to say than this says nothing.
const SHORTEST_REASON: usize = 20;

/// What an id stands for. Only requirements and attacks are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Requirement,
    Attack,
    Vector,
}

/// One row of a table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// One table: one specification.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) spec: String,
    pub(crate) krate: String,
    pub(crate) rows: Vec<Row>,
}

/// Everything under `docs/conformance`.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) tables: Vec<Table>,
    /// Waived ids.
    pub(crate) waived: BTreeSet<String>,
    /// Specs whose open ids are failures.
    pub(crate) complete: BTreeSet<String>,
    /// What is wrong with the tables themselves.
    pub(crate) problems: Vec<String>,
}

#[derive(Deserialize)]
struct TableFile {
    spec: SpecHeader,
    #[serde(default)]
    req: Vec<RowEntry>,
    #[serde(default)]
    attack: Vec<RowEntry>,
    #[serde(default)]
    vector: Vec<VectorEntry>,
}

#[derive(Deserialize)]
struct SpecHeader {
    id: String,
    #[serde(rename = "crate")]
    krate: String,
}

#[derive(Deserialize)]
struct RowEntry {
    id: String,
    text: String,
}

#[derive(Deserialize)]
struct VectorEntry {
    id: Option<String>,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct WaiverFile {
    #[serde(default)]
    waiver: Vec<WaiverEntry>,
}

#[derive(Deserialize)]
struct WaiverEntry {
    id: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct CompleteFile {
    complete: Vec<String>,
}

impl Tables {
    /// Reads `dir` (`docs/conformance`) and its folder of waivers.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let mut files = toml_files(dir, "")?;
        let waivers = dir.join("waivers");
        if waivers.is_dir() {
            files.extend(toml_files(&waivers, "waivers/")?);
        }
        Self::parse(&files)
    }

    /// Builds the tables from file names, relative to `docs/conformance`, and their texts.
    pub(crate) fn parse(files: &BTreeMap<String, String>) -> Result<Self> {
        let mut tables = Self::default();
        for (name, text) in files {
            if name == "complete.toml" {
                let file: CompleteFile = parse(name, text)?;
                tables.complete = file.complete.into_iter().collect();
            } else if !name.starts_with("waivers/") {
                tables.add_table(parse(name, text)?);
            }
        }
        for spec in &tables.complete {
            if !tables.tables.iter().any(|table| table.spec == *spec) {
                tables
                    .problems
                    .push(format!("complete.toml: no table has the spec id {spec}"));
            }
        }
        let known: BTreeSet<String> = tables.rows().map(|row| row.id.clone()).collect();
        for (name, text) in files {
            if let Some(table) = name.strip_prefix("waivers/") {
                if !files.contains_key(table) {
                    tables
                        .problems
                        .push(format!("{name}: there is no table of this name"));
                }
                tables.add_waivers(name, parse(name, text)?, &known);
            }
        }
        Ok(tables)
    }

    /// All rows of all tables.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.tables.iter().flat_map(|table| &table.rows)
    }

    fn add_table(&mut self, file: TableFile) {
        let mut rows = Vec::new();
        for (kind, entries) in [(Kind::Requirement, file.req), (Kind::Attack, file.attack)] {
            rows.extend(entries.into_iter().map(|entry| Row {
                id: entry.id,
                kind,
                text: entry.text,
            }));
        }
        rows.extend(file.vector.into_iter().filter_map(|entry| {
            Some(Row {
                id: entry.id?,
                kind: Kind::Vector,
                text: entry.name,
            })
        }));
        let mut seen: BTreeSet<String> = self.rows().map(|row| row.id.clone()).collect();
        for row in &rows {
            if !seen.insert(row.id.clone()) {
                self.problems
                    .push(format!("{}: the id stands in the tables twice", row.id));
            }
        }
        self.tables.push(Table {
            spec: file.spec.id,
            krate: file.spec.krate,
            rows,
        });
    }

    fn add_waivers(&mut self, name: &str, file: WaiverFile, known: &BTreeSet<String>) {
        for WaiverEntry { id, reason } in file.waiver {
            if !known.contains(&id) {
                self.problems.push(format!("{name}: unknown id {id}"));
            }
            if reason.trim().chars().count() < SHORTEST_REASON {
                self.problems.push(format!(
                    "{name}: the waiver of {id} needs a reason of at least {SHORTEST_REASON} characters"
                ));
            }
            if self.waived.contains(&id) {
                self.problems.push(format!("{name}: {id} is waived twice"));
            }
            self.waived.insert(id);
        }
    }
}

/// Name (with `prefix`) and text of every TOML file directly in `dir`.
fn toml_files(dir: &Path, prefix: &str) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            files.insert(format!("{prefix}{name}"), text);
        }
    }
    Ok(files)
}

fn parse<T: for<'de> Deserialize<'de>>(name: &str, text: &str) -> Result<T> {
    toml::from_str(text).with_context(|| format!("cannot parse {name}"))
}

//! Joins tables, tests and vectors into one report.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::source::{Claim, Scan, Status};
use super::tables::{Kind, Tables};

/// A vector file and what its cases say they cover.
#[derive(Debug)]
pub(crate) struct VectorCovers {
    /// Path from `test-vectors/` on.
    pub(crate) path: String,
    /// Case name and id.
    pub(crate) covers: Vec<(String, String)>,
}

/// One line of the table.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SpecScore {
    pub(crate) spec: String,
    #[serde(rename = "crate")]
    pub(crate) krate: String,
    pub(crate) requirements: usize,
    pub(crate) covered: usize,
    pub(crate) waived: usize,
    pub(crate) open: usize,
    pub(crate) attacks: usize,
    pub(crate) attacks_covered: usize,
    pub(crate) attacks_waived: usize,
    pub(crate) attacks_open: usize,
}

/// An id that nothing covers and nobody waived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OpenId {
    pub(crate) spec: String,
    pub(crate) id: String,
    pub(crate) text: String,
}

/// The outcome of the comparison.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) specs: Vec<SpecScore>,
    pub(crate) open: Vec<OpenId>,
    /// Each fails the command.
    pub(crate) failures: Vec<String>,
    /// Worth knowing, but no failure.
    pub(crate) notes: Vec<String>,
}

/// Builds the report.
pub(crate) fn report(tables: &Tables, scans: &[Scan], vectors: &[VectorCovers]) -> Report {
    let known: BTreeSet<&str> = tables.rows().map(|row| row.id.as_str()).collect();
    let mut report = Report {
        failures: tables.problems.clone(),
        ..Report::default()
    };
    let mut covered = test_coverage(scans, &known, &mut report);
    vector_coverage(scans, vectors, &known, &mut covered, &mut report);
    for id in covered.intersection(&tables.waived) {
        report
            .failures
            .push(format!("{id}: both waived and covered; drop the waiver"));
    }
    for table in &tables.tables {
        let mut score = SpecScore {
            spec: table.spec.clone(),
            krate: table.krate.clone(),
            requirements: 0,
            covered: 0,
            waived: 0,
            open: 0,
            attacks: 0,
            attacks_covered: 0,
            attacks_waived: 0,
            attacks_open: 0,
        };
        for row in &table.rows {
            let (total, done, waived, open) = match row.kind {
                Kind::Requirement => (
                    &mut score.requirements,
                    &mut score.covered,
                    &mut score.waived,
                    &mut score.open,
                ),
                Kind::Attack => (
                    &mut score.attacks,
                    &mut score.attacks_covered,
                    &mut score.attacks_waived,
                    &mut score.attacks_open,
                ),
                Kind::Vector => continue,
            };
            *total += 1;
            if covered.contains(&row.id) {
                *done += 1;
            } else if tables.waived.contains(&row.id) {
                *waived += 1;
            } else {
                *open += 1;
                if tables.complete.contains(&table.spec) {
                    report.failures.push(format!(
                        "{}: open, but {} is listed as complete",
                        row.id, table.spec
                    ));
                }
                report.open.push(OpenId {
                    spec: table.spec.clone(),
                    id: row.id.clone(),
                    text: row.text.clone(),
                });
            }
        }
        report.specs.push(score);
    }
    report
}

/// Ids that a running test covers.
fn test_coverage(scans: &[Scan], known: &BTreeSet<&str>, report: &mut Report) -> BTreeSet<String> {
    // A file can belong to several targets; a test runs if it runs in one of them.
    let mut claims: BTreeMap<(String, usize), (&Claim, Status)> = BTreeMap::new();
    for claim in scans.iter().flat_map(|scan| &scan.claims) {
        let key = (claim.file.display().to_string(), claim.line);
        let entry = claims.entry(key).or_insert((claim, claim.status));
        entry.1 = entry.1.min(claim.status);
    }
    let mut covered = BTreeSet::new();
    for ((file, line), (claim, status)) in claims {
        let place = format!("{file}:{line}: `{}`", claim.function);
        // Prose in a library's docs may start with the same word.
        let names_an_id = claim.ids.iter().any(|id| known.contains(id.as_str()));
        if status == Status::NotATest && !names_an_id {
            continue;
        }
        for id in &claim.ids {
            if !known.contains(id.as_str()) {
                report
                    .failures
                    .push(format!("{place} covers unknown id {id}"));
            }
        }
        let ids = claim.ids.join(", ");
        match status {
            Status::Runs => covered.extend(claim.ids.iter().cloned()),
            Status::Ignored => report
                .failures
                .push(format!("{place} claims {ids} but is #[ignore]d")),
            Status::NotATest => report
                .failures
                .push(format!("{place} claims {ids} but is not a test")),
            Status::SwitchedOff => report.notes.push(format!(
                "{place} claims {ids} but is switched off in `cargo test --workspace --all-features`: not counted"
            )),
        }
    }
    covered.retain(|id| known.contains(id.as_str()));
    covered
}

/// Adds the ids of vector files that a running test loads.
fn vector_coverage(
    scans: &[Scan],
    vectors: &[VectorCovers],
    known: &BTreeSet<&str>,
    covered: &mut BTreeSet<String>,
    report: &mut Report,
) {
    let loaded: BTreeSet<&String> = scans.iter().flat_map(|scan| &scan.vectors).collect();
    for file in vectors {
        for (case, id) in &file.covers {
            if !known.contains(id.as_str()) {
                report.failures.push(format!(
                    "{}: case `{case}` covers unknown id {id}",
                    file.path
                ));
            }
        }
        if loaded.contains(&file.path) {
            let ids = file.covers.iter().map(|(_, id)| id);
            covered.extend(ids.filter(|id| known.contains(id.as_str())).cloned());
        } else if !file.covers.is_empty() {
            report.notes.push(format!(
                "{}: no running test loads it: not counted",
                file.path
            ));
        }
    }
}

//! What is printed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::bar::{Verdict, over};
use crate::harness::{Allocated, Case, Times};

/// The result of one case. Times are medians in nanoseconds a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The case.
    pub case: String,
    /// These crates.
    pub ours_ns: Option<f64>,
    /// What the floor is, if there is one.
    pub floor: Option<String>,
    /// The floor.
    pub floor_ns: Option<f64>,
    /// What ours adds to the floor: the median of the pairwise differences.
    pub over_floor_ns: Option<f64>,
    /// The peers.
    pub peers: BTreeMap<String, f64>,
    /// Ours as a share of each peer: the median of the pairwise ratios.
    pub ratios: BTreeMap<String, f64>,
    /// Allocations of one call of ours.
    pub allocs: Option<u64>,
    /// What these allocations asked for in total.
    pub bytes: Option<u64>,
    /// The bars.
    pub bars: Vec<Verdict>,
}

impl Row {
    fn new(case: &Case) -> Self {
        Self {
            case: case.name.clone(),
            ours_ns: None,
            floor: case.floor.as_ref().map(|floor| floor.name.to_owned()),
            floor_ns: None,
            over_floor_ns: None,
            peers: BTreeMap::new(),
            ratios: BTreeMap::new(),
            allocs: None,
            bytes: None,
            bars: Vec::new(),
        }
    }

    /// The row of what was timed.
    #[must_use]
    pub fn of_times(case: &Case, times: &Times) -> Self {
        let named = |value: fn(&Times, usize) -> f64| {
            let peers = times.peers.iter().enumerate();
            peers
                .map(|(i, peer)| (peer.0.to_owned(), value(times, i)))
                .collect()
        };
        Self {
            ours_ns: Some(times.ours.median()),
            floor_ns: times.floor.as_ref().map(crate::harness::Samples::median),
            over_floor_ns: over(&times.ours, times.floor.as_ref()),
            peers: named(|times, i| times.peers.get(i).map_or(f64::NAN, |peer| peer.1.median())),
            ratios: named(|times, i| {
                let peer = times.peers.get(i);
                peer.map_or(f64::NAN, |peer| times.ours.ratio_to(&peer.1))
            }),
            bars: case
                .bars
                .iter()
                .filter_map(|bar| bar.judge_times(times))
                .collect(),
            ..Self::new(case)
        }
    }

    /// The row of what was counted.
    #[must_use]
    pub fn of_allocations(case: &Case, ours: Allocated, floor: Allocated) -> Self {
        Self {
            allocs: Some(ours.count),
            bytes: Some(ours.bytes),
            bars: case
                .bars
                .iter()
                .filter_map(|bar| bar.judge_allocations(ours, floor))
                .collect(),
            ..Self::new(case)
        }
    }

    /// Adds what another run found of the same case.
    pub fn merge(&mut self, other: Self) {
        self.ours_ns = self.ours_ns.or(other.ours_ns);
        self.floor_ns = self.floor_ns.or(other.floor_ns);
        self.over_floor_ns = self.over_floor_ns.or(other.over_floor_ns);
        self.allocs = self.allocs.or(other.allocs);
        self.bytes = self.bytes.or(other.bytes);
        self.peers.extend(other.peers);
        self.ratios.extend(other.ratios);
        self.bars.extend(other.bars);
    }
}

/// The rows as text.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let allocations = row.allocs.map_or_else(String::new, |count| {
            format!(
                "{count} allocations, {} bytes",
                row.bytes.unwrap_or_default()
            )
        });
        let mut head = format!("{}\n", row.case);
        line(&mut head, "ours", row.ours_ns, &allocations);
        if let Some(floor) = &row.floor {
            let adds = row
                .over_floor_ns
                .map_or_else(String::new, |over| format!("ours adds {}", duration(over)));
            line(&mut head, &format!("floor: {floor}"), row.floor_ns, &adds);
        }
        for (name, time) in &row.peers {
            let ratio = row.ratios.get(name).map_or_else(String::new, |ratio| {
                format!("ours is {} of it", number(*ratio))
            });
            line(&mut head, name, Some(*time), &ratio);
        }
        text.push_str(&head);
        for verdict in &row.bars {
            let mark = if verdict.met { "ok" } else { "MISSED" };
            let _ = writeln!(
                text,
                "  bar: {:<45} {:>9}   at most {:>7}   {mark}",
                verdict.bar,
                number(verdict.measured),
                number(verdict.at_most),
            );
        }
        text.push('\n');
    }
    let bars = rows.iter().flat_map(|row| &row.bars);
    let (met, missed): (Vec<_>, Vec<_>) = bars.partition(|verdict| verdict.met);
    let _ = writeln!(text, "{} bars met, {} missed", met.len(), missed.len());
    text
}

fn line(text: &mut String, name: &str, time: Option<f64>, note: &str) {
    let time = time.map_or_else(String::new, duration);
    let line = format!("  {name:<40} {time:>12}   {note}");
    text.push_str(line.trim_end());
    text.push('\n');
}

fn duration(ns: f64) -> String {
    match ns.abs() {
        0.0..1e3 => format!("{ns:.0} ns"),
        1e3..1e6 => format!("{:.2} µs", ns / 1e3),
        _ => format!("{:.2} ms", ns / 1e6),
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 10.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}

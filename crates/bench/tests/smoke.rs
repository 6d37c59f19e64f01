//! Every case can be done, by everybody it compares: once, so that it does not rot.

use bench::cases::{self, Peers};
use bench::harness::{self, Effort};
use bench::report::{Row, table};

fn smoke(peers: Peers) -> Vec<Row> {
    #[cfg(feature = "peers")]
    bench::peers::jsonwebtoken::install(peers);
    let rows = cases::all(peers).into_iter().map(|planned| {
        let mut case = planned.make();
        let times = harness::time(&mut case, Effort::SMOKE);
        Row::of_times(&case, &times)
    });
    rows.collect()
}

#[test]
fn every_case_runs() {
    let rows = smoke(Peers::AwsLc);
    let mut names: Vec<_> = rows.iter().map(|row| row.case.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows.len(), "a name stands twice");
    for row in &rows {
        assert!(row.ours_ns.is_some_and(|time| time > 0.0), "{}", row.case);
        #[cfg(feature = "peers")]
        {
            // What no peer does is compared with the bare primitive.
            let compared = !row.peers.is_empty() || row.floor.is_some();
            assert!(compared && !row.bars.is_empty(), "{}", row.case);
        }
    }
    let text = table(&rows);
    assert!(rows.iter().all(|row| text.contains(&row.case)));
    let json = serde_json::to_string(&rows).unwrap_or_default();
    assert_eq!(
        serde_json::from_str::<Vec<Row>>(&json)
            .ok()
            .map(|rows| rows.len()),
        Some(rows.len())
    );
}

//! Small trees in memory: what counts as covered, and what fails.

use std::collections::BTreeMap;
use std::path::Path;

use super::cfg::Cfg;
use super::coverage::{Report, VectorCovers, report};
use super::source::{Scan, Status, scan};
use super::tables::Tables;

const TABLE: &str = r#"
[spec]
id = "T"
crate = "t"
[[req]]
id = "T-1"
text = "first"
[[req]]
id = "T-2"
text = "second"
[[attack]]
id = "T-A1"
text = "attack"
expected = "refused"
[[vector]]
id = "T-V1"
name = "example"
"#;

fn files(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    pairs.iter().map(own).collect()
}

fn tables(more: &[(&str, &str)]) -> Tables {
    let mut all = files(more);
    all.entry("t.toml".to_owned())
        .or_insert_with(|| TABLE.to_owned());
    Tables::parse(&all).unwrap()
}

/// Scans a target that starts at `src/lib.rs`, built with the feature `on`.
fn source(pairs: &[(&str, &str)]) -> Scan {
    let tree = files(pairs);
    let cfg = Cfg::default().with_features(["on"]);
    scan(Path::new("src/lib.rs"), &cfg, true, &|path| {
        tree.get(path.to_str().unwrap()).cloned()
    })
    .unwrap()
}

fn judge(more: &[(&str, &str)], lib: &str) -> Report {
    report(&tables(more), &[source(&[("src/lib.rs", lib)])], &[])
}

fn statuses(scan: &Scan) -> Vec<(&str, Status)> {
    let claims = scan.claims.iter();
    claims
        .map(|claim| (claim.function.as_str(), claim.status))
        .collect()
}

#[test]
fn running_tests_count_once_each() {
    let report = judge(
        &[],
        "/// Covers: T-1, T-A1\n/// Covers: T-V1\n#[test] fn a() {}\n/// Covers: T-1\n#[tokio::test] async fn b() {}",
    );
    assert_eq!(report.failures, Vec::<String>::new());
    let score = &report.specs[0];
    assert_eq!((score.requirements, score.covered, score.open), (2, 1, 1));
    assert_eq!(
        (score.attacks, score.attacks_covered, score.attacks_open),
        (1, 1, 0)
    );
    assert_eq!(report.open.len(), 1);
    assert_eq!(report.open[0].id, "T-2");
}

#[test]
fn ignored_tests_and_plain_functions_fail() {
    let report = judge(
        &[],
        "/// Covers: T-1\n#[test] #[ignore] fn a() {}\n/// Covers: T-2\nfn b() {}",
    );
    assert_eq!(report.failures.len(), 2, "{:?}", report.failures);
    assert!(report.failures[0].contains("`a` claims T-1 but is #[ignore]d"));
    assert!(report.failures[1].contains("`b` claims T-2 but is not a test"));
    assert_eq!(report.specs[0].covered, 0);
}

#[test]
fn prose_in_library_docs_is_no_claim() {
    let report = judge(&[], "/// Covers: everything.\npub fn a() {}");
    assert_eq!(report.failures, Vec::<String>::new());
}

#[test]
fn unknown_ids_fail() {
    let report = judge(&[], "/// Covers: T-9\n#[test] fn a() {}");
    assert_eq!(report.failures.len(), 1);
    assert!(report.failures[0].contains("unknown id T-9"));
}

#[test]
fn switched_off_code_does_not_count() {
    let scan = source(&[
        (
            "src/lib.rs",
            "/// Covers: T-1\n#[cfg(feature = \"off\")] #[test] fn a() {}
             /// Covers: T-1\n#[cfg(all(feature = \"on\", not(windows)))] #[test] fn b() {}
             /// Covers: T-1\n#[cfg_attr(feature = \"on\", ignore)] #[test] fn c() {}
             /// Covers: T-1\n#[cfg_attr(miri, ignore)] #[test] fn d() {}
             #[cfg(any(feature = \"off\", windows))] mod tests;",
        ),
        ("src/tests.rs", "/// Covers: T-2\n#[test] fn e() {}"),
    ]);
    let expected = [
        ("a", Status::SwitchedOff),
        ("b", Status::Runs),
        ("c", Status::Ignored),
        ("d", Status::Runs),
        ("e", Status::SwitchedOff),
    ];
    assert_eq!(statuses(&scan), expected);
    let report = report(&tables(&[]), &[scan], &[]);
    assert_eq!(report.notes.len(), 2);
    assert_eq!(report.specs[0].covered, 1);
}

#[test]
fn modules_are_followed_where_the_compiler_looks() {
    let test = |name: &str| format!("/// Covers: T-1\n#[test] fn {name}() {{}}");
    let scan = source(&[
        (
            "src/lib.rs",
            "mod a; mod b { mod c; } #[path = \"odd.rs\"] mod d;",
        ),
        ("src/a.rs", "mod inner;"),
        ("src/a/inner.rs", &test("a")),
        ("src/b/c/mod.rs", "mod deep;"),
        ("src/b/c/deep.rs", &test("c")),
        ("src/odd.rs", &test("d")),
        ("src/orphan.rs", &test("orphan")),
    ]);
    let runs = [
        ("a", Status::Runs),
        ("c", Status::Runs),
        ("d", Status::Runs),
    ];
    assert_eq!(statuses(&scan), runs);
    assert!(!scan.files.contains(Path::new("src/orphan.rs")));
}

#[test]
fn property_tests_are_read_inside_the_macro() {
    let scan = source(&[(
        "src/lib.rs",
        "proptest! {
            #![proptest_config(Config::default())]
            /// Covers: T-1
            #[test]
            fn a(x in 0..10u8, y: bool) { assert!(x < 10 || y); }
            /// Covers: T-2
            #[test] #[ignore]
            fn b(x in any::<u8>()) {}
        }",
    )]);
    assert_eq!(
        statuses(&scan),
        [("a", Status::Runs), ("b", Status::Ignored)]
    );
}

#[test]
fn duplicate_ids_fail() {
    let twice = TABLE.replace("T-2", "T-1");
    let tables = tables(&[("t.toml", &twice)]);
    assert_eq!(tables.problems, ["T-1: the id stands in the tables twice"]);
}

#[test]
fn waivers_take_ids_out_of_the_open_ones() {
    let waiver = "[[waiver]]\nid = \"T-1\"\nreason = \"A library has no user interface.\"
        [[waiver]]\nid = \"T-A1\"\nreason = \"A library has no user interface.\"";
    let report = judge(&[("waivers/t.toml", waiver)], "");
    assert_eq!(report.failures, Vec::<String>::new());
    let score = &report.specs[0];
    assert_eq!((score.covered, score.waived, score.open), (0, 1, 1));
    assert_eq!(
        (
            score.attacks_covered,
            score.attacks_waived,
            score.attacks_open
        ),
        (0, 1, 0)
    );
}

#[test]
fn bad_waivers_fail() {
    let waiver =
        "[[waiver]]\nid = \"T-1\"\n[[waiver]]\nid = \"T-9\"\nreason = \"long enough as a reason\"";
    let tables = tables(&[("waivers/t.toml", waiver), ("waivers/u.toml", "")]);
    let problems = tables.problems.join("\n");
    assert_eq!(tables.problems.len(), 3, "{problems}");
    assert!(problems.contains("waiver of T-1 needs a reason"));
    assert!(problems.contains("unknown id T-9"));
    assert!(problems.contains("waivers/u.toml: there is no table"));
}

#[test]
fn an_id_is_not_both_waived_and_covered() {
    let waiver = "[[waiver]]\nid = \"T-1\"\nreason = \"A library has no user interface.\"";
    let report = judge(
        &[("waivers/t.toml", waiver)],
        "/// Covers: T-1\n#[test] fn a() {}",
    );
    assert_eq!(
        report.failures,
        ["T-1: both waived and covered; drop the waiver"]
    );
}

#[test]
fn open_ids_fail_only_where_the_spec_is_complete() {
    let lib = "/// Covers: T-1\n#[test] fn a() {}";
    assert_eq!(judge(&[], lib).failures, Vec::<String>::new());
    let report = judge(&[("complete.toml", "complete = [\"T\"]")], lib);
    assert_eq!(report.failures.len(), 2, "{:?}", report.failures);
    let tables = tables(&[("complete.toml", "complete = [\"U\"]")]);
    assert_eq!(tables.problems.len(), 1);
}

#[test]
fn vector_files_count_only_if_a_running_test_loads_them() {
    let vectors = |id: &str| VectorCovers {
        path: "test-vectors/t/a.json".to_owned(),
        covers: vec![("case".to_owned(), id.to_owned())],
    };
    let covered = |lib: &str| {
        let scans = [source(&[("src/lib.rs", lib)])];
        report(&tables(&[]), &scans, &[vectors("T-1")]).specs[0].covered
    };
    let load = "fn load() -> &'static str { include_str!(\"../../test-vectors/t/a.json\") }";
    assert_eq!(covered(&format!("{load} #[test] fn a() {{ load(); }}")), 1);
    assert_eq!(
        covered(
            "const A: &str = concat!(ROOT, \"/test-vectors/t/a.json\"); #[test] fn a() { check(A) }"
        ),
        1
    );
    assert_eq!(covered(&format!("{load} #[test] fn a() {{ }}")), 0);
    assert_eq!(
        covered(&format!("{load} #[test] #[ignore] fn a() {{ load(); }}")),
        0
    );
    assert_eq!(
        covered("#[test] fn a() { load(\"test-vectors/t/b.json\") }"),
        0
    );
    let report = report(&tables(&[]), &[], &[vectors("T-9")]);
    assert_eq!(report.failures.len(), 1);
}

//! The command as a person runs it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::Value;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_agent-fabric"))
        .args(arguments)
        .output()
        .unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = core::str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_story_holds_and_every_attack_is_refused() {
    let output = run(&["demo", "--json"]);
    let lines = lines(&output);
    let end = lines.last().unwrap();
    assert!(
        output.status.success(),
        "{end}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        (&end["ok"], end["steps"].as_u64()),
        (&Value::Bool(true), Some(10))
    );
    assert_eq!(end["attacks"], end["refused"]);
    assert!(end["attacks"].as_u64().unwrap() >= 17, "{end}");
    assert!(
        end["revocation_ms"].as_f64().unwrap() > 0.0
            && end["duration_ms"].as_f64().unwrap() < 30_000.0,
        "{end}"
    );
    let attacks = lines.iter().filter(|line| line["attack"].is_string());
    assert!(
        attacks
            .into_iter()
            .all(|attack| attack["refused"] == true && attack["error"] != "")
    );
}

#[test]
fn verbose_output_shows_claims_and_no_token() {
    let output = run(&["demo", "-v", "--json"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("\"may_act\"") && shown.contains("\"act_chain\""));
    // A compact token would begin with an encoded `{"`.
    assert!(!shown.contains("eyJ"), "a token is shown whole");
}

#[test]
fn an_occupied_port_is_one_clear_line() {
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = occupied.local_addr().unwrap().port().to_string();
    let output = run(&["demo", "--gateway-port", &port]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        error.lines().count() == 1 && error.contains(&port),
        "{error}"
    );
}

#[test]
fn wrong_use_is_one_clear_line() {
    for arguments in [
        &["demo", "--nonsense"][..],
        &["nonsense"],
        &["demo", "--gateway-port", "x"],
    ] {
        let output = run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            error.lines().count() == 1 && !error.contains("panicked"),
            "{error}"
        );
    }
    assert!(run(&["--help"]).status.success() && run(&["--version"]).status.success());
}

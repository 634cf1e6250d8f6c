//! The command as `make run` uses it: what it prints, and what makes it fail.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn tool(arguments: &[&str], folder: &Path) -> Output {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_tidegate-replay"));
    tool.args(arguments).current_dir(folder).output().unwrap()
}

fn succeeds(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn fails(output: Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

const PREPARE: [&str; 5] = ["prepare", "--log", "log", "--events", "events"];
const REPORT: [&str; 7] = ["report", "--events", "events", "--out", ".", "rust", "c"];

/// Two requests, decided alike by two hosts.
fn replayed() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("log"), "1700000000,a,0.5\n1700000001,a,0\n").unwrap();
    succeeds(tool(&PREPARE, folder.path()));
    for host in ["rust", "c"] {
        let file = |ending| folder.path().join(format!("{host}.{ending}"));
        let decisions = "0 1 ok 1 0 0 60000000000 requests\n\
                         1 0 limited 1 0 59000000000 59000000000 requests\n";
        fs::write(file("decisions"), decisions).unwrap();
        let bucket = r#"{"limit": "requests", "name": "1/minute", "method": "count", "quota": 1,
            "capacity": 1, "used": 1, "remaining": 0, "refresh_after_ns": 59000000000}"#;
        let summary =
            format!(r#"{{"decisions": 2, "admitted": 1, "seconds": 1e-6, "buckets": [{bucket}]}}"#);
        fs::write(file("json"), summary).unwrap();
    }
    folder
}

/// Replaces `from` by `to` in one file, which makes `report` fail; what it says.
fn corrupted(file: &str, from: &str, to: &str) -> String {
    let folder = replayed();
    let path = folder.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from));
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    fails(tool(&REPORT, folder.path()))
}

#[test]
fn equal_hosts_are_shown_in_a_table() {
    let folder = replayed();
    let table = succeeds(tool(&REPORT, folder.path()));
    for part in ["| rust ", "| c ", "2.00 M", "requests", "1/minute", "all 2 decisions"] {
        assert!(table.contains(part), "{part} is not in {table}");
    }
}

#[test]
fn a_difference_in_any_field_is_named() {
    for (from, to, named) in [
        ("0 limited", "1 limited", "allowed"),
        ("limited", "blocked", "reason"),
        ("limited 1", "limited 2", "limit \"1\""),
        ("limited 1 0", "limited 1 1", "remaining"),
        ("1 0 59000000000 59000000000", "1 0 58999999999 59000000000", "retry_after_ns"),
        ("1 0 59000000000 59000000000", "1 0 59000000000 58999999999", "reset_after_ns"),
        ("requests\n1", "time\n1", "name"),
    ] {
        let error = corrupted("c.decisions", from, to);
        assert!(error.contains("rust and c differ at request") && error.contains(named), "{error}");
    }
    let error = corrupted("c.decisions", "limited", "blocked");
    assert!(error.contains("request 1 (key a at 2023-11-14T22:13:21.000Z)"), "{error}");
}

#[test]
fn missing_and_spoiled_decisions_are_refused() {
    for file in ["rust.decisions", "c.decisions"] {
        let error = corrupted(file, "1 0 limited 1 0 59000000000 59000000000 requests\n", "");
        assert!(error.contains("decided 1 requests of 2"), "{error}");
    }
    let error = corrupted("rust.decisions", "1 0 limited 1 0 59000000000", "1 0 limited");
    assert!(error.contains("no decision"), "{error}");
    let error = corrupted("rust.decisions", "\n1 0", "\n2 0");
    assert!(error.contains("request 1 is missing"), "{error}");
}

#[test]
fn a_summary_that_disagrees_is_refused() {
    let error = corrupted("c.json", "\"admitted\": 1", "\"admitted\": 2");
    assert!(error.contains("the summary's (decisions, admitted) are (2, 2)"), "{error}");
    let error = corrupted("c.json", "\"remaining\": 0", "\"remaining\": 1");
    assert!(error.contains("rust and c differ in what is left"), "{error}");
    let error = corrupted("c.json", "\"quota\"", "\"quotas\"");
    assert!(error.contains("c.json"), "{error}");
}

#[test]
fn a_host_that_left_nothing_is_named() {
    let folder = replayed();
    fs::remove_file(folder.path().join("c.decisions")).unwrap();
    let error = fails(tool(&REPORT, folder.path()));
    assert!(error.contains("c.decisions"), "{error}");
}

#[test]
fn broken_lines_are_reported_and_the_rest_is_used() {
    let folder = TempDir::new().unwrap();
    let log = "timestamp,key,duration\n1700000000,a,0.5\nbroken\n1700000001,é f,2\n\n3,b,x\n";
    fs::write(folder.path().join("log"), log).unwrap();
    let said = succeeds(tool(&PREPARE, folder.path()));
    assert!(said.contains("2 requests of 2 keys"), "{said}");
    assert!(said.contains("2 broken lines left out, at lines 3, 6"), "{said}");
    let events = fs::read_to_string(folder.path().join("events")).unwrap();
    let expected = "A 1700000000000000000 a 0\n\
                    L 1700000000500000000 a 500000000 0\n\
                    A 1700000001000000000 %C3%A9%20f 1\n\
                    L 1700000003000000000 %C3%A9%20f 2000000000 1\n\
                    S 1700000003000000000 a\n";
    assert_eq!(events, expected);
}

#[test]
fn a_log_that_cannot_be_used_is_a_clear_error() {
    let folder = TempDir::new().unwrap();
    let error = fails(tool(&PREPARE, folder.path()));
    assert!(error.contains("cannot read the log log"), "{error}");
    fs::write(folder.path().join("log"), "hello\n").unwrap();
    let error = fails(tool(&PREPARE, folder.path()));
    assert!(
        error.contains("no usable line") && error.contains("timestamp,key,duration"),
        "{error}"
    );
    assert!(!folder.path().join("events").exists());
}

const REPLAY: [&str; 7] = ["replay", "--events", "events", "--policy", "policy.toml", "--out", "."];

#[test]
fn only_admitted_requests_are_charged_for_their_time() {
    let folder = TempDir::new().unwrap();
    let file = |name| folder.path().join(name);
    // One admitted request of 0.4 s, a denied one of 9 s: only the first is charged.
    fs::write(file("log"), "1700000000,a,0.4\n1700000001,a,9\n").unwrap();
    let policy = "[[limit]]\nname = \"n\"\nmethod = \"count\"\nrate = \"1/hour\"\n\
                  [[limit]]\nname = \"t\"\nmethod = \"latency\"\nrate = \"10s/hour\"\n\
                  algorithm = \"fixed_window\"\n";
    fs::write(file("policy.toml"), policy).unwrap();
    succeeds(tool(&PREPARE, folder.path()));
    succeeds(tool(&REPLAY, folder.path()));
    let decisions = fs::read_to_string(file("rust.decisions")).unwrap();
    let expected = "0 1 ok 1 0 0 3600000000000 n\n\
                    1 0 limited 1 0 3599000000000 3599000000000 n\n";
    assert_eq!(decisions, expected);
    let summary = fs::read_to_string(file("rust.json")).unwrap();
    assert!(summary.contains("\"remaining\": 9600000000"), "{summary}");
    fs::write(file("policy.toml"), "[[limit]]").unwrap();
    let error = fails(tool(&REPLAY, folder.path()));
    assert!(error.contains("policy.toml: line 1"), "{error}");
}

#[test]
fn the_recorded_trace_under_the_data_api_policy() {
    let folder = TempDir::new().unwrap();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let trace = format!("{root}/tests/traces/service.csv");
    let policy = format!("{root}/examples/policies/data-api.toml");
    let said = succeeds(tool(&["prepare", "--log", &trace, "--events", "events"], folder.path()));
    assert!(said.contains("13066 requests of 25 keys") && !said.contains("broken"), "{said}");
    let replay = ["replay", "--events", "events", "--policy", &policy, "--out", "."];
    succeeds(tool(&replay, folder.path()));
    let decisions = fs::read_to_string(folder.path().join("rust.decisions")).unwrap();
    let count = |start: &str, name: &str| {
        let decided = |line: &&str| line.contains(start) && line.ends_with(name);
        decisions.lines().filter(decided).count()
    };
    // As a separate program reckons with six plain counters a key.
    let counts =
        (count(" 1 ok ", ""), count(" 0 limited ", " requests"), count(" 0 limited ", " time"));
    assert_eq!(counts, (8317, 2862, 1887));
}

#[test]
fn arguments_are_checked() {
    let folder = TempDir::new().unwrap();
    for arguments in [&["prepare"][..], &["--nonsense"], &["forget", "--events", "x"]] {
        assert!(fails(tool(arguments, folder.path())).contains("usage"), "{arguments:?}");
    }
    let replayed = replayed();
    let error = fails(tool(&REPORT[..6], replayed.path()));
    assert!(error.contains("two hosts"), "{error}");
}

//! The demo, run to its end with a small crowd.

use std::process::Command;

/// More than PostgreSQL admits, so that some have to be refused without a pooler.
const CLIENTS: &str = "300";

#[test]
fn serves_everybody_on_few_servers_and_leaves() {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--offline", "--example", "demo", "--"])
        .args(["--no-wait", "--clients", CLIENTS, "--seconds", "2", "--think", "200"])
        .args(["--binary", env!("CARGO_BIN_EXE_pgusher")])
        .output()
        .expect("run cargo");
    let text = String::from_utf8_lossy(&output.stdout);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{words}");
    // PostgreSQL keeps 3 of its 100 connections for superusers.
    assert_eq!(row(&text, "clients served"), ["97", CLIENTS]);
    assert_eq!(row(&text, "clients refused"), ["203", "0"]);
    assert_eq!(row(&text, "errors"), ["203", "0"]);
    let servers: u32 = row(&text, "PostgreSQL connections")[1].parse().unwrap();
    assert!((1..=20).contains(&servers), "{text}");
}

/// The two values of a line of the report.
fn row<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(name));
    line.unwrap_or_else(|| panic!("no line {name:?} in:\n{text}")).split_whitespace().collect()
}

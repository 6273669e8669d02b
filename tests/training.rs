//! The training for a release, run to its end in a short form.

use std::process::Command;

#[test]
fn every_lesson_can_be_done() {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--offline", "-p", "pgusher-testkit", "--example", "training"])
        .args(["--", "--seconds", "1"])
        .arg(env!("CARGO_BIN_EXE_pgusher"))
        .output()
        .expect("run cargo");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    assert_eq!(words.matches("clients").count(), 10, "{words}");
}

//! The numbers that nobody may exceed.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

/// So much more than recorded is let pass, and of what costs nothing so much in all: ticks come in between.
const TOLERANCE: f64 = 0.05;

/// One at a time changes the file.
static FILE: Mutex<()> = Mutex::new(());

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/gates/recorded.txt")
}

/// Names and numbers, one a line.
fn read() -> Vec<(String, f64)> {
    let text = std::fs::read_to_string(path()).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.rsplit_once(": "));
    pairs.map(|(name, number)| (name.to_owned(), number.parse().unwrap())).collect()
}

/// Compares a cost with what is recorded, or records it where that is asked for.
pub(crate) fn hold(name: &str, cost: f64) {
    eprintln!("{name}: {cost:.2}");
    if std::env::var_os("PGUSHER_RECORD").is_some() {
        return record(name, cost);
    }
    let all = read();
    let known = all.iter().find(|(known, _)| known == name);
    let (_, known) = known.unwrap_or_else(|| panic!("{name} is not recorded"));
    assert!(
        cost <= (known * (1.0 + TOLERANCE)).max(TOLERANCE),
        "{name}: {cost:.2}, recorded {known:.2}; if it has to cost that much, record it: see main.rs"
    );
}

fn record(name: &str, cost: f64) {
    let _alone = FILE.lock().unwrap();
    let mut all = read();
    all.retain(|(known, _)| known != name);
    all.push((name.to_owned(), cost));
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut text =
        "# What a transaction costs; written by PGUSHER_RECORD=1 cargo test --test gates\n"
            .to_owned();
    for (name, cost) in all {
        let _ = writeln!(text, "{name}: {cost:.2}");
    }
    std::fs::write(path(), text).unwrap();
}

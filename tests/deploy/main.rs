//! What is in `deploy/`, tried on a real Prometheus that reads a pgusher at work.

#![allow(clippy::unwrap_used, reason = "tests")]

mod dashboards;
mod prometheus;
mod rules;
mod stage;

use std::path::PathBuf;

/// A file of `deploy/`.
fn shipped(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "deploy", name].iter().collect()
}

//! The metrics as Prometheus reads them, made from the same snapshot as the console's tables.
//!
//! `text` knows the format, `process` asks the kernel about the process, and the other files each list the metrics of
//! one subject: a metric's name, type, help and values stand together.

mod classes;
mod clients;
mod exporter;
mod pools;
mod process;
mod queue;
mod state;
mod text;
mod traffic;

use crate::stats::Snapshot;
use text::Page;

pub use exporter::pgbouncer_exporter;

/// Media type of the text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics.
pub fn render(snapshot: &Snapshot) -> String {
    let mut page = Page::default();
    clients::put(&mut page, snapshot);
    pools::put(&mut page, snapshot);
    queue::put(&mut page, snapshot);
    classes::put(&mut page, snapshot);
    traffic::put(&mut page, snapshot);
    state::put(&mut page, snapshot);
    process::put(&mut page);
    page.into_text()
}

#[cfg(test)]
mod tests;

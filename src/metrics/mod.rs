//! The metrics as Prometheus reads them, made from the same snapshot as the console's tables.
//!
//! `text` knows the format, `view` the labels that most series have, `process` asks the kernel about the process, and the other files each list the metrics of
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
mod view;

use crate::stats::Snapshot;
use text::Page;
use view::View;

pub use exporter::pgbouncer_exporter;

/// Media type of the text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// About so many bytes a page has without pools.
const SMALL: usize = 32 * 1024;
/// And so many more for each.
const OF_POOL: usize = 24 * 1024;

/// All metrics.
pub fn render(snapshot: &Snapshot) -> String {
    let mut page = Page::with_capacity(SMALL + snapshot.pools.len() * OF_POOL);
    let view = View::new(snapshot);
    clients::put(&mut page, &view);
    pools::put(&mut page, &view);
    queue::put(&mut page, &view);
    classes::put(&mut page, &view);
    traffic::put(&mut page, &view);
    state::put(&mut page, &view);
    traffic::exports(&mut page, &view);
    process::put(&mut page);
    page.into_text()
}

#[cfg(test)]
mod tests;

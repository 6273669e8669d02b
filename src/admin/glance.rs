//! What the console's tables say, for those who are not at the console: the page for browsers.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Host;
use super::look::{View, look};
use super::show::Show;
use super::show_process::SettingRow;
use super::table::{Cell, Sheet};
use crate::glance::{Glance, Load, Row, value};
use crate::stats::Snapshot;

/// SHOW LOAD.
pub fn loads(host: &dyn Host) -> Vec<Load> {
    of_pools(&look(host))
}

fn of_pools(snapshot: &Snapshot) -> Vec<Load> {
    snapshot.pools.iter().map(|pool| Load::of(pool, &snapshot.bounds)).collect()
}

/// Everything that is looked at.
pub fn glance(host: &dyn Host) -> Glance {
    let snapshot = look(host);
    let state = match (snapshot.process.is_suspended, snapshot.process.is_paused) {
        (true, _) => "suspended",
        (false, true) => "paused",
        (false, false) => "active",
    };
    Glance {
        version: concat!("pgusher ", env!("CARGO_PKG_VERSION")).to_owned(),
        at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        state: state.to_owned(),
        pools: of_pools(&snapshot),
        waiters: rows(Show::Waiters.sheet(), host),
        blockers: rows(Show::Blockers.sheet(), host),
        pins: rows(Show::Pins.sheet(), host),
        audit: rows(Show::Audit.sheet(), host),
    }
}

/// SHOW CONFIG, and where each value comes from.
pub fn settings(host: &dyn Host) -> Vec<Row> {
    rows(Sheet::of::<SettingRow>(), host)
}

/// The rows of a table that needs no snapshot.
fn rows(sheet: Sheet, host: &dyn Host) -> Vec<Row> {
    let columns = (sheet.columns)();
    let view = View { snapshot: Snapshot::default(), host, database: None };
    let rows = (sheet.rows)(view).into_iter();
    let row = |cells: Vec<Cell>| {
        let cells = columns.iter().zip(cells).map(|(column, cell)| {
            let value = match cell {
                Cell::Null => serde_json::Value::Null,
                Cell::Text(text) => value(column.name, &text),
                Cell::Number(number) => number.into(),
            };
            (column.name.to_owned(), value)
        });
        cells.collect()
    };
    rows.map(row).collect()
}

//! What each tab shows, as a table of cells: pure, whatever draws it.

use serde_json::Value;

use super::words::{count, duration, percent};
use crate::glance::{Glance, Load, Row};

/// A table of the view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tab {
    /// The pools.
    #[default]
    Pools,
    /// Clients that wait.
    Queue,
    /// Who holds servers.
    Blockers,
    /// Who keeps them between transactions.
    Pins,
    /// What plain transaction pooling would break.
    Audit,
}

impl Tab {
    /// All tabs; the first has the number 1.
    pub(super) const ALL: [Tab; 5] = [Tab::Pools, Tab::Queue, Tab::Blockers, Tab::Pins, Tab::Audit];

    /// What it is called.
    pub(super) fn title(self) -> &'static str {
        match self {
            Tab::Pools => "Pools",
            Tab::Queue => "Queue",
            Tab::Blockers => "Blockers",
            Tab::Pins => "Pins",
            Tab::Audit => "Audit",
        }
    }

    /// Its columns.
    pub(super) fn columns(self) -> &'static [Column] {
        match self {
            Tab::Pools => POOLS,
            Tab::Queue => QUEUE,
            Tab::Blockers => BLOCKERS,
            Tab::Pins => PINS,
            Tab::Audit => AUDIT,
        }
    }

    /// The column that it is sorted by at first: the worst comes first.
    pub(super) fn worst(self) -> &'static str {
        match self {
            Tab::Pools => "OLDEST",
            Tab::Queue => "WAITED",
            Tab::Blockers | Tab::Pins => "SINCE",
            Tab::Audit => "COUNT",
        }
    }

    /// Its rows, unsorted.
    pub(super) fn rows(self, now: &Glance, before: Option<&Glance>) -> Vec<Line> {
        let of = |table: &[Row]| table.iter().map(|row| line(self.columns(), row)).collect();
        match self {
            Tab::Pools => now.pools.iter().map(|load| pool(load, now, before)).collect(),
            Tab::Queue => of(&now.waiters),
            Tab::Blockers => of(&now.blockers),
            Tab::Pins => of(&now.pins),
            Tab::Audit => of(&now.audit),
        }
    }
}

/// A column: how it is called and how much room it takes. When there is too little, those of the highest rank go first.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Where its value is, in a table of the console; empty for what is worked out.
    key: &'static str,
    pub(super) width: u16,
    pub(super) rank: u8,
    pub(super) kind: Kind,
}

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Names and other words.
    Text,
    /// Statements, which say most at their beginnings.
    Statement,
    /// Numbers, to the right and sorted by weight.
    Number,
    /// The [`Bar`] of the row.
    Bar,
}

const fn text(title: &'static str, key: &'static str, width: u16, rank: u8) -> Column {
    Column { title, key, width, rank, kind: Kind::Text }
}

const fn number(title: &'static str, key: &'static str, width: u16, rank: u8) -> Column {
    Column { title, key, width, rank, kind: Kind::Number }
}

const fn statement(title: &'static str) -> Column {
    Column { title, key: "statement", width: 24, rank: 0, kind: Kind::Statement }
}

const fn bar(title: &'static str, width: u16, rank: u8) -> Column {
    Column { title, key: "", width, rank, kind: Kind::Bar }
}

const POOLS: &[Column] = &[
    text("DATABASE", "", 14, 0),
    text("USER", "", 10, 3),
    bar("SERVERS", 12, 1),
    number("USED", "", 7, 0),
    number("QUEUE", "", 5, 0),
    number("OLDEST", "", 6, 0),
    number("TX/S", "", 5, 0),
    number("WAIT", "", 5, 1),
    number("P99", "", 5, 0),
    number("SAT", "", 4, 2),
    number("CLIENTS", "", 7, 4),
    number("Q/S", "", 5, 5),
    text("MODE", "", 11, 6),
];

const QUEUE: &[Column] = &[
    text("DATABASE", "database", 14, 0),
    text("USER", "user", 12, 1),
    text("APPLICATION", "application_name", 20, 0),
    number("PLACE", "place", 5, 0),
    number("WAITED", "waited_seconds", 6, 0),
    number("EXPECTED", "expected_seconds", 8, 2),
    text("CLASS", "class", 10, 4),
    number("CLIENT", "client", 7, 3),
    text("ADDRESS", "addr", 21, 5),
];

const BLOCKERS: &[Column] = &[
    text("DATABASE", "database", 12, 1),
    text("APPLICATION", "application_name", 14, 0),
    text("USER", "user", 9, 2),
    text("STATE", "state", 19, 0),
    number("SINCE", "held_seconds", 6, 0),
    number("PID", "remote_pid", 7, 4),
    number("CLIENT", "client", 7, 3),
    number("QUEUE", "waiting", 5, 2),
    statement("LAST STATEMENT"),
];

const PINS: &[Column] = &[
    text("DATABASE", "database", 12, 1),
    text("APPLICATION", "application_name", 14, 0),
    text("USER", "user", 10, 2),
    text("CAUSE", "cause", 14, 0),
    number("SINCE", "seconds", 6, 0),
    number("CLIENT", "client", 7, 3),
    statement("STATEMENT"),
];

const AUDIT: &[Column] = &[
    text("DATABASE", "database", 14, 0),
    text("APPLICATION", "application_name", 16, 0),
    text("CAUSE", "cause", 14, 0),
    number("COUNT", "count", 8, 0),
    statement("STATEMENT"),
];

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) text: String,
    /// What numbers are sorted by.
    pub(super) weight: f64,
    pub(super) tone: Tone,
}

/// What a value means to somebody who looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    #[default]
    Plain,
    /// Nothing to see.
    Quiet,
    /// To be looked at.
    Warn,
    /// Somebody waits.
    Bad,
}

/// A row: its cells, one for each column.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line {
    pub(super) cells: Vec<Cell>,
    /// Servers by state, for the row of a pool.
    pub(super) bar: Option<Bar>,
}

impl Line {
    /// True when one of its texts holds a part.
    pub(super) fn holds(&self, part: &str) -> bool {
        let part = part.to_lowercase();
        self.cells.iter().any(|cell| cell.text.to_lowercase().contains(&part))
    }
}

/// Servers by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bar {
    /// At work, idle in transactions, pinned, on their way, free.
    pub(super) servers: [u64; 5],
    /// How many there may be.
    pub(super) size: u64,
}

impl Bar {
    /// How many letters each state gets of so many, and what is left.
    pub(super) fn letters(&self, width: u64) -> [u64; 5] {
        let whole = self.size.max(self.servers.iter().sum()).max(1);
        let mut sum = 0;
        let mut begun = 0;
        self.servers.map(|servers| {
            sum += servers;
            // Something is seen of whoever is there, as far as there is room.
            let end = (sum * width).div_ceil(whole).min(width);
            let letters = end - begun;
            begun = end;
            letters
        })
    }
}

fn plain(text: impl Into<String>) -> Cell {
    Cell { text: text.into(), weight: 0.0, tone: Tone::Plain }
}

fn weighed(text: String, weight: f64, tone: Tone) -> Cell {
    let tone = if weight == 0.0 { Tone::Quiet } else { tone };
    Cell { text, weight, tone }
}

fn pool(load: &Load, now: &Glance, before: Option<&Glance>) -> Line {
    let rates = before.and_then(|before| now.rates(load, before));
    let of = |value: Option<f64>, show: fn(f64) -> String, tone| match value {
        Some(value) => weighed(show(value), value, tone),
        None => weighed("-".to_owned(), 0.0, Tone::Quiet),
    };
    let per_second = |of: fn(&crate::glance::Rates) -> f64| rates.as_ref().map(of);
    let mode = if load.paused == 1 { "PAUSED" } else { &load.mode };
    let late = if load.oldest_wait_seconds >= 1.0 { Tone::Bad } else { Tone::Warn };
    Line {
        bar: Some(Bar {
            servers: [
                load.sv_active,
                load.sv_idle_in_transaction,
                load.sv_pinned,
                load.sv_other,
                load.sv_idle,
            ],
            size: load.size,
        }),
        cells: vec![
            plain(&load.database),
            plain(&load.user),
            plain(""),
            weighed(format!("{}/{}", load.used(), load.size), load.used() as f64, Tone::Plain),
            weighed(load.waiting.to_string(), load.waiting as f64, late),
            weighed(duration(load.oldest_wait_seconds), load.oldest_wait_seconds, late),
            of(per_second(|rates| rates.transactions_per_second), count, Tone::Plain),
            of(rates.and_then(|rates| rates.mean_wait_seconds), duration, Tone::Plain),
            of(rates.and_then(|rates| rates.wait_p99_seconds), duration, Tone::Plain),
            of(per_second(|rates| rates.saturated), percent, Tone::Warn),
            weighed(
                (load.cl_idle + load.cl_active + load.waiting).to_string(),
                (load.cl_idle + load.cl_active + load.waiting) as f64,
                Tone::Plain,
            ),
            of(per_second(|rates| rates.queries_per_second), count, Tone::Plain),
            plain(mode),
        ],
    }
}

fn line(columns: &[Column], row: &Row) -> Line {
    let cell = |column: &Column| match row.get(column.key) {
        Some(Value::Number(number)) => {
            let number = number.as_f64().unwrap_or_default();
            let is_time = column.key.ends_with("seconds");
            let text = if is_time { duration(number) } else { format!("{number}") };
            weighed(text, number, Tone::Plain)
        }
        Some(Value::String(text)) => Cell { tone: tone(column, text), ..plain(text.as_str()) },
        _ => weighed("-".to_owned(), 0.0, Tone::Quiet),
    };
    Line { cells: columns.iter().map(cell).collect(), bar: None }
}

fn tone(column: &Column, text: &str) -> Tone {
    match (column.key, text) {
        ("state", "idle_in_transaction" | "pinned") => Tone::Warn,
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_show_everybody_and_stay_in_their_room() {
        let bar = Bar { servers: [1, 1, 0, 0, 2], size: 8 };
        assert_eq!(bar.letters(8), [1, 1, 0, 0, 2]);
        assert_eq!(Bar { servers: [100, 1, 0, 0, 99], size: 200 }.letters(10), [5, 1, 0, 0, 4]);
        assert_eq!(Bar { servers: [3, 0, 0, 0, 0], size: 2 }.letters(4), [4, 0, 0, 0, 0]);
        assert_eq!(Bar::default().letters(4), [0; 5]);
    }

    #[test]
    fn every_row_has_a_cell_for_each_column() {
        let glance = Glance { pools: vec![Load::default()], ..Glance::default() };
        let rows = Tab::Pools.rows(&glance, None);
        assert_eq!(rows[0].cells.len(), POOLS.len());
        for tab in Tab::ALL {
            assert!(tab.columns().iter().any(|column| column.title == tab.worst()), "{tab:?}");
        }
    }
}

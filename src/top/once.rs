//! One look, for scripts and for paper.

use super::grid::{Bar, Cell, Column, Kind, Tab};
use super::words::duration;
use crate::glance::Glance;

/// The look as a plain table of pools, and of those who hold their servers while somebody waits.
pub(super) fn table(now: &Glance, before: &Glance) -> String {
    let mut text = format!("{}, {}\n\n", now.version, now.state);
    text.push_str(&tab(Tab::Pools, now, before));
    for (what, tab_of) in [("Blockers", Tab::Blockers), ("Pins", Tab::Pins)] {
        let rows = tab(tab_of, now, before);
        if rows.lines().count() > 1 {
            text.push_str(&format!("\n{what}\n{rows}"));
        }
    }
    let longest = now.pools.iter().map(|pool| pool.oldest_wait_seconds).fold(0.0, f64::max);
    let waiting: u64 = now.pools.iter().map(|pool| pool.waiting).sum();
    text.push_str(&format!("\n{waiting} waiting, oldest {}\n", duration(longest)));
    text
}

fn tab(tab: Tab, now: &Glance, before: &Glance) -> String {
    let titles = tab.columns().iter().map(|column| column.title.to_owned()).collect();
    let mut rows: Vec<Vec<String>> = vec![titles];
    rows.extend(tab.rows(now, Some(before)).into_iter().map(|line| {
        let cell = |(cell, column): (Cell, &Column)| match (column.kind, &line.bar) {
            (Kind::Bar, Some(bar)) => states(bar),
            _ => cell.text,
        };
        line.cells.into_iter().zip(tab.columns()).map(cell).collect()
    }));
    let width = |at: usize| rows.iter().map(|row: &Vec<String>| row[at].chars().count()).max();
    let widths: Vec<_> = (0..tab.columns().len()).map(|at| width(at).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in &rows {
        let cells =
            row.iter().zip(&widths).zip(tab.columns()).map(|((cell, width), column)| match column
                .kind
            {
                Kind::Number => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Servers by state, where a bar would not be understood.
fn states(bar: &Bar) -> String {
    let words = ["active", "idle in tx", "pinned", "other", "idle"];
    let there = bar.servers.iter().zip(words).filter(|(count, _)| **count > 0);
    there.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::looked;
    use super::*;

    #[test]
    fn the_table_says_it_without_colours_or_bars() {
        let state = looked();
        let text = table(state.now.as_ref().unwrap(), state.before.as_ref().unwrap());
        assert!(text.contains("1 active, 3 idle in tx"), "{text}");
        assert!(text.contains("billing") && text.contains("7 waiting, oldest 2.5s"), "{text}");
        let json = state.now.as_ref().unwrap().json(state.before.as_ref());
        assert_eq!(json["pools"][1]["rates"]["transactions_per_second"], 250.0);
        assert_eq!(json["interval_seconds"], 1.0);
    }
}

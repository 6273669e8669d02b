//! Markdown tables whose columns line up in a terminal too.

use std::fmt;

/// A table with a header; the first column is text, the others are numbers.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub(crate) fn new(header: &[&str]) -> Self {
        Table { rows: vec![header.iter().map(|&name| name.to_owned()).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
            })
            .collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for (index, row) in self.rows.iter().enumerate() {
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if column == 0 {
                    write!(out, "| {cell:<width$} ")?;
                } else {
                    write!(out, "| {cell:>width$} ")?;
                }
            }
            writeln!(out, "|")?;
            if index == 0 {
                write_rule(out, &widths)?;
            }
        }
        Ok(())
    }
}

fn write_rule(out: &mut fmt::Formatter<'_>, widths: &[usize]) -> fmt::Result {
    for (column, &width) in widths.iter().enumerate() {
        let end = if column == 0 { '-' } else { ':' };
        write!(out, "|-{}{end}", "-".repeat(width))?;
    }
    writeln!(out, "|")
}

/// A number with `digits` behind the point, or a dash.
pub(crate) fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

/// A ratio with its sign, or a dash.
pub(crate) fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}×"))
}

#[cfg(test)]
mod tests {
    use super::{Table, number, ratio};

    #[test]
    fn lines_up() {
        let mut table = Table::new(&["who", "tps"]);
        table.row(vec!["pgusher".to_owned(), number(Some(1234.56), 0)]);
        table.row(vec!["none".to_owned(), number(None, 0)]);
        let expected = "\
| who     |  tps |
|---------|-----:|
| pgusher | 1235 |
| none    |    – |
";
        assert_eq!(table.to_string(), expected);
        assert_eq!((ratio(Some(0.721)), ratio(None)), ("0.72×".to_owned(), "–".to_owned()));
    }
}

//! Tables: a column's name and its value are one entry, so they cannot drift apart.

use super::look::View;
use crate::wire::{Column, ColumnKind};

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Null,
    Text(String),
    Number(u64),
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.to_owned())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Cell::Number(number)
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Cell::Number(number as u64)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

/// A column of a table with rows `R`.
pub(super) struct Field<R> {
    column: Column,
    value: fn(&R) -> Cell,
}

impl<R> Field<R> {
    const fn new(name: &'static str, kind: ColumnKind, value: fn(&R) -> Cell) -> Self {
        Field { column: Column { name, kind }, value }
    }

    /// A column of texts.
    pub(super) const fn text(name: &'static str, value: fn(&R) -> Cell) -> Self {
        Field::new(name, ColumnKind::Text, value)
    }

    /// A column of numbers that stay small.
    pub(super) const fn int(name: &'static str, value: fn(&R) -> Cell) -> Self {
        Field::new(name, ColumnKind::Int4, value)
    }

    /// A column of numbers.
    pub(super) const fn long(name: &'static str, value: fn(&R) -> Cell) -> Self {
        Field::new(name, ColumnKind::Int8, value)
    }

    /// A column of sums, as PgBouncer types them.
    pub(super) const fn sum(name: &'static str, value: fn(&R) -> Cell) -> Self {
        Field::new(name, ColumnKind::Numeric, value)
    }

    /// A column of bytes.
    pub(super) const fn bytes(name: &'static str, value: fn(&R) -> Cell) -> Self {
        Field::new(name, ColumnKind::Bytea, value)
    }
}

/// What a row of a table is made of, and where the rows come from.
pub(super) trait Row: Sized + 'static {
    /// The columns, in order.
    const FIELDS: &'static [Field<Self>];

    /// All rows.
    fn all(view: View<'_>) -> Vec<Self>;
}

/// A table without the type of its rows.
#[derive(Clone, Copy)]
pub(super) struct Sheet {
    /// The header.
    pub(super) columns: fn() -> Vec<Column>,
    /// The rows.
    pub(super) rows: fn(View<'_>) -> Vec<Vec<Cell>>,
}

impl Sheet {
    /// The table of rows `R`.
    pub(super) fn of<R: Row>() -> Self {
        Sheet { columns: columns::<R>, rows: rows::<R> }
    }
}

fn columns<R: Row>() -> Vec<Column> {
    R::FIELDS.iter().map(|field| field.column).collect()
}

fn rows<R: Row>(view: View<'_>) -> Vec<Vec<Cell>> {
    let cells = |row: R| R::FIELDS.iter().map(|field| (field.value)(&row)).collect();
    R::all(view).into_iter().map(cells).collect()
}

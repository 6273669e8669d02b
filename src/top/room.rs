//! How much room each column of a table gets, and what is shown of a text that has too little. Pure.

use super::grid::{Column, Kind, Line};

/// The columns that fit, by their numbers, and how wide each is. Texts that need more than the usual take what is left
/// over, the first ones first; the rest goes to the last text.
pub(super) fn room(columns: &[Column], rows: &[Line], width: u16) -> Vec<(usize, u16)> {
    let shown = fitting(columns, width);
    let mut spare = width.saturating_sub(taken(columns, &shown));
    let is_text = |at: usize| matches!(columns[at].kind, Kind::Text | Kind::Statement);
    let mut room: Vec<_> = shown.iter().map(|at| (*at, least(&columns[*at]))).collect();
    for (at, room) in room.iter_mut().filter(|(at, _)| is_text(*at)) {
        let cells = rows.iter().filter_map(|row| row.cells.get(*at));
        let longest = cells.map(|cell| cell.text.chars().count()).max().unwrap_or_default();
        let wanted = u16::try_from(longest).unwrap_or(u16::MAX).saturating_sub(*room);
        *room += wanted.min(spare);
        spare -= wanted.min(spare);
    }
    if let Some((_, last)) = room.iter_mut().rfind(|(at, _)| is_text(*at)) {
        *last += spare;
    }
    room
}

/// The least room of a column: its title has to fit with the mark of the order.
fn least(column: &Column) -> u16 {
    let title = u16::try_from(column.title.len()).unwrap_or(u16::MAX);
    column.width.max(title + 1)
}

fn taken(columns: &[Column], shown: &[usize]) -> u16 {
    shown.iter().map(|at| least(&columns[*at]) + 1).sum::<u16>().saturating_sub(1)
}

/// When there is too little room, the columns of the highest rank go first.
fn fitting(columns: &[Column], width: u16) -> Vec<usize> {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    while taken(columns, &shown) > width && shown.len() > 1 {
        let last = shown.iter().enumerate().max_by_key(|(_, at)| (columns[**at].rank, **at));
        let Some((place, _)) = last.filter(|(_, at)| columns[**at].rank > 0) else { break };
        shown.remove(place);
    }
    shown
}

/// A value in its room. Of a number that is too long its beginning would be a lie; names often differ at their ends
/// only, and statements at their beginnings.
pub(super) fn cut(column: &Column, text: String, width: u16) -> String {
    let (width, length) = (usize::from(width), text.chars().count());
    if length <= width {
        return text;
    }
    let end = match column.kind {
        Kind::Number => return "#".repeat(width),
        Kind::Statement => 0,
        Kind::Text | Kind::Bar => width / 2,
    };
    let begin = text.chars().take(width.saturating_sub(end + 1));
    begin.chain(['…']).chain(text.chars().skip(length - end)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::grid::Tab;
    use super::*;
    use crate::glance::{Glance, Load};

    fn columns() -> &'static [Column] {
        Tab::Pools.columns()
    }

    fn of(title: &str) -> &'static Column {
        columns()
            .iter()
            .chain(Tab::Blockers.columns())
            .find(|column| column.title == title)
            .unwrap()
    }

    fn rows(database: &str) -> Vec<Line> {
        let load = Load { database: database.to_owned(), ..Load::default() };
        Tab::Pools.rows(&Glance { pools: vec![load], ..Glance::default() }, None)
    }

    #[test]
    fn everything_stays_within_the_screen_and_fills_it() {
        for width in [60, 80, 120, 200] {
            for name in ["a", &"long".repeat(40)] {
                let room = room(columns(), &rows(name), width);
                let sum: u16 = room.iter().map(|(_, width)| width + 1).sum::<u16>() - 1;
                assert_eq!(sum, width, "{room:?}");
            }
        }
    }

    #[test]
    fn long_names_get_what_is_left() {
        let name = "a_database_with_a_rather_long_name_07";
        let room = room(columns(), &rows(name), 200);
        assert_eq!(room[0], (0, 37));
        assert!(room.iter().all(|(at, width)| usize::from(*width) > columns()[*at].title.len()));
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut(of("DATABASE"), "tenant_000017".into(), 9), "tena…0017");
        assert_eq!(cut(of("LAST STATEMENT"), "select from t".into(), 8), "select …");
        assert_eq!(cut(of("QUEUE"), "123456".into(), 5), "#####");
        assert_eq!(cut(of("DATABASE"), "short".into(), 5), "short");
    }
}

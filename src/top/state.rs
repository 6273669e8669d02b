//! What the view knows and what keys do to it: pure.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::grid::{Kind, Line, Tab};
use crate::glance::Glance;

/// What the sampler has to say.
#[derive(Clone, Debug)]
pub(super) enum Update {
    /// The console was looked through.
    Look(Box<Glance>),
    /// It does not answer; why.
    Lost(String),
}

/// How the console is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing has come yet.
    Connecting,
    /// It answers.
    Up,
    /// It answers again; so many looks ago it did not.
    Back(u8),
    /// It does not answer; why.
    Lost(String),
}

/// What a key asks of whoever reads keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Go,
    Quit,
}

/// How a table is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) column: usize,
    pub(super) ascending: bool,
}

/// The view.
#[derive(Debug)]
pub(super) struct State {
    /// Where the console is, for people.
    pub(super) place: String,
    pub(super) interval: Duration,
    pub(super) tab: Tab,
    pub(super) link: Link,
    pub(super) is_paused: bool,
    pub(super) shows_help: bool,
    /// Rows that do not hold it are not shown.
    pub(super) filter: String,
    /// The filter is being written.
    pub(super) is_writing: bool,
    pub(super) selected: usize,
    pub(super) now: Option<Glance>,
    pub(super) before: Option<Glance>,
    database: Option<String>,
    orders: [Order; Tab::ALL.len()],
}

impl State {
    pub(super) fn new(place: String, interval: Duration, database: Option<String>) -> Self {
        let order = |tab: Tab| {
            let column = tab.columns().iter().position(|column| column.title == tab.worst());
            Order { column: column.unwrap_or_default(), ascending: false }
        };
        State {
            place,
            interval,
            tab: Tab::default(),
            link: Link::Connecting,
            is_paused: false,
            shows_help: false,
            filter: String::new(),
            is_writing: false,
            selected: 0,
            now: None,
            before: None,
            database,
            orders: Tab::ALL.map(order),
        }
    }

    /// Takes in what the sampler says. While the view is paused it only notes how the console is.
    pub(super) fn update(&mut self, update: Update) {
        match update {
            Update::Lost(why) => self.link = Link::Lost(why),
            Update::Look(mut look) => {
                const SAID_FOR: u8 = 5;
                self.link = match self.link {
                    Link::Lost(_) => Link::Back(SAID_FOR),
                    Link::Back(left) if left > 0 => Link::Back(left - 1),
                    _ => Link::Up,
                };
                if self.is_paused {
                    return;
                }
                if let Some(database) = &self.database {
                    look.only(database);
                }
                self.before = self.now.replace(*look);
                self.stay_in_range();
            }
        }
    }

    /// How the table on view is sorted.
    pub(super) fn order(&self) -> Order {
        self.orders[self.tab as usize]
    }

    /// The rows on view, sorted and filtered.
    pub(super) fn rows(&self) -> Vec<Line> {
        let Some(now) = &self.now else { return Vec::new() };
        let mut rows = self.tab.rows(now, self.before.as_ref());
        rows.retain(|row| row.holds(&self.filter));
        let Order { column, ascending } = self.order();
        let kind = self.tab.columns().get(column).map(|column| column.kind);
        rows.sort_by(|a, b| {
            let (Some(one), Some(other)) = (a.cells.get(column), b.cells.get(column)) else {
                return std::cmp::Ordering::Equal;
            };
            let by_column = match kind {
                Some(Kind::Number) => {
                    one.weight.total_cmp(&other.weight).then(one.text.cmp(&other.text))
                }
                // Descending is for numbers: the largest first. Of texts the first comes first.
                _ => other.text.cmp(&one.text),
            };
            if ascending { by_column } else { by_column.reverse() }
        });
        rows
    }

    /// A key was pressed.
    pub(super) fn key(&mut self, key: KeyEvent) -> Flow {
        if key.kind == KeyEventKind::Release {
            return Flow::Go;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Flow::Quit } else { Flow::Go };
        }
        if self.is_writing {
            self.write(key.code);
            return Flow::Go;
        }
        match key.code {
            KeyCode::Char('q') => return Flow::Quit,
            KeyCode::Esc if self.shows_help => self.shows_help = false,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('?' | 'h') => self.shows_help = !self.shows_help,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('/') => self.is_writing = true,
            KeyCode::Char(digit @ '1'..='5') => self.go_to(digit as usize - '1' as usize),
            KeyCode::Tab | KeyCode::Right => self.go_to((self.tab as usize + 1) % Tab::ALL.len()),
            KeyCode::BackTab | KeyCode::Left => {
                self.go_to((self.tab as usize + Tab::ALL.len() - 1) % Tab::ALL.len());
            }
            KeyCode::Char('>' | 's') => self.sort_by(1),
            KeyCode::Char('<' | 'S') => self.sort_by(self.tab.columns().len() - 1),
            KeyCode::Char('r') => {
                let order = &mut self.orders[self.tab as usize];
                order.ascending = !order.ascending;
            }
            KeyCode::Down | KeyCode::Char('j') => self.selected += 1,
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::PageDown => self.selected += 10,
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(10),
            KeyCode::Home | KeyCode::Char('g') => self.selected = 0,
            KeyCode::End | KeyCode::Char('G') => self.selected = usize::MAX,
            _ => {}
        }
        self.stay_in_range();
        Flow::Go
    }

    fn write(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.is_writing = false,
            KeyCode::Esc => {
                self.is_writing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(letter) => self.filter.push(letter),
            _ => {}
        }
        self.stay_in_range();
    }

    fn go_to(&mut self, tab: usize) {
        self.tab = Tab::ALL.get(tab).copied().unwrap_or_default();
        self.selected = 0;
    }

    fn sort_by(&mut self, step: usize) {
        let order = &mut self.orders[self.tab as usize];
        order.column = (order.column + step) % self.tab.columns().len();
    }

    fn stay_in_range(&mut self) {
        self.selected = self.selected.min(self.rows().len().saturating_sub(1));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::glance::Load;

    /// Two looks a second apart at two pools, one of which is busy.
    pub(in crate::top) fn looked() -> State {
        let mut state = State::new("127.0.0.1:6432".to_owned(), Duration::from_secs(1), None);
        let quiet = Load { database: "quiet".to_owned(), size: 5, ..Load::default() };
        let busy = |transactions| Load {
            database: "app".to_owned(),
            user: "alice".to_owned(),
            mode: "transaction".to_owned(),
            size: 4,
            sv_active: 1,
            sv_idle_in_transaction: 3,
            waiting: 7,
            oldest_wait_seconds: 2.5,
            transactions,
            ..Load::default()
        };
        let row = |text: serde_json::Value| text.as_object().cloned().unwrap_or_default();
        let blocker = row(serde_json::json!({
            "database": "app", "application_name": "billing", "user": "alice", "held_seconds": 12.5, "waiting": 7,
            "state": "idle_in_transaction", "remote_pid": 4242, "client": 9, "statement": "update t set a = ?",
        }));
        for (at, transactions) in [(1.0, 100), (2.0, 350)] {
            state.update(Update::Look(Box::new(Glance {
                at,
                version: "pgusher 1".to_owned(),
                state: "active".to_owned(),
                pools: vec![quiet.clone(), busy(transactions)],
                blockers: vec![blocker.clone()],
                ..Glance::default()
            })));
        }
        state
    }

    fn press(state: &mut State, keys: &str) -> Flow {
        let press = |letter| state.key(KeyEvent::from(KeyCode::Char(letter)));
        keys.chars().map(press).last().unwrap()
    }

    fn first(state: &State) -> String {
        state.rows()[0].cells[0].text.clone()
    }

    #[test]
    fn the_worst_comes_first_until_somebody_sorts() {
        let mut state = looked();
        assert_eq!(first(&state), "app");
        press(&mut state, "r");
        assert_eq!(first(&state), "quiet");
        press(&mut state, "r>");
        let at = state.order().column;
        assert_eq!((Tab::Pools.columns()[at].title, first(&state).as_str()), ("TX/S", "app"));
        assert_eq!(state.rows()[0].cells[at].text, "250");
    }

    #[test]
    fn a_filter_is_written_and_taken_back() {
        let mut state = looked();
        press(&mut state, "/QUI");
        assert_eq!(state.rows().len(), 1);
        assert_eq!(press(&mut state, "q"), Flow::Go, "a letter of the filter");
        assert!(state.rows().is_empty());
        state.key(KeyEvent::from(KeyCode::Esc));
        assert_eq!((state.rows().len(), press(&mut state, "q")), (2, Flow::Quit));
    }

    #[test]
    fn a_paused_view_stands_still_and_a_lost_console_is_told() {
        let mut state = looked();
        press(&mut state, "p");
        state.update(Update::Look(Box::default()));
        assert_eq!(state.rows().len(), 2);
        state.update(Update::Lost("gone".to_owned()));
        assert_eq!(state.link, Link::Lost("gone".to_owned()));
        state.update(Update::Look(Box::default()));
        assert!(matches!(state.link, Link::Back(_)));
    }

    #[test]
    fn tabs_have_numbers() {
        let mut state = looked();
        press(&mut state, "3");
        assert_eq!((state.tab, first(&state).as_str()), (Tab::Blockers, "app"));
        state.key(KeyEvent::from(KeyCode::BackTab));
        assert_eq!(state.tab, Tab::Queue);
    }
}

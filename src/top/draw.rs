//! The view on a terminal.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::{Cell, Clear, Paragraph, Row, Table, TableState};

use super::grid::{self, Column, Kind, Tab, Tone};
use super::room::{cut, room};
use super::state::{Link, State};
use super::words::{count, duration};

/// Colours, or none of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    pub(super) colours: bool,
}

impl Theme {
    fn colour(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => Style::new(),
            Tone::Quiet => Style::new().add_modifier(Modifier::DIM),
            Tone::Warn => self.colour(Color::Yellow),
            Tone::Bad => self.colour(Color::Red).add_modifier(Modifier::BOLD),
        }
    }
}

/// What servers look like in a bar: at work, idle in transactions, pinned, on their way, free; then what may yet come.
const LETTERS: [&str; 5] = ["█", "▓", "▒", "+", "░"];
const COLOURS: [Color; 5] =
    [Color::Green, Color::Yellow, Color::Magenta, Color::Cyan, Color::DarkGray];
const ROOM: &str = "·";

const HELP: &str = "\
 1-5, Tab     pools, queue, blockers, pins, audit
 up, down     select a row (also j, k, g, G, PgUp, PgDn)
 < >          sort by the column to the left, to the right
 r            turn the order round
 /            show only rows that hold a text; Esc shows all
 p, space     pause, go on
 ?            this help
 q            leave

 Servers: █ at work  ▓ idle in transaction  ▒ pinned
          + on its way or being cleaned  ░ free  · not open
 WAIT and P99: of waits that ended since the last look.
 SAT: share of the time with every server in use.";

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, theme: Theme) {
    let details = if state.tab == Tab::Pools && frame.area().height >= 16 { 6 } else { 0 };
    let [head, sums, tabs, table, detail, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(details),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(header(state, theme), head);
    frame.render_widget(Paragraph::new(totals(state, theme)), sums);
    frame.render_widget(Paragraph::new(tab_line(state)), tabs);
    draw_table(frame, table, state, theme);
    if details > 0 {
        draw_holders(frame, detail, state, theme);
    }
    frame.render_widget(Paragraph::new(footer(state)), foot);
    if state.shows_help {
        draw_help(frame, theme);
    }
}

fn header<'a>(state: &State, theme: Theme) -> Paragraph<'a> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut spans =
        vec![Span::styled("pgusher top", bold), Span::raw(format!("  {}", state.place))];
    if let Some(now) = &state.now {
        let tone = if now.state == "active" { Tone::Quiet } else { Tone::Bad };
        spans.push(Span::styled(format!("  {}", now.state), theme.tone(tone)));
    }
    let (text, tone) = match &state.link {
        Link::Connecting => ("connecting".to_owned(), Tone::Warn),
        Link::Up if state.is_paused => ("view paused".to_owned(), Tone::Warn),
        Link::Up => (format!("every {}", duration(state.interval.as_secs_f64())), Tone::Quiet),
        Link::Back(_) => ("reconnected".to_owned(), Tone::Warn),
        Link::Lost(why) => (format!("reconnecting: {why}"), Tone::Bad),
    };
    spans.push(Span::styled(format!("  {text}"), theme.tone(tone)));
    Paragraph::new(Text::from(spans))
}

fn totals<'a>(state: &State, theme: Theme) -> Text<'a> {
    let Some(now) = &state.now else { return Text::default() };
    let sum = |of: fn(&crate::glance::Load) -> u64| now.pools.iter().map(of).sum::<u64>();
    let rates = now.pools.iter().filter_map(|load| now.rates(load, state.before.as_ref()?));
    let (transactions, queries) = rates.fold((0.0, 0.0), |(transactions, queries), rates| {
        (transactions + rates.transactions_per_second, queries + rates.queries_per_second)
    });
    let oldest = now.pools.iter().map(|load| load.oldest_wait_seconds).fold(0.0, f64::max);
    let waiting = sum(|load| load.waiting);
    let tone = match oldest {
        oldest if oldest >= 1.0 => Tone::Bad,
        _ if waiting > 0 => Tone::Warn,
        _ => Tone::Plain,
    };
    let clients = sum(|load| load.cl_idle + load.cl_active + load.waiting);
    Text::from(vec![
        Span::raw(format!("{clients} clients  ")),
        Span::raw(format!("{}/{} servers  ", sum(|load| load.used()), sum(|load| load.size))),
        Span::styled(format!("{waiting} waiting, oldest {}", duration(oldest)), theme.tone(tone)),
        Span::raw(format!("  {} tx/s  {} queries/s", count(transactions), count(queries))),
    ])
}

fn tab_line<'a>(state: &State) -> Text<'a> {
    let mut spans = Vec::new();
    for (at, tab) in Tab::ALL.into_iter().enumerate() {
        let rows = state.now.as_ref().map_or(0, |now| match tab {
            Tab::Pools => now.pools.len(),
            Tab::Queue => now.waiters.len(),
            Tab::Blockers => now.blockers.len(),
            Tab::Pins => now.pins.len(),
            Tab::Audit => now.audit.len(),
        });
        let style = match tab == state.tab {
            true => Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            false => Style::new(),
        };
        spans.push(Span::raw(format!("{} ", at + 1)));
        spans.push(Span::styled(tab.title(), style));
        spans.push(Span::raw(format!(" {rows}   ")));
    }
    Text::from(spans)
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let columns = state.tab.columns();
    let rows = state.rows();
    let room = room(columns, &rows, area.width);
    let order = state.order();
    let titles = room.iter().map(|(at, width)| {
        let column = &columns[*at];
        let mark = match *at == order.column {
            true if order.ascending => "^",
            true => "v",
            false => "",
        };
        let text = format!("{}{mark}", column.title);
        Cell::from(aligned(column, text, *width)).style(match *at == order.column {
            true => Style::new().add_modifier(Modifier::BOLD),
            false => theme.tone(Tone::Quiet),
        })
    });
    let body = rows.iter().map(|row| {
        Row::new(room.iter().map(|(at, width)| match (&row.bar, columns[*at].kind) {
            (Some(bar), Kind::Bar) => Cell::from(bar_line(*bar, *width, theme)),
            _ => {
                let (column, cell) = (&columns[*at], &row.cells[*at]);
                Cell::from(aligned(column, cell.text.clone(), *width)).style(theme.tone(cell.tone))
            }
        }))
    });
    let widths = room.iter().map(|(_, width)| Constraint::Length(*width));
    let table = Table::new(body, widths)
        .header(Row::new(titles))
        .column_spacing(1)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut place = TableState::default().with_selected(Some(state.selected));
    frame.render_stateful_widget(table, area, &mut place);
    if rows.is_empty() {
        let why = match (&state.now, state.filter.is_empty()) {
            (None, _) => "",
            (Some(_), false) => "nothing holds the filter",
            (Some(_), true) => "nobody",
        };
        let below = Rect { y: area.y + 1, height: 1.min(area.height), ..area };
        frame.render_widget(Paragraph::new(why).style(theme.tone(Tone::Quiet)), below);
    }
}

fn aligned<'a>(column: &Column, text: String, width: u16) -> Text<'a> {
    let alignment = if column.kind == Kind::Number { Alignment::Right } else { Alignment::Left };
    Text::from(cut(column, text, width)).alignment(alignment)
}

fn bar_line<'a>(bar: grid::Bar, width: u16, theme: Theme) -> Text<'a> {
    let letters = bar.letters(u64::from(width));
    let left = u64::from(width) - letters.iter().sum::<u64>();
    let times =
        |letter: &str, count: u64| letter.repeat(usize::try_from(count).unwrap_or_default());
    let mut spans: Vec<_> = letters
        .iter()
        .zip(LETTERS.iter().zip(COLOURS))
        .map(|(count, (letter, colour))| Span::styled(times(letter, *count), theme.colour(colour)))
        .collect();
    spans.push(Span::styled(times(ROOM, left), theme.tone(Tone::Quiet)));
    Text::from(spans)
}

/// Who holds the servers of the selected pool.
fn draw_holders(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let rows = state.rows();
    let Some((row, now)) = rows.get(state.selected).zip(state.now.as_ref()) else { return };
    let name = |at: usize| row.cells.get(at).map(|cell| cell.text.as_str()).unwrap_or_default();
    let text = |row: &crate::glance::Row, key: &str| {
        row.get(key).and_then(|value| value.as_str()).unwrap_or("-").to_owned()
    };
    let of_pool = now.blockers.iter().filter(|blocker| {
        (text(blocker, "database").as_str(), text(blocker, "pool_user").as_str())
            == (name(0), name(1))
            || (blocker.get("pool_user").is_none() && text(blocker, "database") == name(0))
    });
    let title = format!("Who holds servers of {}/{}, the longest first", name(0), name(1));
    let mut lines = vec![Text::styled(title, Style::new().add_modifier(Modifier::BOLD))];
    lines.extend(of_pool.take(usize::from(area.height).saturating_sub(1)).map(|blocker| {
        let held = blocker.get("held_seconds").and_then(serde_json::Value::as_f64);
        let state = text(blocker, "state");
        let tone = if state == "active" { Tone::Plain } else { Tone::Warn };
        Text::from(vec![
            Span::raw(format!("{:>6} ", duration(held.unwrap_or_default()))),
            Span::styled(format!("{state:<19} "), theme.tone(tone)),
            Span::raw(format!(
                "{} ({})  ",
                text(blocker, "application_name"),
                text(blocker, "user")
            )),
            Span::styled(text(blocker, "statement"), theme.tone(Tone::Quiet)),
        ])
    }));
    if lines.len() == 1 {
        lines.push(Text::styled("nobody", theme.tone(Tone::Quiet)));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn footer<'a>(state: &State) -> Text<'a> {
    if state.is_writing {
        return Text::from(format!("filter: {}_  (Enter keeps it, Esc shows all)", state.filter));
    }
    let keys = "q quit  1-5 tables  <> sort  r reverse  / filter  p pause  ? help";
    match state.filter.is_empty() {
        true => Text::from(keys),
        false => Text::from(format!("filter: {}  (Esc shows all)  {keys}", state.filter)),
    }
}

fn draw_help(frame: &mut Frame<'_>, theme: Theme) {
    let height = u16::try_from(HELP.lines().count()).unwrap_or_default() + 2;
    let whole = frame.area();
    let (width, height) = (66.min(whole.width), height.min(whole.height));
    let area = Rect { x: (whole.width - width) / 2, y: (whole.height - height) / 2, width, height };
    frame.render_widget(Clear, area);
    let block = ratatui::widgets::Block::bordered().title(" Help ");
    frame.render_widget(Paragraph::new(HELP).block(block).style(theme.tone(Tone::Plain)), area);
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::state::Update;
    use super::super::state::tests::looked;
    use super::*;

    fn screen(state: &State, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state, Theme { colours: false })).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>();
        (0..height).map(|y| line(y).trim_end().to_owned()).collect()
    }

    #[test]
    fn the_pools_fit_into_80_by_24() {
        let lines = screen(&looked(), 80, 24);
        assert_eq!(lines[0], "pgusher top  127.0.0.1:6432  active  every 1.0s");
        assert_eq!(
            lines[1],
            "7 clients  4/9 servers  7 waiting, oldest 2.5s  250 tx/s  0 queries/s"
        );
        assert!(lines[2].starts_with("1 Pools 2   2 Queue 0   3 Blockers 1"), "{}", lines[2]);
        let words: Vec<_> = lines[4].split_whitespace().collect();
        assert_eq!(
            words,
            ["app", "███▓▓▓▓▓▓▓▓▓", "4/4", "7", "2.5s", "250", "-", "-", "0%"],
            "{}",
            lines[4]
        );
        assert!(lines[5].contains("quiet") && lines[5].contains("············"), "{}", lines[5]);
        assert_eq!(lines[17], "Who holds servers of app/alice, the longest first");
        assert_eq!(lines[18], "   12s idle_in_transaction billing (alice)  update t set a = ?");
        assert!(lines[23].starts_with("q quit"));
    }

    #[test]
    fn blockers_are_told_with_their_statement() {
        let mut state = looked();
        state.key(KeyEvent::from(KeyCode::Char('3')));
        let lines = screen(&state, 140, 24);
        for part in ["billing", "idle_in_transaction", "12s", "4242", "update t set a = ?"] {
            assert!(lines[4].contains(part), "{part}: {}", lines[4]);
        }
    }

    #[test]
    fn no_size_is_too_small_or_too_large() {
        let mut state = looked();
        for help in [false, true] {
            state.shows_help = help;
            for tab in ['1', '2', '3', '4', '5'] {
                state.key(KeyEvent::from(KeyCode::Char(tab)));
                for (width, height) in [(1, 1), (5, 3), (20, 8), (300, 100)] {
                    screen(&state, width, height);
                }
            }
        }
    }

    #[test]
    fn a_lost_console_is_told_and_the_numbers_stay() {
        let mut state = looked();
        state.update(Update::Lost("connection refused".to_owned()));
        let lines = screen(&state, 80, 24);
        assert!(lines[0].ends_with("reconnecting: connection refused"), "{}", lines[0]);
        assert!(lines[4].starts_with("app"));
    }
}

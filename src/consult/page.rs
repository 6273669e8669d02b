//! The rows of SHOW ADVICE, pool by pool: for people, and for scripts.

use serde_json::{Map, Value};

use super::console::Row;

/// Columns with numbers.
const NUMBERS: [&str; 5] =
    ["size", "wait_p50_seconds", "wait_p95_seconds", "wait_p99_seconds", "per_second"];

/// Lines are broken before they are longer.
const WIDTH: usize = 96;

/// What was said of each pool.
pub(super) struct Pools(Vec<PoolPage>);

struct PoolPage {
    name: [String; 2],
    rows: Vec<Row>,
}

impl Pools {
    pub(super) fn new(rows: &[Row]) -> Self {
        let mut pools: Vec<PoolPage> = Vec::new();
        for row in rows {
            let name = ["database", "user"].map(|column| text(row, column).to_owned());
            match pools.last_mut().filter(|pool| pool.name == name) {
                Some(pool) => pool.rows.push(row.clone()),
                None => pools.push(PoolPage { name, rows: vec![row.clone()] }),
            }
        }
        Pools(pools)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        if self.0.is_empty() {
            return "no pools: nobody has asked for anything yet\n".to_owned();
        }
        self.0.iter().map(PoolPage::text).collect::<Vec<_>>().join("\n")
    }

    /// For scripts: one object a pool.
    pub(super) fn json(&self) -> String {
        let pools = self.0.iter().map(PoolPage::json).collect();
        format!("{:#}\n", Value::Array(pools))
    }
}

fn text<'a>(row: &'a Row, column: &str) -> &'a str {
    row.get(column).map(String::as_str).unwrap_or_default()
}

impl PoolPage {
    fn of<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| text(row, "topic") == topic)
    }

    fn text(&self) -> String {
        let [database, user] = &self.name;
        let mut page = String::new();
        for row in self.of("verdict") {
            let size = match (row.get("size"), text(row, "subject")) {
                (Some(size), what) if what != "not enough data" => format!(", pool_size {size}"),
                _ => String::new(),
            };
            page.push_str(&format!("{database}/{user}: {}{size}\n", text(row, "subject")));
            put_words(&mut page, "  ", text(row, "note"));
        }
        for topic in ["measured", "scaling"] {
            for row in self.of(topic) {
                page.push('\n');
                put_words(&mut page, &format!("  {topic:<9} "), text(row, "note"));
            }
        }
        self.put_forecasts(&mut page);
        self.put_list(&mut page, "held by", "application", |row| text(row, "subject").to_owned());
        self.put_list(&mut page, "earlier", "past forecast", |row| {
            format!("{} servers", text(row, "size"))
        });
        page
    }

    /// The notes of a topic, each behind what it is about.
    fn put_list(&self, page: &mut String, head: &str, topic: &str, what: fn(&Row) -> String) {
        for (at, row) in self.of(topic).enumerate() {
            let head = if at == 0 { head } else { "" };
            if at == 0 {
                page.push('\n');
            }
            let words = format!("{}: {}", what(row), text(row, "note"));
            put_words(page, &format!("  {head:<9} "), &words);
        }
    }

    fn put_forecasts(&self, page: &mut String) {
        let forecasts: Vec<_> = self.of("forecast").collect();
        let measured = self.of("measured").filter(|row| !text(row, "size").is_empty());
        let head = ["servers", "wait p50", "p95", "p99", "per second"];
        page.push('\n');
        put_line(page, "", &head.map(str::to_owned), "");
        measured.for_each(|row| put_line(page, "measured", &cells(row), ""));
        forecasts.iter().for_each(|row| put_line(page, "forecast", &cells(row), text(row, "note")));
    }

    fn json(&self) -> Value {
        let [database, user] = &self.name;
        let mut pool = Map::new();
        pool.insert("database".to_owned(), database.as_str().into());
        pool.insert("user".to_owned(), user.as_str().into());
        for topic in ["verdict", "measured", "scaling"] {
            let row = self.of(topic).next().map_or(Value::Null, object);
            pool.insert(topic.to_owned(), row);
        }
        let lists = [
            ("forecasts", "forecast"),
            ("applications", "application"),
            ("past_forecasts", "past forecast"),
            ("past_measured", "past measured"),
        ];
        for (name, topic) in lists {
            pool.insert(name.to_owned(), self.of(topic).map(object).collect());
        }
        Value::Object(pool)
    }
}

fn object(row: &Row) -> Value {
    let told =
        row.iter().filter(|(name, _)| !["database", "user", "topic"].contains(&name.as_str()));
    let values = told.map(|(name, value)| {
        let number = NUMBERS.contains(&name.as_str()).then(|| value.parse().ok()).flatten();
        (name.clone(), number.map_or_else(|| value.as_str().into(), Value::Number))
    });
    Value::Object(values.collect())
}

fn cells(row: &Row) -> [String; 5] {
    NUMBERS.map(|column| match (column, row.get(column)) {
        (_, None) => "-".to_owned(),
        ("size" | "per_second", Some(value)) => value.clone(),
        (_, Some(value)) => milliseconds(value),
    })
}

/// Seconds as milliseconds.
fn milliseconds(seconds: &str) -> String {
    seconds
        .parse()
        .map_or_else(|_| seconds.to_owned(), |seconds: f64| format!("{:.2} ms", seconds * 1e3))
}

fn put_line(page: &mut String, what: &str, cells: &[String; 5], note: &str) {
    let [size, p50, p95, p99, done] = cells;
    let line = format!("  {what:<9} {size:>8} {p50:>13} {p95:>13} {p99:>13} {done:>11}  {note}");
    page.push_str(line.trim_end());
    page.push('\n');
}

/// Puts words in lines, the first behind its head and the others below it.
fn put_words(page: &mut String, head: &str, words: &str) {
    let mut line = head.to_owned();
    let mut is_empty = true;
    for word in words.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            page.push_str(&line);
            page.push('\n');
            (line, is_empty) = (" ".repeat(head.chars().count()), true);
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    page.push_str(line.trim_end());
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pairs: &[(&str, &str)]) -> Row {
        let pairs = [("database", "app"), ("user", "web")].iter().chain(pairs);
        pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn pools() -> Pools {
        let waits = [("wait_p50_seconds", "0.001000"), ("wait_p95_seconds", "0.002500")];
        let forecast = [("topic", "forecast"), ("size", "8"), ("note", "today's size")];
        Pools::new(&[
            row(&[("topic", "verdict"), ("subject", "larger"), ("size", "12"), ("note", "more")]),
            row(&[("topic", "measured"), ("size", "8"), ("note", "4096 requests")]),
            row(&[&forecast[..], &waits[..]].concat()),
        ])
    }

    #[test]
    fn people_read_a_table() {
        let text = pools().text();
        assert!(text.starts_with("app/web: larger, pool_size 12\n  more\n"), "{text}");
        assert!(text.contains("measured         8             -"), "{text}");
        assert!(text.contains("1.00 ms       2.50 ms             -"), "{text}");
        assert_eq!(Pools::new(&[]).text(), "no pools: nobody has asked for anything yet\n");
    }

    #[test]
    fn scripts_read_numbers() {
        let value: Value = serde_json::from_str(&pools().json()).expect("JSON");
        assert_eq!(value[0]["database"], "app");
        assert_eq!(value[0]["verdict"]["size"], 12);
        assert_eq!(value[0]["forecasts"][0]["wait_p95_seconds"], 0.0025);
        assert_eq!(value[0]["past_forecasts"], Value::Array(Vec::new()));
    }

    #[test]
    fn long_words_are_broken_into_lines() {
        let mut page = String::new();
        put_words(&mut page, "  head ", &"word ".repeat(40));
        assert!(page.lines().all(|line| line.chars().count() <= WIDTH), "{page}");
        assert!(page.lines().skip(1).all(|line| line.starts_with("       word")), "{page}");
    }
}

//! The two runs, side by side.

use crate::queue_time::QueueTime;
use crate::tally::Tally;
use std::fmt::Write as _;
use std::time::Duration;

/// One run of the crowd.
#[derive(Debug)]
pub(crate) struct Run {
    /// What the clients have been through.
    pub(crate) tally: Tally,
    /// Transactions a second.
    pub(crate) tps: f64,
    /// Connections that PostgreSQL had meanwhile.
    pub(crate) servers: Option<u64>,
    /// The waits for a server, where there is somebody to wait for one.
    pub(crate) queue: Option<QueueTime>,
}

/// The table of both runs.
pub(crate) fn side_by_side(clients: u32, direct: &Run, pooled: &Run) -> String {
    let mut text = row("", "without", "with pgusher");
    let mut line = |name: &str, value: &dyn Fn(&Run) -> String| {
        text.push_str(&row(name, &value(direct), &value(pooled)));
    };
    line("clients that came", &|_| grouped(f64::from(clients)));
    line("clients served", &|run| grouped(run.tally.served as f64));
    line("clients refused", &|run| grouped(run.tally.refused as f64));
    line("PostgreSQL connections", &|run| {
        run.servers.map_or_else(dash, |servers| grouped(servers as f64))
    });
    line("transactions per second", &|run| grouped(run.tps));
    line("latency p50", &|run| latency(run, 50.0));
    line("latency p99", &|run| latency(run, 99.0));
    line("waiting for a server, p50", &|run| waiting(run, 50.0));
    line("waiting for a server, p99", &|run| waiting(run, 99.0));
    line("errors", &|run| grouped(run.tally.errors.values().sum::<u64>() as f64));
    text.push_str(&errors("without", direct));
    text.push_str(&errors("with pgusher", pooled));
    text
}

/// A number without a fraction, its thousands apart.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn row(name: &str, direct: &str, pooled: &str) -> String {
    format!("  {name:<26} {direct:>14} {pooled:>14}\n")
}

fn errors(who: &str, run: &Run) -> String {
    let mut text = String::new();
    for (code, count) in &run.tally.errors {
        let count = grouped(*count as f64);
        let _ = writeln!(text, "  {who}: {count} times {}", meaning(code));
    }
    text
}

/// The codes one may meet here, in words.
fn meaning(code: &str) -> String {
    match code {
        "53300" => "“too many clients” (53300)".to_owned(),
        "57014" => "“canceling statement” (57014)".to_owned(),
        other => other.to_owned(),
    }
}

fn latency(run: &Run, percent: f64) -> String {
    run.tally.percentiles([percent]).map_or_else(dash, |[latency]| millis(latency))
}

/// Buckets have bounds, so this is what a wait was at most.
fn waiting(run: &Run, percent: f64) -> String {
    let bound = run.queue.as_ref().and_then(|queue| queue.bound(percent));
    bound.map_or_else(dash, |bound| format!("≤ {}", millis(bound)))
}

fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    let digits = if millis < 10.0 { 2 } else { 0 };
    format!("{millis:.digits$} ms")
}

fn dash() -> String {
    "–".to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Run, grouped, millis, side_by_side};
    use crate::tally::Tally;
    use std::time::Duration;

    #[test]
    fn numbers_are_easy_to_read() {
        let numbers = [0.0, 999.4, 1000.0, 1_234_567.0].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(millis(Duration::from_micros(1234)), "1.23 ms");
        assert_eq!(millis(Duration::from_micros(123_400)), "123 ms");
    }

    #[test]
    fn shows_both_runs() {
        let mut refused = Tally::default();
        refused.refused = 4900;
        refused.errors.insert("53300".to_owned(), 4900);
        let direct = Run { tally: refused, tps: 97.0, servers: Some(97), queue: None };
        let mut served = Tally::default();
        served.transaction(Duration::from_micros(1500));
        let pooled = Run { tally: served, tps: 4890.2, servers: Some(20), queue: None };
        let text = side_by_side(5000, &direct, &pooled);
        let line = |name: &str| text.lines().find(|line| line.trim().starts_with(name)).unwrap();
        let words = |name: &str| line(name)[28..].split_whitespace().collect::<Vec<_>>();
        assert_eq!(words("clients refused"), ["4,900", "0"]);
        assert_eq!(words("transactions per second"), ["97", "4,890"]);
        assert_eq!(words("latency p99"), ["–", "1.50", "ms"]);
        assert!(text.contains("without: 4,900 times “too many clients” (53300)"), "{text}");
    }
}

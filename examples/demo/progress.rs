//! Showing what goes on: bars in a terminal, plain lines in a log.

use crate::crowd::{Crowd, Pulse};
use crate::report::grouped;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;
use tokio::time::Instant;

/// How often a bar moves.
const STEP: Duration = Duration::from_millis(100);

/// Says what happens next, on a line of its own.
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// A heading: bold where it can be.
pub(crate) fn heading(text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

/// Runs something slow and says how long it took.
pub(crate) fn step<T>(text: &str, work: impl FnOnce() -> T) -> T {
    let spinner = ProgressBar::new_spinner().with_message(text.to_owned());
    spinner.enable_steady_tick(STEP);
    let start = Instant::now();
    let done = work();
    spinner.finish_and_clear();
    say(&format!("{text}: {:.1} s", start.elapsed().as_secs_f64()));
    done
}

/// Watches all clients try to log in.
pub(crate) async fn watch_logins(crowd: &Crowd, count: u32) {
    let bar = bar(u64::from(count), "logging in  {bar:40.cyan/238}  {msg}");
    let pulse = crowd.pulse();
    let start = Instant::now();
    while pulse.tried() < u64::from(count) {
        bar.set_position(pulse.tried());
        bar.set_message(logged_in(&pulse));
        tokio::time::sleep(STEP).await;
    }
    bar.finish_and_clear();
    let (who, seconds) = (logged_in(&pulse), start.elapsed().as_secs_f64());
    say(&format!("  logging in: {who} in {seconds:.1} s"));
}

/// Watches those who are in work until `end`; gives the number of their transactions a second.
pub(crate) async fn watch_work(crowd: &Crowd, end: Instant) -> f64 {
    let (start, pulse) = (Instant::now(), crowd.pulse());
    let time = end - start;
    let bar = bar(time.as_millis() as u64, "working     {bar:40.green/238}  {msg}");
    while Instant::now() < end {
        tokio::time::sleep_until(end.min(Instant::now() + STEP)).await;
        let passed = start.elapsed();
        bar.set_position(passed.as_millis() as u64);
        bar.set_message(format!(
            "{:.0} of {:.0} s, {} transactions/s",
            passed.as_secs_f64(),
            time.as_secs_f64(),
            grouped(rate(&pulse, passed)),
        ));
    }
    bar.finish_and_clear();
    let tps = rate(&pulse, start.elapsed());
    say(&format!("  working: {:.0} s, {} transactions/s", time.as_secs_f64(), grouped(tps)));
    tps
}

fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!("  {template}"));
    let style = style.expect("a template of ours is right").progress_chars("━╸─");
    ProgressBar::new(length).with_style(style)
}

fn logged_in(pulse: &Pulse) -> String {
    let (connected, tried) = (pulse.connected(), pulse.tried());
    let in_now = format!("{} clients are in", grouped(connected as f64));
    match tried - connected.min(tried) {
        0 => in_now,
        refused => format!("{in_now}, {} were refused", grouped(refused as f64)),
    }
}

fn rate(pulse: &Pulse, passed: Duration) -> f64 {
    pulse.transactions() as f64 / passed.as_secs_f64().max(0.001)
}

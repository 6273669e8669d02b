//! Advice in words.

use crate::advise::{Advice, Arrivals, Lack, PastAdvice, Verdict};
use crate::types::PoolMode;

/// Microseconds, for people.
fn time(micros: f64) -> String {
    match micros {
        ..1e3 => format!("{micros:.0} us"),
        ..1e6 => format!("{:.1} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// Why nothing is known of a pool.
pub(super) fn lacking(mode: PoolMode, windows: u16) -> String {
    let why = match (mode, windows) {
        (_, 0) => "nothing is recorded: advise_windows is 0",
        (PoolMode::Session, _) => {
            "in session mode a pool needs as many servers as it is to have clients at a time"
        }
        _ => "no recording has ended yet; the pool is recorded when it is asked for something",
    };
    why.to_owned()
}

/// What is to be done, and why.
pub(super) fn verdict(advice: &Advice) -> String {
    let today = advice.size;
    let p99 = |size| {
        let forecast = advice.forecasts.iter().find(|one| one.size == size);
        forecast.map_or_else(|| "?".to_owned(), |one| time(one.waits.p99))
    };
    match advice.verdict {
        Verdict::NotEnoughData(lack) => lack_of(lack),
        Verdict::Right => {
            format!("{today} servers are right: 99 of 100 requests wait at most {}", p99(today))
        }
        Verdict::Larger(size) => format!(
            "with {size} servers instead of {today}, 99 of 100 requests wait at most {} instead of {}",
            p99(size),
            p99(today)
        ),
        Verdict::Smaller(size) => format!(
            "{size} servers instead of {today} are enough, even for a quarter more load: 99 of 100 requests wait at most {}",
            p99(size)
        ),
        Verdict::Silence { p99_without, share } => silence(advice, share, p99_without),
        Verdict::DatabaseSaturated(size) => saturated(advice, size),
        Verdict::Overload => format!(
            "more is asked than is done with any size up to {}: the load has to be less, or its queries faster",
            advice.forecasts.last().map_or(today, |one| one.size)
        ),
        Verdict::Bursts => format!(
            "the queue comes in bursts, which twice as many servers would not take away, and is no reason to change the size of {today}: look at what comes all at once"
        ),
    }
}

fn lack_of(lack: Lack) -> String {
    match lack {
        Lack::Requests(had, needed) => format!("{had} requests are recorded, {needed} are needed"),
        Lack::Levels(had, needed) => format!(
            "requests wait, but what more servers would do cannot be told: so far they met {had} different numbers of working servers often enough, and {needed} are needed; record at a time of less load, or change pool_size for some minutes"
        ),
        Lack::Unexplained { measured, replayed } => format!(
            "99 of 100 requests waited up to {}, and by the number of servers it should have been {}: something else holds them up, such as servers that are being connected, limits shared with other pools, or classes",
            time(measured),
            time(replayed)
        ),
    }
}

fn silence(advice: &Advice, share: f64, p99_without: f64) -> String {
    let mut text = format!(
        "the size is not the cause: servers are held {} of their time by clients that ask nothing of them; without that, 99 of 100 requests would wait at most {}",
        percent(share),
        time(p99_without)
    );
    if let Some(one) = advice.most_silent() {
        let name = one.name.as_deref().filter(|name| !name.is_empty());
        text.push_str(&format!(
            "; most of it is {}, which asks nothing in {} of the time it holds a server",
            name.unwrap_or("an application without a name"),
            percent(one.silent)
        ));
    }
    text
}

fn saturated(advice: &Advice, size: usize) -> String {
    let peak = advice.fit.as_ref().and_then(crate::advise::Fit::peak_in_sight);
    let most = match peak {
        Some(peak) => format!("it does most with {peak:.0} servers at work"),
        None => "more servers make all of them together no faster".to_owned(),
    };
    if size == advice.size {
        format!("the database is saturated: {most}; requests wait for it, not for the pool")
    } else {
        format!(
            "the database is saturated: {most}; {size} servers instead of {} are better",
            advice.size
        )
    }
}

/// What was measured, and how clients are taken to come.
pub(super) fn arrivals(advice: &Advice) -> String {
    let measured = &advice.measured;
    let how = match advice.arrivals {
        Arrivals::AfterReplies => "clients ask again some time after their answers",
        Arrivals::AsRecorded => "requests come whatever became of others",
    };
    format!(
        "{} requests in {:.1} s; a server is held for {} in the mean, {} of that in silence; {how}",
        measured.waits.count,
        measured.seconds,
        time(measured.hold),
        percent(measured.silence)
    )
}

/// How servers slow each other down.
pub(super) fn scaling(advice: &Advice) -> String {
    let Some(fit) = &advice.fit else {
        let why = "unknown: requests met too few different numbers of working servers, or servers are held in silence";
        return why.to_owned();
    };
    let law = &fit.law;
    let mut text = format!(
        "one server at work takes {} for a request, {} at work take {} (sigma {:.4}, kappa {:.5}; {} to {} were seen at work)",
        time(law.demand),
        fit.highest,
        time(law.demand * law.slowdown(fit.highest as f64)),
        law.sigma,
        law.kappa,
        fit.lowest,
        fit.highest
    );
    match fit.peak_in_sight() {
        Some(peak) => text.push_str(&format!(
            "; the most is done by {peak:.0}, {:.0} a second, and every further one makes it less",
            law.throughput(peak)
        )),
        None => text.push_str("; no peak is in sight"),
    }
    text
}

/// What was said before, and what came.
pub(super) fn past(past: &PastAdvice) -> String {
    let from = past.from;
    match (past.p99_ratio(), past.throughput_ratio()) {
        (Some(wait), Some(done)) => format!(
            "foretold with {from} servers; measured: {wait:.2} times the wait of 99 of 100, {done:.2} times the throughput"
        ),
        _ => format!("foretold with {from} servers; too little is measured yet"),
    }
}

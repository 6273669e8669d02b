//! SHOW ADVICE: what size each pool should have, and why.

use super::look::View;
use super::table::{Cell, Field, Row};
use super::words_of_advice::{arrivals, lacking, past, scaling, verdict};
use crate::advise::{Advice, Forecast, Measured, Waits};
use crate::types::Name;

/// A row of SHOW ADVICE: one thing that is said of a pool.
pub(super) struct AdviceRow {
    database: Name,
    user: Name,
    topic: &'static str,
    subject: Option<String>,
    size: Option<usize>,
    waits: Option<Waits>,
    throughput: Option<f64>,
    note: Option<String>,
}

impl Row for AdviceRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("database", |row| row.database.as_ref().into()),
        Field::text("user", |row| row.user.as_ref().into()),
        Field::text("topic", |row| row.topic.into()),
        Field::text("subject", |row| row.subject.clone().into()),
        Field::int("size", |row| row.size.into()),
        Field::text("wait_p50_seconds", |row| wait(row, |waits| waits.p50)),
        Field::text("wait_p95_seconds", |row| wait(row, |waits| waits.p95)),
        Field::text("wait_p99_seconds", |row| wait(row, |waits| waits.p99)),
        Field::text("per_second", |row| row.throughput.map(|done| format!("{done:.1}")).into()),
        Field::text("note", |row| row.note.clone().into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        let mut rows = Vec::new();
        for pool in &view.snapshot.pools {
            if view.database.as_ref().is_some_and(|database| *database != pool.database) {
                continue;
            }
            let say = |topic| AdviceRow::new(&pool.database, &pool.user, topic);
            let key = (Name::clone(&pool.database), Name::clone(&pool.user));
            match view.host.adviser().advice(&key) {
                Some(advice) => put(&mut rows, say, &advice),
                None => rows.push(AdviceRow {
                    subject: Some("not enough data".to_owned()),
                    size: Some(pool.size),
                    note: Some(lacking(pool.mode, view.host.config().process.advise_windows)),
                    ..say("verdict")
                }),
            }
        }
        rows
    }
}

fn wait(row: &AdviceRow, pick: fn(&Waits) -> f64) -> Cell {
    row.waits.as_ref().map(|waits| format!("{:.6}", pick(waits) / 1e6)).into()
}

impl AdviceRow {
    fn new(database: &Name, user: &Name, topic: &'static str) -> Self {
        AdviceRow {
            database: Name::clone(database),
            user: Name::clone(user),
            topic,
            subject: None,
            size: None,
            waits: None,
            throughput: None,
            note: None,
        }
    }

    fn forecast(self, forecast: &Forecast) -> Self {
        let (waits, throughput) = (Some(forecast.waits), Some(forecast.throughput));
        AdviceRow { size: Some(forecast.size), waits, throughput, ..self }
    }

    fn measured(self, measured: &Measured) -> Self {
        AdviceRow { waits: Some(measured.waits), throughput: Some(measured.throughput), ..self }
    }
}

/// Everything that is said of one pool.
fn put(rows: &mut Vec<AdviceRow>, say: impl Fn(&'static str) -> AdviceRow, advice: &Advice) {
    rows.push(AdviceRow {
        subject: Some(advice.verdict.as_str().to_owned()),
        size: advice.advised(),
        note: Some(verdict(advice)),
        ..say("verdict")
    });
    rows.push(AdviceRow {
        size: Some(advice.size),
        note: Some(arrivals(advice)),
        ..say("measured").measured(&advice.measured)
    });
    for forecast in &advice.forecasts {
        let today = (forecast.size == advice.size).then(|| "today's size".to_owned());
        rows.push(AdviceRow { note: today, ..say("forecast").forecast(forecast) });
    }
    rows.push(AdviceRow { note: Some(scaling(advice)), ..say("scaling") });
    for application in &advice.applications {
        let name = application.name.as_deref().unwrap_or("(all others)");
        let note = format!(
            "{:.0} % of the time that servers are held; asks nothing in {:.0} % of it",
            100.0 * application.held,
            100.0 * application.silent,
        );
        let (subject, note) = (Some(name.to_owned()), Some(note));
        rows.push(AdviceRow { subject, note, ..say("application") });
    }
    for earlier in &advice.past {
        let said = say("past forecast").forecast(&earlier.forecast);
        rows.push(AdviceRow { note: Some(past(earlier)), ..said });
        if let Some(measured) = &earlier.measured {
            let size = Some(earlier.forecast.size);
            rows.push(AdviceRow { size, ..say("past measured").measured(measured) });
        }
    }
}

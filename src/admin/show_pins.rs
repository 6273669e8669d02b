//! SHOW PINS and SHOW AUDIT: who keeps a server and why, and what would break under a plain transaction pooler.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::look::View;
use super::table::{Field, Row};
use crate::date;
use crate::stats::{Cause, ClientRecord, Offence, PinFacts};

/// A row of SHOW PINS.
pub(super) struct PinRow {
    pin: PinFacts,
    client: Arc<ClientRecord>,
}

fn causes(pin: &PinFacts) -> String {
    pin.causes.iter().map(Cause::as_str).collect::<Vec<_>>().join(",")
}

impl Row for PinRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::long("client", |row| row.pin.client.into()),
        Field::long("server", |row| row.pin.server.into()),
        Field::text("database", |row| row.client.database.as_ref().into()),
        Field::text("user", |row| row.client.user.as_ref().into()),
        Field::text("application_name", |row| row.client.application_name.lock().as_ref().into()),
        Field::text("cause", |row| causes(&row.pin).into()),
        Field::text("statement", |row| row.pin.statement.as_ref().into()),
        Field::text("since", |row| {
            let age = Instant::now().saturating_duration_since(row.pin.since);
            date::format(SystemTime::now() - age).into()
        }),
        Field::long("seconds", |row| row.pin.since.elapsed().as_secs().into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        let records = &view.host.pools().context.records;
        let rows = records.pins.all().into_iter();
        rows.filter_map(|pin| Some(PinRow { client: records.client(pin.client)?, pin })).collect()
    }
}

/// A row of SHOW AUDIT.
pub(super) struct AuditRow {
    offence: Offence,
    count: u64,
}

impl Row for AuditRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("database", |row| row.offence.database.as_ref().into()),
        Field::text("application_name", |row| row.offence.application.as_ref().into()),
        Field::text("statement", |row| row.offence.statement.as_str().into()),
        Field::text("cause", |row| row.offence.cause.as_str().into()),
        Field::long("count", |row| row.count.into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        let offences = view.host.pools().context.records.audit.all().into_iter();
        offences.map(|(offence, count)| AuditRow { offence, count }).collect()
    }
}

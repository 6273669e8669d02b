//! SHOW STATS, STATS_TOTALS, STATS_AVERAGES and TOTALS: the same numbers under PgBouncer's various names.

use std::time::Instant;

use super::look::View;
use super::table::{Field, Row};
use crate::stats::{Total, Totals};
use crate::types::Name;

/// The sums and the averages of one database.
struct Numbers {
    database: Name,
    total: Totals,
    average: Totals,
}

impl Numbers {
    fn all(view: &View<'_>) -> Vec<Numbers> {
        let (averages, now) = (view.host.averages(), Instant::now());
        let databases = view.snapshot.databases.iter().map(|database| Numbers {
            database: Name::clone(&database.name),
            total: database.totals,
            average: averages.of(&database.name, &database.totals, now),
        });
        databases.collect()
    }
}

/// A row of SHOW STATS.
pub(super) struct StatsRow(Numbers);

impl Row for StatsRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("database", |row| row.0.database.as_ref().into()),
        Field::sum("total_server_assignment_count", |row| {
            row.0.total.get(Total::Assignments).into()
        }),
        Field::sum("total_xact_count", |row| row.0.total.get(Total::Transactions).into()),
        Field::sum("total_query_count", |row| row.0.total.get(Total::Queries).into()),
        Field::sum("total_received", |row| row.0.total.get(Total::Received).into()),
        Field::sum("total_sent", |row| row.0.total.get(Total::Sent).into()),
        Field::sum("total_xact_time", |row| row.0.total.get(Total::TransactionTime).into()),
        Field::sum("total_query_time", |row| row.0.total.get(Total::QueryTime).into()),
        Field::sum("total_wait_time", |row| row.0.total.get(Total::WaitTime).into()),
        Field::sum("total_client_parse_count", |row| row.0.total.get(Total::ClientParses).into()),
        Field::sum("total_server_parse_count", |row| row.0.total.get(Total::ServerParses).into()),
        Field::sum("total_bind_count", |row| row.0.total.get(Total::Binds).into()),
        Field::sum("total_client_login_count", |row| row.0.total.get(Total::Logins).into()),
        Field::sum("avg_server_assignment_count", |row| {
            row.0.average.get(Total::Assignments).into()
        }),
        Field::sum("avg_xact_count", |row| row.0.average.get(Total::Transactions).into()),
        Field::sum("avg_query_count", |row| row.0.average.get(Total::Queries).into()),
        Field::sum("avg_recv", |row| row.0.average.get(Total::Received).into()),
        Field::sum("avg_sent", |row| row.0.average.get(Total::Sent).into()),
        Field::sum("avg_xact_time", |row| row.0.average.get(Total::TransactionTime).into()),
        Field::sum("avg_query_time", |row| row.0.average.get(Total::QueryTime).into()),
        Field::sum("avg_wait_time", |row| row.0.average.get(Total::WaitTime).into()),
        Field::sum("avg_client_parse_count", |row| row.0.average.get(Total::ClientParses).into()),
        Field::sum("avg_server_parse_count", |row| row.0.average.get(Total::ServerParses).into()),
        Field::sum("avg_bind_count", |row| row.0.average.get(Total::Binds).into()),
        Field::sum("avg_client_login_count", |row| row.0.average.get(Total::Logins).into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        Numbers::all(&view).into_iter().map(StatsRow).collect()
    }
}

/// A row of SHOW STATS_TOTALS.
pub(super) struct TotalsRow(Numbers);

impl Row for TotalsRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("database", |row| row.0.database.as_ref().into()),
        Field::sum("server_assignment_count", |row| row.0.total.get(Total::Assignments).into()),
        Field::sum("xact_count", |row| row.0.total.get(Total::Transactions).into()),
        Field::sum("query_count", |row| row.0.total.get(Total::Queries).into()),
        Field::sum("bytes_received", |row| row.0.total.get(Total::Received).into()),
        Field::sum("bytes_sent", |row| row.0.total.get(Total::Sent).into()),
        Field::sum("xact_time", |row| row.0.total.get(Total::TransactionTime).into()),
        Field::sum("query_time", |row| row.0.total.get(Total::QueryTime).into()),
        Field::sum("wait_time", |row| row.0.total.get(Total::WaitTime).into()),
        Field::sum("client_parse_count", |row| row.0.total.get(Total::ClientParses).into()),
        Field::sum("server_parse_count", |row| row.0.total.get(Total::ServerParses).into()),
        Field::sum("bind_count", |row| row.0.total.get(Total::Binds).into()),
        Field::sum("client_login_count", |row| row.0.total.get(Total::Logins).into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        Numbers::all(&view).into_iter().map(TotalsRow).collect()
    }
}

/// A row of SHOW STATS_AVERAGES.
pub(super) struct AveragesRow(Numbers);

impl Row for AveragesRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("database", |row| row.0.database.as_ref().into()),
        Field::sum("server_assignment_count", |row| row.0.average.get(Total::Assignments).into()),
        Field::sum("xact_count", |row| row.0.average.get(Total::Transactions).into()),
        Field::sum("query_count", |row| row.0.average.get(Total::Queries).into()),
        Field::sum("bytes_received", |row| row.0.average.get(Total::Received).into()),
        Field::sum("bytes_sent", |row| row.0.average.get(Total::Sent).into()),
        Field::sum("xact_time", |row| row.0.average.get(Total::TransactionTime).into()),
        Field::sum("query_time", |row| row.0.average.get(Total::QueryTime).into()),
        Field::sum("wait_time", |row| row.0.average.get(Total::WaitTime).into()),
        Field::sum("avg_client_parse_count", |row| row.0.average.get(Total::ClientParses).into()),
        Field::sum("avg_server_parse_count", |row| row.0.average.get(Total::ServerParses).into()),
        Field::sum("avg_bind_count", |row| row.0.average.get(Total::Binds).into()),
        Field::sum("avg_client_login_count", |row| row.0.average.get(Total::Logins).into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        Numbers::all(&view).into_iter().map(AveragesRow).collect()
    }
}

/// A row of SHOW TOTALS.
pub(super) struct SumRow {
    name: String,
    value: u64,
}

impl Row for SumRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("name", |row| row.name.clone().into()),
        Field::sum("value", |row| row.value.into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        let mut sums = Numbers {
            database: Name::default(),
            total: Totals::default(),
            average: Totals::default(),
        };
        for numbers in Numbers::all(&view) {
            sums.total.add(&numbers.total);
        }
        sums.average = view.host.averages().of_all(&sums.total, Instant::now());
        let rows = |prefix: &'static str, sums: Totals| {
            Total::ALL.into_iter().map(move |which| SumRow {
                name: format!("{prefix}_{}", name(which)),
                value: sums.get(which),
            })
        };
        rows("total", sums.total).chain(rows("avg", sums.average)).collect()
    }
}

/// The name of a sum in SHOW TOTALS.
fn name(which: Total) -> &'static str {
    match which {
        Total::Assignments => "server_assignment_count",
        Total::Transactions => "xact_count",
        Total::Queries => "query_count",
        Total::Received => "client_bytes",
        Total::Sent => "server_bytes",
        Total::TransactionTime => "xact_time",
        Total::QueryTime => "query_time",
        Total::WaitTime => "wait_time",
        Total::ClientParses => "ps_client_parse_count",
        Total::ServerParses => "ps_server_parse_count",
        Total::Binds => "ps_bind_count",
        Total::Logins => "client_login_count",
    }
}

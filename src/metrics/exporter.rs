//! The names of the Prometheus community's exporter for PgBouncer, for dashboards that read them.

use std::collections::BTreeMap;

use super::text::Page;
use super::view::View;
use crate::stats::{DatabaseFacts, PoolFacts, Snapshot, Total};

/// All of its metrics.
pub fn pgbouncer_exporter(snapshot: &Snapshot) -> String {
    let mut page = Page::with_capacity(4096 + snapshot.pools.len() * 2048);
    page.gauge("pgbouncer_up", "Whether the pooler answers.").value(&[], 1);
    let version = concat!("pgusher ", env!("CARGO_PKG_VERSION"));
    page.gauge("pgbouncer_version_info", "The pooler's version.").value(&[("version", version)], 1);
    databases(&mut page, snapshot);
    stats(&mut page, snapshot);
    pools(&mut page, &View::new(snapshot));
    clients(&mut page, snapshot);
    lists(&mut page, snapshot);
    let limits = &snapshot.process;
    page.gauge("pgbouncer_config_max_client_connections", "max_client_conn.")
        .value(&[], limits.max_clients);
    page.gauge("pgbouncer_config_max_user_connections", "max_user_connections.")
        .value(&[], limits.max_user_connections.unwrap_or_default());
    page.into_text()
}

/// A gauge of databases, with what it shows.
type OfDatabase = (&'static str, &'static str, fn(&DatabaseFacts) -> usize);

const DATABASES: [OfDatabase; 6] = [
    ("pgbouncer_databases_pool_size", "Servers a pool may have.", |of| of.pool_size),
    ("pgbouncer_databases_reserve_pool", "More of them.", |of| of.reserve_pool_size),
    ("pgbouncer_databases_max_connections", "Servers the database may have.", |of| {
        of.max_connections.unwrap_or_default()
    }),
    ("pgbouncer_databases_current_connections", "Servers.", |of| of.connections),
    ("pgbouncer_databases_paused", "1 while it is paused.", |of| usize::from(of.is_paused)),
    ("pgbouncer_databases_disabled", "1 while it is disabled.", |of| usize::from(of.is_disabled)),
];

fn databases(page: &mut Page, snapshot: &Snapshot) {
    for (name, help, value) in DATABASES {
        let mut gauge = page.gauge(name, help);
        for of in &snapshot.databases {
            let port = of.port.to_string();
            let labels = [
                ("name", &*of.name),
                ("host", of.host.as_str()),
                ("port", &port),
                ("database", &*of.dbname),
                ("force_user", of.force_user.as_deref().unwrap_or_default()),
                ("pool_mode", of.mode.map(|mode| mode.as_str()).unwrap_or_default()),
            ];
            gauge.value(&labels, value(of));
        }
    }
}

/// What a sum is called: behind `pgbouncer_stats_totals_`, and behind `pgbouncer_stats_` as before version 0.11.
struct Sum {
    names: [&'static str; 2],
    help: &'static str,
    which: Total,
    is_time: bool,
}

macro_rules! sums {
    ($($name:literal $help:literal $which:ident $is_time:literal;)*) => {
        [$(Sum {
            names: [concat!("pgbouncer_stats_totals_", $name), concat!("pgbouncer_stats_", $name)],
            help: $help,
            which: Total::$which,
            is_time: $is_time,
        }),*]
    };
}

const SUMS: [Sum; 12] = sums! {
    "queries_pooled_total" "Queries." Queries false;
    "queries_total" "Queries." Queries false;
    "queries_duration_seconds_total" "Time in queries." QueryTime true;
    "received_bytes_total" "Bytes received from clients." Received false;
    "sent_bytes_total" "Bytes sent to clients." Sent false;
    "client_wait_seconds_total" "Time clients waited for servers." WaitTime true;
    "sql_transactions_pooled_total" "Transactions." Transactions false;
    "server_in_transaction_seconds_total" "Time in transactions." TransactionTime true;
    "client_parses_total" "Statements prepared by clients." ClientParses false;
    "server_parses_total" "Statements prepared on servers." ServerParses false;
    "binds_total" "Statements bound." Binds false;
    "server_assignments_total" "Servers given to clients." Assignments false;
};

fn stats(page: &mut Page, snapshot: &Snapshot) {
    for sum in SUMS {
        for name in sum.names {
            let mut counter = page.counter(name, sum.help);
            for of in &snapshot.databases {
                let (labels, value) = ([("database", &*of.name)], of.totals.get(sum.which));
                if sum.is_time {
                    counter.micros(&labels, value);
                } else {
                    counter.value(&labels, value);
                }
            }
        }
    }
}

/// A gauge of pools, with what it shows.
type OfPool = (&'static str, &'static str, fn(&PoolFacts) -> usize);

const POOLS: [OfPool; 11] = [
    ("pgbouncer_pools_client_active_connections", "Clients that do not wait.", |of| {
        of.clients.active + of.clients.idle
    }),
    ("pgbouncer_pools_client_waiting_connections", "Clients that wait.", |of| of.clients.waiting),
    ("pgbouncer_pools_client_active_cancel_connections", "Cancel requests sent.", |of| of.cancels),
    ("pgbouncer_pools_client_waiting_cancel_connections", "Cancel requests not sent.", |_| 0),
    ("pgbouncer_pools_server_active_connections", "Servers with clients.", |of| {
        of.in_state.active + of.in_state.idle_in_transaction
    }),
    ("pgbouncer_pools_server_active_cancel_connections", "Servers that cancel others.", |of| {
        of.cancels
    }),
    ("pgbouncer_pools_server_being_canceled_connections", "Servers being cancelled.", |of| {
        of.in_state.being_canceled
    }),
    ("pgbouncer_pools_server_idle_connections", "Free servers.", |of| of.in_state.idle),
    ("pgbouncer_pools_server_used_connections", "Servers that need a check.", |of| {
        of.in_state.used
    }),
    ("pgbouncer_pools_server_testing_connections", "Servers being checked.", |of| {
        of.in_state.tested
    }),
    ("pgbouncer_pools_server_login_connections", "Servers logging in.", |of| of.in_state.login),
];

fn pools(page: &mut Page, view: &View<'_>) {
    for (name, help, value) in POOLS {
        let mut gauge = page.gauge(name, help);
        for (of, known) in view.pools() {
            gauge.value_of(known, &[], value(of));
        }
    }
    let help = "How long the first in the queue has waited.";
    let mut gauge = page.gauge("pgbouncer_pools_client_maxwait_seconds", help);
    for (of, known) in view.pools() {
        gauge.value_of(known, &[], of.oldest_wait.as_secs_f64());
    }
}

fn clients(page: &mut Page, snapshot: &Snapshot) {
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for client in &snapshot.clients {
        let name = client.application_name.lock().clone();
        let key = (&*client.database, &*client.user, name, client.state().as_str());
        *counts.entry(key).or_default() += 1;
    }
    let mut gauge = page.gauge("pgbouncer_client_connections", "Clients by name and state.");
    for ((database, user, name, state), count) in &counts {
        let labels = [
            ("database", *database),
            ("user", *user),
            ("application_name", &**name),
            ("state", *state),
        ];
        gauge.value(&labels, count);
    }
}

/// Names of the lists of SHOW LISTS, in its order; without one for those that the exporter does not know.
const LISTS: [Option<&str>; 14] = [
    Some("pgbouncer_databases"),
    Some("pgbouncer_users"),
    None,
    Some("pgbouncer_pools"),
    None,
    Some("pgbouncer_free_clients"),
    Some("pgbouncer_used_clients"),
    Some("pgbouncer_login_clients"),
    Some("pgbouncer_free_servers"),
    Some("pgbouncer_used_servers"),
    Some("pgbouncer_cached_dns_names"),
    Some("pgbouncer_cached_dns_zones"),
    Some("pgbouncer_in_flight_dns_queries"),
    None,
];

fn lists(page: &mut Page, snapshot: &Snapshot) {
    for (name, (list, items)) in LISTS.into_iter().zip(snapshot.lists()) {
        if let Some(name) = name {
            page.gauge(name, &format!("SHOW LISTS: {list}.")).value(&[], items);
        }
    }
}

//! `[http]`, checked.

use std::net::SocketAddr;
use std::time::Duration;

use crate::types::Name;

/// `[http]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Address of `/metrics`, `/healthz` and `/readyz`.
    pub listen: SocketAddr,
    /// Upper bounds of the queue-time histogram, ascending.
    pub queue_buckets: Vec<Duration>,
    /// Whose metrics are served beside our own.
    pub metrics_compat: Vec<MetricsCompat>,
    /// What the page for browsers may be used for.
    pub page: PageMode,
    /// Names under which it may be asked for.
    pub page_hosts: Vec<Name>,
}

/// What the page for browsers may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageMode {
    /// There is none.
    Off,
    /// Looking.
    Read,
    /// Users of the console may sign in, see more, and give orders if they are administrators.
    Admin,
}

/// Whose names of metrics dashboards expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsCompat {
    /// Those of the Prometheus community's exporter for PgBouncer.
    PgbouncerExporter,
}

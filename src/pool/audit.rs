//! The audit: now and then a look at what a transaction has left on its server, by the server's own catalog.
//!
//! What functions and DO blocks do to a session cannot be seen on the wire. What is found is counted and named, and
//! discarded before anybody else gets the server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{CloseReason, Lease, Pool, Pooled};
use crate::server::{Server, ask};
use crate::sql::{Quoting, fingerprint};
use crate::stats::{Offence, ServerState};

/// A server that takes longer to answer is closed.
const LIMIT: Duration = Duration::from_secs(5);

/// Kind and name of everything a session holds.
const SQL: &str = "\
    SELECT 'parameter', name FROM pg_catalog.pg_settings \
    WHERE source OPERATOR(pg_catalog.=) 'session' AND setting IS DISTINCT FROM reset_val \
    UNION ALL SELECT 'advisory_lock', '' WHERE EXISTS(SELECT FROM pg_catalog.pg_locks \
    WHERE locktype OPERATOR(pg_catalog.=) 'advisory' \
    AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()) \
    UNION ALL SELECT 'hold_cursor', '' WHERE EXISTS(SELECT FROM pg_catalog.pg_cursors WHERE is_holdable) \
    UNION ALL SELECT 'prepare', '' WHERE EXISTS(SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql) \
    UNION ALL SELECT 'temp_object', '' WHERE EXISTS(SELECT FROM pg_catalog.pg_depend \
    WHERE refclassid OPERATOR(pg_catalog.=) 2615 \
    AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()) \
    UNION ALL SELECT 'listen', '' WHERE EXISTS(SELECT FROM pg_catalog.pg_listening_channels()) \
    UNION ALL SELECT 'session_authorization', session_user::pg_catalog.text \
    UNION ALL SELECT 'role', current_user::pg_catalog.text";

impl Pool {
    /// Counts a release; true when this one is to be followed by an audit.
    pub(super) fn is_audit_due(&self, server: &mut Server) -> bool {
        let sample = self.audit_sample.load(Ordering::Relaxed);
        let audit = &mut server.audit;
        // What connect_query has set would be taken for a client's.
        if sample == 0 || server.is_greeted {
            audit.is_due = false;
            return false;
        }
        let due = audit.is_due;
        audit.since = if due { 0 } else { audit.since + 1 };
        // Known one transaction ahead, so that its statement is remembered. What is due is given back once more behind
        // its audit, which is not followed by another.
        audit.is_due = !due && audit.since + 1 >= sample;
        due
    }

    /// Audits a server, away from the hot path, and offers it.
    pub(super) fn audit_later(self: &Arc<Self>, pooled: Pooled) {
        let mut lease = Lease::new(pooled, Arc::clone(self), Instant::now());
        lease.condemn(CloseReason::Unclean);
        let pool = Arc::clone(self);
        self.context.control.spawn(async move { pool.audit(lease).await });
    }

    async fn audit(self: Arc<Self>, mut lease: Lease) {
        let client = lease.record.link();
        lease.record.enter(ServerState::Tested, 0);
        self.leaks.audited();
        let Ok(Ok(rows)) = tokio::time::timeout(LIMIT, ask(&mut lease, SQL)).await else {
            tracing::debug!(pool = %self.key, server = lease.record.id, "server not audited, closed");
            return;
        };
        lease.pardon();
        let statement = std::mem::take(&mut lease.audit.statement);
        let leaks: Vec<_> = rows.iter().filter_map(|row| leak(&lease, row)).collect();
        if leaks.is_empty() {
            return;
        }
        lease.needs_reset = true;
        let application = self.context.records.client(client);
        let application = application.map(|client| Arc::clone(&client.application_name.lock()));
        let statement = fingerprint(&statement, Quoting::default());
        for (kind, name) in leaks {
            self.leaks.count(kind);
            let application = application.clone().unwrap_or_default();
            let server = lease.record.id;
            tracing::warn!(pool = %self.key, server, client, %application, %statement, kind, name, "session state leaked, discarded");
            let cause = if name.is_empty() { kind.to_owned() } else { format!("{kind} {name}") };
            let database = Arc::clone(&self.key.database);
            let statement = statement.clone();
            let cause = format!("leak: {cause}");
            self.context.records.audit.note(Offence { database, application, statement, cause });
        }
    }
}

/// Kind and name of what is in a row, unless it is there by pgusher's leave.
fn leak(server: &Server, row: &[Option<Vec<u8>>]) -> Option<(&'static str, String)> {
    let [Some(kind), name] = row else { return None };
    let name = name.as_deref().unwrap_or_default();
    let login = server.reported.get("session_authorization").unwrap_or_default();
    let text = String::from_utf8_lossy(name).into_owned();
    Some(match kind.as_slice() {
        b"parameter" if server.applied.get(&text.to_ascii_lowercase()).is_some() => return None,
        b"parameter" => ("parameter", text),
        b"session_authorization" if name == login => return None,
        b"session_authorization" => ("session_authorization", text),
        b"role" if name == server.applied.get("role").unwrap_or(login) => return None,
        b"role" => ("role", text),
        b"advisory_lock" => ("advisory_lock", text),
        b"hold_cursor" => ("hold_cursor", text),
        b"prepare" => ("prepare", text),
        b"temp_object" => ("temp_object", text),
        _ => ("listen", text),
    })
}

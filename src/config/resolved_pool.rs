//! What every pool needs to know, and what databases and users set for their pools.

use std::time::Duration;

use super::resolved_class::Class;
use crate::types::{Part, PoolMode, Timeout, Unsharable};

/// What every pool needs to know, after inheritance.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSettings {
    /// When a server goes back to the pool.
    pub pool_mode: PoolMode,
    /// Servers of one pool (`default_pool_size`, `pool_size`).
    pub pool_size: usize,
    /// Servers kept ready once the pool is in use.
    pub min_pool_size: usize,
    /// Servers beyond `pool_size` for clients that wait too long.
    pub reserve_pool_size: usize,
    /// How long is too long.
    pub reserve_pool_timeout: Timeout,
    /// A client waits this long for a server, then gets an error.
    pub query_wait_timeout: Timeout,
    /// A client that waits this long gets a NOTICE.
    pub query_wait_notify: Timeout,
    /// Clients of one class that may wait for one pool; `None`: no limit.
    pub max_queue: Option<usize>,
    /// A client that would have to wait for longer is refused at once; `None`: never.
    pub queue_deadline: Timeout,
    /// A wait of this length is logged, with its reasons; `None`: none is.
    pub log_queue_wait: Timeout,
    /// TCP connect and login of a server together.
    pub server_connect_timeout: Timeout,
    /// Pause after a failed server login; doubles up to 16 times this.
    pub server_login_retry: Duration,
    /// A server older than this is closed when it is free (spread by up to a tenth).
    pub server_lifetime: Timeout,
    /// A server idle for longer is closed.
    pub server_idle_timeout: Timeout,
    /// A server idle for longer is checked before use; `Some(0)`: always, `None`: never.
    pub server_check_delay: Timeout,
    /// A transaction in which the client says nothing for longer is ended.
    pub idle_transaction_timeout: Timeout,
    /// A transaction that lasts longer is ended.
    pub transaction_timeout: Timeout,
    /// A query that runs longer is cancelled.
    pub query_timeout: Timeout,
    /// A client that is idle outside a transaction for longer is disconnected.
    pub client_idle_timeout: Timeout,
    /// Prepared statements kept on each server; 0: names are not virtual.
    pub max_prepared_statements: usize,
    /// Bytes of parameters that one client may set.
    pub max_session_state: usize,
    /// The largest message that is passed on.
    pub max_packet_size: usize,
    /// What becomes of statements whose effect on the session cannot be shared.
    pub unsharable_state: Unsharable,
    /// Clients that may keep their servers.
    pub max_pinned: Part,
    /// Bytes of notifications kept for a client that does not read them.
    pub listen_buffer: usize,
    /// One in so many transactions is audited; 0: none.
    pub audit_sample: usize,
    /// Sent between two clients of a session-mode server; empty: nothing.
    pub server_reset_query: String,
    /// `server_reset_query` is sent in the other modes too, after each lease.
    pub server_reset_query_always: bool,
    /// How a server is checked; `<empty>`: by an empty query, empty: not at all.
    pub server_check_query: String,
    /// Servers that must go do so when their transaction is over, session mode or not.
    pub server_fast_close: bool,
    /// The server that was idle for longest is used next, instead of the warmest.
    pub server_round_robin: bool,
    /// The classes that its clients may belong to.
    pub classes: Vec<Class>,
}

/// The same names as [`PoolSettings`]; `None` inherits.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "each field is the one of PoolSettings with the same name")]
pub struct PoolOverrides {
    pub pool_mode: Option<PoolMode>,
    pub pool_size: Option<usize>,
    pub min_pool_size: Option<usize>,
    pub reserve_pool_size: Option<usize>,
    pub reserve_pool_timeout: Option<Timeout>,
    pub query_wait_timeout: Option<Timeout>,
    pub query_wait_notify: Option<Timeout>,
    pub max_queue: Option<Option<usize>>,
    pub queue_deadline: Option<Timeout>,
    pub log_queue_wait: Option<Timeout>,
    pub server_connect_timeout: Option<Timeout>,
    pub server_login_retry: Option<Duration>,
    pub server_lifetime: Option<Timeout>,
    pub server_idle_timeout: Option<Timeout>,
    pub server_check_delay: Option<Timeout>,
    pub idle_transaction_timeout: Option<Timeout>,
    pub transaction_timeout: Option<Timeout>,
    pub query_timeout: Option<Timeout>,
    pub client_idle_timeout: Option<Timeout>,
    pub max_prepared_statements: Option<usize>,
    pub max_session_state: Option<usize>,
    pub max_packet_size: Option<usize>,
    pub unsharable_state: Option<Unsharable>,
    pub max_pinned: Option<Part>,
    pub listen_buffer: Option<usize>,
    pub audit_sample: Option<usize>,
    pub server_reset_query: Option<String>,
    pub server_reset_query_always: Option<bool>,
    pub server_check_query: Option<String>,
    pub server_fast_close: Option<bool>,
    pub server_round_robin: Option<bool>,
}

impl PoolSettings {
    /// Takes over the timeouts that are a client's, not its server's.
    pub(super) fn take_timeouts(&mut self, from: &PoolOverrides) {
        let PoolOverrides {
            query_timeout,
            query_wait_timeout,
            idle_transaction_timeout,
            transaction_timeout,
            client_idle_timeout,
            ..
        } = *from;
        let take = |own: &mut Timeout, other: Option<Timeout>| *own = other.unwrap_or(*own);
        take(&mut self.query_timeout, query_timeout);
        take(&mut self.query_wait_timeout, query_wait_timeout);
        take(&mut self.idle_transaction_timeout, idle_transaction_timeout);
        take(&mut self.transaction_timeout, transaction_timeout);
        take(&mut self.client_idle_timeout, client_idle_timeout);
    }

    pub(super) fn overridden_by(&self, over: &PoolOverrides) -> PoolSettings {
        let mut out = self.clone();
        macro_rules! take {
            ($($field:ident),* $(,)?) => {
                $(if let Some(value) = &over.$field { out.$field = value.clone(); })*
            };
        }
        take!(
            pool_mode,
            pool_size,
            min_pool_size,
            reserve_pool_size,
            reserve_pool_timeout,
            query_wait_timeout,
            query_wait_notify,
            max_queue,
            queue_deadline,
            log_queue_wait,
            server_connect_timeout,
            server_login_retry,
            server_lifetime,
            server_idle_timeout,
            server_check_delay,
            idle_transaction_timeout,
            transaction_timeout,
            query_timeout,
            client_idle_timeout,
            max_prepared_statements,
            max_session_state,
            max_packet_size,
            unsharable_state,
            max_pinned,
            listen_buffer,
            audit_sample,
            server_reset_query,
            server_reset_query_always,
            server_check_query,
            server_fast_close,
            server_round_robin,
        );
        out
    }
}

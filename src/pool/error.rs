//! Why a client gets no server.

use std::sync::Arc;
use std::time::Duration;

use crate::server::ConnectError;

/// Why a client gets no server.
#[derive(Clone, Debug)]
pub enum PoolError {
    /// The servers cannot be reached, or refuse the login.
    ServerDown(Arc<ConnectError>),
    /// They could not be reached a while ago, and it is too early to try again.
    ServersFailing(Arc<ConnectError>),
    /// `query_wait_timeout`.
    WaitTimeout(Box<Facts>),
    /// `query_timeout`, where waiting counts.
    QueryTimeout,
    /// `queue_deadline`.
    DeadlinePassed(Box<Facts>),
    /// It would have to wait for longer than its `queue_deadline`.
    TooLate(Box<Outlook>),
    /// `max_queue` clients wait already.
    QueueFull(Box<Outlook>),
    /// The client cancelled its request while it waited.
    Cancelled,
    /// The pool was removed from the configuration, or killed.
    Removed,
    /// pgusher is stopping.
    ShuttingDown,
}

/// What a client that is refused at once would have waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Clients of its class that came before.
    pub ahead: usize,
    /// How long it would have waited; `None` if there is nothing to tell it by.
    pub expected: Option<Duration>,
}

/// The state of a pool, for an error's DETAIL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `database/user`.
    pub pool: String,
    /// How long the client waited.
    pub waited: Duration,
    /// `pool_size`.
    pub size: usize,
    /// Servers with a client.
    pub busy: usize,
    /// Of those, servers whose client is in a transaction and asks nothing.
    pub idle_in_transaction: usize,
    /// Of those, servers that clients keep outside of transactions.
    pub pinned: usize,
    /// Servers being connected.
    pub connecting: usize,
    /// Clients still waiting.
    pub waiting: usize,
    /// Those who have had their servers for longest, each in a few words.
    pub longest: Vec<String>,
    /// Paused by an administrator.
    pub paused: bool,
}

impl Facts {
    /// The numbers, and the longest holders.
    pub fn detail(&self) -> String {
        let Facts { pool, size, busy, idle_in_transaction, pinned, connecting, waiting, .. } = self;
        let mut text = format!(
            "Pool {pool}: {busy} of {size} servers busy ({idle_in_transaction} of them idle in transaction, {pinned} \
             pinned), {connecting} connecting, {waiting} clients waiting."
        );
        if !self.longest.is_empty() {
            text.push_str(" Held for longest: ");
            text.push_str(&self.longest.join("; "));
            text.push('.');
        }
        text
    }

    /// What to change.
    pub fn hint(&self) -> &'static str {
        if self.paused {
            "The pool is paused; an administrator resumes it with RESUME."
        } else if self.busy > 0 && self.idle_in_transaction * 2 >= self.busy {
            "Most servers are held by transactions that wait for their application: shorten them, or set \
             idle_transaction_timeout."
        } else if self.busy > 0 && self.pinned * 2 >= self.busy {
            "Most servers are kept by clients whose session state cannot be shared: see SHOW PINS, or lower max_pinned."
        } else if self.busy < self.size && self.connecting == 0 {
            "The pool is not full: max_db_connections or max_user_connections may be the limit that binds."
        } else {
            "Shorten transactions, raise pool_size if the database has room for more, or raise query_wait_timeout."
        }
    }
}

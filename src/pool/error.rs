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
    /// The client cancelled its request while it waited.
    Cancelled,
    /// The pool was removed from the configuration, or killed.
    Removed,
    /// pgusher is stopping.
    ShuttingDown,
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
    /// Servers being connected.
    pub connecting: usize,
    /// Clients still waiting.
    pub waiting: usize,
    /// The longest time a server has been held, and by which application.
    pub oldest: Option<(Duration, String)>,
    /// Paused by an administrator.
    pub paused: bool,
}

impl Facts {
    /// One sentence with the numbers.
    pub fn detail(&self) -> String {
        let mut text = format!(
            "Pool {}: {} of {} servers busy ({} of them idle in transaction), {} connecting, {} clients waiting.",
            self.pool,
            self.busy,
            self.size,
            self.idle_in_transaction,
            self.connecting,
            self.waiting
        );
        if let Some((held, application)) = &self.oldest {
            let application = if application.is_empty() { "unknown" } else { application };
            text.push_str(&format!(
                " The longest holder has had its server for {:.1} s (application_name: {application}).",
                held.as_secs_f64()
            ));
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
        } else if self.busy < self.size && self.connecting == 0 {
            "The pool is not full: max_db_connections or max_user_connections may be the limit that binds."
        } else {
            "Shorten transactions, raise pool_size if the database has room for more, or raise query_wait_timeout."
        }
    }
}

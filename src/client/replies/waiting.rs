//! Requests for which there is no server, or none yet.

use super::{conversation::server_gone, ending::shutting_down, error, fatal};
use crate::pool::{Facts, Outlook, PoolError, WelcomeError};
use crate::server::{ConnectError, Stage};
use crate::sqlstate;
use crate::wire::{ErrorFields, Severity};

/// A request that gets no server. The client stays connected.
pub fn no_server(reason: &PoolError) -> ErrorFields {
    match reason {
        PoolError::ServerDown(down) => down.fields.as_ref().clone().severity(Severity::Error),
        PoolError::ServersFailing(down) => servers_failing(down),
        PoolError::WaitTimeout(facts) => wait_over(facts, "query_wait_timeout"),
        PoolError::QueryTimeout => query_timeout_in_queue(),
        PoolError::DeadlinePassed(facts) => wait_over(facts, "queue_deadline"),
        PoolError::TooLate(outlook) => shed(outlook, "queue_deadline"),
        PoolError::QueueFull(outlook) => shed(outlook, "max_queue"),
        PoolError::Cancelled => {
            error(sqlstate::QUERY_CANCELED, "canceling statement due to user request")
                .detail("The statement was still waiting for a server connection.")
        }
        PoolError::Removed => {
            error(sqlstate::ADMIN_SHUTDOWN, "the database was removed from the pooler")
                .brief("database removed")
        }
        PoolError::ShuttingDown => shutting_down(),
    }
}

/// A request that is not even queued. Made by the thousand when there is too much to do, so it looks at nobody else.
fn shed(outlook: &Outlook, setting: &str) -> ErrorFields {
    let message = format!("the queue for a server connection is too long ({setting})");
    let wait = match outlook.expected {
        Some(expected) => format!("about {:.1} s", expected.as_secs_f64()),
        None => "an unknown time".to_owned(),
    };
    let detail = format!("{} clients are waiting; the expected wait is {wait}.", outlook.ahead);
    error(sqlstate::TOO_MANY_CONNECTIONS, message)
        .detail(detail)
        .hint("Try again later, with a growing and random pause.")
}

fn wait_over(facts: &Facts, setting: &str) -> ErrorFields {
    let waited = facts.waited.as_secs_f64();
    let message = format!("no server connection became available within {waited:.1} s ({setting})");
    error(sqlstate::TOO_MANY_CONNECTIONS, message)
        .detail(facts.detail())
        .hint(facts.hint())
        .brief(setting)
}

/// A long wait, announced.
pub fn still_waiting(facts: &Facts) -> ErrorFields {
    ErrorFields::new(
        Severity::Notice,
        sqlstate::TOO_MANY_CONNECTIONS,
        "no server connection available yet, the client is queued",
    )
    .detail(facts.detail())
    .brief("No server connection available in postgres backend, client being queued")
}

/// A login whose parameters could not be confirmed.
pub fn no_welcome(reason: WelcomeError) -> ErrorFields {
    match reason {
        WelcomeError::Pool(reason) => no_server(&reason).severity(Severity::Fatal),
        WelcomeError::Refused(fields) => {
            fields.severity(Severity::Fatal).brief("invalid server parameter")
        }
        WelcomeError::Lost => server_gone(),
    }
}

/// The servers have been failing for a while: nobody waits for them.
fn servers_failing(down: &ConnectError) -> ErrorFields {
    let fields = down.fields.as_ref().clone().severity(Severity::Error);
    let cause = match (down.by_server, down.stage) {
        (true, _) | (false, Stage::Login) => down.fields.message.as_str(),
        (false, Stage::Connect) => "connect failed",
        (false, Stage::Tls) => "server TLS failed",
    };
    fields
        .brief(format!("server login has been failing, cached error: {cause} (server_login_retry)"))
}

/// `query_timeout` has passed before a server came.
fn query_timeout_in_queue() -> ErrorFields {
    fatal(sqlstate::QUERY_CANCELED, "canceling statement due to query timeout (query_timeout)")
        .detail("It was still waiting for a server connection.")
        .brief("query_timeout")
}

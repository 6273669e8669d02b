//! The one table of errors that clients read: what happened, with its SQLSTATE, the facts and what to do.

use std::net::IpAddr;
use std::time::Duration;

use crate::hba::{Method, Visit};
use crate::pool::{Facts, Outlook, PoolError, WelcomeError};
use crate::relay::{Refusal, ReplyError, RequestError};
use crate::server::{ConnectError, Stage};
use crate::sqlstate::{self, SqlState};
use crate::stats::{Cause, Causes};
use crate::wire::startup::StartupError;
use crate::wire::{ErrorFields, Severity};

fn fatal(code: SqlState, message: impl Into<String>) -> ErrorFields {
    ErrorFields::new(Severity::Fatal, code, message)
}

fn error(code: SqlState, message: impl Into<String>) -> ErrorFields {
    ErrorFields::new(Severity::Error, code, message)
}

/// A request that gets no server. The client stays connected.
pub fn no_server(reason: &PoolError) -> ErrorFields {
    match reason {
        PoolError::ServerDown(down) => down.fields.as_ref().clone().severity(Severity::Error),
        PoolError::ServersFailing(down) => servers_failing(down),
        PoolError::WaitTimeout(facts) => wait_over(facts, "query_wait_timeout"),
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
        WelcomeError::Refused(fields) => fields.severity(Severity::Fatal),
        WelcomeError::Lost => server_gone(),
    }
}

/// The server went away without a word.
pub fn server_gone() -> ErrorFields {
    fatal(sqlstate::CONNECTION_FAILURE, "server closed the connection unexpectedly")
        .brief("server conn crashed?")
        .hint("The server process ended or the network failed; whether the last statement took effect is not known.")
}

/// The client broke the protocol.
pub fn bad_request(reason: RequestError) -> ErrorFields {
    let fields = fatal(sqlstate::PROTOCOL_VIOLATION, reason.to_string());
    match reason {
        RequestError::UnknownType(_) => fields.brief("unknown pkt"),
        _ => fields,
    }
}

/// The server broke the protocol.
pub fn bad_reply(reason: &ReplyError) -> ErrorFields {
    match reason {
        ReplyError::ReplayRefused(fields) => fields
            .clone()
            .severity(Severity::Fatal)
            .hint("A parameter of the session is not valid any more.")
            .brief("invalid server parameter"),
        ReplyError::TooSlow => slow_listener(),
        ReplyError::StateTooLarge(_) => fatal(sqlstate::PROGRAM_LIMIT_EXCEEDED, reason.to_string())
            .hint("Set fewer or shorter parameters, or raise max_session_state."),
        other => fatal(sqlstate::CONNECTION_FAILURE, other.to_string()),
    }
}

/// BEGIN in statement mode.
pub fn transaction_refused() -> ErrorFields {
    fatal(
        sqlstate::FEATURE_NOT_SUPPORTED,
        "transaction blocks not allowed in statement pooling mode",
    )
    .hint("Set pool_mode = \"transaction\" for this database or user.")
}

/// A statement whose effect on the session cannot be shared, and what becomes of it.
pub fn unsharable(refusal: Refusal<'_>) -> ErrorFields {
    match refusal {
        Refusal::Unsharable(causes) => {
            let message = format!("{} cannot be shared in transaction pooling mode", list(causes));
            error(sqlstate::FEATURE_NOT_SUPPORTED, message)
                .detail("The statement was not sent to the server (unsharable_state = \"error\").")
                .hint(
                    "Keep it within one transaction, use a session pool, or set unsharable_state = \"pin\" for this \
                     database or user.",
                )
        }
        Refusal::TooManyPins(causes, keeping) => {
            let message = format!(
                "{} would keep a server, and as many clients keep theirs as may (max_pinned)",
                list(causes)
            );
            let detail = format!(
                "max_pinned is {}, and {} clients of this pool keep their servers. The statement was not sent to the server.",
                keeping.max_pinned,
                keeping.pins.now()
            );
            error(sqlstate::TOO_MANY_CONNECTIONS, message)
                .detail(detail)
                .hint("SHOW PINS on the console tells who keeps servers, and why. Raise max_pinned or pool_size.")
        }
        Refusal::Discarded(causes) => {
            let message = format!("{} will be discarded with the transaction", list(causes));
            ErrorFields::new(Severity::Warning, sqlstate::WARNING, message).detail(
                "It cannot be shared in transaction pooling mode (unsharable_state = \"warn\").",
            )
        }
        Refusal::NoChannel(fields) => fields
            .severity(Severity::Error)
            .hint("The pooler listens for its clients over a connection of its own."),
        Refusal::TooManyChannels(limit) => {
            error(sqlstate::PROGRAM_LIMIT_EXCEEDED, "too many channels are listened to")
                .detail(format!("A client may listen to {limit} channels."))
        }
    }
}

fn list(causes: Causes) -> String {
    causes.iter().map(Cause::describe).collect::<Vec<_>>().join(", ")
}

/// Notifications that are not read.
pub fn slow_listener() -> ErrorFields {
    fatal(
        sqlstate::PROGRAM_LIMIT_EXCEEDED,
        "terminating connection because notifications were not read (listen_buffer)",
    )
    .detail("More notifications than the pooler keeps for a client are waiting; some would have been lost.")
    .hint("Read notifications faster, or raise listen_buffer.")
}

/// A start-up packet that cannot be read.
pub fn bad_startup(reason: &StartupError) -> ErrorFields {
    let code = match reason {
        StartupError::Version { .. } => sqlstate::FEATURE_NOT_SUPPORTED,
        _ => sqlstate::PROTOCOL_VIOLATION,
    };
    fatal(code, reason.to_string())
}

/// Plaintext where there is no session without TLS. Worded as PostgreSQL words its own refusal.
pub fn tls_required(host: IpAddr, user: &str, database: &str) -> ErrorFields {
    let message = format!(
        "no entry for host \"{host}\", user \"{user}\", database \"{database}\", no encryption"
    );
    fatal(sqlstate::INVALID_AUTHORIZATION, message)
        .brief("SSL required")
        .detail("The pooler accepts TCP connections with TLS only (client_tls_sslmode).")
        .hint("Connect with sslmode=require or stronger.")
}

/// Plaintext behind a request for TLS (CVE-2021-23214).
pub fn early_plaintext() -> ErrorFields {
    fatal(sqlstate::PROTOCOL_VIOLATION, "received unencrypted data after SSL request").detail(
        "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.",
    )
}

/// A message out of place during the login.
pub fn bad_login(what: &str) -> ErrorFields {
    fatal(sqlstate::PROTOCOL_VIOLATION, what)
}

/// A start-up parameter that cannot be read.
pub fn bad_parameter(message: impl Into<String>) -> ErrorFields {
    fatal(sqlstate::INVALID_PARAMETER_VALUE, message)
}

/// `pgusher.pool_mode` in a start-up packet.
pub fn bad_pool_mode(value: &str) -> ErrorFields {
    let message = format!("invalid value for parameter \"pgusher.pool_mode\": \"{value}\"");
    fatal(sqlstate::INVALID_PARAMETER_VALUE, message)
        .hint("Available values: session, transaction.")
}

/// A client that asked for a session of its own gets none.
pub fn too_many_sessions(limit: usize) -> ErrorFields {
    fatal(
        sqlstate::TOO_MANY_CONNECTIONS,
        "as many clients keep their servers as may (max_pinned)",
    )
    .detail(format!("The client asked for a session of its own (pgusher.pool_mode); max_pinned is {limit}."))
    .hint("SHOW PINS on the console tells who keeps servers, and why. Raise max_pinned or pool_size.")
}

/// No user in the start-up packet.
pub fn no_user() -> ErrorFields {
    fatal(sqlstate::INVALID_AUTHORIZATION, "no PostgreSQL user name specified in startup packet")
        .brief("no username supplied")
}

/// A start-up parameter that is not kept, in PgBouncer's mode.
pub fn unsupported_parameter(name: &str) -> ErrorFields {
    let message = format!("unsupported startup parameter: {name}");
    fatal(sqlstate::UNDEFINED_OBJECT, message)
        .hint("List it in ignore_startup_parameters or track_extra_parameters.")
}

/// The same within `options`.
pub fn unsupported_option(name: &str) -> ErrorFields {
    let message = format!("unsupported startup parameter in options: {name}");
    fatal(sqlstate::UNDEFINED_OBJECT, message)
        .hint("List it in ignore_startup_parameters or track_extra_parameters.")
}

/// `options` that cannot be read.
pub fn bad_options(error: &impl ToString) -> ErrorFields {
    bad_parameter(error.to_string()).brief(
        "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed",
    )
}

/// A failed proof of identity. The same for unknown users and wrong passwords.
pub fn wrong_password(user: &str) -> ErrorFields {
    fatal(sqlstate::INVALID_PASSWORD, format!("password authentication failed for user \"{user}\""))
        .brief("password authentication failed")
}

/// A failed proof of identity, in PostgreSQL's words for the method.
pub fn auth_failed(method: &Method, user: &str) -> ErrorFields {
    let rejected = |what: &str, brief: &str| {
        let message = format!("{what} authentication failed for user \"{user}\"");
        fatal(sqlstate::INVALID_AUTHORIZATION, message).brief(brief)
    };
    match method {
        Method::Password | Method::Md5 => wrong_password(user),
        Method::ScramSha256 => wrong_password(user).brief("SASL authentication failed"),
        Method::Trust => rejected("\"trust\"", "\"trust\" authentication failed"),
        Method::Reject => rejected("\"reject\"", "login rejected"),
        Method::Cert => rejected("certificate", "certificate authentication failed"),
        Method::Peer => rejected("Peer", "unix socket login rejected"),
        Method::Ldap(_) => rejected("LDAP", "LDAP authentication failed"),
        Method::Pam(_) => rejected("PAM", "PAM authentication failed"),
    }
}

/// A client certificate was to be shown.
pub fn no_certificate() -> ErrorFields {
    fatal(sqlstate::INVALID_AUTHORIZATION, "connection requires a valid client certificate")
        .brief("certificate authentication failed")
}

/// No line of `auth_hba_file` is for the client.
pub fn no_hba_entry(visit: &Visit<'_>) -> ErrorFields {
    let message = format!("no pg_hba.conf entry for {}", place(visit));
    fatal(sqlstate::INVALID_AUTHORIZATION, message).brief("no authentication method is found")
}

/// A line of `auth_hba_file` says no.
pub fn hba_rejects(visit: &Visit<'_>) -> ErrorFields {
    let message = format!("pg_hba.conf rejects connection for {}", place(visit));
    fatal(sqlstate::INVALID_AUTHORIZATION, message).brief("login rejected")
}

fn place(visit: &Visit<'_>) -> String {
    let host = match visit.address {
        Some(address) => address.to_canonical().to_string(),
        None => "[local]".to_owned(),
    };
    let encryption = if visit.is_encrypted { "SSL encryption" } else { "no encryption" };
    let Visit { user, database, .. } = visit;
    format!("host \"{host}\", user \"{user}\", database \"{database}\", {encryption}")
}

/// Nobody can say at the moment whether a user is who it says. The reason is for the log.
pub fn no_lookup() -> ErrorFields {
    fatal(sqlstate::CANNOT_CONNECT_NOW, "authentication is not possible at the moment")
        .brief("bouncer config error")
        .detail("The pooler could not ask whoever knows its users; its log says why.")
}

/// Too many logins of an address with many failures.
pub fn too_many_failures() -> ErrorFields {
    fatal(sqlstate::INVALID_AUTHORIZATION, "too many failed logins from this address")
        .detail("Further logins from it are held up, and too many of them are waiting already.")
        .hint("Correct the password of whoever keeps failing, then wait a while (auth_failure_window).")
}

/// `login_notify_message`.
pub fn login_notice(message: &str) -> ErrorFields {
    ErrorFields::new(Severity::Notice, sqlstate::SUCCESS, message)
}

/// No such database, here.
pub fn no_database(name: &str) -> ErrorFields {
    fatal(sqlstate::UNDEFINED_DATABASE, format!("database \"{name}\" does not exist"))
        .brief(format!("no such database: {name}"))
        .detail("The pooler has no such database and no fallback.")
        .hint(format!("Add [databases.{name}] or [databases.\"*\"] to the configuration."))
}

/// DISABLE.
pub fn disabled(name: &str) -> ErrorFields {
    fatal(sqlstate::CANNOT_CONNECT_NOW, format!("database \"{name}\" is disabled"))
        .brief(format!("database \"{name}\" is disabled"))
        .hint("An administrator enables it with ENABLE.")
}

/// The console is not for everybody.
pub fn no_console(user: &str) -> ErrorFields {
    fatal(sqlstate::INSUFFICIENT_PRIVILEGE, format!("user \"{user}\" may not use the console"))
        .brief("not allowed")
        .hint("List the user in admin_users or stats_users.")
}

/// A limit on clients.
pub fn too_many_clients(setting: &str, limit: usize) -> ErrorFields {
    let message = format!("no more connections allowed ({setting})");
    let brief = match setting {
        "max_client_conn" => message.clone(),
        _ => format!("client connections exceeded ({setting})"),
    };
    fatal(sqlstate::TOO_MANY_CONNECTIONS, message)
        .detail(format!("{setting} is {limit}, and as many clients are connected."))
        .brief(brief)
}

/// `client_login_timeout`; `server_down`: it was a server that kept the client waiting.
pub fn login_timeout(server_down: bool) -> ErrorFields {
    let brief =
        if server_down { "client_login_timeout (server down)" } else { "client_login_timeout" };
    fatal(sqlstate::CANNOT_CONNECT_NOW, "login took too long (client_login_timeout)").brief(brief)
}

/// pgusher is stopping.
pub fn shutting_down() -> ErrorFields {
    fatal(sqlstate::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
        .detail("The pooler is shutting down.")
        .brief("server shutting down")
}

/// No new clients while pgusher is stopping.
pub fn not_admitting() -> ErrorFields {
    fatal(sqlstate::CANNOT_CONNECT_NOW, "the pooler is shutting down")
        .brief("pooler is shutting down")
}

/// KILL_CLIENT.
pub fn killed() -> ErrorFields {
    fatal(sqlstate::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
        .brief("admin forced disconnect")
}

/// KILL, or the configuration has lost the database.
pub fn removed() -> ErrorFields {
    fatal(sqlstate::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
        .detail("The database was removed from the pooler.")
        .brief("database removed")
}

/// `server_fast_close`: the session's server had to go.
pub fn reconfigured() -> ErrorFields {
    fatal(sqlstate::ADMIN_SHUTDOWN, "terminating connection because the server had to be replaced")
        .detail("The session's server was closed by RECONNECT, a reload or a changed address (server_fast_close).")
        .hint("Connect again.")
        .brief("database configuration changed")
}

/// `client_idle_timeout`.
pub fn idle_timeout() -> ErrorFields {
    fatal(
        sqlstate::IDLE_SESSION_TIMEOUT,
        "terminating connection due to idle-session timeout (client_idle_timeout)",
    )
    .brief("client_idle_timeout")
}

/// `idle_transaction_timeout`.
pub fn idle_transaction_timeout() -> ErrorFields {
    let message =
        "terminating connection due to idle-in-transaction timeout (idle_transaction_timeout)";
    fatal(sqlstate::IDLE_IN_TRANSACTION_TIMEOUT, message)
        .detail("The transaction was rolled back.")
        .brief("idle transaction timeout")
}

/// `transaction_timeout`.
pub fn transaction_timeout() -> ErrorFields {
    fatal(
        sqlstate::TRANSACTION_TIMEOUT,
        "terminating connection due to transaction timeout (transaction_timeout)",
    )
    .detail("The transaction was rolled back.")
    .brief("transaction timeout")
}

/// `query_timeout` has passed; the server is asked to cancel.
pub fn cancelling(after: Duration) -> ErrorFields {
    let message = format!(
        "canceling statement that has run for {:.1} s (query_timeout)",
        after.as_secs_f64()
    );
    ErrorFields::new(Severity::Notice, sqlstate::QUERY_CANCELED, message)
}

/// `query_timeout` has passed and the server does not listen.
pub fn query_timeout() -> ErrorFields {
    fatal(sqlstate::QUERY_CANCELED, "canceling statement due to query timeout (query_timeout)")
        .detail("The server did not react to the cancel request.")
        .brief("query timeout")
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
pub fn query_timeout_in_queue() -> ErrorFields {
    fatal(sqlstate::QUERY_CANCELED, "canceling statement due to query timeout (query_timeout)")
        .detail("It was still waiting for a server connection.")
        .brief("query_timeout")
}

/// Something that should not happen.
pub fn internal(message: impl Into<String>) -> ErrorFields {
    fatal(sqlstate::INTERNAL_ERROR, message)
}

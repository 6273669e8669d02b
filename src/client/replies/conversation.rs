//! A conversation that cannot go on as it is.

use std::fmt;
use std::time::Duration;

use super::{error, fatal};
use crate::relay::{Refusal, ReplyError, RequestError};
use crate::sqlstate;
use crate::stats::{Cause, Causes};
use crate::wire::tag::frontend as tag;
use crate::wire::{ErrorFields, FrameError, Severity};

/// The server went away without a word.
pub fn server_gone() -> ErrorFields {
    fatal(sqlstate::CONNECTION_FAILURE, "server closed the connection unexpectedly")
        .brief("server conn crashed?")
        .hint("The server process ended or the network failed; whether the last statement took effect is not known.")
}

/// The client broke the protocol.
pub fn bad_request(reason: RequestError) -> ErrorFields {
    let told = |code| fatal(code, reason.to_string());
    let broken = told(sqlstate::PROTOCOL_VIOLATION);
    match reason {
        RequestError::UnknownType(_) => broken.brief("unknown pkt"),
        RequestError::Frame(FrameError::Length { tag, length }) => {
            broken.brief(bad_header(tag, length))
        }
        RequestError::Frame(FrameError::Malformed { tag }) => match packet_name(tag) {
            Some(name) => broken.brief(format!("broken {name} packet")),
            None => broken,
        },
        RequestError::TooLarge { header, limit } => {
            too_large(&reason, bad_header(header.tag, narrow(header.size - 1)), limit)
        }
        RequestError::NoStatement => told(sqlstate::UNDEFINED_STATEMENT),
        RequestError::NameInUse => told(sqlstate::DUPLICATE_STATEMENT),
        _ => broken,
    }
}

/// PgBouncer's words for a message that it cannot or may not take.
fn bad_header(tag: u8, length: u32) -> String {
    format!("bad packet header: '{tag:02x}{length:08x}'")
}

fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// What PgBouncer calls the messages that it reads.
fn packet_name(message: u8) -> Option<&'static str> {
    match message {
        tag::PARSE => Some("Parse"),
        tag::BIND => Some("Bind"),
        tag::DESCRIBE => Some("Describe"),
        tag::CLOSE => Some("Close"),
        _ => None,
    }
}

/// `max_packet_size`.
fn too_large(reason: &dyn fmt::Display, brief: String, limit: usize) -> ErrorFields {
    fatal(sqlstate::PROGRAM_LIMIT_EXCEEDED, reason.to_string())
        .detail(format!("max_packet_size is {limit} bytes."))
        .hint("Send less at once, or raise max_packet_size.")
        .brief(brief)
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
        ReplyError::TooLarge { header, limit } => {
            too_large(reason, bad_header(header.tag, narrow(header.size - 1)), *limit)
        }
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

/// Something that should not happen.
pub fn internal(message: impl Into<String>) -> ErrorFields {
    fatal(sqlstate::INTERNAL_ERROR, message)
}

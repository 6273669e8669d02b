//! The one table of errors that clients read: what happened, with its SQLSTATE, the facts and what to do.

mod conversation;
mod ending;
mod login;
mod waiting;

pub use self::conversation::{
    bad_reply, bad_request, cancelling, idle_transaction_timeout, internal, query_timeout,
    server_gone, slow_listener, transaction_refused, transaction_timeout, unsharable,
};
pub use self::ending::{idle_timeout, killed, not_admitting, reconfigured, removed, shutting_down};
pub use self::login::{
    auth_failed, bad_login, bad_options, bad_parameter, bad_pool_mode, bad_startup, disabled,
    early_plaintext, hba_rejects, login_notice, login_timeout, no_certificate, no_console,
    no_database, no_hba_entry, no_lookup, no_user, nobody_to_be, tls_required, too_many_clients,
    too_many_failures, too_many_sessions, unsupported_option, unsupported_parameter,
    wrong_password,
};
pub use self::waiting::{no_server, no_welcome, still_waiting};

use crate::sqlstate::SqlState;
use crate::wire::{ErrorFields, Severity};

fn fatal(code: SqlState, message: impl Into<String>) -> ErrorFields {
    ErrorFields::new(Severity::Fatal, code, message)
}

fn error(code: SqlState, message: impl Into<String>) -> ErrorFields {
    ErrorFields::new(Severity::Error, code, message)
}

//! Logins that fail, and what is said at one that succeeds.

use std::net::IpAddr;

use super::fatal;
use crate::hba::{Method, Visit};
use crate::sqlstate;
use crate::wire::startup::StartupError;
use crate::wire::{ErrorFields, Severity};

/// A start-up packet that cannot be read; `packet` is what there is of it.
pub fn bad_startup(reason: &StartupError, packet: &[u8]) -> ErrorFields {
    let code = match reason {
        StartupError::Version { .. } => sqlstate::FEATURE_NOT_SUPPORTED,
        _ => sqlstate::PROTOCOL_VIOLATION,
    };
    let fields = fatal(code, reason.to_string());
    match reason {
        StartupError::Version { major: ..3, .. } => fields.brief("old V2 protocol not supported"),
        StartupError::Length => {
            let header: String = packet.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            fields.brief(format!("bad packet header: '{header}'"))
        }
        _ => fields,
    }
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

/// Plaintext behind a request for encryption (CVE-2021-23214).
pub fn early_plaintext(request: &str) -> ErrorFields {
    let message = format!("received unencrypted data after {request} request");
    fatal(sqlstate::PROTOCOL_VIOLATION, message).detail(
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

/// The client's own name does not count (`auth_type = any`), and the database names no user.
pub fn nobody_to_be(database: &str) -> ErrorFields {
    let message = format!("database \"{database}\" has no user to connect as");
    fatal(sqlstate::CONFIG_FILE_ERROR, message)
        .hint("auth_type \"any\" needs a user for every database.")
        .brief("bouncer config error")
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

//! Clients that are sent away.

use super::fatal;
use crate::sqlstate;
use crate::wire::ErrorFields;

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

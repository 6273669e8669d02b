//! PgBouncer's words for what happens, which operators and their tools search for.

use super::pgbouncer::Facts;

/// What is said here, and how PgBouncer says it. `{field}` is the field of the event.
const WORDINGS: &[(&str, &str)] = &[
    ("client connected", "login attempt: db={database} user={user} tls={tls} replication=no"),
    ("console connected", "login attempt: db={database} user={user} tls={tls} replication=no"),
    ("client disconnected", "closing because: {reason} (age={age_seconds}s)"),
    ("login failed", "closing because: {reason} (age={age_seconds}s)"),
    ("error told to the client", "pooler error: {reason}"),
    ("server connected", "new connection to server (from {local})"),
    ("server closed", "closing because: {reason} (age={age_seconds}s)"),
    ("server login failed", "server login failed: {severity} {reason}"),
    ("listening", "listening on {address}"),
    ("pgusher is ready", "process up: pgusher {version}"),
    ("asked to reload", "got {signal}, re-reading config"),
    ("database removed", "database removed: {database}"),
    (
        "stats",
        "stats: {xacts} xacts/s, {queries} queries/s, {client_parses} client parses/s, \
         {server_parses} server parses/s, {binds} binds/s, in {received} B/s, out {sent} B/s, \
         xact {xact_time} us, query {query_time} us, wait {wait_time} us",
    ),
];

/// Reasons that have other words there. Found by what ours contain.
const REASONS: &[(&str, &str)] = &[
    ("client closed the connection", "client unexpected eof"),
    ("password authentication failed for user", "{proof} authentication failed"),
    ("\" does not exist", "no such database: {database}"),
    ("terminating connection due to administrator command", "server shutting down"),
    ("the pooler is shutting down", "pooler is shutting down"),
    ("may not use the console", "not allowed"),
    ("the database was removed from the pooler", "database removed"),
    ("server closed the connection unexpectedly", "server conn crashed?"),
    ("transaction blocks not allowed", "transaction blocks not allowed in statement pooling mode"),
    ("(query_wait_timeout)", "query_wait_timeout"),
    ("(client_idle_timeout)", "client_idle_timeout"),
    ("(client_login_timeout)", "client_login_timeout"),
    ("(idle_transaction_timeout)", "idle transaction timeout"),
    ("(transaction_timeout)", "transaction timeout"),
    ("(query_timeout)", "query timeout"),
    ("(max_db_client_connections)", "client connections exceeded (max_db_client_connections)"),
    ("(max_user_client_connections)", "client connections exceeded (max_user_client_connections)"),
];

/// The same for servers, whose reasons are single words.
const SERVER_REASONS: &[(&str, &str)] = &[
    ("admin", "admin forced disconnect"),
    ("error", "server conn crashed?"),
    ("idle", "server idle timeout"),
    ("lifetime", "server lifetime over"),
    ("out_of_sync", "server out of sync"),
    ("reload", "database configuration changed"),
    ("surplus", "obsolete connection"),
    ("unclean", "unclean server"),
];

/// Fields that the socket's name has said.
const SAID: [&str; 7] = ["client", "database", "user", "peer", "server", "pool", "address"];

/// The message of an event.
pub(super) fn text(facts: &Facts) -> String {
    match WORDINGS.iter().find(|(ours, _)| *ours == facts.message) {
        Some((_, theirs)) => filled(theirs, facts),
        None => plain(facts),
    }
}

/// The event's own words, with its other fields after them.
fn plain(facts: &Facts) -> String {
    let is_about_socket = facts.get("client").or(facts.get("server")).or(facts.get("peer"));
    let mut out = facts.message.clone();
    for (name, value) in facts.fields() {
        if is_about_socket.is_none() || !SAID.contains(&name) {
            out.push_str(&format!(" {name}={value}"));
        }
    }
    out
}

fn filled(template: &str, facts: &Facts) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(before);
        out.push_str(&value(name, facts));
        rest = behind;
    }
    out.push_str(rest);
    out
}

fn value(name: &str, facts: &Facts) -> String {
    let text = facts.get(name).unwrap_or(match name {
        "tls" => "no",
        "age_seconds" => "0",
        _ => "",
    });
    let theirs = match (name, facts.message.as_str()) {
        ("reason", "server closed") => SERVER_REASONS.iter().find(|(ours, _)| text == *ours),
        ("reason", "client disconnected" | "login failed" | "error told to the client") => {
            REASONS.iter().find(|(ours, _)| text.contains(ours))
        }
        ("tls", _) if text == "off" => return "no".to_owned(),
        ("severity", _) => return text.to_uppercase(),
        ("proof", _) => return proof(facts).to_owned(),
        _ => None,
    };
    match theirs {
        Some((_, theirs)) => filled(theirs, facts),
        None => text.to_owned(),
    }
}

/// What a client has failed to prove, in PgBouncer's word.
fn proof(facts: &Facts) -> &'static str {
    match facts.get("method") {
        Some("scram-sha-256") => "SASL",
        Some("trust") => "\"trust\"",
        _ => "password",
    }
}

//! PgBouncer's words for what happens, which operators and their tools search for.

use super::pgbouncer::Facts;

/// What is said here, and how PgBouncer says it. `{field}` is the field of the event.
const WORDINGS: &[(&str, &str)] = &[
    (
        "login attempt",
        "login attempt: db={database} user={user} tls={tls} replication={replication}",
    ),
    ("client disconnected", "closing because: {reason} (age={age_seconds}s)"),
    ("cancel request given up", "closing because: cancel_wait_timeout (age={age_seconds}s)"),
    ("login failed", "closing because: {reason} (age={age_seconds}s)"),
    ("error told to the client", "pooler error: {reason}"),
    ("server connected", "new connection to server (from {local})"),
    ("server closed", "closing because: {reason} (age={age_seconds}s)"),
    ("listening", "listening on {address}"),
    ("pgusher is ready", "process up: pgusher {version}"),
    ("asked to reload", "got {signal}, re-reading config"),
    ("asked to stop", "got {signal}, shutting down"),
    ("asked to pause", "got {signal}, pausing all activity"),
    ("asked to resume", "got {signal}, continuing from PAUSE"),
    ("signal ignored while shutting down", "got {signal} while shutting down, ignoring"),
    ("registered new auto-database", "registered new auto-database: {database}"),
    ("database removed", "database removed: {database}"),
    ("TLS setup failed", "TLS setup failed: {why}"),
    (
        "stats",
        "stats: {xacts} xacts/s, {queries} queries/s, {client_parses} client parses/s, \
         {server_parses} server parses/s, {binds} binds/s, in {received} B/s, out {sent} B/s, \
         xact {xact_time} us, query {query_time} us, wait {wait_time} us",
    ),
];

/// Why servers were closed: single words here.
const SERVER_REASONS: &[(&str, &str)] = &[
    ("admin", "admin forced disconnect"),
    ("error", "server conn crashed?"),
    ("idle", "server idle timeout"),
    ("lifetime", "server lifetime over"),
    ("out_of_sync", "server out of sync"),
    ("reload", "database configuration changed"),
    ("surplus", "too many servers in the pool"),
    ("unclean", "unclean server"),
    ("login", "login failed"),
    ("replication", "replication client was closed"),
    ("moved", "obsolete connection"),
];

/// Fields that the socket's name has said.
const SAID: [&str; 7] = ["client", "database", "user", "peer", "server", "pool", "address"];

/// The message of an event.
pub(super) fn text(facts: &Facts) -> String {
    if facts.message == "server login failed" {
        return login_failed(facts);
    }
    match WORDINGS.iter().find(|(ours, _)| *ours == facts.message) {
        Some((_, theirs)) => filled(theirs, facts),
        None => plain(facts),
    }
}

/// A server that could not be reached was never logged in to.
fn login_failed(facts: &Facts) -> String {
    let reason = facts.get("reason").unwrap_or_default();
    let closing = |why: &str| format!("closing because: {why} (age=0s)");
    match facts.get("stage") {
        Some("connecting") if reason.contains("server DNS lookup failed") => {
            closing("server DNS lookup failed")
        }
        Some("connecting") if reason.contains("(server_connect_timeout)") => {
            closing("connect timeout")
        }
        Some("connecting") => closing("connect failed"),
        Some("TLS") => closing(&format!("TLS handshake failed: {reason}")),
        _ => filled("server login failed: {severity} {reason}", facts),
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
        "age_seconds" => "0",
        _ => "",
    });
    match (name, facts.message.as_str()) {
        ("reason", "server closed") => {
            let theirs = SERVER_REASONS.iter().find(|(ours, _)| text == *ours);
            theirs.map_or(text, |(_, theirs)| theirs).to_owned()
        }
        ("reason", _) => facts.get("words").unwrap_or(text).to_owned(),
        ("severity", _) => text.to_uppercase(),
        _ => text.to_owned(),
    }
}

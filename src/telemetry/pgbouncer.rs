//! Lines as PgBouncer writes them: `2026-07-14 09:30:00.123 UTC [42] LOG C-7: db/user@10.0.0.1:5000 message`.

use std::fmt;
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::wording;
use crate::date;
use crate::pool::SERVERS;

/// The format.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut facts = Facts::default();
        event.record(&mut facts);
        let now = date::format_millis(SystemTime::now());
        let (pid, level) = (std::process::id(), level(event));
        writeln!(out, "{now} [{pid}] {level} {}", line(&facts))
    }
}

/// PgBouncer's word for a level. Servers that come and go are as important to it as clients.
fn level(event: &Event<'_>) -> &'static str {
    match *event.metadata().level() {
        Level::DEBUG if event.metadata().target() == SERVERS => "LOG",
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "LOG",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "NOISE",
    }
}

/// What an event says.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) message: String,
    fields: Vec<(&'static str, String)>,
}

impl Facts {
    /// The value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    }

    /// All fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.fields.iter().map(|(name, value)| (*name, value.as_str()))
    }

    fn note(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => self.fields.push((name, unquoted(value))),
        }
    }
}

/// Names of strangers are recorded in quotes and with escapes. The quotes are not PgBouncer's.
fn unquoted(value: String) -> String {
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.map(str::to_owned).unwrap_or(value)
}

impl Visit for Facts {
    fn record_str(&mut self, field: &Field, value: &str) {
        // Quotes are what they are; nothing may look like another line.
        let mut text = String::with_capacity(value.len());
        for c in value.chars() {
            if c.is_control() { text.extend(c.escape_debug()) } else { text.push(c) }
        }
        self.note(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A line stays a line, whatever a stranger calls itself.
        let text = format!("{value:?}").replace(['\n', '\r'], " ");
        self.note(field, text);
    }
}

/// The socket and the message.
fn line(facts: &Facts) -> String {
    let text = wording::text(facts);
    match socket(facts) {
        Some(socket) => format!("{socket} {text}"),
        None => text,
    }
}

/// `C-7: db/user@10.0.0.1:5000`, if the event is about a client or a server.
fn socket(facts: &Facts) -> Option<String> {
    if let Some(server) = facts.get("server") {
        let pool = facts.get("pool").unwrap_or("(nodb)/(nouser)");
        let address = facts.get("address").map_or_else(|| "unix:0".to_owned(), address);
        return Some(format!("S-{server}: {pool}@{address}"));
    }
    let client = facts.get("client");
    let peer = facts.get("peer").or(client.map(|_| "unix"))?;
    let name = |field, none| facts.get(field).filter(|name| !name.is_empty()).unwrap_or(none);
    let (database, user) = (name("database", "(nodb)"), name("user", "(nouser)"));
    let (client, peer) = (client.unwrap_or("0"), address(peer));
    Some(format!("C-{client}: {database}/{user}@{peer}"))
}

/// Unix sockets have neither address nor port; tools look for both.
fn address(text: &str) -> String {
    if text == "unix" || text.starts_with(['/', '@']) {
        let port = text.rsplit_once(".s.PGSQL.").map_or("0", |(_, port)| port);
        return format!("unix:{port}");
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(message: &str, fields: &[(&'static str, &str)]) -> Facts {
        let fields = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Facts { message: message.to_owned(), fields }
    }

    #[test]
    fn clients_and_servers_are_named() {
        let gone = facts(
            "client disconnected",
            &[
                ("client", "7"),
                ("database", "app"),
                ("user", "u"),
                ("peer", "10.0.0.1:5000"),
                ("age_seconds", "3"),
                ("reason", "client close request"),
            ],
        );
        let expected = "C-7: app/u@10.0.0.1:5000 closing because: client close request (age=3s)";
        assert_eq!(line(&gone), expected);
        let came = facts(
            "server connected",
            &[
                ("pool", "app/u"),
                ("server", "9"),
                ("address", "[::1]:5432"),
                ("local", "[::1]:40000"),
            ],
        );
        let expected = "S-9: app/u@[::1]:5432 new connection to server (from [::1]:40000)";
        assert_eq!(line(&came), expected);
        let unix =
            facts("client disconnected", &[("client", "1"), ("reason", "x"), ("age_seconds", "0")]);
        assert_eq!(line(&unix), "C-1: (nodb)/(nouser)@unix:0 closing because: x (age=0s)");
    }

    #[test]
    fn other_events_keep_their_words() {
        let other = facts("drained", &[]);
        assert_eq!(line(&other), "drained");
        let other = facts("accept failed, pausing", &[("error", "x"), ("listener", "y")]);
        assert_eq!(line(&other), "accept failed, pausing error=x listener=y");
    }

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(unquoted("\"a\\nb\"".into()), "a\\nb");
        assert_eq!(unquoted("\"".into()), "\"");
    }
}

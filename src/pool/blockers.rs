//! Who holds the servers of a pool, and who waits for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{ClassId, Pool};
use crate::sql::{Quoting, fingerprint};
use crate::stats::{ClientRecord, PinFacts, ServerRecord, ServerState, StatementNote};
use crate::types::Name;

/// What a place of the pool is taken by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// The server works for a client.
    Active,
    /// A client is in a transaction and asks nothing.
    IdleInTransaction,
    /// A client keeps the server outside of a transaction; why.
    Pinned(String),
    /// The server is brought to rest, or looked at, between two clients.
    Resetting,
    /// A cancel request has to be over before the server can be used.
    BeingCanceled,
    /// A connection is being made.
    Connecting,
}

impl Holding {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Holding::Active => "active",
            Holding::IdleInTransaction => "idle_in_transaction",
            Holding::Pinned(_) => "pinned",
            Holding::Resetting => "resetting",
            Holding::BeingCanceled => "being_canceled",
            Holding::Connecting => "connecting",
        }
    }
}

/// One place of the pool that is taken.
#[derive(Clone, Debug)]
pub struct Holder {
    /// By what.
    pub holding: Holding,
    /// The server; `None` while it is being connected.
    pub server: Option<Arc<ServerRecord>>,
    /// The client that has it.
    pub client: Option<Arc<ClientRecord>>,
    /// For how long.
    pub held: Duration,
    /// The beginning of the last statement, without its literals.
    pub statement: String,
}

impl Holder {
    /// In a few words: who, how long, and what it is doing; `None` without a client.
    pub fn outline(&self) -> Option<String> {
        let (server, client) = (self.server.as_ref()?, self.client.as_ref()?);
        let application = Name::clone(&client.application_name.lock());
        let who =
            if application.is_empty() { "an application without a name" } else { &application };
        let from = client.peer.map_or_else(|| "a unix socket".to_owned(), |peer| peer.to_string());
        let mut text = format!(
            "{who} (user {}, from {from}) for {:.1} s, {}, server process {}",
            client.user,
            self.held.as_secs_f64(),
            self.holding.as_str().replace('_', " "),
            server.pid
        );
        if let Holding::Pinned(why) = &self.holding {
            text.push_str(&format!(", pinned by {why}"));
        }
        if !self.statement.is_empty() {
            text.push_str(&format!(", last statement: {}", self.statement));
        }
        Some(text)
    }
}

/// A client that waits.
#[derive(Clone, Debug)]
pub struct Waiter {
    /// Who.
    pub client: Arc<ClientRecord>,
    /// In which class's queue.
    pub class: Name,
    /// Its place there, from 1.
    pub place: usize,
    /// How long it has waited.
    pub waited: Duration,
    /// How long it is likely to wait yet; `None` if there is nothing to tell it by.
    pub expected: Option<Duration>,
}

impl Pool {
    /// Every server that is in use or on its way, the longest held first.
    pub fn holders(&self) -> Vec<Holder> {
        let now = Instant::now();
        let census = self.census();
        let pins = self.context.records.pins.all();
        let busy = census.servers.iter().filter(|server| !server.state().is_free());
        let mut holders: Vec<_> = busy.map(|server| self.holder(server, &pins, now)).collect();
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.held));
        let connecting = Holder {
            holding: Holding::Connecting,
            server: None,
            client: None,
            held: Duration::ZERO,
            statement: String::new(),
        };
        holders.extend(std::iter::repeat_n(connecting, census.logging_in()));
        holders
    }

    fn holder(&self, server: &Arc<ServerRecord>, pins: &[PinFacts], now: Instant) -> Holder {
        let state = server.state();
        let with_client = state == ServerState::Active;
        let client = with_client.then(|| self.context.records.client(server.link())).flatten();
        let pin =
            client.as_ref().and_then(|client| pins.iter().find(|pin| pin.client == client.id));
        let holding = match (state, &client) {
            (ServerState::New, _) => Holding::Connecting,
            (ServerState::BeingCanceled, _) => Holding::BeingCanceled,
            (ServerState::Tested | ServerState::Idle | ServerState::Used, _) => Holding::Resetting,
            (ServerState::Active, Some(client)) if client.is_idle_in_transaction() => {
                Holding::IdleInTransaction
            }
            (ServerState::Active, _) => pin.map_or(Holding::Active, |pin| {
                let causes: Vec<_> = pin.causes.iter().map(|cause| cause.as_str()).collect();
                Holding::Pinned(causes.join(","))
            }),
        };
        Holder {
            holding,
            held: now.saturating_duration_since(server.requested_at()),
            statement: if client.is_some() {
                outline(&server.statement.read())
            } else {
                String::new()
            },
            client,
            server: Some(Arc::clone(server)),
        }
    }

    /// Every client that waits, class by class in the order of their turns.
    pub fn waiters(&self) -> Vec<Waiter> {
        let now = Instant::now();
        let (places, names) = {
            let core = self.core.lock();
            let places = core.places(now);
            let names: Vec<_> = places.iter().map(|place| core.class_name(place.class)).collect();
            (places, names)
        };
        let records = &self.context.records;
        let waiters = places.into_iter().zip(names).filter_map(|(place, class)| {
            Some(Waiter {
                client: records.client(place.waiter.client)?,
                class,
                place: place.ahead + 1,
                waited: now.saturating_duration_since(place.since),
                expected: place.expected,
            })
        });
        waiters.collect()
    }

    /// Logs that a client has waited for long, and for whom; once a second at most, however many there are.
    pub fn log_wait(&self, client: &ClientRecord, waited: Duration) {
        const PAUSE: Duration = Duration::from_secs(1);
        let mut last = self.wait_logged.lock();
        let now = Instant::now();
        if last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            return;
        }
        *last = Some(now);
        drop(last);
        let facts = self.facts(waited);
        let waited = format!("{:.1} s", waited.as_secs_f64());
        let (detail, hint) = (facts.detail(), facts.hint());
        tracing::warn!(pool = %self.key, client = client.id, waited, detail, hint, "long wait for a server");
    }

    /// The class of this name; that of everybody if there is none.
    pub fn class(&self, name: &str) -> ClassId {
        self.core.lock().class(name)
    }
}

/// The beginning of a statement without its literals. One that was cut off within a literal, or that may be read in two
/// ways, ends before it.
fn outline(sql: &[u8]) -> String {
    let cut = sql.len() == StatementNote::LONGEST;
    // Whether a backslash escapes a quote depends on the session.
    let doubtful = sql.windows(2).position(|pair| pair == br"\'");
    let end = doubtful.and_then(|at| sql.get(..at)?.iter().rposition(|byte| *byte == b'\''));
    let mut text =
        fingerprint(sql.get(..end.unwrap_or(sql.len())).unwrap_or(sql), Quoting::default());
    text.truncate(text.trim_end_matches([';', ' ']).len());
    if (cut || doubtful.is_some()) && !text.ends_with('…') {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_literal_shows_however_a_statement_is_cut() {
        let sql = "select pg_sleep(12), e'secret\\'secret', 'secret''secret', $x$secret$x$ from t -- secret";
        for end in 0..=sql.len() {
            let text = outline(&sql.as_bytes()[..end]);
            assert!(!text.contains("secret") && !text.contains("12"), "{end}: {text}");
        }
        assert!(outline(sql.as_bytes()).starts_with("select pg_sleep(?), e"));
        let long = format!("select '{}'", "secret".repeat(50));
        let text = outline(&long.as_bytes()[..StatementNote::LONGEST]);
        assert!(
            text.starts_with("select") && text.ends_with('…') && !text.contains("secret"),
            "{text}"
        );
    }
}

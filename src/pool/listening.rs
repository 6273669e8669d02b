//! The listening server: one connection for each database, which listens for every client of it.
//!
//! It is started by the first LISTEN and ends when nobody has listened for a while. It is a connection of its own,
//! beside the pools and their limits, on the control runtime. When it is lost it is made again, and everybody who
//! listens is told that notifications may have been lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::Pool;
use crate::net::{Buffer, take_message};
use crate::server::{self, Server};
use crate::session::exchange::{Exchange, Listener};
use crate::sql::{self, Ident};
use crate::sqlstate;
use crate::stats::ExchangeFacts;
use crate::types::Name;
use crate::wire::tag::backend as tag;
use crate::wire::{ErrorFields, FrameError, Severity, backend, frontend};

/// It ends when nobody has listened for this long.
const LINGER: Duration = Duration::from_secs(10);

/// How often it looks whether it is still to be there, and to be as it is.
const LOOK: Duration = Duration::from_millis(500);

/// After a failure it is made again after this; the pause doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A client waits no longer than this for its own notifications before it is told that its statement is over.
const FENCE_LIMIT: Duration = Duration::from_secs(1);

/// No message of an honest server is longer: a notification's payload is below 8,000 bytes.
const MAX_MESSAGE: usize = 256 * 1024;

/// What it calls itself in `pg_stat_activity`.
const APPLICATION_NAME: &str = "pgusher listening server";

/// The exchanges of all databases.
#[derive(Debug, Default)]
pub struct Exchanges {
    by_database: Mutex<BTreeMap<Name, Arc<Office>>>,
}

/// One database's exchange, and what is counted of it.
#[derive(Debug, Default)]
pub(super) struct Office {
    exchange: Arc<Exchange>,
    is_driven: Mutex<bool>,
    connects: AtomicU64,
    notifications: AtomicU64,
}

impl Exchanges {
    fn office(&self, database: &Name) -> Arc<Office> {
        Arc::clone(self.by_database.lock().entry(Name::clone(database)).or_default())
    }

    /// All exchanges that have been used.
    pub fn all(&self) -> Vec<ExchangeFacts> {
        let all = self.by_database.lock();
        let facts = all.iter().map(|(database, office)| ExchangeFacts {
            database: Name::clone(database),
            channels: office.exchange.channels(),
            connects: office.connects.load(Ordering::Relaxed),
            notifications: office.notifications.load(Ordering::Relaxed),
        });
        facts.collect()
    }
}

impl Pool {
    /// A place for a client at its database's exchange. The listening server is started if there is none; it logs in as
    /// this pool's user does, since listening takes no privilege.
    pub fn listener(self: &Arc<Self>) -> Listener {
        let office = self.context.exchanges.office(&self.key.database);
        let mut is_driven = office.is_driven.lock();
        if !*is_driven {
            *is_driven = true;
            let driver = Driver { pool: Arc::clone(self), office: Arc::clone(&office) };
            self.context.control.spawn(driver.run());
        }
        office.exchange.join(self.settings().listen_buffer)
    }
}

/// Drives one listening server.
struct Driver {
    pool: Arc<Pool>,
    office: Arc<Office>,
}

/// Why a connection is over.
enum Over {
    /// Nobody listens any more.
    Unused,
    /// It has to be made anew.
    Lost(String),
}

impl Driver {
    async fn run(self) {
        let mut pause = FIRST_PAUSE;
        let mut was_there = false;
        loop {
            if self.is_over().await {
                return;
            }
            match self.connect().await {
                Ok(server) => {
                    pause = FIRST_PAUSE;
                    self.exchange().connected();
                    let over = Conversation::new(&self, server, was_there).run().await;
                    self.exchange().lost();
                    was_there = true;
                    if let Over::Lost(reason) = over {
                        tracing::warn!(database = %self.pool.key.database, %reason, "listening server lost");
                    } else {
                        was_there = false;
                        continue;
                    }
                }
                Err(fields) => {
                    tracing::warn!(database = %self.pool.key.database, error = %fields, "no listening server");
                    self.exchange().failed(fields);
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.exchange().try_again();
        }
    }

    fn exchange(&self) -> &Exchange {
        &self.office.exchange
    }

    /// True when nobody has listened for a while, and whoever comes next has to start another driver.
    async fn is_over(&self) -> bool {
        while self.exchange().is_unused() {
            if tokio::time::timeout(LINGER, self.exchange().changed()).await.is_ok() {
                continue;
            }
            let mut is_driven = self.office.is_driven.lock();
            // A listener that has joined meanwhile has asked for nothing yet.
            if self.exchange().is_unused() && Arc::strong_count(&self.office.exchange) == 1 {
                *is_driven = false;
                return true;
            }
        }
        false
    }

    async fn connect(&self) -> Result<Box<Server>, ErrorFields> {
        while self.pool.is_paused() && !self.exchange().is_unused() {
            tokio::time::sleep(LOOK).await;
        }
        let mut blueprint = self.pool.blueprint().as_ref().clone();
        let name = "application_name".to_owned();
        blueprint.startup_parameters.entry(name).or_insert_with(|| APPLICATION_NAME.to_owned());
        let limit = self.pool.settings().server_connect_timeout;
        let context = &self.pool.context;
        let id = context.records.ids.next();
        let connected = server::connect(&blueprint, limit, &context.means(), id, 0).await;
        let server = connected.map_err(|error| *error.fields)?;
        self.office.connects.fetch_add(1, Ordering::Relaxed);
        let pid = server.backend.pid;
        tracing::info!(database = %self.pool.key.database, pid, "listening server connected");
        Ok(server)
    }
}

/// One connection of a listening server.
struct Conversation<'a> {
    driver: &'a Driver,
    server: Box<Server>,
    buffer: Buffer,
    /// The channels of the LISTEN under way; there may be none in it.
    asked: Option<Vec<Ident>>,
    /// The fence that is reached when it is answered.
    fence: Option<u64>,
    refused: Option<ErrorFields>,
    generation: u32,
    /// Clients have to be told that something may have been lost, once everything is listened to again.
    owes_warning: bool,
}

impl<'a> Conversation<'a> {
    fn new(driver: &'a Driver, server: Box<Server>, owes_warning: bool) -> Self {
        let generation = driver.pool.generation();
        Conversation {
            driver,
            server,
            buffer: Buffer::new(),
            asked: None,
            fence: None,
            refused: None,
            generation,
            owes_warning,
        }
    }

    async fn run(mut self) -> Over {
        let mut unused_for = Duration::ZERO;
        loop {
            if let Err(error) = self.ask().await {
                return Over::Lost(error.to_string());
            }
            let exchange = Arc::clone(&self.driver.office.exchange);
            tokio::select! {
                received = self.server.stream.recv(&mut self.buffer) => match received {
                    Ok(0) => return Over::Lost("the server closed the connection".to_owned()),
                    Ok(_) => if let Err(reason) = self.received() {
                        return Over::Lost(reason);
                    },
                    Err(error) => return Over::Lost(error.to_string()),
                },
                () = exchange.changed() => {}
                () = tokio::time::sleep(LOOK) => {
                    unused_for = if exchange.is_unused() { unused_for + LOOK } else { Duration::ZERO };
                }
            }
            if unused_for >= LINGER {
                self.server.stream.farewell(&frontend::TERMINATE);
                return Over::Unused;
            }
            let pool = &self.driver.pool;
            if pool.generation() != self.generation || pool.is_paused() {
                self.server.stream.farewell(&frontend::TERMINATE);
                return Over::Lost("an administrator closed it".to_owned());
            }
        }
    }

    /// Sends what there is to be asked, one query at a time.
    async fn ask(&mut self) -> std::io::Result<()> {
        let exchange = self.driver.exchange();
        exchange.expire_fences(FENCE_LIMIT);
        if self.asked.is_some() {
            return Ok(());
        }
        let plan = exchange.plan();
        self.fence = exchange.fence();
        if plan.listen.is_empty() && plan.unlisten.is_empty() && self.fence.is_none() {
            return Ok(());
        }
        let mut sql = Vec::new();
        for (word, channels) in [(&b"UNLISTEN "[..], &plan.unlisten), (b"LISTEN ", &plan.listen)] {
            for channel in channels {
                sql.extend_from_slice(word);
                sql::put_ident(&mut sql, channel);
                sql.push(b';');
            }
        }
        self.asked = Some(plan.listen);
        let mut bytes = Vec::new();
        frontend::put_query(&mut bytes, &sql);
        self.server.stream.send_all(&bytes).await
    }

    fn received(&mut self) -> Result<(), String> {
        let text = |error: FrameError| error.to_string();
        while let Some(message) = take_message(&mut self.buffer, MAX_MESSAGE).map_err(text)? {
            self.message(&message)?;
        }
        Ok(())
    }

    fn message(&mut self, message: &[u8]) -> Result<(), String> {
        let exchange = self.driver.exchange();
        match message.first().copied().unwrap_or_default() {
            tag::NOTIFICATION_RESPONSE => {
                if let Some(channel) = backend::notification_channel(message) {
                    self.driver.office.notifications.fetch_add(1, Ordering::Relaxed);
                    exchange.deliver(channel, message);
                }
            }
            tag::ERROR_RESPONSE => {
                let fields = ErrorFields::read(message);
                if fields.is_fatal() {
                    return Err(fields.to_string());
                }
                self.refused = Some(fields);
            }
            tag::READY_FOR_QUERY => {
                let asked = self.asked.take().unwrap_or_default();
                match self.refused.take() {
                    Some(fields) => exchange.refused(&asked, &fields),
                    None => exchange.listens(&asked),
                }
                if let Some(fence) = self.fence.take() {
                    exchange.fenced(fence);
                }
                if std::mem::take(&mut self.owes_warning) {
                    let mut bytes = Vec::new();
                    notifications_lost().put_notice(&mut bytes);
                    exchange.tell_all(&bytes);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// What everybody who listens is told after the listening server was lost.
fn notifications_lost() -> ErrorFields {
    let message = "the connection for notifications was lost and has been made again";
    ErrorFields::new(Severity::Warning, sqlstate::WARNING, message)
        .detail("Notifications sent in between did not arrive.")
        .hint("Look for what they would have told.")
}

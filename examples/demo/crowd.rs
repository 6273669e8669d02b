//! Thousands of clients at once.

use crate::client::Client;
use crate::stage::{DATABASE, USER};
use crate::tally::Tally;
use crate::work::{Dice, transact};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How many log in at the same time: a server's queue of connections to accept is short.
const LOGINS_AT_ONCE: usize = 64;

/// What the crowd is doing, for whoever watches.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// Clients that have tried to log in.
    tried: AtomicU64,
    /// Clients that are in.
    connected: AtomicU64,
    /// Transactions so far.
    transactions: AtomicU64,
}

impl Pulse {
    /// Clients that have tried to log in.
    pub(crate) fn tried(&self) -> u64 {
        self.tried.load(Ordering::Relaxed)
    }

    /// Clients that are in.
    pub(crate) fn connected(&self) -> u64 {
        self.connected.load(Ordering::Relaxed)
    }

    /// Transactions so far.
    pub(crate) fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }
}

/// Clients that log in, wait for one another, and then work until they are told to stop.
#[derive(Debug)]
pub(crate) struct Crowd {
    clients: JoinSet<Tally>,
    pulse: Arc<Pulse>,
    /// Until when to work, once that is known.
    until: watch::Sender<Option<Instant>>,
}

/// What all clients of a crowd share.
#[derive(Debug, Clone)]
struct Rules {
    port: u16,
    think: Duration,
    pulse: Arc<Pulse>,
    doors: Arc<Semaphore>,
    until: watch::Receiver<Option<Instant>>,
}

impl Crowd {
    /// Sends so many clients to a port.
    pub(crate) fn gather(port: u16, count: u32, think: Duration) -> Self {
        let pulse = Arc::new(Pulse::default());
        let (until, told) = watch::channel(None);
        let doors = Arc::new(Semaphore::new(LOGINS_AT_ONCE));
        let rules = Rules { port, think, pulse: Arc::clone(&pulse), doors, until: told };
        let clients = (0..count).map(|number| visit(number, rules.clone())).collect();
        Crowd { clients, pulse, until }
    }

    /// What it is doing.
    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Lets everybody who is in work for so long; gives the moment when it ends.
    pub(crate) fn work_for(&self, time: Duration) -> Instant {
        let end = Instant::now() + time;
        // Without receivers nobody was let in: then there is nobody to tell.
        let _ = self.until.send(Some(end));
        end
    }

    /// Waits until all have left; gives what they have been through.
    pub(crate) async fn disperse(self) -> Tally {
        let mut all = Tally::default();
        for tally in self.clients.join_all().await {
            all.add(tally);
        }
        all
    }
}

/// The life of one client.
async fn visit(number: u32, mut rules: Rules) -> Tally {
    let mut tally = Tally::default();
    let login = {
        // Closing the semaphore is nobody's business here: it is always open.
        let _door = rules.doors.acquire().await;
        Client::login(rules.port, DATABASE, USER).await
    };
    rules.pulse.tried.fetch_add(1, Ordering::Relaxed);
    match login {
        Ok(client) => {
            rules.pulse.connected.fetch_add(1, Ordering::Relaxed);
            let end = rules.until.wait_for(Option::is_some).await.ok().and_then(|until| *until);
            if let Some(end) = end {
                work(client, number, end, &rules, &mut tally).await;
            }
        }
        Err(failure) => {
            tally.refused = 1;
            tally.error(failure.name());
        }
    }
    tally
}

async fn work(mut client: Client, number: u32, end: Instant, rules: &Rules, tally: &mut Tally) {
    let mut dice = Dice::of(number);
    loop {
        let next = Instant::now() + dice.pause(rules.think);
        tokio::time::sleep_until(next.min(end)).await;
        if next >= end {
            return client.leave().await;
        }
        let start = Instant::now();
        match transact(&mut client, &mut dice).await {
            Ok(()) => {
                tally.transaction(start.elapsed());
                rules.pulse.transactions.fetch_add(1, Ordering::Relaxed);
            }
            Err(failure) => {
                tally.error(failure.name());
                if failure.is_lost() {
                    return;
                }
            }
        }
    }
}

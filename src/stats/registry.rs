//! Everybody who is there, to be found and to be told something.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{AuditTable, ClientRecord, Exports, Names, PinBook, Tracer};
use crate::types::Name;

/// Gives out numbers that are never reused.
#[derive(Debug, Default)]
pub struct IdSource(AtomicU64);

impl IdSource {
    /// The next number, from 1.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Everybody who is there.
#[derive(Debug, Default)]
pub struct Records {
    /// Numbers for clients and servers alike.
    pub ids: IdSource,
    /// Clients that keep their servers.
    pub pins: PinBook,
    /// What would break under a plain transaction pooler.
    pub audit: AuditTable,
    /// What becomes a span.
    pub tracer: Tracer,
    /// What was exported.
    pub exports: Exports,
    /// Names of applications: many clients share few.
    pub names: Names,
    clients: DashMap<u64, Arc<ClientRecord>, ahash::RandomState>,
    /// Requests to cancel a client's query, each from a connection of its own.
    cancels: Mutex<BTreeMap<u64, Arc<ClientRecord>>>,
    /// Everybody stands still, and nobody comes in.
    shut: watch::Sender<bool>,
    /// Everybody is to stand still (SUSPEND).
    suspended: AtomicBool,
}

impl Records {
    /// Enters a client; it is there until the guard is dropped.
    pub fn enter(self: &Arc<Self>, client: ClientRecord) -> Entered {
        let client = Arc::new(client);
        self.clients.insert(client.id, Arc::clone(&client));
        if self.is_suspended() {
            client.control.suspend();
            // Everybody who was on record may have been resumed just before.
            if !self.is_suspended() {
                client.control.resume();
            }
        }
        Entered { client, records: Arc::clone(self) }
    }

    /// Has every client stand still, those who come later included.
    pub fn suspend(&self) {
        self.suspended.store(true, Ordering::SeqCst);
        self.clients.iter().for_each(|client| client.control.suspend());
    }

    /// Has every client go on.
    pub fn resume(&self) {
        self.shut.send_replace(false);
        self.suspended.store(false, Ordering::SeqCst);
        self.clients.iter().for_each(|client| client.control.resume());
    }

    /// Everybody stands still now, as PgBouncer has it: nobody comes in until all go on.
    pub fn shut_doors(&self) {
        self.shut.send_replace(self.is_suspended());
    }

    /// Whether the doors are shut, for whoever minds one.
    pub fn watch_doors(&self) -> watch::Receiver<bool> {
        self.shut.subscribe()
    }

    /// Enters a request to cancel a query; it is there until the guard is dropped.
    pub fn enter_cancel(self: &Arc<Self>, request: ClientRecord) -> EnteredCancel {
        let id = request.id;
        self.cancels.lock().insert(id, Arc::new(request));
        EnteredCancel { id, records: Arc::clone(self) }
    }

    /// The requests to cancel a query that are under way, by number.
    pub fn cancels(&self) -> Vec<Arc<ClientRecord>> {
        self.cancels.lock().values().map(Arc::clone).collect()
    }

    /// Clients that are to stand still, and do not yet.
    pub fn restless(&self) -> Vec<Arc<ClientRecord>> {
        let restless = self.clients.iter().filter(|client| !client.control.is_still());
        restless.map(|client| Arc::clone(client.value())).collect()
    }

    /// True while clients are to stand still.
    pub fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::SeqCst)
    }

    /// All clients, by number.
    pub fn clients(&self) -> Vec<Arc<ClientRecord>> {
        let mut all: Vec<_> = self.clients.iter().map(|entry| Arc::clone(entry.value())).collect();
        all.sort_by_key(|client| client.id);
        all
    }

    /// One client.
    pub fn client(&self, id: u64) -> Option<Arc<ClientRecord>> {
        self.clients.get(&id).map(|entry| Arc::clone(entry.value()))
    }

    /// How many clients are there.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// True when nobody is there.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }
}

/// A client's entry in [`Records`]; dropping it takes the client off.
#[derive(Debug)]
pub struct Entered {
    /// The record.
    pub client: Arc<ClientRecord>,
    /// Where it is entered.
    pub records: Arc<Records>,
}

impl Entered {
    /// The one object for the name of an application.
    pub fn intern(&self, name: &str) -> Name {
        self.records.names.intern(name)
    }
}

/// The entry of a request to cancel a query; dropping it takes the request off.
#[derive(Debug)]
pub struct EnteredCancel {
    id: u64,
    records: Arc<Records>,
}

impl Drop for EnteredCancel {
    fn drop(&mut self) {
        self.records.cancels.lock().remove(&self.id);
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.records.clients.remove(&self.client.id);
    }
}

//! The server process behind a connection, as far as others may talk to it: cancel requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::hop::{self, Encryption};
use crate::net::{Buffer, Dialler, Stream};
use crate::tls::Connector;
use crate::types::ServerAddress;
use crate::wire::startup;

/// Who a server process is: where it can be cancelled, and whether somebody is doing so.
#[derive(Debug)]
pub struct Backend {
    /// The very address the connection was made to, names resolved.
    pub address: ServerAddress,
    /// Process id.
    pub pid: u32,
    key: Box<[u8]>,
    /// The connection has TLS, and so must have what is said about it: by which keys, and with whom.
    tls: Option<(Arc<Connector>, String)>,
    dialler: Arc<Dialler>,
    /// Cancel requests on their way. The server is not handed on before they are over.
    in_flight: Arc<AtomicUsize>,
    /// A cancel request ended without an answer: it may still strike.
    doubtful: AtomicBool,
    over: Notify,
    /// The server runs statements of pgusher's own: cancel requests wait until it has done with them.
    shielded: AtomicBool,
    /// It was sent something for its present client, and has answered nothing yet: it may not have begun.
    fresh: AtomicBool,
    /// Either of these is not so any more.
    changed: Notify,
}

impl Backend {
    /// A backend with its BackendKeyData.
    pub fn new(address: ServerAddress, pid: u32, key: &[u8], dialler: Arc<Dialler>) -> Self {
        Backend {
            address,
            dialler,
            pid,
            key: key.into(),
            tls: None,
            in_flight: Arc::default(),
            doubtful: AtomicBool::new(false),
            over: Notify::new(),
            shielded: AtomicBool::new(false),
            fresh: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    /// The same behind TLS, with a certificate for `host`.
    #[must_use]
    pub fn behind_tls(self, connector: Arc<Connector>, host: String) -> Self {
        Backend { tls: Some((connector, host)), ..self }
    }

    /// Cancel requests on their way, for those who look.
    pub(super) fn cancels(&self) -> &Arc<AtomicUsize> {
        &self.in_flight
    }

    /// Announces a cancel request.
    ///
    /// # Race window
    /// The caller must know that the server is still with the client on whose behalf it asks, and keep knowing it
    /// until this returns: the releasing side looks at [`is_being_canceled`](Backend::is_being_canceled) afterwards.
    pub fn begin_cancel(self: &Arc<Self>) -> CancelGuard {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        CancelGuard { backend: Arc::clone(self), delivered: false }
    }

    /// True while a cancel request may still strike.
    pub fn is_being_canceled(&self) -> bool {
        self.has_cancels() || self.is_doubtful()
    }

    /// True when it can never be known that a cancel request is over.
    pub fn is_doubtful(&self) -> bool {
        self.doubtful.load(Ordering::SeqCst)
    }

    /// True while a cancel request is on its way.
    pub fn has_cancels(&self) -> bool {
        self.in_flight.load(Ordering::SeqCst) > 0
    }

    /// Keeps cancel requests back while the server runs a statement of pgusher's own, which is none of those that a
    /// client can mean. False when one is on its way already: it has to be over first.
    ///
    /// # Race window
    /// Either this sees a request that was announced, or whoever delivers the request sees the shield.
    pub fn shield(&self) -> bool {
        if self.shielded.swap(true, Ordering::SeqCst) {
            return true;
        }
        let free = !self.has_cancels();
        if !free {
            self.expose();
        }
        free
    }

    /// Lets cancel requests through, those first that were kept back.
    pub fn expose(&self) {
        if self.shielded.swap(false, Ordering::SeqCst) {
            self.changed.notify_waiters();
        }
    }

    /// The first request of a client is about to be sent.
    pub fn begin(&self) {
        self.fresh.store(true, Ordering::Relaxed);
    }

    /// The client has been answered, or does not want to be any more.
    ///
    /// # Race window
    /// Either this sees a request that was announced, or whoever delivers the request sees the answer.
    pub fn answered(&self) {
        if !self.fresh.load(Ordering::Relaxed) {
            return;
        }
        self.fresh.store(false, Ordering::SeqCst);
        if self.has_cancels() {
            self.changed.notify_waiters();
        }
    }

    async fn until_not(&self, state: &AtomicBool) {
        loop {
            let changed = self.changed.notified();
            if !state.load(Ordering::SeqCst) {
                return;
            }
            changed.await;
        }
    }

    /// Waits until no cancel request is on its way.
    pub async fn cancels_over(&self) {
        loop {
            let over = self.over.notified();
            if !self.has_cancels() {
                return;
            }
            over.await;
        }
    }
}

/// A cancel request on its way. While it exists the server stays with its client.
#[derive(Debug)]
pub struct CancelGuard {
    backend: Arc<Backend>,
    delivered: bool,
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        if !self.delivered {
            self.backend.doubtful.store(true, Ordering::SeqCst);
        }
        self.backend.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.backend.over.notify_waiters();
    }
}

/// A server that is sent a query may take so long to begin with it: busy machines are slow.
const BEGINNING: Duration = Duration::from_millis(100);
/// How often a cancel request is repeated then.
const REPEATS: usize = 5;

/// Delivers a cancel request for the client that has the server, behind what [shields](Backend::shield) that.
///
/// PostgreSQL forgets a request that finds it idle, and it is idle until it has begun with a query that was sent to it.
/// So a request that comes early is repeated for as long as the client's first query is not answered.
///
/// Returns whether it was delivered.
pub async fn strike(mut guard: CancelGuard, limit: Duration) -> bool {
    let backend = Arc::clone(&guard.backend);
    if tokio::time::timeout(limit, backend.until_not(&backend.shielded)).await.is_err() {
        // Nothing was sent, so nothing can strike.
        guard.delivered = true;
        return false;
    }
    let mut delivered = guard.deliver(limit).await;
    for _ in 0..REPEATS {
        let answered = backend.until_not(&backend.fresh);
        if !delivered || tokio::time::timeout(BEGINNING, answered).await.is_ok() {
            break;
        }
        delivered = guard.deliver(limit).await;
    }
    delivered
}

/// Delivers a cancel request. PostgreSQL signals the backend before it closes the connection, so the end of the
/// stream is the proof that the request is over; without it the backend is [doubtful](Backend::is_doubtful).
///
/// Returns whether it was delivered.
pub async fn deliver_cancel(mut guard: CancelGuard, limit: Duration) -> bool {
    guard.deliver(limit).await
}

impl CancelGuard {
    async fn deliver(&mut self, limit: Duration) -> bool {
        self.delivered = false;
        self.delivered = match tokio::time::timeout(limit, attempt(&self.backend)).await {
            Ok(Attempt::Delivered) => true,
            // Nothing was sent, so nothing can strike.
            Ok(Attempt::NotSent) => {
                self.delivered = true;
                return false;
            }
            Ok(Attempt::Unknown) | Err(_) => false,
        };
        self.delivered
    }
}

/// A connection as safe as the one it is about: the key in a cancel request is a secret.
async fn reach(backend: &Backend) -> Option<Stream> {
    match &backend.tls {
        None => backend.dialler.connect(&backend.address).await.ok(),
        Some((connector, host)) => {
            let hop = hop::open(
                &backend.address,
                host,
                &backend.dialler,
                connector,
                Encryption::Required,
            )
            .await;
            hop.ok().map(|hop| hop.stream)
        }
    }
}

enum Attempt {
    Delivered,
    NotSent,
    Unknown,
}

async fn attempt(backend: &Backend) -> Attempt {
    let Some(mut stream) = reach(backend).await else { return Attempt::NotSent };
    let mut packet = Vec::new();
    startup::put_cancel(&mut packet, backend.pid, &backend.key);
    if stream.send_all(&packet).await.is_err() {
        return Attempt::Unknown;
    }
    let mut buffer = Buffer::new();
    loop {
        match stream.recv(&mut buffer).await {
            Ok(0) => return Attempt::Delivered,
            Ok(count) => buffer.consume(count),
            // A reset is PostgreSQL closing with our bytes unread, or a server that died: not known.
            Err(_) => return Attempt::Unknown,
        }
    }
}

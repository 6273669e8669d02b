//! A PostgreSQL that does what its script says.

use crate::echo;
use crate::fake_conn::{FakeConn, Startup};
use crate::message::Reader;
use crate::ports::listen;
use crate::wire::{Socket, Wire};
use bytes::Bytes;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// A CancelRequest that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelRequest {
    /// The process id it names.
    pub pid: u32,
    /// The key it brings.
    pub key: Bytes,
}

/// A scripted PostgreSQL on a port of 127.0.0.1; lives in the runtime that started it, until dropped.
///
/// Dropping it panics when a script panicked, so that no expectation in a script is lost.
#[derive(Debug)]
pub struct FakeServer {
    port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What the server and its connections know together.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    accepted: AtomicUsize,
    started: AtomicUsize,
    open: AtomicUsize,
    records: Mutex<Records>,
    pub(crate) cancelled: Notify,
}

#[derive(Debug, Default)]
struct Records {
    cancels: Vec<CancelRequest>,
    startups: Vec<Startup>,
    panics: Vec<String>,
    delay: Duration,
}

impl FakeServer {
    /// Runs `script` for each connection once its startup message has come.
    ///
    /// SSLRequest and GSSENCRequest are answered `N`; cancel requests are recorded and closed, and see no script.
    pub async fn start<F, Fut>(script: F) -> Self
    where
        F: Fn(FakeConn) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let script = Arc::new(script);
        Self::serve(move |wire, index, shared| {
            let script = Arc::clone(&script);
            async move {
                if let Some((wire, startup)) = admit(wire, &shared).await {
                    script(FakeConn::new(wire, index, startup, shared)).await;
                }
            }
        })
        .await
    }

    /// Runs `script` for each connection from its first byte on, cancel requests included.
    pub async fn start_unread<F, Fut>(script: F) -> Self
    where
        F: Fn(FakeConn) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self::serve(move |wire, index, shared| {
            script(FakeConn::new(wire, index, Startup::default(), shared))
        })
        .await
    }

    /// A server that lets everybody in and answers each query with one row: the query's own text.
    ///
    /// `pg_sleep(seconds)` in a query delays its answer, BEGIN and COMMIT move the transaction status, cancel requests
    /// end a delay with 57014, and a query with the word `fail` gets an error.
    pub async fn echo() -> Self {
        Self::start(echo::serve).await
    }

    async fn serve<F, Fut>(handle: F) -> Self
    where
        F: Fn(Wire, usize, Arc<Shared>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = listen().await;
        let port = listener.local_addr().expect("the address of a listener").port();
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, handle, Arc::clone(&shared)));
        FakeServer { port, shared, accepting }
    }

    /// The port it listens on, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// How many connections were accepted, of any kind.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many connections sent a startup message.
    pub fn connections(&self) -> usize {
        self.shared.started.load(Ordering::SeqCst)
    }

    /// How many accepted connections have a script that still runs.
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// The cancel requests so far.
    pub fn cancels(&self) -> Vec<CancelRequest> {
        self.shared.records().cancels.clone()
    }

    /// The startup messages so far.
    pub fn startups(&self) -> Vec<Startup> {
        self.shared.records().startups.clone()
    }

    /// How long the echo server waits before it answers any query, from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.records().delay = delay;
    }

    /// Ends all connections and listens no more; panics when a script panicked.
    pub async fn stop(mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.accepting.abort();
        let panics = std::mem::take(&mut self.shared.records().panics);
        if !std::thread::panicking() {
            assert!(panics.is_empty(), "scripts of the fake server panicked: {panics:?}");
        }
    }
}

impl Shared {
    pub(crate) fn delay(&self) -> Duration {
        self.records().delay
    }

    /// How many cancel requests have named this process with this key.
    pub(crate) fn cancels_of(&self, pid: u32, key: &[u8]) -> usize {
        self.records()
            .cancels
            .iter()
            .filter(|cancel| cancel.pid == pid && cancel.key == key)
            .count()
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept<F, Fut>(listener: TcpListener, handle: F, shared: Arc<Shared>)
where
    F: Fn(Wire, usize, Arc<Shared>) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    // The set ends its tasks when this task is aborted.
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            Some(ended) = tasks.join_next() => note_end(ended, &shared),
            accepted = listener.accept() => {
                let (stream, _): (TcpStream, _) = accepted.expect("accept a connection");
                let index = shared.accepted.fetch_add(1, Ordering::SeqCst);
                shared.open.fetch_add(1, Ordering::SeqCst);
                tasks.spawn(handle(Wire::new(Socket::Tcp(stream)), index, Arc::clone(&shared)));
            }
        }
    }
}

fn note_end(ended: Result<(), tokio::task::JoinError>, shared: &Shared) {
    shared.open.fetch_sub(1, Ordering::SeqCst);
    if let Err(error) = ended {
        shared.records().panics.push(error.to_string());
    }
}

/// Reads what comes before the login; `None` for a cancel request, or when the peer goes away.
async fn admit(mut wire: Wire, shared: &Shared) -> Option<(Wire, Startup)> {
    loop {
        let length = Reader::new(&wire.recv_bytes(4).await.ok()?).uint32() as usize;
        let mut packet = Reader::new(&wire.recv_bytes(length.checked_sub(4)?).await.ok()?);
        match packet.uint32() {
            SSL_REQUEST | GSS_REQUEST => wire.send(b"N").await.ok()?,
            CANCEL_REQUEST => {
                shared
                    .records()
                    .cancels
                    .push(CancelRequest { pid: packet.uint32(), key: packet.rest() });
                shared.cancelled.notify_waiters();
                return None;
            }
            version => {
                let startup = Startup::parse(version, packet);
                shared.started.fetch_add(1, Ordering::SeqCst);
                shared.records().startups.push(startup.clone());
                return Some((wire, startup));
            }
        }
    }
}

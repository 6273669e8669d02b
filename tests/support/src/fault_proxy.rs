//! A TCP proxy that breaks things on command.

use crate::fault::{Direction, Fault};
use crate::fault_pump::{Ending, Pump};
use crate::ports::listen;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A TCP proxy on a port of 127.0.0.1; lives in the runtime that started it, until dropped.
#[derive(Debug)]
pub struct FaultProxy {
    port: u16,
    shared: Arc<Shared>,
    listening: watch::Sender<bool>,
    is_listening: watch::Receiver<bool>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    faults: Mutex<Faults>,
    passed: [AtomicU64; 2],
    open: AtomicUsize,
}

#[derive(Debug, Default)]
struct Faults {
    /// For connections to come, by direction.
    standing: [Fault; 2],
    /// For the connections so far, in their order.
    links: Vec<Controls>,
}

#[derive(Debug)]
struct Controls {
    faults: [watch::Sender<Fault>; 2],
    kill: watch::Sender<Option<Ending>>,
}

impl FaultProxy {
    /// Starts a proxy in front of an address, such as `([127, 0, 0, 1], cluster.port())`.
    pub async fn start(target: impl Into<SocketAddr>) -> Self {
        let listener = listen().await;
        let port = listener.local_addr().expect("the address of a listener").port();
        let shared = Arc::new(Shared {
            target: target.into(),
            faults: Mutex::default(),
            passed: Default::default(),
            open: AtomicUsize::new(0),
        });
        let (listening, wanted) = watch::channel(true);
        let (reporting, is_listening) = watch::channel(true);
        let accepting = tokio::spawn(accept(listener, wanted, reporting, Arc::clone(&shared)));
        FaultProxy { port, shared, listening, is_listening, accepting }
    }

    /// The port it listens on, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Sets a fault on all connections, those to come included.
    pub fn set(&self, direction: Direction, fault: Fault) {
        let mut faults = self.shared.faults();
        faults.standing[direction as usize] = fault;
        for link in &faults.links {
            link.faults[direction as usize].send_replace(fault);
        }
    }

    /// Sets a fault on connections to come alone.
    pub fn set_for_new(&self, direction: Direction, fault: Fault) {
        self.shared.faults().standing[direction as usize] = fault;
    }

    /// Sets a fault on one connection, by its number from 0.
    pub fn set_on(&self, connection: usize, direction: Direction, fault: Fault) {
        self.shared.faults().links[connection].faults[direction as usize].send_replace(fault);
    }

    /// Stalls both directions of all connections, or lets them pass again.
    pub fn stall(&self, on: bool) {
        let fault = if on { Fault::Stall } else { Fault::Pass };
        self.set(Direction::ToServer, fault);
        self.set(Direction::ToClient, fault);
    }

    /// Resets all connections of the moment (RST to both ends).
    pub fn kill_all(&self) {
        self.end_all(Ending::Reset);
    }

    /// Closes all connections of the moment (FIN to both ends).
    pub fn close_all(&self) {
        self.end_all(Ending::Close);
    }

    /// Listens, or refuses connections as a server that is down; what is connected stays.
    pub async fn set_listening(&mut self, on: bool) {
        self.listening.send_replace(on);
        self.is_listening.wait_for(|now| *now == on).await.expect("the proxy runs");
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.shared.faults().links.len()
    }

    /// How many of them have not ended.
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How many bytes have passed in one direction, over all connections.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.shared.passed[direction as usize].load(Ordering::SeqCst)
    }

    fn end_all(&self, ending: Ending) {
        for link in &self.shared.faults().links {
            link.kill.send_replace(Some(ending));
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self) -> Link {
        let mut faults = self.faults();
        let [to_server, to_client] = faults.standing.map(watch::channel);
        let (kill, killed) = watch::channel(None);
        faults.links.push(Controls { faults: [to_server.0, to_client.0], kill });
        Link { to_server: to_server.1, to_client: to_client.1, killed }
    }
}

/// A connection's ends of its controls.
struct Link {
    to_server: watch::Receiver<Fault>,
    to_client: watch::Receiver<Fault>,
    killed: watch::Receiver<Option<Ending>>,
}

async fn accept(
    listener: TcpListener,
    mut wanted: watch::Receiver<bool>,
    reporting: watch::Sender<bool>,
    shared: Arc<Shared>,
) {
    let address = listener.local_addr().expect("the address of a listener");
    let mut listener = Some(listener);
    // The set ends its tasks when this task is aborted.
    let mut tasks = JoinSet::new();
    loop {
        let on = *wanted.borrow_and_update();
        if on != listener.is_some() {
            listener = if on {
                Some(TcpListener::bind(address).await.expect("listen again"))
            } else {
                None
            };
        }
        reporting.send_replace(on);
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            Some(_) = tasks.join_next() => {}
            client = next_client(listener.as_ref()) => {
                shared.open.fetch_add(1, Ordering::SeqCst);
                tasks.spawn(connect(client, shared.register(), Arc::clone(&shared)));
            }
        }
    }
}

async fn next_client(listener: Option<&TcpListener>) -> TcpStream {
    match listener {
        Some(listener) => listener.accept().await.expect("accept a connection").0,
        None => std::future::pending().await,
    }
}

async fn connect(mut client: TcpStream, link: Link, shared: Arc<Shared>) {
    if let Ok(mut server) = TcpStream::connect(shared.target).await {
        let ending = link.carry(&mut client, &mut server, &shared).await;
        finish(client, server, ending).await;
    } else {
        let _ = client.set_zero_linger();
    }
    shared.open.fetch_sub(1, Ordering::SeqCst);
}

impl Link {
    async fn carry(
        self,
        client: &mut TcpStream,
        server: &mut TcpStream,
        shared: &Shared,
    ) -> Ending {
        // Small messages of both sides shall arrive as they were sent.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let Link { to_server, to_client, mut killed } = self;
        let (from_client, into_client) = client.split();
        let (from_server, into_server) = server.split();
        let [passed_up, passed_down] = &shared.passed;
        let up = Pump { from: from_client, to: into_server, fault: to_server, passed: passed_up };
        let down =
            Pump { from: from_server, to: into_client, fault: to_client, passed: passed_down };
        tokio::select! {
            ending = both(up, down) => ending,
            Ok(ending) = killed.wait_for(Option::is_some) => (*ending).unwrap_or(Ending::Reset),
        }
    }
}

/// Runs both directions until one of them ends the connection, or both ended in order.
async fn both(up: Pump<'_>, down: Pump<'_>) -> Ending {
    let (up, down) = (up.run(), down.run());
    tokio::pin!(up, down);
    let (first, up_ended) = tokio::select! {
        ending = &mut up => (ending, true),
        ending = &mut down => (ending, false),
    };
    let ending = match first {
        Some(ending) => Some(ending),
        None if up_ended => down.await,
        None => up.await,
    };
    ending.unwrap_or(Ending::Close)
}

async fn finish(mut client: TcpStream, mut server: TcpStream, ending: Ending) {
    match ending {
        Ending::Reset => {
            let _ = (client.set_zero_linger(), server.set_zero_linger());
        }
        Ending::Close => {
            let _ = (client.shutdown().await, server.shutdown().await);
            // Closing a socket with unread bytes would send RST: read until both peers have closed too.
            tokio::join!(drain(&mut client), drain(&mut server));
        }
    }
}

async fn drain(stream: &mut TcpStream) {
    // A peer that resets has closed too.
    let _ = tokio::io::copy(stream, &mut tokio::io::sink()).await;
}

//! A thread that relays traffic, and its clients.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle, LocalOptions};
use tokio::sync::mpsc;

use super::entry::Admitted;
use super::limits::Present;
use super::manners::Manners;
use super::newcomers::Newcomers;
use super::parking::{self, Lot};
use super::replica::{self, Replica};
use super::serve;
use crate::net::{BufferPool, Deadlines, Nudges, Sends, Stream, TICK};
use crate::relay::ClientSide;
use crate::types::WorkerId;

/// Spare memory that was not needed for this long, a second, is given back.
const TICKS_PER_TRIM: u32 = 20;

/// What a worker lends to its clients' tasks.
#[derive(Debug)]
pub struct Worker {
    /// Its number.
    pub id: WorkerId,
    /// Spare memory.
    pub buffers: BufferPool,
    /// Second looks at sockets that fill.
    pub nudges: Nudges,
    /// Small sends, until the end of the turn.
    pub sends: Arc<Sends>,
    /// Timeouts.
    pub deadlines: Rc<Deadlines>,
    /// Clients without a task.
    pub(super) lot: Lot,
    /// Clients that have just come in.
    pub(super) newcomers: Newcomers,
    /// Where work goes that is not for this thread.
    pub control: Handle,
    /// Whether a line is logged for clients that go.
    pub log: LogClients,
    /// How clients are spoken to.
    pub manners: Manners,
    clients: Arc<AtomicUsize>,
}

impl Worker {
    /// A client's socket, with what its relay needs of the thread.
    pub(super) fn side<'a>(&'a self, stream: &'a mut Stream) -> ClientSide<'a> {
        ClientSide { stream, pool: &self.buffers, nudges: &self.nudges }
    }
}

/// Which lines are logged; may change while running.
#[derive(Clone, Debug, Default)]
pub struct LogClients {
    /// `log_disconnections`.
    pub disconnections: Arc<std::sync::atomic::AtomicBool>,
    /// `log_pooler_errors`.
    pub errors: Arc<std::sync::atomic::AtomicBool>,
}

/// Somebody on the way to a worker.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A client of a pool.
    Client(Box<Admitted>),
    /// A client with a server of its own.
    Replica(Box<Replica>),
}

/// The way to a worker.
#[derive(Clone, Debug)]
pub struct WorkerHandle {
    sender: mpsc::UnboundedSender<(Arrival, Present)>,
    clients: Arc<AtomicUsize>,
    runtime: Handle,
}

impl WorkerHandle {
    /// How many clients it has, those who log in included.
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Its runtime, on which nothing may run that keeps a processor busy.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// A place for one more client.
    pub(super) fn seat(&self) -> Seat {
        Seat { worker: self.clone(), present: Present::enter(&self.clients) }
    }
}

/// A client's place with a worker, from its arrival on. Dropping it gives the place back.
#[derive(Debug)]
pub struct Seat {
    /// Whose.
    pub worker: WorkerHandle,
    present: Present,
}

impl Seat {
    /// The client is admitted, and is the worker's from now on.
    pub fn take(self, client: Box<Admitted>) {
        self.send(Arrival::Client(client));
    }

    /// The same with a replication client.
    pub fn take_replica(self, client: Box<Replica>) {
        self.send(Arrival::Replica(client));
    }

    fn send(self, client: Arrival) {
        // A thread that has ended leaves the client unserved: so is the process about to.
        let _ = self.worker.sender.send((client, self.present));
    }
}

/// What a worker is made of.
#[derive(Debug)]
pub struct WorkerParts {
    /// Its number.
    pub id: WorkerId,
    /// Where work goes that is not for its thread.
    pub control: Handle,
    /// What is logged of clients.
    pub log: LogClients,
    /// How clients are spoken to.
    pub manners: Manners,
    /// How its small sends reach the kernel.
    pub sends: Sends,
}

/// Starts a worker's thread. It ends when its handles are dropped and its clients have left.
///
/// # Errors
/// The thread or its runtime cannot be made.
pub fn spawn_worker(parts: WorkerParts) -> std::io::Result<WorkerHandle> {
    let WorkerParts { id, control, log, manners, sends } = parts;
    let (sender, receiver) = mpsc::unbounded_channel();
    let clients = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&clients);
    let runtime_made = std::sync::mpsc::channel();
    std::thread::Builder::new().name(format!("worker-{}", id.0)).spawn(move || {
        let runtime =
            Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        let made = runtime.and_then(|runtime| {
            let lot = runtime.block_on(async { Lot::new() })?;
            Ok((runtime, lot))
        });
        match made {
            Ok((runtime, lot)) => {
                let _ = runtime_made.0.send(Ok(runtime.handle().clone()));
                let worker = Rc::new(Worker {
                    id,
                    buffers: BufferPool::default(),
                    nudges: Nudges::default(),
                    sends: Arc::new(sends),
                    deadlines: Rc::default(),
                    lot,
                    newcomers: Newcomers::default(),
                    control,
                    log,
                    manners,
                    clients,
                });
                runtime.block_on(work(worker, receiver));
            }
            Err(error) => drop(runtime_made.0.send(Err(error))),
        }
    })?;
    let made = runtime_made.1.recv();
    let runtime = made.unwrap_or_else(|_| Err(std::io::Error::other("worker thread died")))?;
    Ok(WorkerHandle { sender, clients: counted, runtime })
}

async fn work(worker: Rc<Worker>, mut arrivals: mpsc::UnboundedReceiver<(Arrival, Present)>) {
    let ticking = tokio::task::spawn_local(keep_time(Rc::clone(&worker)));
    let attending = tokio::task::spawn_local(parking::attend(Rc::clone(&worker)));
    let sends = Arc::clone(&worker.sends);
    let nudging = Rc::clone(&worker);
    let nudging = tokio::task::spawn_local(async move { nudging.nudges.run().await });
    let sending = tokio::task::spawn_local(async move { sends.run().await });
    while let Some((client, present)) = arrivals.recv().await {
        match client {
            Arrival::Client(client) => serve::arrive(&worker, *client, present),
            Arrival::Replica(client) => {
                let worker = Rc::clone(&worker);
                tokio::task::spawn_local(replica::serve(worker, *client, present));
            }
        }
    }
    // Clients that are still there keep the thread until they leave.
    while worker.clients.load(Ordering::Relaxed) > 0 {
        tokio::time::sleep(TICK).await;
    }
    ticking.abort();
    attending.abort();
    nudging.abort();
    sending.abort();
}

/// Looks at all timeouts at every tick, and gives spare memory back every now and then.
async fn keep_time(worker: Rc<Worker>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        for _ in 0..TICKS_PER_TRIM {
            tick.tick().await;
            worker.deadlines.tick();
            worker.lot.tick(worker.deadlines.elapsed());
        }
        worker.buffers.trim();
    }
}

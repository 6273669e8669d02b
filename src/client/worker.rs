//! A thread that relays traffic, and its clients.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle, LocalOptions};
use tokio::sync::mpsc;

use super::entry::Admitted;
use super::limits::Present;
use super::manners::Manners;
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
    sender: mpsc::UnboundedSender<Arrival>,
    clients: Arc<AtomicUsize>,
}

impl WorkerHandle {
    /// How many clients it has.
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Hands a client over.
    pub(super) fn hand_over(&self, client: Arrival) {
        self.clients.fetch_add(1, Ordering::Relaxed);
        if self.sender.send(client).is_err() {
            // The thread has ended: so is the process about to.
            self.clients.fetch_sub(1, Ordering::Relaxed);
        }
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
    let handle = WorkerHandle { sender, clients: Arc::clone(&clients) };
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
                let _ = runtime_made.0.send(Ok(()));
                let worker = Rc::new(Worker {
                    id,
                    buffers: BufferPool::default(),
                    nudges: Nudges::default(),
                    sends: Arc::new(sends),
                    deadlines: Rc::default(),
                    lot,
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
    runtime_made.1.recv().unwrap_or_else(|_| Err(std::io::Error::other("worker thread died")))?;
    Ok(handle)
}

async fn work(worker: Rc<Worker>, mut arrivals: mpsc::UnboundedReceiver<Arrival>) {
    let ticking = tokio::task::spawn_local(keep_time(Rc::clone(&worker)));
    let attending = tokio::task::spawn_local(parking::attend(Rc::clone(&worker)));
    let sends = Arc::clone(&worker.sends);
    let nudging = Rc::clone(&worker);
    let nudging = tokio::task::spawn_local(async move { nudging.nudges.run().await });
    let sending = tokio::task::spawn_local(async move { sends.run().await });
    while let Some(client) = arrivals.recv().await {
        let present = Present::counted(&worker.clients);
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

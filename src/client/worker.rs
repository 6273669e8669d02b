//! A thread that relays traffic, and its clients.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Handle, LocalOptions};
use tokio::sync::{Notify, mpsc};

use super::entry::Visit;
use super::limits::Present;
use super::manners::Manners;
use super::newcomers::Newcomers;
use super::parking::{self, Lot};
use super::roster::Load;
use super::tasks;
use super::transfer::{Departures, Mover, Transfer};
use crate::net::{BufferPool, Deadlines, Nudges, Sends, Stream, TICK, Ticker};
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
    /// Clients that are to go to other workers.
    pub(super) departures: Departures,
    facts: Arc<Facts>,
    /// Nobody is here, and the clock stands still.
    asleep: Cell<bool>,
    /// Somebody has come after nobody was there.
    awake: Notify,
}

/// What others may know of a worker.
#[derive(Debug, Default)]
struct Facts {
    clients: Arc<AtomicUsize>,
    /// How long its thread was running in the last second, in thousandths.
    busy: AtomicU32,
    /// How many clients had a task at its end.
    tasks: AtomicUsize,
}

impl Worker {
    /// A client's socket, with what its relay needs of the thread.
    pub(super) fn side<'a>(&'a self, stream: &'a mut Stream) -> ClientSide<'a> {
        ClientSide { stream, pool: &self.buffers, nudges: &self.nudges }
    }

    /// Nobody is here, not even on the way.
    fn is_empty(&self) -> bool {
        self.facts.clients.load(Ordering::Relaxed) == 0
    }

    /// Somebody comes.
    fn wake(&self) {
        if self.asleep.replace(false) {
            self.deadlines.tick();
            self.awake.notify_one();
        }
    }

    fn report(&self, busy: u32) {
        self.facts.busy.store(busy, Ordering::Relaxed);
        self.facts.tasks.store(self.deadlines.len(), Ordering::Relaxed);
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

/// A letter to a worker.
enum Letter {
    /// Somebody comes.
    Visit(Visit, Present),
    /// A client of another worker comes.
    Mover(Box<Mover>, Present),
    /// Some are to go, or nobody any more.
    Transfer(Option<Transfer>),
}

/// The way to a worker.
#[derive(Clone, Debug)]
pub struct WorkerHandle {
    sender: mpsc::UnboundedSender<Letter>,
    facts: Arc<Facts>,
    runtime: Handle,
}

impl WorkerHandle {
    /// How many clients it has, those who log in included.
    pub fn clients(&self) -> usize {
        self.facts.clients.load(Ordering::Relaxed)
    }

    /// Its runtime, on which nothing may run that keeps a processor busy.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// A place for one more client.
    pub(super) fn seat(&self) -> Seat {
        Seat { worker: self.clone(), present: Present::enter(&self.facts.clients) }
    }

    /// What it has been doing.
    pub(super) fn load(&self) -> Load {
        let busy = f64::from(self.facts.busy.load(Ordering::Relaxed)) / 1000.0;
        Load { busy, clients: self.facts.tasks.load(Ordering::Relaxed) }
    }

    /// Clients are to go elsewhere; `None`: all may stay.
    pub(super) fn transfer(&self, transfer: Option<Transfer>) {
        // A thread that has ended has no clients.
        let _ = self.sender.send(Letter::Transfer(transfer));
    }
}

/// A client's place with a worker, from its arrival on. Dropping it gives the place back.
#[derive(Debug)]
pub struct Seat {
    worker: WorkerHandle,
    present: Present,
}

impl Seat {
    /// Somebody comes. Who stays is the worker's from now on.
    pub fn receive(self, visit: Visit) {
        // A thread that has ended leaves the client unserved: so is the process about to.
        let _ = self.worker.sender.send(Letter::Visit(visit, self.present));
    }

    /// The same with a client of another worker.
    pub(super) fn take_mover(self, client: Mover) {
        let _ = self.worker.sender.send(Letter::Mover(Box::new(client), self.present));
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
    let facts = Arc::<Facts>::default();
    let own = Arc::clone(&facts);
    let sends = Arc::new(sends);
    let runtime_made = std::sync::mpsc::channel();
    std::thread::Builder::new().name(format!("worker-{}", id.0)).spawn(move || {
        let ended = Arc::clone(&sends);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || ended.end_turn())
            .build_local(LocalOptions::default());
        let made = runtime.and_then(|runtime| {
            let (lot, ticker) = runtime.block_on(async { (Lot::new(), Ticker::new()) });
            Ok((runtime, lot?, ticker?))
        });
        match made {
            Ok((runtime, lot, ticker)) => {
                let _ = runtime_made.0.send(Ok(runtime.handle().clone()));
                let worker = Rc::new(Worker {
                    id,
                    buffers: BufferPool::default(),
                    nudges: Nudges::default(),
                    sends,
                    deadlines: Rc::default(),
                    lot,
                    newcomers: Newcomers::default(),
                    control,
                    log,
                    manners,
                    departures: Departures::default(),
                    facts: own,
                    asleep: Cell::new(false),
                    awake: Notify::new(),
                });
                // A task of its own: where the runtime's first future is woken, the runtime asks the kernel for news
                // before it polls it.
                let working =
                    async { tokio::task::spawn_local(work(worker, ticker, receiver)).await };
                if let Err(ended) = runtime.block_on(working)
                    && let Ok(panic) = ended.try_into_panic()
                {
                    std::panic::resume_unwind(panic);
                }
            }
            Err(error) => drop(runtime_made.0.send(Err(error))),
        }
    })?;
    let made = runtime_made.1.recv();
    let runtime = made.unwrap_or_else(|_| Err(std::io::Error::other("worker thread died")))?;
    Ok(WorkerHandle { sender, facts, runtime })
}

async fn work(worker: Rc<Worker>, ticker: Ticker, mut letters: mpsc::UnboundedReceiver<Letter>) {
    let ticking = tokio::task::spawn_local(keep_time(Rc::clone(&worker), ticker));
    let attending = tokio::task::spawn_local(parking::attend(Rc::clone(&worker)));
    let nudging = Rc::clone(&worker);
    let nudging = tokio::task::spawn_local(async move { nudging.nudges.run().await });
    while let Some(letter) = letters.recv().await {
        match letter {
            Letter::Visit(visit, present) => {
                worker.wake();
                tokio::task::spawn_local(tasks::come_in(Rc::clone(&worker), visit, present));
            }
            Letter::Mover(client, present) => {
                worker.wake();
                tasks::move_in(&worker, *client, present);
            }
            Letter::Transfer(transfer) => worker.departures.call(transfer),
        }
    }
    // Clients that are still there keep the thread until they leave.
    while !worker.is_empty() {
        tokio::time::sleep(TICK).await;
    }
    ticking.abort();
    attending.abort();
    nudging.abort();
}

/// Looks at all timeouts at every tick, and gives spare memory back every now and then. Stands still while nobody is
/// here.
async fn keep_time(worker: Rc<Worker>, ticker: Ticker) {
    if let Err(error) = keep_ticking(&worker, &ticker).await {
        tracing::error!(%error, worker = worker.id.0, "the clock has stopped: timeouts will not come");
    }
}

async fn keep_ticking(worker: &Worker, ticker: &Ticker) -> std::io::Result<()> {
    let mut meter = Meter::start();
    ticker.start()?;
    loop {
        for _ in 0..TICKS_PER_TRIM {
            ticker.tick().await?;
            worker.deadlines.tick();
            worker.lot.tick(worker.deadlines.elapsed());
        }
        worker.buffers.trim();
        worker.report(meter.busy());
        if worker.is_empty() {
            ticker.stop()?;
            worker.asleep.set(true);
            worker.awake.notified().await;
            ticker.start()?;
            meter = Meter::start();
        }
    }
}

/// How much of the time the current thread is running.
struct Meter {
    since: Instant,
    ran: Duration,
}

impl Meter {
    fn start() -> Self {
        Meter { since: Instant::now(), ran: thread_time() }
    }

    /// Since the last time, in thousandths.
    fn busy(&mut self) -> u32 {
        let before = std::mem::replace(self, Meter::start());
        let ran = self.ran.saturating_sub(before.ran).as_micros();
        let time = self.since.saturating_duration_since(before.since).as_micros();
        u32::try_from(ran * 1000 / time.max(1)).unwrap_or(u32::MAX)
    }
}

fn thread_time() -> Duration {
    // The clock of one's own thread is always there.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

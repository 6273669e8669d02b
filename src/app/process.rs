//! The running process: what was built at the start, and what holds it together.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::admin::{Averages, Consoles};
use crate::advise::Adviser;
use crate::backstage::Backstage;
use crate::client::{
    Crew, Desks, Gate, GateParts, Identities, Kept, LogClients, Manners, WorkerParts, spawn_worker,
};
use crate::config::{Config, Loaded, Origin, SendEngine};
use crate::net::{Dialler, Sends};
use crate::pool::{Connects, Exchanges, Patience, Pools, PoolsContext, Siblings};
use crate::stats::{Buckets, ErrorBook, Records, ReloadFacts, Tape};
use crate::telemetry::LogControl;
use crate::tls::{Keyring, Keys};
use crate::types::WorkerId;

/// How long consoles and the HTTP port may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// How the process is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    /// It goes on.
    #[default]
    None,
    /// When the last client has left; there is no TCP any more, and nobody new but on the console.
    Clients,
    /// Transactions finish first.
    Drain,
    /// At once.
    Now,
    /// At once, and without a word.
    Silent,
}

/// Everything that lives as long as the process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) path: PathBuf,
    pub(super) gate: Arc<Gate>,
    /// What TLS is begun with, on both sides.
    pub(super) keyring: Arc<Keyring>,
    pub(super) log: LogControl,
    pub(super) log_clients: LogClients,
    pub(super) ending: watch::Sender<Ending>,
    /// Files whose change is a reason to reload.
    pub(super) files: RwLock<Vec<PathBuf>>,
    /// One reload or SET at a time.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// What SET starts from.
    pub(super) origin: RwLock<Arc<Origin>>,
    /// How the last one went.
    pub(super) last_reload: Mutex<ReloadFacts>,
    /// The sockets that listen, as [`Listener::facts`](crate::net::Listener::facts) tells of them.
    pub(super) listeners: Mutex<Vec<(i32, Option<SocketAddr>)>>,
    /// Who is at the console.
    pub(super) consoles: Arc<Consoles>,
    /// The averages of SHOW STATS.
    pub(super) averages: Averages,
    /// Where pages of metrics are made.
    pub(super) backstage: Backstage,
    /// What is known of pools' sizes.
    pub(super) adviser: Arc<Adviser>,
    /// True when consoles and the HTTP port have to close, too.
    leaving: watch::Sender<bool>,
}

impl Process {
    /// Whether other processes may have the same doors: when this one waits for its clients, whoever comes is theirs.
    pub(super) fn hands_over(&self) -> bool {
        self.gate.config().process.so_reuseport
    }

    pub(super) fn build(
        path: PathBuf,
        loaded: Loaded,
        log: LogControl,
        control: Handle,
    ) -> Result<Self, String> {
        let config = Arc::new(loaded.config);
        let kept = Kept::new().map_err(|error| error.to_string())?;
        let identities = Identities::load(&config, &kept)?;
        let log_clients = LogClients::default();
        let keys = Keys::load(&config).map_err(|error| error.to_string())?;
        let keyring = Arc::new(Keyring::new(keys));
        let crew = muster(&config, &control, &log_clients)?;
        let desks = Desks::open(config.process.login_threads.unwrap_or_else(auto_desks));
        let desks = desks.map_err(|error| format!("cannot start login threads: {error}"))?;
        let backstage = Backstage::open("backstage".to_owned());
        let backstage = backstage.map_err(|error| format!("cannot start threads: {error}"))?;
        let buckets = buckets(&config);
        let pools = Pools::new(PoolsContext {
            control,
            param_sets: Arc::default(),
            siblings: Siblings::default(),
            exchanges: Exchanges::default(),
            keyring: Arc::clone(&keyring),
            dialler: Arc::new(Dialler::new(&config.process)),
            records: Arc::<Records>::default(),
            connects: Connects::new(&buckets),
            errors: ErrorBook::default(),
            buckets: buckets.clone(),
            workers: crew.len(),
            tape: Tape::new(crew.len()),
            cancel_wait_timeout: RwLock::new(config.process.cancel_wait_timeout),
            patience: RwLock::default(),
        });
        let process = Process {
            path,
            keyring,
            gate: Gate::new(GateParts {
                pools,
                crew,
                desks,
                config: Arc::clone(&config),
                identities: Arc::new(identities),
                buckets,
            }),
            log,
            log_clients,
            ending: watch::Sender::new(Ending::None),
            files: RwLock::new(loaded.files),
            changing: tokio::sync::Mutex::new(()),
            origin: RwLock::new(Arc::new(loaded.origin)),
            last_reload: Mutex::new(ReloadFacts {
                is_current: true,
                succeeded_at: Some(SystemTime::now()),
            }),
            listeners: Mutex::default(),
            consoles: Arc::default(),
            averages: Averages::new(Instant::now()),
            backstage,
            adviser: Arc::default(),
            leaving: watch::Sender::new(false),
        };
        process.apply_process_settings(&config);
        Ok(process)
    }

    /// Settings that take effect by being looked at.
    pub(super) fn apply_process_settings(&self, config: &Config) {
        self.log_clients.errors.store(config.process.log_pooler_errors, Ordering::Relaxed);
        self.log_clients.disconnections.store(config.process.log_disconnections, Ordering::Relaxed);
        let context = &self.gate.pools.context;
        *context.cancel_wait_timeout.write() = config.process.cancel_wait_timeout;
        context.dialler.configure(&config.process);
        if let Some(otlp) = &config.otlp {
            context.records.tracer.set_ratio(otlp.sample_ratio);
        }
        *context.patience.write() = Patience {
            any: config.process.pool_idle_timeout,
            auto: config.process.autodb_idle_timeout,
        };
        if let Err(error) = self.log.set_level(&config.process.log_level) {
            tracing::warn!(%error, "log level not changed");
        }
        if let Err(error) = self.log.set_syslog(&config.process) {
            tracing::warn!(%error, "syslog cannot be reached");
        }
    }

    /// Ends the process; a more urgent ending overrides.
    pub(super) fn end(&self, ending: Ending) {
        self.ending.send_if_modified(|now| {
            let more = ending > *now;
            *now = (*now).max(ending);
            more
        });
    }

    /// Waits until the process is to end at least this way.
    pub(super) async fn ended(&self, ending: Ending) {
        let mut watched = self.ending.subscribe();
        // The sender lives as long as `self`.
        let _ = watched.wait_for(|now| *now >= ending).await;
    }

    /// Comes back when consoles and the HTTP port have to close.
    pub(super) async fn farewell(&self) {
        let mut watched = self.leaving.subscribe();
        let _ = watched.wait_for(|leaving| *leaving).await;
    }

    /// Closes consoles and the HTTP port; waits until they had time to say goodbye.
    pub(super) async fn close_consoles(&self) {
        self.leaving.send_replace(true);
        let _ = tokio::time::timeout(GOODBYE, self.leaving.closed()).await;
    }

    /// Held by everybody whose goodbye is waited for.
    pub(super) fn presence(&self) -> watch::Receiver<bool> {
        self.leaving.subscribe()
    }
}

/// Starts the workers.
fn muster(config: &Config, control: &Handle, log: &LogClients) -> Result<Arc<Crew>, String> {
    let worker = |(number, sends)| {
        let parts = WorkerParts {
            id: WorkerId(number),
            control: control.clone(),
            log: log.clone(),
            manners: Manners::new(&config.process),
            sends,
        };
        spawn_worker(parts).map_err(|error| format!("cannot start worker threads: {error}"))
    };
    let count = config.process.worker_threads;
    let sends = sends(config.process.send_engine, count.unwrap_or_else(most_workers))?;
    let workers = (0..).zip(sends).map(worker).collect::<Result<_, _>>()?;
    Ok(match count {
        Some(_) => Crew::fixed(workers),
        None => Crew::by_need(workers, f64::from(config.process.worker_full) / 100.0, control),
    })
}

/// What each of the workers sends with.
fn sends(asked: SendEngine, workers: u16) -> Result<Vec<Sends>, String> {
    let sends = (0..workers).map(|_| Sends::new(asked)).collect::<io::Result<Vec<_>>>();
    let sends = sends.map_err(|error| {
        format!("send_engine = \"io_uring\": the kernel refuses it: {error}; \"auto\" does without")
    })?;
    if asked == SendEngine::Auto {
        let with_io_uring = sends.iter().filter(|one| one.kind() == SendEngine::IoUring).count();
        tracing::info!(workers, with_io_uring, "send engine");
    }
    Ok(sends)
}

/// As many as there are processors, at most 16; those that are not needed are not in service.
fn most_workers() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u16::try_from(cores.clamp(1, 16)).unwrap_or(1)
}

/// A quarter of the cores, at most 8: each makes some thousand TLS handshakes a second.
fn auto_desks() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u16::try_from((cores / 4).clamp(1, 8)).unwrap_or(1)
}

fn buckets(config: &Config) -> Buckets {
    match &config.http {
        Some(http) => Buckets::new(&http.queue_buckets),
        None => Buckets::new(&crate::config::Http::default().queue_buckets),
    }
}

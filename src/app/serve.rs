//! The switchyard: every visitor goes where it wants to go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::launch::Claim;
use super::process::{Ending, Process};
use super::signals::Signals;
use super::{certificates, drain, host, memory, reload, systemd};
use crate::authority;
use crate::cancel::{Outcome, Peers};
use crate::client::{Entry, Incoming, Late, Resident, Visit, Wish, log_in, receive};
use crate::config::Compat;
use crate::net::{Arrival, Doors, Line, Listener};
use crate::pool;
use crate::stats::{ClientRecord, ClientState, Ends, EnteredCancel};
use crate::types::Name;

/// Visitors that have not said what they want. More are turned away unheard.
const MAX_UNHEARD: usize = 8_192;

/// So many are let in before those who are in have their turn: however many come at once, a query waits for few of them.
const AT_ONCE: usize = 8;

/// Serves until the process is to end, then sees clients off.
pub(super) async fn serve(process: Arc<Process>, claim: Claim) -> Result<(), String> {
    let config = process.gate.config();
    let group = config.process.unix_socket_group.as_deref().map(authority::group_id).transpose();
    let group = group.map_err(|error| format!("unix_socket_group: {error}"))?;
    // Whoever finds the doors open may send signals, change files and ask for pages.
    let signals = Signals::catch()?;
    let http = host::open(&process).await?;
    let watching = reload::watch_files(Arc::clone(&process));
    let tuning = Arc::clone(&process.gate.pools.context.dialler.tuning);
    let (settings, inherited) = (Arc::clone(&config), systemd::sockets()?);
    let gate = Arc::clone(&process.gate);
    let reception = gate.crew.reception().ok_or("there are no workers")?;
    // They belong to the runtime they are made in.
    let replaces = claim.succeeds();
    let opening = async move {
        let doors = Doors { process: &settings.process, unix_group: group, tuning, replaces };
        doors.open(inherited).await
    };
    let listeners = reception.spawn(opening).await;
    let listeners = listeners.map_err(|error| error.to_string())??;
    *process.listeners.lock() = listeners.iter().map(Listener::facts).collect();
    tokio::spawn(signals.obey(Arc::clone(&process)));
    tokio::spawn(pool::keep(Arc::clone(&process.gate.pools)));
    tokio::spawn(watching);
    tokio::spawn(certificates::keep(Arc::clone(&process)));
    tokio::spawn(memory::keep());
    host::start(&process)?;
    if let Some(http) = http {
        host::show(&process, http);
    }
    let unheard = Arc::new(AtomicUsize::new(0));
    let (inside, mut nobody_inside) = mpsc::channel(1);
    let mut doors = JoinSet::new();
    for listener in listeners {
        tracing::info!(address = %listener, "listening");
        let inside = (!listener.is_unix()).then(|| inside.clone());
        let door = Door { listener, unheard: Arc::clone(&unheard), inside };
        doors.spawn_on(door.stand_open(Arc::clone(&process)), reception);
    }
    let _pidfile = claim.settle()?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "pgusher is ready");
    systemd::ready();
    drop(inside);
    process.open_minimal_pools();
    process.ended(Ending::Clients).await;
    systemd::stopping();
    if process.hands_over() {
        tokio::select! {
            _ = nobody_inside.recv() => {}
            () = process.ended(Ending::Drain) => {}
        }
    }
    drain::await_clients(&process).await;
    // Each removes its socket before the process may be gone.
    doors.join_all().await;
    drain::drain(&process).await;
    process.close_consoles().await;
    Ok(())
}

/// Held by every door of TCP while it is open, and by everybody who came in by it and has not logged in.
type Inside = mpsc::Sender<std::convert::Infallible>;

/// Where visitors come in.
struct Door {
    listener: Listener,
    unheard: Arc<AtomicUsize>,
    inside: Option<Inside>,
}

impl Door {
    /// The next visitor; nobody comes in while the doors are shut.
    async fn next(&self, shut: &mut watch::Receiver<bool>) -> Arrival {
        loop {
            // The sender lives as long as the process.
            let _ = shut.wait_for(|is_shut| !*is_shut).await;
            tokio::select! {
                biased;
                _ = shut.wait_for(|is_shut| *is_shut) => {}
                arrival = self.listener.accept() => return arrival,
            }
        }
    }

    /// Accepts until the process is to end; then the door closes. Where PgBouncer's rules bind, and where another process
    /// has the same door, only that of the unix socket stays open, for the console, while the last clients are waited for.
    async fn stand_open(self, process: Arc<Process>) {
        let is_drop_in = process.gate.config().process.compat == Compat::PgBouncer;
        let closes_early = (is_drop_in || process.hands_over()) && !self.listener.is_unix();
        let last_call = if closes_early { Ending::Clients } else { Ending::Drain };
        let mut ended = std::pin::pin!(process.ended(last_call));
        let mut shut = process.gate.pools.context.records.watch_doors();
        for accepted in 1_usize.. {
            let arrival = tokio::select! {
                arrival = self.next(&mut shut) => arrival,
                () = &mut ended => break,
            };
            self.let_in(&process, arrival);
            if accepted.is_multiple_of(AT_ONCE) {
                tokio::task::yield_now().await;
            }
        }
        if process.hands_over() {
            // The kernel would reset whoever it has given to this door.
            while let Some(arrival) = self.listener.accept_waiting() {
                self.let_in(&process, arrival);
            }
        }
    }

    fn let_in(&self, process: &Arc<Process>, arrival: Arrival) {
        if self.unheard.load(Ordering::Relaxed) >= MAX_UNHEARD {
            return;
        }
        let unheard = Unheard::count(&self.unheard);
        seat(process, arrival, (unheard, self.inside.clone()));
    }
}

/// A visitor that has not said what it wants.
struct Unheard(Arc<AtomicUsize>);

impl Unheard {
    fn count(all: &Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, Ordering::Relaxed);
        Unheard(Arc::clone(all))
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a visitor that did not come in by a door, where clients are served.
pub(super) fn receive_one(process: &Arc<Process>, arrival: Arrival) {
    seat(process, arrival, (Unheard::count(&Arc::default()), None));
}

fn seat(process: &Arc<Process>, arrival: Arrival, counted: (Unheard, Option<Inside>)) {
    let Some(seat) = process.gate.crew.seat() else { return };
    let limit = process.gate.config().process.client_login_timeout;
    let late = Late::default();
    let hearing = Box::pin(visit(Arc::clone(process), arrival, counted, late.clone()));
    seat.receive(Visit { hearing, limit, late });
}

/// Hears a visitor out. Gives the client that stays where it was heard.
async fn visit(
    process: Arc<Process>,
    arrival: Arrival,
    (unheard, _inside): (Unheard, Option<Inside>),
    late: Late,
) -> Option<Resident> {
    let since = Instant::now();
    let mut incoming = Incoming::new(arrival);
    let wish = receive(&process.gate, &mut incoming, &process.keyring, &late).await;
    drop(unheard);
    // `None`: gone, sent away, or silent for too long.
    match wish? {
        Wish::Session(startup) => {
            match log_in(&process.gate, &mut incoming, startup, (since, &late)).await? {
                Entry::Resident(client) => return Some(client),
                Entry::Console(console) => host::receive_console(process, console),
            }
        }
        Wish::Cancel { pid, key } => {
            let control = process.gate.pools.context.control.clone();
            control.spawn(cancel(process, incoming, pid, key));
        }
    }
    None
}

/// Puts a request on record if it is about a client that is: it stands among the clients of the same database and user.
fn enter_cancel(process: &Process, pid: u32, key: &[u8], line: &Line) -> Option<EnteredCancel> {
    let records = &process.gate.pools.context.records;
    let client = records.client(process.gate.cancel_keys.owner(pid, key)?)?;
    let request = ClientRecord::new(
        records.ids.next(),
        Name::clone(&client.database),
        Name::clone(&client.user),
        Name::default(),
        Ends::of(line.socket().ok()?),
        None,
        client.method,
    );
    request.enter(ClientState::Active, client.link());
    Some(records.enter_cancel(request))
}

/// Has a query cancelled, here or by the peer whose client's it is; it may take a connection to its server, with TLS.
/// The connection that asked for it stays open until that is over, as PostgreSQL's does.
async fn cancel(process: Arc<Process>, incoming: Incoming, pid: u32, key: Vec<u8>) {
    let Incoming { peer, line, .. } = incoming;
    let gate = &process.gate;
    let (config, context) = (gate.config(), &gate.pools.context);
    let (begun, limit) = (Instant::now(), context.cancel_wait());
    let outcome = if Peers::is_foreign(&config, pid) {
        let forwarded = gate.peers.forward(&config, &context.dialler, (pid, key), limit).await;
        let outcome = if forwarded.is_ok() { Outcome::Peer } else { Outcome::Failed };
        gate.cancel_keys.note(outcome);
        let error = forwarded.err();
        tracing::debug!(%peer, pid, error, "cancel request of a peer's client");
        outcome
    } else {
        let _entry = enter_cancel(&process, pid, &key, &line);
        let outcome = gate.cancel_keys.cancel(pid, &key, peer.ip(), limit).await;
        tracing::debug!(%peer, pid, outcome = outcome.as_str(), "cancel request");
        outcome
    };
    if outcome == Outcome::Failed && begun.elapsed() >= limit {
        let (client, age_seconds) = (context.records.ids.next(), limit.as_secs());
        tracing::info!(client, %peer, age_seconds, "cancel request given up");
    }
    line.close();
}

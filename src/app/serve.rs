//! The switchyard: every visitor goes where it wants to go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use socket2::Socket;
use tokio::task::JoinSet;

use super::process::{Ending, Process};
use super::{certificates, drain, host, reload, signals, systemd};
use crate::authority;
use crate::cancel::Peers;
use crate::client::{Entry, Incoming, Visitor, log_in, receive};
use crate::config::Compat;
use crate::net::{Doors, Listener, Peer, Stream};
use crate::pool;

/// Visitors that have not said what they want. More are turned away unheard.
const MAX_UNHEARD: usize = 8_192;

/// Serves until the process is to end, then sees clients off.
pub(super) async fn serve(process: Arc<Process>) -> Result<(), String> {
    let config = process.gate.config();
    let group = config.process.unix_socket_group.as_deref().map(authority::group_id).transpose();
    let group = group.map_err(|error| format!("unix_socket_group: {error}"))?;
    let tuning = Arc::clone(&process.gate.pools.context.dialler.tuning);
    let doors = Doors { process: &config.process, unix_group: group, tuning };
    let listeners = doors.open(systemd::sockets()?).await?;
    *process.listeners.lock() = listeners.iter().map(Listener::facts).collect();
    signals::listen(&process)?;
    tokio::spawn(pool::keep(Arc::clone(&process.gate.pools)));
    tokio::spawn(reload::watch_files(Arc::clone(&process)));
    tokio::spawn(certificates::keep(Arc::clone(&process)));
    host::start(&process).await?;
    let unheard = Arc::new(AtomicUsize::new(0));
    let mut doors = JoinSet::new();
    for listener in listeners {
        tracing::info!(address = %listener, "listening");
        doors.spawn(accept(Arc::clone(&process), listener, Arc::clone(&unheard)));
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "pgusher is ready");
    systemd::ready();
    process.open_minimal_pools();
    process.ended(Ending::Clients).await;
    systemd::stopping();
    drain::await_clients(&process).await;
    // Each removes its socket before the process may be gone.
    doors.join_all().await;
    drain::drain(&process).await;
    process.close_consoles().await;
    Ok(())
}

/// Accepts until the process is to end; then the door closes. Behind a unix socket the console stays open for longer.
async fn accept(process: Arc<Process>, listener: Listener, unheard: Arc<AtomicUsize>) {
    let is_drop_in = process.gate.config().process.compat == Compat::PgBouncer;
    let closes_early = is_drop_in && !listener.is_unix();
    let last_call = if closes_early { Ending::Clients } else { Ending::Drain };
    loop {
        let (socket, peer) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = process.ended(last_call) => return,
        };
        if unheard.load(Ordering::Relaxed) < MAX_UNHEARD {
            unheard.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(visit(Arc::clone(&process), socket, peer, Unheard(Arc::clone(&unheard))));
        }
    }
}

/// A visitor that has not said what it wants.
struct Unheard(Arc<AtomicUsize>);

impl Drop for Unheard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a single visitor.
pub(super) async fn serve_one(process: Arc<Process>, socket: Socket, peer: Peer) {
    let unheard = Unheard(Arc::new(AtomicUsize::new(1)));
    visit(process, socket, peer, unheard).await;
}

async fn visit(process: Arc<Process>, socket: Socket, peer: Peer, unheard: Unheard) {
    let since = Instant::now();
    let Ok(stream) = Stream::new(socket) else { return };
    let limit = process.gate.config().process.client_login_timeout.unwrap_or(Duration::MAX);
    let heard =
        tokio::time::timeout(limit, receive(Incoming::new(stream, peer), &process.keyring)).await;
    drop(unheard);
    match heard {
        Ok(Some(Visitor::Client(incoming, startup))) => {
            match log_in(&process.gate, incoming, startup, since).await {
                Some(Entry::Client(client)) => process.gate.hand_over(client),
                Some(Entry::Replica(client)) => process.gate.hand_over_replica(client),
                Some(Entry::Console(console)) => host::serve_console(process, console).await,
                None => {}
            }
        }
        Ok(Some(Visitor::Cancel { peer, pid, key, mut stream })) => {
            cancel(&process, &peer, pid, key).await;
            stream.end_sending();
        }
        // Gone, sent away, or silent for too long.
        Ok(None) | Err(_) => {}
    }
}

async fn cancel(process: &Process, peer: &Peer, pid: u32, key: Vec<u8>) {
    let gate = &process.gate;
    let (config, context) = (gate.config(), &gate.pools.context);
    let limit = context.cancel_wait();
    if Peers::is_foreign(&config, pid) {
        let forwarded = gate.peers.forward(&config, &context.dialler, (pid, key), limit).await;
        let error = forwarded.err();
        tracing::debug!(%peer, pid, error, "cancel request of a peer's client");
        return;
    }
    let outcome = gate.cancel_keys.cancel(pid, &key, peer.ip(), limit).await;
    tracing::debug!(%peer, pid, outcome = outcome.as_str(), "cancel request");
}

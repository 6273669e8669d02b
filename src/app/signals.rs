//! Signals: HUP reloads, TERM and INT drain, the second one ends at once.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::process::{Ending, Process};
use super::reload;

/// Listens from now on.
pub(super) fn listen(process: &Arc<Process>) -> Result<(), String> {
    let open = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
    let mut hangup = open(SignalKind::hangup())?;
    let mut terminate = open(SignalKind::terminate())?;
    let mut interrupt = open(SignalKind::interrupt())?;
    let process = Arc::clone(process);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = hangup.recv() => {
                    tracing::info!(signal = "SIGHUP", "asked to reload");
                    reload::reload_and_log(&process).await;
                }
                _ = terminate.recv() => end(&process, "SIGTERM"),
                _ = interrupt.recv() => end(&process, "SIGINT"),
            }
        }
    });
    Ok(())
}

fn end(process: &Process, signal: &str) {
    let again = *process.ending.borrow() != Ending::None;
    tracing::info!(signal, again, "asked to stop");
    process.end(if again { Ending::Now } else { Ending::Drain });
}

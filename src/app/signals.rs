//! Signals: HUP reloads, TERM, INT and QUIT end the process in PgBouncer's three ways, USR1 pauses, USR2 resumes.
//!
//! Without `compat` TERM and INT are the same: transactions finish, within `drain_timeout`.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::process::{Ending, Process};
use super::reload;
use crate::config::Compat;

/// Every signal that is listened to.
pub(super) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    pause: Signal,
    resume: Signal,
}

impl Signals {
    /// From now on no signal ends the process by itself: those that come before [`Signals::obey`] are heeded then.
    pub(super) fn catch() -> Result<Self, String> {
        let open =
            |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
        Ok(Signals {
            hangup: open(SignalKind::hangup())?,
            terminate: open(SignalKind::terminate())?,
            interrupt: open(SignalKind::interrupt())?,
            quit: open(SignalKind::quit())?,
            pause: open(SignalKind::user_defined1())?,
            resume: open(SignalKind::user_defined2())?,
        })
    }

    /// Does what each asks for, for ever.
    pub(super) async fn obey(mut self, process: Arc<Process>) {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {
                    tracing::info!(signal = "SIGHUP", "asked to reload");
                    reload::reload_and_log(&process).await;
                }
                _ = self.terminate.recv() => end(&process, "SIGTERM", Ending::Clients),
                _ = self.interrupt.recv() => end(&process, "SIGINT", Ending::Drain),
                _ = self.quit.recv() => end(&process, "SIGQUIT", Ending::Silent),
                _ = self.pause.recv() => pause(&process, true),
                _ = self.resume.recv() => pause(&process, false),
            }
        }
    }
}

fn end(process: &Process, signal: &str, how: Ending) {
    let is_compatible = process.gate.config().process.compat == Compat::PgBouncer;
    let again = *process.ending.borrow() != Ending::None;
    let how = match (how, again, is_compatible) {
        (Ending::Silent, ..) | (_, true, true) => Ending::Silent,
        (_, true, false) => Ending::Now,
        (how, false, true) => how,
        (_, false, false) => Ending::Drain,
    };
    tracing::info!(signal, again, ?how, "asked to stop");
    process.end(how);
}

fn pause(process: &Process, is_pause: bool) {
    let signal = if is_pause { "SIGUSR1" } else { "SIGUSR2" };
    if *process.ending.borrow() != Ending::None {
        tracing::warn!(signal, "signal ignored while shutting down");
    } else if is_pause {
        tracing::info!(signal, "asked to pause");
        process.gate.pools.pause(None);
    } else {
        tracing::info!(signal, "asked to resume");
        process.gate.pools.resume(None);
    }
}

//! systemd: what it is told, and the sockets it hands over. Without systemd nothing of this happens.

use std::io;
use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use nix::libc;
use sd_notify::NotifyState;

/// The sockets that were opened for this process, if any (`LISTEN_FDS`).
///
/// # Errors
/// One of them is none that clients could come in by.
pub(super) fn sockets() -> Result<Vec<OwnedFd>, String> {
    let mut handed_over = ListenFd::from_env();
    (0..handed_over.len()).map(|at| take(&mut handed_over, at)).collect()
}

fn take(from: &mut ListenFd, at: usize) -> Result<OwnedFd, String> {
    let families = [libc::AF_INET, libc::AF_INET6, libc::AF_UNIX];
    let taken = families.into_iter().find_map(|family| {
        from.take_custom::<OwnedFd>(at, family, libc::SOCK_STREAM, "stream socket").ok().flatten()
    });
    taken.ok_or_else(|| format!("socket {at} of systemd is not one that can be listened on"))
}

/// Clients are served.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A reload has begun; [`ready`] ends it.
pub(super) fn reloading() {
    let now = NotifyState::monotonic_usec_now();
    tell(&[NotifyState::Reloading].into_iter().chain(now.ok()).collect::<Vec<_>>());
}

/// The process is about to end.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    let told: io::Result<()> = sd_notify::notify(states);
    if let Err(error) = told {
        tracing::warn!(%error, "systemd was not told");
    }
}

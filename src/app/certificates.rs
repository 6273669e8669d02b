//! Looks after certificates: new files come into force by themselves, and nobody is surprised by an expiry.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::process::Process;
use crate::tls::{Keyring, Notice};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How often an expiry is warned of.
const WARN_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long before it comes.
const WARN_BEFORE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Looks after the certificates for as long as the process lives.
pub(super) async fn keep(process: Arc<Process>) {
    let mut warned = Instant::now();
    warn_of_expiry(&process.keyring);
    loop {
        tokio::time::sleep(LOOK).await;
        let keyring = Arc::clone(&process.keyring);
        let notices = tokio::task::spawn_blocking(move || keyring.renew()).await;
        for notice in notices.iter().flatten() {
            tell(notice);
        }
        let renewed = notices.is_ok_and(|all| !all.is_empty());
        if renewed || warned.elapsed() >= WARN_EVERY {
            warned = Instant::now();
            warn_of_expiry(&process.keyring);
        }
    }
}

fn tell(notice: &Notice) {
    match notice {
        Notice::Renewed(side) => {
            tracing::info!(side, "TLS files have changed: new connections use the new ones");
        }
        Notice::Kept(error) => {
            tracing::error!(%error, "TLS setup failed: TLS files have changed and are not good, the old ones stay in use");
        }
    }
}

fn warn_of_expiry(keyring: &Keyring) {
    for (side, expiry) in keyring.expiries() {
        match expiry.duration_since(SystemTime::now()) {
            Err(_) => tracing::error!(side, "the TLS certificate has expired"),
            Ok(left) if left < WARN_BEFORE => {
                let days = left.as_secs() / (24 * 60 * 60);
                tracing::warn!(side, days, "the TLS certificate expires soon");
            }
            Ok(_) => {}
        }
    }
}

//! The composition root: the only place that knows every room.
//!
//! [`run`] builds what is needed and serves until a signal ends it. Dials, the console and everything else that neither
//! lets clients in nor relays runs on the control runtime; workers, and the desks at which logins do what takes long,
//! have threads of their own.

mod certificates;
mod drain;
#[cfg(feature = "otlp")]
mod exporter;
mod host;
mod launch;
mod page;
mod process;
mod reload;
mod serve;
mod set;
mod signals;
mod systemd;
mod trials;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Builder;

use crate::client::{Identities, Kept};
use crate::config::{self, Compat, Loaded};
use crate::telemetry::{self, LogStart};
use crate::tls::Keys;
use process::Process;

pub use launch::Launch;
pub use trials::{try_login, try_servers};

/// Threads for dials and the console.
const CONTROL_THREADS: usize = 2;

/// Checks a configuration file, and the files about users, certificates and keys that it names.
///
/// # Errors
/// Every mistake, one per line.
pub fn check(path: &Path) -> Result<(), String> {
    let loaded = config::load(path).map_err(|mistakes| mistakes.to_string())?;
    let kept = Kept::new().map_err(|error| error.to_string())?;
    Identities::load(&loaded.config, &kept)?;
    Keys::load(&loaded.config).map_err(|error| error.to_string())?;
    Ok(())
}

/// Serves clients until a signal ends it.
///
/// # Errors
/// Something that is needed cannot be had: a port, a thread, a readable userlist.
pub fn run(path: &Path, loaded: Loaded, launch: &Launch) -> Result<(), String> {
    let path = &std::path::absolute(path).map_err(|error| error.to_string())?;
    let claim = launch.prepare(&loaded.config.process)?;
    let settings = &loaded.config.process;
    let log = telemetry::start(LogStart {
        format: settings.log_format,
        level: &settings.log_level,
        verbosity: launch.verbosity,
        file: settings.logfile.as_deref(),
        both: settings.compat == Compat::PgBouncer,
        quiet: launch.quiet || launch.daemon,
        process: settings,
    })?;
    loaded.notes.iter().for_each(|note| tracing::warn!("{note}"));
    raise_descriptor_limit(&loaded.config);
    let control = Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start threads: {error}"))?;
    let handle = control.handle().clone();
    let result = control.block_on(async {
        let process = Process::build(PathBuf::from(path), loaded, log, handle)?;
        serve::serve(Arc::new(process), claim).await
    });
    control.shutdown_background();
    result
}

/// Every client and every server is a descriptor.
fn raise_descriptor_limit(config: &config::Config) {
    let servers: usize = config.databases.len().max(1) * config.defaults.pool_size;
    let wanted = (config.process.max_client_conn + servers + 64) as u64;
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(0);
    if limit < wanted {
        tracing::warn!(
            limit,
            wanted,
            "too few file descriptors for max_client_conn and the pools: raise the limit (ulimit -n, LimitNOFILE)"
        );
    }
}

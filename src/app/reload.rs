//! Reload: read everything, check everything, then change only what differs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::process::Process;
use super::set::Refused;
use super::systemd;
use crate::client::Identities;
use crate::config::{self, Changes, Config};
use crate::control::Order;
use crate::pool::PoolError;
use crate::tls::Keys;
use crate::types::Name;

/// How often files are looked at when `reload_on_change` is set.
const LOOK: Duration = Duration::from_secs(1);

impl Process {
    /// Puts the files' configuration in force, or nothing at all. Returns what takes effect only after a restart.
    ///
    /// # Errors
    /// Every mistake, one per line; then the configuration in force stays.
    pub(super) async fn reload(&self) -> Result<Vec<String>, String> {
        let _alone = self.changing.lock().await;
        systemd::reloading();
        let result = self.load_and_apply();
        systemd::ready();
        let mut last = self.last_reload.lock();
        last.is_current = result.is_ok();
        if result.is_ok() {
            last.succeeded_at = Some(SystemTime::now());
        }
        result.map_err(|refused| {
            refused.tell();
            tracing::error!("reload failed: the configuration in force stays");
            let (Refused::Settings(why) | Refused::Keys(why)) = refused;
            why
        })
    }

    fn load_and_apply(&self) -> Result<Vec<String>, Refused> {
        let loaded = config::load(&self.path).map_err(|mistakes| {
            let why = mistakes.to_string();
            if mistakes.are_only_of_tls() { Refused::Keys(why) } else { Refused::Settings(why) }
        })?;
        let before = Arc::clone(&self.origin.read());
        let origin = loaded.origin.clone().after(&before).map_err(Refused::Settings)?;
        let config = if origin == loaded.origin { Ok(loaded.config) } else { origin.resolve() };
        let config = config.map_err(Refused::Settings)?;
        let kept = &self.gate.identities().kept;
        let identities = Identities::load(&config, kept).map_err(Refused::Settings)?;
        let keys = Keys::load(&config).map_err(|error| Refused::Keys(error.to_string()))?;
        *self.files.write() = loaded.files;
        *self.origin.write() = Arc::new(origin);
        self.keyring.replace(keys);
        Ok(self.put_in_force(config, identities))
    }

    /// Changes what differs; returns what takes effect only after a restart.
    pub(super) fn put_in_force(&self, config: Config, identities: Identities) -> Vec<String> {
        let (old, new) = (self.gate.config(), Arc::new(config));
        let changes = config::diff(&old, &new);
        self.apply(&changes, &new, identities);
        if let Err(error) = self.log.set_file(new.process.logfile.as_deref()) {
            tracing::warn!(%error, "logfile not opened: the log stays where it is");
        }
        tracing::info!(
            added = ?changes.databases_added,
            removed = ?changes.databases_removed,
            reconnecting = ?changes.servers_changed,
            adjusted = ?changes.settings_changed,
            "configuration reloaded"
        );
        let later = |key: &&str| format!("{key} takes effect after a restart");
        changes.needs_restart.iter().map(later).collect()
    }

    fn apply(&self, changes: &Changes, config: &Arc<Config>, identities: Identities) {
        let identities = Arc::new(identities);
        self.gate.reconfigure(Arc::clone(config), Arc::clone(&identities));
        self.apply_process_settings(config);
        self.gate.pools.reconfigure(config, |key| {
            config
                .database(&key.database)
                .map_or(crate::auth::ServerCredential::Nothing, |database| {
                    identities.credential(config, database, &key.database, &key.user)
                })
        });
        for name in &changes.databases_removed {
            self.remove_database(name, config);
        }
        self.open_minimal_pools();
    }

    /// Databases with a user of their own have their `min_pool_size` before the first client comes.
    pub(super) fn open_minimal_pools(&self) {
        let (config, identities) = (self.gate.config(), self.gate.identities());
        for (name, database) in &config.databases {
            let Some(user) = &database.user else { continue };
            if config.pool_settings(database, user).min_pool_size > 0 {
                let credential = || identities.credential(&config, database, name, user);
                self.gate.pools.get(&config, database, name, user, credential);
            }
        }
    }

    /// Clients of a database that is not served any more are told goodbye.
    fn remove_database(&self, name: &Name, config: &Config) {
        let pools = &self.gate.pools;
        let gone = |database: &str| config.database(database).is_none();
        for pool in pools.all().into_iter().filter(|pool| gone(&pool.key.database)) {
            pool.dismiss_waiters(&PoolError::Removed);
            pool.pause();
            pools.remove(&pool.key);
        }
        for client in pools.context.records.clients().iter().filter(|client| gone(&client.database))
        {
            client.control.give(Order::CloseRemoved);
        }
        tracing::info!(database = %name, "database removed");
    }
}

/// Reloads, and says in the log what needs more than that.
pub(super) async fn reload_and_log(process: &Process) {
    let warnings = process.reload().await.unwrap_or_default();
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
}

/// Reloads when a file of the configuration changes and `reload_on_change` is set. What counts as a change begins with
/// this call, not with the first poll of what it returns.
pub(super) fn watch_files(process: Arc<Process>) -> impl Future<Output = ()> {
    let mut seen = stamps(&process);
    async move {
        loop {
            tokio::time::sleep(LOOK).await;
            let now = stamps(&process);
            if now != seen && process.gate.config().process.reload_on_change {
                tracing::info!("configuration files changed");
                reload_and_log(&process).await;
            }
            seen = now;
        }
    }
}

/// When each file was last changed.
fn stamps(process: &Process) -> HashMap<PathBuf, Option<SystemTime>> {
    let auth_file = process.gate.config().process.auth_file.clone();
    let identities = process.gate.identities();
    let files = process.files.read().clone();
    let stamp = |path: PathBuf| {
        let changed = std::fs::metadata(&path).and_then(|found| found.modified()).ok();
        (path, changed)
    };
    files.into_iter().chain(auth_file).chain(identities.files().cloned()).map(stamp).collect()
}

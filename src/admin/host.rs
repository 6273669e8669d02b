//! What the console asks of the process it belongs to.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use super::{Averages, Consoles};
use crate::cancel::{CancelKeys, PeerFacts, Peers};
use crate::config::{Compat, Config, ShownSetting};
use crate::pool::Pools;
use crate::stats::{HistogramTotal, LoginCount, ReloadFacts};
use crate::types::Name;

/// An answer that may take its time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How the process is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownMode {
    /// Clients are cut off.
    Immediate,
    /// Transactions finish.
    WaitForServers,
    /// Clients leave when they like.
    WaitForClients,
}

/// What happened at the door.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// Logins, counted.
    pub logins: Vec<LoginCount>,
    /// How long successful logins took.
    pub took: HistogramTotal,
}

/// The process, as the console knows it.
pub trait Host: Send + Sync {
    /// The configuration in force.
    fn config(&self) -> Arc<Config>;
    /// All pools.
    fn pools(&self) -> &Arc<Pools>;
    /// Cancel keys in use.
    fn cancel_keys(&self) -> &Arc<CancelKeys>;
    /// Where cancel requests for others go.
    fn peers(&self) -> &Peers;
    /// Cancel requests on their way to a peer.
    fn peer(&self, id: u16) -> PeerFacts;
    /// Who is at the console.
    fn consoles(&self) -> &Arc<Consoles>;
    /// The sampler of SHOW STATS.
    fn averages(&self) -> &Averages;
    /// Logins.
    fn door(&self) -> Door;
    /// Clients, those logging in included.
    fn clients_total(&self) -> usize;
    /// Clients of a database.
    fn clients_of_database(&self, name: &str) -> usize;
    /// Clients of a user.
    fn clients_of_user(&self, name: &str) -> usize;
    /// The sockets that listen, with their addresses; those of unix sockets have none here.
    fn listeners(&self) -> Vec<(i32, Option<SocketAddr>)>;
    /// The users that files know, by name.
    fn known_users(&self) -> Vec<Name>;
    /// True when nobody is admitted to a database.
    fn is_disabled(&self, database: &str) -> bool;
    /// Admits nobody to a database, or admits them again.
    fn set_disabled(&self, database: &Name, disabled: bool);
    /// The last reload.
    fn last_reload(&self) -> ReloadFacts;
    /// Reads the configuration again; gives what the operator should know. The error is every mistake; then nothing
    /// has changed.
    fn reload(&self) -> Answer<'_, Result<Vec<String>, String>>;
    /// The settings as SHOW CONFIG lists them.
    fn settings(&self) -> Vec<ShownSetting>;
    /// Changes a setting until the next reload; gives what the operator should know. The error says why nothing has
    /// changed.
    fn set<'a>(&'a self, key: &'a str, value: &'a str) -> Answer<'a, Result<Vec<String>, String>>;
    /// True while the process stops gracefully.
    fn is_draining(&self) -> bool;
    /// Stops the process.
    fn shutdown(&self, mode: ShutdownMode);
    /// Comes back when consoles have to say goodbye.
    fn closing(&self) -> Answer<'_, ()>;
    /// True when operators and their scripts expect PgBouncer.
    fn is_drop_in(&self) -> bool {
        self.config().process.compat == Compat::PgBouncer
    }
}

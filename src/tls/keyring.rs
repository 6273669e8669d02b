//! What TLS is begun with, as the files had it when they were last good.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Mutex, RwLock};

use super::{Acceptor, Connector, TlsError};
use crate::config::{ClientTlsSettings, Config, Roots, ServerTlsSettings};

/// Settings with the certificates and keys they name, all of them good.
#[derive(Clone, Debug)]
pub struct Keys {
    client_settings: ClientTlsSettings,
    acceptor: Option<Arc<Acceptor>>,
    /// One for each way that servers are reached.
    connectors: Vec<Arc<Connector>>,
}

impl Keys {
    /// Reads the files that a configuration names.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn load(config: &Config) -> Result<Self, TlsError> {
        let databases = config.databases.values().chain(&config.fallback);
        let mut keys = Keys {
            client_settings: config.tls_client.clone(),
            acceptor: Acceptor::load(&config.tls_client)?.map(Arc::new),
            ..Keys::of_servers(&config.tls_server)?
        };
        for database in databases {
            if keys.connector(&database.tls).is_none() {
                keys.connectors.push(Arc::new(Connector::load(&database.tls)?));
            }
        }
        Ok(keys)
    }

    /// Those for servers alone, all of them reached in one way.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn of_servers(settings: &Arc<ServerTlsSettings>) -> Result<Self, TlsError> {
        Ok(Keys {
            client_settings: ClientTlsSettings::default(),
            acceptor: None,
            connectors: vec![Arc::new(Connector::load(settings)?)],
        })
    }

    fn connector(&self, settings: &ServerTlsSettings) -> Option<Arc<Connector>> {
        let mut all = self.connectors.iter();
        all.find(|connector| *connector.settings == *settings).map(Arc::clone)
    }
}

/// The keys in force. Those who begin a handshake take what is there; connections keep what they began with.
#[derive(Debug)]
pub struct Keyring {
    keys: RwLock<Keys>,
    seen: Mutex<[Stamps; 2]>,
}

/// What became of files that have changed.
#[derive(Debug)]
pub enum Notice {
    /// The new ones are in force, for this side.
    Renewed(&'static str),
    /// The new ones are not good: the old ones stay in force.
    Kept(TlsError),
}

/// How files looked.
type Stamps = Vec<(PathBuf, Option<Stamp>)>;

/// A file's time, size and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(SystemTime, u64, u64);

impl Keyring {
    /// These keys are in force.
    pub fn new(keys: Keys) -> Self {
        let seen = stamps(&keys);
        Keyring { keys: RwLock::new(keys), seen: Mutex::new(seen) }
    }

    /// Puts others in force.
    pub fn replace(&self, keys: Keys) {
        *self.seen.lock() = stamps(&keys);
        *self.keys.write() = keys;
    }

    /// What TLS with clients is begun with; `None` when there is none.
    pub fn acceptor(&self) -> Option<Arc<Acceptor>> {
        self.keys.read().acceptor.clone()
    }

    /// What TLS with servers is begun with that are reached in this way. Reads the files only if a reload has been
    /// faster: never is another way taken.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn connector(&self, settings: &Arc<ServerTlsSettings>) -> Result<Arc<Connector>, TlsError> {
        let known = self.keys.read().connector(settings);
        known.map_or_else(|| Connector::load(settings).map(Arc::new), Ok)
    }

    /// Certificates of our own and when they expire, by side.
    pub fn expiries(&self) -> Vec<(&'static str, SystemTime)> {
        let keys = self.keys.read();
        let client = keys.acceptor.as_ref().and_then(|acceptor| acceptor.not_after());
        // The first that expires.
        let server = keys.connectors.iter().filter_map(|one| one.not_after()).min();
        [("client", client), ("server", server)]
            .into_iter()
            .filter_map(|(side, expiry)| Some((side, expiry?)))
            .collect()
    }

    /// Looks whether files have changed, and if so takes what is in them. A file that is broken is told of once.
    ///
    /// Blocks on the disk.
    pub fn renew(&self) -> Vec<Notice> {
        let (client, servers) = {
            let keys = self.keys.read();
            (keys.client_settings.clone(), keys.connectors.clone())
        };
        let now = [client_stamps(&client), server_stamps(&servers)];
        let changed = {
            let mut seen = self.seen.lock();
            let changed = [seen[0] != now[0], seen[1] != now[1]];
            *seen = now;
            changed
        };
        let mut notices = Vec::new();
        if changed[0] {
            notices.push(self.renew_client(&client));
        }
        if changed[1] {
            notices.extend(servers.iter().map(|old| self.renew_server(old)));
        }
        notices
    }

    fn renew_client(&self, settings: &ClientTlsSettings) -> Notice {
        match Acceptor::load(settings) {
            Ok(fresh) => {
                let mut keys = self.keys.write();
                // A reload may have been faster, with settings of its own.
                if keys.client_settings == *settings {
                    keys.acceptor = fresh.map(Arc::new);
                }
                Notice::Renewed("client")
            }
            Err(error) => Notice::Kept(error),
        }
    }

    fn renew_server(&self, old: &Arc<Connector>) -> Notice {
        match Connector::load(&old.settings) {
            Ok(fresh) => {
                let mut keys = self.keys.write();
                // A reload may have been faster, with settings of its own.
                if let Some(place) = keys.connectors.iter_mut().find(|one| Arc::ptr_eq(one, old)) {
                    *place = Arc::new(fresh);
                }
                Notice::Renewed("server")
            }
            Err(error) => Notice::Kept(error),
        }
    }
}

fn stamps(keys: &Keys) -> [Stamps; 2] {
    [client_stamps(&keys.client_settings), server_stamps(&keys.connectors)]
}

fn client_stamps(settings: &ClientTlsSettings) -> Stamps {
    look([&settings.cert_file, &settings.key_file, &settings.ca_file])
}

fn server_stamps(connectors: &[Arc<Connector>]) -> Stamps {
    let stamps = connectors.iter().flat_map(|connector| {
        let settings = &connector.settings;
        let roots = match &settings.ca_file {
            Roots::File(path) => Some(path.clone()),
            Roots::None | Roots::System => None,
        };
        look([&settings.cert_file, &settings.key_file, &roots])
    });
    stamps.collect()
}

fn look(paths: [&Option<PathBuf>; 3]) -> Stamps {
    use std::os::unix::fs::MetadataExt;
    let stamp = |path: &PathBuf| {
        let about = std::fs::metadata(path).ok()?;
        Some(Stamp(about.modified().ok()?, about.len(), about.ino()))
    };
    paths.into_iter().flatten().map(|path| (path.clone(), stamp(path))).collect()
}

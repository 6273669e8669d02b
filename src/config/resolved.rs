//! The configuration as the rest of the program sees it: every value parsed, checked and inherited.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::resolved_auth::{AuthLookup, AuthType};
use super::resolved_class::Class;
use super::resolved_http::Http;
use super::resolved_names::{Database, Peer, User};
use super::resolved_otlp::Otlp;
use super::resolved_pool::PoolSettings;
use super::resolved_tls::{ClientTlsSettings, ServerTlsSettings};
use crate::secret::Secret;
use crate::types::{Name, Timeout};

/// A whole configuration. Immutable: a reload builds a new one and compares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[pgusher]`: listeners, logins, threads, log.
    pub process: Process,
    /// `[http]`: where metrics and health are served; `None` when not configured.
    pub http: Option<Http>,
    /// `[otlp]`: where metrics and spans are sent; `None` when not configured.
    pub otlp: Option<Otlp>,
    /// `[tls.client]`: TLS with clients.
    pub tls_client: ClientTlsSettings,
    /// `[tls.server]`: TLS with servers.
    pub tls_server: Arc<ServerTlsSettings>,
    /// `[databases.NAME]`, without the fallback.
    pub databases: BTreeMap<Name, Arc<Database>>,
    /// `[databases."*"]`: serves every name that is not listed, with `dbname` = the client's name.
    pub fallback: Option<Arc<Database>>,
    /// `[users.NAME]`.
    pub users: BTreeMap<Name, Arc<User>>,
    /// `[peers.ID]`.
    pub peers: BTreeMap<u16, Peer>,
    /// `[classes.NAME]`, in the order of the file: the first that includes a client is the client's.
    pub classes: Vec<Class>,
    /// `[defaults]`: what every pool inherits.
    pub defaults: Arc<PoolSettings>,
}

/// `[pgusher]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// Addresses or names to listen on; `*` is every address. Empty: no TCP.
    pub listen_addr: Vec<String>,
    /// Port of all TCP listeners, and the number in the unix socket's name.
    pub listen_port: u16,
    /// Length of the kernel's accept queue.
    pub listen_backlog: u32,
    /// Folder of the unix socket `.s.PGSQL.<port>`; `None`: no unix socket.
    pub unix_socket_dir: Option<PathBuf>,
    /// Permissions of the unix socket, e.g. `0o777`.
    pub unix_socket_mode: u32,
    /// Group of the unix socket, by name or number; `None`: the process's own.
    pub unix_socket_group: Option<Name>,
    /// Clients at the same time, over all databases, those logging in included.
    pub max_client_conn: usize,
    /// Servers over all databases of a user that is not in `[users]`; `None`: no limit.
    pub max_user_connections: Option<usize>,
    /// Clients of a user that is not in `[users]`; `None`: no limit.
    pub max_user_client_connections: Option<usize>,
    /// How clients prove who they are.
    pub auth_type: AuthType,
    /// PgBouncer's userlist format.
    pub auth_file: Option<PathBuf>,
    /// A `pg_hba.conf`, for `auth_type` `hba`.
    pub auth_hba_file: Option<PathBuf>,
    /// A `pg_ident.conf`, for the maps of `auth_hba_file`.
    pub auth_ident_file: Option<PathBuf>,
    /// Who looks up users that no file knows; `None`: nobody. Databases may override these three.
    pub auth_user: Option<Name>,
    /// By which query; `$1` is the name.
    pub auth_query: Option<Name>,
    /// In which database, by its name here; `None`: the one the client asks for.
    pub auth_dbname: Option<Name>,
    /// How long a lookup may take.
    pub auth_query_timeout: Duration,
    /// How long an answer may be used again; `None`: not at all.
    pub auth_query_cache_ttl: Timeout,
    /// How an LDAP server is asked, in the words of `pg_hba.conf`. Holds a password.
    pub auth_ldap_options: Option<Secret>,
    /// Failed logins of one address within the window before its logins are slowed down; `None`: never.
    pub auth_failure_limit: Option<usize>,
    /// How long failed logins of an address count.
    pub auth_failure_window: Duration,
    /// How long the logins of an address with too many failures are held up.
    pub auth_failure_delay: Duration,
    /// Logins that are worked on at the same time.
    pub max_concurrent_logins: usize,
    /// Users who may give orders on the console.
    pub admin_users: Vec<Name>,
    /// Users who may only read the console.
    pub stats_users: Vec<Name>,
    /// From accept to the end of the login.
    pub client_login_timeout: Timeout,
    /// How long a graceful stop waits for transactions.
    pub drain_timeout: Timeout,
    /// How long SUSPEND waits for clients to take what was sent to them.
    pub suspend_timeout: Timeout,
    /// How long a cancel request may take to be delivered to the server.
    pub cancel_wait_timeout: Timeout,
    /// Threads for what keeps a processor busy at logins; `None` is `auto`.
    pub login_threads: Option<u16>,
    /// Threads that relay traffic; `None` is `auto`.
    pub worker_threads: Option<u16>,
    /// A thread that is busy for more of the time than this, in percent, shares its clients.
    pub worker_full: u8,
    /// How the small sends of a thread reach the kernel.
    pub send_engine: SendEngine,
    /// Bytes of prepared statement text kept for all clients together.
    pub prepared_statements_memory: usize,
    /// The user of the operating system to become.
    pub user: Option<Name>,
    /// File for the number of the process.
    pub pidfile: Option<PathBuf>,
    /// File for the log; `None`: standard error.
    pub logfile: Option<PathBuf>,
    /// Shape of log lines.
    pub log_format: LogFormat,
    /// A `tracing` filter: `info`, `debug`, `pgusher::pool=debug,info`, …
    pub log_level: String,
    /// Log a line for every client that comes.
    pub log_connections: bool,
    /// Log a line for every client that leaves, with the reason.
    pub log_disconnections: bool,
    /// Log the errors that pgusher itself gives to clients.
    pub log_pooler_errors: bool,
    /// Log sums and averages every `stats_period`.
    pub log_stats: bool,
    /// How long the averages of SHOW STATS are over.
    pub stats_period: Duration,
    /// How many recordings of a pool's requests are kept.
    pub advise_windows: u16,
    /// How long a pool is left alone between two of them.
    pub advise_period: Duration,
    /// Whose rules bind.
    pub compat: Compat,
    /// Re-read the configuration when one of its files changes.
    pub reload_on_change: bool,
    /// Other processes may listen on the same TCP ports.
    pub so_reuseport: bool,
    /// This process among those that share its ports; 0: it is alone.
    pub peer_id: u16,
    /// The kernel holds back clients that say nothing, for so long.
    pub tcp_defer_accept: Timeout,
    /// Bytes of the kernel's buffers of a TCP socket; 0: as the kernel likes.
    pub tcp_socket_buffer: usize,
    /// Silent TCP peers are asked for a sign of life.
    pub tcp_keepalive: bool,
    /// How often they are asked in vain; 0: as the kernel likes.
    pub tcp_keepcnt: u32,
    /// After how much silence; `None`: as the kernel likes.
    pub tcp_keepidle: Timeout,
    /// How long between two questions; `None`: as the kernel likes.
    pub tcp_keepintvl: Timeout,
    /// How long sent bytes may stay unacknowledged; `None`: as the kernel likes.
    pub tcp_user_timeout: Timeout,
    /// How long the addresses of a name are used again.
    pub dns_max_ttl: Timeout,
    /// How long it is remembered that a name has no addresses.
    pub dns_nxdomain_ttl: Timeout,
    /// How often zones are asked whether they have changed.
    pub dns_zone_check_period: Timeout,
    /// The file that names the name servers.
    pub resolv_conf: Option<PathBuf>,
    /// Log to syslog, too.
    pub syslog: bool,
    /// Under which name.
    pub syslog_ident: String,
    /// As which part of the system.
    pub syslog_facility: Facility,
    /// A notice for every client that comes; empty: none.
    pub login_notify_message: String,
    /// With `compat`, parameters of the start-up packet that are kept beside the usual ones.
    pub track_extra_parameters: Vec<Name>,
    /// With `compat`, parameters of the start-up packet that are dropped without a word.
    pub ignore_startup_parameters: Vec<Name>,
    /// `application_name` tells where the client comes from.
    pub application_name_add_host: bool,
    /// Simple queries are refused.
    pub disable_pqexec: bool,
    /// Of the verifiers made of plain passwords.
    pub scram_iterations: u32,
    /// A database that only the fallback knows is forgotten when nobody has used it for so long.
    pub autodb_idle_timeout: Timeout,
    /// A pool without clients is emptied after so long.
    pub pool_idle_timeout: Timeout,
}

/// How the small sends of a thread reach the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendEngine {
    /// io_uring where the kernel allows it, plain where it does not.
    Auto,
    /// Those of one turn of the loop with one system call.
    IoUring,
    /// Each with a system call of its own.
    Plain,
}

/// Shape of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line per event.
    Text,
    /// One JSON object per event.
    Json,
    /// PgBouncer's lines, in its words.
    PgBouncer,
}

/// A part of the system, as syslog knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "syslog's own words")]
pub enum Facility {
    User = 1,
    Daemon = 3,
    Auth = 4,
    AuthPriv = 10,
    Local0 = 16,
    Local1 = 17,
    Local2 = 18,
    Local3 = 19,
    Local4 = 20,
    Local5 = 21,
    Local6 = 22,
    Local7 = 23,
}

/// Whose rules bind where pgusher has stricter ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compat {
    /// pgusher's.
    Off,
    /// PgBouncer's: `trust` from everywhere, sizes that make no sense together, and nobody who can log in.
    PgBouncer,
}

impl Config {
    /// The database a client means by `name`: listed, or served by the fallback.
    pub fn database(&self, name: &str) -> Option<&Arc<Database>> {
        self.databases.get(name).or(self.fallback.as_ref())
    }

    /// The database of which this is the `session_alias`.
    pub fn session_alias(&self, name: &str) -> Option<&Arc<Database>> {
        let mut databases = self.databases.values();
        databases.find(|database| database.session_alias.as_deref() == Some(name))
    }

    /// `max_user_connections` of a user, listed or not.
    pub fn max_user_connections(&self, user: &str) -> Option<usize> {
        let listed = self.users.get(user).map(|user| user.max_user_connections);
        listed.unwrap_or(self.process.max_user_connections)
    }

    /// `max_user_client_connections` of a user, listed or not.
    pub fn max_user_client_connections(&self, user: &str) -> Option<usize> {
        let listed = self.users.get(user).map(|user| user.max_user_client_connections);
        listed.unwrap_or(self.process.max_user_client_connections)
    }

    /// How users of a database are looked up that no file knows.
    pub fn auth_lookup(&self, database: &Database) -> AuthLookup {
        let Process { auth_user, auth_query, auth_dbname, .. } = &self.process;
        let own = &database.auth_lookup;
        AuthLookup {
            user: own.user.clone().or_else(|| auth_user.clone()),
            query: own.query.clone().or_else(|| auth_query.clone()),
            dbname: own.dbname.clone().or_else(|| auth_dbname.clone()),
        }
    }

    /// What a client that logs in as `login` gets of the pool of `user`: its own timeouts, where it has some.
    pub fn client_settings(&self, database: &Database, user: &str, login: &str) -> PoolSettings {
        let mut settings = self.pool_settings(database, user);
        if let Some(own) = self.users.get(login).map(|login| &login.overrides) {
            settings.take_timeouts(own);
        }
        settings
    }

    /// The settings of the pool of `user` in `database`: user over database over defaults. A
    /// `min_pool_size` inherited by a smaller pool is that pool's size.
    pub fn pool_settings(&self, database: &Database, user: &str) -> PoolSettings {
        let inherited = self.defaults.overridden_by(&database.overrides);
        let mut settings = match self.users.get(user) {
            Some(user) => inherited.overridden_by(&user.overrides),
            None => inherited,
        };
        settings.min_pool_size = settings.min_pool_size.min(settings.pool_size);
        // The fallback's clients call their databases by many names.
        let mut classes = self.classes.clone();
        classes.retain(|class| &*database.name == "*" || class.is_for(&database.name));
        settings.classes = classes;
        settings
    }
}

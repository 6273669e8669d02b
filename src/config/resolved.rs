//! The configuration as the rest of the program sees it: every value parsed, checked and inherited.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::resolved_auth::{AuthLookup, AuthType};
use super::resolved_class::Class;
use super::resolved_tls::{ClientTlsSettings, ServerTlsSettings};
use crate::secret::Secret;
use crate::types::{Name, Part, PoolMode, ServerAddress, Timeout, Unsharable};

/// A whole configuration. Immutable: a reload builds a new one and compares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[pgusher]`: listeners, logins, threads, log.
    pub process: Process,
    /// `[http]`: where metrics and health are served; `None` when not configured.
    pub http: Option<Http>,
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
    /// Whose rules bind.
    pub compat: Compat,
    /// Re-read the configuration when one of its files changes.
    pub reload_on_change: bool,
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

/// Whose rules bind where pgusher has stricter ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compat {
    /// pgusher's.
    Off,
    /// PgBouncer's: `trust` from everywhere, sizes that make no sense together, and nobody who can log in.
    PgBouncer,
}

/// `[http]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Address of `/metrics`, `/healthz` and `/readyz`.
    pub listen: SocketAddr,
    /// Upper bounds of the queue-time histogram, ascending.
    pub queue_buckets: Vec<Duration>,
    /// Whose metrics are served beside our own.
    pub metrics_compat: Vec<MetricsCompat>,
}

/// Whose names of metrics dashboards expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsCompat {
    /// Those of the Prometheus community's exporter for PgBouncer.
    PgbouncerExporter,
}

/// One `[databases.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    /// The name clients ask for; `*` for the fallback.
    pub name: Name,
    /// Where the servers are; tried in order until one accepts.
    pub addresses: Vec<ServerAddress>,
    /// The database's name on the server; `None`: as the client calls it.
    pub dbname: Option<Name>,
    /// Server user for all clients (one shared pool); `None`: each client's own.
    pub user: Option<Name>,
    /// Password of the server user.
    pub password: Option<Secret>,
    /// How its users are looked up that no file knows; what is missing is inherited.
    pub auth_lookup: AuthLookup,
    /// Parameters for the server connection's start-up packet.
    pub startup_parameters: BTreeMap<String, String>,
    /// Servers of this database over all users; `None`: no limit.
    pub max_db_connections: Option<usize>,
    /// Clients of this database; `None`: no limit.
    pub max_db_client_connections: Option<usize>,
    /// What this database sets for its pools.
    pub overrides: PoolOverrides,
}

/// One `[users.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// The name clients log in with.
    pub name: Name,
    /// Password (or verifier) of the client, in userlist notation; wins over `auth_file`.
    pub password: Option<Secret>,
    /// Servers of this user over all databases; `None`: no limit.
    pub max_user_connections: Option<usize>,
    /// Clients of this user; `None`: no limit.
    pub max_user_client_connections: Option<usize>,
    /// What this user sets for its pools.
    pub overrides: PoolOverrides,
}

/// What every pool needs to know, after inheritance.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSettings {
    /// When a server goes back to the pool.
    pub pool_mode: PoolMode,
    /// Servers of one pool (`default_pool_size`, `pool_size`).
    pub pool_size: usize,
    /// Servers kept ready once the pool is in use.
    pub min_pool_size: usize,
    /// Servers beyond `pool_size` for clients that wait too long.
    pub reserve_pool_size: usize,
    /// How long is too long.
    pub reserve_pool_timeout: Timeout,
    /// A client waits this long for a server, then gets an error.
    pub query_wait_timeout: Timeout,
    /// A client that waits this long gets a NOTICE.
    pub query_wait_notify: Timeout,
    /// Clients of one class that may wait for one pool; `None`: no limit.
    pub max_queue: Option<usize>,
    /// A client that would have to wait for longer is refused at once; `None`: never.
    pub queue_deadline: Timeout,
    /// A wait of this length is logged, with its reasons; `None`: none is.
    pub log_queue_wait: Timeout,
    /// TCP connect and login of a server together.
    pub server_connect_timeout: Timeout,
    /// Pause after a failed server login; doubles up to 16 times this.
    pub server_login_retry: Duration,
    /// A server older than this is closed when it is free (spread by up to a tenth).
    pub server_lifetime: Timeout,
    /// A server idle for longer is closed.
    pub server_idle_timeout: Timeout,
    /// A server idle for longer is checked before use; `Some(0)`: always, `None`: never.
    pub server_check_delay: Timeout,
    /// A transaction in which the client says nothing for longer is ended.
    pub idle_transaction_timeout: Timeout,
    /// A transaction that lasts longer is ended.
    pub transaction_timeout: Timeout,
    /// A query that runs longer is cancelled.
    pub query_timeout: Timeout,
    /// A client that is idle outside a transaction for longer is disconnected.
    pub client_idle_timeout: Timeout,
    /// Prepared statements kept on each server; 0: names are not virtual.
    pub max_prepared_statements: usize,
    /// Bytes of parameters that one client may set.
    pub max_session_state: usize,
    /// What becomes of statements whose effect on the session cannot be shared.
    pub unsharable_state: Unsharable,
    /// Clients that may keep their servers.
    pub max_pinned: Part,
    /// Bytes of notifications kept for a client that does not read them.
    pub listen_buffer: usize,
    /// One in so many transactions is audited; 0: none.
    pub audit_sample: usize,
    /// Sent between two clients of a session-mode server; empty: nothing.
    pub server_reset_query: String,
    /// The classes that its clients may belong to.
    pub classes: Vec<Class>,
}

/// The same names as [`PoolSettings`]; `None` inherits.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "each field is the one of PoolSettings with the same name")]
pub struct PoolOverrides {
    pub pool_mode: Option<PoolMode>,
    pub pool_size: Option<usize>,
    pub min_pool_size: Option<usize>,
    pub reserve_pool_size: Option<usize>,
    pub reserve_pool_timeout: Option<Timeout>,
    pub query_wait_timeout: Option<Timeout>,
    pub query_wait_notify: Option<Timeout>,
    pub max_queue: Option<Option<usize>>,
    pub queue_deadline: Option<Timeout>,
    pub log_queue_wait: Option<Timeout>,
    pub server_connect_timeout: Option<Timeout>,
    pub server_login_retry: Option<Duration>,
    pub server_lifetime: Option<Timeout>,
    pub server_idle_timeout: Option<Timeout>,
    pub server_check_delay: Option<Timeout>,
    pub idle_transaction_timeout: Option<Timeout>,
    pub transaction_timeout: Option<Timeout>,
    pub query_timeout: Option<Timeout>,
    pub client_idle_timeout: Option<Timeout>,
    pub max_prepared_statements: Option<usize>,
    pub max_session_state: Option<usize>,
    pub unsharable_state: Option<Unsharable>,
    pub max_pinned: Option<Part>,
    pub listen_buffer: Option<usize>,
    pub audit_sample: Option<usize>,
    pub server_reset_query: Option<String>,
}

impl Config {
    /// The database a client means by `name`: listed, or served by the fallback.
    pub fn database(&self, name: &str) -> Option<&Arc<Database>> {
        self.databases.get(name).or(self.fallback.as_ref())
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

impl PoolSettings {
    pub(super) fn overridden_by(&self, over: &PoolOverrides) -> PoolSettings {
        let mut out = self.clone();
        macro_rules! take {
            ($($field:ident),* $(,)?) => {
                $(if let Some(value) = &over.$field { out.$field = value.clone(); })*
            };
        }
        take!(
            pool_mode,
            pool_size,
            min_pool_size,
            reserve_pool_size,
            reserve_pool_timeout,
            query_wait_timeout,
            query_wait_notify,
            max_queue,
            queue_deadline,
            log_queue_wait,
            server_connect_timeout,
            server_login_retry,
            server_lifetime,
            server_idle_timeout,
            server_check_delay,
            idle_transaction_timeout,
            transaction_timeout,
            query_timeout,
            client_idle_timeout,
            max_prepared_statements,
            max_session_state,
            unsharable_state,
            max_pinned,
            listen_buffer,
            audit_sample,
            server_reset_query,
        );
        out
    }
}

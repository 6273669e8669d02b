//! Takes the snapshot that the console's tables and the metrics are made from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Host, own};
use crate::cancel::Outcome;
use crate::config::{Compat, Config, Database};
use crate::pool::{CloseReason, ConnectFacts, Pool, PoolCensus, Pools};
use crate::stats::{
    ClientRecord, ClientState, ClientsByState, DatabaseFacts, ErrorCounts, ErrorFacts, ExportFacts,
    HostFacts, PoolFacts, ProcessFacts, Records, ServerState, ServersByState, Snapshot, Totals,
    UserFacts, WaitOutcome,
};
use crate::types::Name;

/// What a table is made from.
pub(super) struct View<'a> {
    pub(super) snapshot: Snapshot,
    pub(super) host: &'a dyn Host,
    /// The database that was asked for, where a table is by database.
    pub(super) database: Option<Name>,
}

impl<'a> View<'a> {
    /// Everything now.
    pub(super) fn now(host: &'a dyn Host) -> Self {
        let mut snapshot = look(host);
        if host.is_drop_in() {
            own::add(&mut snapshot, host);
        }
        View { snapshot, host, database: None }
    }
}

/// Looks at everything.
pub fn look(host: &dyn Host) -> Snapshot {
    let config = host.config();
    let pools = host.pools();
    let clients = pools.context.records.clients();
    let pins = pools.context.records.pins.clients();
    let by_pool = count_clients(&config, &clients, &pins);
    let all = pools.all();
    let facts = all.iter().map(|pool| {
        let key = (Name::clone(&pool.key.database), Name::clone(&pool.key.user));
        let advice = host.adviser().advice(&key);
        PoolFacts {
            advised: advice.and_then(|advice| advice.advised()),
            ..pool_facts(pool, by_pool.get(&key).copied().unwrap_or_default())
        }
    });
    Snapshot {
        process: process_facts(host, &config),
        bounds: pools.context.buckets.bounds().to_vec(),
        peers: host.peers().by_state(&config),
        names_asked: pools.context.dialler.names.asked(),
        names: pools.context.dialler.names.all().len(),
        zones: pools.context.dialler.names.zones().len(),
        pools: facts.collect(),
        databases: databases(host, &config, &all),
        users: users(host, &config, &all),
        clients,
        cancels: pools.context.records.cancels(),
        exchanges: pools.context.exchanges.all(),
        auth_servers: pools.auth_queries.servers(),
        errors: errors(pools),
        exports: config.otlp.is_some().then(|| exports(&pools.context.records)),
    }
}

fn exports(records: &Records) -> ExportFacts {
    ExportFacts { exports: records.exports.all(), spans_dropped: records.tracer.dropped() }
}

fn errors(pools: &Pools) -> Vec<ErrorFacts> {
    let books = pools.context.errors.all().into_iter();
    let facts = |(database, counts): (Name, Arc<ErrorCounts>)| ErrorFacts {
        database,
        told: counts.all(),
        healed: counts.all_healed(),
    };
    books.map(facts).collect()
}

/// Clients of one pool.
#[derive(Clone, Copy, Default)]
struct Clients {
    by_state: ClientsByState,
    /// Those of the active ones that are idle in their transactions.
    idle_in_transaction: usize,
    /// Those of the other active ones that keep their servers.
    pinned: usize,
}

fn count_clients(
    config: &Config,
    clients: &[Arc<ClientRecord>],
    pins: &BTreeSet<u64>,
) -> BTreeMap<(Name, Name), Clients> {
    let mut counts: BTreeMap<_, Clients> = BTreeMap::new();
    for client in clients {
        let forced = config.database(&client.database).and_then(|found| found.user.as_ref());
        let user = forced.unwrap_or(&client.user);
        let key = (Name::clone(&client.database), Name::clone(user));
        let Clients { by_state, idle_in_transaction, pinned } = counts.entry(key).or_default();
        match client.state() {
            ClientState::Login | ClientState::Idle => by_state.idle += 1,
            ClientState::Waiting => by_state.waiting += 1,
            ClientState::Active => {
                by_state.active += 1;
                let is_idle = client.is_idle_in_transaction();
                *idle_in_transaction += usize::from(is_idle);
                *pinned += usize::from(!is_idle && pins.contains(&client.id));
            }
        }
    }
    counts
}

fn pool_facts(pool: &Pool, clients: Clients) -> PoolFacts {
    let census = pool.census();
    let settings = pool.settings();
    let stats = &pool.stats;
    PoolFacts {
        database: Name::clone(&pool.key.database),
        user: Name::clone(&pool.key.user),
        mode: settings.pool_mode,
        size: settings.pool_size,
        reserve: settings.reserve_pool_size,
        least: settings.min_pool_size,
        advised: None,
        is_paused: census.core.paused,
        clients: clients.by_state,
        pinned: clients.pinned,
        in_state: servers_by_state(&census, clients.idle_in_transaction),
        queue: census.core.waiting,
        oldest_wait: census.core.oldest_wait,
        queue_micros: census.core.integrals.queue,
        busy_micros: census.core.integrals.busy,
        saturated_micros: census.core.integrals.saturated,
        idle_in_transaction_micros: stats.sum(|cells| &cells.idle_in_transaction_micros),
        totals: stats.totals(),
        assigned_at_once: stats.sum(|cells| &cells.assigned_at_once),
        assigned_queued: stats.sum(|cells| &cells.assigned_queued),
        rolled_back: stats.sum(|cells| &cells.rolled_back),
        failed: stats.sum(|cells| &cells.failed),
        server_received: stats.sum(|cells| &cells.server_received),
        server_sent: stats.sum(|cells| &cells.server_sent),
        evictions: stats.sum(|cells| &cells.evictions),
        replays: stats.sum(|cells| &cells.replays),
        waits: WaitOutcome::ALL.map(|outcome| stats.waits(outcome)),
        hold: stats.total(|cells| &cells.hold),
        query: stats.total(|cells| &cells.query),
        pins: pool.pins.by_cause(),
        audits: pool.leaks.audits(),
        leaks: pool.leaks.all(),
        closes: CloseReason::ALL.map(|why| (why.as_str(), pool.closes.get(why))).to_vec(),
        departures: pool.departures.all().to_vec(),
        cancels: census.cancels(),
        servers: census.servers,
        classes: census.classes,
    }
}

fn servers_by_state(census: &PoolCensus, idle_in_transaction: usize) -> ServersByState {
    let active = census.servers_in(ServerState::Active);
    // The clients were looked at a moment earlier.
    let idle_in_transaction = idle_in_transaction.min(active);
    ServersByState {
        idle: census.servers_in(ServerState::Idle),
        used: census.servers_in(ServerState::Used),
        active: active - idle_in_transaction,
        idle_in_transaction,
        tested: census.servers_in(ServerState::Tested),
        being_canceled: census.servers_in(ServerState::BeingCanceled),
        login: census.servers_in(ServerState::New) + census.logging_in(),
        closing: census.core.leaving,
    }
}

fn process_facts(host: &dyn Host, config: &Config) -> ProcessFacts {
    let door = host.door();
    let keys = host.cancel_keys();
    ProcessFacts {
        clients: host.clients_total(),
        max_clients: config.process.max_client_conn,
        max_user_connections: config.process.max_user_connections,
        is_draining: host.is_draining(),
        is_paused: host.pools().is_paused(),
        is_suspended: host.pools().context.records.is_suspended(),
        logins: door.logins,
        login_took: door.took,
        cancels: Outcome::ALL.map(|outcome| (outcome.as_str(), keys.count(outcome))).to_vec(),
        reload: host.last_reload(),
        certificates: host.pools().context.keyring.expiries(),
    }
}

fn databases(host: &dyn Host, config: &Config, pools: &[Arc<Pool>]) -> Vec<DatabaseFacts> {
    let totals = host.pools().totals();
    let mut connects = host.pools().context.connects.all();
    let names: BTreeSet<&Name> = config
        .databases
        .keys()
        .chain(pools.iter().map(|pool| &pool.key.database))
        .chain(totals.keys())
        .collect();
    let facts = names.into_iter().map(|name| {
        let ConnectFacts { took, hosts } = connects.remove(name).unwrap_or_default();
        DatabaseFacts {
            totals: totals.get(name).copied().unwrap_or_else(Totals::default),
            connect_took: took,
            hosts: with_untried(hosts, config, name),
            connections: host.pools().database_servers(name),
            clients: host.clients_of_database(name),
            is_paused: host.pools().is_database_paused(name),
            is_paused_by_name: host.pools().is_paused_by_name(name),
            is_disabled: host.is_disabled(name),
            ..configured(config, name)
        }
    });
    facts.collect()
}

/// The hosts of a database, those included that nobody has logged in to yet.
fn with_untried(mut hosts: Vec<HostFacts>, config: &Config, database: &Name) -> Vec<HostFacts> {
    let configured = config.databases.get(database).map(|found| &found.addresses);
    for name in configured.into_iter().flatten().map(ToString::to_string) {
        if !hosts.iter().any(|host| host.name == name) {
            hosts.push(HostFacts::unknown(name));
        }
    }
    hosts
}

/// What the configuration says about a database.
fn configured(config: &Config, name: &Name) -> DatabaseFacts {
    let facts = DatabaseFacts { name: Name::clone(name), ..DatabaseFacts::default() };
    let Some(database) = config.database(name) else { return facts };
    let Database { addresses, dbname, user, .. } = database.as_ref();
    // No user is called nothing, so this is what users without settings of their own get.
    let settings = config.pool_settings(database, "");
    let hosts: Vec<_> = addresses.iter().map(crate::types::ServerAddress::host).collect();
    DatabaseFacts {
        is_default_host: is_default(config, addresses),
        load_balance: database.load_balance,
        host: hosts.join(","),
        port: addresses.first().map_or(0, crate::types::ServerAddress::port),
        dbname: Name::clone(dbname.as_ref().unwrap_or(name)),
        force_user: user.clone(),
        pool_size: settings.pool_size,
        min_pool_size: settings.min_pool_size,
        reserve_pool_size: settings.reserve_pool_size,
        server_lifetime: settings.server_lifetime,
        mode: database.overrides.pool_mode,
        max_connections: database.max_db_connections,
        max_clients: database.max_db_client_connections,
        ..facts
    }
}

/// Where libpq looks for a server when nothing says where it is.
const LIBPQ_FOLDER: &str = "/var/run/postgresql";

/// True for servers that are looked for where nothing says where they are: at the socket beside our own.
fn is_default(config: &Config, addresses: &[crate::types::ServerAddress]) -> bool {
    let is_drop_in = config.process.compat == Compat::PgBouncer;
    match (addresses, &config.process.unix_socket_dir) {
        ([crate::types::ServerAddress::Unix { folder, .. }], Some(own)) => own == folder,
        // Where there is none, libpq's place is looked in.
        ([crate::types::ServerAddress::Unix { folder, .. }], None) => {
            is_drop_in && folder.as_os_str() == LIBPQ_FOLDER
        }
        _ => false,
    }
}

fn users(host: &dyn Host, config: &Config, pools: &[Arc<Pool>]) -> Vec<UserFacts> {
    let seen = pools.iter().map(|pool| &pool.key.user);
    let known = host.known_users();
    let names: BTreeSet<&Name> = config.users.keys().chain(seen).chain(&known).collect();
    let facts = names.into_iter().map(|name| {
        let facts = UserFacts {
            name: Name::clone(name),
            connections: host.pools().user_servers(name),
            clients: host.clients_of_user(name),
            max_connections: config.max_user_connections(name),
            max_clients: config.max_user_client_connections(name),
            ..UserFacts::default()
        };
        let Some(user) = config.users.get(name) else { return facts };
        UserFacts {
            pool_size: user.overrides.pool_size,
            reserve_pool_size: user.overrides.reserve_pool_size,
            mode: user.overrides.pool_mode,
            ..facts
        }
    });
    facts.collect()
}

/// True for a server that will be closed when its client lets go of it.
pub(super) fn is_outdated(server: &crate::stats::ServerRecord) -> bool {
    server.close_needed.load(Ordering::Relaxed)
}

//! In the drop-in mode the console is a database among the others, as in PgBouncer: with a pool, a user, and clients.

use std::sync::Arc;

use super::Host;
use crate::stats::{ClientsByState, DatabaseFacts, PoolFacts, Snapshot, UserFacts};
use crate::types::{Name, PoolMode};

/// What the database, its user and its pool are called.
pub(super) const NAME: &str = "pgbouncer";
/// What PgBouncer says of its pool's size; it limits nothing.
const POOL_SIZE: usize = 2;

/// Adds the console to a snapshot.
pub(super) fn add(snapshot: &mut Snapshot, host: &dyn Host) {
    let consoles = host.consoles().all();
    let count = consoles.len();
    snapshot.databases.push(database(host, count));
    snapshot.databases.sort_by(|a, b| a.name.cmp(&b.name));
    snapshot.pools.push(pool(count));
    snapshot.pools.sort_by(|a, b| (&a.database, &a.user).cmp(&(&b.database, &b.user)));
    let own = snapshot.users.iter_mut().find(|user| user.name.as_ref() == NAME);
    match own {
        Some(user) => user.clients += count,
        None => {
            snapshot.users.push(UserFacts {
                name: NAME.into(),
                clients: count,
                ..UserFacts::default()
            });
            snapshot.users.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }
    snapshot.process.clients += count;
    snapshot.clients.extend(consoles.iter().map(Arc::clone));
    snapshot.clients.sort_by_key(|client| client.id);
}

fn database(host: &dyn Host, clients: usize) -> DatabaseFacts {
    let name: Name = NAME.into();
    DatabaseFacts {
        port: host.config().process.listen_port,
        dbname: Name::clone(&name),
        force_user: Some(Name::clone(&name)),
        name,
        pool_size: POOL_SIZE,
        mode: Some(PoolMode::Statement),
        clients,
        ..DatabaseFacts::default()
    }
}

fn pool(clients: usize) -> PoolFacts {
    PoolFacts {
        database: NAME.into(),
        user: NAME.into(),
        mode: PoolMode::Statement,
        size: POOL_SIZE,
        clients: ClientsByState { idle: clients, ..ClientsByState::default() },
        ..PoolFacts::default()
    }
}

//! The settings of pools: `[defaults]` has them all, databases and users override them.

use super::kinds::{Bytes, Count, Delay, Flag, Kind, Limit, Limited, Pause, Share};
use super::resolved_pool::{PoolOverrides, PoolSettings};
use super::setting::{RELOAD, Setting, built_in};
use super::words::{OneOf, Text};
use crate::types::{PoolMode, Unsharable};

/// The name in `[defaults]` and its alias: PgBouncer has a longer name there for some.
const fn names(long: &[&'static str], key: &'static str) -> (&'static str, Option<&'static str>) {
    match long {
        [long, ..] => (long, Some(key)),
        [] => (key, None),
    }
}

macro_rules! pool_settings {
    ($($field:ident $(($long:literal))?: $kind:ty = $default:literal, $doc:literal;)*) => {
        /// `[defaults]`.
        pub(super) const DEFAULTS: &[Setting<PoolSettings>] = &[$(
            Setting {
                key: names(&[$($long)?], stringify!($field)).0,
                alias: names(&[$($long)?], stringify!($field)).1,
                shown: names(&[$($long)?], stringify!($field)).0,
                default: $default,
                doc: $doc,
                reloadable: RELOAD,
                unit: <$kind as Kind>::UNIT,
                read: |target, node, cx| {
                    <$kind as Kind>::read(node, cx).map(|value| target.$field = value).is_some()
                },
                show: |target| Some(<$kind as Kind>::show(&target.$field)),
            },
        )*];

        /// What `[databases.NAME]` and `[users.NAME]` may override.
        pub(super) const POOL: &[Setting<PoolOverrides>] = &[$(
            Setting {
                key: stringify!($field),
                alias: None,
                shown: stringify!($field),
                default: $default,
                doc: $doc,
                reloadable: RELOAD,
                unit: <$kind as Kind>::UNIT,
                read: |target, node, cx| {
                    target.$field = <$kind as Kind>::read(node, cx);
                    target.$field.is_some()
                },
                show: |target| target.$field.as_ref().map(<$kind as Kind>::show),
            },
        )*];

        impl Default for PoolSettings {
            /// The defaults of the settings table.
            fn default() -> Self {
                PoolSettings { $($field: built_in::<$kind>($default),)* classes: Vec::new() }
            }
        }
    };
}

pool_settings! {
    pool_size ("default_pool_size"): Count<1> = "20",
        "Servers of one pool, which is one database and one user.";
    min_pool_size: Count<0> = "0",
        "Servers kept ready once the pool is in use; never more than the pool's size.";
    reserve_pool_size: Count<0> = "0",
        "Servers beyond the pool's size for clients that wait too long.";
    reserve_pool_timeout: Limited = "5s",
        "How long a client waits before the reserve is used.";
    pool_mode: OneOf<PoolMode> = "transaction",
        "When a server goes back to the pool: after a transaction, a session or a statement.";
    query_wait_timeout: Limited = "10s",
        "A client waits this long for a server, then gets an error and stays connected.";
    query_wait_notify: Limited = "2s",
        "A client that waits this long for a server gets a NOTICE.";
    max_queue: Limit = "0",
        "Clients of one class that may wait for one pool; one more is refused at once. 0 is no limit.";
    queue_deadline: Limited = "off",
        "A client that would have to wait longer, by the pace of its queue, is refused at once; one that has, is as well.";
    log_queue_wait: Limited = "1s",
        "A wait that lasts this long is logged with its reasons, once a second for each pool.";
    server_connect_timeout: Limited = "5s",
        "Longest time for connecting to a server, its login included.";
    server_login_retry: Pause = "1s",
        "Pause after a failed server login; it doubles up to 16 times this.";
    server_lifetime: Limited = "1h",
        "A server older than this is closed when it is free, spread by up to a tenth.";
    server_idle_timeout: Limited = "10m",
        "A server idle for longer is closed.";
    server_check_delay: Delay = "30s",
        "A server idle for longer is checked before use; \"0s\" is always, \"off\" is never.";
    idle_transaction_timeout: Limited = "off",
        "A transaction in which the client says nothing for longer is ended.";
    transaction_timeout: Limited = "off",
        "A transaction that lasts longer is ended.";
    query_timeout: Limited = "off",
        "A query that runs longer is cancelled.";
    client_idle_timeout: Limited = "off",
        "A client that is idle outside a transaction for longer is disconnected.";
    max_prepared_statements: Count<0> = "200",
        "Prepared statements kept on each server; 0 leaves their names to the clients.";
    max_session_state: Bytes = "64KiB",
        "Names and values of the parameters that one client may set.";
    max_packet_size: Bytes = "1GiB",
        "The largest message, of a client or of a server, that is passed on; a larger one ends the session.";
    unsharable_state: OneOf<Unsharable> = "pin",
        "What becomes of statements whose effect on the session cannot be shared: pin, error or warn.";
    max_pinned: Share = "100%",
        "Clients of a pool that may keep their servers: a number, or a percentage of the pool's size.";
    listen_buffer: Bytes = "16MiB",
        "Notifications kept for a client that does not read them; one with more is disconnected.";
    audit_sample: Count<0> = "1000",
        "One in so many transactions is followed by a look at what it left on its server; 0 never looks.";
    server_reset_query: Text = "DISCARD ALL",
        "Sent between two clients of a server in session mode; empty sends nothing.";
    server_reset_query_always: Flag = "false",
        "Send server_reset_query in the other modes too, whenever a client lets go of its server.";
    server_check_query: Text = "<empty>",
        "How a server is checked: \"<empty>\" by an empty query, or by this one; empty never checks.";
    server_fast_close: Flag = "false",
        "Servers that have to go do so when their transaction is over, without waiting for the end of a session.";
    server_round_robin: Flag = "false",
        "Use the server next that was idle for longest, instead of the one used last.";
}

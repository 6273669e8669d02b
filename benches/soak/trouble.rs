//! What happens to the crowd: killed servers, a pool that grows and shrinks, reloads.

use std::time::{Duration, Instant};

use pgusher_testkit::{Cluster, Pgusher, Signal};

/// How often something happens.
const PAUSE: Duration = Duration::from_secs(2);

/// Sizes of the pool.
const SIZES: [u32; 2] = [20, 8];

/// A pgusher before `cluster`.
pub(crate) fn start(cluster: &Cluster) -> Pgusher {
    Pgusher::start(env!("CARGO_BIN_EXE_pgusher"), &config(cluster, SIZES[0]))
}

fn config(cluster: &Cluster, size: u32) -> String {
    format!(
        "[pgusher]\nlisten_addr = \"127.0.0.1\"\nlisten_port = {{port}}\nauth_type = \"trust\"\n\
         log_connections = false\nlog_disconnections = false\n\
         [databases.app]\nhost = \"127.0.0.1\"\nport = {}\ndbname = \"postgres\"\nuser = \"{}\"\npool_size = {size}\n",
        cluster.port(),
        cluster.superuser(),
    )
}

/// Makes trouble until the end.
pub(crate) fn make(cluster: &Cluster, pgusher: &Pgusher, until: Instant) {
    for turn in 0_usize.. {
        if Instant::now() >= until {
            return;
        }
        std::thread::sleep(PAUSE);
        match turn % 3 {
            0 => {
                pgusher.rewrite_config(&config(cluster, SIZES[(turn / 3) % SIZES.len()]));
                pgusher.signal(Signal::HUP);
            }
            1 => {
                cluster.psql(
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'soak-%' \
                     order by random() limit 1",
                );
            }
            _ => pgusher.signal(Signal::HUP),
        }
    }
}

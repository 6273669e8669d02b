//! What happens to the crowd: killed servers, a network that breaks, a pool that grows and shrinks, reloads.

use std::fmt;
use std::time::{Duration, Instant};

use pgusher_testkit::{
    Cluster, FaultProxy, Pgusher, Signal, TRUSTING, processes, self_signed, wait_for_blocking,
};

use crate::binary::binary;

/// How often something happens.
const PAUSE: Duration = Duration::from_secs(2);

/// How long pgusher may take over a reload.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sizes of the pool.
const SIZES: [u32; 2] = [20, 8];

/// What pgusher says when it has reloaded, and when the pool was part of it.
const RELOADED: &str = "configuration reloaded";
const RESIZED: &str = "adjusted=[\"app\"]";

/// A private PostgreSQL behind a network that can break, and pgusher before it.
pub(crate) struct Site<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) network: FaultProxy,
    pub(crate) pgusher: Pgusher,
}

/// How much of each has happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Troubles {
    resizes: usize,
    reloads: usize,
    /// Servers that an administrator has ended.
    killed: usize,
    /// Connections to servers that were reset.
    cut: usize,
}

impl Troubles {
    /// How many kinds of trouble have not come.
    pub(crate) fn missing(&self) -> usize {
        let all = [self.resizes, self.reloads, self.killed, self.cut];
        all.iter().filter(|&&count| count == 0).count()
    }

    /// The most requests that they can have made fail.
    pub(crate) fn victims(&self) -> usize {
        self.killed + self.cut
    }
}

impl fmt::Display for Troubles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Troubles { resizes, reloads, killed, cut } = self;
        write!(
            f,
            "{resizes} resizes, {reloads} further reloads, {killed} servers killed, {cut} connections to servers reset"
        )
    }
}

impl<'a> Site<'a> {
    /// Starts the network and pgusher.
    pub(crate) async fn open(cluster: &'a Cluster) -> Self {
        let network = FaultProxy::start(([127, 0, 0, 1], cluster.port())).await;
        let tls = self_signed("localhost", &[]);
        let config = config(cluster, network.port(), SIZES[0]);
        let builder = Pgusher::builder(binary(), &config);
        let builder = builder.file("tls.crt", &tls.certificate).file("tls.key", &tls.key);
        let pgusher = builder.start();
        Site { cluster, network, pgusher }
    }

    /// Descriptors of pgusher that are no connections to servers, of which it may keep some open.
    pub(crate) fn own_descriptors(&self) -> usize {
        let all = processes::open_fds(self.pgusher.pid()).expect("it runs");
        all.saturating_sub(self.network.open_connections())
    }

    /// Makes trouble until the end.
    pub(crate) fn trouble(&self, until: Instant) -> Troubles {
        let mut troubles = Troubles::default();
        for turn in 0_usize.. {
            std::thread::sleep(PAUSE);
            if Instant::now() >= until {
                break;
            }
            match turn % 4 {
                0 => {
                    // The first one has to be another than at the start.
                    let size = SIZES[(turn / 4 + 1) % SIZES.len()];
                    self.pgusher.rewrite_config(&config(self.cluster, self.network.port(), size));
                    self.reload(RESIZED);
                    troubles.resizes += 1;
                }
                1 => troubles.killed += self.kill(),
                2 => {
                    self.reload(RELOADED);
                    troubles.reloads += 1;
                }
                _ => {
                    troubles.cut += self.network.open_connections();
                    self.network.kill_all();
                }
            }
        }
        troubles
    }

    /// Asks for a reload, and waits for the words that it took place.
    fn reload(&self, words: &str) {
        let count = || self.pgusher.log().matches(words).count();
        let before = count();
        self.pgusher.signal(Signal::HUP);
        assert!(wait_for_blocking(PATIENCE, || count() > before), "no reload says {words:?}");
    }

    /// Ends a server that has run queries of the crowd; gives how many.
    fn kill(&self) -> usize {
        let killed = self.cluster.psql(
            "select count(*) filter (where pg_terminate_backend(pid)) from (select pid from pg_stat_activity \
             where application_name like 'soak-%' order by random() limit 1) one",
        );
        killed.trim().parse().expect("a number")
    }
}

fn config(cluster: &Cluster, port: u16, size: u32) -> String {
    format!(
        "{TRUSTING}log_connections = false\nlog_disconnections = false\n\
         [tls.client]\nsslmode = \"allow\"\ncert_file = \"{{dir}}/tls.crt\"\nkey_file = \"{{dir}}/tls.key\"\n\
         [databases.app]\nhost = \"127.0.0.1\"\nport = {port}\ndbname = \"postgres\"\nuser = \"{}\"\npool_size = {size}\n",
        cluster.superuser(),
    )
}

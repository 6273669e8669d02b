//! PostgreSQL with two servers for everybody, and a look at what is left.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use pgusher_testkit::{Cluster, Pgusher, TRUSTING, wait_for_blocking};

use crate::registry::{Runtime, scripts};

/// A script that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(240);

/// Both of them.
#[derive(Debug)]
pub(crate) struct Stage {
    cluster: Cluster,
    pgusher: Pgusher,
}

impl Stage {
    /// Sets it up. Every transaction is followed by a look at what it left on its server.
    pub(crate) fn set() -> Self {
        let cluster = Cluster::builder().max_connections(60).build();
        cluster.psql("create role app login; create database app owner app; create role alice; grant alice to app");
        let text = format!(
            "{TRUSTING}[http]\nlisten = \"127.0.0.1:{{http_port}}\"\n\
             [databases.app]\nhost = \"127.0.0.1\"\nport = {}\n\
             pool_size = 2\nquery_wait_timeout = \"2m\"\nquery_wait_notify = \"off\"\naudit_sample = 1\n",
            cluster.port()
        );
        let pgusher = Pgusher::start(Path::new(env!("CARGO_BIN_EXE_pgusher")), &text);
        Stage { cluster, pgusher }
    }

    /// Plays a script on connections of its own, which shows that what it expects is PostgreSQL's way, and then on
    /// two servers that all of its clients share.
    pub(crate) fn play(&self, runtime: &Runtime, script: &str) {
        self.play_on(self.cluster.port(), runtime, script);
        self.play_on(self.pgusher.port(), runtime, script);
        self.look_for_leaks();
    }

    fn play_on(&self, port: u16, runtime: &Runtime, script: &str) {
        let mut child = Command::new(&runtime.program)
            .arg(scripts().join(script))
            .envs(runtime.environment.iter().map(|(name, value)| (name, value)))
            .env("PGUSHER_PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("start {runtime:?}: {error}"));
        let ended =
            wait_for_blocking(LONGEST, || child.try_wait().is_ok_and(|status| status.is_some()));
        if !ended {
            let _ = child.kill();
        }
        let said = child.wait_with_output().expect("wait for a script");
        let words = String::from_utf8_lossy(&said.stderr);
        let whose = if port == self.pgusher.port() { "through pgusher" } else { "directly" };
        let log = self.pgusher.log();
        assert!(
            ended && said.status.success(),
            "{script} {whose}:\n{words}\npgusher's log:\n{log}"
        );
    }

    /// Nobody is pinned any more, and what was looked at after each transaction was as it should be.
    fn look_for_leaks(&self) {
        let (_, page) = self.pgusher.http_get("/metrics");
        let metric = |name: &str| {
            let lines =
                page.lines().filter(|line| line.starts_with(name) && !line.starts_with('#'));
            lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>()
        };
        assert!(page.contains("pgusher_state_leaks_total"), "{page}");
        assert_eq!(metric("pgusher_state_leaks_total"), 0.0, "{}", self.pgusher.log());
        let left = self.cluster.psql("select count(*) from pg_locks where locktype = 'advisory'");
        assert_eq!(left.trim(), "0");
    }
}

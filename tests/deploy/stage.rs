//! A pgusher in whose life everything happens that a dashboard shows.

use std::time::Duration;

use pgusher_testkit::{
    Cluster, Pair, Pgusher, RawClient, TRUSTING, free_port, frontend, self_signed,
};

/// Longer than anything that works can take.
const LIMIT: Duration = Duration::from_secs(30);

/// How long a client waits for a server before it is told so.
const PATIENCE: &str = "300ms";

/// A pgusher with both sets of metrics and the database `app`, which has two servers.
pub(crate) fn start(database: &str) -> Pgusher {
    let settings = format!(
        "pool_size = 2\nquery_wait_timeout = \"{PATIENCE}\"\nmax_db_connections = 10\nmax_db_client_connections = 50"
    );
    let pooled = Cluster::shared().pooled("app", database, &settings);
    let nobody = free_port();
    let config = format!(
        r#"
{TRUSTING}
admin_users = ["boss"]

[http]
listen = "127.0.0.1:{{http_port}}"
metrics_compat = ["pgbouncer_exporter"]

[tls.client]
sslmode = "allow"
cert_file = "{{dir}}/tls.crt"
key_file = "{{dir}}/tls.key"

[otlp]
endpoint = "http://127.0.0.1:{nobody}"
interval = "1s"

[classes.batch]
application_names = ["batch"]
max_servers = 1

{pooled}"#
    );
    let Pair { certificate, key } = self_signed("localhost", &[]);
    Pgusher::builder(env!("CARGO_BIN_EXE_pgusher"), &config)
        .file("tls.crt", &certificate)
        .file("tls.key", &key)
        .start()
}

/// Clients that do one of everything, again and again.
pub(crate) struct Life {
    port: u16,
    listener: RawClient,
    console: RawClient,
}

impl Life {
    pub(crate) async fn begin(pgusher: &Pgusher) -> Self {
        let port = pgusher.port();
        let mut listener = client(port, "listener").await;
        listener.query("listen news").await;
        let mut console = RawClient::login(port, "pgusher", "boss", "").await;
        console.set_time_limit(LIMIT);
        Life { port, listener, console }
    }

    /// One of everything.
    pub(crate) async fn round(&mut self) {
        self.work().await;
        self.heal().await;
        self.wait_in_vain().await;
        self.listener.query("select 'what has come meanwhile is read with this'").await;
        self.console.query("reconnect app").await;
    }

    /// Queries of all kinds, an error, a pin, a notification, a cancel request and a client that just goes.
    async fn work(&self) {
        let mut web = client(self.port, "web").await;
        web.query("select 1").await;
        web.query("set timezone = 'Europe/Rome'").await;
        for _ in 0..3 {
            web.query_extended("select $1::text", &[Some("x")]).await;
        }
        assert!(web.query("select 1/0").await.error.is_some());
        web.query("notify news").await;
        let mut pinned = client(self.port, "migration").await;
        pinned.query("create temp table t (a int)").await;
        pinned.query("drop table t").await;
        RawClient::cancel(self.port, web.pid(), web.key()).await;
        pinned.terminate().await;
        drop(web);
    }

    /// A statement that has other columns than it had when the server prepared it: somebody else has changed its table.
    async fn heal(&self) {
        let mut web = client(self.port, "web").await;
        let database = web.query("select current_database()").await.value().to_owned();
        let ddl = |sql: &str| Cluster::shared().psql_in(&database, sql);
        ddl("drop table if exists shape; create table shape (a int)");
        let ask = [
            frontend::bind("", "s", &[]),
            frontend::describe(b'P', ""),
            frontend::execute("", 0),
            frontend::sync(),
        ]
        .concat();
        let parse = frontend::parse("s", "select * from shape", &[]);
        web.send(&[parse, ask.clone()].concat()).await;
        web.read_result().await;
        ddl("alter table shape add column b int");
        web.send(&ask).await;
        web.read_result().await;
    }

    /// Both servers are idle in transactions while others wait: at first in vain, then until they are served.
    async fn wait_in_vain(&self) {
        let mut holders = [client(self.port, "nightly").await, client(self.port, "batch").await];
        for holder in &mut holders {
            // After the other clients of the round; on a busy machine it may take more than one try.
            while holder.query("begin").await.error.is_some() {}
        }
        let mut batch = client(self.port, "batch").await;
        batch.send(&frontend::query("select 'batch'")).await;
        let mut web = client(self.port, "web").await;
        let error = web.query("select 'too late'").await;
        assert_eq!(error.unwrap_error().code(), "53300");
        batch.read_result().await;
        web.send(&frontend::query("select 'served'")).await;
        for mut holder in holders {
            holder.query("commit").await;
            holder.terminate().await;
        }
        web.read_result().await;
    }
}

async fn client(port: u16, application: &str) -> RawClient {
    let mut client = RawClient::connect(port).await;
    client.set_time_limit(LIMIT);
    let user = "alice";
    let params = [("user", user), ("database", "app"), ("application_name", application)];
    client.startup(0, &params).await;
    client.authenticate(user, "").await.unwrap();
    client
}

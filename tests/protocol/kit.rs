//! A pool of few servers, and scripts that run on both roads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pgusher_testkit::{Cluster, Message, Pgusher, RawClient, TRUSTING, frontend};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

static DATABASES: AtomicUsize = AtomicUsize::new(0);

/// A database of its own on the shared cluster, and a pgusher in front of it.
pub(crate) struct Site {
    pub(crate) pgusher: Pgusher,
    pub(crate) database: String,
}

/// A pool of `servers`, with more lines for the database's section.
pub(crate) fn site_with(servers: usize, more: &str) -> Site {
    let number = DATABASES.fetch_add(1, Ordering::Relaxed);
    let database = format!("p{number}");
    let cluster = Cluster::shared();
    cluster.create_database(&database);
    let config = config(&database, cluster.port(), servers, more);
    Site { pgusher: Pgusher::start(env!("CARGO_BIN_EXE_pgusher"), &config), database }
}

/// A pool of `servers`.
pub(crate) fn site(servers: usize) -> Site {
    site_with(servers, "")
}

/// A configuration for one database behind `port`.
pub(crate) fn config(database: &str, port: u16, servers: usize, more: &str) -> String {
    format!(
        "{TRUSTING}worker_threads = 2\n\
         [databases.{database}]\nhost = \"127.0.0.1\"\nport = {port}\npool_size = {servers}\n{more}\n"
    )
}

impl Site {
    /// A client of the pool.
    pub(crate) async fn client(&self) -> RawClient {
        RawClient::login(self.pgusher.port(), &self.database, "postgres", "").await
    }

    /// A client of PostgreSQL itself.
    pub(crate) async fn direct(&self) -> RawClient {
        RawClient::login(Cluster::shared().port(), &self.database, "postgres", "").await
    }

    /// Runs SQL apart from both.
    pub(crate) fn psql(&self, sql: &str) -> String {
        Cluster::shared().psql_in(&self.database, sql)
    }

    /// Nothing broke on the way: no server was out of step, and nothing panicked.
    pub(crate) fn assert_calm(&self) {
        assert_calm(&self.pgusher);
    }

    /// Runs a script straight and through the pool, where another client uses the servers between the steps, and
    /// compares the replies.
    pub(crate) async fn same(&self, script: &[Step]) {
        let mut straight = self.direct().await;
        let expected = run(&mut straight, script, None).await;
        straight.terminate().await;
        let (mut client, mut other) = (self.client().await, self.client().await);
        let found = run(&mut client, script, Some(&mut other)).await;
        for (step, (expected, found)) in expected.iter().zip(&found).enumerate() {
            assert_eq!(found, expected, "step {step} of the script");
        }
        assert_eq!(found.len(), expected.len());
        client.terminate().await;
        assert_eq!(other.query("select 'intact'").await.value(), "intact");
        self.assert_calm();
    }
}

/// Nothing broke on the way: no server was out of step, and nothing panicked.
pub(crate) fn assert_calm(pgusher: &Pgusher) {
    let log = pgusher.log();
    for word in ["panic", "out of sync", "broke the protocol"] {
        assert!(!log.contains(word), "{word} in pgusher's log:\n{log}");
    }
}

/// Bytes to send, and how to tell that the answer is complete.
pub(crate) struct Step {
    bytes: Vec<u8>,
    until: u8,
    times: usize,
}

/// Messages that are answered with one ReadyForQuery.
pub(crate) fn ask(messages: &[Vec<u8>]) -> Step {
    asks(messages, 1)
}

/// Messages that are answered with several.
pub(crate) fn asks(messages: &[Vec<u8>], ready: usize) -> Step {
    Step { bytes: messages.concat(), until: b'Z', times: ready }
}

/// Messages whose answer is complete with a message of this tag.
pub(crate) fn until(messages: &[Vec<u8>], tag: u8) -> Step {
    Step { bytes: messages.concat(), until: tag, times: 1 }
}

/// One simple query.
pub(crate) fn sql(text: &str) -> Step {
    ask(&[frontend::query(text)])
}

/// Several simple queries, one after the other.
pub(crate) fn sqls(texts: &[&str]) -> Vec<Step> {
    texts.iter().map(|text| sql(text)).collect()
}

/// Parse, Bind, Execute of the unnamed statement.
pub(crate) fn unnamed(text: &str, params: &[Option<&str>]) -> Vec<u8> {
    [
        frontend::parse("", text, &[]),
        frontend::bind("", "", params),
        frontend::describe(b'P', ""),
        frontend::execute("", 0),
    ]
    .concat()
}

async fn run(
    client: &mut RawClient,
    script: &[Step],
    mut other: Option<&mut RawClient>,
) -> Vec<Vec<Message>> {
    client.set_time_limit(PATIENCE);
    let mut replies = Vec::new();
    let mut at_rest = true;
    for step in script {
        if let Some(other) = other.as_deref_mut().filter(|_| at_rest) {
            disturb(other).await;
        }
        client.send(&step.bytes).await;
        let mut reply = Vec::new();
        for _ in 0..step.times {
            reply.extend(client.recv_until(step.until).await);
        }
        at_rest = reply.last().is_some_and(|last| last.tag == b'Z' && last.body[..] == *b"I");
        replies.push(reply.into_iter().map(anonymous).collect());
    }
    replies
}

/// Leaves things on the server that the next client must not find.
async fn disturb(other: &mut RawClient) {
    let text = "select 'somebody else'";
    let parse = frontend::parse("s1", text, &[]);
    let close = frontend::close(b'S', "s1");
    other.send(&[close, parse, unnamed(text, &[]), frontend::sync()].concat()).await;
    assert_eq!(other.read_result().await.value(), "somebody else");
}

/// A notification without its process id.
fn anonymous(message: Message) -> Message {
    if message.tag != b'A' {
        return message;
    }
    let body = [&[0; 4], &message.body[4..]].concat();
    Message { tag: message.tag, body: body.into() }
}

//! One client, one server, and pgusher between them.

use std::fmt;
use std::time::Duration;

use pgusher_testkit::{RawClient, TRUSTING, frontend};
use tokio::sync::{Mutex, MutexGuard};

/// Longer than anything takes.
const LIMIT: Duration = Duration::from_secs(120);

/// Who holds it counts.
static COUNTING: Mutex<()> = Mutex::const_new(());

/// Waits until no other gate counts: beside one another they would be slower, and more ticks come into slow transactions.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    COUNTING.lock().await
}

/// How a client asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    Simple,
    Extended,
    Prepared,
}

impl Style {
    pub(crate) const ALL: [Style; 3] = [Style::Simple, Style::Extended, Style::Prepared];

    /// What prepares the transactions.
    fn prelude(self) -> Option<Vec<u8>> {
        let Style::Prepared = self else { return None };
        Some([frontend::parse("s", "select 1", &[]), frontend::sync()].concat())
    }

    /// The tag of the message that begins a transaction.
    pub(crate) fn first_tag(self) -> u8 {
        self.request()[0]
    }

    /// One transaction.
    fn request(self) -> Vec<u8> {
        let run = |name: &str| {
            let parts = [
                frontend::bind("", name, &[]),
                frontend::describe(b'P', ""),
                frontend::execute("", 0),
                frontend::sync(),
            ];
            parts.concat()
        };
        match self {
            Style::Simple => frontend::query("select 1"),
            Style::Extended => [frontend::parse("", "select 1", &[]), run("")].concat(),
            Style::Prepared => run("s"),
        }
    }
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Style::Simple => "simple",
            Style::Extended => "extended",
            Style::Prepared => "prepared",
        })
    }
}

/// A configuration with one worker; `port` is the server's. Nothing is recorded and nothing audited, so that all
/// transactions are alike.
pub(crate) fn config(port: u16, send_engine: &str) -> String {
    format!(
        "{TRUSTING}worker_threads = 1\nlog_level = \"error\"\nadvise_windows = 0\nsend_engine = \"{send_engine}\"\n\
         [databases.app]\nhost = \"127.0.0.1\"\nport = {port}\npool_size = 1\naudit_sample = 0\n"
    )
}

/// A client that has come to the point where every transaction is like the one before.
pub(crate) async fn client(port: u16, style: Style) -> RawClient {
    let mut client = RawClient::connect(port).await;
    client.set_time_limit(LIMIT);
    client.startup(0, &[("user", "ann"), ("database", "app")]).await;
    client.authenticate("ann", "").await.unwrap();
    if let Some(prelude) = style.prelude() {
        client.send(&prelude).await;
        client.read_ready().await;
    }
    client
}

/// So many transactions, one after the other.
pub(crate) async fn transact(client: &mut RawClient, style: Style, count: usize) {
    let request = style.request();
    for _ in 0..count {
        client.send(&request).await;
        client.read_ready().await;
    }
}

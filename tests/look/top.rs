//! `pgusher top`.

use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Command, Output};
use std::sync::Arc;

use parking_lot::Mutex;
use pgusher_testkit::{Cluster, Pgusher, RawClient, wait_for_blocking};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::stage::{Jam, LIMIT, start};

const SIZE: PtySize = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };

fn once(pgusher: &Pgusher, arguments: &[&str], password: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pgusher"))
        .args(["top", "--once", "-i", "200ms"])
        .args(arguments)
        .arg(format!("host=127.0.0.1 port={} user=watcher", pgusher.port()))
        .env("PGPASSWORD", password)
        .output()
        .expect("run pgusher top")
}

fn parser(size: PtySize) -> vt100::Parser {
    let sides = [size.rows, size.cols].map(|side| NonZero::new(side).expect("a size"));
    vt100::Parser::new(sides[0], sides[1], 0)
}

/// The view on a terminal of its own.
struct View {
    screen: Arc<Mutex<vt100::Parser>>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    terminal: Box<dyn MasterPty + Send>,
}

impl View {
    fn open(pgusher: &Pgusher) -> Self {
        let pair = native_pty_system().openpty(SIZE).expect("a pseudo terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_pgusher"));
        command.args(["top", "-i", "100ms", "-h", "127.0.0.1", "-U", "boss", "-p"]);
        command.arg(pgusher.port().to_string());
        command.env("PGPASSWORD", "boss-word");
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).expect("run pgusher top");
        let screen = Arc::new(Mutex::new(parser(SIZE)));
        let mut output = pair.master.try_clone_reader().expect("its output");
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                shown.lock().process(&bytes[..read]);
            }
        });
        let keys = pair.master.take_writer().expect("its keyboard");
        View { screen, keys, child, terminal: pair.master }
    }

    fn text(&self) -> String {
        self.screen.lock().screen().contents()
    }

    /// Keeps the screen as `NAME.txt` in the folder SCREENSHOTS, for people who want to look.
    fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("SCREENSHOTS") else { return };
        let path = std::path::Path::new(&folder).join(format!("{name}.txt"));
        std::fs::write(path, self.text()).expect("keep a picture");
    }

    /// Another size of the terminal.
    fn resize(&mut self, size: PtySize) {
        *self.screen.lock() = parser(size);
        self.terminal.resize(size).expect("another size");
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("press keys");
        self.keys.flush().expect("press keys");
    }

    fn wait(&mut self, what: &str, holds: impl Fn(&str) -> bool) {
        let came = wait_for_blocking(LIMIT, || holds(&self.text()));
        assert!(came, "{what} is not on the screen:\n{}", self.text());
    }

    fn wait_left(&mut self) {
        let left = wait_for_blocking(LIMIT, || self.child.try_wait().is_ok_and(|s| s.is_some()));
        assert!(left, "it is still there:\n{}", self.text());
        let is_back = || !self.screen.lock().screen().alternate_screen();
        assert!(wait_for_blocking(LIMIT, is_back), "the terminal was not given back");
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_shows_who_waits_and_for_whom_until_somebody_leaves() {
    let pgusher = start("look_top_view", "");
    let jam = Jam::make(&pgusher).await;
    let mut view = View::open(&pgusher);
    view.wait("a full pool", |text| text.contains("1/1") && text.contains("1 waiting, oldest"));
    view.wait("its holder", |text| text.contains("idle_in_transaction billing (alice)"));
    view.press("2");
    view.wait("the waiter", |text| text.contains("PLACE") && text.contains("bob"));
    view.press("3");
    view.wait("the blocker", |text| {
        text.contains("LAST STATEMENT") && text.contains("select ? as thing")
    });
    assert!(!view.text().contains("secret"), "{}", view.text());
    jam.solve().await;
    view.press("1");
    view.wait("an empty queue", |text| text.contains("0 waiting"));
    view.resize(PtySize { cols: 140, ..SIZE });
    view.wait("the columns of a wide screen", |text| text.contains("CLIENTS"));
    view.press("q");
    view.wait_left();
}

/// However many pools and however small the screen: the worst comes first, and what is too much is cut, not wrapped.
#[tokio::test(flavor = "multi_thread")]
async fn many_pools_fit_small_and_large_terminals() {
    const MANY: usize = 30;
    let section = |number: usize| {
        let cluster = Cluster::shared();
        let (host, port, user) = (cluster.host(), cluster.port(), cluster.superuser());
        format!(
            "[databases.a_database_with_a_rather_long_name_{number:02}]\nhost = \"{host}\"\nport = {port}\n\
             dbname = \"look_top_many\"\nuser = \"{user}\"\npool_size = 9\n"
        )
    };
    let sections: String = (0..MANY).map(section).collect();
    let pgusher = start("look_top_many", &sections);
    let mut clients = Vec::new();
    for number in 0..MANY {
        let name = format!("a_database_with_a_rather_long_name_{number:02}");
        let mut client = RawClient::login(pgusher.port(), &name, "alice", "alice-word").await;
        assert_eq!(client.query("select 1").await.error, None);
        clients.push(client);
    }
    let jam = Jam::make(&pgusher).await;
    let mut view = View::open(&pgusher);
    let is_first = |text: &str| {
        let first = text.lines().find(|line| line.contains("a_database") || line.contains("1/1"));
        first.is_some_and(|line| line.contains("app"))
    };
    view.wait("the pool with a queue before all others that there is room for", |text| {
        is_first(text) && text.contains("name_07")
    });
    view.picture("top-80x24");
    assert!(!view.text().contains("##"), "{}", view.text());
    for (key, title) in [("2", "WAITEDv"), ("3", "LAST STATEMENT")] {
        view.press(key);
        view.wait(title, |text| text.contains(title));
        view.picture(&format!("top-80x24-{key}"));
    }
    view.press("1");
    // A key and a signal at one moment are too much for the library that reads the terminal.
    view.wait("the pools again", is_first);
    view.resize(PtySize { rows: 50, cols: 200, ..SIZE });
    let last = format!("a_database_with_a_rather_long_name_{:02}", MANY - 1);
    view.wait("all pools with their whole names", |text| text.contains(&last));
    view.wait("every column", |text| text.contains("CLIENTS") && is_first(text));
    view.picture("top-200x50");
    jam.solve().await;
    view.press("q");
    view.wait_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_outlives_the_pooler_and_gives_the_terminal_back_on_a_signal() {
    let mut pgusher = start("look_top_restart", "");
    let mut view = View::open(&pgusher);
    view.wait("the console", |text| text.contains("every 100ms"));
    pgusher.kill();
    view.wait("that it is lost", |text| text.contains("reconnecting"));
    let port = pgusher.port();
    let again = pgusher_testkit::Pgusher::builder(
        env!("CARGO_BIN_EXE_pgusher"),
        "[pgusher]\nlisten_addr = \"127.0.0.1\"\nlisten_port = {port}\nauth_file = \"{dir}/userlist.txt\"\n\
         admin_users = [\"boss\"]\n[databases.app]\nhost = \"127.0.0.1\"\nport = 1\n",
    )
    .file("userlist.txt", "\"boss\" \"boss-word\"\n")
    .port(port)
    .start();
    view.wait("that it is back", |text| text.contains("reconnected") || text.contains("every"));
    let pid = view.child.process_id().and_then(|pid| i32::try_from(pid).ok()).expect("a process");
    let pid = rustix::process::Pid::from_raw(pid).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("SIGTERM");
    view.wait_left();
    drop(again);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_get_a_table_or_json() {
    let pgusher = start("look_top_once", "");
    let jam = Jam::make(&pgusher).await;
    let json = once(&pgusher, &["--json"], "watcher-word");
    let text = String::from_utf8_lossy(&json.stdout);
    let look: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text} {}", String::from_utf8_lossy(&json.stderr))
    });
    let pool = &look["pools"][0];
    assert_eq!(
        (&pool["database"], &pool["size"], &pool["waiting"]),
        (&"app".into(), &1.into(), &1.into())
    );
    assert!(pool["oldest_wait_seconds"].as_f64().expect("a number") > 0.0, "{pool}");
    assert!(pool["rates"]["mean_busy"].as_f64().expect("a number") > 0.5, "{pool}");
    assert_eq!(look["blockers"][0]["application_name"], "billing");
    assert_eq!(look["blockers"][0]["state"], "idle_in_transaction");
    assert_eq!(look["waiters"][0]["user"], "bob");
    let none = once(&pgusher, &["--json", "-d", "other"], "watcher-word");
    assert!(String::from_utf8_lossy(&none.stdout).contains("\"pools\": []"));
    let table = once(&pgusher, &[], "watcher-word");
    let text = String::from_utf8_lossy(&table.stdout);
    assert!(text.contains("1 idle in tx") && text.contains("billing"), "{text}");
    jam.solve().await;
    let refused = once(&pgusher, &[], "wrong");
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && text.contains("password authentication failed"), "{text}");
}

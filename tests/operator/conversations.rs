//! Sessions that end before their clients wish, in both modes, and packets that are too large.

use pgusher_testkit::{Cluster, ErrorFields, Pgusher, RawClient, frontend};

use super::modes::{Mode, both};
use super::stage::{LIMIT, backend, line, login, start};

async fn busy(pgusher: &Pgusher) -> (RawClient, u32) {
    let mut client = login(pgusher, "app", "postgres").await;
    let pid = backend(&mut client).await.parse().unwrap();
    client.send(&frontend::query("select pg_sleep(600)")).await;
    let asks =
        format!("select count(*) from pg_stat_activity where pid = {pid} and state = 'active'");
    super::stage::until("the server works", || Cluster::shared().psql(&asks) == "1").await;
    (client, pid)
}

async fn next_error(client: &mut RawClient) -> ErrorFields {
    client.recv_until(b'E').await.last().unwrap().error()
}

/// The server's last words are handed on; PgBouncer adds its own.
#[tokio::test]
async fn a_server_that_is_told_to_go_says_so_itself() {
    for pool_mode in ["session", "transaction"] {
        for (mode, pgusher) in both(&format!("pool_mode = {pool_mode}"), &line("app", ""), &[]) {
            let (mut client, pid) = busy(&pgusher).await;
            Cluster::shared().psql(&format!("select pg_terminate_backend({pid})"));
            assert_eq!(next_error(&mut client).await.code(), "57P01");
            if mode == Mode::DropIn {
                let error = next_error(&mut client).await;
                mode.expect(&error, "08006", "server conn crashed?", "");
                pgusher.wait_log("closing because: server conn crashed? (age=", LIMIT);
            }
            client.expect_closed().await;
        }
    }
}

#[tokio::test]
async fn a_server_that_breaks_off_is_said_to_have_crashed() {
    let proxy =
        pgusher_testkit::FaultProxy::start(([127, 0, 0, 1], Cluster::shared().port())).await;
    let database = format!("app = host=127.0.0.1 port={} dbname=postgres\n", proxy.port());
    for (mode, pgusher) in both("", &database, &[]) {
        let (mut client, _) = busy(&pgusher).await;
        proxy.kill_all();
        let error = client.expect_fatal().await;
        mode.expect(&error, "08006", "server conn crashed?", "server closed the connection");
    }
}

/// What a batch comes to, from a fresh client.
async fn batch(pgusher: &Pgusher, bytes: &[Vec<u8>]) -> (RawClient, ErrorFields) {
    let mut client = login(pgusher, "app", "postgres").await;
    client.send(&bytes.concat()).await;
    loop {
        let message = client.recv().await;
        match message.tag {
            b'E' => return (client, message.error()),
            b'Z' => panic!("no error"),
            _ => {}
        }
    }
}

/// PostgreSQL refuses such a request and goes on; PgBouncer's sessions end.
#[tokio::test]
async fn wrong_names_of_statements() {
    let parameters = "pool_mode = transaction\nmax_prepared_statements = 10";
    let unknown = [frontend::bind("", "none", &[]), frontend::execute("", 0), frontend::sync()];
    let described = [frontend::describe(b'S', "none"), frontend::sync()];
    let twice = [
        frontend::parse("test", "select 1", &[]),
        frontend::parse("test", "select 2", &[]),
        frontend::sync(),
    ];
    for (mode, pgusher) in both(parameters, &line("app", ""), &[]) {
        for (bytes, code, brief) in [
            (&unknown[..], "26000", "prepared statement did not exist"),
            (&described[..], "26000", "prepared statement did not exist"),
            (&twice[..], "42P05", "prepared statement name is already in use"),
        ] {
            let (mut client, error) = batch(&pgusher, bytes).await;
            match mode {
                Mode::DropIn => {
                    mode.expect(&error, code, brief, "");
                    client.expect_closed().await;
                    pgusher.wait_log(&format!("closing because: {brief} (age="), LIMIT);
                }
                Mode::Native => {
                    assert_eq!((error.code(), error.severity()), (code, "ERROR"), "{error:?}");
                    client.read_ready().await;
                    assert_eq!(client.query("select 3").await.value(), "3", "it goes on");
                }
            }
        }
        if mode == Mode::DropIn {
            pgusher.wait_log("prepared statement 'test' was already prepared", LIMIT);
        }
    }
}

/// A name that is free again may be taken again, and DEALLOCATE ALL frees all of them.
#[tokio::test]
async fn names_of_statements_come_and_go() {
    let pgusher = start("pool_mode = transaction", &line("app", ""));
    let mut client = login(&pgusher, "app", "postgres").await;
    for number in ["1", "2"] {
        let sql = format!("select {number}");
        let run = [
            frontend::parse("again", &sql, &[]),
            frontend::bind("", "again", &[]),
            frontend::execute("", 0),
            frontend::close(b'S', "again"),
            frontend::sync(),
        ];
        client.send(&run.concat()).await;
        assert_eq!(client.read_result().await.value(), number);
    }
    client.send(&[frontend::parse("kept", "select 5", &[]), frontend::sync()].concat()).await;
    client.read_ready().await;
    assert_eq!(client.query("DEALLOCATE ALL").await.error, None);
    let run = [frontend::bind("", "kept", &[]), frontend::execute("", 0), frontend::sync()];
    client.send(&run.concat()).await;
    let error = client.expect_fatal().await;
    assert_eq!(error.message(), "prepared statement did not exist");
}

#[tokio::test]
async fn broken_packets_have_names() {
    for (mode, pgusher) in both("pool_mode = transaction", &line("app", ""), &[]) {
        for (bytes, brief, native) in [
            (&b"~\0\0\0\x04"[..], "unknown pkt", "invalid frontend message type"),
            (b"Q\0\0\0\x03", "bad packet header: '5100000003'", "invalid message length"),
            (b"P\0\0\0\x06xx", "broken Parse packet", "malformed message"),
            (b"B\0\0\0\x06xx", "broken Bind packet", "malformed message"),
        ] {
            let mut client = login(&pgusher, "app", "postgres").await;
            client.send(bytes).await;
            mode.expect(&client.expect_fatal().await, "08P01", brief, native);
            client.expect_closed().await;
        }
    }
}

/// A server that does not take a value gets nobody who wants it.
#[tokio::test]
async fn a_parameter_that_is_refused_ends_the_session() {
    for (mode, pgusher) in both("pool_mode = transaction", &line("app", ""), &[]) {
        let parameters = [("user", "postgres"), ("database", "app"), ("timezone", "Nowhere/Land")];
        let error = match super::stage::login_with(&pgusher, &parameters).await {
            Err(error) => error,
            Ok(_) => panic!("it is in"),
        };
        let native = "invalid value for parameter \"TimeZone\"";
        mode.expect(&error, "22023", "invalid server parameter", native);
        if mode == Mode::DropIn {
            pgusher.wait_log("closing because: invalid server parameter (age=", LIMIT);
        }
    }
}

#[tokio::test]
async fn those_who_wait_are_told_what_for_when_it_is_over() {
    let parameters = "pool_mode = transaction\nquery_timeout = 1\nquery_wait_timeout = 0";
    let pgusher = start(parameters, &line("app", "pool_size=1"));
    let mut holder = login(&pgusher, "app", "postgres").await;
    holder.query("begin").await;
    let mut waiting = login(&pgusher, "app", "postgres").await;
    waiting.send(&frontend::query("select 1")).await;
    let error = waiting.expect_fatal().await;
    Mode::DropIn.expect(&error, "57014", "query_timeout", "");
    assert_eq!(holder.query("select 2").await.value(), "2", "it asks nothing");
}

/// Those who wait for the end of a pause hear nothing, and wait as long as it takes.
#[tokio::test]
async fn a_pause_is_silent() {
    let parameters = "pool_mode = transaction\nquery_wait_notify = 1";
    for (_, pgusher) in both(parameters, &line("app", ""), &[]) {
        let mut console = login(&pgusher, "pgbouncer", "postgres").await;
        let mut client = login(&pgusher, "app", "postgres").await;
        assert_eq!(console.query("PAUSE").await.error, None);
        client.send(&frontend::query("select 1")).await;
        let longer = std::time::Duration::from_millis(2500);
        let heard = tokio::time::timeout(longer, client.recv()).await;
        assert!(heard.is_err(), "{heard:?}");
        assert_eq!(console.query("RESUME").await.error, None);
        assert_eq!(client.read_result().await.tags, ["SELECT 1"]);
    }
}

#[tokio::test]
async fn kills_have_their_words() {
    for (mode, pgusher) in both("pool_mode = transaction", &line("app", ""), &[]) {
        let mut console = login(&pgusher, "pgbouncer", "postgres").await;
        let mut client = login(&pgusher, "app", "postgres").await;
        client.query("begin").await;
        assert_eq!(console.query("KILL app").await.error, None);
        let error = client.expect_fatal().await;
        mode.expect(&error, "57P01", "database removed", "administrator command");
    }
}

/// `max_packet_size`, of both sides: what is larger ends the session, what just fits does not.
#[tokio::test]
async fn packets_have_a_largest_size() {
    let parameters = "pool_mode = transaction\nmax_packet_size = 4096";
    for (mode, pgusher) in both(parameters, &line("app", ""), &[]) {
        let asked = |size: usize| format!("select 1 /*{}*/", "x".repeat(size - 6 - 13));
        let mut client = login(&pgusher, "app", "postgres").await;
        assert_eq!(frontend::query(&asked(4096)).len(), 4096);
        assert_eq!(client.query(&asked(4096)).await.value(), "1");
        client.send(&frontend::query(&asked(4097))).await;
        let error = client.expect_fatal().await;
        mode.expect(&error, "54000", "bad packet header: '5100001000'", "(max_packet_size)");
        let mut client = login(&pgusher, "app", "postgres").await;
        // A row is 11 bytes longer than its one value.
        assert_eq!(client.query("select repeat('y', 4085)").await.value().len(), 4085);
        client.send(&frontend::query("select repeat('y', 4086)")).await;
        let error = next_error(&mut client).await;
        mode.expect(&error, "54000", "bad packet header: '4400001000'", "(max_packet_size)");
        // Its server is not used again; another one is.
        assert_eq!(login(&pgusher, "app", "postgres").await.query("select 2").await.value(), "2");
    }
}

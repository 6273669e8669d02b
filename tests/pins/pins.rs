//! Each cause pins, and the pin ends with its cause; nobody finds what another client has left.

use pgusher_testkit::RawClient;

use crate::stage::{LIMIT, Stage};

async fn ok(client: &mut RawClient, sql: &str) {
    let result = client.query(sql).await;
    assert_eq!(result.error, None, "{sql}");
}

async fn pid(client: &mut RawClient) -> String {
    client.query("select pg_backend_pid()").await.value().to_owned()
}

/// What a session can hold, as one number: 0 is nothing.
const HELD: &str = "select (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) \
     + (select count(*) from pg_cursors where is_holdable) + (select count(*) from pg_prepared_statements where from_sql) \
     + (select count(*) from pg_class where relnamespace = pg_my_temp_schema()) \
     + (select count(*) from pg_listening_channels()) + (session_user <> 'postgres')::int";

/// How it begins, its cause, and how it ends.
const CASES: [(&str, &str, &str); 8] = [
    ("select pg_advisory_lock(7)", "advisory_lock", "select pg_advisory_unlock(7)"),
    ("select pg_try_advisory_lock(7, 8)", "advisory_lock", "select pg_advisory_unlock_all()"),
    ("create temp table mine (a int)", "temp_object", "drop table mine"),
    ("select 1 as a into temp mine", "temp_object", "discard temp"),
    ("prepare p as select 1", "prepare", "deallocate p"),
    ("declare c cursor with hold for select 1", "hold_cursor", "close c"),
    ("begin; declare c cursor with hold for select 1; commit", "hold_cursor", "close all"),
    ("set session authorization pin_other", "session_authorization", "reset session authorization"),
];

#[tokio::test]
async fn a_pin_lasts_as_long_as_its_cause() {
    let stage = Stage::new("pin_causes", "pool_size = 2");
    stage.cluster.psql("create role pin_other");
    let (mut client, mut other) = (stage.client().await, stage.client().await);
    for (begin, cause, end) in CASES {
        ok(&mut client, begin).await;
        let server = pid(&mut client).await;
        let pins = stage.show("pins").await;
        let [pin] = &pins[..] else { panic!("{begin}: {pins:?}") };
        assert!(pin.contains(&format!("|{cause}|")), "{begin}: {pin}");
        stage.pgusher.wait_log(&format!("cause=\"{cause}\""), LIMIT);
        for _ in 0..3 {
            assert_ne!(pid(&mut other).await, server, "{begin}: somebody else has the server");
            assert_eq!(pid(&mut client).await, server, "{begin}: the client has another server");
        }
        ok(&mut client, end).await;
        stage.expect_pins(0).await;
        // Both servers are looked at, while the other one is busy.
        ok(&mut other, "begin").await;
        assert_eq!(client.query(HELD).await.value(), "0", "{end}");
        assert_eq!(other.query(HELD).await.value(), "0", "{end}");
        ok(&mut other, "commit").await;
    }
    assert!(
        stage.metric(
            "pgusher_pins_total{database=\"pin_causes\",user=\"postgres\",cause=\"prepare\"}"
        ) >= 1.0
    );
}

#[tokio::test]
async fn what_did_not_happen_does_not_pin() {
    let stage = Stage::new("pin_none", "pool_size = 1");
    let (mut client, mut other) = (stage.client().await, stage.client().await);
    for sql in [
        "select 1 where false and pg_try_advisory_lock(1)",
        "begin; create temp table mine (a int); rollback",
        "begin; create temp table mine (a int) on commit drop; commit",
        "prepare p as select nonsense",
        "declare c cursor with hold for select 1/0",
        "load 'no such library'",
        "select 'without end",
        "select pg_advisory_lock(1), pg_advisory_unlock(1)",
    ] {
        let _ = client.query(sql).await;
        assert_eq!(other.query("select 1").await.value(), "1", "{sql} keeps the only server");
    }
    assert_eq!(stage.pins().await, 0);
}

#[tokio::test]
async fn a_client_that_leaves_leaves_nothing_behind() {
    let stage = Stage::new("pin_leave", "pool_size = 1");
    for (begin, _, _) in CASES.iter().filter(|(_, cause, _)| *cause != "session_authorization") {
        let mut client = stage.client().await;
        ok(&mut client, begin).await;
        client.terminate().await;
        let mut next = stage.client().await;
        assert_eq!(next.query(HELD).await.value(), "0", "{begin}");
    }
    stage.expect_pins(0).await;
}

#[tokio::test]
async fn a_bound_lock_pins_and_a_pinned_client_keeps_its_statements() {
    let stage = Stage::new("pin_bound", "pool_size = 2");
    let (mut client, mut other) = (stage.client().await, stage.client().await);
    use pgusher_testkit::frontend::{bind, execute, parse, sync};
    let batch = [
        parse("lock", "select pg_advisory_lock($1)", &[20]),
        bind("", "lock", &[Some("5")]),
        execute("", 0),
        sync(),
    ];
    client.send(&batch.concat()).await;
    assert_eq!(client.read_result().await.error, None);
    stage.expect_pins(1).await;
    client.send(&[parse("one", "select 'one'", &[]), sync()].concat()).await;
    assert_eq!(client.read_result().await.error, None);
    assert_eq!(
        other.query("select pg_try_advisory_lock(5)").await.value(),
        "f",
        "the lock is held"
    );
    assert_eq!(
        client.query_extended("select pg_advisory_unlock($1)", &[Some("5")]).await.value(),
        "t"
    );
    stage.expect_pins(0).await;
    ok(&mut other, "begin").await;
    client.send(&[bind("", "one", &[]), execute("", 0), sync()].concat()).await;
    assert_eq!(
        client.read_result().await.value(),
        "one",
        "a statement made while pinned is still there"
    );
    ok(&mut other, "commit").await;
    assert_eq!(
        other.query("select pg_try_advisory_lock(5)").await.value(),
        "t",
        "the lock is free"
    );
}

#[tokio::test]
async fn sequence_state_is_never_another_clients() {
    let stage = Stage::new("pin_sequence", "pool_size = 1");
    let (mut one, mut two) = (stage.client().await, stage.client().await);
    ok(&mut one, "create sequence s; create table t (id serial, a int)").await;
    assert_eq!(one.query("select nextval('s')").await.value(), "1");
    assert_eq!(two.query("select currval('s')").await.unwrap_error().code(), "55000");
    assert_eq!(two.query_extended("select lastval()", &[]).await.unwrap_error().code(), "55000");
    // Seen once, it is served from then on.
    assert_eq!(two.query("select nextval('s')").await.value(), "2");
    assert_eq!(two.query("select currval('s')").await.value(), "2");
    ok(&mut two, "discard sequences").await;
    stage.expect_pins(0).await;
    ok(&mut two, "insert into t (a) values (1)").await;
    assert_eq!(two.query("select lastval()").await.value(), "1");
    assert!(stage.show("pins").await[0].contains("|sequence|"));
    let audit = stage.show("audit").await;
    assert!(audit.iter().any(|row| row.contains("select currval(?)|sequence")), "{audit:?}");
}

#[tokio::test]
async fn a_server_with_a_library_is_closed() {
    let stage = Stage::new("pin_load", "pool_size = 1");
    let mut client = stage.client().await;
    ok(&mut client, "select setseed(0.5)").await;
    let server = pid(&mut client).await;
    assert!(stage.show("pins").await[0].contains("|setseed|"));
    ok(&mut client, "discard all").await;
    assert_eq!(pid(&mut client).await, server, "DISCARD ALL does not take the seed away");
    client.terminate().await;
    assert_ne!(pid(&mut stage.client().await).await, server);
}

/// What no catalog shows the client keeps its server for until it leaves.
#[tokio::test]
async fn what_cannot_be_taken_away_pins_for_good() {
    let stage = Stage::new("pin_lasting", "pool_size = 1");
    let mut maker = stage.client().await;
    ok(&mut maker, "select pg_replication_origin_create('pin_lasting')").await;
    for (sql, cause) in [
        ("load 'plpgsql'", "load"),
        ("/* a */ LOAD 'plpgsql'", "load"),
        ("set seed = 0.5", "setseed"),
        ("select pg_replication_origin_session_setup('pin_lasting')", "replication_origin"),
    ] {
        let mut client = stage.client().await;
        ok(&mut client, sql).await;
        let server = pid(&mut client).await;
        for clearing in ["discard all", "reset all", "select 1"] {
            ok(&mut client, clearing).await;
        }
        let pins = stage.show("pins").await;
        assert!(pins.len() == 1 && pins[0].contains(&format!("|{cause}|")), "{sql}: {pins:?}");
        client.terminate().await;
        assert_ne!(pid(&mut stage.client().await).await, server, "{sql}");
    }
    stage.expect_pins(0).await;
    ok(&mut maker, "select pg_replication_origin_drop('pin_lasting')").await;
}

/// What cannot be read with certainty is taken for the worst.
#[tokio::test]
async fn what_cannot_be_read_pins() {
    let stage = Stage::new("pin_unsure", "pool_size = 2");
    for sql in [
        r#"select U&"pg_advisory_loc\006b"(7)"#,
        r#"select U&"pg_advisory_loc!006b" uescape '!' (7)"#,
        r#"create table pg_temp.mine (a int)"#,
        "do $$ begin perform pg_advisory_lock(7); end $$",
        "/* /* nested */ ' */ select pg_advisory_lock(7) -- '",
    ] {
        let (mut client, mut other) = (stage.client().await, stage.client().await);
        ok(&mut client, sql).await;
        let server = pid(&mut client).await;
        stage.expect_pins(1).await;
        for _ in 0..3 {
            assert_ne!(pid(&mut other).await, server, "{sql}");
        }
        client.terminate().await;
        stage.expect_pins(0).await;
        for client in [&mut other, &mut stage.client().await] {
            assert_eq!(client.query(HELD).await.value(), "0", "{sql}");
        }
    }
}

#[tokio::test]
async fn a_session_on_request() {
    let stage = Stage::new("pin_session", "pool_size = 3\nmax_pinned = 1");
    let own = [("options", "-c pgusher.pool_mode=session -c work_mem=77MB")];
    let mut client = stage.client_with(&own).await;
    ok(&mut client, "create temp table mine (a int); set statement_timeout = '5s'").await;
    let server = pid(&mut client).await;
    assert!(stage.show("pins").await[0].contains("|session|"));
    assert_eq!(client.query("show work_mem").await.value(), "77MB");
    let mut second = stage.client_with(&own).await;
    second.send(&pgusher_testkit::frontend::query("select 1")).await;
    let refused = second.expect_fatal().await;
    assert_eq!(refused.code(), "53300", "{refused:?}");
    assert_ne!(pid(&mut stage.client().await).await, server);
    ok(&mut client, "table mine").await;
    client.terminate().await;
    stage.expect_pins(0).await;
    let mut wrong = RawClient::connect(stage.pgusher.port()).await;
    let options = "-c pgusher.pool_mode=nonsense";
    wrong
        .startup(0, &[("user", "postgres"), ("database", "pin_session"), ("options", options)])
        .await;
    assert_eq!(wrong.authenticate("postgres", "").await.unwrap_err().code(), "22023");
}

/// The key is pgusher's own, the process id that the server knows is the server's.
#[tokio::test]
async fn a_session_is_cancelled_by_its_key_and_by_its_servers_pid() {
    let stage = Stage::new("pin_cancel", "pool_size = 2\npool_mode = \"session\"");
    let mut client = stage.client().await;
    let server = pid(&mut client).await;
    assert_ne!(client.pid().to_string(), server);
    let sleeps = format!(
        "select count(*) from pg_stat_activity where pid = {server} and wait_event = 'PgSleep'"
    );
    for by_key in [true, false] {
        client.send(&pgusher_testkit::frontend::query("select pg_sleep(600)")).await;
        let asleep = || stage.cluster.psql(&sleeps).trim() == "1";
        assert!(pgusher_testkit::wait_for(LIMIT, asleep).await, "it does not sleep");
        if by_key {
            RawClient::cancel(stage.pgusher.port(), client.pid(), client.key()).await;
        } else {
            stage.cluster.psql(&format!("select pg_cancel_backend({server})"));
        }
        assert_eq!(client.read_result().await.unwrap_error().code(), "57014");
    }
    assert_eq!(pid(&mut client).await, server);
    client.send(&pgusher_testkit::frontend::query("select pg_sleep(600)")).await;
    stage.cluster.psql(&format!("select pg_terminate_backend({server})"));
    assert_eq!(client.expect_fatal().await.code(), "57P01");
}

#[tokio::test]
async fn an_alias_gives_sessions_out_of_the_same_pool() {
    let stage = Stage::new(
        "pin_alias",
        "pool_size = 2\nmax_pinned = 1\nsession_alias = \"pin_alias_session\"",
    );
    let mut client =
        RawClient::login(stage.pgusher.port(), "pin_alias_session", "postgres", "").await;
    ok(&mut client, "create temp table mine (a int)").await;
    ok(&mut client, "set statement_timeout = '5s'").await;
    let server = pid(&mut client).await;
    assert!(stage.show("pins").await[0].contains("|pin_alias|"), "{:?}", stage.show("pins").await);
    let mut other = stage.client().await;
    for _ in 0..3 {
        assert_ne!(pid(&mut other).await, server);
        assert_eq!(pid(&mut client).await, server);
    }
    let mut second =
        RawClient::login(stage.pgusher.port(), "pin_alias_session", "postgres", "").await;
    second.send(&pgusher_testkit::frontend::query("select 1")).await;
    assert_eq!(second.expect_fatal().await.code(), "53300", "the budget is the pool's");
    assert_eq!(
        stage.show("pools").await.iter().filter(|pool| pool.contains("pin_alias")).count(),
        1
    );
    ok(&mut client, "table mine").await;
    client.terminate().await;
    stage.expect_pins(0).await;
}

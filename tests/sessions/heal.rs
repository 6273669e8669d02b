//! Prepared statements after DDL, databases that must be out of use, and what a server says by itself.

use std::sync::Arc;

use pgusher_testkit::{QueryResult, RawClient, frontend};

use crate::stage::Stage;

pub(crate) async fn prepare(client: &mut RawClient, name: &str, sql: &str) {
    client.send(&[frontend::parse(name, sql, &[]), frontend::sync()].concat()).await;
    assert_eq!(client.read_result().await.error, None);
}

pub(crate) async fn execute(client: &mut RawClient, name: &str, describe: bool) -> QueryResult {
    let mut bytes = frontend::bind("", name, &[]).to_vec();
    if describe {
        bytes.extend_from_slice(&frontend::describe(b'P', ""));
    }
    bytes.extend_from_slice(&frontend::execute("", 0));
    bytes.extend_from_slice(&frontend::sync());
    client.send(&bytes).await;
    client.read_result().await
}

pub(crate) fn stage(settings: &str) -> Arc<Stage> {
    tokio::task::block_in_place(|| Arc::new(Stage::set(settings)))
}

pub(crate) fn ddl(stage: &Stage, sql: &str) {
    tokio::task::block_in_place(|| stage.cluster.psql_in("app", &format!("set role app; {sql}")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_heals_after_ddl() {
    let stage = stage("pool_size = 2");
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = stage.login(true, &[]).await;
        prepare(&mut client, "s", "select * from t").await;
        assert_eq!(execute(&mut client, "s", true).await.rows.len(), 1);
        clients.push(client);
    }
    ddl(&stage, "alter table t add column b text default 'new'");
    for client in &mut clients {
        let healed = execute(client, "s", true).await;
        assert_eq!(healed.error, None);
        assert_eq!((healed.columns, healed.status), (vec!["a".to_owned(), "b".to_owned()], b'I'));
        assert_eq!(healed.tags, ["SELECT 1"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_rows_of_another_shape_than_it_knows() {
    let stage = stage("pool_size = 1");
    let mut client = stage.login(true, &[]).await;
    prepare(&mut client, "s", "select * from t").await;
    assert_eq!(execute(&mut client, "s", false).await.rows.len(), 1);
    ddl(&stage, "alter table t add column b text");
    let stale = execute(&mut client, "s", false).await;
    assert_eq!(stale.unwrap_error().code(), "0A000");
    // As the driver does then; and nobody is given the stale one again.
    prepare(&mut client, "s2", "select * from t").await;
    assert_eq!(execute(&mut client, "s2", false).await.rows[0].len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inside_a_transaction_the_error_stands() {
    let stage = stage("pool_size = 1");
    let mut client = stage.login(true, &[]).await;
    prepare(&mut client, "s", "select * from t").await;
    execute(&mut client, "s", true).await;
    ddl(&stage, "alter table t add column b text");
    client.query("begin").await;
    let stale = execute(&mut client, "s", true).await;
    assert_eq!((stale.unwrap_error().code(), stale.status), ("0A000", b'E'));
    client.query("rollback").await;
    assert_eq!(execute(&mut client, "s", true).await.rows[0].len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_the_server_lost_is_made_again() {
    let stage = stage("pool_size = 1");
    let mut client = stage.login(true, &[]).await;
    prepare(&mut client, "s", "select 1").await;
    execute(&mut client, "s", false).await;
    // Nothing on the wire tells that.
    let hidden = "do $$ begin execute 'deallocate all'; end $$";
    assert_eq!(client.query(hidden).await.error, None);
    let healed = execute(&mut client, "s", false).await;
    assert_eq!(healed.error, None);
    assert_eq!(healed.rows.len(), 1);
}

/// The server looks the type of a value up by a number that is gone: `XX000`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_that_was_made_anew_is_found() {
    let stage = stage("pool_size = 2");
    let make = "create type mood as enum ('good')";
    ddl(&stage, make);
    let (mut one, mut two) = (stage.login(true, &[]).await, stage.login(true, &[]).await);
    let run = |name| {
        let bind = frontend::bind("", name, &[Some("good")]);
        [bind, frontend::execute("", 0), frontend::sync()].concat()
    };
    // Both servers hold it.
    one.query("begin").await;
    for client in [&mut two, &mut one] {
        prepare(client, "s", "select $1::mood::text").await;
        client.send(&run("s")).await;
        assert_eq!(client.read_result().await.value(), "good");
    }
    one.query("commit").await;
    ddl(&stage, &format!("drop type mood; {make}"));
    // In a transaction the error stands, and what is prepared anew is anew.
    one.query("begin").await;
    one.send(&run("s")).await;
    let stale = one.read_result().await;
    assert_eq!((stale.unwrap_error().code(), stale.status), ("XX000", b'E'));
    one.query("rollback").await;
    one.query("begin").await;
    prepare(&mut one, "s2", "select $1::mood::text").await;
    one.send(&run("s2")).await;
    assert_eq!(one.read_result().await.value(), "good");
    // Outside of one it is not noticed, whichever server it is.
    two.send(&run("s")).await;
    let healed = two.read_result().await;
    assert_eq!((healed.error.clone(), healed.status), (None, b'I'));
    assert_eq!(healed.value(), "good");
    one.query("commit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_says_at_its_login_reaches_every_client() {
    let stage = stage("pool_size = 1");
    let sql =
        "alter role app set default_tablespace = 'gone'; alter role app set search_path = two";
    tokio::task::block_in_place(|| stage.cluster.psql(sql));
    for _ in 0..2 {
        let mut said = Vec::new();
        for port in [stage.cluster.port(), stage.pgusher.port()] {
            let mut client = RawClient::connect(port).await;
            client.startup(0, &[("user", "app"), ("database", "app")]).await;
            let messages = client.read_ready().await;
            let notices = messages.iter().filter(|message| message.tag == b'N');
            said.push(notices.map(|message| message.error().message().to_owned()).collect());
        }
        let [direct, pooled]: [Vec<String>; 2] = said.try_into().expect("two");
        assert_eq!(pooled, direct);
        assert_eq!(direct.len(), 1, "{direct:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_servers_farewell_reaches_its_client() {
    let stage = stage("pool_size = 1");
    let mut client = stage.login(true, &[]).await;
    client.query("begin").await;
    let pid = client.query("select pg_backend_pid()").await.value().to_owned();
    tokio::task::block_in_place(|| {
        stage.cluster.psql(&format!("select pg_terminate_backend({pid})"))
    });
    assert_eq!(client.expect_fatal().await.code(), "57P01");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_servers_give_way_to_statements_that_want_a_database_alone() {
    let stage = stage(
        "pool_size = 2\n[databases.other]\nhost = \"127.0.0.1\"\nport = {server}\ndbname = \"thing\"",
    );
    tokio::task::block_in_place(|| stage.cluster.psql("create database thing owner app"));
    let mut other = RawClient::login(stage.pgusher.port(), "other", "app", "").await;
    let mut client = stage.login(true, &[]).await;
    assert_eq!(other.query("select 1").await.value(), "1");
    let copied = client.query("create database copy template thing").await;
    assert_eq!(copied.error, None);
    assert_eq!(other.query("select 1").await.value(), "1");
    let dropped = client.query_extended("drop database thing", &[]).await;
    assert_eq!(dropped.error, None);
}

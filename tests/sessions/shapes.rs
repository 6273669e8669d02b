//! What a client was told of a statement holds on every server, and what it parses anew means what it means now.

use pgusher_testkit::{RawClient, frontend};

use crate::heal::{ddl, execute, prepare, stage};
use crate::stage::Stage;

/// Has a statement prepared and described, as drivers do that keep descriptions; returns its columns.
async fn describe(client: &mut RawClient, name: &str, sql: &str) -> Vec<String> {
    let parse = frontend::parse(name, sql, &[]);
    let describe = frontend::describe(b'S', name);
    client.send(&[parse, describe, frontend::sync()].concat()).await;
    let result = client.read_result().await;
    assert_eq!(result.error, None);
    result.columns
}

/// A client that is in a transaction on the server that was used last.
async fn occupy(stage: &Stage) -> RawClient {
    let mut other = stage.login(true, &[]).await;
    assert_eq!(other.query("begin").await.error, None);
    other
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_does_not_return_other_rows_than_were_described() {
    let stage = stage("pool_size = 2");
    let mut client = stage.login(true, &[]).await;
    assert_eq!(describe(&mut client, "s", "select * from t").await, ["a"]);
    assert_eq!(execute(&mut client, "s", false).await.rows[0].len(), 1);
    ddl(&stage, "alter table t add column b text");
    let mut other = occupy(&stage).await;
    let stale = execute(&mut client, "s", false).await;
    assert_eq!(stale.unwrap_error().code(), "0A000");
    assert_eq!(stale.unwrap_error().message(), "cached plan must not change result type");
    assert!(stale.rows.is_empty());
    // Whoever asks is told the truth, and whoever prepares anew.
    assert_eq!(execute(&mut client, "s", true).await.columns, ["a", "b"]);
    assert_eq!(describe(&mut client, "s2", "select * from t").await, ["a", "b"]);
    assert_eq!(execute(&mut client, "s2", false).await.rows[0].len(), 2);
    other.query("rollback").await;
    // The first server's copy is the older one: that is its fault, not the client's.
    assert_eq!(execute(&mut client, "s2", false).await.rows[0].len(), 2);
    // In a transaction the error fails it, as everywhere.
    client.query("begin").await;
    let stale = execute(&mut client, "s", false).await;
    assert_eq!((stale.unwrap_error().code(), stale.status), ("0A000", b'E'));
    assert_eq!(execute(&mut client, "s2", false).await.unwrap_error().code(), "25P02");
    client.query("rollback").await;
    assert_eq!(execute(&mut client, "s2", false).await.rows[0].len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_described_statement_moves_between_servers_where_nothing_has_changed() {
    let stage = stage("pool_size = 2");
    let mut client = stage.login(true, &[]).await;
    describe(&mut client, "s", "select a, a::text from t").await;
    describe(&mut client, "none", "insert into t values (7)").await;
    for _ in 0..2 {
        let mut other = occupy(&stage).await;
        // A pipeline: the second and third statement wait for what the server says of the first two.
        let run = |name| [frontend::bind("", name, &[]), frontend::execute("", 0)].concat();
        let batch = [run("s"), run("none"), run("s"), frontend::sync()].concat();
        client.send(&batch).await;
        let result = client.read_result().await;
        assert_eq!(result.error, None);
        assert_eq!(result.tags.len(), 3, "{result:?}");
        other.query("rollback").await;
    }
    assert_eq!(client.query("select count(*) from t where a = 7").await.value(), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_text_in_another_search_path_is_another_statement() {
    let stage = stage("pool_size = 1");
    ddl(&stage, "create table one.thing (a int); create table two.thing (b text, c text)");
    let mut clients = Vec::new();
    for (path, columns) in [("one", &["a"][..]), ("two", &["b", "c"])] {
        let mut client = stage.login(true, &[("search_path", path)]).await;
        prepare(&mut client, "s", "select * from thing").await;
        clients.push((client, columns));
    }
    for _ in 0..3 {
        for (client, columns) in &mut clients {
            client.query("begin").await;
            let result = execute(client, "s", true).await;
            assert_eq!(
                (result.error, result.columns),
                (None, columns.iter().map(|&c| c.into()).collect())
            );
            client.query("commit").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_parsed_after_a_change_means_what_it_means_then() {
    let stage = stage("pool_size = 2");
    let (mut one, mut two) = (stage.login(true, &[]).await, stage.login(true, &[]).await);
    // Both servers hold it.
    one.query("begin").await;
    for client in [&mut one, &mut two] {
        prepare(client, "before", "select * from t").await;
        assert_eq!(execute(client, "before", false).await.rows[0].len(), 1);
    }
    assert_eq!(one.query("alter table t add column b text").await.error, None);
    // In the very transaction, and for others when it is over.
    prepare(&mut one, "within", "select * from t").await;
    assert_eq!(execute(&mut one, "within", false).await.rows[0].len(), 2);
    one.query("commit").await;
    for client in [&mut two, &mut one] {
        client.query("begin").await;
        prepare(client, "after", "select * from t").await;
        let result = execute(client, "after", false).await;
        assert_eq!(result.error, None);
        assert_eq!(result.rows[0].len(), 2);
    }
}

/// Between a Bind and its Execute the server may answer what pgusher asked before them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_portal_does_is_not_forgotten_while_a_replay_is_answered() {
    let stage = stage("pool_size = 1");
    let mut client = stage.login(true, &[("lock_timeout", "7s")]).await;
    let mut other = stage.login(true, &[]).await;
    other.query("set lock_timeout = '9s'").await;
    let parse = frontend::parse("", "set statement_timeout = '5s'", &[]);
    client.send(&[parse, frontend::bind("", "", &[]), frontend::flush()].concat()).await;
    client.recv_until(b'2').await;
    client.send(&[frontend::execute("", 0), frontend::sync()].concat()).await;
    assert_eq!(client.read_result().await.error, None);
    assert_eq!(other.query("show statement_timeout").await.value(), "0");
    assert_eq!(client.query("show statement_timeout").await.value(), "5s");
    assert_eq!(client.query("show lock_timeout").await.value(), "7s");
}

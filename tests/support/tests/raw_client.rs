//! The raw client against a real PostgreSQL.

use pgusher_testkit::{Cluster, ErrorFields, NoMessage, RawClient, frontend};
use std::time::Duration;

async fn superuser() -> RawClient {
    RawClient::login(Cluster::shared().port(), "postgres", "postgres", "").await
}

#[tokio::test]
async fn runs_simple_and_extended_queries() {
    let mut client = superuser().await;
    let result = client.query("select 1 as one, null as none; begin").await;
    assert_eq!(result.columns, ["one", "none"]);
    assert_eq!(result.rows, [[Some("1".to_owned()), None]]);
    assert_eq!(
        (result.tags, result.status),
        (vec!["SELECT 1".to_owned(), "BEGIN".to_owned()], b'T')
    );
    let result = client.query_extended("select $1::text", &[Some("hello")]).await;
    assert_eq!(result.value(), "hello");
    let failed = client.query("select 1/0").await;
    assert_eq!((failed.unwrap_error().code(), failed.status), ("22012", b'E'));
    let result =
        client.query("rollback; do $$begin raise notice 'hear'; end$$; set timezone = 'UTC'").await;
    assert_eq!(result.notices.iter().map(ErrorFields::message).collect::<Vec<_>>(), ["hear"]);
    assert_eq!(client.param("server_encoding"), Some("UTF8"));
    client.query("set application_name = 'odd'").await;
    assert_eq!(client.param("application_name"), Some("odd"));
    client.terminate().await;
}

#[tokio::test]
async fn sends_every_kind_of_message() {
    let mut client = superuser().await;
    client.query("create temp table t (a text)").await;
    client.send(&frontend::query("copy t from stdin")).await;
    client.recv_until(b'G').await;
    client.send(&[frontend::copy_data(b"x\n"), frontend::copy_done()].concat()).await;
    assert_eq!(client.read_result().await.tags, ["COPY 1"]);
    client.send(&frontend::query("copy t from stdin")).await;
    client.recv_until(b'G').await;
    client.send(&frontend::copy_fail("enough")).await;
    assert!(client.read_result().await.unwrap_error().message().contains("enough"));
    assert_eq!(client.query("copy t to stdout").await.copied, b"x\n");
    let function =
        client.query("select 'int4abs(int4)'::regprocedure::oid").await.value().parse().unwrap();
    client.send(&frontend::function_call(function, &[Some("-42")])).await;
    assert!(client.read_ready().await[0].body.ends_with(b"42"));
    let extended = [
        frontend::parse("s", "select $1::int4 from generate_series(1, 3)", &[23]),
        frontend::describe(b'S', "s"),
        frontend::bind_formats("p", "s", &[1], &[Some(&7_i32.to_be_bytes())], &[0]),
        frontend::execute("p", 2),
        frontend::close(b'P', "p"),
        frontend::close(b'S', "s"),
        frontend::flush(),
    ];
    client.send(&extended.concat()).await;
    let tags = |messages: &[pgusher_testkit::Message]| {
        messages.iter().map(|m| char::from(m.tag)).collect::<String>()
    };
    assert_eq!(tags(&client.recv_until(b's').await), "1tT2DDs");
    assert_eq!(tags(&client.recv_until(b'3').await), "3");
    client.send(&frontend::sync()).await;
    assert_eq!(tags(&client.read_ready().await), "3Z");
}

#[tokio::test]
async fn proves_who_it_is() {
    for method in ["password", "md5", "scram-sha-256"] {
        let cluster = Cluster::builder().auth(method).build();
        cluster.psql("create role alice login password 'sécret'");
        let mut client = RawClient::login(cluster.port(), "postgres", "alice", "sécret").await;
        assert_eq!(client.query("select current_user").await.value(), "alice");
        let refused =
            RawClient::try_login(cluster.port(), "postgres", "alice", "wrong").await.unwrap_err();
        assert_eq!((refused.severity(), refused.code()), ("FATAL", "28P01"), "{method}");
    }
}

#[tokio::test]
async fn speaks_before_the_login() {
    let cluster = Cluster::shared();
    // Over TCP a server that was built with GSSAPI would say yes to the second one.
    let mut client = RawClient::connect_unix(cluster.socket_dir(), cluster.port()).await;
    client.send(&frontend::ssl_request()).await;
    assert_eq!(client.recv_byte().await, b'N');
    client.send(&frontend::gss_request()).await;
    assert_eq!(client.recv_byte().await, b'N');
    client.startup(9, &[("user", "postgres"), ("_pq_.odd", "1")]).await;
    client.authenticate("postgres", "").await.unwrap();
    assert_eq!(client.negotiated().unwrap().unknown_options, ["_pq_.odd"]);
    assert_eq!(client.query("select 1").await.value(), "1");

    let mut client = RawClient::connect(cluster.port()).await;
    client.startup(0, &[("user", "nobody-of-that-name")]).await;
    assert_eq!(client.expect_fatal().await.severity(), "FATAL");
}

#[tokio::test]
async fn cancels_a_query() {
    let mut client = superuser().await;
    assert_eq!(client.key().len(), 4);
    client.send(&frontend::query("select pg_sleep(60)")).await;
    let (port, pid) = (Cluster::shared().port(), client.pid());
    let mut watcher = superuser().await;
    let active = format!(
        "select count(*) from pg_stat_activity where pid = {pid} and wait_event = 'PgSleep'"
    );
    while watcher.query(&active).await.value() == "0" {}
    RawClient::cancel(port, pid, client.key()).await;
    assert_eq!(client.read_result().await.unwrap_error().code(), "57014");
}

#[tokio::test]
async fn tells_why_no_message_came() {
    let mut client = superuser().await;
    client.set_time_limit(Duration::from_millis(20));
    assert_eq!(client.try_recv().await, Err(NoMessage::TimedOut));
    client.set_time_limit(Duration::from_secs(10));
    assert!(Cluster::shared().kill_backend(client.pid()));
    assert_eq!(client.expect_fatal().await.code(), "57P01");
}

//! The simple protocol.

use pgusher_testkit::{RawClient, frontend};

use super::kit::{ask, asks, site, sql, sqls};

#[tokio::test]
async fn queries_are_answered_as_by_the_server() {
    let long = format!("select '{}'", "x".repeat(100_000));
    site(1)
        .same(&sqls(&[
            "select 1 as one, null, 'drei'",
            "",
            "  ;; ",
            "select 1; select 2; begin; select 3; commit",
            "select 1; select 1/0; select 2",
            "select 'never ends",
            "begin; insert into nowhere values (1)",
            "select 'aborted'",
            "rollback",
            "do $$ begin raise notice 'hear %', 'this'; raise warning 'and that'; end $$",
            "do $$ begin raise exception 'no' using detail = 'd', hint = 'h', errcode = 'P0042'; end $$",
            "set timezone = 'Asia/Tokyo'; select '2026-01-01 00:00:00+00'::timestamptz",
            "begin; set timezone = 'Europe/Berlin'; rollback; show timezone",
            "select generate_series(1, 3000), repeat('y', 200)",
            "listen c; notify c, 'payload'; unlisten c",
            &long,
        ]))
        .await;
}

#[tokio::test]
async fn simple_pipelines_keep_their_order() {
    let queries: Vec<_> = (0..500)
        .map(|n| {
            frontend::query(&if n % 7 == 3 {
                format!("select {n}/0")
            } else {
                format!("select {n}")
            })
        })
        .collect();
    site(2).same(&[asks(&queries, 500), sql("select 'after'")]).await;
}

#[tokio::test]
async fn settings_follow_the_client() {
    let site = site(1);
    let (mut tokyo, mut plain) = (site.client().await, site.client().await);
    let default = plain.param("TimeZone").unwrap().to_owned();
    let set = tokyo.query("set timezone = 'Asia/Tokyo'").await;
    assert_eq!(set.params, [("TimeZone".to_owned(), "Asia/Tokyo".to_owned())]);
    for _ in 0..3 {
        assert_eq!(plain.query("show timezone").await.value(), default);
        let shown = tokyo.query("show timezone").await;
        assert_eq!((shown.value(), shown.params.len()), ("Asia/Tokyo", 0));
    }
    assert_eq!(tokyo.query("set timezone = 'UTC'; show timezone").await.value(), "UTC");
    assert_eq!(plain.query("show timezone").await.value(), default);
    site.assert_calm();
}

/// A Query message of any bytes.
fn raw_query(sql: &[u8]) -> Vec<u8> {
    frontend::message(b'Q', &[sql, b"\0"].concat())
}

#[tokio::test]
async fn bytes_that_are_no_utf8_pass_as_they_are() {
    let site = site(1);
    site.same(&[
        sql("set client_encoding = 'LATIN1'"),
        ask(&[raw_query(b"select 'caf\xe9' as \"\xfc\", octet_length('\xe4')")]),
        ask(&[raw_query(b"select \xff from \xfe")]),
        sql("set client_encoding = 'SQL_ASCII'"),
        ask(&[raw_query(b"select '\xc3\xa4', 'caf\xe9'")]),
    ])
    .await;
    let mut client = RawClient::connect(site.pgusher.port()).await;
    let database = site.database.as_str();
    let params = [("user", "postgres"), ("database", database), ("client_encoding", "latin-1")];
    client.startup(0, &params).await;
    client.authenticate("postgres", "").await.unwrap();
    assert_eq!(client.param("client_encoding"), Some("LATIN1"));
    let mut other = site.client().await;
    assert_eq!(other.query("show client_encoding").await.value(), "UTF8");
    client.send(&raw_query(b"select '\xe4\xf6'")).await;
    let messages = client.read_ready().await;
    assert!(messages[1].body.ends_with(b"\xe4\xf6"), "{messages:?}");
}

#[tokio::test]
async fn a_query_sent_byte_by_byte_or_in_a_thousand_pieces_is_the_same_query() {
    let site = site(1);
    let mut client = site.client().await;
    let mut other = site.client().await;
    for byte in frontend::query("select 'slowly'") {
        client.send(&[byte]).await;
    }
    assert_eq!(client.read_result().await.value(), "slowly");
    let message = super::kit::unnamed("select $1", &[Some("cut")]);
    let message = [message, frontend::sync()].concat();
    for cut in 1..message.len() {
        client.send(&message[..cut]).await;
        tokio::task::yield_now().await;
        client.send(&message[cut..]).await;
        assert_eq!(client.read_result().await.value(), "cut", "cut at {cut}");
        assert_eq!(other.query("select 1").await.value(), "1");
    }
    site.assert_calm();
}

#[tokio::test]
async fn functions_are_called() {
    let site = site(1);
    let plus: u32 = site.psql("select 'int4pl(int4,int4)'::regprocedure::oid").parse().unwrap();
    let version: u32 = site.psql("select 'version()'::regprocedure::oid").parse().unwrap();
    let call = frontend::function_call(plus, &[Some("40"), Some("2")]);
    site.same(&[
        ask(std::slice::from_ref(&call)),
        ask(&[frontend::function_call(version, &[])]),
        ask(&[frontend::function_call(1, &[])]),
        asks(&[call.clone(), frontend::query("select 1"), call, frontend::sync()], 4),
    ])
    .await;
}

//! The extended protocol.

use pgusher_testkit::frontend::{
    bind, bind_formats, close, describe, execute, flush, parse, query, sync,
};

use super::kit::{ask, asks, site, sql, unnamed, until};

#[tokio::test]
async fn batches_are_answered_as_by_the_server() {
    let forty_two = 42_i32.to_be_bytes();
    site(1)
        .same(&[
            ask(&[unnamed("select $1::text, $2::text", &[Some("a"), None]), sync()]),
            ask(&[parse("", "", &[]), bind("", "", &[]), execute("", 0), sync()]),
            ask(&[
                parse("", "select $1::int4 + 1, $2::bytea", &[23, 17]),
                bind_formats("", "", &[1], &[Some(&forty_two), Some(b"\0\xff\x80")], &[1]),
                describe(b'P', ""),
                execute("", 0),
                sync(),
            ]),
            ask(&[parse("", "select $1::int4, $2::text", &[]), describe(b'S', ""), sync()]),
            ask(&[bind("", "", &[Some("7"), Some("x")]), execute("", 0), sync()]),
            ask(&[sync()]),
            asks(&[sync(), sync(), sync()], 3),
            ask(&[close(b'S', "nobody"), close(b'P', "nothing"), close(b'S', ""), sync()]),
            ask(&[bind("", "", &[]), execute("", 0), sync()]),
            ask(&[execute("no portal", 0), sync()]),
            ask(&[describe(b'P', "no portal"), sync()]),
            ask(&[unnamed("select $1::int", &[Some("not a number")]), sync()]),
            ask(&[unnamed("selec 1", &[]), unnamed("select 2", &[]), sync()]),
            ask(&[parse("", "select 1; select 2", &[]), sync()]),
            ask(&[unnamed("set timezone = 'Asia/Tokyo'", &[]), sync()]),
            ask(&[unnamed("show timezone", &[]), sync()]),
        ])
        .await;
}

#[tokio::test]
async fn portals_are_suspended_and_resumed() {
    let rows = "select generate_series(1, 10)";
    site(1)
        .same(&[
            sql("begin"),
            ask(&[parse("", rows, &[]), bind("p", "", &[]), execute("p", 4), sync()]),
            ask(&[execute("p", 4), describe(b'P', "p"), sync()]),
            ask(&[execute("p", 4), execute("p", 4), sync()]),
            ask(&[close(b'P', "p"), execute("p", 1), sync()]),
            sql("rollback"),
            ask(&[
                parse("", rows, &[]),
                bind("q", "", &[]),
                execute("q", 3),
                execute("q", 3),
                sync(),
            ]),
            ask(&[execute("q", 3), sync()]),
        ])
        .await;
}

#[tokio::test]
async fn errors_skip_to_the_next_sync() {
    let one = || unnamed("select 1", &[]);
    let bad = || unnamed("select 1/0", &[]);
    site(1)
        .same(&[
            asks(&[one(), bad(), one(), sync(), one(), sync()], 2),
            asks(&[one(), bad(), query("select 'skipped'"), sync(), query("select 2")], 2),
            asks(&[bad(), bad(), sync(), bad(), sync(), one(), bad(), sync()], 3),
            asks(
                &[query("begin"), bad(), sync(), one(), sync(), query("rollback"), one(), sync()],
                5,
            ),
            asks(&[one(), query("select 3"), one(), sync(), query("select 4/0"), one(), sync()], 4),
        ])
        .await;
}

#[tokio::test]
async fn flush_brings_answers_without_a_sync() {
    site(1)
        .same(&[
            until(&[parse("", "select $1::text", &[]), flush()], b'1'),
            until(&[describe(b'S', ""), flush()], b'T'),
            until(&[bind("", "", &[Some("x")]), flush()], b'2'),
            until(&[execute("", 0), flush()], b'C'),
            ask(&[sync()]),
            until(&[unnamed("select 1/0", &[]), flush()], b'E'),
            ask(&[unnamed("select 'skipped'", &[]), flush(), sync()]),
            ask(&[unnamed("select 'after'", &[]), flush(), sync()]),
        ])
        .await;
}

#[tokio::test]
async fn deep_pipelines_keep_their_order() {
    let mut messages = Vec::new();
    let mut ready = 0;
    for n in 0..5_000 {
        let number = n.to_string();
        match n % 5 {
            0 => messages.push(query(&format!("select {n}"))),
            1 => messages.push(
                [unnamed("select $1::int8 / ($1::int8 % 13)", &[Some(&number)]), sync()].concat(),
            ),
            2 => messages.push([unnamed("select $1", &[Some(&number)]), flush(), sync()].concat()),
            3 => messages.push(
                [unnamed("select 1/0", &[]), unnamed("select 'never'", &[]), sync()].concat(),
            ),
            _ => messages.push([unnamed(&format!("select {n}"), &[]), sync()].concat()),
        }
        ready += 1;
    }
    site(2).same(&[asks(&messages, ready), sql("select 'after'")]).await;
}

#[tokio::test]
async fn a_long_batch_without_sync_is_one_batch() {
    let mut messages: Vec<_> =
        (0..5_000).map(|n| unnamed("select $1::text", &[Some(&n.to_string())])).collect();
    messages.push(sync());
    site(1).same(&[ask(&messages), sql("select 'after'")]).await;
}

#[tokio::test]
async fn an_unnamed_statement_outlives_its_batch() {
    site(1)
        .same(&[
            ask(&[parse("", "select $1::text || '!'", &[]), sync()]),
            ask(&[bind("", "", &[Some("a")]), execute("", 0), sync()]),
            ask(&[bind("", "", &[Some("b")]), execute("", 0), sync()]),
            ask(&[describe(b'S', ""), sync()]),
            ask(&[parse("", "selec", &[]), sync()]),
            ask(&[bind("", "", &[Some("gone")]), execute("", 0), sync()]),
            ask(&[parse("", "select 2", &[]), sync()]),
            sql("select 'drops it'"),
            ask(&[bind("", "", &[]), execute("", 0), sync()]),
            ask(&[parse("", "select 3", &[]), sync()]),
            ask(&[close(b'S', ""), sync()]),
            ask(&[bind("", "", &[]), execute("", 0), sync()]),
        ])
        .await;
}

#[tokio::test]
async fn an_unnamed_statement_whose_parse_was_skipped_crosses_to_nobody() {
    let site = site(1);
    let (mut one, mut two) = (site.client().await, site.client().await);
    let secret = parse("", "select 'secret'", &[]);
    // The second Parse is skipped: the server keeps the first.
    one.send(&[secret.clone(), bind("", "no such", &[]), secret, sync()].concat()).await;
    assert_eq!(one.read_result().await.unwrap_error().code(), "26000");
    two.send(&[bind("", "", &[]), execute("", 0), sync()].concat()).await;
    assert_eq!(two.read_result().await.unwrap_error().code(), "26000");
    // A Query and a Close that were skipped do not drop it either.
    for skipped in [query("select 1"), close(b'S', "")] {
        let batch = [parse("", "select 'secret'", &[]), bind("", "no such", &[]), skipped, sync()];
        one.send(&batch.concat()).await;
        assert_eq!(one.read_result().await.unwrap_error().code(), "26000");
        two.send(&[bind("", "", &[]), execute("", 0), sync()].concat()).await;
        assert_eq!(two.read_result().await.unwrap_error().code(), "26000");
    }
    site.assert_calm();
}

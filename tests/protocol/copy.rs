//! COPY in both directions, finished and unfinished.

use pgusher_testkit::frontend::{
    bind, copy_data, copy_done, copy_fail, execute, flush, parse, query, sync, terminate,
};

use super::kit::{Site, Step, ask, asks, site, sql, until};

const FROM: &str = "copy t from stdin";

/// A site with a table of numbers.
fn site_with_table() -> Site {
    let site = site(1);
    site.psql("create table t (n int)");
    site
}

/// Parse, Bind and Execute of a COPY.
fn copy(text: &str) -> Vec<u8> {
    [parse("", text, &[]), bind("", "", &[]), execute("", 0)].concat()
}

/// A script between two that empty the table, and its count.
fn emptied(script: Vec<Step>) -> Vec<Step> {
    let mut whole = vec![sql("truncate t")];
    whole.extend(script);
    whole.push(sql("select count(*), sum(n) from t"));
    whole
}

#[tokio::test]
async fn data_goes_in_by_simple_queries() {
    let (one, bad) = (copy_data(b"1\n"), copy_data(b"x\n"));
    site_with_table()
        .same(&emptied(vec![
            until(&[query(FROM)], b'G'),
            ask(&[one.clone(), sync(), flush(), one.clone(), copy_done()]),
            asks(&[query(FROM), one.clone(), one.clone(), copy_done(), query("select 1")], 2),
            until(&[query("copy t from stdin; select 'and more'")], b'G'),
            ask(&[one.clone(), copy_fail("enough")]),
            until(&[query(FROM)], b'G'),
            ask(&[bad.clone(), one.clone(), copy_done()]),
            // What comes after the error is ignored.
            asks(&[one.clone(), copy_done(), query("select 'late'")], 1),
            asks(&[query(FROM), bad, one.clone(), copy_done(), query("select 2")], 2),
            asks(
                &[query("copy nowhere from stdin"), one.clone(), copy_done(), query("select 3")],
                2,
            ),
            until(&[query("copy t from stdin; copy t from stdin; select 9")], b'G'),
            until(&[one.clone(), copy_done()], b'G'),
            ask(&[one, copy_done()]),
        ]))
        .await;
}

#[tokio::test]
async fn data_goes_in_by_batches() {
    let (one, bad) = (copy_data(b"1\n"), copy_data(b"x\n"));
    site_with_table()
        .same(&emptied(vec![
            // As libpq does: Sync before the data, and another one behind it.
            until(&[copy(FROM), sync()], b'G'),
            ask(&[one.clone(), one.clone(), copy_done(), sync()]),
            until(&[copy(FROM), flush()], b'G'),
            ask(&[one.clone(), copy_done(), sync()]),
            ask(&[copy(FROM), one.clone(), copy_done(), sync()]),
            ask(&[copy(FROM), sync(), one.clone(), copy_done(), sync()]),
            until(&[copy(FROM), sync()], b'G'),
            ask(&[copy_fail("no"), sync()]),
            until(&[copy(FROM), sync()], b'G'),
            until(&[bad.clone(), one.clone(), copy_done()], b'E'),
            ask(&[one.clone(), copy_done(), sync()]),
            ask(&[copy(FROM), bad, one.clone(), copy_done(), sync()]),
            ask(&[copy("copy nowhere from stdin"), one.clone(), copy_done(), sync()]),
            asks(
                &[
                    copy(FROM),
                    one,
                    copy_done(),
                    sync(),
                    query("select 'next'"),
                    copy("select 1"),
                    sync(),
                ],
                3,
            ),
        ]))
        .await;
}

#[tokio::test]
async fn data_comes_out() {
    let out = "copy (select n, repeat('z', 100) from generate_series(1, 5000) n) to stdout";
    let failing = "copy (select 1 / (3000 - n) from generate_series(1, 5000) n) to stdout";
    site(1)
        .same(&[
            sql(out),
            sql(failing),
            sql(&format!("{out}; select 1; {out}")),
            ask(&[copy(out), sync()]),
            ask(&[copy(failing), copy("select 'skipped'"), sync()]),
            asks(&[copy(failing), sync(), query(out), query(failing), copy(out), sync()], 4),
        ])
        .await;
}

/// Data that comes when its COPY has failed already is for nobody, and takes no server.
#[tokio::test]
async fn late_data_holds_no_server() {
    let site = site_with_table();
    let (mut late, mut other) = (site.client().await, site.client().await);
    for round in 0..5 {
        late.send(&query(FROM)).await;
        late.recv_until(b'G').await;
        late.send(&[copy_data(b"x\n"), copy_done()].concat()).await;
        assert_eq!(late.read_result().await.unwrap_error().code(), "22P02");
        late.send(&[copy_data(b"1\n"), copy_done()].concat()).await;
        for number in 0..3 {
            let asked = format!("select {number}");
            assert_eq!(other.query(&asked).await.value(), number.to_string(), "round {round}");
        }
        assert_eq!(late.query("select count(*) from t").await.value(), "0");
    }
    site.assert_calm();
}

#[tokio::test]
async fn a_client_that_leaves_amid_a_copy_leaves_nothing_behind() {
    let site = site_with_table();
    let mut other = site.client().await;
    let large = "copy (select repeat('q', 1000) from generate_series(1, 1000000)) to stdout";
    let beginnings = [
        (query(FROM), b'G'),
        ([copy(FROM), flush()].concat(), b'G'),
        ([copy(FROM), sync()].concat(), b'G'),
        (query(large), b'd'),
        ([copy(large), flush()].concat(), b'd'),
        (
            [query("begin"), query("insert into t values (7)"), query("copy t from stdin")]
                .concat(),
            b'G',
        ),
    ];
    for (index, (beginning, tag)) in beginnings.into_iter().enumerate() {
        for farewell in 0..3 {
            let mut client = site.client().await;
            client.send(&beginning).await;
            client.recv_until(tag).await;
            if tag == b'G' {
                client.send(&copy_data(b"5\n6\n")).await;
            }
            match farewell {
                0 => drop(client),
                1 => client.reset(),
                _ => {
                    client.send(&terminate()).await;
                    drop(client);
                }
            }
            let found = other.query("select count(*), 'mine' from t").await;
            let expected = [Some("0".to_owned()), Some("mine".to_owned())];
            assert_eq!(found.rows, [expected], "beginning {index}, farewell {farewell}");
        }
    }
    site.assert_calm();
}

#[tokio::test]
async fn a_message_cut_off_by_the_client_closes_that_server_only() {
    let site = site_with_table();
    let mut other = site.client().await;
    for whole in [query("select 'never complete'"), copy("select 1"), copy_data(&[b'1'; 1000])] {
        let mut client = site.client().await;
        if whole[0] == b'd' {
            client.send(&query(FROM)).await;
            client.recv_until(b'G').await;
        }
        client.send(&whole[..whole.len() - 3]).await;
        drop(client);
        assert_eq!(other.query("select 'whole'").await.value(), "whole");
    }
    assert_eq!(other.query("select count(*) from t").await.value(), "0");
    site.assert_calm();
}

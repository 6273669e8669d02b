//! Prepared statements: named by clients, shared on servers.

use pgusher_testkit::frontend::{bind, close, describe, execute, parse, query, sync};
use pgusher_testkit::{QueryResult, RawClient};

use super::kit::{ask, asks, site, site_with, sql, until};

/// Bind and Execute of a named statement.
fn run(name: &str, params: &[Option<&str>]) -> Vec<u8> {
    [bind("", name, params), execute("", 0)].concat()
}

/// Sends a batch with its Sync; gives what came.
async fn batch(client: &mut RawClient, messages: &[Vec<u8>]) -> QueryResult {
    client.send(&[messages.concat(), sync()].concat()).await;
    client.read_result().await
}

#[tokio::test]
async fn statements_behave_as_on_the_server() {
    let plus = parse("plus", "select $1::int + 1", &[]);
    site(1)
        .same(&[
            ask(&[plus.clone(), describe(b'S', "plus"), run("plus", &[Some("1")]), sync()]),
            ask(&[run("plus", &[Some("2")]), describe(b'P', ""), sync()]),
            ask(&[plus.clone(), run("plus", &[Some("3")]), sync()]),
            ask(&[run("plus", &[Some("4")]), sync()]),
            ask(&[plus.clone(), plus.clone(), sync()]),
            asks(
                &[
                    plus.clone(),
                    run("plus", &[Some("4")]),
                    sync(),
                    run("plus", &[Some("5")]),
                    sync(),
                ],
                2,
            ),
            ask(&[close(b'S', "plus"), plus.clone(), run("plus", &[Some("6")]), sync()]),
            ask(&[close(b'S', "plus"), sync()]),
            ask(&[run("plus", &[Some("7")]), sync()]),
            ask(&[describe(b'S', "plus"), sync()]),
            ask(&[parse("bad", "selec", &[]), run("bad", &[]), sync()]),
            ask(&[run("bad", &[]), sync()]),
            ask(&[parse("bad", "select 'good now'", &[]), run("bad", &[]), sync()]),
            ask(&[run("nobody", &[]), sync()]),
            ask(&[parse("void", "", &[]), describe(b'S', "void"), run("void", &[]), sync()]),
            ask(&[
                run("nobody", &[]),
                parse("skipped", "select 1", &[]),
                close(b'S', "bad"),
                sync(),
            ]),
            ask(&[run("skipped", &[]), sync()]),
            ask(&[run("bad", &[]), sync()]),
            ask(&[plus.clone(), run("plus", &[]), sync()]),
            ask(&[run("plus", &[]), sync()]),
            ask(&[run("plus", &[Some("8")]), sync()]),
        ])
        .await;
}

#[tokio::test]
async fn an_unnamed_statement_outlives_one_that_was_skipped() {
    let unnamed = |text: &str| parse("", &format!("select '{text}'"), &[]);
    let broken = parse("x", "selec", &[]);
    site(1)
        .same(&[
            ask(&[unnamed("first"), sync()]),
            ask(&[broken.clone(), unnamed("skipped"), sync()]),
            ask(&[run("", &[]), sync()]),
            asks(&[broken.clone(), unnamed("skipped"), sync(), run("", &[]), sync()], 2),
            asks(&[broken.clone(), sync(), unnamed("second"), run("", &[]), sync()], 2),
            ask(&[run("", &[]), sync()]),
            ask(&[parse("", "selec", &[]), unnamed("skipped"), sync()]),
            ask(&[run("", &[]), sync()]),
            ask(&[unnamed("third"), sync()]),
            asks(&[parse("", "selec", &[]), sync(), unnamed("fourth"), sync()], 2),
            ask(&[run("", &[]), sync()]),
            // Two of them, skipped together, or with the error in between.
            ask(&[broken.clone(), unnamed("skipped"), unnamed("skipped, too"), sync()]),
            ask(&[run("", &[]), sync()]),
            ask(&[unnamed("fifth"), broken.clone(), unnamed("skipped"), sync()]),
            ask(&[run("", &[]), sync()]),
        ])
        .await;
}

#[tokio::test]
async fn a_long_pipeline_of_unnamed_statements_comes_through() {
    let text = "x".repeat(4_000);
    let step = |number| {
        let sql = format!("select {number}, length('{text}')");
        [parse("", &sql, &[]), run("", &[])]
    };
    let mut pipeline: Vec<_> = (0..200).flat_map(step).collect();
    pipeline.push(sync());
    site(2).same(&[ask(&pipeline), ask(&[run("", &[]), sync()])]).await;
}

#[tokio::test]
async fn statements_in_aborted_transactions_behave_as_on_the_server() {
    let one = parse("one", "select 1", &[]);
    site(1)
        .same(&[
            ask(&[one.clone(), sync()]),
            sql("begin"),
            sql("select 1/0"),
            ask(&[parse("two", "select 2", &[]), sync()]),
            ask(&[run("one", &[]), sync()]),
            ask(&[one.clone(), sync()]),
            // The server holds this one already, but would not take it now.
            ask(&[parse("same", "select 1", &[]), run("same", &[]), sync()]),
            sql("rollback"),
            ask(&[run("one", &[]), sync()]),
            ask(&[run("two", &[]), sync()]),
            sql("begin"),
            ask(&[parse("three", "select 3", &[]), sync()]),
            sql("rollback"),
            ask(&[run("three", &[]), sync()]),
            ask(&[one, sync()]),
            ask(&[run("same", &[]), sync()]),
        ])
        .await;
}

#[tokio::test]
async fn discarding_takes_effect_where_it_stands() {
    let one = parse("one", "select 1", &[]);
    for discard in ["discard all", "deallocate all"] {
        site(1)
            .same(&[
                ask(&[one.clone(), sync()]),
                sql(discard),
                ask(&[run("one", &[]), sync()]),
                ask(&[one.clone(), run("one", &[]), sync()]),
                asks(
                    &[query(discard), parse("new", "select 'new'", &[]), run("new", &[]), sync()],
                    2,
                ),
                ask(&[run("new", &[]), sync()]),
                ask(&[parse("", discard, &[]), run("", &[]), sync()]),
                ask(&[run("new", &[]), sync()]),
            ])
            .await;
    }
}

#[tokio::test]
async fn names_belong_to_their_clients() {
    let site = site(1);
    let mut clients = Vec::new();
    for n in 0..4 {
        let mut client = site.client().await;
        let parse = parse("s", &format!("select 'of client {n}'"), &[]);
        assert!(batch(&mut client, &[parse]).await.error.is_none());
        clients.push(client);
    }
    for _ in 0..3 {
        for (n, client) in clients.iter_mut().enumerate() {
            let found = batch(client, &[run("s", &[])]).await;
            assert_eq!(found.value(), format!("of client {n}"));
        }
    }
    // One that discards everything breaks nobody else.
    for discard in ["discard all", "deallocate all"] {
        assert!(clients[0].query(discard).await.error.is_none());
        let gone = batch(&mut clients[0], &[run("s", &[])]).await;
        assert_eq!(gone.unwrap_error().code(), "26000");
        for (n, client) in clients.iter_mut().enumerate().skip(1) {
            let found = batch(client, &[run("s", &[])]).await;
            assert_eq!(found.value(), format!("of client {n}"));
        }
    }
    site.assert_calm();
}

#[tokio::test]
async fn a_server_parses_a_shared_statement_once() {
    let site = site(1);
    let text = "select $1::int as shared";
    let counted = "select count(*) from pg_prepared_statements where statement like '%as shared'";
    let mut clients = Vec::new();
    for n in 0..5 {
        let mut client = site.client().await;
        let name = format!("mine{n}");
        let found = batch(&mut client, &[parse(&name, text, &[]), run(&name, &[Some("1")])]).await;
        assert_eq!(found.rows, [[Some("1".to_owned())]]);
        assert_eq!(client.query(counted).await.value(), "1");
        clients.push(client);
    }
    // The same text with other parameter types is another statement.
    assert!(batch(&mut clients[0], &[parse("other", text, &[23])]).await.error.is_none());
    assert_eq!(clients[1].query(counted).await.value(), "2");
}

#[tokio::test]
async fn servers_hold_no_more_statements_than_they_may() {
    let site = site_with(1, "max_prepared_statements = 2");
    let mut script = Vec::new();
    for n in 0..5 {
        script.push(parse(&format!("s{n}"), &format!("select {n}"), &[]));
    }
    for n in [0, 4, 1, 1, 3, 2, 0, 4] {
        script.push(run(&format!("s{n}"), &[]));
    }
    script.push(sync());
    let again: Vec<_> = (0..5).map(|n| run(&format!("s{n}"), &[])).chain([sync()]).collect();
    let failing = [run("s0", &[]), run("s1", &[]), run("nobody", &[]), run("s2", &[]), sync()];
    site.same(&[ask(&script), ask(&again), ask(&failing), ask(&again), ask(&failing), ask(&again)])
        .await;
    let mut client = site.client().await;
    assert!(batch(&mut client, &script[..script.len() - 1]).await.error.is_none());
    let held = client.query("select count(*) from pg_prepared_statements").await;
    assert!(held.value().parse::<u32>().unwrap() <= 2, "{held:?}");
}

#[tokio::test]
async fn errors_name_the_clients_name() {
    let site = site(1);
    let mut client = site.client().await;
    let unknown = batch(&mut client, &[run("my-name", &[])]).await;
    assert_eq!(unknown.unwrap_error().code(), "26000");
    assert_eq!(unknown.unwrap_error().message(), "prepared statement \"my-name\" does not exist");
    let one = parse("my-name", "select 1", &[]);
    assert!(batch(&mut client, std::slice::from_ref(&one)).await.error.is_none());
    let taken = batch(&mut client, &[one]).await;
    assert_eq!(taken.unwrap_error().code(), "42P05");
    assert_eq!(taken.unwrap_error().message(), "prepared statement \"my-name\" already exists");
    assert_eq!(batch(&mut client, &[run("my-name", &[])]).await.value(), "1");
}

#[tokio::test]
async fn nothing_of_a_refused_duplicate_stays_on_the_server() {
    let site = site(1);
    let (mut one, mut two) = (site.client().await, site.client().await);
    let (a, b) = (parse("a", "select 1", &[]), parse("b", "select 2", &[]));
    assert!(batch(&mut one, &[a.clone(), b.clone()]).await.error.is_none());
    for duplicates in [vec![a.clone(), b.clone()], vec![b.clone(), a.clone(), b.clone()]] {
        assert_eq!(batch(&mut one, &duplicates).await.unwrap_error().code(), "42P05");
        for name in ["a", "b"] {
            let foreign = batch(&mut two, &[run(name, &[])]).await;
            assert_eq!(foreign.unwrap_error().code(), "26000", "{name}");
        }
    }
    // Nor of one whose client left before its Sync.
    one.send(&[a, pgusher_testkit::frontend::flush()].concat()).await;
    one.recv_until(b'E').await;
    drop(one);
    assert_eq!(batch(&mut two, &[run("a", &[])]).await.unwrap_error().code(), "26000");
    site.assert_calm();
}

#[tokio::test]
async fn a_client_cannot_guess_the_servers_names() {
    let site = site(1);
    let (mut owner, mut thief) = (site.client().await, site.client().await);
    let secret = parse("s", "select 'secret'", &[]);
    assert!(batch(&mut owner, &[secret]).await.error.is_none());
    for n in 0..10 {
        let name = format!("PGUSHER_{n}");
        let stolen = batch(&mut thief, &[run(&name, &[])]).await;
        assert_eq!(stolen.unwrap_error().code(), "26000");
        let own = [parse(&name, "select 'own'", &[]), run(&name, &[])];
        assert_eq!(batch(&mut thief, &own).await.value(), "own");
        assert_eq!(batch(&mut thief, &own).await.unwrap_error().code(), "42P05");
        assert_eq!(batch(&mut thief, &[run(&name, &[])]).await.value(), "own");
        assert!(batch(&mut thief, &[close(b'S', &name)]).await.error.is_none());
        assert_eq!(batch(&mut owner, &[run("s", &[])]).await.value(), "secret");
    }
    site.assert_calm();
}

#[tokio::test]
async fn a_client_that_leaves_before_its_sync_breaks_nobody() {
    let site = site(1);
    let mut other = site.client().await;
    for n in 0..5 {
        let shared = parse("s", &format!("select {n}, 'shared'"), &[]);
        let mut client = site.client().await;
        let unfinished = [shared.clone(), parse("bad", "selec", &[]), shared.clone()];
        client.send(&unfinished[..1 + n % 3].concat()).await;
        drop(client);
        let found = batch(&mut other, &[close(b'S', "s"), shared, run("s", &[])]).await;
        assert_eq!(found.rows, [[Some(n.to_string()), Some("shared".to_owned())]]);
    }
    site.assert_calm();
}

#[tokio::test]
async fn a_changed_result_type_is_told_once() {
    let site = site(1);
    site.psql("create table changing (a int); insert into changing values (1)");
    let (mut one, mut two) = (site.client().await, site.client().await);
    let all = parse("all", "select * from changing", &[]);
    for client in [&mut one, &mut two] {
        let found = batch(client, &[all.clone(), run("all", &[])]).await;
        assert_eq!(found.rows, [[Some("1".to_owned())]]);
    }
    site.psql("alter table changing alter column a type text");
    assert_eq!(batch(&mut one, &[run("all", &[])]).await.unwrap_error().code(), "0A000");
    let renewed = [close(b'S', "all"), all, run("all", &[])];
    assert_eq!(batch(&mut one, &renewed).await.value(), "1");
    assert_eq!(batch(&mut two, &renewed).await.value(), "1");
    assert_eq!(batch(&mut one, &[run("all", &[])]).await.value(), "1");
}

#[tokio::test]
async fn a_huge_statement_is_its_clients_alone() {
    let site = site(1);
    let text = format!("select length('{}')", "x".repeat(2 << 20));
    let mut client = site.client().await;
    let found = batch(&mut client, &[parse("huge", &text, &[]), run("huge", &[])]).await;
    assert_eq!(found.value(), "2097152");
    assert_eq!(batch(&mut client, &[run("huge", &[])]).await.value(), "2097152");
    client.terminate().await;
    let mut other = site.client().await;
    assert_eq!(batch(&mut other, &[run("huge", &[])]).await.unwrap_error().code(), "26000");
    assert_eq!(other.query("select count(*) from pg_prepared_statements").await.value(), "0");
    site.assert_calm();
}

#[tokio::test]
async fn flushed_statements_are_answered_at_once() {
    let flush = pgusher_testkit::frontend::flush;
    site(1)
        .same(&[
            until(&[parse("a", "select 'a'", &[]), flush()], b'1'),
            until(&[describe(b'S', "a"), flush()], b'T'),
            ask(&[sync()]),
            until(&[run("a", &[]), flush()], b'C'),
            until(&[close(b'S', "a"), flush()], b'3'),
            ask(&[run("a", &[]), sync()]),
        ])
        .await;
}

#[tokio::test]
async fn a_batch_does_not_count_on_one_that_failed() {
    let site = site_with(1, "max_prepared_statements = 2");
    let (fail, one) = (run("nobody", &[]), || run("one", &[]));
    site.same(&[
        ask(&[parse("one", "select 1", &[]), sync()]),
        ask(&[parse("two", "select 2", &[]), parse("three", "select 3", &[]), sync()]),
        // The server has lost the first: the Parse that brings it back is skipped in one batch, and due in the next.
        asks(&[fail.clone(), one(), sync(), one(), sync()], 2),
        ask(&[run("two", &[]), run("three", &[]), sync()]),
        asks(
            &[fail.clone(), run("one", &[]), run("two", &[]), sync(), run("three", &[]), sync()],
            2,
        ),
        ask(&[one(), run("two", &[]), run("three", &[]), sync()]),
        // A name that a failed batch did not take is free, and one that it did not free is taken.
        asks(&[parse("bad", "selec", &[]), sync(), parse("bad", "select 'good'", &[]), sync()], 2),
        ask(&[run("bad", &[]), sync()]),
        asks(&[fail, close(b'S', "one"), sync(), one(), sync()], 2),
    ])
    .await;
}

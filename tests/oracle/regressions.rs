//! What the oracle's author thought of, and what it once found: each case by itself, on a pool of one server.

use pgusher_testkit::{Message, RawClient, frontend as f};

use crate::proxy::Weather;
use crate::stage::Stage;

async fn stage() -> Stage {
    Stage::set(1, "query_wait_timeout = \"5s\"", Weather::default(), 1).await
}

async fn login(stage: &Stage) -> RawClient {
    RawClient::login(stage.pgusher.port(), "app", "app", "").await
}

async fn ask(client: &mut RawClient, requests: &[Vec<u8>]) -> Vec<Message> {
    client.send(&requests.concat()).await;
    client.read_ready().await
}

fn tags(messages: &[Message]) -> String {
    messages.iter().map(|message| char::from(message.tag)).collect()
}

fn run_unnamed() -> [Vec<u8>; 3] {
    [f::bind("", "", &[]), f::execute("", 0), f::sync()]
}

/// Requests that are skipped because an earlier one failed leave the server's unnamed statement as it was: another
/// client's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_skipped_request_does_not_open_anothers_unnamed_statement() {
    let stage = stage().await;
    let bad = f::parse("bad", "select nothing", &[]);
    let skipped = [
        vec![f::bind("", "", &[])],
        vec![f::close(b'S', "")],
        vec![f::query("select 1")],
        vec![f::parse("", "select 'own'", &[])],
    ];
    for skipped in skipped {
        let mut owner = login(&stage).await;
        let secret = [f::parse("", "select 'secret'", &[]), f::sync()];
        assert_eq!(tags(&ask(&mut owner, &secret).await), "1Z");
        let mut other = login(&stage).await;
        let failed = [std::slice::from_ref(&bad), &skipped[..], &[f::sync()]].concat();
        assert_eq!(tags(&ask(&mut other, &failed).await), "EZ", "{skipped:?}");
        let answer = ask(&mut other, &run_unnamed()).await;
        assert_eq!(tags(&answer), "EZ", "{skipped:?}: {answer:?}");
        assert_eq!(answer[0].error().code(), "26000");
        owner.terminate().await;
        other.terminate().await;
    }
}

/// A client that gives a name twice and leaves before its Sync leaves no statement of that name behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_given_twice_does_not_stay() {
    let stage = stage().await;
    let mut first = login(&stage).await;
    let named = f::parse("s", "select 1", &[]);
    assert_eq!(tags(&ask(&mut first, &[named.clone(), f::sync()]).await), "1Z");
    first.send(&[named, f::flush()].concat()).await;
    assert_eq!(first.recv().await.error().code(), "42P05");
    first.reset();
    let mut second = login(&stage).await;
    let answer = ask(&mut second, &[f::bind("", "s", &[]), f::execute("", 0), f::sync()]).await;
    assert_eq!(answer[0].error().code(), "26000", "{answer:?}");
}

/// Names that look like those of shared statements open none, and close none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_like_those_of_shared_statements_are_only_names() {
    let stage = stage().await;
    let mut owner = login(&stage).await;
    let secret = [f::parse("mine", "select 'secret'", &[]), f::sync()];
    assert_eq!(tags(&ask(&mut owner, &secret).await), "1Z");
    let mut other = login(&stage).await;
    for number in 0..6 {
        let name = format!("PGUSHER_{number}");
        for request in [f::bind("", &name, &[]), f::describe(b'S', &name)] {
            let answer = ask(&mut other, &[request, f::sync()]).await;
            assert_eq!(answer[0].error().code(), "26000", "{name}: {answer:?}");
        }
        let parse = f::parse(&name, &format!("select {number}"), &[]);
        assert_eq!(tags(&ask(&mut other, &[parse.clone(), f::sync()]).await), "1Z");
        let twice = ask(&mut other, &[parse, f::sync()]).await;
        assert_eq!(twice[0].error().code(), "42P05", "{name}: {twice:?}");
        assert_eq!(tags(&ask(&mut other, &[f::close(b'S', &name), f::sync()]).await), "3Z");
        let mine = [f::bind("", "mine", &[]), f::execute("", 0), f::sync()];
        let answer = ask(&mut owner, &mine).await;
        assert_eq!(tags(&answer), "2DCZ", "{answer:?}");
        assert_eq!(answer[1].row(), [Some("secret".to_owned())]);
    }
}

/// A COPY that fails before it reads any data honours the Sync behind its Execute: whoever sends data and another Sync
/// blindly is told of both, and nobody else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_fails_at_once_leaves_no_answer_to_the_next_client() {
    let stage = stage().await;
    stage.ask_in(
        "app",
        "create function refuse() returns trigger language plpgsql as \
         'begin raise exception ''refused''; end'; \
         create trigger t before insert on sink for each statement execute function refuse()",
    );
    for _ in 0..20 {
        let mut client = login(&stage).await;
        let copy = [
            f::parse("", "copy sink from stdin", &[]),
            f::bind("", "", &[]),
            f::execute("", 0),
            f::sync(),
            f::copy_data(b"x\n"),
            f::copy_done(),
            f::sync(),
        ];
        assert_eq!(tags(&ask(&mut client, &copy).await), "12GEZ");
        let mut next = login(&stage).await;
        next.send(&f::query("select 'mine'")).await;
        drop(client);
        let answer = next.read_ready().await;
        assert_eq!(tags(&answer), "TDCZ", "{answer:?}");
        assert_eq!(answer[1].row(), [Some("mine".to_owned())]);
        next.terminate().await;
    }
}

/// The server dies within its answer to pgusher's own query: the client, which was told nothing yet, hears why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_within_a_swallowed_answer_is_spoken_of() {
    use pgusher_testkit::{FakeServer, Pgusher, backend};
    let server = FakeServer::start(async |mut conn: pgusher_testkit::FakeConn| {
        conn.login_trust(&[("application_name", ""), ("server_version", "16.0")], 7, b"key!").await;
        if conn.recv_until(b'Q').await.is_some() {
            let row = backend::data_row(&[Some("half of this")]);
            conn.send(&backend::row_description(&["set_config"])).await;
            conn.send(&row[..row.len() - 3]).await;
            conn.close().await;
        }
    })
    .await;
    let config = crate::stage::config(server.port(), "pool_size = 1");
    let pgusher = Pgusher::start(crate::stage::PGUSHER, &config);
    let mut client = RawClient::connect(pgusher.port()).await;
    let params = [("user", "app"), ("database", "app"), ("application_name", "mine")];
    client.startup(0, &params).await;
    client.authenticate("app", "").await.expect("let in");
    client.send(&f::query("select 1")).await;
    assert_eq!(client.expect_fatal().await.code(), "08006");
}

/// The server's farewell is the last that the client hears: what pgusher could answer by itself of the requests behind it
/// is not answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_answered_behind_a_servers_farewell() {
    use pgusher_testkit::{ErrorFields, FakeServer, Pgusher, backend};
    let server = FakeServer::start(async |mut conn: pgusher_testkit::FakeConn| {
        conn.login_trust(&[("application_name", ""), ("server_version", "16.0")], 7, b"key!").await;
        while let Some(message) = conn.recv().await {
            match message.tag {
                b'C' => conn.send(&backend::close_complete()).await,
                b'P' => conn.send(&backend::parse_complete()).await,
                b'Q' => break,
                _ => conn.ready(b'I').await,
            }
        }
        let farewell = ErrorFields::new("FATAL", "57P01", "going down");
        let done = ["BEGIN", "SET"].map(backend::command_complete).concat();
        let ready = backend::ready_for_query(b'T');
        conn.send(&[done, ready, backend::error_response(&farewell)].concat()).await;
        conn.close().await;
    })
    .await;
    let config = crate::stage::config(server.port(), "pool_size = 1");
    let pgusher = Pgusher::start(crate::stage::PGUSHER, &config);
    let mut client = login_to(&pgusher).await;
    client.send(&[f::parse("one", "select 1", &[]), f::sync()].concat()).await;
    client.read_ready().await;
    // What is behind a SET is looked at when that is done; the server has the statement, so that pgusher would answer.
    let begin = f::query("begin; set local work_mem = '4MB'");
    client.send(&[begin, f::parse("two", "select 1", &[]), f::flush()].concat()).await;
    client.read_ready().await;
    assert_eq!(client.expect_fatal().await.code(), "57P01");
}

/// A replay that was cancelled because its client left has set nothing: the next client's parameters are set anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_replay_is_not_believed() {
    use pgusher_testkit::{FakeServer, Pgusher};
    let (replaying, mut replay) = tokio::sync::watch::channel(false);
    let server = FakeServer::start(move |mut conn: pgusher_testkit::FakeConn| {
        let replaying = replaying.clone();
        async move {
            let params = [("application_name", ""), ("server_version", "16.0")];
            conn.login_trust(&params, 7, b"key!").await;
            while let Some(message) = conn.recv().await {
                let Some(sql) = message.texts().pop() else { continue };
                if sql.contains("leaver") {
                    replaying.send_replace(true);
                    conn.cancelled(7, b"key!").await;
                    conn.error("ERROR", "57014", "canceling statement due to user request").await;
                } else if sql.contains("application_name") {
                    conn.send(&pgusher_testkit::backend::parameter_status("application_name", "x"))
                        .await;
                    conn.complete("SELECT 1").await;
                } else {
                    conn.rows(&["index"], &[&[Some(&conn.index().to_string())]]).await;
                }
                conn.ready(b'I').await;
            }
        }
    })
    .await;
    let config = crate::stage::config(server.port(), "pool_size = 1");
    let pgusher = Pgusher::start(crate::stage::PGUSHER, &config);
    let mut leaver = RawClient::connect(pgusher.port()).await;
    let params = [("user", "app"), ("database", "app"), ("application_name", "leaver")];
    leaver.startup(0, &params).await;
    leaver.authenticate("app", "").await.expect("let in");
    leaver.send(&f::query("select 1")).await;
    let replayed = tokio::time::timeout(crate::peer::PATIENCE, replay.wait_for(|begun| *begun));
    replayed.await.expect("no replay").expect("a server");
    leaver.reset();
    let mut next = login_to(&pgusher).await;
    let index: usize = next.query("select index").await.value().parse().expect("a number");
    assert!(index > 0, "the server that was cancelled in its replay still serves");
}

async fn login_to(pgusher: &pgusher_testkit::Pgusher) -> RawClient {
    RawClient::login(pgusher.port(), "app", "app", "").await
}

/// A result that came thick and then drop by drop: each drop arrives by itself, and the next query's reply, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thick_stream_that_thins_out_is_not_held_back() {
    use pgusher_testkit::{FakeServer, Pgusher, backend};
    let (drops, seen) = tokio::sync::watch::channel(0_usize);
    let server = FakeServer::start(move |mut conn: pgusher_testkit::FakeConn| {
        let mut seen = seen.clone();
        async move {
            conn.login_trust(&[("server_version", "16.0")], 7, b"key!").await;
            while let Some(message) = conn.recv().await {
                if message.texts().pop().is_some_and(|sql| sql.contains("thick")) {
                    conn.send(&backend::row_description(&["x"])).await;
                    let row = backend::data_row(&[Some(&"x".repeat(1000))]);
                    for _ in 0..40 {
                        conn.send(&row.repeat(1000)).await;
                    }
                    for drop in 0..5 {
                        conn.send(&backend::data_row(&[Some("drop")])).await;
                        seen.wait_for(|count| *count > drop).await.expect("the test goes on");
                    }
                    conn.complete("SELECT 40005").await;
                } else {
                    conn.rows(&["x"], &[&[Some("thin")]]).await;
                }
                conn.ready(b'I').await;
            }
        }
    })
    .await;
    let config = crate::stage::config(server.port(), "pool_size = 1");
    let pgusher = Pgusher::start(crate::stage::PGUSHER, &config);
    let mut client = login_to(&pgusher).await;
    for _ in 0..2 {
        drops.send_replace(0);
        client.send(&f::query("thick")).await;
        let mut count = 0;
        while count < 5 {
            let message = client.recv_until(b'D').await.pop().expect("a row");
            if message.body.ends_with(b"drop") {
                count += 1;
                drops.send_replace(count);
            }
        }
        client.read_ready().await;
        assert_eq!(client.query("select 1").await.value(), "thin");
    }
}

//! Clients that go away in every state: afterwards the pool is whole, and what they left is not found by the next.

use std::time::Duration;

use pgusher_testkit::{RawClient, frontend as f};

use crate::nonces::all_is_whole;
use crate::proxy::Weather;
use crate::stage::Stage;

const SIZE: usize = 3;

async fn stage() -> Stage {
    Stage::set(SIZE, "query_wait_timeout = \"3s\"", Weather::default(), 2).await
}

async fn login(stage: &Stage) -> RawClient {
    RawClient::login(stage.pgusher.port(), "app", "app", "").await
}

/// Leaves with a reset, then with a plain end.
async fn leave(client: RawClient, reset: bool) {
    if reset { client.reset() } else { drop(client) }
}

/// Brings a client into a state, lets it vanish, and looks at what is left.
async fn vanish_in(stage: &Stage, name: &str, requests: &[Vec<u8>], until: &str) {
    for reset in [true, false] {
        let mut client = login(stage).await;
        client.send(&requests.concat()).await;
        if !until.is_empty() {
            stage.await_answer(until, "t").await;
        }
        leave(client, reset).await;
        let vanished = std::time::Instant::now();
        stage.await_answer(AT_REST, "0").await;
        println!("{name}: at rest after {:?}", vanished.elapsed());
    }
}

/// Sessions that are not idle.
const AT_REST: &str = "select count(*) from pg_stat_activity where usename = 'app' and \
                       (state <> 'idle' or xact_start is not null)";
const SLEEPING: &str = "select count(*) > 0 from pg_stat_activity where usename = 'app' and \
                        state = 'active' and query like '%pg_sleep%'";
const IN_TRANSACTION: &str = "select count(*) > 0 from pg_stat_activity where usename = 'app' and \
                              (state like 'idle in transaction%' or xact_start is not null)";
const COPYING: &str = "select count(*) > 0 from pg_stat_activity where usename = 'app' and \
                       state = 'active' and query like '%copy%'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_vanishes_leaves_nothing() {
    let stage = stage().await;
    let sleep = f::query("select pg_sleep(600)");
    vanish_in(&stage, "in a query", &[sleep], SLEEPING).await;
    let insert = f::query("insert into sink values ('lost')");
    let begin = f::query("begin");
    vanish_in(&stage, "in a transaction", &[begin.clone(), insert.clone()], IN_TRANSACTION).await;
    let failed = [begin.clone(), insert, f::query("select 1/0")];
    vanish_in(&stage, "in a failed transaction", &failed, IN_TRANSACTION).await;
    let copy = f::query("copy sink from stdin");
    let data = f::copy_data(b"lost\n");
    vanish_in(&stage, "in COPY in", &[copy.clone(), data.clone()], COPYING).await;
    vanish_in(&stage, "in CopyData", &[copy, data[..7].to_vec()], COPYING).await;
    let extended =
        [f::parse("", "copy sink from stdin", &[]), f::bind("", "", &[]), f::execute("", 0)];
    let flushed = [&extended[..], &[f::flush()]].concat();
    vanish_in(&stage, "in extended COPY in", &flushed, COPYING).await;
    let out = "copy (select repeat('x', 1000) from generate_series(1, 1000000)) to stdout";
    vanish_in(&stage, "in COPY out", &[f::query(out)], COPYING).await;
    let rows = "select repeat('x', 1000), 'copy' from generate_series(1, 1000000)";
    vanish_in(&stage, "in a large result", &[f::query(rows)], COPYING).await;
    let parse = f::parse("s", "select 1", &[]);
    vanish_in(&stage, "in Parse", &[begin.clone(), parse[..9].to_vec()], IN_TRANSACTION).await;
    vanish_in(&stage, "behind Parse", &[begin.clone(), parse, f::flush()], IN_TRANSACTION).await;
    let large = "x".repeat(300_000);
    let bind = f::bind("", "", &[Some(&large)]);
    let half = [begin, f::parse("", "select $1", &[]), bind[..150_000].to_vec()];
    vanish_in(&stage, "in a large Bind", &half, IN_TRANSACTION).await;
    let query = f::query(&format!("select '{large}'"));
    vanish_in(&stage, "in a large query", &[query[..100_000].to_vec()], "").await;
    vanish_at_login(&stage).await;
    vanish_in_the_queue(&stage).await;
    all_is_whole(&stage, SIZE).await;
    assert_eq!(stage.ask("select count(*) from pg_stat_activity where query like '%pg_sleep(600)%' and usename = 'app' and state = 'active'"), "0");
    let left = stage.ask_in("app", "select count(*) from sink");
    assert_eq!(left, "0", "rows of transactions that nobody committed");
    assert!(!stage.pgusher.log().contains("panicked"), "{}", stage.pgusher.log());
}

async fn vanish_at_login(stage: &Stage) {
    let startup = f::startup(0, &[("user", "app"), ("database", "app"), ("work_mem", "1MB")]);
    for cut in 0..=startup.len() {
        let mut client = RawClient::connect(stage.pgusher.port()).await;
        let _ = client.try_send(&startup[..cut]).await;
        leave(client, cut % 2 == 0).await;
    }
}

async fn vanish_in_the_queue(stage: &Stage) {
    let mut holders = Vec::new();
    for _ in 0..SIZE {
        let mut holder = login(stage).await;
        assert_eq!(holder.query("begin").await.status, b'T');
        holders.push(holder);
    }
    for reset in [true, false] {
        for _ in 0..5 {
            let mut waiter = login(stage).await;
            waiter.send(&f::query("insert into sink values ('queued'); select 1")).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            leave(waiter, reset).await;
        }
    }
    for mut holder in holders {
        assert_eq!(holder.query("rollback").await.status, b'I');
        holder.terminate().await;
    }
}

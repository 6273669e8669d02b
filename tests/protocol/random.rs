//! Conversations drawn by lot, straight and through the pool.
//!
//! They hold what no hand-written script thinks of: names taken, freed and taken again inside of pipelines, batches that
//! fail anywhere, more statements than a server may hold.

use pgusher_testkit::frontend::{
    bind, close, copy_data, copy_done, copy_fail, describe, execute, flush, function_call, parse,
    query, sync,
};
use pgusher_testkit::{Message, RawClient};

use super::kit::{PATIENCE, Site, site_with};

/// A generator of numbers (xorshift), so that a seed names a conversation.
struct Lot(u64);

impl Lot {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % limit as u64).expect("below a usize")
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "PGUSHER_1", "PGUSHER_2"];
const TEXTS: [&str; 9] = [
    "select 1",
    "select 2, 'two'",
    "select $1::text",
    "select 1 / 0",
    "selec",
    "select * from nowhere",
    "",
    "select generate_series(1, 20)",
    "set intervalstyle = 'iso_8601'",
];
const QUERIES: [&str; 8] = [
    "select 'simple'",
    "select 1; select 2",
    "select 1/0",
    "",
    "set timezone = 'Asia/Tokyo'",
    "set timezone = 'UTC'",
    "deallocate all",
    "discard all",
];

/// A Parse, of a name that may be taken.
fn naming(lot: &mut Lot) -> Vec<u8> {
    let name = lot.of(&NAMES);
    let parse = parse(name, lot.of(&TEXTS), &[]);
    if lot.below(2) == 0 { parse } else { [close(b'S', name), parse].concat() }
}

/// One message of a batch, or a few that belong together.
fn piece(lot: &mut Lot) -> Vec<u8> {
    let name = lot.of(&NAMES);
    match lot.below(8) {
        0..=2 => [bind("", name, &[]), describe(b'P', ""), execute("", 0)].concat(),
        3 => [bind("", name, &[Some("value")]), execute("", 0)].concat(),
        4 => describe(b'S', name),
        5 => super::kit::unnamed(lot.of(&TEXTS), &[]),
        6 => [bind("p", name, &[]), execute("p", 7), execute("p", 7), close(b'P', "p")].concat(),
        _ => flush(),
    }
}

/// A batch. Names are given at its front, where nothing is skipped: that a name was not given to a statement that the
/// server held before is not always known to the batch behind.
fn batch(lot: &mut Lot) -> Vec<u8> {
    let mut bytes = Vec::new();
    if lot.below(2) == 0 {
        bytes.extend(naming(lot));
    }
    for _ in 0..lot.below(6) {
        bytes.extend(piece(lot));
    }
    bytes.extend(sync());
    bytes
}

/// A COPY with all of its data, good or bad.
fn copy(lot: &mut Lot) -> Vec<u8> {
    let data = copy_data(lot.of(&[&b"1\n"[..], b"x\n", b"", b"2\n3\n"]));
    let end = if lot.below(3) == 0 { copy_fail("no") } else { copy_done() };
    let text = lot.of(&["copy t from stdin", "copy nowhere from stdin", "copy t to stdout"]);
    if lot.below(2) == 0 {
        return [query(text), data.clone(), data, end].concat();
    }
    let begin = [parse("", text, &[]), bind("", "", &[]), execute("", 0)].concat();
    [begin, data, end, sync()].concat()
}

/// Bytes that are answered with so many ReadyForQuery.
struct Turn {
    bytes: Vec<u8>,
    ready: usize,
}

/// What is sent in one go. Inside of a transaction only one batch or query: a failed transaction refuses whatever
/// follows, but which of several errors it tells depends on what the server holds.
fn turn(lot: &mut Lot, status: u8) -> Turn {
    let one = |bytes| Turn { bytes, ready: 1 };
    if status == b'E' {
        return one(query(lot.of(&["commit", "rollback"])));
    }
    if status == b'T' {
        return one(match lot.below(4) {
            0 => query(lot.of(&["commit", "rollback"])),
            1 => query(lot.of(&QUERIES[..6])),
            _ => batch(lot),
        });
    }
    if lot.below(6) == 0 {
        return one(query("begin"));
    }
    let (mut bytes, ready) = (Vec::new(), 1 + lot.below(5));
    for _ in 0..ready {
        bytes.extend(match lot.below(9) {
            0..=4 => batch(lot),
            5 | 6 => query(lot.of(&QUERIES)),
            7 => copy(lot),
            _ => function_call(1, &[]),
        });
    }
    Turn { bytes, ready }
}

/// Sends a turn; gives what came up to its last ReadyForQuery, and the status.
async fn hear(client: &mut RawClient, turn: &Turn) -> (Vec<String>, u8) {
    client.send(&turn.bytes).await;
    let (mut heard, mut status) = (Vec::new(), 0);
    for _ in 0..turn.ready {
        let messages = client.read_ready().await;
        status = messages.last().map_or(0, |ready| ready.body[0]);
        heard.extend(messages.iter().map(show));
    }
    (heard, status)
}

fn show(message: &Message) -> String {
    if message.tag == b'E' {
        let error = message.error();
        // A made-up name that a shared statement has is changed, so that it does not find that one. And the number of
        // parameters is judged by the name on the server.
        let text = error.message().replace("\"~PGUSHER", "\"PGUSHER");
        let text = if error.code() == "08P01" { "" } else { text.as_str() };
        return format!("E {} {} {text}", error.severity(), error.code());
    }
    format!("{message:?}")
}

async fn converse(site: &Site, seed: u64) {
    let (mut straight, mut client) = (site.direct().await, site.client().await);
    let (mut other, mut janitor) = (site.client().await, site.direct().await);
    straight.set_time_limit(PATIENCE);
    client.set_time_limit(PATIENCE);
    let mut lot = Lot(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut status = b'I';
    for step in 0..30 {
        let turn = turn(&mut lot, status);
        let (expected, expected_status) = hear(&mut straight, &turn).await;
        // Only a turn that begins and ends outside of a transaction copies.
        if expected_status == b'I' {
            janitor.query("truncate t").await;
        }
        let (found, _) = hear(&mut client, &turn).await;
        assert_eq!(found, expected, "seed {seed}, step {step}: {}", turn.bytes.escape_ascii());
        status = expected_status;
        if status == b'I' {
            janitor.query("truncate t").await;
            let text = format!("select 'other {seed} {step}'");
            let batch = [
                close(b'S', "a"),
                parse("a", &text, &[]),
                bind("", "a", &[]),
                execute("", 0),
                sync(),
            ];
            other.send(&batch.concat()).await;
            assert_eq!(other.read_result().await.value(), &text[8..text.len() - 1]);
        }
    }
}

#[tokio::test]
async fn conversations_by_lot_are_the_same() {
    let site = site_with(1, "max_prepared_statements = 3");
    site.psql("create table t (n int)");
    for seed in 0..40 {
        converse(&site, seed).await;
    }
    site.assert_calm();
}

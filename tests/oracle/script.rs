//! What clients ask: each style of the protocol, with values that only the asking client knows.

use pgusher_testkit::frontend as f;

use crate::expect::{Phase, Want};

/// `pg_catalog.textcat(text, text)`.
const TEXTCAT: u32 = 1258;

/// Texts that clients share, more than a server may hold.
const SHARED: usize = 12;

/// Names that clients use, each for texts of its own.
const NAMES: [&str; 3] = ["s", "shared", "PGUSHER_1"];

/// Makes a client's scripts.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Chance.
    pub(crate) rng: fastrand::Rng,
    client: usize,
    counter: u64,
    /// What each of [`NAMES`] means: the start of what the statement answers.
    named: [Option<String>; NAMES.len()],
    /// The server answers each query with the query's own text, and knows nothing else.
    echo: bool,
}

impl Writer {
    /// A client's writer.
    pub(crate) fn new(client: usize, seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Writer { rng, client, counter: 0, named: Default::default(), echo: false }
    }

    /// The same for a fake server that answers with the query's own text.
    pub(crate) fn for_echo(client: usize, seed: u64) -> Self {
        Writer { echo: true, ..Writer::new(client, seed) }
    }

    /// The connection is a new one.
    pub(crate) fn forget(&mut self) {
        self.named = Default::default();
    }

    /// Closes every name: after a disturbance it is not known which ones are taken.
    pub(crate) fn close_all(&mut self) -> Phase {
        self.forget();
        let mut requests: Vec<_> = NAMES.iter().map(|name| f::close(b'S', name)).collect();
        requests.push(f::sync());
        let mut phase = Phase::default();
        phase.ready(&requests, vec![Want::Tag(b'3'); NAMES.len()]);
        phase
    }

    /// What is in every value of this client.
    pub(crate) fn sign(&self) -> String {
        format!("c{}n", self.client)
    }

    /// A value that nobody else asks for.
    pub(crate) fn nonce(&mut self) -> String {
        self.counter += 1;
        format!("{}{}x{:x}", self.sign(), self.counter, self.rng.u32(..))
    }

    /// Any script.
    pub(crate) fn script(&mut self) -> Vec<Phase> {
        if self.echo {
            let depth = if self.rng.bool() { 1 } else { self.rng.usize(1..8) };
            return self.pipeline(depth);
        }
        match self.rng.u32(..100) {
            0..8 => self.split_batch(),
            8..14 => self.flushed(),
            14..19 => self.copy_in(),
            19..22 => self.copy_failed(),
            22..30 => self.transaction(),
            30..45 => {
                let depth = self.rng.usize(2..=20);
                self.pipeline(depth)
            }
            _ => self.pipeline(1),
        }
    }

    /// A query that takes a while, for cancel requests.
    pub(crate) fn slow(&mut self) -> Vec<Phase> {
        let (nonce, mut phase) = (self.nonce(), Phase::default());
        let sql = format!("select '{nonce}' from pg_sleep(0.0{})", self.rng.u32(1..4));
        let nonce = if self.echo { sql.clone() } else { nonce };
        if self.rng.bool() {
            phase.ready(&[f::query(&sql)], row(&nonce));
        } else {
            self.unnamed(&mut phase, &sql, &nonce);
        }
        vec![phase]
    }

    /// Several requests in one go, simple and extended mixed, errors among them.
    fn pipeline(&mut self, depth: usize) -> Vec<Phase> {
        let mut phase = Phase::default();
        for _ in 0..depth {
            if self.echo {
                self.echo_unit(&mut phase);
            } else {
                self.unit(&mut phase);
            }
        }
        vec![phase]
    }

    fn echo_unit(&mut self, phase: &mut Phase) {
        let name = self.nonce();
        let sql = format!("select '{name}'");
        match self.rng.u32(..8) {
            0..3 => phase.ready(&[f::query(&sql)], row(&sql)),
            3..5 => self.unnamed(phase, &sql, &sql),
            5 => {
                begin(phase);
                phase.ready(&[f::query(&sql)], row(&sql));
                phase.ready(&[f::query("commit")], vec![Want::Tag(b'C')]);
            }
            6 => phase.ready(
                &[f::query(&format!("fail {name}"))],
                vec![Want::Error("22000", "told to fail".to_owned())],
            ),
            _ => self.temporary(phase),
        }
    }

    fn unit(&mut self, phase: &mut Phase) {
        let nonce = self.nonce();
        match self.rng.u32(..21) {
            0..3 => phase.ready(&[f::query(&format!("select '{nonce}'"))], row(&nonce)),
            3 => self.many_statements(phase),
            4 => phase.ready(
                &[f::query(&format!("select '{nonce}'::int"))],
                vec![Want::Error("22P02", nonce)],
            ),
            5..8 => self.unnamed(phase, &format!("select '{nonce}'"), &nonce),
            8 => bad_batch(phase, &nonce, self.rng.u32(..3)),
            9..14 => self.named(phase),
            14 => self.temporary(phase),
            15 => portal(phase, &nonce),
            16 => copy_out(phase, &nonce),
            17 => phase.ready(
                &[f::function_call(TEXTCAT, &[Some(&nonce), Some("!")])],
                vec![Want::Value(format!("{nonce}!"))],
            ),
            18 if self.rng.u32(..4) == 0 => self.large(phase),
            19 => whole_transaction(phase, &nonce),
            _ => phase.ready(&[f::query("")], vec![Want::Tag(b'I')]),
        }
    }

    fn many_statements(&mut self, phase: &mut Phase) {
        let nonces: Vec<_> = (0..3).map(|_| self.nonce()).collect();
        let fails = self.rng.bool();
        let mut sql = String::new();
        let mut wants = Vec::new();
        for (index, nonce) in nonces.iter().enumerate() {
            if fails && index == 2 {
                sql += &format!("select 1/(length('{nonce}') - length('{nonce}'))");
                wants.push(Want::Error("22012", String::new()));
            } else {
                sql += &format!("select '{nonce}';");
                wants.extend(row(nonce));
            }
        }
        phase.ready(&[f::query(&sql)], wants);
    }

    fn unnamed(&mut self, phase: &mut Phase, sql: &str, nonce: &str) {
        let described = self.rng.bool();
        let mut requests = vec![f::parse("", sql, &[]), f::bind("", "", &[])];
        let mut wants = vec![Want::Tag(b'1'), Want::Tag(b'2')];
        if described {
            requests.push(f::describe(b'P', ""));
            wants.push(Want::Tag(b'T'));
        }
        requests.extend([f::execute("", 0), f::sync()]);
        wants.extend([Want::Row(nonce.to_owned()), Want::Tag(b'C')]);
        phase.ready(&requests, wants);
    }

    /// A statement that stays: parsed at its first use, closed or parsed again now and then.
    fn named(&mut self, phase: &mut Phase) {
        let slot = self.rng.usize(..NAMES.len());
        let (name, nonce) = (NAMES[slot], self.nonce());
        let Some(start) = self.named[slot].clone() else {
            let start = match self.rng.bool() {
                true => format!("shared{}-", self.rng.usize(..SHARED)),
                false => format!("own{}-", self.nonce()),
            };
            let sql = format!("select '{start}' || $1");
            let parsed = [f::parse(name, &sql, &[]), f::describe(b'S', name)];
            let wants = [Want::Tag(b'1'), Want::Tag(b't'), Want::Tag(b'T')];
            self.named[slot] = Some(start.clone());
            return bind_named(phase, (&parsed, &wants), name, &start, &nonce);
        };
        match self.rng.u32(..10) {
            0 => {
                self.named[slot] = None;
                let closed = [f::close(b'S', name), f::sync()];
                phase.ready(&closed, vec![Want::Tag(b'3')]);
                phase.ready(
                    &[f::bind("", name, &[Some(&nonce)]), f::sync()],
                    vec![Want::Error("26000", name.to_owned())],
                );
            }
            1 => phase.ready(
                &[f::parse(name, "select 'twice'", &[]), f::sync()],
                vec![Want::Error("42P05", name.to_owned())],
            ),
            _ => bind_named(phase, (&[], &[]), name, &start, &nonce),
        }
    }

    /// A statement for one use.
    fn temporary(&mut self, phase: &mut Phase) {
        let nonce = self.nonce();
        let sql = format!("select '{nonce}'");
        let answer = if self.echo { sql.clone() } else { nonce.clone() };
        phase.ready(
            &[
                f::parse(&nonce, &sql, &[]),
                f::bind("", &nonce, &[]),
                f::execute("", 0),
                f::close(b'S', &nonce),
                f::sync(),
            ],
            vec![
                Want::Tag(b'1'),
                Want::Tag(b'2'),
                Want::Row(answer),
                Want::Tag(b'C'),
                Want::Tag(b'3'),
            ],
        );
    }

    fn large(&mut self, phase: &mut Phase) {
        let (nonce, length) = (self.nonce(), self.rng.usize(1..120_000));
        let sql = format!("select '{nonce}' || repeat('x', {length})");
        let whole = nonce.len() + length;
        phase.ready(
            &[f::query(&sql)],
            vec![Want::Tag(b'T'), Want::LongRow(nonce, whole), Want::Tag(b'C')],
        );
    }

    /// Parse and Bind of the unnamed statement in different batches, and another client's in between.
    fn split_batch(&mut self) -> Vec<Phase> {
        let nonce = self.nonce();
        let sql = format!("select '{nonce}-' || $1");
        let (mut parse, mut binds) = (Phase::default(), Phase::default());
        parse.ready(&[f::parse("", &sql, &[]), f::sync()], vec![Want::Tag(b'1')]);
        for _ in 0..self.rng.usize(1..3) {
            let value = self.nonce();
            binds.ready(
                &[f::bind("", "", &[Some(&value)]), f::execute("", 0), f::sync()],
                vec![Want::Tag(b'2'), Want::Row(format!("{nonce}-{value}")), Want::Tag(b'C')],
            );
        }
        if self.rng.bool() {
            parse.bytes.extend(binds.bytes);
            parse.segments.extend(binds.segments);
            return vec![parse];
        }
        vec![parse, binds]
    }

    /// Answers without a Sync.
    fn flushed(&mut self) -> Vec<Phase> {
        let mut phases = Vec::new();
        for _ in 0..self.rng.usize(1..3) {
            let (nonce, mut phase) = (self.nonce(), Phase::default());
            phase.open(
                &[
                    f::parse("", &format!("select '{nonce}'"), &[]),
                    f::bind("", "", &[]),
                    f::execute("", 0),
                    f::flush(),
                ],
                vec![Want::Tag(b'1'), Want::Tag(b'2'), Want::Row(nonce), Want::Tag(b'C')],
                true,
            );
            phases.push(phase);
        }
        let mut end = Phase::default();
        end.ready(&[f::sync()], Vec::new());
        phases.push(end);
        phases
    }

    /// COPY into a table, looked at, and taken back.
    fn copy_in(&mut self) -> Vec<Phase> {
        let nonce = self.nonce();
        let (mut first, mut start, mut data, mut look) = Default::default();
        begin(&mut first);
        let extended = self.rng.bool();
        ask_copy_in(&mut start, extended);
        let mut requests = vec![f::copy_data(format!("{nonce}\n").as_bytes()), f::copy_done()];
        if extended {
            requests.push(f::sync());
        }
        data_ready(&mut data, &requests);
        look_ready(&mut look, &nonce);
        vec![first, start, data, look]
    }

    /// COPY that the client gives up.
    fn copy_failed(&mut self) -> Vec<Phase> {
        let nonce = self.nonce();
        let extended = self.rng.bool();
        let (mut start, mut end) = (Phase::default(), Phase::default());
        ask_copy_in(&mut start, extended);
        let mut requests = vec![f::copy_data(b"lost\n"), f::copy_fail(&nonce)];
        if extended {
            requests.push(f::sync());
        }
        end.ready(&requests, vec![Want::Error("57014", nonce)]);
        vec![start, end]
    }

    /// A transaction with the client's own pauses, at times failed on the way.
    fn transaction(&mut self) -> Vec<Phase> {
        let (mut start, mut middle, mut end) = Default::default();
        begin(&mut start);
        let nonce = self.nonce();
        self.unnamed(&mut middle, &format!("select '{nonce}'"), &nonce);
        if self.rng.u32(..4) == 0 {
            let nonce = self.nonce();
            bad_batch(&mut middle, &nonce, 0);
            Phase::ready(&mut end, &[f::query("commit")], vec![Want::Tag(b'C')]);
            return vec![start, middle, end];
        }
        let nonce = self.nonce();
        middle.ready(&[f::query(&format!("select '{nonce}'"))], row(&nonce));
        let last = if self.rng.bool() { "commit" } else { "rollback" };
        Phase::ready(&mut end, &[f::query(last)], vec![Want::Tag(b'C')]);
        vec![start, middle, end]
    }
}

fn row(value: &str) -> Vec<Want> {
    vec![Want::Tag(b'T'), Want::Row(value.to_owned()), Want::Tag(b'C')]
}

fn begin(phase: &mut Phase) {
    phase.ready(&[f::query("begin")], vec![Want::Tag(b'C')]);
}

fn bind_named(
    phase: &mut Phase,
    (requests, wants): (&[Vec<u8>], &[Want]),
    name: &str,
    start: &str,
    nonce: &str,
) {
    let last = [f::bind("", name, &[Some(nonce)]), f::execute("", 0), f::sync()];
    let answers = [Want::Tag(b'2'), Want::Row(format!("{start}{nonce}")), Want::Tag(b'C')];
    phase.ready(&[requests, &last].concat(), [wants, &answers].concat());
}

/// A batch that fails: at its Bind, at its Parse, or with requests behind the failure.
fn bad_batch(phase: &mut Phase, nonce: &str, kind: u32) {
    let skipped = [
        f::parse("", "select 'never'", &[]),
        f::bind("", "", &[]),
        f::execute("", 0),
        f::query("select 'never'"),
        f::close(b'S', ""),
        f::sync(),
    ];
    match kind {
        0 => phase.ready(
            &[
                f::parse("", "select $1::int", &[25]),
                f::bind("", "", &[Some(nonce)]),
                f::execute("", 0),
                f::sync(),
            ],
            vec![Want::Tag(b'1'), Want::Error("22P02", nonce.to_owned())],
        ),
        1 => phase.ready(
            &[f::parse("", &format!("select {nonce}"), &[]), f::sync()],
            vec![Want::Error("42703", nonce.to_owned())],
        ),
        _ => {
            let bad = f::parse(nonce, &format!("select {nonce}"), &[]);
            let requests = [&[bad], &skipped[..]].concat();
            phase.ready(&requests, vec![Want::Error("42703", nonce.to_owned())]);
        }
    }
}

/// A portal that is read in parts.
fn portal(phase: &mut Phase, nonce: &str) {
    let line = |n: u32| Want::Row(format!("{nonce}-{n}"));
    phase.ready(
        &[
            f::parse("", &format!("select '{nonce}-' || g from generate_series(1, 5) g"), &[]),
            f::bind("p", "", &[]),
            f::execute("p", 2),
            f::execute("p", 2),
            f::execute("p", 2),
            f::close(b'P', "p"),
            f::sync(),
        ],
        vec![
            Want::Tag(b'1'),
            Want::Tag(b'2'),
            line(1),
            line(2),
            Want::Tag(b's'),
            line(3),
            line(4),
            Want::Tag(b's'),
            line(5),
            Want::Tag(b'C'),
            Want::Tag(b'3'),
        ],
    );
}

fn copy_out(phase: &mut Phase, nonce: &str) {
    phase.ready(
        &[f::query(&format!(
            "copy (select '{nonce}-' || g from generate_series(1, 2) g) to stdout"
        ))],
        vec![
            Want::Tag(b'H'),
            Want::Line(format!("{nonce}-1")),
            Want::Line(format!("{nonce}-2")),
            Want::Tag(b'c'),
            Want::Tag(b'C'),
        ],
    );
}

fn whole_transaction(phase: &mut Phase, nonce: &str) {
    begin(phase);
    phase.ready(&[f::query(&format!("select '{nonce}'"))], row(nonce));
    phase.ready(&[f::query("commit")], vec![Want::Tag(b'C')]);
}

fn ask_copy_in(phase: &mut Phase, extended: bool) {
    let sql = "copy sink from stdin";
    if extended {
        phase.open(
            &[f::parse("", sql, &[]), f::bind("", "", &[]), f::execute("", 0), f::flush()],
            vec![Want::Tag(b'1'), Want::Tag(b'2'), Want::Tag(b'G')],
            true,
        );
    } else {
        phase.open(&[f::query(sql)], vec![Want::Tag(b'G')], false);
    }
}

fn data_ready(phase: &mut Phase, requests: &[Vec<u8>]) {
    phase.ready(requests, vec![Want::Tag(b'C')]);
}

fn look_ready(phase: &mut Phase, nonce: &str) {
    phase.ready(&[f::query(&format!("select n from sink where n = '{nonce}'"))], row(nonce));
    phase.ready(&[f::query("rollback")], vec![Want::Tag(b'C')]);
}

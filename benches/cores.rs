//! The pure cores, timed: framing, the conversation's bookkeeping, the pool's schedule, sets of parameters, the
//! metrics' page.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pgusher::pool::core::{Core, Limits, Offer};
use pgusher::pool::{ClassId, CloseReason};
use pgusher::server::progress::{Entry, Progress, Request};
use pgusher::session::params::{ParamSets, Values};
use pgusher::session::replay::replay_sql;
use pgusher::session::statement::Statements;
use pgusher::sql::Quoting;
use pgusher::stats::{
    DatabaseFacts, Departure, ErrorFacts, HistogramTotal, HostFacts, PoolFacts, PoolPins, Snapshot,
};
use pgusher::types::{TransactionStatus, WorkerId};
use pgusher::wire::{frame, frontend};

fn framing(c: &mut Criterion) {
    let mut bytes = Vec::new();
    while bytes.len() < 64 * 1024 {
        frame::put(&mut bytes, b'D', |body| body.extend_from_slice(&[7; 59]));
    }
    let mut group = c.benchmark_group("frame");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("scan 64 KiB of 64-byte rows", |b| {
        b.iter(|| {
            let (mut at, mut rows) = (0, 0);
            while let Ok(Some(header)) = frame::header(bytes.get(at..).unwrap_or_default()) {
                at += header.size;
                rows += 1;
            }
            black_box(rows)
        });
    });
    group.finish();
}

fn conversation(c: &mut Criterion) {
    let mut progress = Progress::default();
    c.bench_function("progress: a simple query", |b| {
        b.iter(|| {
            progress.sent(Entry::client(Request::Query));
            for tag in *b"TDC" {
                black_box(progress.reply(tag));
            }
            black_box(progress.ready(TransactionStatus::Idle));
            assert!(progress.is_settled());
        });
    });
    c.bench_function("progress: Bind, Execute, Sync", |b| {
        b.iter(|| {
            for request in [Request::Bind, Request::Execute, Request::Sync] {
                progress.sent(Entry::client(request));
            }
            for tag in *b"2DC" {
                black_box(progress.reply(tag));
            }
            black_box(progress.ready(TransactionStatus::Idle));
            assert!(progress.is_settled());
        });
    });
}

fn schedule(c: &mut Criterion) {
    const WORKER: WorkerId = WorkerId(0);
    let limits = Limits { size: 20, reserve: 0, reserve_after: None, min: 0, oldest_first: false };
    let now = Instant::now();
    let filled = || {
        let mut core: Core<u32, u32> = Core::new(limits);
        for waiter in 0..20 {
            core.enqueue(ClassId::EVERYBODY, waiter, WORKER, now);
        }
        for server in 0..core.start_dials(now) {
            core.arrived(now);
            core.give_back(server as u32, WORKER, now);
        }
        core
    };
    c.bench_function("pool: check out and give back, free server", |b| {
        let mut core = filled();
        for server in 0..20 {
            core.give_back(server, WORKER, now);
        }
        b.iter(|| {
            let (server, used) = core.checkout(ClassId::EVERYBODY, WORKER, now).expect("free");
            core.finish(used, Duration::ZERO);
            black_box(core.give_back(server, WORKER, now));
        });
    });
    c.bench_function("pool: hand over to the next of 1,000 waiters", |b| {
        let mut core = filled();
        for waiter in 0..1_000 {
            core.enqueue(ClassId::EVERYBODY, waiter, WORKER, now);
        }
        b.iter(|| match core.give_back(1, WORKER, now) {
            Offer::Taken(waiter, _, used) => {
                core.finish(used, Duration::ZERO);
                core.enqueue(ClassId::EVERYBODY, waiter, WORKER, now);
            }
            other => panic!("{other:?}"),
        });
    });
}

fn sql(c: &mut Criterion) {
    let texts = [
        ("a short SELECT", "SELECT abalance FROM pgbench_accounts WHERE aid = 12345;"),
        ("an UPDATE", "UPDATE pgbench_accounts SET abalance = abalance + -4711 WHERE aid = 12345;"),
        (
            "an ORM's SELECT",
            "SELECT \"app_user\".\"id\", \"app_user\".\"name\", COALESCE(SUM(\"app_order\".\"total\"), 0) AS \"sum\" \
             FROM \"app_user\" LEFT OUTER JOIN \"app_order\" ON (\"app_user\".\"id\" = \"app_order\".\"user_id\") \
             WHERE \"app_user\".\"id\" IN ($1, $2, $3) GROUP BY \"app_user\".\"id\" ORDER BY \"app_user\".\"name\" LIMIT 21",
        ),
    ];
    for (name, text) in texts {
        assert!(pgusher::sql::is_plain(text.as_bytes()));
        c.bench_function(&format!("sql: the quick look at {name}"), |b| {
            b.iter(|| black_box(pgusher::sql::is_plain(black_box(text.as_bytes()))));
        });
    }
    let set = b"SET SESSION search_path TO tenant_42, public";
    c.bench_function("sql: read a SET", |b| {
        b.iter(|| black_box(pgusher::sql::read(black_box(set), Quoting::default())));
    });
}

fn session(c: &mut Criterion) {
    let sets = ParamSets::default();
    let values = |zone: &str| -> Values {
        [("timezone".into(), zone.as_bytes().into()), ("datestyle".into(), b"ISO, DMY"[..].into())]
            .into()
    };
    let (utc, rome) = (sets.intern(values("UTC")), sets.intern(values("Europe/Rome")));
    c.bench_function("params: find a known set", |b| {
        b.iter_batched(
            || values("UTC"),
            |values| black_box(sets.intern(values)),
            BatchSize::SmallInput,
        );
    });
    c.bench_function("params: SQL from one set to another", |b| {
        b.iter(|| black_box(replay_sql(&utc, &rome)))
    });
    let statements = Statements::new(1 << 20);
    let known = statements
        .intern(b"SELECT abalance FROM pgbench_accounts WHERE aid = $1\0\0\0", b"")
        .expect("fits");
    c.bench_function("statements: find a known one", |b| {
        b.iter(|| black_box(statements.intern(known.content(), b"")))
    });
    let mut message = Vec::new();
    frontend::put_parse(&mut message, b"P0_1", known.content());
    c.bench_function("wire: read a Parse", |b| {
        b.iter(|| black_box(frontend::Parse::read(&message)))
    });
}

/// A snapshot of so many pools in which everything has happened.
fn snapshot(pools: usize) -> Snapshot {
    let bounds: Vec<u64> = (0..16).map(|power| 100 << power).collect();
    let total = HistogramTotal { counts: vec![123_456; 17], sum_micros: 987_654_321 };
    let pool = |number: usize| PoolFacts {
        database: format!("customer_{number}").into(),
        user: "application".into(),
        size: 20,
        queue_micros: 123_456_789,
        busy_micros: 1_234_567_891,
        waits: std::array::from_fn(|_| total.clone()),
        hold: total.clone(),
        query: total.clone(),
        pins: PoolPins::default().by_cause(),
        closes: CloseReason::ALL.map(|why| (why.as_str(), 17)).to_vec(),
        departures: Departure::ALL.map(|why| (why.as_str(), 4_711)).to_vec(),
        ..PoolFacts::default()
    };
    let database = |pool: &PoolFacts| DatabaseFacts {
        name: pool.database.clone(),
        hosts: vec![HostFacts::unknown("db.example.com:5432".to_owned())],
        connect_took: total.clone(),
        ..DatabaseFacts::default()
    };
    let errors = |pool: &PoolFacts| ErrorFacts {
        database: pool.database.clone(),
        told: vec![("server", "23".to_owned(), 42), ("pgusher", "53300".to_owned(), 4_711)],
        healed: vec![("0A000".to_owned(), 3)],
    };
    let pools: Vec<_> = (0..pools).map(pool).collect();
    Snapshot {
        bounds,
        databases: pools.iter().map(database).collect(),
        errors: pools.iter().map(errors).collect(),
        pools,
        ..Snapshot::default()
    }
}

fn metrics(c: &mut Criterion) {
    let snapshot = snapshot(500);
    let mut group = c.benchmark_group("metrics");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(pgusher::metrics::render(&snapshot).len() as u64));
    group.bench_function("page of 500 pools", |b| {
        b.iter(|| black_box(pgusher::metrics::render(&snapshot)))
    });
    group.finish();
}

criterion_group!(benches, framing, conversation, schedule, session, sql, metrics);
criterion_main!(benches);

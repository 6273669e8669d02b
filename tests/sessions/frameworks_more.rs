//! More of what drivers send: statements in two round trips, names of their own, locks.
//!
//! Both runs are of one database: the backend's pid keeps their locks apart, and another server's would be no lock of theirs.

use crate::differ::Step;
use crate::differ::Step::{Execute, Extended, Pipeline, Prepare, Query};
use crate::frameworks::same;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prisma() {
    const SCRIPT: &[Step] = &[
        Prepare("s0", "SELECT {n} + $1::int"),
        Execute("s0", &["1"]),
        Extended("SELECT pg_advisory_lock({n}, pg_backend_pid())", &[]),
        Prepare(
            "s1",
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
        ),
        Execute("s1", &[]),
        Extended("SELECT pg_advisory_unlock({n}, pg_backend_pid())", &[]),
        Execute("s1", &[]),
        Execute("s0", &["2"]),
    ];
    same(&[("search_path", "one")], SCRIPT).await;
}

/// postgres.js and Bun, which do not wait for one answer before they ask for the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_js() {
    const SCRIPT: &[Step] = &[
        Prepare("abcd{n}", "select $1::text || current_setting('application_name')"),
        Execute("abcd{n}", &["{n}"]),
        Query("begin"),
        Query("savepoint s0"),
        Execute("abcd{n}", &["x"]),
        Query("set local statement_timeout = 1{n}000"),
        Query("rollback to s0"),
        Query("show statement_timeout"),
        Query("commit"),
        Execute("abcd{n}", &["y"]),
        Execute("missing", &[]),
        Pipeline("abcd{n}", &["a{n}", "b{n}", "c{n}"]),
        Query("set application_name = 'Bun {n}'"),
        Pipeline("abcd{n}", &["d", "e", "f", "g"]),
    ];
    same(&[("application_name", "postgres.js")], SCRIPT).await;
}

/// pgx, and lib/pq with the unnamed statement in two round trips.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go() {
    const SCRIPT: &[Step] = &[
        Prepare("", "select $1::int * {n}"),
        Execute("", &["2"]),
        Execute("", &["3"]),
        Prepare("stmtcache_{n}", "select $1::text || {n}"),
        Execute("stmtcache_{n}", &["a"]),
        Query("deallocate stmtcache_{n}"),
        Execute("stmtcache_{n}", &["a"]),
        Prepare("", "set timezone = 'Etc/GMT-{n}'"),
        Execute("", &[]),
        Query("select current_setting('timezone')"),
        Execute("", &[]),
    ];
    same(&[("DateStyle", "ISO"), ("TimeZone", "UTC")], SCRIPT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlx() {
    const SCRIPT: &[Step] = &[
        Prepare("sqlx_s_1", "SELECT pg_advisory_lock($1, pg_backend_pid())"),
        Execute("sqlx_s_1", &["9{n}"]),
        Prepare("sqlx_s_2", "SELECT 1.1::float8 + {n}"),
        Execute("sqlx_s_2", &[]),
        Prepare("sqlx_s_3", "SELECT pg_advisory_unlock($1, pg_backend_pid())"),
        Execute("sqlx_s_3", &["9{n}"]),
        Execute("sqlx_s_3", &["9{n}"]),
        Execute("sqlx_s_2", &[]),
        Query("SHOW extra_float_digits"),
    ];
    same(&[("extra_float_digits", "2"), ("TimeZone", "UTC")], SCRIPT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn job_queues() {
    const SCRIPT: &[Step] = &[
        Query("LISTEN jobs_{n}"),
        Extended("SELECT pg_try_advisory_lock($1, pg_backend_pid())", &["8{n}"]),
        Extended("SELECT pg_try_advisory_lock($1, pg_backend_pid())", &["8{n}"]),
        Query("SELECT pg_advisory_unlock(8{n}, pg_backend_pid())"),
        Query("SELECT pg_advisory_unlock(8{n}, pg_backend_pid())"),
        Query("BEGIN; SELECT pg_try_advisory_xact_lock(7{n}, pg_backend_pid()); COMMIT"),
        Query("UNLISTEN jobs_{n}"),
        Query(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
        ),
    ];
    same(&[], SCRIPT).await;
}

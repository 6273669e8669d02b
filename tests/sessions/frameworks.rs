//! What drivers and frameworks send to set up, use and clear a session.

use std::sync::Arc;

use crate::differ::Step::{Ahead, Close, Execute, Extended, Prepare, Query};
use crate::differ::{Step, differ};
use crate::stage::Stage;

const TWO_SERVERS: &str = "pool_size = 2";

pub(crate) async fn same(
    startup: &'static [(&'static str, &'static str)],
    script: &'static [Step],
) {
    let stage = tokio::task::block_in_place(|| Arc::new(Stage::set(TWO_SERVERS)));
    differ(&stage, startup, script).await;
}

/// Django with psycopg 3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn django() {
    const SCRIPT: &[Step] = &[
        Extended("SELECT set_config('TimeZone', $1, false)", &["Etc/GMT+{n}"]),
        Query("SET ROLE alice"),
        Query("SELECT current_user, current_setting('TimeZone')"),
        Query("BEGIN"),
        Query("SAVEPOINT \"s1\""),
        Query("SET statement_timeout = '1{n}s'"),
        Query("ROLLBACK TO SAVEPOINT \"s1\""),
        Query("SHOW statement_timeout"),
        Query("RELEASE SAVEPOINT \"s1\""),
        Query("SET lock_timeout = '1{n}s'"),
        Query("COMMIT"),
        Query("SHOW lock_timeout"),
        Query("RESET ROLE"),
        Query("SELECT current_user, current_setting('lock_timeout'), current_setting('TimeZone')"),
        // In autocommit `iterator()` keeps its cursor beyond the transaction.
        Query(
            "DECLARE \"_django_curs_{n}_sync_1\" NO SCROLL CURSOR WITH HOLD FOR SELECT {n} + g FROM generate_series(1, 9) g",
        ),
        Query("FETCH FORWARD 4 FROM \"_django_curs_{n}_sync_1\""),
        Query("SELECT current_user, current_setting('lock_timeout'), current_setting('TimeZone')"),
        Query("FETCH FORWARD 9 FROM \"_django_curs_{n}_sync_1\""),
        Query("CLOSE \"_django_curs_{n}_sync_1\""),
        Query("FETCH FORWARD 1 FROM \"_django_curs_{n}_sync_1\""),
    ];
    same(&[("client_encoding", "UTF8")], SCRIPT).await;
}

/// SQLAlchemy with asyncpg.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asyncpg() {
    const SCRIPT: &[Step] = &[
        Prepare("__asyncpg_stmt_1__", "SELECT set_config('jit', $1, false)"),
        Query("SELECT current_setting('jit') AS cur, set_config('jit', 'off', false) AS new"),
        Query("SELECT current_setting('jit')"),
        Execute("__asyncpg_stmt_1__", &["on"]),
        Query("SELECT current_setting('jit')"),
        Execute("__asyncpg_stmt_1__", &["off"]),
        Query("SET search_path = one, \"Two {n}\", public"),
        Query("SHOW search_path"),
        Query("SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;"),
        Query("SHOW search_path"),
        Query("SELECT current_setting('jit')"),
        Execute("__asyncpg_stmt_1__", &["off"]),
    ];
    same(&[("client_encoding", "'utf-8'"), ("search_path", "two")], SCRIPT).await;
}

/// psycopg 3 prepares after some runs, and evicts by DEALLOCATE.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn psycopg() {
    const SCRIPT: &[Step] = &[
        Prepare("_pg3_0", "SELECT {n} + $1"),
        Execute("_pg3_0", &["1"]),
        Query("DEALLOCATE _pg3_0"),
        Execute("_pg3_0", &["1"]),
        Query("DEALLOCATE _pg3_0"),
        Prepare("_pg3_0", "SELECT {n} - $1"),
        Query("BEGIN"),
        Execute("_pg3_0", &["1"]),
        Query("DEALLOCATE PREPARE \"_pg3_0\""),
        Query("COMMIT"),
        Execute("_pg3_0", &["1"]),
        Prepare("_pg3_1", "SELECT {n} - $1"),
        Query("DEALLOCATE ALL"),
        Execute("_pg3_1", &["1"]),
        Prepare("_pg3_2", "SELECT {n} * $1"),
        Query("BEGIN"),
        Extended("DEALLOCATE _pg3_2", &[]),
        Execute("_pg3_2", &["1"]),
        Query("ROLLBACK"),
        Execute("_pg3_2", &["1"]),
        Prepare("_pg3_2", "SELECT {n} * $1"),
        Extended("DEALLOCATE _pg3_2", &[]),
        Execute("_pg3_2", &["1"]),
        // With a libpq that can close them.
        Prepare("_pg3_3", "SELECT {n} * $1"),
        Execute("_pg3_3", &["2"]),
        Close("_pg3_3"),
        Execute("_pg3_3", &["2"]),
        Close("_pg3_3"),
    ];
    same(&[], SCRIPT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rails() {
    const SCRIPT: &[Step] = &[
        Query("SET client_min_messages TO 'warning'"),
        Query("SET standard_conforming_strings = on"),
        Query("SET SESSION timezone TO 'UTC'"),
        Query("SET SESSION statement_timeout TO 4{n}000"),
        Query("SET search_path TO three, public"),
        Prepare("a1", "SELECT $1::text || current_setting('search_path')"),
        Execute("a1", &["{n}"]),
        Query("DEALLOCATE a1"),
        Prepare("a1", "SELECT $1::text || current_setting('statement_timeout')"),
        Execute("a1", &["{n}"]),
        Query("SELECT pg_try_advisory_lock({n}, pg_backend_pid())"),
        Query("SELECT pg_advisory_unlock({n}, pg_backend_pid())"),
        Query("DISCARD ALL"),
        Execute("a1", &["{n}"]),
        Query("SHOW search_path"),
        Query("SHOW statement_timeout"),
        Query("SHOW client_min_messages"),
    ];
    same(&[("options", "-c search_path=one -c statement_timeout=7s")], SCRIPT).await;
}

/// node-postgres sends nothing but start-up parameters, and unnamed statements.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node() {
    const SCRIPT: &[Step] = &[
        Extended("SELECT $1::int + {n}", &["1"]),
        Extended("SHOW statement_timeout", &[]),
        Extended("SHOW lock_timeout", &[]),
        Extended("SET lock_timeout = 1{n}000", &[]),
        Extended("SHOW lock_timeout", &[]),
        Extended("RESET lock_timeout", &[]),
        Extended("SHOW lock_timeout", &[]),
        Extended("SHOW idle_in_transaction_session_timeout", &[]),
    ];
    const STARTUP: &[(&str, &str)] = &[
        ("statement_timeout", "11000"),
        ("lock_timeout", "12000"),
        ("idle_in_transaction_session_timeout", "13000"),
        ("options", "-c work_mem=2MB"),
    ];
    same(STARTUP, SCRIPT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pgjdbc() {
    const SCRIPT: &[Step] = &[
        Extended("SET extra_float_digits = 3", &[]),
        Extended("SET application_name = 'PostgreSQL JDBC Driver {n}'", &[]),
        Prepare("S_1", "BEGIN"),
        Execute("S_1", &[]),
        Extended(
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
            &[],
        ),
        Extended("COMMIT", &[]),
        Extended("SHOW transaction_isolation", &[]),
        Extended("SHOW transaction_read_only", &[]),
        Extended("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", &[]),
        Extended("SHOW transaction_read_only", &[]),
        Extended("SHOW application_name", &[]),
        Extended("RESET ALL", &[]),
        Extended("SHOW transaction_isolation", &[]),
        Extended("SHOW DateStyle", &[]),
        Extended("SHOW application_name", &[]),
        Extended("DISCARD ALL", &[]),
        Extended("DEALLOCATE ALL", &[]),
        Extended("SHOW TimeZone", &[]),
    ];
    const STARTUP: &[(&str, &str)] = &[
        ("DateStyle", "German"),
        ("TimeZone", "Asia/Tokyo"),
        ("search_path", "two"),
        ("options", "-c extra_float_digits=2"),
    ];
    same(STARTUP, SCRIPT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn npgsql() {
    const SCRIPT: &[Step] = &[
        Query("SET ROLE bob"),
        Query("SET TimeZone = 'Etc/GMT-{n}'"),
        Query("SET my.var = 'it''s {n}'"),
        Query("SHOW my.var"),
        Query("DISCARD ALL"),
        Query("SELECT current_user"),
        Query("SHOW TimeZone"),
        Query("SET ROLE bob"),
        Query("SET lock_timeout = 7"),
        Query(
            "SET SESSION AUTHORIZATION DEFAULT;RESET ALL;CLOSE ALL;UNLISTEN *;SELECT pg_advisory_unlock_all();DISCARD SEQUENCES;DISCARD TEMP",
        ),
        Query("SELECT current_user, current_setting('lock_timeout')"),
        // A connection that its own pool hands out again clears itself in front of the first command.
        Query("SET TimeZone = 'Etc/GMT-{n}'"),
        Ahead("DISCARD ALL", "SELECT current_setting('TimeZone'), {n}"),
        Query("CREATE TEMP TABLE mine{n} AS SELECT {n} AS a"),
        Ahead(
            "SET SESSION AUTHORIZATION DEFAULT;RESET ALL;CLOSE ALL;UNLISTEN *;SELECT pg_advisory_unlock_all();DISCARD SEQUENCES;DISCARD TEMP",
            "SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()",
        ),
    ];
    same(&[("TimeZone", "Europe/Rome")], SCRIPT).await;
}

/// Laravel with PDO.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn laravel() {
    const SCRIPT: &[Step] = &[
        Query("set names 'utf8'"),
        Query("set time zone 'Etc/GMT+{n}'"),
        Query("set search_path to \"two\", 'three'"),
        Query("set session characteristics as transaction isolation level repeatable read"),
        Prepare("pdo_stmt_00000001", "select current_setting('search_path'), $1"),
        Execute("pdo_stmt_00000001", &["{n}"]),
        Query("show transaction_isolation"),
        Query("show timezone"),
    ];
    same(&[], SCRIPT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_dump() {
    const SCRIPT: &[Step] = &[
        Query("SELECT pg_catalog.set_config('search_path', '', false);"),
        Query("SHOW search_path"),
        Query("BEGIN"),
        Query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"),
        Query("SET extra_float_digits TO 1{n}; SET statement_timeout = 0; SET row_security = off"),
        Query("SHOW extra_float_digits"),
        Query("COMMIT"),
        Query("SHOW extra_float_digits"),
        Query("SELECT count(*) FROM public.t"),
        Query("SELECT count(*) FROM t"),
        Query("BEGIN"),
        Query(
            "DECLARE _pg_dump_cursor CURSOR FOR SELECT {n} + g FROM pg_catalog.generate_series(1, 9) g",
        ),
        Query("FETCH 5 FROM _pg_dump_cursor"),
        Query("FETCH 5 FROM _pg_dump_cursor"),
        Query("CLOSE _pg_dump_cursor"),
        Query("COMMIT"),
    ];
    same(&[], SCRIPT).await;
}

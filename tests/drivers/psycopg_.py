"""psycopg 3: prepared statements, pipelines, cursors of the server, COPY, notifications, cancelling."""

import enum
import threading

import psycopg
from psycopg import errors, sql
from psycopg.types.enum import EnumInfo, register_enum

from crowd import CLIENTS, DATABASE, HOST, PORT, USER, crowd, same


def connect(n, **more):
    settings = f"-c work_mem={n + 1}MB -c search_path=public"
    return psycopg.connect(
        host=HOST, port=PORT, user=USER, dbname=DATABASE, application_name=f"psycopg {n}", options=settings, **more
    )


def value(conn, query, *args):
    return conn.execute(query, args or None).fetchone()[0]


def check_session(conn, n):
    same(value(conn, "select current_setting('TimeZone')"), f"Etc/GMT+{n}")
    same(value(conn, "show work_mem"), f"{n + 1}MB")
    same(value(conn, "select current_setting('my.number')"), str(n))
    same(conn.info.parameter_status("application_name"), f"psycopg {n}")
    same(conn.info.timezone.key, f"Etc/GMT+{n}")


def prepared(conn, n):
    conn.prepare_threshold = 1
    conn.prepared_max = 3
    for turn in range(30):
        # More texts than may be kept: each turn one is thrown out.
        same(value(conn, f"select %s::int + {turn % 5}", n), n + turn % 5)
        same(conn.execute("select %s::text || %s", (f"{n}", "é"), prepare=True).fetchone(), (f"{n}é",))
    conn.execute("create table if not exists changing%d (a int)" % n)
    for width in range(1, 4):
        query = f"select * from changing{n}"
        for _ in range(3):
            same(len(conn.execute(query, prepare=True).description), width)
        conn.execute(f"alter table changing{n} add column c{width} int")


def pipelines(conn, n):
    with conn.pipeline() as pipeline:
        cursors = [conn.execute("select %s::int", (n * 100 + i,)) for i in range(20)]
        pipeline.sync()
        same([cursor.fetchone()[0] for cursor in cursors], [n * 100 + i for i in range(20)])
    try:
        with conn.pipeline():
            conn.execute("select 1")
            conn.execute("select * from nowhere")
            aborted = conn.execute("select 2")
            aborted.fetchone()
        raise AssertionError("no error")
    except (errors.UndefinedTable, errors.PipelineAborted):
        pass
    same(value(conn, "select 3"), 3)
    with conn.pipeline(), conn.cursor() as cursor:
        cursor.executemany("insert into filled (client, x) values (%s, %s)", [(n, i) for i in range(50)])
    same(value(conn, "select count(*) from filled where client = %s", n), 50)
    with conn.pipeline(), conn.transaction(force_rollback=True):
        conn.execute("set local lock_timeout = '77s'")
        conn.execute("delete from filled where client = %s", (n,))
    same(value(conn, "select count(*) from filled where client = %s", n), 50)


def transactions(conn, n):
    with conn.transaction():
        conn.execute("select set_config('my.number', 'inside', false)")
        try:
            with conn.transaction():
                conn.execute("set statement_timeout = '99s'")
                conn.execute("select 1 / 0")
        except errors.DivisionByZero:
            pass
        same(value(conn, "show statement_timeout"), "0")
        conn.execute("select set_config('my.number', %s, false)", (str(n),))
    conn.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    with conn.transaction():
        same(value(conn, "show transaction_isolation"), "serializable")
    conn.isolation_level = None
    same(value(conn, "show transaction_isolation"), "read committed")


def cursors(conn, n):
    with conn.transaction(), conn.cursor(name="inside") as cursor:
        cursor.itersize = 7
        cursor.execute("select g + %s from generate_series(1, 50) g", (n,))
        same([row[0] for row in cursor], [g + n for g in range(1, 51)])
    with conn.cursor(name="held", withhold=True, scrollable=True) as cursor:
        cursor.execute("select g * %s from generate_series(1, 50) g", (n,))
        same(cursor.fetchmany(3), [(n,), (2 * n,), (3 * n,)])
        check_session(conn, n)
        cursor.scroll(40, mode="absolute")
        same(cursor.fetchone(), (41 * n,))


def copies(conn, n):
    with conn.cursor() as cursor:
        with cursor.copy("copy filled (client, x) from stdin") as copy:
            for i in range(100):
                copy.write_row((1000 + n, i))
        with cursor.copy(sql.SQL("copy (select x from filled where client = {} order by x) to stdout").format(1000 + n)) as copy:
            same([row for row in copy.rows()], [(str(i),) for i in range(100)])
        try:
            with cursor.copy("copy filled (client, x) from stdin (format binary)") as copy:
                copy.set_types(["int4", "int4"])
                copy.write_row((2000 + n, 1))
                raise KeyError("given up")
        except KeyError:
            pass
    same(value(conn, "select count(*) from filled where client = %s", 2000 + n), 0)


def notifications(conn, n):
    conn.execute(f"listen channel{n}")
    conn.execute("select pg_notify(%s, %s)", (f"channel{n}", str(n)))
    same([notice.payload for notice in conn.notifies(timeout=30, stop_after=1)], [str(n)])
    conn.execute("unlisten *")


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


def types(conn, n):
    register_enum(EnumInfo.fetch(conn, "mood"), conn, Mood, mapping=[(Mood.GOOD, "good"), (Mood.BAD, "bad")])
    same(value(conn, "select %s::mood", Mood.BAD), Mood.BAD)
    same(conn.execute("select %b::int[], %b::jsonb", ([n, None], psycopg.types.json.Jsonb({"n": n}))).fetchone(), ([n, None], {"n": n}))


def cancelled(conn, n):
    timer = threading.Timer(0.5, conn.cancel_safe)
    timer.start()
    try:
        conn.execute("select pg_sleep(60)")
        raise AssertionError("not cancelled")
    except errors.QueryCanceled:
        pass
    timer.join()
    same(value(conn, "select %s::int", n), n)


def client(n):
    with connect(n, autocommit=True) as conn:
        conn.execute("select set_config('TimeZone', %s, false)", (f"Etc/GMT+{n}",))
        conn.execute("select set_config('my.number', %s, false)", (str(n),))
        for part in (prepared, pipelines, transactions, cursors, copies, notifications, types, cancelled):
            part(conn, n)
            check_session(conn, n)
    # Not in autocommit: a transaction begins with the first statement.
    with connect(n) as conn:
        conn.execute("set lock_timeout = '7s'")
        conn.rollback()
        same(value(conn, "show lock_timeout"), "0")
        conn.execute("set lock_timeout = '8s'")
        conn.commit()
        same(value(conn, "show lock_timeout"), "8s")


with connect(0, autocommit=True) as first:
    first.execute("create table if not exists filled (client int, x int)")
    first.execute("truncate filled")
    first.execute("drop type if exists mood; create type mood as enum ('good', 'bad')")
    for number in range(CLIENTS):
        first.execute(f"drop table if exists changing{number}")
crowd(client)

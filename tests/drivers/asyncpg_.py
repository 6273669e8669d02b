"""asyncpg: its cache of statements, its introspection, cursors, COPY, listeners, and a pool that resets."""

import asyncio

import asyncpg

from crowd import CLIENTS, DATABASE, HOST, PORT, USER, same

PLACE = {"host": HOST, "port": PORT, "user": USER, "database": DATABASE}


async def check_session(conn, n):
    same(await conn.fetchval("select current_setting('TimeZone')"), f"Etc/GMT+{n}")
    same(await conn.fetchval("select current_setting('my.number')"), str(n))
    same(conn.get_settings().application_name, f"asyncpg {n}")


async def statements(conn, n):
    for turn in range(40):
        same(await conn.fetchval(f"select $1::int + {turn % 9}", n), n + turn % 9)
    statement = await conn.prepare("select $1::text || $2::int")
    for turn in range(10):
        same(await statement.fetchval(f"{n}:", turn), f"{n}:{turn}")
    await conn.executemany("insert into filled values ($1, $2)", [(n, i) for i in range(100)])
    same(await conn.fetchval("select count(*) from filled where client = $1", n), 100)
    # Columns that come and go: its cached statement is out of date.
    for width in range(1, 4):
        for _ in range(2):
            same(len(await conn.fetchrow(f"select * from wide{n}")), width)
        await conn.execute(f"alter table wide{n} add column c{width} int default 1")


async def introspection(conn, n):
    # Types of its own: it asks the catalog for them, with `jit` turned off for as long as that takes.
    row = await conn.fetchrow("select ($1::pair).a, array[$1::pair, $1::pair] as both, 'good'::mood", (n, "x"))
    same((row[0], row[1][1]["b"], row[2]), (n, "x", "good"))
    await conn.reload_schema_state()
    same(await conn.fetchval("select ($1::pair).b", (n, "y")), "y")
    same(await conn.fetchval("select current_setting('jit')"), "on")
    await conn.set_type_codec("jsonb", encoder=str, decoder=lambda text: ("read", text), schema="pg_catalog")
    same(await conn.fetchval("select '1'::jsonb"), ("read", "1"))
    await conn.reset_type_codec("jsonb", schema="pg_catalog")


async def transactions(conn, n):
    async with conn.transaction(isolation="serializable"):
        try:
            async with conn.transaction():
                await conn.execute("set lock_timeout = '55s'")
                await conn.execute("select 1 / 0")
        except asyncpg.DivisionByZeroError:
            pass
        same(await conn.fetchval("show lock_timeout"), "0")
        same([row[0] async for row in conn.cursor("select g + $1 from generate_series(1, 120) g", n, prefetch=9)], [g + n for g in range(1, 121)])


async def copies(conn, n):
    await conn.copy_records_to_table("filled", records=[(1000 + n, i) for i in range(500)])
    text = bytearray()

    async def take(data):
        text.extend(data)

    await conn.copy_from_query("select x from filled where client = $1 order by x", 1000 + n, output=take)
    same(text.decode().split(), [str(i) for i in range(500)])


async def notifications(conn, n):
    told = asyncio.get_running_loop().create_future()

    def note(_conn, _pid, _channel, payload):
        if not told.done():
            told.set_result(payload)

    await conn.add_listener(f"asyncpg{n}", note)
    await conn.execute("select pg_notify($1, $2)", f"asyncpg{n}", str(n))
    same(await asyncio.wait_for(told, 30), str(n))
    await conn.remove_listener(f"asyncpg{n}", note)


async def timeouts(conn, n):
    try:
        await conn.fetchval("select pg_sleep(60)", timeout=0.5)
        raise AssertionError("no timeout")
    except asyncio.TimeoutError:
        pass
    same(await conn.fetchval("select $1::int", n), n)


async def client(n):
    settings = {"application_name": f"asyncpg {n}", "jit": "on"}
    conn = await asyncpg.connect(**PLACE, server_settings=settings, statement_cache_size=5)
    await conn.execute(f"set timezone = 'Etc/GMT+{n}'")
    await conn.execute("select set_config('my.number', $1, false)", str(n))
    for part in (statements, introspection, transactions, copies, notifications, timeouts):
        await part(conn, n)
        await check_session(conn, n)
    # Its compound reset.
    await conn.fetch("select pg_advisory_lock($1::bigint)", n)
    await conn.reset()
    same(await conn.fetchval("select current_setting('my.number', true) || ''"), "")
    same(await conn.fetchval("show application_name"), f"asyncpg {n}")
    same(await conn.fetchval("select count(*) from pg_locks where locktype = 'advisory' and objid = $1::int", n), 0)
    await conn.close()


async def borrow(pool, n):
    for turn in range(15):
        async with pool.acquire() as conn:
            same(await conn.fetchval("show lock_timeout"), "0")
            await conn.execute(f"set lock_timeout = {n + 1}")
            await conn.execute("listen nothing")
            same(await conn.fetchval("show lock_timeout"), f"{n + 1}ms")
            same(await conn.fetchval("select $1::int * 2", turn), turn * 2)


async def main():
    conn = await asyncpg.connect(**PLACE)
    await conn.execute("drop table if exists filled; create table filled (client int, x int)")
    await conn.execute("drop type if exists mood; create type mood as enum ('good', 'bad')")
    await conn.execute("drop type if exists pair; create type pair as (a int, b text)")
    for n in range(CLIENTS):
        await conn.execute(f"drop table if exists wide{n}; create table wide{n} (a int); insert into wide{n} values (1)")
    await conn.close()
    await asyncio.gather(*(client(n) for n in range(CLIENTS)))
    async with asyncpg.create_pool(**PLACE, min_size=4, max_size=4) as pool:
        await asyncio.gather(*(borrow(pool, n) for n in range(CLIENTS)))


asyncio.run(main())

"""SQLAlchemy over psycopg and over asyncpg: tables made and changed, the ORM, streams, isolation levels."""

import asyncio
import sys

from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, event, inspect, select, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from crowd import CLIENTS, DATABASE, HOST, PORT, USER, crowd, same

URL = f"{USER}@{HOST}:{PORT}/{DATABASE}"


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[int]
    name: Mapped[str] = mapped_column(String(40))


def own_table(n, width):
    columns = [Column(f"c{i}", Integer) for i in range(width)]
    return Table(f"own{n}", MetaData(), Column("id", Integer, primary_key=True), *columns)


def threads():
    engine = create_engine(f"postgresql+psycopg://{URL}", pool_size=CLIENTS, connect_args={"prepare_threshold": 1})

    @event.listens_for(engine, "connect")
    def set_up(connection, _record):
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION statement_timeout = '61s'")
        connection.commit()

    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    crowd(lambda n: thread(engine, n))
    with engine.connect() as connection:
        same(connection.scalar(text("select count(*) from account")), CLIENTS * 100)
    engine.dispose()


def thread(engine, n):
    with Session(engine) as session:
        session.add_all(Account(owner=n, name=f"{n}/{i}") for i in range(100))
        session.flush()
        try:
            with session.begin_nested():
                session.add(Account(owner=n, name="x" * 41))
        except Exception:
            pass
        session.commit()
        same(len(session.scalars(select(Account).where(Account.owner == n)).all()), 100)
        streamed = session.scalars(select(Account.name).where(Account.owner == n).execution_options(yield_per=7))
        same(sorted(streamed), sorted(f"{n}/{i}" for i in range(100)))
    for width in range(1, 4):
        table = own_table(n, width)
        table.drop(engine, checkfirst=True)
        table.create(engine)
        same(len(inspect(engine).get_columns(table.name)), width + 1)
        with engine.begin() as connection:
            connection.execute(table.insert(), [{"id": i} for i in range(3)])
            same(len(connection.execute(select(table)).first()), width + 1)
    serializable = engine.execution_options(isolation_level="SERIALIZABLE")
    with serializable.connect() as connection:
        same(connection.scalar(text("show transaction_isolation")), "serializable")
    with engine.connect() as connection:
        same(connection.scalar(text("show transaction_isolation")), "read committed")
        same(connection.scalar(text("show statement_timeout")), "61s")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("select pg_advisory_lock(:n)"), {"n": n})
        same(connection.scalar(text("select pg_advisory_unlock(:n)"), {"n": n}), True)


async def tasks():
    engine = create_async_engine(f"postgresql+asyncpg://{URL}", pool_size=CLIENTS)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    sessions = async_sessionmaker(engine)
    await asyncio.gather(*(task(engine, sessions, n) for n in range(CLIENTS)))
    await engine.dispose()


async def task(engine, sessions, n):
    async with sessions() as session:
        session.add_all(Account(owner=n, name=f"{n}/{i}") for i in range(50))
        await session.commit()
        result = await session.stream_scalars(select(Account.name).where(Account.owner == n))
        same(len([name async for name in result]), 50)
    for width in range(1, 5):
        async with engine.begin() as connection:
            table = own_table(n, width)
            await connection.run_sync(lambda sync: (table.drop(sync, checkfirst=True), table.create(sync)))
            await connection.execute(table.insert(), [{"id": i} for i in range(3)])
        async with engine.connect() as connection:
            row = (await connection.execute(text(f"select * from own{n} where id = :id"), {"id": 1})).first()
            same(len(row), width + 1)
    connection = await engine.connect()
    await connection.execution_options(isolation_level="REPEATABLE READ")
    same(await connection.scalar(text("show transaction_isolation")), "repeatable read")
    await connection.close()


threads()
asyncio.run(tasks())

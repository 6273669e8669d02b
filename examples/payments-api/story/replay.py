"""The service's SQL without the service: what PostgreSQL and the pooler make of all users when Python is not in the way."""

import argparse

from . import money
from .load import Load
from .record import record
from .stage import say
from .ways import WAYS


def replay(stage):
    """All ways, with the script that is recorded first."""
    options = stage.options
    crowd = argparse.Namespace(
        users=options.users, seconds=options.replay_seconds, ramp=options.ramp, think=options.replay_think
    )
    scripts = record(stage)
    return {name: _play(stage, name, WAYS[name], scripts[WAYS[name].plain], crowd) for name in options.way if name in WAYS}


def _play(stage, name, make, script, crowd):
    say(f"replay, {name}: {crowd.users} users for {crowd.seconds:.0f} s")
    stage.postgres.fresh()
    pooler = make(stage.place)
    try:
        database = (
            f"host=127.0.0.1 port={pooler.port} user=payments password={stage.place.password['payments']} "
            "dbname=payments application_name=api-replay connect_timeout=30"
        )
        words = ["sql", "--database", database, "--script", script]
        if stage.options.reconnect:
            words.append("--reconnect")
        if pooler.plain:
            # PgBouncer 1.18 does not know prepared statements.
            words.append("--unprepared")
        with Load(stage.place, lambda: stage.postgres, pooler, f"replay-{name}", words, crowd) as load:
            told = load.end() | money.verdict(stage.postgres, [load.journal])
    finally:
        pooler.stop()
    say(f"replay, {name}: {told['all']['ok']} requests, {told['all']['errors']} errors; {told['money']}")
    return told

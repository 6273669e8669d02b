"""Deployments under load, without a failed transaction: the API, pgusher, PostgreSQL."""

import time

from . import money
from .load import users
from .poolers import Pgusher
from .postgres import Postgres
from .processes import until
from .service import Gunicorn
from .stage import say


def api(stage, service):
    """Blue-green: a second Gunicorn comes up, haproxy sends new requests there, the first one ends when it is done."""
    service.add(Gunicorn(stage.place, "green", service.pooler))
    service.front.switch("blue", "green")
    service.blue.stop()


def pgusher(stage, service):
    """Rolling restart: a second pgusher takes the port as well; the first one takes nobody new and ends when its clients have left."""
    old = service.pooler
    service.pooler = Pgusher(stage.place, peer=2)
    old.order("SHUTDOWN WAIT_FOR_CLIENTS")
    old.process.popen.wait(90)


def postgres(stage, service):
    """A replica takes over behind PAUSE and RESUME: transactions wait, and go on there."""
    pooler, primary = service.pooler, stage.postgres
    replica = Postgres(stage.place, "replica", primary)
    stage.callback(replica.stop)
    until(lambda: primary.ask("SELECT state FROM pg_stat_replication") == "streaming")
    began = time.monotonic()
    pooler.order("PAUSE payments")
    last = primary.ask("SELECT pg_current_wal_flush_lsn()::text")
    until(lambda: replica.ask("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", last))
    primary.stop()
    replica.ask("SELECT pg_promote()")
    stage.postgres = replica
    pooler.servers_at(primary.port, replica.port)
    pooler.order("RELOAD")
    pooler.order("RESUME payments")
    say(f"transactions waited for {time.monotonic() - began:.1f} s at most")


# The switch comes last: the replica is the primary from then on.
DEPLOYMENTS = {"API, blue-green": api, "pgusher, rolling": pgusher, "PostgreSQL, behind PAUSE": postgres}


def deploy(stage):
    """Each under a load of its own; gives what users saw."""
    return {name: _deploy(stage, name, how) for name, how in DEPLOYMENTS.items()
            if stage.options.only in (None, how.__name__)}


def _deploy(stage, name, how):
    say(f"deployment: {name}")
    with stage.service(Pgusher) as service, users(stage, service, f"deploy-{how.__name__}") as load:
        # Two processes count for themselves.
        load.before = None
        time.sleep(stage.options.seconds / 3)
        how(stage, service)
        done = load.running()
        told = load.end()
        service.settle()
        told |= money.conserved(stage.postgres, [load.journal])
        told |= {"how": how.__doc__, "under_load": done}
    say(f"{name}: {told['all']['ok']} answers, {told['all']['errors']} errors, money conserved")
    return told

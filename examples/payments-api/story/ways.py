"""The same month end three ways: PostgreSQL alone, through PgBouncer, through pgusher."""

import time

from . import money
from .load import users
from .poolers import Direct, PgBouncer, Pgusher
from .postgres import manage
from .stage import say

WAYS = {"direct": Direct, "pgbouncer": PgBouncer, "pgusher": Pgusher}
# The service as it is written for PostgreSQL, through a pooler that does not keep its sessions.
AS_IT_IS = {"pgbouncer-as-it-is": lambda place: PgBouncer(place, plain=False)}
SHOWS = ("AUDIT", "POOLS", "STATS")
LOOKS = 30


def measure(stage, name, make):
    """One way: users, the reconciliation in the middle of it, and the money afterwards."""
    say(f"{name}: {stage.options.users} users for {stage.options.seconds:.0f} s")
    with stage.service(make) as service, users(stage, service, name) as load:
        time.sleep(stage.options.seconds / 2)
        pins = _pins(service.pooler)
        reconciled = _reconcile(stage, service)
        told = load.end() | reconciled
        told |= _settle(stage, service, load)
        if isinstance(service.pooler, Pgusher):
            told["shown"] = {what: service.pooler.show(what) for what in SHOWS} | {"PINS": pins}
            told["queue"] = stage.prometheus.queue_time(told["began"], told["began"] + stage.options.seconds)
    say(f"{name}: {told['all']['ok']} answers, {told['all']['errors']} errors; {told['money']}")
    return told


def _reconcile(stage, service):
    pooler = service.pooler
    try:
        manage(stage.place.environment(pooler.port, pooler.plain, "reconcile"), "reconcile")
        return {"reconciled": True}
    except Exception as error:  # noqa: BLE001: that it fails on some way is what is to be told
        return {"reconciled": False, "reconciliation_error": str(error)}


def _settle(stage, service, load):
    """Waits for the workers, and looks at the money."""
    told = {}
    try:
        service.settle()
    except TimeoutError:
        told["tasks_left"] = service.broker.backlog()
    return told | money.verdict(stage.postgres, [load.journal])


def _pins(pooler):
    """Pins last for milliseconds: the most that were seen at one time."""
    seen = []
    for _ in range(LOOKS if isinstance(pooler, Pgusher) else 0):
        seen = max(seen, pooler.show("PINS"), key=len)
        time.sleep(0.05)
    return seen

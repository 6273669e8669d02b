"""The same month end three ways: PostgreSQL alone, through PgBouncer, through pgusher."""

import json
import time

from . import money
from .load import users
from .poolers import Direct, PgBouncer, Pgusher
from .postgres import manage
from .stage import say

WAYS = {"direct": Direct, "pgbouncer": PgBouncer, "pgusher": Pgusher}
# The service as it is written for PostgreSQL, through a pooler that does not keep its sessions.
AS_IT_IS = {"pgbouncer-as-it-is": lambda place: PgBouncer(place, plain=False)}
SHOWS = ("PINS", "AUDIT", "POOLS", "STATS")


def measure(stage, name, make):
    """One way: users, the reconciliation in the middle of it, and the money afterwards."""
    say(f"{name}: {stage.options.users} users for {stage.options.seconds:.0f} s")
    with stage.service(make) as service, users(stage, service, name) as load:
        time.sleep(stage.options.seconds / 2)
        reconciled = _reconcile(stage, service)
        shown = _show(service.pooler)
        told = load.end() | reconciled
        told |= _settle(stage, service, load)
        if isinstance(service.pooler, Pgusher):
            told["shown"] = shown | _show(service.pooler)
            told["shown"]["PINS"] = shown["PINS"]
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
    """Waits for the workers, and looks at the money; a way that loses it is told, not hidden."""
    told = {}
    try:
        service.settle()
    except TimeoutError:
        told["tasks_left"] = service.broker.backlog()
    try:
        told["transfers"] = money.check(stage.postgres, [load.journal])
        told["money"] = "conserved"
    except money.Broken as wrong:
        told["money"] = str(wrong)
    return told


def _show(pooler):
    if not isinstance(pooler, Pgusher):
        return {}
    return {what: json.loads(json.dumps(pooler.show(what), default=str)) for what in SHOWS}

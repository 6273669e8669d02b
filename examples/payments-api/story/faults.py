"""Faults under load, through pgusher: what breaks is broken on purpose, and money is looked at after each."""

import os
import random
import signal
import time

from . import money
from .load import users
from .poolers import Pgusher
from .stage import say


def kill_backends(stage, service):
    """Half of PostgreSQL's connections are ended by pg_terminate_backend."""
    stage.postgres.ask("""SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE usename = 'payments' AND pid % 2 = 0""")


def kill_worker(stage, service):
    """A worker of Gunicorn is killed, with all requests it had."""
    os.kill(random.choice(service.blue.workers()), signal.SIGKILL)


def kill_pgusher(stage, service):
    """pgusher is killed and started again."""
    service.pooler.process.stop(signal.SIGKILL)
    service.pooler.process = Pgusher(stage.place).process


def crash_postgres(stage, service):
    """PostgreSQL goes down without a checkpoint, and recovers."""
    stage.postgres.stop(signal.SIGQUIT)
    stage.postgres.start()


FAULTS = {
    "servers killed": kill_backends,
    "API worker killed": kill_worker,
    "pgusher killed": kill_pgusher,
    "PostgreSQL crashed": crash_postgres,
}


def suffer(stage, names=tuple(FAULTS)):
    """All faults, one after the other in one run; gives what users saw of them and what became of the money."""
    with stage.service(Pgusher) as service, users(stage, service, "faults") as load:
        # What was counted ends with the process that is killed.
        load.before = None
        pause = stage.options.seconds / (len(names) + 1)
        for name in names:
            time.sleep(pause)
            say(f"fault: {name}")
            FAULTS[name](stage, service)
        told = load.end()
        service.settle()
        told |= money.conserved(stage.postgres, [load.journal])
        told["faults"] = {name: FAULTS[name].__doc__ for name in names}
    say(f"faults: {told['all']['ok']} answers, {told['all']['errors']} errors, money conserved")
    return told

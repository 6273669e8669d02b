"""The load: starts the generator, and samples beside it what the database and the pooler have to bear."""

import json
import subprocess
import threading
import time

import psycopg

from . import money
from .place import LOAD

BACKENDS = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = 'payments' AND backend_type = 'client backend' AND application_name <> 'story'"""
LIGHT = money.RULES[money.SUM]
LAST_ANSWERS = 150


class Samples(threading.Thread):
    """Twice a second: how many connections PostgreSQL has, and whether the sum of all balances is what it was."""

    def __init__(self, postgres):
        super().__init__(daemon=True)
        self.postgres, self.over = postgres, threading.Event()
        self.connections, self.sums, self.broken = [], 0, []
        self.start()

    def run(self):
        connection = None
        while not self.over.wait(0.5):
            try:
                connection = connection or self.postgres().connect("payments")
                self.connections.append(connection.execute(BACKENDS).fetchone()[0])
                self.broken += connection.execute(LIGHT).fetchall()
                self.sums += 1
            except psycopg.Error:
                # The server is away: a fault, or a switch.
                connection = None
        if connection:
            connection.close()

    def end(self):
        """Stops sampling; raises when money was ever missing."""
        self.over.set()
        self.join()
        if self.broken:
            raise money.Broken(f"NOT TRUE, during the run: {money.SUM}: {self.broken[:5]}")


class Load:
    """A running load; `postgres` gives the server that is the primary now."""

    def __init__(self, place, postgres, pooler, name, words, options):
        self.place, self.pooler, self.name = place, pooler, name
        self.journal = place.state / f"{name}.journal"
        self.out = place.state / f"{name}.json"
        self.before, self.began = pooler.queue(), time.time()
        self.samples = Samples(postgres)
        command = [LOAD, "--people", place.state / "people", "--journal", self.journal, "--out", self.out]
        for option in ("users", "seconds", "think", "ramp"):
            command += [f"--{option}", getattr(options, option)]
        self.process = subprocess.Popen([str(word) for word in [*command, *words]])
        self.patience = options.seconds + LAST_ANSWERS

    def running(self):
        """Whether users are still there."""
        return self.process.poll() is None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.running():
            self.process.kill()
            self.process.wait()
        self.samples.over.set()

    def end(self):
        """Waits until the users have left; gives what became of them."""
        if self.process.wait(self.patience) != 0:
            raise RuntimeError(f"the load {self.name} failed")
        self.samples.end()
        told = json.loads(self.out.read_text())
        told |= {"name": self.name, "way": self.pooler.title, "began": self.began, "ended": time.time()}
        told["connections"] = max(self.samples.connections, default=0)
        told["sums_checked"] = self.samples.sums
        if self.before:
            transactions, waited = (now - was for now, was in zip(self.pooler.queue(), self.before))
            told["transactions"], told["waited_seconds"] = transactions, waited
        return told


def users(stage, service, name):
    """Users of the API, who come at once."""
    words = ["http", "--address", f"127.0.0.1:{stage.place.port['api']}"]
    return Load(stage.place, lambda: stage.postgres, service.pooler, name, words, stage.options)

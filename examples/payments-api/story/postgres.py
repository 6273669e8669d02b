"""Private PostgreSQL servers: a primary, and a replica that can take over."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psycopg

from .place import API
from .processes import Process, become

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # As in life: what a machine is given, not what the application would like.
    "max_connections": 100,
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_keep_size": "512MB",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %a ",
    "log_lock_waits": "on",
}
HBA = "host all all 127.0.0.1/32 scram-sha-256\nhost replication postgres 127.0.0.1/32 scram-sha-256\n"


def tool(name):
    """Where a program of the newest PostgreSQL is."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return str(found[-1]) if found else shutil.which(name)


def owner():
    """Whom the server runs as: it refuses to be root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


class Postgres:
    """One server; `primary` is whom it follows."""

    def __init__(self, place, name="postgres", primary=None):
        self.place, self.name, self.port = place, name, place.port[name]
        self.data = place.state / name
        self.data.mkdir()
        self.data.chmod(0o700)
        if owner():
            shutil.chown(self.data, owner())
        self._copy(primary) if primary else self._make()
        self.start()

    def _make(self):
        secret = self.place.sockets / "password"
        secret.write_text(self.place.password["postgres"])
        self.place.sockets.chmod(0o755)
        secret.chmod(0o644)
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C",
                  "--pwfile", secret)
        secret.unlink()
        (self.data / "pg_hba.conf").write_text(HBA)

    def _copy(self, primary):
        where = f"host=127.0.0.1 port={primary.port} user=postgres password={self.place.password['postgres']}"
        self._run("pg_basebackup", "-D", self.data, "-R", "-X", "stream", "-c", "fast", "-d", where)

    def _run(self, name, *words):
        shell = ["setpriv", *become(owner())] if owner() else []
        subprocess.run([*shell, tool(name), *map(str, words)], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self, more=()):
        """Starts it, after a crash as well; with more settings for this time."""
        settings = [f"-c{name}={value}" for name, value in (SETTINGS | {"port": self.port} | dict(more)).items()]
        command = [tool("postgres"), "-D", self.data, *settings]
        self.process = Process(self.place, self.name, command, user=owner(), cwd="/")
        self.process.ready(lambda: self.ask("SELECT true"))

    def stop(self, how=signal.SIGINT):
        """Ends it: fast (SIGINT), or as a crash does (SIGQUIT)."""
        self.process.stop(how)

    def connect(self, database="postgres"):
        """A superuser's connection."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", password=self.place.password["postgres"],
            dbname=database, autocommit=True, connect_timeout=10, application_name="story",
        )

    def ask(self, statement, *values, database="postgres"):
        """The first value of the first row."""
        with self.connect(database) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchone()[0] if cursor.description else None

    def seed(self, users):
        """Makes the database of the service, to be copied for each run."""
        secret = self.place.password["payments"]
        self.ask(f"CREATE ROLE payments LOGIN PASSWORD '{secret}'")
        self.ask("CREATE DATABASE payments OWNER payments")
        env = self.place.environment(self.port, False, "seed")
        people = self.place.state / "people"
        for words in (["migrate", "--verbosity", "0"], ["seed", "--users", users, "--out", people]):
            manage(env, *words)
        self.ask("VACUUM ANALYZE", database="payments")
        self.ask("ALTER DATABASE payments RENAME TO seed")

    def fresh(self):
        """A database as it was seeded."""
        self.ask("DROP DATABASE IF EXISTS payments WITH (FORCE)")
        self.ask("CREATE DATABASE payments TEMPLATE seed OWNER payments")
        self.ask("CHECKPOINT")


def manage(env, *words):
    """Django's command line."""
    subprocess.run([sys.executable, API / "manage.py", *map(str, words)], env=env, check=True, cwd=API)

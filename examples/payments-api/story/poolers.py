"""Who stands between the service and PostgreSQL: nobody, PgBouncer or pgusher."""

import os
import shutil

import psycopg

from .place import EXAMPLE
from .processes import Process, answers

POOL = 20


class Direct:
    """Nobody."""

    title, plain = "PostgreSQL alone", False

    def __init__(self, place):
        self.port = place.port["postgres"]

    def stop(self):
        """Nothing to end."""

    def queue(self):
        """Nobody queues."""
        return None


class Console:
    """What both poolers' consoles are asked."""

    def console(self):
        """A connection to the console."""
        raise NotImplementedError

    def show(self, what):
        """The rows of a SHOW, by their columns' names."""
        with self.console() as connection:
            cursor = connection.execute(f"SHOW {what}")
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row)) for row in cursor.fetchall()]

    def order(self, text):
        """Gives an order and waits until it is done."""
        with self.console() as connection:
            connection.execute(text)

    def queue(self):
        """Transactions so far, and the seconds they waited for a server."""
        rows = [row for row in self.show("STATS") if row["database"] == "payments"]
        return sum(int(r["total_xact_count"]) for r in rows), sum(int(r["total_wait_time"]) for r in rows) / 1e6

    def _console(self, host, port, database):
        return psycopg.connect(
            host=host, port=port, user="dba", password=self.place.password["dba"], dbname=database,
            autocommit=True, cursor_factory=psycopg.ClientCursor, connect_timeout=10,
        )


def userlist(place):
    """Writes who may log in, and with what."""
    file = place.state / "userlist.txt"
    file.write_text("".join(f'"{who}" "{place.password[who]}"\n' for who in ("payments", "dba")))
    return file


class PgBouncer(Console):
    """Debian's, in transaction mode, with the service as it must be written for it."""

    title, plain = "PgBouncer", True

    def __init__(self, place, plain=True):
        self.place, self.plain, self.port = place, plain, place.port["pgbouncer"]
        file = place.state / "pgbouncer.ini"
        file.write_text(f"""[databases]
payments = host=127.0.0.1 port={place.port["postgres"]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {userlist(place)}
admin_users = dba
pool_mode = transaction
default_pool_size = {POOL}
max_client_conn = 12000
listen_backlog = 4096
log_connections = 0
log_disconnections = 0
""")
        user = "nobody" if os.geteuid() == 0 else None
        (place.state / "userlist.txt").chmod(0o644)
        binary = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        self.process = Process(place, "pgbouncer", [binary, file], user=user)
        self.process.ready(lambda: self.show("VERSION"))

    def console(self):
        return self._console("127.0.0.1", self.port, "pgbouncer")

    def stop(self):
        """Ends it."""
        self.process.stop()


class Pgusher(Console):
    """pgusher, with the service as it is; `peer` tells processes on one port apart."""

    title, plain = "pgusher", False

    def __init__(self, place, peer=1):
        self.place, self.peer, self.port = place, peer, place.port["pgusher"]
        self.folder, self.http = place.sockets / str(peer), place.port[f"pgusher{peer}"]
        self.folder.mkdir(exist_ok=True)
        userlist(place).chmod(0o600)
        self.file = place.state / "pool.toml"
        if not self.file.exists():
            shutil.copy(EXAMPLE / "pool.toml", self.file)
            self.servers_at(5432, place.port["postgres"])
        env = os.environ | {
            "PGUSHER_PORT": str(self.port),
            "PGUSHER_FOLDER": str(self.folder),
            "PGUSHER_HTTP": str(self.http),
            "PGUSHER_PEER": str(peer),
            "PGUSHER_PEERS": str(place.sockets),
        }
        command = [os.environ["PGUSHER_BINARY"], self.file]
        self.process = Process(place, f"pgusher{peer}", command, env=env)
        self.process.ready(lambda: answers(f"http://127.0.0.1:{self.http}/readyz"))

    def servers_at(self, before, port):
        """Writes another port of the database into pool.toml; counts from the next RELOAD on."""
        text = self.file.read_text()
        assert f"\nport = {before}\n" in text, text
        self.file.write_text(text.replace(f"\nport = {before}\n", f"\nport = {port}\n"))

    def console(self):
        return self._console(str(self.folder), self.port, "pgusher")

    def metrics(self):
        """What Prometheus reads."""
        return answers(f"http://127.0.0.1:{self.http}/metrics")

    def stop(self):
        """Ends it."""
        self.process.stop()

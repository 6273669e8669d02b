"""The service: Redis, Celery's workers, Gunicorn in blue and green, haproxy in front."""

import resource
import socket
import sys

import redis

from .place import API
from .processes import Process, answers, listens, until

# Requests that one colour works on at the same time; more wait in haproxy.
AT_ONCE = 400


class Redis:
    """A private Redis: the broker in database 0, the cache in 1. Nothing of it is kept."""

    def __init__(self, place):
        port = place.port["redis"]
        words = ["--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", place.state]
        self.process = Process(place, "redis", ["redis-server", *words])
        self.client = redis.Redis(port=port)
        self.process.ready(self.client.ping)

    def backlog(self):
        """Tasks that nobody has taken yet or that are being worked on."""
        return self.client.llen("celery") + self.client.hlen("unacked")

    def stop(self):
        """Ends it."""
        self.process.stop()


class Gunicorn:
    """One colour of the API."""

    def __init__(self, place, colour, pooler):
        self.colour, port = colour, place.port[colour]
        env = place.environment(pooler.port, pooler.plain, f"api-{colour}")
        env["PAYMENTS_BIND"] = f"127.0.0.1:{port}"
        self.process = Process(
            place, colour, [sys.executable, "-m", "gunicorn", "payments.asgi:application", "-c", "gunicorn.conf.py"],
            env=env, cwd=API,
        )
        self.process.ready(lambda: answers(f"http://127.0.0.1:{port}/health/"))

    def workers(self):
        """The numbers of its workers."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            return [int(pid) for pid in children.read().split()]

    def stop(self):
        """Ends it; its workers finish what they have."""
        self.process.stop()


class Celery:
    """The workers."""

    def __init__(self, place, pooler):
        env = place.environment(pooler.port, pooler.plain, "celery")
        words = ["worker", "--concurrency", "2", "--loglevel", "warning", "--without-gossip", "--without-mingle"]
        command = [sys.executable, "-m", "celery", "-A", "payments", *words]
        self.process = Process(place, "celery", command, env=env, cwd=API)

    def stop(self):
        """Ends it; tasks are finished."""
        self.process.stop()


class Front:
    """haproxy: one address for users, whichever colour answers."""

    def __init__(self, place):
        self.place, self.admin = place, place.port["front"]
        file = place.state / "haproxy.cfg"
        server = f"check inter 500ms fastinter 200ms rise 1 maxconn {AT_ONCE}"
        file.write_text(f"""global
    maxconn {_files() // 2 - 100}
    stats socket ipv4@127.0.0.1:{self.admin} level admin
defaults
    mode http
    timeout connect 5s
    timeout client 10m
    timeout server 90s
    timeout queue 90s
    option redispatch
    retries 3
frontend users
    bind 127.0.0.1:{place.port["api"]} backlog 10000
    default_backend api
backend api
    option httpchk GET /health/
    # A check that waits behind 400 requests must not take the colour away.
    timeout check 60s
    server blue 127.0.0.1:{place.port["blue"]} {server}
    server green 127.0.0.1:{place.port["green"]} {server} disabled
""")
        self.process = Process(place, "haproxy", ["/usr/sbin/haproxy", "-db", "-f", file])
        self.process.ready(lambda: listens(place.port["api"]))

    def order(self, text):
        """Gives haproxy an order; gives its answer."""
        with socket.create_connection(("127.0.0.1", self.admin), 5) as connection:
            connection.sendall(f"{text}\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def switch(self, old, new):
        """Sends new requests to `new`; waits until `old` has answered what it had."""
        self.order(f"set server api/{new} state ready")
        until(lambda: self._column(new, "status").startswith("UP"))
        self.order(f"set server api/{old} state drain")
        until(lambda: self._column(old, "scur") == "0")

    def _column(self, server, name):
        header, *lines = self.order("show stat api 4 -1").splitlines()
        names = header.lstrip("# ").split(",")
        rows = (dict(zip(names, line.split(","))) for line in lines)
        return next(row[name] for row in rows if row.get("svname") == server)

    def stop(self):
        """Ends it."""
        self.process.stop()


def _files():
    """How many files haproxy may open: two for each user."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Service:
    """All of it, against one pooler."""

    def __init__(self, place, pooler, broker):
        self.place, self.pooler, self.broker = place, pooler, broker
        broker.client.flushall()
        self.parts = []
        try:
            self.blue = self.add(Gunicorn(place, "blue", pooler))
            self.celery = self.add(Celery(place, pooler))
            self.front = self.add(Front(place))
            until(lambda: answers(f"http://127.0.0.1:{place.port['api']}/health/"))
        except BaseException:
            self.stop()
            raise

    def add(self, part):
        """Has `part` end with the rest."""
        self.parts.append(part)
        return part

    def settle(self, patience=120):
        """Waits until the workers have done everything."""
        until(lambda: self.broker.backlog() == 0, patience=patience)

    def stop(self):
        """Ends it, front first."""
        for part in reversed(self.parts):
            part.stop()

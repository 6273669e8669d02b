"""Where everything is: folders, ports, passwords of one run."""

import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent
API = EXAMPLE / "api"
LOAD = EXAMPLE / "load/target/release/payments-load"

PORTS = ["postgres", "replica", "redis", "api", "blue", "green", "front", "pgusher", "pgusher1", "pgusher2"]
PORTS += ["pgbouncer", "prometheus"]


@dataclass
class Place:
    """A folder that is new with each run, and ports that were free."""

    state: Path
    port: dict = field(default_factory=dict)
    password: dict = field(default_factory=lambda: {who: secrets.token_hex(8) for who in ("postgres", "payments", "dba")})

    def __post_init__(self):
        self.state.parent.mkdir(parents=True, exist_ok=True)
        # Held until the process ends: two stories at the same time would tread on each other.
        self._lock = (self.state.parent / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"another run has {self.state}") from None
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir(parents=True)
        for folder in ("log", "mail", "statements", "report"):
            (self.state / folder).mkdir()
        # A socket's name has room for about a hundred characters, a checkout's path may have more.
        self.sockets = Path(tempfile.mkdtemp(prefix="payments-"))
        with contextlib.ExitStack() as held:
            for name in PORTS:
                self.port[name] = _free(held)

    def close(self):
        """Takes away what is not in the folder."""
        shutil.rmtree(self.sockets, ignore_errors=True)

    def environment(self, database_port, plain_pooler, name):
        """What the service is told."""
        return os.environ | {
            "PAYMENTS_STATE": str(self.state),
            "PAYMENTS_REDIS": f"redis://127.0.0.1:{self.port['redis']}",
            "PAYMENTS_DB_PORT": str(database_port),
            "PAYMENTS_DB_PASSWORD": self.password["payments"],
            "PAYMENTS_PLAIN_POOLER": "1" if plain_pooler else "0",
            "PAYMENTS_APPLICATION_NAME": name,
        }


def _free(held):
    listener = held.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    return listener.getsockname()[1]

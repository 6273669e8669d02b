"""Where the database is, and many clients at once."""

import os
import threading
import traceback

HOST = "127.0.0.1"
PORT = int(os.environ["PGUSHER_PORT"])
USER = "app"
DATABASE = "app"
# Three for each server.
CLIENTS = 6


def same(found, expected):
    assert found == expected, f"{found!r} instead of {expected!r}"


def crowd(client):
    """Runs client(n) for each of the clients at the same time; the first failure is the crowd's."""
    failures = []

    def run(n):
        try:
            client(n)
        except BaseException:
            failures.append(f"client {n}: {traceback.format_exc()}")

    threads = [threading.Thread(target=run, args=(n,)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit("\n".join(failures))

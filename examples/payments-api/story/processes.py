"""Processes that were started here, and are ended here."""

import os
import pwd
import signal
import socket
import subprocess
import time
import urllib.request

PATIENCE = 90


def become(user):
    """What setpriv is told to run something as somebody else."""
    return ["--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--clear-groups"]


class Gone(Exception):
    """A process ended that should not have."""


class Process:
    """A process with a log; the kernel ends it should this one die."""

    def __init__(self, place, name, command, *, env=None, user=None, cwd=None):
        self.name = name
        self.log = place.state / "log" / f"{name}.log"
        shell = ["setpriv", "--pdeathsig", "TERM"]
        if user and os.geteuid() == 0:
            shell += become(user)
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                [*shell, "--", *map(str, command)], env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        """Whether it runs."""
        return self.popen.poll() is None

    def stop(self, how=signal.SIGTERM):
        """Asks it to end, and waits for that."""
        if self.alive():
            self.popen.send_signal(how)
        try:
            self.popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise

    def ready(self, condition):
        """Waits until `condition()` is true, without exceptions."""
        until(condition, self)
        return self


def until(condition, process=None, patience=PATIENCE):
    """Waits for a condition; what is raised while it is looked at means not yet."""
    deadline = time.monotonic() + patience
    while True:
        try:
            if condition():
                return
            failed = None
        except Exception as error:  # noqa: BLE001: whatever is wrong now may be right soon
            failed = error
        if process and not process.alive():
            raise Gone(f"{process.name}: {process.log.read_text()[-3000:]}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain for {process.name if process else condition}") from failed
        time.sleep(0.1)


def listens(port):
    """Whether somebody listens there."""
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


def answers(url):
    """What a URL has to say."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()

"""The command line."""

import argparse
import json
import resource
import signal
import sys
import time
from pathlib import Path

from . import deployments, faults, money, replay, report, ways
from .place import EXAMPLE
from .poolers import Pgusher
from .stage import Stage, say

# About what the service can answer on two cores.
ASKED = 80


def main():
    options = _options()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    # Every user is a connection, in several processes.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        sys.exit(COMMANDS[options.what](options))
    except KeyboardInterrupt:
        sys.exit(130)


def up(options):
    """The service through pgusher, until Ctrl-C."""
    with Stage(options) as stage, stage.service(Pgusher) as service:
        place = stage.place
        with open(place.state / "people") as people:
            token, account, *_ = people.readline().split(";")
        pool = service.pooler
        print(f"""
The API        curl -H 'Authorization: Token {token}' http://127.0.0.1:{place.port["api"]}/accounts/{account}/statement/
pgusher        PGPASSWORD={place.password["payments"]} psql -h 127.0.0.1 -p {pool.port} -U payments payments
its console    PGPASSWORD={place.password["dba"]} psql -h {pool.folder} -p {pool.port} -U dba pgusher
its metrics    http://127.0.0.1:{pool.http}/metrics
Prometheus     http://127.0.0.1:{place.port["prometheus"]}/
mail, files    {place.state}/mail, {place.state}/statements
logs           {place.state}/log
Ctrl-C ends all of it.""")
        while True:
            time.sleep(1)
            if not pool.process.alive():
                return 1


def smoke(options):
    """Some users through pgusher for a few seconds, servers killed meanwhile, and the money."""
    with Stage(options) as stage:
        told = faults.suffer(stage, ["servers killed"])
        rules = money.prove(stage.postgres)
        say(f"{told['transfers']} transfers; each of the {rules} rules was broken on purpose, and it was noticed")
        if told["transfers"] == 0 or told["sums_checked"] == 0:
            raise money.Broken("nothing happened that could have gone wrong")
    return 0


def load(options):
    """The month end, three ways (or those named by --way)."""
    with Stage(options) as stage:
        _report(options, ways=_ways(stage))
    return 0


def fault(options):
    """Faults under load, through pgusher."""
    with Stage(options) as stage:
        _report(options, faults=faults.suffer(stage))
    return 0


def deploy(options):
    """Deployments under load, through pgusher: the API, pgusher, PostgreSQL."""
    with Stage(options) as stage:
        told = deployments.deploy(stage)
        _report(options, deployments=told)
    return _failed(told)


def replayed(options):
    """The service's SQL from a compiled client, three ways."""
    with Stage(options) as stage:
        _report(options, replay=replay.replay(stage))
    return 0


def story(options):
    """All of it, with one report."""
    told = {}
    with Stage(options) as stage:
        parts = {
            "ways": lambda: _ways(stage),
            "replay": lambda: replay.replay(stage),
            "faults": lambda: faults.suffer(stage),
            # The last: its replica is the primary from then on.
            "deployments": lambda: deployments.deploy(stage),
        }
        for name, part in parts.items():
            told[name] = part()
            _report(options, **told)
    if options.publish:
        report.publish(EXAMPLE / "README.md", options.state / "report")
    return _failed(told["deployments"])


def _failed(told):
    return int(any(one["all"]["errors"] for one in told.values()))


def _ways(stage):
    known = ways.WAYS | ways.AS_IT_IS
    return {name: ways.measure(stage, name, known[name]) for name in stage.options.way}


def _report(options, **told):
    folder = options.state / "report"
    (folder / "told.json").write_text(json.dumps(told, indent=1, default=str))
    say(f"written: {report.write(folder, options, told)}")


COMMANDS = {"up": up, "smoke": smoke, "load": load, "replay": replayed, "faults": fault, "deploy": deploy, "story": story}


def _options():
    parser = argparse.ArgumentParser(prog="run", description="A payments service, and the story of its month end.")
    parser.add_argument("--state", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("what", choices=COMMANDS, help="; ".join(f"{k}: {v.__doc__}" for k, v in COMMANDS.items()))
    parser.add_argument("--users", type=int, default=200, help="at the same time (200)")
    parser.add_argument("--seconds", type=float, default=30, help="how long each load lasts (30)")
    parser.add_argument("--think", type=float, help="average seconds between two requests of a user "
                        f"(as many as make {ASKED} requests a second of all)")
    parser.add_argument("--ramp", type=float, default=5, help="over how many seconds users come (5)")
    parser.add_argument("--way", action="append", choices=[*ways.WAYS, *ways.AS_IT_IS], help="all but the last")
    parser.add_argument("--only", choices=[how.__name__ for how in deployments.DEPLOYMENTS.values()],
                        help="deploy just this")
    parser.add_argument("--replay-seconds", type=float, default=20, help="how long each replay lasts (20)")
    parser.add_argument("--replay-think", type=float, default=2, help="as --think, in the replay (2)")
    parser.add_argument("--publish", action="store_true", help="put what the story tells into the README")
    parser.add_argument("--reconnect", action="store_true", help="replay with a connection for each request")
    options = parser.parse_args()
    options.way = options.way or list(ways.WAYS)
    options.think = options.think or options.users / ASKED
    return options


main()

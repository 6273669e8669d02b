"""The report: tables in Markdown, pictures beside it."""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess

from . import plots
from .postgres import tool

PYTHON = ("Django", "djangorestframework", "psycopg", "gunicorn", "uvicorn", "celery", "redis")


def write(folder, options, told):
    """Writes report.md and the pictures of what was told."""
    parts = [f"# The month end of {options.users:,} users\n", machine()]
    if ways := told.get("ways"):
        parts.append(_ways(folder, ways, "The service", "api", f"{options.users:,} users of the API"))
        if queue := ways.get("pgusher", {}).get("queue"):
            plots.queue_time(folder, "queue-time", queue, "waiting for a server, through pgusher (Prometheus)")
            parts.append("![queue time](queue-time.png)\n")
    if replay := told.get("replay"):
        parts.append(_ways(folder, replay, "Its SQL alone, from a compiled client", "sql", f"{options.users:,} users' SQL"))
    if faults := told.get("faults"):
        parts.append(_faults(faults))
    if deployments := told.get("deployments"):
        parts.append(_deployments(deployments))
    if shown := told.get("ways", {}).get("pgusher", {}).get("shown"):
        shown["AUDIT"] = _by_name(shown["AUDIT"])
        parts += [_show(what, shown[what]) for what in ("AUDIT", "PINS", "POOLS")]
    file = folder / "report.md"
    file.write_text("\n".join(parts))
    return file


def machine():
    """Where this was measured, and with what."""
    with open("/proc/cpuinfo") as cpus:
        model = next((line.split(":")[1].strip() for line in cpus if line.startswith("model name")), platform.machine())
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    versions = [_first([os.environ["PGUSHER_BINARY"], "--version"]), _first([tool("postgres"), "--version"]),
                _first(["pgbouncer", "--version"]), _first(["redis-server", "--version"]).split(" sha")[0],
                _first(["haproxy", "-v"]).split(" 20")[0], f"Python {platform.python_version()}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in PYTHON]
    return (
        f"{os.cpu_count()} cores ({model}), {pages / 2**30:.0f} GiB, Linux {platform.release()}; users, service, "
        f"poolers and PostgreSQL share them. {'; '.join(versions)}.\n"
    )


def _first(command):
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False, env=_path())
        return (told.stdout or told.stderr).splitlines()[0]
    except (OSError, IndexError):
        return f"{command[0]}: unknown"


def _path():
    return os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin"}


ROWS = {
    "answers per second": lambda one: f"{one['per_second']:,.1f}",
    "response time, mean": lambda one: f"{one['all']['mean_ms']:,.0f} ms",
    "p50": lambda one: f"{one['all']['p50_ms']:,.0f} ms",
    "p95": lambda one: f"{one['all']['p95_ms']:,.0f} ms",
    "p99": lambda one: f"{one['all']['p99_ms']:,.0f} ms",
    "transfers, p99": lambda one: f"{one['kinds'].get('transfer', one['all'])['p99_ms']:,.0f} ms",
    "errors": lambda one: f"{one['all']['errors']:,}",
    "connections to PostgreSQL, most": lambda one: f"{one['connections']}",
    "queue time per transaction": lambda one: _queue(one),
    "transfers made": lambda one: f"{one.get('transfers', 0):,}",
    "money": lambda one: one["money"] if one["money"] == "conserved" else "**not right**, see below",
    "reconciliation during the run": lambda one: {True: "done", False: "failed"}.get(one.get("reconciled"), "–"),
}


def _queue(one):
    if not one.get("transactions"):
        return "–"
    return f"{one['waited_seconds'] / one['transactions'] * 1000:,.2f} ms"


def _ways(folder, told, title, name, caption):
    plots.bars(folder, f"{name}-ways", told, caption)
    plots.timeline(folder, f"{name}-timeline", told, caption)
    first = next(iter(told.values()))
    lines = [f"## {title}\n", f"{first['users']:,} users for {first['seconds']:.0f} s.\n"]
    lines += _table(["", *(one["way"] + ("" if way in ("direct", "pgusher", "pgbouncer") else ", as it is")
                           for way, one in told.items())],
                    [[label, *(row(one) for one in told.values())] for label, row in ROWS.items()])
    for way, one in told.items():
        lines += [f"- {way}: {count:,} × {error}" for error, count in sorted(one["errors"].items(), key=lambda e: -e[1])[:6]]
        lines += [f"- {way}: {count:,} {note}" for note, count in one["notes"].items()]
        if one["money"] != "conserved":
            lines.append(f"- {way}: {one['money']}")
        if "reconciliation_error" in one:
            lines.append(f"- {way}: the reconciliation failed: {one['reconciliation_error']}")
    lines.append(f"\n![{caption}]({name}-ways.png)\n\n![{caption}, by seconds]({name}-timeline.png)\n")
    return "\n".join(lines)


def _faults(told):
    lines = ["## Faults, through pgusher\n", *(f"- {name}: {text}" for name, text in told["faults"].items()), ""]
    notes = "".join(f" {count:,} {note}." for note, count in told["notes"].items())
    lines.append(
        f"{told['all']['ok']:,} answers, {told['all']['errors']:,} errors, {told['transfers']:,} transfers.{notes} "
        f"Money {told['money']}; the sum was looked at {told['sums_checked']} times during the run.\n"
    )
    return "\n".join(lines)


def _deployments(told):
    rows = [[name, f"{one['all']['ok']:,}", f"{one['all']['errors']}", f"{one['all']['p99_ms']:,.0f} ms", one["money"]]
            for name, one in told.items()]
    lines = ["## Deployments, under load\n", *_table(["", "answers", "errors", "p99", "money"], rows)]
    lines += [f"- {name}: {error} ({count})" for name, one in told.items() for error, count in one["errors"].items()]
    return "\n".join(lines) + "\n"


def _by_name(rows):
    """Adds up what differs only by the names that Django gives to cursors."""
    sums = {}
    for row in rows:
        row = row | {"statement": re.sub(r"_django_curs_\w+", "_django_curs_…", row["statement"])}
        known = sums.setdefault((row["application_name"], row["statement"], row["cause"]), row | {"count": 0})
        known["count"] += int(row["count"])
    return sorted(sums.values(), key=lambda row: -row["count"])


def _show(what, rows):
    if not rows:
        return f"## SHOW {what}\n\nNothing.\n"
    names = [name for name in rows[0] if any(row[name] not in (None, "", "0", 0) for row in rows)]
    cells = [[str(row[name])[:90].replace("|", "\\|").replace("\n", " ") for name in names] for row in rows[:15]]
    return "\n".join([f"## SHOW {what}\n", *_table(names, cells)]) + "\n"


def _table(head, rows):
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return [*lines, ""]


BEGIN, END = "<!-- figures: begin", "<!-- figures: end -->"


def publish(readme, folder):
    """Puts the report's tables and the picture of queue time into the README."""
    text, report = readme.read_text(), (folder / "report.md").read_text()
    pictures = readme.parent / "pictures"
    pictures.mkdir(exist_ok=True)
    for picture in re.findall(r"\]\(([\w-]+\.png)\)", report):
        shutil.copy(folder / picture, pictures)
    report = re.sub(r"\]\(([\w-]+\.png)\)", r"](pictures/\1)", report)
    # Two levels further down than in the report.
    report = re.sub(r"^(#+) ", r"#\1# ", report, flags=re.MULTILINE)
    head, rest = text.split(BEGIN)
    line, _ = rest.split("\n", 1)
    readme.write_text(f"{head}{BEGIN}{line}\n{report}{END}{rest.split(END)[1]}")

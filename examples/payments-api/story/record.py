"""Records the SQL of each kind of request: from PostgreSQL's log, while one user does each once.

Values that depend on who asks for what become names; the rest stays as it was sent. The transfer's numbers are those
that an earlier statement of the same request gave.
"""

import json
import re
import time
import urllib.request
import uuid
from contextlib import contextmanager

from .poolers import Direct
from .stage import say

AMOUNT, FEE = 86_420, 43
LOGGING = {"logging_collector": "on", "log_destination": "jsonlog", "log_statement": "all",
           "log_filename": "recorded", "log_connections": "off"}
_PARAMETER = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")


class _Plainly(Direct):
    """The service as a plain pooler needs it."""

    plain = True


def record(stage):
    """The scripts for the replay, as JSON in files: of the service as it is, and as a plain pooler needs it."""
    return {pooler.plain: _record(stage, pooler) for pooler in (Direct, _Plainly)}


def _record(stage, pooler):
    kinds = {}
    with _log(stage) as read, stage.service(pooler) as service:
        port = stage.place.port["api"]
        # The last ones: their numbers are not those of anything else.
        sender, recipient = _people(stage)[-2:]
        for name, kind in _kinds(sender, recipient).items():
            # Once to warm up: what is cached is no matter of the database's.
            for key in (uuid.uuid4(), uuid.uuid4()):
                read()
                answer = _ask(port, sender["token"], key, *kind)
                service.settle()
                told = Told(sender, recipient, stage, str(key), answer if name in ("transfer", "history") else None)
                sessions = read()
            kinds[name] = told.steps(sessions, "api-blue")
            if name == "transfer":
                kinds["receipt"] = told.steps(sessions, "celery")
            if name == "statement file":
                kinds[name] += told.steps(sessions, "celery")
        houses = told.houses
    file = stage.place.state / ("script-plain.json" if pooler.plain else "script.json")
    file.write_text(json.dumps({"kinds": kinds, "houses": houses}, indent=1))
    say(f"recorded {', '.join(f'{name}: {len(steps)} statements' for name, steps in kinds.items())}")
    return file


def _kinds(sender, recipient):
    account = sender["account"]
    body = {"sender": account, "recipient": recipient["account"], "amount": AMOUNT, "reference": "month-end"}
    return {
        "transfer": ("transfers/", body),
        "account": (f"accounts/{account}/", None),
        "history": ("transfers/", None),
        "statement": (f"accounts/{account}/statement/", None),
        "reference": ("reference/", None),
        "statement file": (f"accounts/{account}/statement-file/", {}),
    }


def _people(stage):
    lines = (stage.place.state / "people").read_text().split()
    names = ("token", "account", "name", "user")
    people = [dict(zip(names, line.split(";"))) for line in lines]
    return [person | {"account": int(person["account"])} for person in people]


def _ask(port, token, key, path, body):
    headers = {"Authorization": f"Token {token}", "Idempotency-Key": str(key), "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/{path}", data, headers)) as answer:
        told = answer.read()
    return json.loads(told) if told.startswith((b"{", b"[")) else None


@contextmanager
def _log(stage):
    """Has PostgreSQL log every statement; gives a function that reads what is new, by application."""
    postgres = stage.postgres
    postgres.stop()
    postgres.start(LOGGING)
    file = next((postgres.data / "log").glob("recorded*.json"))
    place = file.stat().st_size

    def read():
        nonlocal place
        # The server's log comes by a process of its own.
        size = None
        while size != file.stat().st_size:
            size = file.stat().st_size
            time.sleep(0.5)
        lines = file.read_bytes()[place:].splitlines(keepends=True)
        place += sum(map(len, lines))
        return [json.loads(line) for line in lines]

    try:
        yield read
    finally:
        postgres.stop()
        postgres.start()


class Told:
    """Turns what was logged about one request into steps of the script."""

    def __init__(self, sender, recipient, stage, key, answer):
        self.transfers = [str(one["id"]) for one in answer] if isinstance(answer, list) else []
        if isinstance(answer, dict):
            self.transfers = [str(answer["id"])]
        self.houses = [int(number) for number in stage.postgres.ask(
            "SELECT string_agg(id::text, ' ' ORDER BY id) FROM accounts_account WHERE house", database="payments"
        ).split()]
        house = self.houses[sender["account"] % len(self.houses)]
        known = {
            "token": sender["token"], "name": sender["name"], "account": sender["account"], "key": key,
            "recipient": recipient["account"], "house": house,
        }
        self.values = {str(value): {"known": name} for name, value in known.items()}
        # The numbers of users and accounts overlap: which is meant is seen at the column.
        self.users = {sender["user"]: {"known": "user"}, recipient["user"]: {"known": "recipient_user"}}
        for money, parts in ((AMOUNT, (1, 0)), (-AMOUNT, (-1, 0)), (-AMOUNT - FEE, (-1, -1)), (FEE, (0, 1))):
            self.values[str(money)] = {"money": parts}
        self.values |= {number: {"transfer": place} for place, number in enumerate(self.transfers)}

    def steps(self, lines, application):
        """The steps of one application's session."""
        spoken = [line for line in lines if line.get("application_name") == application]
        return [step for step in map(self._step, spoken) if step]

    def _step(self, line):
        said = re.match(r"(?:statement|execute [^:]+): (.*)", line.get("message", ""), re.DOTALL)
        if not said or "fetch from" in line["message"][:80]:
            return None
        sql, values = said[1], []
        for number, text in _PARAMETER.findall(line.get("detail", "")):
            column = _column(sql, int(number))
            values.append("null" if text == "NULL" else self._value(text[1:-1].replace("''", "'"), column))
        step = {"sql": sql, "values": values}
        gives = 'INSERT INTO "transfers_transfer"' in sql or sql.startswith('SELECT "transfers_transfer"."id"')
        if gives and 'idempotency_key" =' not in sql:
            step["gives_transfers"] = True
        return step

    def _value(self, text, column):
        if column.endswith(("user_id", "owner_id", 'auth_user"."id')):
            return self.users.get(text, {"text": text})
        if column.endswith(('balance', 'digits', 'LIMIT')):
            return self.values[text] if text in self.values and "money" in self.values[text] else {"text": text}
        return self.values.get(text, {"text": text})


def _column(sql, number):
    """What stands in front of a parameter."""
    before = re.split(rf"\${number}(?!\d)", sql)[0]
    found = re.search(r'([\w".]+)\s*(?:=|IN|\+|-)?\s*\(*[^"]*$', before)
    return found[1].rstrip('"').replace('""', '"') if found else ""

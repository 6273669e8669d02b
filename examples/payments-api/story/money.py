"""Looks whether money is where it has to be. It asks PostgreSQL itself, and can say no: `prove` breaks each rule once."""

import psycopg

# Each gives the numbers of what is wrong; nothing, when all is well.
RULES = {
    "the sum of all balances is what accounts were opened with": """
        SELECT sum(balance) - sum(opening) FROM accounts_account HAVING sum(balance) <> sum(opening)""",
    "every balance is what the ledger says": """
        SELECT account.id FROM accounts_account account
        LEFT JOIN transfers_ledgerentry entry ON entry.account_id = account.id
        GROUP BY account.id HAVING account.balance <> account.opening + coalesce(sum(entry.amount), 0)""",
    "the entries of every transfer add up to nothing": """
        SELECT transfer_id FROM transfers_ledgerentry GROUP BY transfer_id HAVING sum(amount) <> 0""",
    "every transfer took its amount and fee from its sender and gave the amount to its recipient": """
        SELECT transfer.id FROM transfers_transfer transfer
        LEFT JOIN transfers_ledgerentry entry ON entry.transfer_id = transfer.id
        GROUP BY transfer.id
        HAVING coalesce(sum(entry.amount) FILTER (WHERE entry.account_id = sender_id), 0) <> -transfer.amount - fee
            OR coalesce(sum(entry.amount) FILTER (WHERE entry.account_id = recipient_id), 0) <> transfer.amount""",
    "no key of a sender was used twice": """
        SELECT min(id) FROM transfers_transfer GROUP BY sender_id, idempotency_key HAVING count(*) > 1""",
    "nobody is overdrawn": "SELECT id FROM accounts_account WHERE balance < 0",
    "every transfer that was answered for is there, once, as it was asked for": """
        SELECT promised.transfer FROM promised LEFT JOIN transfers_transfer made
            ON (made.sender_id, made.idempotency_key) = (promised.sender, promised.key)
        GROUP BY promised.key, promised.transfer, promised.recipient, promised.amount
        HAVING count(made.id) <> 1 OR min(made.id) <> promised.transfer
            OR min(made.recipient_id) <> promised.recipient OR min(made.amount) <> promised.amount""",
    "every entry is signed by whoever sent the money": """
        SELECT entry.id FROM transfers_ledgerentry entry
        JOIN transfers_transfer transfer ON transfer.id = entry.transfer_id
        JOIN accounts_account sender ON sender.id = transfer.sender_id
        JOIN auth_user owner ON owner.id = sender.owner_id
        WHERE entry.actor IS DISTINCT FROM owner.username AND entry.actor IS DISTINCT FROM 'seed'""",
}
SUM = next(iter(RULES))

# What breaks each rule, and what has to be done first so that the database itself does not refuse it.
_BREAKS = {
    SUM: "UPDATE accounts_account SET balance = balance + 1 WHERE id = %(sender)s",
    "every balance is what the ledger says": """
        UPDATE accounts_account SET balance = balance + CASE id WHEN %(sender)s THEN -1 ELSE 1 END
        WHERE id IN (%(sender)s, %(recipient)s)""",
    "the entries of every transfer add up to nothing": """
        UPDATE transfers_ledgerentry SET amount = amount + 1 WHERE transfer_id = %(id)s AND account_id = %(sender)s""",
    "every transfer took its amount and fee from its sender and gave the amount to its recipient": """
        DELETE FROM transfers_ledgerentry WHERE transfer_id = %(id)s""",
    "no key of a sender was used twice": """
        ALTER TABLE transfers_transfer DROP CONSTRAINT once_for_each_key;
        INSERT INTO transfers_transfer (sender_id, recipient_id, amount, fee, reference, idempotency_key)
        SELECT sender_id, recipient_id, amount, fee, reference, idempotency_key FROM transfers_transfer
        WHERE id = %(id)s""",
    "nobody is overdrawn": """
        ALTER TABLE accounts_account DROP CONSTRAINT not_overdrawn;
        UPDATE accounts_account SET balance = -1 WHERE id = %(sender)s""",
    "every transfer that was answered for is there, once, as it was asked for": """
        INSERT INTO promised VALUES (gen_random_uuid(), %(sender)s, %(recipient)s, 1, -1)""",
    "every entry is signed by whoever sent the money": """
        UPDATE transfers_ledgerentry SET actor = 'somebody else' WHERE transfer_id = %(id)s""",
}


class Broken(Exception):
    """Money is not where it has to be."""


def audit(connection, journals=()):
    """What is wrong, by the rules that say so. The connection's transaction sees one moment."""
    connection.execute("""CREATE TEMPORARY TABLE promised
        (key uuid, sender bigint, recipient bigint, amount bigint, transfer bigint) ON COMMIT DROP""")
    with connection.cursor().copy("COPY promised FROM STDIN (DELIMITER ';')") as copy:
        for journal in journals:
            copy.write(journal.read_bytes())
    return _wrong(connection)


def _wrong(connection):
    found = {rule: connection.execute(statement).fetchall() for rule, statement in RULES.items()}
    return {rule: rows for rule, rows in found.items() if rows}


def check(postgres, journals=()):
    """How many transfers there are, all of them in order; raises Broken."""
    with postgres.connect("payments") as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        wrong = audit(connection, journals)
        made = connection.execute("SELECT count(*) FROM transfers_transfer WHERE reference <> 'rent'").fetchone()[0]
    if wrong:
        raise Broken("; ".join(f"NOT TRUE: {rule} ({len(rows)}: {rows[:5]})" for rule, rows in wrong.items()))
    return made


def conserved(postgres, journals):
    """What a report says of money that is where it has to be; raises Broken."""
    return {"transfers": check(postgres, journals), "money": "conserved"}


def verdict(postgres, journals):
    """What a report says of the money; where it was lost, that is told, not hidden."""
    try:
        return conserved(postgres, journals)
    except Broken as wrong:
        return {"money": str(wrong)}


def prove(postgres):
    """Breaks every rule, one after the other, in transactions that are taken back: each must be noticed."""
    for rule in RULES:
        with postgres.connect("payments") as connection, connection.transaction(force_rollback=True):
            clean = audit(connection)
            transfer = connection.execute(
                "SELECT id, sender_id AS sender, recipient_id AS recipient FROM transfers_transfer ORDER BY id LIMIT 1"
            ).fetchone()
            values = dict(zip(("id", "sender", "recipient"), transfer))
            psycopg.ClientCursor(connection).execute(_BREAKS[rule], values)
            if clean or rule not in _wrong(connection):
                raise Broken(f"the check does not notice when this is not true: {rule}")
    return len(RULES)

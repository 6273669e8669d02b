"""Compares every account's balance with what the ledger says."""

from django.db import connection

from payments.session import alone

from .models import Reconciliation

# One statement, so that balances and ledger are of one moment, while transfers go on.
_COLLECT = """
    CREATE TEMPORARY TABLE compared AS
    SELECT account.id, account.balance, account.opening + coalesce(sum(entry.amount), 0) AS booked
    FROM accounts_account account
    LEFT JOIN transfers_ledgerentry entry ON entry.account_id = account.id
    GROUP BY account.id
"""
_DIFFERENCES = "SELECT id, balance, booked FROM compared WHERE balance <> booked ORDER BY id LIMIT 100"


def compare():
    """The new reconciliation, or None when another one is being made."""
    with alone() as granted:
        return _compare() if granted else None


def _compare():
    with connection.cursor() as cursor:
        cursor.execute(_COLLECT)
        try:
            cursor.execute("SELECT count(*) FROM compared")
            (accounts,) = cursor.fetchone()
            cursor.execute(_DIFFERENCES)
            differences = [[account, balance, int(booked)] for account, balance, booked in cursor.fetchall()]
        finally:
            cursor.execute("DROP TABLE compared")
    return Reconciliation.objects.create(accounts=accounts, differences=differences)

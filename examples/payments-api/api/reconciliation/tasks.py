"""The nightly reconciliation."""

from celery import shared_task

from .comparison import compare


@shared_task(name="reconciliation.reconcile")
def reconcile():
    """Compares balances with the ledger."""
    compare()

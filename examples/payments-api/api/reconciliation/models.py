"""What reconciliations found."""

from django.db import models


class Reconciliation(models.Model):
    """One comparison of balances with the ledger."""

    finished = models.DateTimeField(auto_now_add=True)
    accounts = models.IntegerField()
    differences = models.JSONField()

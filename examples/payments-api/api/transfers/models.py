"""Transfers and the ledger."""

from django.db import models
from django.db.models.functions import Now

from accounts.models import Account


class _Setting(models.Func):
    """A setting of the session, NULL where it is not set."""

    function = "current_setting"
    output_field = models.TextField()


class Transfer(models.Model):
    """Money that went from one account to another, once for each key of its sender."""

    sender = models.ForeignKey(Account, models.PROTECT, related_name="sent")
    recipient = models.ForeignKey(Account, models.PROTECT, related_name="received")
    amount = models.BigIntegerField()
    fee = models.BigIntegerField()
    reference = models.CharField(max_length=140, blank=True)
    idempotency_key = models.UUIDField()
    created = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sender", "idempotency_key"], name="once_for_each_key"),
            models.CheckConstraint(condition=models.Q(amount__gt=0, fee__gte=0), name="positive_amount"),
        ]
        indexes = [models.Index(fields=["sender", "-id"], name="latest_sent")]


class LedgerEntry(models.Model):
    """What a transfer did to one account; the entries of a transfer add up to nothing."""

    transfer = models.ForeignKey(Transfer, models.PROTECT, related_name="entries")
    account = models.ForeignKey(Account, models.PROTECT, related_name="entries", db_index=False)
    amount = models.BigIntegerField()
    # Who did it, as the session says: the database signs, not the application.
    actor = models.TextField(null=True, db_default=_Setting(models.Value("payments.actor"), models.Value(True)))
    created = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["account", "id"], name="entries_of_account")]

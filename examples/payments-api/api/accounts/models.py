"""Currencies, fees, accounts."""

from django.conf import settings
from django.db import models


class Currency(models.Model):
    """What money is counted in; amounts are integers of its smallest unit."""

    code = models.CharField(max_length=3, primary_key=True)
    name = models.CharField(max_length=40)
    digits = models.SmallIntegerField(default=2)


class Fee(models.Model):
    """What a transfer costs."""

    currency = models.OneToOneField(Currency, models.PROTECT, related_name="fee")
    basis_points = models.IntegerField()
    minimum = models.BigIntegerField()


class Account(models.Model):
    """Somebody's money. It was opened with `opening`; the ledger has everything since."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="accounts")
    number = models.CharField(max_length=22, unique=True)
    currency = models.ForeignKey(Currency, models.PROTECT)
    opening = models.BigIntegerField()
    balance = models.BigIntegerField()
    opened = models.DateTimeField(auto_now_add=True)
    # Collects fees; there are several, so that not every transfer waits for the same row.
    house = models.BooleanField(default=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(balance__gte=0), name="not_overdrawn")]
        indexes = [models.Index(fields=["currency"], condition=models.Q(house=True), name="house_accounts")]

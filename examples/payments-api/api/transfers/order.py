"""A transfer is done once, however often it is asked for."""

from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import F

from accounts.models import Account
from accounts.reference import reference
from payments.session import signed_transaction

from .models import LedgerEntry, Transfer


class Refused(Exception):
    """The order cannot be carried out, now or ever; the argument says why."""


@dataclass(frozen=True)
class Order:
    """Who wants how much to go where, and the key by which asking again is known."""

    user: AbstractBaseUser
    sender: int
    recipient: int
    amount: int
    reference: str
    key: UUID

    def carry_out(self):
        """The transfer, and whether it was made just now."""
        currencies = reference()
        with signed_transaction(self.user):
            sender, recipient = self._lock()
            if first := Transfer.objects.filter(sender=sender, idempotency_key=self.key).first():
                return self._same(first), False
            fee, house = self._fee(currencies[sender.currency_id])
            if sender.balance < self.amount + fee:
                raise Refused("insufficient funds")
            return self._book(sender, recipient, fee, house), True

    def _lock(self):
        """Locks both accounts in the order of their numbers, as every transfer does: no two wait for each other."""
        wanted = (self.sender, self.recipient)
        locked = Account.objects.select_for_update(no_key=True).filter(id__in=wanted, house=False).order_by("id")
        accounts = {account.id: account for account in locked}
        sender, recipient = accounts.get(self.sender), accounts.get(self.recipient)
        if sender is None or sender.owner_id != self.user.pk:
            raise Refused("no such account of yours")
        if recipient is None or recipient is sender or recipient.currency_id != sender.currency_id:
            raise Refused("no such recipient")
        return sender, recipient

    def _same(self, first):
        if (first.recipient_id, first.amount) != (self.recipient, self.amount):
            raise Refused("this key belongs to another transfer")
        return first

    def _fee(self, terms):
        fee = max(terms["minimum"], self.amount * terms["basis_points"] // 10_000)
        collecting = terms["collecting"]
        return fee, collecting[self.sender % len(collecting)]

    def _book(self, sender, recipient, fee, house):
        transfer = Transfer.objects.create(
            sender=sender,
            recipient=recipient,
            amount=self.amount,
            fee=fee,
            reference=self.reference,
            idempotency_key=self.key,
        )
        # House accounts come last and only one of them is touched: the order of locks stays fixed.
        changes = [(sender.id, -self.amount - fee), (recipient.id, self.amount), (house, fee)]
        for account, change in changes:
            Account.objects.filter(id=account).update(balance=F("balance") + change)
        LedgerEntry.objects.bulk_create(
            LedgerEntry(transfer=transfer, account_id=account, amount=change) for account, change in changes
        )
        return transfer

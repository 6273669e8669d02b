"""A statement's lines: one for each entry of an account, in the order they were booked."""

from transfers.models import LedgerEntry

HEADER = "entry;booked;counterpart;reference;amount\n"


def entries(account):
    """An account's entries, with all that a line needs."""
    return (
        LedgerEntry.objects.filter(account=account)
        .select_related("transfer__sender__owner", "transfer__recipient__owner")
        .order_by("id")
    )


def line(entry):
    """The line of an entry."""
    transfer = entry.transfer
    other = transfer.recipient if entry.account_id == transfer.sender_id else transfer.sender
    return f"{entry.id};{entry.created:%Y-%m-%d};{other.owner.username};{transfer.reference};{entry.amount}\n"

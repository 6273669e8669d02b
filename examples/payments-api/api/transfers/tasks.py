"""What happens behind a transfer."""

from celery import shared_task
from django.core.mail import send_mail
from django.db import Error

from .models import Transfer


@shared_task(name="transfers.receipt", autoretry_for=(Error,), retry_backoff=True, max_retries=8)
def receipt(transfer):
    """Sends the sender a receipt."""
    found = Transfer.objects.select_related("sender__owner", "sender__currency", "recipient__owner").get(pk=transfer)
    send_mail(
        subject=f"Receipt {found.pk}",
        message=(
            f"You sent {found.amount} {found.sender.currency_id} (fee {found.fee}) from {found.sender.number} "
            f"to {found.recipient.owner.username}, {found.recipient.number}.\n"
        ),
        from_email=None,
        recipient_list=[f"{found.sender.owner.username}@payments.example"],
    )

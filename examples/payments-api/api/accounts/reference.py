"""Static reference data, from the cache: currencies with their fees and the accounts that collect them."""

from asgiref.sync import sync_to_async
from django.core.cache import cache

from .models import Account, Currency

KEY = "reference"
LIFETIME = 600


def reference():
    """Currencies by their codes."""
    return cache.get_or_set(KEY, _read, LIFETIME)


async def areference():
    """The same, for asynchronous callers: from the cache, and in a thread when it has to be read."""
    return await cache.aget(KEY) or await sync_to_async(reference)()


def _read():
    collecting = {}
    for currency, account in Account.objects.filter(house=True).order_by("id").values_list("currency", "id"):
        collecting.setdefault(currency, []).append(account)
    return {
        currency.code: {
            "name": currency.name,
            "digits": currency.digits,
            "basis_points": currency.fee.basis_points,
            "minimum": currency.fee.minimum,
            "collecting": collecting.get(currency.code, []),
        }
        for currency in Currency.objects.select_related("fee")
    }

"""Accounts and reference data."""

from django.http import JsonResponse
from rest_framework.generics import ListAPIView, RetrieveAPIView

from .models import Account
from .reference import areference
from .serializers import AccountSerializer


async def health(request):
    """Whether the process answers."""
    return JsonResponse({"up": True})


async def reference(request):
    """Currencies and fees; from the cache, without the database."""
    return JsonResponse(await areference())


class _Own:
    serializer_class = AccountSerializer
    lookup_url_kwarg = "account"

    def get_queryset(self):
        return Account.objects.select_related("currency").filter(owner=self.request.user).order_by("id")


class AccountList(_Own, ListAPIView):
    """The caller's accounts."""


class AccountDetail(_Own, RetrieveAPIView):
    """One of the caller's accounts."""

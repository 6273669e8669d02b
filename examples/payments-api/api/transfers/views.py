"""Transfers over HTTP."""

from uuid import UUID

from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from .models import Transfer
from .order import Order, Refused
from .serializers import HistorySerializer, OrderSerializer, TransferSerializer
from .tasks import receipt

LATEST = 10


class Transfers(APIView):
    """The caller's latest transfers, and new ones."""

    def get(self, request):
        """The latest, with what each did to which account."""
        latest = (
            Transfer.objects.filter(sender__owner=request.user)
            .select_related("recipient__owner")
            .prefetch_related("entries__account")
            .order_by("-id")[:LATEST]
        )
        return Response(HistorySerializer(latest, many=True).data)

    def post(self, request):
        """A new one (201), or, asked for again by its key, the one there is (200)."""
        asked = OrderSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            transfer, new = Order(user=request.user, key=_key(request), **asked.validated_data).carry_out()
        except Refused as reason:
            return Response({"refused": str(reason)}, status=422)
        if new:
            # Committed by now: a receipt never speaks of a transfer that was rolled back.
            receipt.delay(transfer.id)
        return Response(TransferSerializer(transfer).data, status=201 if new else 200)


def _key(request):
    try:
        return UUID(request.headers.get("Idempotency-Key", ""))
    except ValueError:
        raise ValidationError({"Idempotency-Key": "a UUID in this header is needed"}) from None

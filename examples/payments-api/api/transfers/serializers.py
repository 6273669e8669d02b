"""Transfers as JSON."""

from rest_framework import serializers

from .models import LedgerEntry, Transfer


class OrderSerializer(serializers.Serializer):
    """What a client asks for."""

    sender = serializers.IntegerField()
    recipient = serializers.IntegerField()
    amount = serializers.IntegerField(min_value=1)
    reference = serializers.CharField(max_length=140, allow_blank=True, default="")


class EntrySerializer(serializers.ModelSerializer):
    """A line of the ledger."""

    account = serializers.CharField(source="account.number")

    class Meta:
        model = LedgerEntry
        fields = ["account", "amount"]


class TransferSerializer(serializers.ModelSerializer):
    """A transfer."""

    class Meta:
        model = Transfer
        fields = ["id", "sender", "recipient", "amount", "fee", "reference", "idempotency_key"]


class HistorySerializer(TransferSerializer):
    """A transfer in somebody's history: with names, and with what it did to which account."""

    recipient_name = serializers.CharField(source="recipient.owner.username")
    entries = EntrySerializer(many=True)

    class Meta(TransferSerializer.Meta):
        fields = [*TransferSerializer.Meta.fields, "created", "recipient_name", "entries"]

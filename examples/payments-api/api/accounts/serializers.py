"""Accounts as JSON."""

from rest_framework import serializers

from .models import Account


class AccountSerializer(serializers.ModelSerializer):
    """An account, with its currency's name."""

    currency_name = serializers.CharField(source="currency.name", read_only=True)

    class Meta:
        model = Account
        fields = ["id", "number", "currency", "currency_name", "balance", "opened"]

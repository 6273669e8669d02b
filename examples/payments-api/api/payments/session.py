"""Who acts, as the database knows it; and all that a pooler without session state makes an application do.

The ledger signs its entries with `current_setting('payments.actor')`, a setting of the session. On a connection of
one's own, and through pgusher, it is set once, when the caller is known. A plain transaction pooler would hand the
server on with somebody's name in it: there (`PLAIN_POOLER`) it has to be set again inside of each transaction.
"""

from contextlib import contextmanager

from django.conf import settings
from django.db import connection, transaction
from rest_framework.authentication import TokenAuthentication
from rest_framework.authtoken.models import Token

RECONCILIATION_LOCK = 20_240_131


class Authentication(TokenAuthentication):
    """DRF's tokens; whoever comes in is known to the database from then on."""

    def authenticate_credentials(self, key):
        user, token = super().authenticate_credentials(key)
        if not settings.PLAIN_POOLER:
            _act_as(user, local=False)
        return user, token


async def caller(request):
    """Who calls an asynchronous view, or None."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Token":
        return None
    token = await Token.objects.select_related("user").filter(key=key).afirst()
    return token.user if token and token.user.is_active else None


@contextmanager
def signed_transaction(user):
    """A transaction whose ledger entries carry the user's name."""
    with transaction.atomic():
        if settings.PLAIN_POOLER:
            _act_as(user, local=True)
        yield


@contextmanager
def alone():
    """Gives whether this process may reconcile now: nobody else does, until the block ends."""
    if settings.PLAIN_POOLER:
        with transaction.atomic():
            yield _ask("SELECT pg_try_advisory_xact_lock(%s)", RECONCILIATION_LOCK)
        return
    granted = _ask("SELECT pg_try_advisory_lock(%s)", RECONCILIATION_LOCK)
    try:
        yield granted
    finally:
        if granted:
            _ask("SELECT pg_advisory_unlock(%s)", RECONCILIATION_LOCK)


def _act_as(user, *, local):
    _ask("SELECT set_config('payments.actor', %s, %s)", user.get_username(), local)


def _ask(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()[0]

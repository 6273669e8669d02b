"""Users with accounts, money and a past."""

import hashlib

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand
from django.db import connection, transaction
from rest_framework.authtoken.models import Token

from accounts.models import Account, Currency, Fee

OPENING = 10_000_000
COLLECTING = 64
# Past transfers go once around the ring of users: balances are what they were.
_PAST = """
    WITH ring AS (
        SELECT id AS sender, coalesce(lead(id) OVER (ORDER BY id), min(id) OVER ()) AS recipient
        FROM accounts_account WHERE NOT house
    ), made AS (
        INSERT INTO transfers_transfer (sender_id, recipient_id, amount, fee, reference, idempotency_key, created)
        SELECT sender, recipient, 100 * month, 0, 'rent', gen_random_uuid(), now() - month * interval '1 month'
        FROM ring, generate_series(1, %s) month
        RETURNING id, sender_id, recipient_id, amount, created
    )
    INSERT INTO transfers_ledgerentry (transfer_id, account_id, amount, actor, created)
    SELECT made.id, account, change, 'seed', made.created
    FROM made, LATERAL (VALUES (sender_id, -amount), (recipient_id, amount)) entry (account, change)
"""


class Command(BaseCommand):
    """Makes users, accounts and a year of transfers; writes who they are for the load."""

    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("--users", type=int, default=5000)
        parser.add_argument("--past", type=int, default=12, help="past transfers of each")
        parser.add_argument("--out", required=True, help="file for `token;account;name;user` lines")

    @transaction.atomic
    def handle(self, *args, users, past, out, **options):
        euro = Currency.objects.create(code="EUR", name="Euro")
        Fee.objects.create(currency=euro, basis_points=5, minimum=1)
        house = User.objects.create(username="house")
        names = [f"user{number:05}" for number in range(users)]
        people = User.objects.bulk_create(User(username=name, password="!") for name in names)
        tokens = Token.objects.bulk_create(Token(user=user, key=_key(user)) for user in people)
        accounts = Account.objects.bulk_create(_account(user, user.username, euro) for user in people)
        Account.objects.bulk_create(_account(house, f"fees{n:02}", euro, house=True) for n in range(COLLECTING))
        with connection.cursor() as cursor:
            cursor.execute(_PAST, [past])
        with open(out, "w") as file:
            file.writelines(f"{t.key};{a.id};{t.user.username};{t.user.id}\n" for t, a in zip(tokens, accounts))


def _key(user):
    return hashlib.sha1(f"token of {user.username}".encode()).hexdigest()


def _account(owner, name, currency, house=False):
    opening = 0 if house else OPENING
    return Account(
        owner=owner,
        number=f"DE{int(hashlib.sha1(name.encode()).hexdigest(), 16) % 10**20:020}",
        currency=currency,
        opening=opening,
        balance=opening,
        house=house,
    )

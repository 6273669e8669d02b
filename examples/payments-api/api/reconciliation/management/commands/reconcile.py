"""The nightly reconciliation, by hand."""

from django.core.management.base import BaseCommand

from reconciliation.comparison import compare


class Command(BaseCommand):
    """Compares balances with the ledger."""

    help = __doc__

    def handle(self, *args, **options):
        found = compare()
        if found is None:
            self.stdout.write("another reconciliation is being made")
        else:
            self.stdout.write(f"{found.accounts} accounts, {len(found.differences)} differ")

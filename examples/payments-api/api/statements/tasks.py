"""Statement files."""

from celery import shared_task
from django.conf import settings
from django.db import Error

from .lines import HEADER, entries, line

CHUNK = 200


@shared_task(name="statements.statement_file", autoretry_for=(Error,), retry_backoff=True, max_retries=8)
def statement_file(account):
    """Writes an account's statement, from a server-side cursor; a file is whole or not there."""
    folder = settings.STATEMENT_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{account}.csv"
    with draft.open("w") as out:
        out.write(HEADER)
        out.writelines(line(entry) for entry in entries(account).iterator(chunk_size=CHUNK))
    draft.rename(folder / f"{account}.csv")

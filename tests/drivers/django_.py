"""Django's ORM over psycopg: migrations, iterators in and out of transactions, roles, time zones, savepoints."""

import subprocess
import sys
import tempfile
from pathlib import Path

import django
import psycopg
from django.conf import settings

from crowd import CLIENTS, DATABASE, HOST, PORT, USER, crowd, same

MODELS = """
from django.db import models

class Book(models.Model):
    owner = models.IntegerField(db_index=True)
    title = models.CharField(max_length=40, unique=True)
    written = models.DateTimeField(null=True)
    {extra}
"""


def configure(prepared):
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "shelf"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        TIME_ZONE="Asia/Tokyo",
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "HOST": HOST,
                "PORT": PORT,
                "USER": USER,
                "NAME": DATABASE,
                "CONN_MAX_AGE": 600,
                "OPTIONS": {"assume_role": "alice", "prepare_threshold": 1, "server_side_binding": prepared},
            }
        },
    )
    django.setup()


def fill(n):
    from django.db import IntegrityError, connection, transaction
    from shelf.models import Book

    Book.objects.bulk_create(Book(owner=n, title=f"{n}/{i}") for i in range(200))
    with transaction.atomic():
        Book.objects.create(owner=n, title=f"{n}/more")
        try:
            with transaction.atomic():
                Book.objects.create(owner=n, title=f"{n}/0")
        except IntegrityError:
            pass
        Book.objects.filter(title=f"{n}/more").delete()
    same(Book.objects.filter(owner=n).count(), 200)
    with connection.cursor() as cursor:
        cursor.execute("select current_user, current_setting('TimeZone')")
        # PostgreSQL keeps its days in UTC for a project with time zones.
        same(cursor.fetchone(), ("alice", "UTC"))


def read(n):
    from django.db import connection, transaction
    from shelf.models import Book

    mine = Book.objects.filter(owner=n).order_by("id")
    titles = [f"{n}/{i}" for i in range(200)]
    # Outside of a transaction its cursor is WITH HOLD.
    same([book.title for book in mine.iterator(chunk_size=11)], titles)
    with transaction.atomic():
        same([book.title for book in mine.iterator(chunk_size=13)], titles)
        same(mine.select_for_update().count(), 200)
    # Two at the same time, one of them left in the middle.
    one, two = mine.iterator(chunk_size=5), mine.iterator(chunk_size=7)
    same([book.title for book, _ in zip(one, range(20))], titles[:20])
    same([book.title for book in two], titles)
    one.close()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("set local statement_timeout = '33s'")
        same(mine.filter(title__contains="9").count(), sum("9" in title for title in titles))
    with connection.cursor() as cursor:
        cursor.execute("show statement_timeout")
        same(cursor.fetchone(), ("0",))
    connection.close()


def clean():
    with psycopg.connect(host=HOST, port=PORT, user=USER, dbname=DATABASE) as connection:
        connection.execute("drop owned by alice cascade")
        connection.execute("grant create on schema public to alice")
        connection.execute("grant create, temporary on database app to alice")


def main():
    # A new process for each step of the models, as in life.
    prepared, step, folder = sys.argv[1] == "prepared", sys.argv[2], Path(sys.argv[3])
    app = folder / "shelf"
    sys.path.insert(0, str(folder))
    if step == "first":
        clean()
        app.mkdir()
        (app / "__init__.py").touch()
        (app / "models.py").write_text(MODELS.format(extra=""))
    else:
        (app / "models.py").write_text(MODELS.format(extra="pages = models.IntegerField(default=7)"))
    configure(prepared)
    from django.core.management import call_command
    from django.db import connection

    call_command("makemigrations", "shelf", verbosity=0)
    call_command("migrate", verbosity=0)
    same(call_command("migrate", check_unapplied=True, verbosity=0), None)
    connection.close()
    if step == "first":
        crowd(fill)
    crowd(read)


def each_step():
    for binding in ("plain", "prepared"):
        with tempfile.TemporaryDirectory() as folder:
            for step in ("first", "second"):
                subprocess.run([sys.executable, __file__, binding, step, folder], check=True)


if sys.argv[1:]:
    main()
else:
    each_step()

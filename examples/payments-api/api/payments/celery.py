"""The Celery application: receipts, statement files, the nightly reconciliation."""

import os

from celery import Celery
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "payments.settings")

app = Celery("payments")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.beat_schedule = {
    "nightly-reconciliation": {"task": "reconciliation.reconcile", "schedule": crontab(hour=2, minute=0)},
}

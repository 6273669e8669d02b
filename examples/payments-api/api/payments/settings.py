"""Settings of the service; where things are comes from the environment."""

import os
from pathlib import Path

STATE = Path(os.environ.get("PAYMENTS_STATE", "state"))
REDIS = os.environ.get("PAYMENTS_REDIS", "redis://127.0.0.1:6379")

# A pooler that does not keep session state needs the application to do without it. Off, the service is written as for
# a PostgreSQL of its own: this is what pgusher is for. `payments/session.py` has all that differs.
PLAIN_POOLER = os.environ.get("PAYMENTS_PLAIN_POOLER") == "1"

SECRET_KEY = os.environ.get("PAYMENTS_SECRET", "only for runs on loopback")
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "Europe/Berlin"
ROOT_URLCONF = "payments.urls"
ASGI_APPLICATION = "payments.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework.authtoken",
    "accounts",
    "transfers",
    "statements",
    "reconciliation",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ.get("PAYMENTS_DB_HOST", "127.0.0.1"),
        "PORT": os.environ.get("PAYMENTS_DB_PORT", "6432"),
        "NAME": os.environ.get("PAYMENTS_DB_NAME", "payments"),
        "USER": "payments",
        "PASSWORD": os.environ.get("PAYMENTS_DB_PASSWORD", ""),
        # Under ASGI a connection belongs to a request: it is opened for it and closed behind it.
        "CONN_MAX_AGE": 0,
        "DISABLE_SERVER_SIDE_CURSORS": PLAIN_POOLER,
        "OPTIONS": {
            "application_name": os.environ.get("PAYMENTS_APPLICATION_NAME", "payments"),
            "server_side_binding": True,
            # Every statement is prepared, from its first execution on; None is never.
            "prepare_threshold": None if PLAIN_POOLER else 0,
            "connect_timeout": 30,
        },
    }
}

CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": f"{REDIS}/1"}}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["payments.session.Authentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
}

EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = STATE / "mail"
DEFAULT_FROM_EMAIL = "receipts@payments.example"
STATEMENT_FOLDER = STATE / "statements"

CELERY_BROKER_URL = f"{REDIS}/0"
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A task that a killed worker had is run again by another; receipts may come twice, money never moves in a task.
CELERY_TASK_ACKS_LATE = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}

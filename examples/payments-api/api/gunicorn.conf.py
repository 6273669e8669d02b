"""Gunicorn, with Uvicorn's workers."""

import os

bind = os.environ.get("PAYMENTS_BIND", "127.0.0.1:8000")
workers = int(os.environ.get("PAYMENTS_WORKERS", "2"))
worker_class = "uvicorn_worker.UvicornWorker"
backlog = 4096
# On TERM a worker finishes what it has.
graceful_timeout = 60
timeout = 120
keepalive = 120
accesslog = None
loglevel = "warning"

"""gunicorn -c gunicorn.conf.py: four synchronous workers on loopback."""

import os
from pathlib import Path

chdir = str(Path(__file__).resolve().parent)
wsgi_app = "ledger.wsgi:application"
bind = os.environ.get("LEDGER_BIND", "127.0.0.1:8000")
workers = int(os.environ.get("LEDGER_WORKERS", "4"))
worker_class = "sync"
timeout = 30
graceful_timeout = 10
# The heartbeat file of a worker belongs in memory: on a busy disk it kills workers.
shared_memory = Path("/dev/shm")  # noqa: S108 - a mount, gunicorn makes the name
worker_tmp_dir = str(shared_memory) if shared_memory.is_dir() else None
control_socket_disable = True
proc_name = "ledger"


def post_worker_init(worker):
    """Say when a worker has loaded the project: "Booting" comes a second too early."""
    worker.log.info("Worker ready with pid: %s", worker.pid)

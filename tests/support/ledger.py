"""The sample app as real processes: gunicorn, Celery, visitors, on free ports."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.support.children import Children
from tests.support.ports import free_port

PROJECT = Path(__file__).parents[2] / "examples" / "ledger"
FOREIGN = ("WATCHROOM_", "LEDGER_", "DJANGO_", "DATABASE_URL", "REDIS_URL")


class Ledger:
    """One set-up of the sample app in a directory of its own.

    Args:
        data: Its data directory; also holds `logs/` and watchroom's `run/`.
        environ: More environment, such as DATABASE_URL or LEDGER_SITES.
    """

    def __init__(self, data: Path, **environ: str):
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.exporter = f"127.0.0.1:{free_port()}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        self.environ = kept | {
            "DJANGO_SETTINGS_MODULE": "ledger.settings",
            "LEDGER_DATA_DIR": str(data),
            "LEDGER_DEMO": "1",
            "LEDGER_FAULTS": "1",
            "LEDGER_BIND": f"127.0.0.1:{self.port}",
            "LEDGER_HEALTH_URL": self.url,
            "LEDGER_SITES": f"{self.url}/",
            "LEDGER_EXPORTER": self.exporter,
            "WATCHROOM_RUNTIME_DIR": str(data / "run"),
            **environ,
        }
        self.children = Children(data / "logs")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def manage(self, *words: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run `manage.py` with these words."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            env=self.environ,
            cwd=PROJECT,
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def prepare(self, template: Path | None = None) -> None:
        """Create the database with sample data, or copy it from a prepared one."""
        if template and "DATABASE_URL" not in self.environ:
            shutil.copy(template / "ledger.db", self.data / "ledger.db")
        else:
            self.manage("migrate")
            self.manage("seed")

    def serve(self, workers: int = 4) -> subprocess.Popen:
        """Start gunicorn and wait until it answers; returns its arbiter."""
        command = [sys.executable, "-m", "gunicorn", "--workers", str(workers)]
        arbiter = self.children.start(
            "gunicorn", command, env=self.environ, cwd=PROJECT
        )
        # Workers say so themselves: a request to find out would be counted.
        self.children.wait_until(
            lambda: self.children.log("gunicorn").count("Worker ready") >= workers,
            "gunicorn starts",
            alive=arbiter,
        )
        return arbiter

    def work(self) -> subprocess.Popen:
        """Start a Celery worker and wait until it takes tasks."""
        command = [sys.executable, "-m", "celery", "-A", "ledger", "worker"]
        worker = self.children.start(
            "celery",
            [*command, "--concurrency", "1", "--loglevel", "INFO"],
            env=self.environ,
            cwd=PROJECT,
        )
        self.children.wait_until(
            lambda: "ready." in self.children.log("celery"),
            "the Celery worker starts",
            40,
            alive=worker,
        )
        return worker

    def export(self) -> subprocess.Popen:
        """Start `watchroom exporter` and wait until it answers."""
        exporter = self.children.start(
            "exporter",
            [sys.executable, "-m", "watchroom", "exporter"],
            env=self.environ,
            cwd=PROJECT,
        )

        def answers() -> bool:
            try:
                return bool(self.metrics())
            except OSError:
                return False

        self.children.wait_until(answers, "the exporter starts", alive=exporter)
        return exporter

    def metrics(self) -> str:
        """Return what the exporter exposes now."""
        with urllib.request.urlopen(f"http://{self.exporter}/metrics", timeout=10) as a:
            return a.read().decode()

    def visitors(self, *options: str) -> subprocess.Popen:
        """Start load.py; `communicate()` and json.loads() give its summary."""
        return subprocess.Popen(
            [sys.executable, "load.py", "--url", self.url, "--json", *options],
            cwd=PROJECT,
            text=True,
            stdout=subprocess.PIPE,
        )

    def load(self, *options: str) -> dict:
        """Let visitors come and return what they counted."""
        with self.visitors(*options) as visitors:
            out, _ = visitors.communicate(timeout=120)
        assert visitors.returncode == 0
        return json.loads(out)

    def fault(self, **settings: object) -> dict:
        """Turn fault switches: `fault(errors="30%")`, `fault(slow_queries=None)`."""
        sent = {name.replace("_", "-"): value for name, value in settings.items()}
        request = urllib.request.Request(
            f"{self.url}/faults/",
            data=json.dumps(sent).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def stop(self) -> None:
        """Stop every process of this set-up."""
        self.children.stop()

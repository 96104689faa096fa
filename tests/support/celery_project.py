"""A small project with Celery: its files, its worker and beat as real processes."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.support.children import Children
from tests.support.waiting import until

from watchroom.exporter.processes.merge import Merger
from watchroom.formats import exposition

FOREIGN = ("WATCHROOM_", "DJANGO_", "CELERY_")
FILES = {
    "__init__.py": "from shop.celery import app\n",
    "settings.py": """
        import os
        from celery.schedules import crontab
        SECRET_KEY = "x"
        INSTALLED_APPS = ["watchroom"]
        USE_TZ = True
        CELERY_BROKER_URL = os.environ["BROKER"]
        CELERY_RESULT_BACKEND = os.environ["BROKER"]
        CELERY_IMPORTS = ["shop.tasks"]
        CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
        CELERY_WORKER_LOST_WAIT = 0.5
        CELERY_TASK_ROUTES = {"shop.tasks.report": {"queue": "reports"}}
        CELERY_BEAT_SCHEDULE = {
            "often": {"task": "shop.tasks.fine", "schedule": 1.0, "args": (1,)},
            "nightly": {
                "task": "shop.tasks.fine",
                "schedule": crontab(hour=2, minute=30),
                "args": (1,),
            },
        }
        WATCHROOM = {"PROJECT": "shop", "QUEUES": ["urgent"]}
    """,
    "celery.py": """
        from celery import Celery
        app = Celery("shop")
        app.config_from_object("django.conf:settings", namespace="CELERY")
    """,
    "tasks.py": """
        import os, signal, time
        from shop.celery import app

        @app.task
        def fine(number):
            return number + 1

        @app.task
        def broken():
            raise ValueError("as it was meant to")

        @app.task(bind=True, max_retries=2)
        def again(self, tries):
            if self.request.retries < tries:
                raise self.retry(countdown=0.01)
            return self.request.retries

        @app.task(time_limit=0.5)
        def endless():
            time.sleep(30)

        @app.task
        def killed():
            os.kill(os.getpid(), signal.SIGKILL)

        @app.task
        def report():
            pass

        @app.task(acks_late=True, reject_on_worker_lost=True)
        def poison(path):
            if tries(path) < 3:
                os.kill(os.getpid(), signal.SIGKILL)

        @app.task(acks_late=True, acks_on_failure_or_timeout=False, time_limit=0.5)
        def stubborn(path):
            if tries(path) < 3:
                time.sleep(30)

        @app.task
        def exits():
            raise SystemExit(3)

        @app.task(bind=True)
        def unstored(self):
            def full(*_, **__):
                del self.backend.mark_as_done
                raise OSError("the store of results is full")
            self.backend.mark_as_done = full

        @app.task
        def long(seconds=60):
            time.sleep(seconds)

        def tries(path):
            with open(path, "a") as file:
                file.write(".")
                return file.tell()
    """,
}


class Shop:
    """The project in a directory of its own, over one broker."""

    def __init__(self, directory: Path, broker: str):
        self.directory = directory
        self.runtime = directory / "run"
        (directory / "shop").mkdir()
        for name, text in FILES.items():
            (directory / "shop" / name).write_text(textwrap.dedent(text))
        kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        path = os.pathsep.join([str(directory), *filter(None, sys.path)])
        self.environ = kept | {
            "BROKER": broker,
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            "PYTHONPATH": path,
            "WATCHROOM_RUNTIME_DIR": str(self.runtime),
        }
        self.children = Children(directory / "logs")

    def celery(self, name: str, *words: str, **environ: str) -> subprocess.Popen:
        """Start a celery command as a process of this name."""
        command = [sys.executable, "-m", "celery", "-A", "shop", *words]
        return self.children.start(
            name, command, env=self.environ | environ, cwd=self.directory
        )

    def work(self, name: str, *words: str, **environ: str) -> subprocess.Popen:
        """Start a worker; `ready` says when it takes tasks."""
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        level = ("--loglevel", "INFO", "-n", f"{name}@%h")
        return self.celery(name, "worker", *quiet, *level, *words, **environ)

    def ready(self, name: str) -> None:
        """Wait until the worker of this name takes tasks."""
        self.children.wait_until(
            lambda: "ready." in self.children.log(name), f"{name} starts", 40
        )

    def python(self, code: str) -> str:
        """Run code in the set-up project and return what it printed."""
        head = "import django; django.setup()\nfrom shop import tasks\n"
        done = subprocess.run(
            [sys.executable, "-c", head + textwrap.dedent(code)],
            env=self.environ,
            cwd=self.directory,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def counts(self, runtime: Path | None = None) -> dict[tuple[str, ...], float]:
        """Return what all processes have counted, by name and label values."""
        merger = Merger(runtime or self.runtime, "shop")
        try:
            text = merger.render()
        finally:
            merger.close()
        return {
            (sample.name, *(value for _, value in sample.labels)): sample.value
            for sample in exposition.parse(text)
        }

    def until(
        self,
        wanted: dict[tuple[str, ...], float],
        seconds: float = 40,
        runtime: Path | None = None,
    ) -> dict:
        """Wait until all these are counted; return everything then."""
        return until(
            lambda: self.counts(runtime),
            seconds,
            f"counts are {wanted}",
            good=lambda found: wanted.items() <= found.items(),
        )

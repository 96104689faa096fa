"""What a deployment's processes meet by: each finds it by itself, and alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.app import ROOT

from watchroom import conf
from watchroom.exporter.processes import origins
from watchroom.exporter.processes.merge import Merger
from watchroom.runtime import directory as rundir
from watchroom.runtime.slots import ProcessFile

SETTINGS = """
SECRET_KEY = "of a test"
INSTALLED_APPS = ["watchroom"]
MIDDLEWARE = ["watchroom.Middleware"]
ROOT_URLCONF = "watchroom.urls"
WATCHROOM = {watchroom!r}
"""
MANAGE = """
import os, sys
from django.core.management import execute_from_command_line
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{package}.settings")
execute_from_command_line(sys.argv)
"""
WHERE = """
import json
from watchroom import conf
found = conf.settings()
here = conf.code_directory()
print(json.dumps([str(conf.runtime_dir(found)), found.name, here]), flush=True)
"""
SERVE = f"""
import django, sys
django.setup()
from django.core.wsgi import get_wsgi_application
get_wsgi_application()
{WHERE}
sys.stdin.read()
"""
COUNT = f"""
import django
django.setup()
{WHERE}
from watchroom.exporter.processes.merge import Merger
merger = Merger(conf.runtime_dir(found), found.name)
print(json.dumps(merger.processes()))
"""


class Project:
    """A Django project in a directory, as a package of a name that others use too."""

    def __init__(self, directory: Path, package: str, **watchroom):
        self.directory, self.package = directory, package
        self.module = f"{package}.settings"
        inner = directory / package
        inner.mkdir(parents=True)
        (inner / "__init__.py").touch()
        (inner / "settings.py").write_text(SETTINGS.format(watchroom=watchroom))
        (directory / "manage.py").write_text(MANAGE.format(package=package))

    def start(self, code: str, cwd: Path, **more) -> subprocess.Popen:
        """Start Python with this project on its path."""
        path = os.pathsep.join((str(self.directory), str(ROOT / "src")))
        return self.run([sys.executable, "-c", code], cwd, PYTHONPATH=path, **more)

    def run(self, words: list[str], cwd: Path, **more: str) -> subprocess.Popen:
        """Start a command in an environment that names no directory."""
        foreign = ("WATCHROOM_", "DJANGO_", "PYTEST_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        environ = {
            **kept, "PYTHONPATH": str(ROOT / "src"),
            "DJANGO_SETTINGS_MODULE": self.module, **more,
        }  # fmt: skip
        return subprocess.Popen(
            words, cwd=cwd, env=environ, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


@pytest.fixture
def package():
    """Return a package name that no other test uses, and clean up after it."""
    name = f"config{os.urandom(4).hex()}"
    yield name
    for found in (*rundir.MEMORY.glob(f"*{name}*"), *rundir.SYSTEM.glob(f"*{name}*")):
        shutil.rmtree(found)


def said(process: subprocess.Popen) -> list:
    """Return the lines that a process printed, once it has ended."""
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return [json.loads(line) for line in out.splitlines()]


def test_staging_beside_production_is_another_app(tmp_path, package):
    production = Project(tmp_path / "production", package)
    staging = Project(tmp_path / "staging", package, ENVIRONMENT="staging")
    serving = staging.start(SERVE, tmp_path)
    where, name, _ = json.loads(serving.stdout.readline())
    try:
        (elsewhere, other, _), of_production = said(production.start(COUNT, tmp_path))
        (here, same, _), of_staging = said(staging.start(COUNT, tmp_path))
    finally:
        serving.communicate()

    assert (of_production["web"], of_staging["web"]) == (0, 1)
    assert (other, same, name) == (package, f"{package}-staging", f"{package}-staging")
    assert (here, elsewhere) == (where, where.removesuffix("-staging"))


def test_every_entry_into_every_release_comes_to_one_directory(tmp_path, package):
    app, names = tmp_path / "app", set()
    current = app / "current"
    for number in ("123", "124"):
        release = Project(app / "releases" / number, package, ENVIRONMENT="staging")
        current.unlink(missing_ok=True)
        current.symlink_to(release.directory)
        through = Project.__new__(Project)
        vars(through).update(vars(release), directory=current)
        manage, shell = str(current / "manage.py"), ("shell", "-v0", "-c", WHERE)
        started = [
            through.start(SERVE, tmp_path, HOME=str(tmp_path), USER="nobody"),
            release.start(SERVE, Path("/")),
            release.run([sys.executable, "manage.py", *shell], current),
            release.run([sys.executable, manage, *shell], Path("/")),
        ]
        for process in started:
            out, errors = process.communicate(timeout=60)
            directory, name, code_directory = json.loads(out.splitlines()[-1])
            names.add((directory, name))
            assert code_directory == str(release.directory), errors
        exporter = release.run(
            [sys.executable, "-m", "watchroom", "exporter", "--project", str(current),
             "--listen", "127.0.0.1:0"], Path("/"), DJANGO_SETTINGS_MODULE="",
        )  # fmt: skip
        line = next(line for line in exporter.stderr if "/metrics over" in line)
        exporter.send_signal(signal.SIGTERM)
        exporter.communicate(timeout=30)
        names.add((line.split()[-1], f"{package}-staging"))

    assert len(names) == 1


def test_wrong_settings_keep_their_names():
    env = {"DJANGO_SETTINGS_MODULE": "config.settings"}
    raw = {"PROJECT": "shop", "ENVIRONMENT": "staging", "RUNTIME_DIR": "/x", "SITE": 1}

    found = conf.fallback(env, raw)

    assert (found.name, found.runtime_dir) == ("shop-staging", "/x")
    assert conf.fallback(env, {"PROJECT": 7, "ENVIRONMENT": None}).name == "config"
    assert conf.fallback(env, ["not a dict"]).name == "config"
    assert conf.load({"ENVIRONMENT": "test / eu"}, env).name == "config-test---eu"


@pytest.fixture
def two(tmp_path):
    """Return a merger at a time of its own, and what starts and ends processes."""
    clock, files = [time.time()], []

    def start(code_directory, role="web", ago=0.0):
        file = ProcessFile(
            tmp_path, "shop", role, clock[0] - ago, code_directory=code_directory
        )
        file.publish()
        files.append(file)
        return file

    merger = Merger(tmp_path, "shop", lambda: clock[0], "/srv/shop")
    yield merger, clock, start
    merger.close()
    for file in files:
        file.close()


def places(merger):
    return [(one["directory"], one["processes"]) for one in merger.mixed()]


def test_an_exporter_says_that_it_adds_up_two_deployments(two, caplog):
    merger, clock, start = two
    start("/srv/blog", ago=86400.0)
    assert merger.processes()["web"] == 1
    assert places(merger) == []

    clock[0] += origins.OVERLAP_SECONDS
    start("/srv/blog")
    merger.render()

    assert places(merger) == [("/srv/blog", 2), ("/srv/shop", 0)]
    assert merger.mixed()[1]["exporter"]
    (record,) = caplog.records
    assert "/srv/blog, /srv/shop" in record.getMessage()
    merger.render()
    assert len(caplog.records) == 1


def test_a_deploy_that_moves_the_code_is_no_second_deployment(two, caplog):
    merger, clock, start = two
    old = start("/srv/shop", ago=86400.0)
    start("/srv/shop", "command", ago=86400.0)
    clock[0] += 2 * origins.OVERLAP_SECONDS
    assert places(merger) == []

    new = start("/srv/releases/2")
    clock[0] += 60
    merger.render()
    old.close()
    # The exporter is not restarted: its settings are the old release's.
    clock[0] += origins.OVERLAP_SECONDS / 2
    assert places(merger) == []
    clock[0] += origins.OVERLAP_SECONDS
    assert places(merger) == [("/srv/releases/2", 1), ("/srv/shop", 0)]

    new.close()
    start("/srv/shop")
    assert places(merger) == []
    assert len(caplog.records) == 1

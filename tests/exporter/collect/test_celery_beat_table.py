"""The schedule that django-celery-beat keeps: read, and never written."""

import json
import os
import subprocess
import sys
import textwrap
from contextlib import contextmanager

import pytest
from tests.support.app import FOREIGN, ROOT
from tests.support.postgres import server

pytest.importorskip("django_celery_beat")
pytest.importorskip("ephem")
SETTINGS = """
import os
SECRET_KEY = "x"
INSTALLED_APPS = ["watchroom", "django_celery_beat"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
PORT = os.environ.get("POSTGRES")
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": "ledger", "USER": "ledger",
    "HOST": "127.0.0.1", "PORT": PORT,
} if PORT else {
    "ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["FILE"],
    "OPTIONS": {"transaction_mode": "IMMEDIATE"},
}}
WATCHROOM = {"PROJECT": "shop"}
"""
# A clock that stands at noon, a project's settings, and one look after another.
PRELUDE = """
import json, os, sys, tempfile, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
import django
django.setup()
from celery import Celery
from django.core.management import call_command
from django.db import connection
from django_celery_beat.models import *
from watchroom.exporter.collect import celery_beat_table
from watchroom.exporter.collect.celery_schedule import Schedule
from watchroom.runtime import runs

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
at = NOON
clock = lambda: at.timestamp()
app = Celery("shop", set_as_current=False)
notes = runs.directory(Path(tempfile.mkdtemp(dir=os.environ["NOTES"])), "shop")

def watching(**entries):
    table = celery_beat_table.BeatTable(celery_beat_table.model(app), clock)
    entries = {name: {"task": "t", "schedule": one} for name, one in entries.items()}
    return Schedule(app, entries, notes, clock, table.read)

def look():
    states = watch.entry_states()
    return {name: round(state.overdue / 60, 1) for name, state in states.items()}

def begun(name):
    runs.note(notes, runs.BEGUN, runs.Run(name, clock()))

def every(minutes):
    return IntervalSchedule.objects.get_or_create(every=minutes, period="minutes")[0]

def task(name, **more):
    if not more.keys() & {"crontab", "solar", "clocked", "interval"}:
        more["interval"] = every(60)
    return PeriodicTask.objects.create(name=name, task="t", **more)

def change(name, **more):
    PeriodicTask.objects.filter(name=name).update(**more)

call_command("migrate", verbosity=0)
said = []
"""


@contextmanager
def project(tmp_path, port=""):
    """Yield what runs a script in a project, and returns what it said."""
    (tmp_path / "shop_settings.py").write_text(SETTINGS)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
    environ = kept | {
        "DJANGO_SETTINGS_MODULE": "shop_settings",
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(tmp_path))),
        "FILE": str(tmp_path / "db.sqlite3"),
        "NOTES": str(tmp_path),
        "POSTGRES": str(port),
        "WATCHROOM_ENABLED": "0",
    }

    def run(script):
        code = PRELUDE + textwrap.dedent(script) + "\nprint(json.dumps(said))"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=environ,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1])

    yield run


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory):
    with project(tmp_path_factory.mktemp("shop")) as run:
        yield run


@pytest.fixture(scope="module")
def on_postgresql(tmp_path_factory):
    with (
        server() as found,
        project(tmp_path_factory.mktemp("shop"), found.port) as run,
    ):
        yield run


@pytest.fixture(params=["on_sqlite", "on_postgresql"])
def shop(request):
    return request.getfixturevalue(request.param)


def test_each_kind_of_entry_is_late_as_beat_would_have_run_it(on_sqlite):
    asleep, awake, later, done, again = on_sqlite(
        """
        task("hourly")
        task("nightly", crontab=CrontabSchedule.objects.create(
            minute="30", hour="13", timezone="Europe/Berlin"))  # half past noon, UTC
        task("at once", one_off=True, clocked=ClockedSchedule.objects.create(
            clocked_time=NOON + HOUR / 3))
        task("at sunset", solar=SolarSchedule.objects.create(
            event="sunset", latitude=0, longitude=0))  # at about 18:15, UTC
        task("from one on", interval=every(10), start_time=NOON + HOUR)
        task("celery.own")
        task("disabled", enabled=False)
        task("expired", expires=NOON - HOUR)
        task("once", one_off=True, total_run_count=1)
        task("expires soon", expires=NOON + 2 * HOUR)
        watch = watching()
        said.append(look())
        at += HOUR * 0.75
        said.append(look())
        at += HOUR * 0.5
        said.append(look())
        for name in ("hourly", "nightly", "at once", "from one on"):
            begun(name)
        said.append(look())
        at += HOUR * 6
        said.append(look())
        PeriodicTask.objects.all().delete()
        """
    )
    names = {"hourly", "nightly", "at once", "at sunset", "from one on", "expires soon"}
    assert asleep == dict.fromkeys(names, 0.0)
    late = {"nightly": 15.0, "at once": 25.0}
    assert awake == dict.fromkeys(names, 0.0) | late
    late |= {"nightly": 45.0, "at once": 55.0, "hourly": 15.0, "expires soon": 15.0}
    assert later == dict.fromkeys(names, 0.0) | late | {"from one on": 15.0}
    assert done == dict.fromkeys(names, 0.0) | {"expires soon": 15.0}
    sunset = again.pop("at sunset")
    assert 40 < sunset < 70
    assert again == {
        "hourly": 300.0,
        "nightly": 0.0,
        "at once": 0.0,
        "from one on": 350.0,
    }


def test_what_somebody_disables_or_removes_is_not_watched_and_begins_anew(on_sqlite):
    first, off, again, late, settled, gone, restarted = on_sqlite(
        """
        task("hourly")
        task("of the settings")
        watch = watching(**{"of the settings": 3600.0, "new there": 3600.0})
        said.append(look())
        at += 3 * HOUR
        change("hourly", enabled=False)
        change("of the settings", enabled=False)
        said.append(look())
        change("hourly", enabled=True)
        change("of the settings", enabled=True)
        said.append(look())
        at += 1.5 * HOUR
        said.append(look())
        task("new there")  # beat has started, and writes it
        said.append(look())
        PeriodicTask.objects.exclude(name="hourly").delete()
        said.append(look())
        watch = watching(**{"of the settings": 3600.0, "new there": 3600.0})
        said.append(look())
        PeriodicTask.objects.all().delete()
        """
    )
    assert first == {"hourly": 0, "of the settings": 0, "new there": 0}
    assert off == {"new there": 120}
    assert again == {"hourly": 0, "of the settings": 0, "new there": 120}
    assert late == {"hourly": 30, "of the settings": 30, "new there": 210}
    assert settled == {"hourly": 30, "of the settings": 30, "new there": 0}
    # The exporter that starts again has not forgotten, either way.
    assert gone == restarted == {"hourly": 30}


def test_rows_are_bounded_and_one_bad_row_is_left_out(on_sqlite):
    shown, unwatched, files = on_sqlite(
        """
        for number in range(8):
            task(f"entry {number}")
        task("no schedule", interval=None, crontab=CrontabSchedule.objects.create())
        change("entry 1", interval=None)
        runs.MOST_ENTRIES = 6
        watch = watching()
        said.append(sorted(look()))
        said.append(watch.unwatched)
        for number in range(8):
            runs.note(notes, runs.BEGUN, runs.Run(f"reminder {number}", clock()))
        runs.prune(notes, look(), most=10)
        said.append(len(list(notes.iterdir())))
        PeriodicTask.objects.all().delete()
        """
    )
    assert shown == ["entry 0", "entry 2", "entry 3", "entry 4", "entry 5"]
    assert unwatched == 4
    assert files <= 10


def test_the_database_is_read_and_never_written_nor_waited_for(shop):
    written, silent, seconds, back = shop(
        """
        from threading import Thread
        from watchroom.exporter.collect.connection import reading
        task("hourly")
        watch = watching()
        before = list(PeriodicTask.objects.values()), PeriodicTasks.last_change()
        look()
        after = list(PeriodicTask.objects.values()), PeriodicTasks.last_change()
        assert before == after
        try:
            with reading("default"):
                task("mine")
        except Exception as error:
            said.append(type(error).__name__)
        # Somebody holds the table.
        if connection.vendor == "postgresql":
            connection.set_autocommit(False)
            connection.cursor().execute(
                "LOCK TABLE django_celery_beat_periodictask IN ACCESS EXCLUSIVE MODE")
        else:
            connection.cursor().execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.cursor().execute("BEGIN EXCLUSIVE")
        begun_at = time.monotonic()
        ask = lambda: said.append(_error(watch.entry_states))
        def _error(ask):
            try:
                return ask() and ""
            except Exception as error:
                return type(error).__name__
        thread = Thread(target=ask)  # a connection of its own
        thread.start()
        thread.join()
        said.append(time.monotonic() - begun_at)
        connection.cursor().execute("ROLLBACK")
        connection.close()
        said.append(look())
        PeriodicTask.objects.all().delete()
        """
    )
    assert written in {"InternalError", "OperationalError"}
    assert silent == "OperationalError"
    assert seconds < 3
    assert back == {"hourly": 0}


def test_the_scheduler_decides_and_a_missing_file_is_told_and_not_made(tmp_path):
    with project(tmp_path) as run:
        found = run(
            """
            for named in (None, "celery.beat:PersistentScheduler", "django",
                          "django_celery_beat.schedulers:DatabaseScheduler",
                          "celery.beat:Scheduler"):
                app.conf.beat_scheduler = named
                model = celery_beat_table.model(app)
                said.append(model and model.__name__)
            app.conf.beat_scheduler = None
            watch = watching()
            connection.close()
            Path(os.environ["FILE"]).unlink()
            try:
                watch.entry_states()
            except Exception as error:
                said.append(type(error).__name__)
            said.append(Path(os.environ["FILE"]).exists())
            """
        )
    assert found == [*(["PeriodicTask"] * 4), None, "OperationalError", False]

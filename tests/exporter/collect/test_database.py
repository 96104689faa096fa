"""Databases as the exporter's child sees them: up, full, mute and gone, for real."""

import os
import socket
import sqlite3
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from tests.support import waiting
from tests.support.postgres import Server, server

from watchroom.exporter.collect import database as module
from watchroom.exporter.collect.database import ConnectionCount, SQLite, nearest
from watchroom.exporter.collect.groups import GROUPS, databases
from watchroom.exporter.collect.supervisor import Child
from watchroom.exporter.failures import Failures

SOURCE = str(Path(module.__file__).parents[3])
GROUP = next(group for group in GROUPS if group.name == "database")


@pytest.fixture(scope="module")
def running():
    """A server of ten connections, three of them reserved."""
    with server("max_connections=10", "superuser_reserved_connections=3") as found:
        with psycopg.connect(found.url, autocommit=True) as admin:
            admin.execute("CREATE ROLE shop LOGIN")
            admin.execute("CREATE ROLE few LOGIN CONNECTION LIMIT 4")
        yield found


def entry(found, user="shop", **changes):
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "ledger",
        "USER": user,
        "HOST": "127.0.0.1",
        "PORT": str(found.port),
        **changes,
    }


@contextmanager
def asking(tmp_path, **configured):
    """Run the child over some databases; yield it."""
    package = tmp_path / "asked"
    package.mkdir()
    (package / "__init__.py").touch()
    text = f"SECRET_KEY = 'x'\nUSE_TZ = True\nDATABASES = {configured!r}\n"
    (package / "settings.py").write_text(text)
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), SOURCE]),
        "DJANGO_SETTINGS_MODULE": "asked.settings",
    }
    # Five times as often as in production: the tests wait for it.
    (package / "often.py").write_text(
        "from watchroom.exporter.collect import database\n"
        "database.EVERY_SECONDS = 1.0\n"
        "collectors = database.collectors\n"
    )
    group = SimpleNamespace(name="database", module="asked.often")
    child = Child(group, environ, Failures())
    child.start()
    try:
        yield child
    finally:
        child.stop()


def values(child):
    return {
        (sample.name, *(value for _, value in sample.labels)): sample.value
        for family in child.families()
        for sample in family.samples
    }


def until(child, wanted, seconds=40.0):
    """Wait until the child tells these values, None for absence; return all."""
    return waiting.until(
        lambda: values(child),
        seconds,
        f"values are {wanted}",
        good=lambda found: all(found.get(key) == wanted[key] for key in wanted),
    )


def test_held_connections_are_counted_against_the_servers_limit(tmp_path, running):
    with asking(tmp_path, default=entry(running)) as child:
        found = until(child, {("db_up", "default"): 1})
        assert found["db_connections_limit", "default"] == 7
        assert found["db_connections", "default"] == 0
        with ExitStack() as held:
            for _ in range(6):
                held.enter_context(psycopg.connect(running.url_of("shop")))
            until(child, {("db_connections", "default"): 6})
            # Now all are taken, and the asker itself is turned away: full, not down.
            held.enter_context(psycopg.connect(running.url_of("shop")))
            found = until(child, {("db_connections", "default"): 7})
            assert found["db_up", "default"] == 1
        until(child, {("db_connections", "default"): 0})


def test_the_limit_of_a_role_counts_when_it_is_nearer(tmp_path, running):
    with (
        asking(tmp_path, default=entry(running, "few")) as child,
        psycopg.connect(running.url_of("few")),
        psycopg.connect(running.url_of("few")),
        psycopg.connect(running.url_of("few")),
    ):
        found = until(child, {("db_connections", "default"): 3})
        assert found["db_connections_limit", "default"] == 4


def test_a_stopped_server_is_down_and_up_again(tmp_path, running):
    with asking(tmp_path, default=entry(running, OPTIONS={"pool": True})) as child:
        until(child, {("db_up", "default"): 1})
        running.stop()
        try:
            gone = {("db_up", "default"): 0, ("db_connections", "default"): None}
            until(child, gone)
        finally:
            running.start()
        found = until(child, {("db_up", "default"): 1})
        assert found["db_connections_limit", "default"] == 7


def test_a_server_that_never_answers_is_down_and_holds_up_no_other(tmp_path):
    file = tmp_path / "shop.db"
    sqlite3.connect(file).close()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        configured = {
            "default": entry(Server("", port, None)),
            "files": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)},
        }
        with asking(tmp_path, **configured) as child:
            found = until(child, {("db_up", "default"): 0, ("db_up", "files"): 1})
            assert ("db_connections", "files") not in found


def test_no_password_is_shown(tmp_path, running, capfd):
    closed = entry(running, "nobody", PASSWORD="hunter2-secret")
    with asking(tmp_path, default=closed) as child:
        until(child, {("db_up", "default"): 0})
    said = capfd.readouterr()
    assert "database default: OperationalError" in said.err
    assert "hunter2" not in said.err + said.out


def test_a_sqlite_file_is_up_when_it_can_be_read(tmp_path):
    file = tmp_path / "a b.db"
    asked = SQLite("default", {"NAME": file}, module.Reasons())
    assert asked.ask() == {"db_up": {"default": 0}}
    assert not file.exists()  # and it was not made
    with sqlite3.connect(file) as opened:
        opened.execute("PRAGMA journal_mode=wal")
        opened.execute("CREATE TABLE a (b)")
    opened.close()
    assert asked.ask() == {"db_up": {"default": 1}}
    file.write_bytes(b"this is no database, and long enough to be read as one" * 9)
    assert asked.ask() == {"db_up": {"default": 0}}


def test_which_databases_are_asked():
    class Settings:
        DATABASES = {  # noqa: RUF012 - as in a settings module
            "default": {"ENGINE": "django_prometheus.db.backends.postgresql"},
            "maps": {"ENGINE": "django.contrib.gis.db.backends.postgis"},
            "file": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/x.db"},
            "memory": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
            "other": {"ENGINE": "django.db.backends.mysql"},
        }

    found = dict(databases(Settings()))
    assert found == {"default": "postgresql", "maps": "postgresql", "file": "sqlite"}
    assert not GROUP.applies(object())


@pytest.mark.parametrize(
    ("row", "taken"),
    [
        ((50, 97, 50, -1, 50, -1), ConnectionCount(50, 97)),
        ((50, 97, 20, 25, 10, -1), ConnectionCount(20, 25)),
        ((50, 97, 20, 100, 9, 10), ConnectionCount(9, 10)),
        ((50, 97, 0, 0, 9, -1), ConnectionCount(50, 97)),
    ],
)
def test_the_nearest_limit_counts(row, taken):
    assert nearest(row) == taken

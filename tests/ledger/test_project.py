"""The sample project by Django's own command line."""

import json
import os
import re
import sqlite3
from contextlib import closing

import pytest
from tests.support.ledger import PROJECT, Ledger


def rows(ledger, query):
    with closing(sqlite3.connect(ledger.data / "ledger.db")) as database:
        return database.execute(query).fetchall()


def test_its_own_tests_pass_with_every_fault_switch_there(ledger):
    done = ledger.manage("test", check=False)
    assert done.returncode == 0, done.stderr
    assert "skipped" not in done.stderr


def test_its_own_tests_pass_without_faults(tmp_path):
    done = Ledger(tmp_path, LEDGER_FAULTS="").manage("test", check=False)
    assert done.returncode == 0, done.stderr


def test_models_and_migrations_agree(ledger):
    ledger.manage("makemigrations", "--check", "--dry-run")


def test_migrations_lead_back(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.manage("migrate")
    ledger.manage("migrate", "journal", "0001")
    ledger.manage("migrate")
    assert rows(ledger, "SELECT count(*) FROM journal_account") == [(6,)]


def test_deployed_as_the_readme_says_django_finds_nothing_to_complain_about(tmp_path):
    app = Ledger(
        tmp_path,
        LEDGER_DEMO="",
        LEDGER_FAULTS="",
        LEDGER_HOSTS="ledger.example",
        LEDGER_SECRET_KEY=os.urandom(40).hex(),
    )
    assert "no issues" in app.manage("check", "--deploy").stdout


def test_without_a_key_it_does_not_start_and_says_what_to_set(tmp_path):
    done = Ledger(tmp_path, LEDGER_DEMO="").manage("check", check=False)
    assert done.returncode == 1
    assert "Set LEDGER_SECRET_KEY" in done.stderr


def test_without_the_setting_there_are_no_faults(tmp_path):
    app = Ledger(tmp_path, LEDGER_FAULTS="")
    assert "Unknown command: 'fault'" in app.manage("fault", check=False).stderr
    url = "from django.urls import reverse; reverse('faults:switches')"
    assert "'faults' is not a registered namespace" in (
        app.manage("shell", "-v", "0", "-c", url, check=False).stderr
    )


def test_seeding_again_changes_nothing(ledger):
    tables = ("billing_invoice", "billing_payment", "journal_posting")
    before = [rows(ledger, f"SELECT * FROM {table}") for table in tables]
    assert ledger.manage("seed").stdout == "0 customers added, 40 in all\n"
    assert [rows(ledger, f"SELECT * FROM {table}") for table in tables] == before


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:////srv/books.db", {"NAME": "/srv/books.db"}),
        (
            "postgres://me:p%40ss@db.example:5433/books?sslmode=require",
            {
                "NAME": "books",
                "USER": "me",
                "PASSWORD": "p@ss",
                "HOST": "db.example",
                "PORT": "5433",
            },
        ),
        ("postgresql:///books", {"NAME": "books", "HOST": "", "PORT": ""}),
    ],
)
def test_database_urls_are_understood(tmp_path, url, expected):
    app = Ledger(tmp_path, DATABASE_URL=url)
    read = (
        "import json; from django.conf import settings as s;"
        "print(json.dumps(s.DATABASES['default']))"
    )
    settings = json.loads(app.manage("shell", "-v", "0", "-c", read).stdout)
    assert {key: settings[key] for key in expected} == expected
    if "sslmode" in url:
        assert settings["OPTIONS"]["sslmode"] == "require"


def test_an_unknown_kind_of_database_is_refused_by_name(tmp_path):
    done = Ledger(tmp_path, DATABASE_URL="mysql://x/y").manage("check", check=False)
    assert "mysql://" in done.stderr


def test_the_readme_names_every_variable_and_every_fault():
    readme = (PROJECT / "README.md").read_text()
    sources = [*(PROJECT / "ledger").glob("*.py"), PROJECT / "gunicorn.conf.py"]
    used = set(re.findall(r"LEDGER_[A-Z_]+", "".join(p.read_text() for p in sources)))
    switches = (PROJECT / "faults" / "switches.py").read_text()
    faults = set(re.findall(r'Fault\(\s*"([a-z-]+)"', switches))
    assert len(used) > 15
    assert len(faults) == 6
    assert [word for word in sorted(used | faults) if f"`{word}`" not in readme] == []

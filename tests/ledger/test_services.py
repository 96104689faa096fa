"""The sample app on PostgreSQL and Redis, where DATABASE_URL and REDIS_URL say so."""

import json

import pytest
from tests.support.ledger import Ledger
from tests.support.postgres import postgres
from tests.support.redis_server import redis_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def services():
    with postgres("max_connections=40") as database, redis_server() as redis:
        yield {"DATABASE_URL": database, "REDIS_URL": redis}


@pytest.fixture
def ledger(tmp_path, services):
    with Ledger(tmp_path, **services) as app:
        yield app


def test_its_own_tests_pass_there_too(ledger):
    done = ledger.manage("test", "--noinput", check=False)
    assert done.returncode == 0, done.stderr


def test_visitors_workers_and_tasks_meet_no_error(ledger):
    ledger.prepare()
    ledger.serve()
    ledger.work()
    counted = ledger.load("--rate", "60", "--seconds", "4")
    print(counted)
    assert counted["server_errors"] == 0
    assert sum(counted["failed"].values()) == 0
    ledger.children.wait_until(
        lambda: (
            "billing.tasks.send_invoice" in ledger.children.log("celery")
            and "Subject: Invoice" in ledger.children.log("celery")
        ),
        "an e-mail is sent",
    )
    assert not (ledger.data / "ledger.db").exists()
    assert not (ledger.data / "cache").exists()


def test_slow_queries_are_slow_there(ledger):
    ledger.prepare()
    ledger.serve(workers=2)
    ledger.fault(slow_queries="0.4s", cache_misses="on")
    counted = ledger.load("--rate", "10", "--seconds", "1", "--threads", "2")
    assert counted["latency_seconds"]["p50"] >= 0.4
    assert counted["server_errors"] == 0


def test_held_connections_exhaust_the_server_until_they_are_let_go(ledger):
    ledger.prepare()
    ledger.serve(workers=2)
    ledger.fault(held_connections="30")
    counted = ledger.load("--rate", "40", "--seconds", "2")
    assert counted["server_errors"] > 0
    log = ledger.children.log("gunicorn")
    assert "too many clients" in log or "reserved" in log
    assert ledger.fault(held_connections=None) == {}
    # Every process lets go with its next request.
    ledger.load("--rate", "40", "--seconds", "1")
    counted = ledger.load("--rate", "40", "--seconds", "1")
    assert json.dumps(counted["answers"]).count("500") == 0

"""The sample app as it runs: gunicorn, SQLite, files and a folder of messages."""

import contextlib
import json
import re
import signal
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import closing

import pytest
from tests.support.ledger import Ledger

pytestmark = pytest.mark.slow


def ask(url, sent=None):
    """Return the status of a GET, or of a POST of JSON, and what came back."""
    headers = {"Content-Type": "application/json"}
    body = None if sent is None else json.dumps(sent).encode()
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def invoice(customer):
    line = {"text": "Work", "quantity": 1, "unit_price": "10.00"}
    return {"customer": customer, "lines": [line]}


def rows(ledger, query):
    with closing(sqlite3.connect(ledger.data / "ledger.db", timeout=20)) as database:
        return database.execute(query).fetchall()


def test_eight_writers_at_once_meet_no_error_and_books_that_balance(ledger):
    """SQLite has one pen: everybody waits for it, nobody is turned away."""
    ledger.serve()
    statuses = []

    def write(customer):
        for _ in range(16):
            status, made = ask(f"{ledger.url}/api/invoices/", invoice(customer))
            statuses.append(status)
            path = f"/api/invoices/{json.loads(made)['id']}/payments/"
            paid = {"amount": "12.00", "reference": f"{customer} {made[:12]}"}
            statuses.append(ask(ledger.url + path, paid)[0])
            statuses.append(ask(f"{ledger.url}/customers/{customer}/")[0])

    writers = [threading.Thread(target=write, args=(n,)) for n in range(1, 9)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert Counter(statuses) == {201: 8 * 16 * 2, 200: 8 * 16}
    sums = "SELECT entry_id FROM journal_posting GROUP BY 1 HAVING sum(amount) <> 0"
    assert rows(ledger, sums) == []
    numbers = rows(
        ledger, "SELECT number FROM billing_invoice WHERE number IS NOT NULL"
    )
    by_year = Counter(number[:4] for (number,) in numbers)
    highest = rows(ledger, "SELECT year, last FROM billing_numberseries")
    assert {str(year): last for year, last in highest} == dict(by_year)


def test_visitors_count_every_answer_and_meet_no_error(ledger):
    ledger.serve()
    counted = ledger.load("--rate", "60", "--seconds", "4")
    print(counted)
    assert counted["server_errors"] == 0
    assert counted["failed"] == {"refused": 0, "broken": 0, "timeout": 0}
    assert counted["unfinished"] == 0
    assert counted["begun"] == counted["answered"] == sum(counted["answers"].values())
    # A busy machine answers fewer, and says how many it left out.
    assert 150 < counted["answered"] + counted["late"] <= 250
    assert counted["methods"]["POST"] > 0
    assert 0 < counted["latency_seconds"]["p50"] <= counted["latency_seconds"]["max"]


def test_visitors_outlive_the_server_and_go_home_when_asked(ledger):
    arbiter = ledger.serve()
    visitors = ledger.visitors("--rate", "40")
    with visitors:
        time.sleep(1.5)
        ledger.children.stop(arbiter)
        time.sleep(1)
        visitors.send_signal(signal.SIGTERM)
        out, _ = visitors.communicate(timeout=20)
    counted = json.loads(out)
    assert visitors.returncode == 0
    assert counted["answered"] > 0
    assert counted["failed"]["refused"] > 0
    assert counted["unfinished"] == 0
    failed = sum(counted["failed"].values())
    assert counted["begun"] == counted["answered"] + failed


def test_visitors_who_wait_too_long_do_not_come_in_a_burst_later(ledger):
    ledger.serve(workers=1)
    ledger.fault(slow_responses="0.5s")
    counted = ledger.load("--rate", "50", "--seconds", "3", "--threads", "2")
    assert counted["late"] > 50
    assert counted["begun"] < 15


def test_a_share_of_requests_fails_and_then_none(ledger):
    ledger.serve()
    assert ledger.fault(errors="50%") == {"errors": "50%"}
    failing = ledger.load("--rate", "80", "--seconds", "2")
    share = failing["server_errors"] / failing["answered"]
    assert 0.3 < share < 0.7
    assert failing["answers"]["500"] == failing["server_errors"]
    assert ledger.fault(errors=None) == {}
    assert ledger.load("--rate", "80", "--seconds", "1")["server_errors"] == 0
    log = ledger.children.log("gunicorn")
    assert '"status":500' in log
    assert "Traceback" not in log


def test_slow_queries_and_slow_responses_are_slow_for_visitors(ledger):
    ledger.serve()
    for fault in ("slow_queries", "slow_responses"):
        ledger.fault(**{fault: "0.4s"})
        counted = ledger.load("--rate", "10", "--seconds", "1", "--threads", "4")
        assert 0.4 <= counted["latency_seconds"]["p50"] < 1.5
        assert counted["server_errors"] == 0
        ledger.fault(**{fault: None})


def test_connections_are_held_by_every_process_and_let_go(ledger):
    arbiter = ledger.serve(workers=1)
    (pid,) = re.findall(
        r"Worker ready with pid: (\d+)", ledger.children.log("gunicorn")
    )

    def opened():
        count = 0
        for path in type(ledger.data)(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                count += str(path.readlink()).endswith("ledger.db")
        return count

    ask(f"{ledger.url}/customers/")
    usual = opened()
    ledger.fault(held_connections="7")
    assert ask(f"{ledger.url}/api/invoices/", invoice(1))[0] == 201
    assert opened() == usual + 7
    ledger.fault(held_connections=None)
    ask(f"{ledger.url}/customers/")
    # SQLite closes a file only when the process has no lock on it left, and takes the
    # waiting ones first: as many again open no new file if the first were let go.
    ledger.fault(held_connections="7")
    ask(f"{ledger.url}/customers/")
    assert opened() == usual + 7
    assert arbiter.poll() is None


def test_the_cache_forgets_for_all_workers(ledger):
    ledger.serve()
    keys = ledger.data / "cache"
    ask(f"{ledger.url}/api/customers/1/")
    (kept,) = keys.iterdir()
    written = kept.stat().st_mtime_ns
    for _ in range(5):
        ask(f"{ledger.url}/api/customers/1/")
    assert kept.stat().st_mtime_ns == written
    ledger.fault(cache_misses="on")
    ask(f"{ledger.url}/api/customers/1/")
    assert not kept.exists()


def test_celery_takes_what_the_web_workers_queue(tmp_path, prepared):
    mails = tmp_path / "mails"
    with Ledger(tmp_path, LEDGER_EMAIL_DIR=str(mails)) as ledger:
        ledger.prepare(prepared)
        ledger.serve(workers=2)
        # Queued before anybody listens: the folder keeps it.
        made = json.loads(ask(f"{ledger.url}/api/invoices/", invoice(1))[1])
        ledger.work()
        sent = f"SELECT count(emailed_at) FROM billing_invoice WHERE id={made['id']}"
        ledger.children.wait_until(
            lambda: rows(ledger, sent) == [(1,)], "the e-mail is sent"
        )
        (mail,) = mails.iterdir()
        assert f"Subject: Invoice {made['number']}" in mail.read_text()

        built = "SELECT count(*) FROM billing_monthlyreport WHERE month='2020-01-01'"
        build = (
            "from billing.tasks import build_report;"
            "[build_report.delay(2020, 1) for _ in range(20)]"
        )
        ledger.manage("shell", "-v", "0", "-c", build)
        ledger.children.wait_until(
            lambda: rows(ledger, built) == [(1,)], "the report is built"
        )
        # kombu's own pace is a message a second, less than the visitors' invoices.
        queue = ledger.data / "queue"
        ledger.children.wait_until(
            lambda: not list(queue.glob("*.msg")), "the queue is worked off", 10
        )

        ledger.fault(task_failures="100%")
        made = json.loads(ask(f"{ledger.url}/api/invoices/", invoice(2))[1])
        ledger.children.wait_until(
            lambda: '"task_state":"FAILURE"' in ledger.children.log("celery"),
            "the task fails",
        )
        sent = f"SELECT count(emailed_at) FROM billing_invoice WHERE id={made['id']}"
        assert rows(ledger, sent) == [(0,)]


def test_a_broker_that_is_away_does_not_fail_an_invoice(ledger):
    ledger.serve(workers=1)
    ask(f"{ledger.url}/customers/")
    (ledger.data / "queue").rename(ledger.data / "gone")
    assert ask(f"{ledger.url}/api/invoices/", invoice(1))[0] == 201


def test_a_cache_that_is_away_does_not_fail_an_invoice(ledger):
    ledger.serve(workers=1)
    (ledger.data / "cache").write_text("no folder")
    assert ask(f"{ledger.url}/api/invoices/", invoice(1))[0] == 201

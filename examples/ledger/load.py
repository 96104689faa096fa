#!/usr/bin/env python
"""Visitors for the ledger: people in browsers and programs, at a bounded rate.

    python load.py --url http://127.0.0.1:8000 --rate 40 --seconds 60 --json

Runs for ever with --seconds 0, never stops on errors, and says at the end (also on
SIGTERM and Ctrl-C) exactly how many requests were answered with which status and how
many were not answered, so that the figures can be held against the server's metrics.
"""

import argparse
import http.client
import json
import math
import random
import re
import signal
import sys
import threading
import time
import uuid
from collections import Counter, deque
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

TIMEOUT = 35.0  # longer than gunicorn gives a worker


class Answer(NamedTuple):
    """An HTTP answer; status 0 when there was none."""

    status: int
    body: bytes = b""
    cookie: str = ""
    location: str = ""


class Tally:
    """What came of the requests, counted across threads."""

    WIDTH = math.log(1.02)  # buckets 2 % wide keep the quantiles within 1 %

    def __init__(self):
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._begun = 0
        self._answers = Counter()
        self._failed = Counter(refused=0, broken=0, timeout=0)
        self._methods = Counter()
        self._latencies = Counter()
        self._slowest = 0.0
        self._late = 0

    def begin(self):
        with self._lock:
            self._begun += 1

    def answered(self, method: str, status: int, seconds: float):
        with self._lock:
            self._answers[status] += 1
            self._methods[method] += 1
            self._latencies[int(math.log(max(seconds, 1e-6)) / self.WIDTH)] += 1
            self._slowest = max(self._slowest, seconds)

    def failed(self, how: str):
        with self._lock:
            self._failed[how] += 1

    def late(self, requests: int):
        with self._lock:
            self._late += requests

    def summary(self) -> dict:
        with self._lock:
            seconds = time.monotonic() - self._started
            answered = self._answers.total()
            return {
                "seconds": round(seconds, 3),
                "rate": round(answered / seconds, 2) if seconds else 0.0,
                "begun": self._begun,
                "answered": answered,
                "answers": {str(s): n for s, n in sorted(self._answers.items())},
                "server_errors": sum(n for s, n in self._answers.items() if s >= 500),
                # refused: the server never saw it; broken and timeout: it may have.
                "failed": dict(self._failed),
                "unfinished": self._begun - answered - self._failed.total(),
                "methods": dict(self._methods),
                # Requests not sent because every thread was waiting for an answer.
                "late": self._late,
                "latency_seconds": {
                    "p50": self._quantile(0.5),
                    "p95": self._quantile(0.95),
                    "p99": self._quantile(0.99),
                    "max": round(self._slowest, 6),
                },
            }

    def _quantile(self, q: float) -> float | None:
        rank = q * self._latencies.total()
        for bucket, count in sorted(self._latencies.items()):
            rank -= count
            if rank <= 0:
                return round(math.exp((bucket + 0.5) * self.WIDTH), 6)
        return None


class Pace:
    """Hands out the moments at which a request may start."""

    def __init__(self, rate: float, tally: Tally, stop: threading.Event):
        self._step = 1 / rate
        self._tally = tally
        self._stop = stop
        self._lock = threading.Lock()
        self._next = time.monotonic()

    def wait(self) -> bool:
        """Wait for the next moment; false when there is none because we stop."""
        with self._lock:
            now = time.monotonic()
            if (behind := now - 1.0 - self._next) > 0:
                # A second of arrears is caught up, the rest is dropped: a recovering
                # server must not meet a burst that no visitor would make.
                dropped = math.ceil(behind / self._step)
                self._next += dropped * self._step
                self._tally.late(dropped)
            moment = self._next
            self._next += self._step
        return not self._stop.wait(max(0.0, moment - now))


class StoppedError(Exception):
    """It is time to go home."""


class Memory:
    """What the visitors have seen, so that they ask for things that exist."""

    def __init__(self):
        self.customers: list[int] = []
        self.invoices: deque[int] = deque(maxlen=400)
        self.unpaid: deque[tuple[int, int]] = deque(maxlen=400)


class Visitor:
    """One of the people and programs; runs in a thread of its own."""

    def __init__(self, url: str, memory: Memory, tally: Tally, pace: Pace, seed: str):
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port or 80)
        self._base = parts.path.rstrip("/")
        self._memory = memory
        self._tally = tally
        self._pace = pace
        self._chance = random.Random(seed)

    def run(self):
        actions, weights = zip(*MIX, strict=True)
        try:
            while True:
                if not self._memory.customers:
                    self.learn()
                else:
                    self._chance.choices(actions, weights)[0](self)
        except StoppedError:
            return

    # What visitors do

    def learn(self):
        """See who the customers are, and a few invoices."""
        seen = self.json("GET", "/api/customers/")
        listed = self.json("GET", "/api/invoices/?status=open")
        for row in listed.get("results", []):
            self._memory.invoices.append(row["id"])
            self._memory.unpaid.append((row["id"], row["due"]))
        self._memory.customers = [row["id"] for row in seen.get("results", [])]

    def dashboard(self):
        self.request("GET", "/")

    def list_invoices(self):
        status = self._chance.choice(["", "open", "paid"])
        self.request(
            "GET", f"/invoices/?status={status}&page={self._chance.randint(1, 3)}"
        )

    def list_customers(self):
        query = self._chance.choice(["", "?q=river", "?q=press"])
        self.request("GET", f"/customers/{query}")

    def show_customer(self):
        self.request("GET", f"/customers/{self.customer()}/")

    def fetch_customer(self):
        self.request("GET", f"/api/customers/{self.customer()}/")

    def show_invoice(self):
        self.request("GET", f"/invoices/{self.invoice()}/")

    def fetch_invoice(self):
        self.request("GET", f"/api/invoices/{self.invoice()}/")

    def fetch_invoices(self):
        self.request("GET", "/api/invoices/")

    def show_journal(self):
        self.request(
            "GET",
            self._chance.choice(["/journal/", "/journal/entries/", "/api/balance/"]),
        )

    def show_report(self):
        year, month = self.month()
        prefix = self._chance.choice(["", "/api"])
        self.request("GET", f"{prefix}/reports/{year}/{month}/")

    def rebuild_report(self):
        year, month = self.month()
        self.form(f"/reports/{year}/{month}/", f"/reports/{year}/{month}/build/", {})

    def get_lost(self):
        self.request(
            "GET", self._chance.choice(["/customers/999999999/", "/favicon.png"])
        )

    def send_invoice(self):
        lines = [
            {
                "text": self._chance.choice(["Consulting", "Support", "Training"]),
                "quantity": self._chance.randint(1, 12),
                "unit_price": f"{self._chance.randint(2000, 40000) / 100:.2f}",
            }
            for _ in range(self._chance.randint(1, 3))
        ]
        made = self.json(
            "POST", "/api/invoices/", {"customer": self.customer(), "lines": lines}
        )
        if "id" in made:
            self._memory.invoices.append(made["id"])
            self._memory.unpaid.append((made["id"], made["due"]))

    def write_invoice(self):
        """Fill in the form as a person does, then issue the draft."""
        fields = {
            "customer": self.customer(),
            "days": 14,
            "lines-TOTAL_FORMS": 1,
            "lines-INITIAL_FORMS": 0,
            "lines-0-text": "Bookkeeping",
            "lines-0-quantity": self._chance.randint(1, 9),
            "lines-0-unit_price": "85.00",
        }
        page = self.form("/invoices/new/", "/invoices/new/", fields)
        if page.status == 302:
            self.form(page.location, f"{page.location}issue/", {})

    def send_payment(self):
        try:
            invoice, due = self._memory.unpaid.popleft()
        except IndexError:
            return self.send_invoice()
        amount = due if self._chance.random() < 0.7 else max(1, due // 2)
        body = {"amount": f"{amount / 100:.2f}", "reference": uuid.uuid4().hex}
        self.json("POST", f"/api/invoices/{invoice}/payments/", body)
        if amount < due:
            self._memory.unpaid.append((invoice, due - amount))
        return None

    # What they know

    def customer(self) -> int:
        known = self._memory.customers
        return known[int(len(known) * self._chance.random() ** 2)]

    def invoice(self) -> int:
        known = self._memory.invoices
        try:
            return known[self._chance.randrange(len(known))]
        except (ValueError, IndexError):
            return 1

    def month(self) -> tuple[int, int]:
        today = datetime.now(UTC)
        back = today.month - 1 - self._chance.randint(0, 5)
        return today.year + back // 12, back % 12 + 1

    # How they talk

    def form(self, page: str, action: str, fields: dict) -> Answer:
        """Open a page for its token, then send the form of it."""
        opened = self.request("GET", page)
        token = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', opened.body)
        if not token:
            return opened
        body = urlencode({"csrfmiddlewaretoken": token[1].decode(), **fields})
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": opened.cookie,
        }
        return self.request("POST", action, body.encode(), headers)

    def json(self, method: str, path: str, sent: dict | None = None) -> dict:
        body = None if sent is None else json.dumps(sent).encode()
        answer = self.request(method, path, body, {"Content-Type": "application/json"})
        return json.loads(answer.body) if answer.status in {200, 201} else {}

    def request(self, method, path, body=None, headers=None) -> Answer:
        if not self._pace.wait():
            raise StoppedError
        self._tally.begin()
        started = time.monotonic()
        connection = http.client.HTTPConnection(*self._address, timeout=TIMEOUT)
        try:
            try:
                connection.connect()
            except OSError:
                return self._failed("refused")
            connection.request(method, self._base + path, body, headers or {})
            response = connection.getresponse()
            content = response.read()
        except TimeoutError:
            return self._failed("timeout")
        except (OSError, http.client.HTTPException):
            return self._failed("broken")
        finally:
            connection.close()
        self._tally.answered(method, response.status, time.monotonic() - started)
        cookie = (response.headers.get("Set-Cookie") or "").partition(";")[0]
        return Answer(
            response.status, content, cookie, response.headers.get("Location") or ""
        )

    def _failed(self, how: str) -> Answer:
        self._tally.failed(how)
        return Answer(0)


# How often each thing is done, of about a hundred.
MIX = [
    (Visitor.show_customer, 22),
    (Visitor.fetch_customer, 20),
    (Visitor.show_invoice, 14),
    (Visitor.dashboard, 10),
    (Visitor.list_invoices, 7),
    (Visitor.fetch_invoice, 6),
    (Visitor.show_journal, 6),
    (Visitor.show_report, 6),
    (Visitor.list_customers, 3),
    (Visitor.fetch_invoices, 2),
    (Visitor.send_invoice, 2),
    (Visitor.send_payment, 2),
    (Visitor.write_invoice, 0.7),
    (Visitor.get_lost, 0.5),
    (Visitor.rebuild_report, 0.2),
]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument(
        "--rate", type=float, default=40.0, help="requests a second, at most"
    )
    parser.add_argument("--seconds", type=float, default=0.0, help="0: until stopped")
    parser.add_argument(
        "--threads", type=int, default=16, help="requests in flight, at most"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="the same seed, the same visitors"
    )
    parser.add_argument(
        "--json", action="store_true", help="the summary as one line of JSON"
    )
    parser.add_argument(
        "--every",
        type=float,
        default=0.0,
        help="with --json: also a line every so many seconds",
    )
    return parser.parse_args()


def tell(summary: dict) -> None:
    """Print the summary for people."""
    statuses = ", ".join(f"{n} x {s}" for s, n in summary["answers"].items()) or "none"
    failed = (
        ", ".join(f"{n} {how}" for how, n in summary["failed"].items() if n) or "none"
    )
    latency = {
        name: "-" if value is None else f"{value * 1000:.0f} ms"
        for name, value in summary["latency_seconds"].items()
    }
    print(
        f"{summary['answered']} answers in {summary['seconds']:.1f} s "
        f"({summary['rate']}/s)"
    )
    print(f"  by status    {statuses}")
    print(f"  unanswered   {failed}")
    print(
        "  latency      "
        + ", ".join(f"{name} {text}" for name, text in latency.items())
    )
    if summary["late"]:
        print(f"  not sent     {summary['late']}, the server was too slow for the rate")


def watch(options, tally: Tally, stop: threading.Event) -> None:
    """Wait for the end, showing what happens meanwhile."""
    end = time.monotonic() + options.seconds if options.seconds else math.inf
    terminal = sys.stderr.isatty() and not options.json
    step = options.every if options.json and options.every else 0.5
    while not stop.wait(max(0.0, min(step, end - time.monotonic()))):
        if time.monotonic() >= end:
            return
        if options.json and options.every:
            print(json.dumps(tally.summary()), flush=True)
        elif terminal:
            now = tally.summary()
            print(
                f"\r{now['answered']} answers, {now['server_errors']} errors, "
                f"{sum(now['failed'].values())} unanswered ",
                end="",
                file=sys.stderr,
                flush=True,
            )


def main() -> None:
    options = arguments()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    tally = Tally()
    pace = Pace(options.rate, tally, stop)
    memory = Memory()
    threads = [
        threading.Thread(
            target=Visitor(options.url, memory, tally, pace, f"{options.seed}.{n}").run,
            daemon=True,
        )
        for n in range(options.threads)
    ]
    for thread in threads:
        thread.start()
    watch(options, tally, stop)
    stop.set()
    # Requests on their way are waited for, so that the count is exact.
    patience = time.monotonic() + TIMEOUT + 1
    for thread in threads:
        thread.join(max(0.0, patience - time.monotonic()))
    summary = tally.summary()
    if options.json:
        print(json.dumps(summary), flush=True)
    else:
        if sys.stderr.isatty():
            print(file=sys.stderr)
        tell(summary)


if __name__ == "__main__":
    main()

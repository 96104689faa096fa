"""The ledger's visitors: what they look at, how they pay, how often they do what."""

import http.client
import json
import random
import re
import time
import uuid
from collections import deque
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

    def __init__(self, url: str, memory: Memory, tally, pace, seed: str):
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

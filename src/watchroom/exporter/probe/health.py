"""The app's own word on its health: /livez and /health/, asked as a probe asks them.

Of the app itself, over HTTP, because only a process that serves can say whether it can
reach its database with its own settings, user and network. One of them answers, each
time another: what fails in one process alone shows now and then.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from watchroom import exporter
from watchroom.catalogue.collected import HEALTH_DURATION, HEALTH_LIVEZ, HEALTH_STATUS
from watchroom.conf.health import UNIX, CheckSettings, Health
from watchroom.conf.values import loopback
from watchroom.errors import ConfigError, FormatError, WatchroomError
from watchroom.exporter.probe.browse.address import parse
from watchroom.exporter.probe.browse.dial import connect, within
from watchroom.exporter.probe.site import trusting
from watchroom.formats.exposition import Family, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from watchroom.catalogue.metrics import Metric
    from watchroom.exporter.failures import Failures

# More than the three in which the app answers, however long its checks may take.
ASK_SECONDS = 4.0
SHOWN_SECONDS = 30.0  # or two and a half scrapes
MOST_CHECKS = 100
FOREIGN_SECONDS = 300.0
_LARGEST_BODY = 1 << 16
_INCLUDE = "include watchroom.urls in the app's URLs"
_GUESSED = (
    "the app doesn't have the exporter's token, so kinds of checks are guessed and "
    "durations are unknown: set the same WATCHROOM_TOKEN_FILE for both"
)
_STATUS_VALUES = {"ok": 1.0, "error": 0.0}


class CheckReading(NamedTuple):
    """The result of one check.

    Attributes:
        name: The check.
        kind: ``hard`` or ``soft``.
        word: ``ok``, ``error``, or a word of the check's own.
        seconds: How long it took; None when the app does not report it.
    """

    name: str
    kind: str
    status: str
    seconds: float | None


class _Answer(NamedTuple):
    at: float
    live: bool | None  # None: something else than /livez answers
    checks: tuple[CheckReading, ...]
    checks_at: float  # before `at` when it lives and /health/ came too late


class Address(NamedTuple):
    """Where the app answers.

    Attributes:
        url: ``http://host:port/prefix`` or ``unix:/path``, without a slash at its end.
        own: Whether it is the app's own address, and not the public road to it.
    """

    url: str
    own: bool

    @property
    def private(self) -> bool:
        """Whether the token may go there: never to a server of the public site."""
        secret = self.url.startswith((UNIX, "https:"))
        return loopback(self.url) or (self.own and secret)


def address(health: Health | None, sites: Sequence[str]) -> Address | None:
    """Return where to ask: HEALTH["url"], else the first site, else nowhere."""
    if health is not None and health.url:
        return Address(health.url, own=True)
    if sites:
        parts = urlsplit(sites[0])
        path = parts.path.rpartition("/")[0]
        return Address(f"{parts.scheme}://{parts.netloc}{path}", own=False)
    return None


class AppHealth:
    """Asks the app in the background, once per scrape; the next scrape has the answer.

    Args:
        address: Where.
        settings: HEALTH, for the kinds of checks where the app does not give them.
        token: Returns the token that the app knows us by.
        failures: Where failures are counted.
        now: Monotonic seconds.
    """

    name = "health"

    def __init__(
        self,
        address: Address,
        settings: Health | None,
        token: Callable[[], str],
        failures: Failures,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._settings = settings or Health()
        self._token = token
        self._failures = failures
        self._now = now
        self._lock = threading.Lock()
        self._answer: _Answer | None = None
        self._last_asked: float | None = None
        self._began = 0.0
        self._gap = 0.0
        self._not_before = 0.0
        self._socket: socket.socket | None = None

    def families(self) -> Sequence[Family]:
        """Return the app's last answer, and ask again."""
        now = self._now()
        with self._lock:
            answer = self._answer
            if answer is not None:
                patience = max(SHOWN_SECONDS, 2.5 * self._gap)
                answer = answer if now - answer.at <= patience else None
            if answer is not None and now - answer.checks_at > patience:
                answer = answer._replace(checks=())
            if self._last_asked is not None:
                self._gap = now - self._last_asked
            self._last_asked = now
            free = self._began == 0.0 and now >= self._not_before
            hung = self._began > 0.0 and now - self._began > 2 * ASK_SECONDS
            if free:
                self._began = now
        if free:
            self._start()
        elif hung:
            self._cut()
            answer = _Answer(now, False, (), now)
        return [] if answer is None else list(self._families(answer))

    def _start(self) -> None:
        try:
            threading.Thread(target=self._ask, name="health", daemon=True).start()
        except RuntimeError:  # no more threads
            with self._lock:
                self._began = 0.0
            raise

    def _families(self, answer: _Answer) -> Sequence[Family]:
        families = []
        if answer.live is not None and self._address.own:
            families.append(_family(HEALTH_LIVEZ, [((), float(answer.live))]))
        families.append(
            _family(
                HEALTH_STATUS,
                [
                    (
                        (("check", check.name), ("kind", check.kind)),
                        _STATUS_VALUES[check.status],
                    )
                    for check in answer.checks
                    if check.status in _STATUS_VALUES
                ],
            )
        )
        families.append(
            _family(
                HEALTH_DURATION,
                [
                    ((("check", check.name),), check.seconds)
                    for check in answer.checks
                    if check.seconds is not None
                ],
            )
        )
        return [family for family in families if family.samples]

    def _ask(self) -> None:
        live: bool | None = False
        checks: tuple[CheckReading, ...] | None = None
        fault: object = None
        try:
            status, _ = self._get("/livez")
            # What stands before the app says 502 to 504 for it.
            live = status == 200 if status == 200 or status >= 500 else None
            if live is None:
                fault = f"{self._address.url}/livez answered {status}: {_INCLUDE}"
            elif live:
                checks, fault = self._read(*self._get("/health/"))
        except (OSError, http.client.HTTPException, WatchroomError) as error:
            fault = error
        except Exception as error:  # noqa: BLE001 - a thread of ours must come to its end
            fault = error
        if fault is None:
            self._failures.clear(self.name)
        else:
            self._failures.count(self.name, fault)
        with self._lock:
            now, last = self._now(), self._answer
            if live and checks is None and last is not None:
                self._answer = last._replace(at=now, live=live)
            else:
                self._answer = _Answer(now, live, checks or (), now)
            self._began = 0.0
            # A public site without our addresses need not hear of it at each scrape.
            foreign = live is None and not self._address.own
            self._not_before = now + FOREIGN_SECONDS if foreign else 0.0

    def _read(
        self, status: int, body: bytes
    ) -> tuple[tuple[CheckReading, ...], str | None]:
        """Return the checks in an answer, and what is wrong with it."""
        try:
            document = json.loads(body)
            statuses: Mapping[str, Any] = document["checks"]
            details: Mapping[str, Any] = document.get("details") or {}
            checks = tuple(
                self._parsed(name, statuses[name], details) for name in statuses
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise FormatError(
                f"{self._address.url}/health/ answered {status} in an unexpected "
                f"format: {_INCLUDE}"
            ) from None
        guessed = any(check.seconds is None for check in checks)
        return checks[:MOST_CHECKS], _GUESSED if guessed else None

    def _parsed(
        self, name: str, status: Any, details: Mapping[str, Any]
    ) -> CheckReading:
        detail = details.get(name)
        if detail is not None:
            kind = "soft" if detail["kind"] == "soft" else "hard"
            return CheckReading(str(name), kind, str(status), float(detail["seconds"]))
        hard_setting = self._settings.checks.get(name, CheckSettings()).hard
        soft = (
            name.partition("_")[0] in {"cache", "broker"}
            if hard_setting is None
            else not hard_setting
        )
        return CheckReading(str(name), "soft" if soft else "hard", str(status), None)

    def _get(self, path: str) -> tuple[int, bytes]:
        """Return the status and the body of an answer."""
        url, headers = self._address.url, {"Connection": "close", "Accept": "*/*"}
        headers["User-Agent"] = f"watchroom-exporter/{exporter.version()}"
        if self._address.private and path != "/livez":
            with suppress(ConfigError):
                headers["Authorization"] = f"Bearer {self._token()}"
        connection, prefix, headers["Host"] = self._connect(url)
        try:
            self._socket = connection.sock
            connection.request("GET", prefix + path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_LARGEST_BODY)
        finally:
            self._socket = None
            connection.close()

    def _connect(self, url: str) -> tuple[http.client.HTTPConnection, str, str]:
        if url.startswith(UNIX):
            plain = http.client.HTTPConnection("localhost", timeout=ASK_SECONDS)
            plain.sock = socket.socket(socket.AF_UNIX)
            try:
                plain.sock.settimeout(ASK_SECONDS)
                plain.sock.connect(url.removeprefix(UNIX))
            except OSError:
                plain.close()
                raise
            return plain, "", "localhost"
        # As the probe of the sites, so that both see one site.
        at = parse(url)
        addresses = socket.getaddrinfo(at.lookup, at.port, type=socket.SOCK_STREAM)
        sock = connect(addresses, within(ASK_SECONDS))
        connection = http.client.HTTPConnection(
            at.certified, at.port, timeout=ASK_SECONDS
        )
        connection.sock = sock
        sock.settimeout(ASK_SECONDS)
        if at.secure:
            try:
                secured = trusting().wrap_socket(sock, server_hostname=at.certified)
            except (OSError, ValueError):
                sock.close()
                raise
            connection.sock = secured
        return connection, at.target.rstrip("/"), at.authority

    def _cut(self) -> None:
        """End an answer that comes byte by byte."""
        opened = self._socket
        if opened is not None:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)


def _family(
    metric: Metric, labelled_values: Sequence[tuple[tuple[tuple[str, str], ...], float]]
) -> Family:
    samples = [Sample(metric.name, labels, value) for labels, value in labelled_values]
    return Family(metric.name, metric.kind, metric.help, samples)

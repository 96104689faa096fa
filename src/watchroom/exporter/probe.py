"""One look at a site from outside, told in blackbox_exporter's metric names.

GET, redirects followed (at most 10), the certificate verified, success is 2xx within
the deadline: as blackbox_exporter's module ``http_2xx``. The body is read, up to
1 MiB, because a site that never finishes its page is down.
"""

from __future__ import annotations

import http.client
import math
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

from watchroom import exporter
from watchroom.errors import ConfigError
from watchroom.exporter.certificates import earliest
from watchroom.formats.exposition import Family, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

REDIRECTS = 10
PROBES = 16  # at once
LONGEST_SECONDS = 30.0
PHASES = ("resolve", "connect", "tls", "processing", "transfer")
_LARGEST_BODY = 1 << 20
_HELP = {
    "probe_success": "Whether the site answered 2xx in time.",
    "probe_duration_seconds": "How long the probe took.",
    "probe_http_status_code": "The last answer's status; 0 without an answer.",
    "probe_http_version": "The last answer's HTTP version.",
    "probe_http_redirects": "How many redirects were followed.",
    "probe_http_ssl": "Whether the last hop used TLS.",
    "probe_http_duration_seconds": "Where the time went, over all hops.",
    "probe_ssl_earliest_cert_expiry": "The earliest end of a certificate sent "
    "by any hop, trusted or not.",
    "probe_ssl_earliest_cert_lifetime_seconds": "How long that certificate is good for "
    "in all.",
    "probe_failed_due_to_certificate": "Whether the certificate did not verify.",
}


class BusyError(Exception):
    """Too many probes run at once."""


class Sites:
    """The project's sites, and the probes of them.

    Only these are probed: anything else would make the exporter a way into the
    network it stands in.

    Args:
        urls: As in the SITES setting.
        context: How to verify certificates; the system's authorities by default.
    """

    def __init__(
        self, urls: Iterable[str], context: ssl.SSLContext | None = None
    ) -> None:
        self._urls = frozenset(urls)
        self._context = context
        self._slots = threading.BoundedSemaphore(PROBES)

    def probe(self, target: str, seconds: float) -> Probe:
        """Probe a site; return its probe after at most `seconds`.

        Raises:
            ConfigError: `target` is not one of the sites.
            BusyError: PROBES probes run already, or hang in the name service.
        """
        if target not in self._urls:
            known = ", ".join(sorted(self._urls)) or "none"
            raise ConfigError(
                f"{target[:200]!r} is not in the SITES setting",
                field="target",
                hint=f"there is {known}",
            )
        if not self._slots.acquire(blocking=False):
            raise BusyError(f"{PROBES} probes run already")
        probe = Probe(target, seconds, self._context)
        done = threading.Event()

        def work() -> None:
            try:
                probe.run()
            finally:
                self._slots.release()
                done.set()

        # A thread of its own: a lookup that hangs in the name service cannot be cut.
        threading.Thread(target=work, name="probe", daemon=True).start()
        if not done.wait(seconds):
            probe.end()
        return probe


def patience(scrape_timeout: str | None) -> float:
    """Return how long a probe may take so that its scrape still gets an answer.

    Half a second under the scraper's own timeout, as it tells in the header
    X-Prometheus-Scrape-Timeout-Seconds; without one, under 5 s, the default interval.
    """
    try:
        given = float(scrape_timeout or 5.0)
    except ValueError:
        given = 5.0
    if not 0.0 < given < LONGEST_SECONDS:
        given = 5.0 if given <= 0.0 or given != given else LONGEST_SECONDS  # noqa: PLR0124 - NaN
    return max(given - 0.5, given / 2)


class Probe:
    """One probe of one URL; run it once, in a thread of its own.

    Args:
        url: http or https.
        seconds: How long it may take, all hops together.
        context: How to verify; the system's authorities by default.
    """

    def __init__(
        self, url: str, seconds: float, context: ssl.SSLContext | None = None
    ) -> None:
        self._url = url
        self._seconds = seconds
        self._context = context or ssl.create_default_context()
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._open: socket.socket | None = None
        self._over = False
        self._phases = dict.fromkeys(PHASES, 0.0)
        self._values: dict[str, float] = {
            "probe_success": 0.0,
            "probe_http_status_code": 0.0,
            "probe_http_version": 0.0,
            "probe_http_redirects": 0.0,
            "probe_http_ssl": 0.0,
            "probe_failed_due_to_certificate": 0.0,
        }
        self.reason = ""

    def run(self) -> None:
        """Follow the URL to its end or the deadline; the outcome is in `families`."""
        url = self._url
        try:
            for hop in range(REDIRECTS + 1):
                self._set("probe_http_redirects", float(hop))
                status, location = self._visit(urlsplit(url))
                if location is None:
                    if 200 <= status < 300:
                        self._set("probe_success", 1.0)
                    else:
                        self._fail(f"{status}")
                    return
                url = urljoin(url, location)
            self._fail(f"more than {REDIRECTS} redirects")
        except TimeoutError:
            self._fail(self._too_late())
        except (OSError, ValueError, http.client.HTTPException) as error:
            self._fail(str(error) or type(error).__name__)
        finally:
            self._drop()

    def end(self) -> None:
        """Give up: what was found until now is the outcome, and it is no success."""
        with self._lock:
            if not self._over:
                self._over = True
                self.reason = self.reason or self._too_late()
        self._drop()

    def _too_late(self) -> str:
        return f"no answer within {self._seconds:g} s"

    def families(self) -> list[Family]:
        """Return the outcome; complete once `run` returned or `end` was called."""
        with self._lock:
            self._over = True
            values = dict(self._values)
            phases = dict(self._phases)
        values["probe_duration_seconds"] = time.monotonic() - self._begun
        found = [
            Family(name, "gauge", _HELP[name], [Sample(name, (), value)])
            for name, value in sorted(values.items())
        ]
        name = "probe_http_duration_seconds"
        spent: Sequence[Sample] = [
            Sample(name, (("phase", phase),), phases[phase]) for phase in PHASES
        ]
        return [*found, Family(name, "gauge", _HELP[name], spent)]

    def _visit(self, url: SplitResult) -> tuple[int, str | None]:
        """Return the status of one hop, and where it redirects to, if it does."""
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise ValueError(f"{url.scheme}: is no http or https address")
        secure = url.scheme == "https"
        self._set("probe_http_ssl", float(secure))
        port = url.port or (443 if secure else 80)
        connected = self._connect(url.hostname, port)
        if secure:
            connected = self._secure(connected, url.hostname, port)
        self._hold(connected)
        connection = http.client.HTTPConnection(url.hostname, port)
        connection.sock = connected
        try:
            return self._exchange(connection, url)
        finally:
            connection.close()

    def _exchange(
        self, connection: http.client.HTTPConnection, url: SplitResult
    ) -> tuple[int, str | None]:
        sent = time.monotonic()
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        # The hop's own spelling of host and port, as browsers send it.
        headers = {
            "Host": url.netloc.rpartition("@")[2],
            "User-Agent": f"watchroom-probe/{exporter.version()}",
            "Accept": "*/*",
            "Connection": "close",
        }
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        self._spent("processing", sent)
        self._set("probe_http_status_code", float(answer.status))
        self._set("probe_http_version", 1.1 if answer.version == 11 else 1.0)
        location = answer.getheader("Location")
        if answer.status in {301, 302, 303, 307, 308} and location:
            return answer.status, location
        began = time.monotonic()
        left = _LARGEST_BODY
        while left > 0 and (part := answer.read1(min(left, 65536))):
            left -= len(part)
        if left > 0 and answer.length:  # read1 does not complain of a cut body
            raise http.client.IncompleteRead(b"", answer.length)
        self._spent("transfer", began)
        return answer.status, None

    def _connect(self, host: str, port: int) -> socket.socket:
        began = time.monotonic()
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self._spent("resolve", began)
        began = time.monotonic()
        failed: OSError = OSError(f"{host} has no address")
        for family, kind, protocol, _, address in found:
            connecting = socket.socket(family, kind, protocol)
            try:
                self._hold(connecting)
                connecting.settimeout(self._left())
                connecting.connect(address)
            except OSError as error:
                connecting.close()
                failed = error
                continue
            self._spent("connect", began)
            return connecting
        raise failed

    def _secure(self, plain: socket.socket, host: str, port: int) -> ssl.SSLSocket:
        began = time.monotonic()
        secured = self._context.wrap_socket(
            plain, server_hostname=host, do_handshake_on_connect=False
        )
        try:
            self._hold(secured)
            secured.do_handshake()
        except ssl.SSLCertVerificationError as error:
            secured.close()
            self._set("probe_failed_due_to_certificate", 1.0)
            self._read_expiry(host, port)
            raise OSError(f"certificate: {error.verify_message}") from None
        except OSError:
            secured.close()
            raise
        finally:
            self._spent("tls", began)
        self._expiry(secured)
        return secured

    def _read_expiry(self, host: str, port: int) -> None:
        """Connect once more without verifying: only to date the certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with suppress(OSError), self._connect(host, port) as plain:  # noqa: SIM117 - the socket first
            with context.wrap_socket(plain, server_hostname=host) as secured:
                self._expiry(secured)

    def _expiry(self, peer: ssl.SSLSocket) -> None:
        validity = earliest(peer)
        known = self._values.get("probe_ssl_earliest_cert_expiry", math.inf)
        # Visitors pass every hop: a redirect's own certificate is needed too.
        if validity is not None and validity.end < known:
            lifetime = validity.end - validity.start
            self._set("probe_ssl_earliest_cert_expiry", validity.end)
            self._set("probe_ssl_earliest_cert_lifetime_seconds", lifetime)

    def _set(self, name: str, value: float) -> None:
        with self._lock:
            if not self._over:
                self._values[name] = value

    def _spent(self, phase: str, began: float) -> None:
        with self._lock:
            if not self._over:
                self._phases[phase] += time.monotonic() - began

    def _fail(self, reason: str) -> None:
        with self._lock:
            if not self._over:
                self.reason = reason

    def _left(self) -> float:
        left = self._seconds - (time.monotonic() - self._begun)
        if left <= 0:
            raise TimeoutError("out of time")
        return left

    def _hold(self, opened: socket.socket) -> None:
        """Note the open socket, so that `end` can cut it; refuse when it is over."""
        with self._lock:
            self._open = opened
            over = self._over
        if over:
            opened.close()
            raise TimeoutError("out of time")

    def _drop(self) -> None:
        with self._lock:
            opened, self._open = self._open, None
        if opened is not None:
            # Shut down, not closed: another thread may be reading from it.
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

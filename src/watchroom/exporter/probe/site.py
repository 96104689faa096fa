"""One request to a site from outside, under blackbox_exporter's metric names.

GET, redirects followed (at most 10), the certificate verified, success is 2xx within
the deadline: as blackbox_exporter's module ``http_2xx``. The body is read, up to
1 MiB, because a site that never finishes its page is down.
"""

from __future__ import annotations

import base64
import math
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from watchroom import exporter
from watchroom.errors import ConfigError
from watchroom.exporter.probe.browse.address import parse
from watchroom.exporter.probe.browse.answer import head, read_body
from watchroom.exporter.probe.browse.cookies import Cookies
from watchroom.exporter.probe.browse.dial import connect, within
from watchroom.exporter.probe.certificates import earliest, last_chain
from watchroom.formats.exposition import Family, Sample
from watchroom.messages.network import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from watchroom.exporter.probe.browse.address import Address
    from watchroom.exporter.probe.certificates import Validity

REDIRECTS = 10
PROBES = 16  # at once
LONGEST_SECONDS = 30.0
PHASES = ("resolve", "connect", "tls", "processing", "transfer")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRUST_SECONDS = 300.0
_HELP = {
    "probe_success": "Whether the site answered with 2xx in time.",
    "probe_duration_seconds": "Duration of the probe.",
    "probe_http_status_code": "Status of the last response; 0 without a response.",
    "probe_http_version": "HTTP version of the last response.",
    "probe_http_redirects": "How many redirects were followed.",
    "probe_http_ssl": "Whether the last hop used TLS.",
    "probe_http_duration_seconds": "Duration of each phase, over all hops.",
    "probe_ssl_last_chain_expiry_timestamp_seconds": "Earliest expiry in the "
    "verified certificate chain, "
    "over all hops.",
    "probe_ssl_earliest_cert_expiry": "The same; without a verified chain, the "
    "earliest expiry of the certificates sent.",
    "probe_ssl_earliest_cert_lifetime_seconds": "Whole lifetime of that certificate.",
    "probe_failed_due_to_certificate": "Whether the certificate did not verify.",
}


def trusting() -> ssl.SSLContext:
    """Return how browsers and curl verify, on every Python alike.

    From 3.13 on Python refuses what they take (a certificate without the identifier of
    its authority's key); before, it refused an intermediate that is trusted by itself.
    """
    context = ssl.create_default_context()
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    return context


def _request(at: Address, cookies: str) -> bytes:
    fields = [
        f"GET {at.target} HTTP/1.1",
        f"Host: {at.authority}",
        f"User-Agent: watchroom-probe/{exporter.version()}",
        "Accept: */*",
        "Connection: close",
    ]
    if at.user:
        known = base64.b64encode(at.user.encode("utf-8", "surrogateescape")).decode()
        fields.append(f"Authorization: Basic {known}")
    if cookies:
        fields.append(f"Cookie: {cookies}")
    return "\r\n".join([*fields, "", ""]).encode("latin-1")


class BusyError(Exception):
    """Too many probes run at once."""


class Sites:
    """The project's sites, and the probes of them.

    Only these are probed: anything else would make the exporter a way into its network.
    """

    def __init__(
        self, urls: Iterable[str], context: ssl.SSLContext | None = None
    ) -> None:
        self._urls = frozenset(urls)
        self._context = context
        self._trusted: tuple[float, ssl.SSLContext] | None = None
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
                f"{target[:200]!r} is not in the SITES setting that the exporter read",
                field="target",
                hint=f"it read {known} when it started; restart the exporter if "
                "SITES has changed",
            )
        if not self._slots.acquire(blocking=False):
            raise BusyError(f"{PROBES} probes are already running")
        probe = Probe(target, seconds, self._context, self._trust)
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

    def _trust(self) -> ssl.SSLContext:
        # Making one reads the machine's authorities, which takes tens of milliseconds;
        # one that was installed meanwhile is known after a while.
        now = time.monotonic()
        if self._trusted is None or now - self._trusted[0] > _TRUST_SECONDS:
            self._trusted = now, trusting()
        return self._trusted[1]


def patience(scrape_timeout: str | None) -> float:
    """Return how long a probe may take so that its scrape still gets an answer.

    Half a second under the scraper's own timeout, as it tells in the header
    X-Prometheus-Scrape-Timeout-Seconds; without one, under 5 s, the default interval.
    """
    try:
        seconds = float(scrape_timeout or 5.0)
    except ValueError:
        seconds = 5.0
    if not 0.0 < seconds < LONGEST_SECONDS:
        seconds = 5.0 if seconds <= 0.0 or seconds != seconds else LONGEST_SECONDS  # noqa: PLR0124 - NaN
    return max(seconds - 0.5, seconds / 2)


class Probe:
    """One probe of one URL; run it once, in a thread of its own.

    Args:
        url: http or https.
        seconds: How long it may take, all hops together.
        context: How to verify; the system's authorities by default.
        trust: Makes that default, once a hop needs it.
    """

    def __init__(
        self,
        url: str,
        seconds: float,
        context: ssl.SSLContext | None = None,
        trust: Callable[[], ssl.SSLContext] = trusting,
    ) -> None:
        self._url = url
        self._seconds = seconds
        self._context = context
        self._trust = trust
        self._cookies = Cookies()
        self._begun = time.monotonic()
        self._time_left = within(seconds)
        self._lock = threading.Lock()
        self._open: socket.socket | None = None
        self._ended = False
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
        try:
            at = parse(self._url)
            for hop in range(REDIRECTS + 1):
                self._set("probe_http_redirects", float(hop))
                status, location = self._visit(at)
                if not location:
                    if 200 <= status < 300:
                        self._set("probe_success", 1.0)
                    else:
                        self._fail(f"{status}")
                    return
                to = parse(location, at)
                # A password is for the place that it was given for.
                same = to.user or to.origin != at.origin
                at = to if same else to._replace(user=at.user)
            self._fail(f"more than {REDIRECTS} redirects")
        except TimeoutError:
            self._fail(self._too_late())
        except (OSError, ValueError) as error:
            # Without a number it is one of ours, or of the URL, with words of its own.
            known = getattr(error, "errno", None) is None and str(error)
            self._fail(known or reason(error))
        finally:
            self._drop()

    def end(self) -> None:
        """Give up: what was found until now is the outcome, a failure."""
        with self._lock:
            if not self._ended:
                self._ended = True
                self.reason = self.reason or self._too_late()
        self._drop()

    def _too_late(self) -> str:
        return f"no answer within {self._seconds:g} s"

    def families(self) -> list[Family]:
        """Return the outcome; complete once `run` returned or `end` was called."""
        with self._lock:
            self._ended = True
            values = dict(self._values)
            phases = dict(self._phases)
        values["probe_duration_seconds"] = time.monotonic() - self._begun
        result = [
            Family(name, "gauge", _HELP[name], [Sample(name, (), value)])
            for name, value in sorted(values.items())
        ]
        name = "probe_http_duration_seconds"
        phase_samples: Sequence[Sample] = [
            Sample(name, (("phase", phase),), phases[phase]) for phase in PHASES
        ]
        return [*result, Family(name, "gauge", _HELP[name], phase_samples)]

    def _visit(self, at: Address) -> tuple[int, str]:
        """Return the status of one hop, and where it redirects to, or ""."""
        self._set("probe_http_ssl", float(at.secure))
        connected = self._connect(at)
        if at.secure:
            connected = self._secure(connected, at)
        with connected:
            self._hold(connected)
            return self._exchange(connected, at)

    def _exchange(self, connected: socket.socket, at: Address) -> tuple[int, str]:
        sent = time.monotonic()
        connected.sendall(_request(at, self._cookies.header(at)))
        with connected.makefile("rb") as stream:
            answer = head(stream)
            self._add_phase("processing", sent)
            self._set("probe_http_status_code", float(answer.status))
            self._set("probe_http_version", answer.version)
            for cookie in answer.all("set-cookie"):
                self._cookies.take(at, cookie.decode("latin-1"))
            location = answer.first("location").decode("utf-8", "surrogateescape")
            if answer.status in _REDIRECTS and location:
                return answer.status, location
            began = time.monotonic()
            read_body(stream, answer)
            self._add_phase("transfer", began)
        return answer.status, ""

    def _connect(self, at: Address) -> socket.socket:
        began = time.monotonic()
        addresses = socket.getaddrinfo(at.lookup, at.port, type=socket.SOCK_STREAM)
        self._add_phase("resolve", began)
        began = time.monotonic()
        connected = connect(addresses, self._time_left)
        self._add_phase("connect", began)
        return connected

    def _secure(self, plain: socket.socket, at: Address) -> ssl.SSLSocket:
        began = time.monotonic()
        context = self._context or self._trust()
        try:
            secured = context.wrap_socket(
                plain, server_hostname=at.certified, do_handshake_on_connect=False
            )
        except ValueError:  # a name that no certificate can be for
            plain.close()
            raise
        try:
            self._hold(secured)
            secured.do_handshake()
        except ssl.SSLCertVerificationError as error:
            secured.close()
            self._set("probe_failed_due_to_certificate", 1.0)
            self._date_unverified(at)
            raise OSError(f"certificate: {error.verify_message}") from None
        except OSError:
            secured.close()
            raise
        finally:
            self._add_phase("tls", began)
        if validity := last_chain(secured, context):
            self._date("probe_ssl_last_chain_expiry_timestamp_seconds", validity)
            self._date("probe_ssl_earliest_cert_expiry", validity)
        return secured

    def _date_unverified(self, at: Address) -> None:
        """Connect once more without verifying: only to date the certificates."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with suppress(OSError), self._connect(at) as plain:  # noqa: SIM117 - the socket first
            with context.wrap_socket(plain, server_hostname=at.certified) as secured:
                self._hold(secured)
                if validity := earliest(secured):
                    self._date("probe_ssl_earliest_cert_expiry", validity)

    def _date(self, name: str, validity: Validity) -> None:
        # Visitors pass every hop: a redirect's own certificate is needed too.
        if validity.end < self._values.get(name, math.inf):
            self._set(name, validity.end)
            lifetime = validity.end - validity.start
            self._set("probe_ssl_earliest_cert_lifetime_seconds", lifetime)

    def _set(self, name: str, value: float) -> None:
        with self._lock:
            if not self._ended:
                self._values[name] = value

    def _add_phase(self, phase: str, began: float) -> None:
        with self._lock:
            if not self._ended:
                self._phases[phase] += time.monotonic() - began

    def _fail(self, reason: str) -> None:
        with self._lock:
            if not self._ended:
                self.reason = reason

    def _hold(self, opened: socket.socket) -> None:
        """Note the open socket, so that `end` can cut it; refuse when it has ended."""
        with self._lock:
            self._open = opened
            over = self._ended
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

"""What is public: the health URLs, the link in a notification, nothing else."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from watchroom.prove import client
from watchroom.prove.checklist.world import (
    Finding,
    green,
    is_loopback,
    named,
    red,
    unclear,
)

if TYPE_CHECKING:
    from watchroom.prove.checklist.world import World

_HEALTH = ("/health/", "/livez", "/readyz")
_INSTALL = (
    "add path('', include('watchroom.urls')) to urlpatterns; it serves them at the "
    "root of the site. If the site is below a path (SCRIPT_NAME), include that path "
    "in SITES"
)
_REPAIR = "repair what the failing checks report; the runbook {} has the commands"
# Where the app, a reverse proxy or another library would show its metrics.
_METRICS = ("/metrics", "/metrics/")
_SHOWN, _CLOSED, _REFUSED = "shows metrics", "shows none", "refused the connection"


def health(world: World) -> Finding:
    """Each site's health URLs answer 200, in the guide's format."""
    if not world.sites:
        return unclear(
            "SITES is empty: the app's address is unknown",
            "WATCHROOM = {'SITES': ['https://…'], …}, then build",
        )
    lines = []
    for site, answer in dict(map(_mounted, world.mounts)).items():
        outcome = _site(site, answer)
        if isinstance(outcome, Finding):
            return outcome
        lines.append(outcome)
    return green("; ".join(lines))


def _mounted(bases: list[str]) -> tuple[str, client.Reply | None]:
    """Return the first address below which health is answered, and that answer.

    Else the root, which has not been asked.
    """
    for base in bases[:-1]:
        # A page that answers for every path below it isn't a health URL.
        answer = client.fetch(f"{base}{_HEALTH[0]}")
        if _checks(answer) is not None:
            return base, answer
    return bases[-1], None


def _checks(answer: client.Reply) -> dict[str, Any] | None:
    """Return the checks in an answer of /health/, or None for anything else."""
    body = answer.json()
    checks = body.get("checks") if isinstance(body, dict) else None
    return checks if isinstance(checks, dict) else None


def _site(site: str, health: client.Reply | None) -> Finding | str:
    answers = {_HEALTH[0]: health or client.fetch(f"{site}{_HEALTH[0]}")}
    answers |= {path: client.fetch(f"{site}{path}") for path in _HEALTH[1:]}
    missing = [path for path, answer in answers.items() if answer.status == 404]
    if missing:
        return red(f"{site}: {named(missing)} not found (404)", _INSTALL)
    checks = _checks(answers["/health/"])
    if checks is None:
        return red(f"{site}/health/ doesn't answer with {{status, checks}}", _INSTALL)
    failing = [name for name, word in checks.items() if word != "ok"]
    refused = [f"{p} {a.status}" for p, a in answers.items() if a.status != 200]
    if refused:
        return red(
            f"{site}: {named(refused)}"
            + (f"; failing checks: {named(failing)}" if failing else ""),
            _REPAIR.format("HealthCheckFailing"),
        )
    if failing:
        return red(
            f"{site}/health/: failing checks: {named(failing)}",
            _REPAIR.format("SoftHealthCheckFailing"),
        )
    return f"{site}/health/ ok ({named(sorted(checks), 6)}), /livez, /readyz"


def link(world: World) -> Finding:
    """The link in notifications opens, and asks for a login."""
    base = world.built.manifest.monitor_url.rstrip("/")
    alerts = [a.name for vital in world.built.manifest.vitals for a in vital.alerts]
    url = f"{base}/runbooks/{alerts[0]}" if alerts else base
    if is_loopback(base):
        return red(
            f"alert messages link to {base}, which on a phone is the phone itself",
            "set WATCHROOM = {'MONITOR_URL': 'https://…'} to an address that phones "
            "can reach, such as a TLS proxy in front of the monitor",
        )
    try:
        answer = client.fetch(url, headers={"Accept": "text/html"})
    except client.PeerError as error:
        return red(
            f"the link in alert messages doesn't open: {error}",
            "check that the proxy is up and DNS is right",
        )
    return _opened(url, answer, embedded=world.chain.embedded)


def _opened(url: str, answer: client.Reply, *, embedded: bool) -> Finding:
    if answer.status == 401:
        return unclear(
            (
                f"{url} is behind another login (401); the page behind it couldn't be "
                "checked"
            ),
            "open the link of an alert message on the phone of the person on call",
        )
    ours = "watchroom" in answer.body or not embedded
    if answer.status != 200 or not ours:
        what = "with a page that isn't the monitor's" if answer.status == 200 else ""
        return red(
            f"the link in alert messages, {url}, answered {what or answer.status}",
            "MONITOR_URL must lead to the monitor, its path included",
        )
    if embedded and "/login" not in urlsplit(answer.url).path:
        return red(
            f"{url} is public: it opens without a login",
            "configure the proxy to set X-Forwarded-For, as in docs/deploy.md; "
            "without it, every request counts as coming from this machine",
        )
    return green(f"{url} opens from this machine and asks for a login")


def metrics_closed(world: World) -> Finding:
    """Metrics aren't public: neither on the sites nor from another machine."""
    exporter = _sites_closed(world) or _exporter_closed(world.chain.exporter)
    if isinstance(exporter, Finding):
        return exporter
    if not world.sites:
        return unclear(
            f"{exporter}; SITES is empty, so the app's public URLs were not checked",
            "WATCHROOM = {'SITES': ['https://…'], …}, then build",
        )
    return green(f"no /metrics at {named(world.sites)}; {exporter}")


def _sites_closed(world: World) -> Finding | None:
    """Return which site shows metrics, or can't be checked; None if none does."""
    bases = dict.fromkeys(base for mount in world.mounts for base in mount)
    urls = [f"{base}{path}" for base in bases for path in _METRICS]
    monitor = world.built.manifest.monitor_url.rstrip("/")
    if monitor and not is_loopback(monitor):
        urls.append(f"{monitor}/metrics")
    seen = {url: _metrics_at(url) for url in urls}
    if shown := [url for url, what in seen.items() if what == _SHOWN]:
        return red(
            f"metrics are public at {named(shown)}",
            "remove that route, or require a token; behind a proxy without "
            "X-Forwarded-For every client looks like 127.0.0.1",
        )
    if silent := [f"{url} {what}" for url, what in seen.items() if what != _CLOSED]:
        return unclear(
            f"can't tell whether metrics are public: {named(silent)}",
            "start the site, or run this check from a machine that reaches it",
        )
    return None


def _exporter_closed(exporter: str) -> Finding | str:
    """Return in words why the exporter isn't public, or that it is."""
    here = _metrics_at(f"{exporter}/metrics")
    if here not in {_SHOWN, _CLOSED}:
        return unclear(
            f"can't tell whether metrics are public: {exporter} {here}",
            "start the exporter: watchroom exporter",
        )
    if not is_loopback(exporter):
        if here == _SHOWN:
            return red(
                f"{exporter}/metrics answers without a token",
                "watchroom's exporter requires one; check which exporter this is",
            )
        return f"{exporter} requires a token"
    port = urlsplit(exporter).port or 80
    ours = _addresses()
    for address in ours:
        there = _metrics_at(f"http://{address}:{port}/metrics")
        if there == _SHOWN:
            return red(
                f"the exporter answers on {address}:{port} without a token",
                "make it listen on 127.0.0.1 only: WATCHROOM['EXPORTER']",
            )
        # A refused connection proves that nothing listens; a time-out doesn't.
        if there not in {_CLOSED, _REFUSED}:
            return unclear(
                "can't tell whether other machines reach the exporter: "
                f"{address}:{port} {there}",
                "try from another machine: curl http://THIS-MACHINE:PORT/metrics",
            )
    elsewhere = f", not on {named(ours)}" if ours else ", this machine's only address"
    return f"the exporter listens on loopback only{elsewhere}"


def _metrics_at(url: str) -> str:
    """Return what an unauthenticated client gets at `url`."""
    try:
        answer = client.fetch(url, seconds=5.0)
    except client.PeerError as error:
        return _REFUSED if error.refused else "doesn't answer"
    if answer.status >= 500:
        return f"answered {answer.status}"
    lines = answer.body.splitlines()[:200]
    shown = answer.status == 200 and any(line.startswith("# TYPE ") for line in lines)
    return _SHOWN if shown else _CLOSED


def _addresses() -> list[str]:
    """Return the addresses by which other machines may know this one."""
    addresses = set()
    for family, far in (
        (socket.AF_INET, "192.0.2.1"),
        (socket.AF_INET6, "2001:db8::1"),
    ):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))  # a datagram socket sends nothing for that
            address = str(probe.getsockname()[0])
            addresses.add(f"[{address}]" if ":" in address else address)
    with suppress(OSError):
        addresses |= set(socket.gethostbyname_ex(socket.gethostname())[2])
    return sorted(a for a in addresses if not a.startswith(("127.", "[::1]", "[fe80")))

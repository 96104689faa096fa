"""What others reach: the health addresses, the link in a page, and nothing more."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from watchroom.prove import client
from watchroom.prove.world import Finding, green, is_loopback, named, red, unclear

if TYPE_CHECKING:
    from watchroom.prove.world import World

_HEALTH = ("/health/", "/livez", "/readyz")
_INSTALL = (
    "urlpatterns = [path('', include('watchroom.urls')), …] puts the health addresses "
    "at the root of the site"
)
# Where the app, a reverse proxy or another library would show its metrics.
_METRICS = ("/metrics", "/metrics/")


def health(world: World) -> Finding:
    """Each site answers its health addresses, well, in the guide's shape."""
    if not world.sites:
        return unclear(
            "SITES is empty: nobody says where the app answers",
            "WATCHROOM = {'SITES': ['https://…'], …}, then build",
        )
    said = []
    for site in world.sites:
        finding, line = _one_site(site)
        if finding is not None:
            return finding
        said.append(line)
    return green("; ".join(said))


def _one_site(site: str) -> tuple[Finding | None, str]:
    answers = {path: client.fetch(f"{site}{path}") for path in _HEALTH}
    missing = [path for path, answer in answers.items() if answer.status == 404]
    if missing:
        return red(f"{site}: {named(missing)} not there (404)", _INSTALL), ""
    body = answers["/health/"].json()
    if not isinstance(body, dict) or not isinstance(body.get("checks"), dict):
        return (
            red(f"{site}/health/ does not answer with {{status, checks}}", _INSTALL),
            "",
        )
    checks: dict[str, Any] = body["checks"]
    failing = [name for name, word in checks.items() if word != "ok"]
    refused = [f"{p} {a.status}" for p, a in answers.items() if a.status != 200]
    if refused:
        return (
            red(
                f"{site}: {named(refused)}"
                + (f"; failing checks: {named(failing)}" if failing else ""),
                "mend what the failing checks look at; the runbook HealthCheckFailing "
                "has the commands",
            ),
            "",
        )
    if failing:
        return red(f"{site}/health/: {named(failing)} not ok", "mend it"), ""
    return None, f"{site}/health/ ok ({named(sorted(checks), 6)}), /livez, /readyz"


def link(world: World) -> Finding:
    """The address that pages carry opens, from here, without a page of an error."""
    base = world.built.manifest.monitor_url.rstrip("/")
    alerts = [a.name for vital in world.built.manifest.vitals for a in vital.alerts]
    url = f"{base}/runbooks/{alerts[0]}" if alerts else base
    if is_loopback(base):
        return red(
            f"pages link to {base}, which is the reader's own machine",
            "WATCHROOM = {'MONITOR_URL': 'https://…'}: an address that phones reach, "
            "such as a proxy with TLS before the monitor",
        )
    try:
        answer = client.fetch(url)
    except client.PeerError as error:
        return red(f"the link in a page: {error}", "is the proxy up, and DNS right?")
    if answer.status != 200:
        return red(
            f"the link in a page, {url}, answers {answer.status}",
            "MONITOR_URL must lead to the monitor, its path included",
        )
    ours = "watchroom" in answer.body
    if world.chain.embedded and not ours:
        return red(
            f"{url} opens another page than the monitor's",
            "MONITOR_URL must lead to the monitor, its path included",
        )
    how = "and asks for a login" if "/login" in urlsplit(answer.url).path else "at once"
    return green(f"{url} opens from this machine, {how}")


def metrics_closed(world: World) -> Finding:
    """No stranger reads metrics: not by the sites, not from another machine."""
    open_ = [
        url
        for site in world.sites
        for path in _METRICS
        if _shows_metrics(url := f"{site}{path}")
    ]
    if open_:
        return red(
            f"strangers read metrics at {named(open_)}",
            "take that route away, or ask for a token; a proxy makes every stranger "
            "127.0.0.1",
        )
    exporter = world.chain.exporter
    if not is_loopback(exporter):
        if _shows_metrics(f"{exporter}/metrics"):
            return red(
                f"{exporter}/metrics answers without a token",
                "watchroom's exporter asks for one; is that another exporter?",
            )
        tried = f"{exporter} asks for its token"
    else:
        port = urlsplit(exporter).port or 80
        ours = _addresses()
        for address in ours:
            if _shows_metrics(f"http://{address}:{port}/metrics"):
                return red(
                    f"the exporter answers on {address}:{port} without a token",
                    "let it listen on 127.0.0.1 only: WATCHROOM['EXPORTER']",
                )
        tried = "the exporter does not answer strangers"
        tried += f" on {named(ours)}" if ours else ": no other address here"
    if not world.sites:
        return unclear(
            f"{tried}; SITES is empty, so the app's own addresses were not tried",
            "WATCHROOM = {'SITES': ['https://…'], …}, then build",
        )
    return green(f"no /metrics at {named(world.sites)}; {tried}")


def _shows_metrics(url: str) -> bool:
    with suppress(client.PeerError):
        answer = client.fetch(url, seconds=5.0)
        lines = answer.body.splitlines()[:200]
        return answer.status == 200 and any(
            line.startswith("# TYPE ") for line in lines
        )
    return False


def _addresses() -> list[str]:
    """Return the addresses by which other machines may know this one."""
    found = set()
    for family, far in (
        (socket.AF_INET, "192.0.2.1"),
        (socket.AF_INET6, "2001:db8::1"),
    ):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))  # a datagram socket sends nothing for that
            address = str(probe.getsockname()[0])
            found.add(f"[{address}]" if ":" in address else address)
    with suppress(OSError):
        found |= set(socket.gethostbyname_ex(socket.gethostname())[2])
    return sorted(a for a in found if not a.startswith(("127.", "[::1]", "[fe80")))

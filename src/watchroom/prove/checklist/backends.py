"""Error tracking and logs: a marked event arrives, or it can't be verified."""

from __future__ import annotations

import json
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from watchroom.messages import links
from watchroom.messages.scrub import origin
from watchroom.prove import client
from watchroom.prove.checklist.world import Finding, green, named, red, unclear
from watchroom.prove.records import (
    FAILED,
    PASSED,
    UNVERIFIABLE,
    Result,
    fingerprint,
)
from watchroom.urgency import NO_DRILLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchroom.prove.checklist.world import World

_DAYS = 30
_ERRORS, _LOGS = "an event to Sentry", "a line to the logs"
_LOGS_SECONDS = 30.0


class _Dsn(NamedTuple):
    url: str
    key: str


def errors(world: World) -> Finding:
    """Sentry acknowledges an event, and the app's processes have its SDK at work."""
    event, sdk = _event(world), _sdk(world)
    worst = next(
        (
            finding
            for state in (FAILED, UNVERIFIABLE)
            for finding in (sdk, event)
            if finding.state == state
        ),
        sdk,
    )
    evidence = dict.fromkeys((event.evidence, sdk.evidence))
    return worst._replace(evidence="; ".join(evidence), proofs=event.proofs)


def _event(world: World) -> Finding:
    """Sentry takes an event, when one may be sent."""
    text = world.environ.get("SENTRY_DSN", "").strip()
    if not text:
        return unclear(
            "SENTRY_DSN is not set in this shell: no test event can be sent",
            "create a project in Sentry, set SENTRY_DSN to its DSN, call "
            "watchroom.sentry() in the settings, then run: "
            + world.command("check", "--send"),
        )
    dsn = _dsn(text)
    if dsn is None:
        return red(
            "SENTRY_DSN is not a valid DSN",
            "it looks like https://KEY@HOST/PROJECT; copy it from Sentry's settings",
        )
    mark = fingerprint(dsn.url, secret=dsn.key)
    if not world.send:
        return _last_try(world, _ERRORS, mark) or unclear(
            f"configured for {origin(dsn.url)}; no test event has been sent there",
            "send one and wait for its acknowledgement: "
            + world.command("check", "--send"),
        )
    return _recorded(world, _ERRORS, mark, lambda: _send(world, dsn))


def _send(world: World, dsn: _Dsn) -> Finding:
    host = origin(dsn.url)
    event_id = secrets.token_hex(16)
    answer = client.fetch(
        dsn.url,
        data=_envelope(world, event_id),
        headers={
            "Content-Type": "application/x-sentry-envelope",
            "X-Sentry-Auth": f"Sentry sentry_version=7, sentry_key={dsn.key}, "
            "sentry_client=watchroom/1",
        },
    )
    if answer.status != 200:
        return red(
            f"{host} answered {answer.status} to a test event",
            "check that the DSN's key is active and the project within its quota",
        )
    return green(f"{host} accepted the test event {event_id[:8]}")


def _sdk(world: World) -> Finding:
    """Every live web and worker process sends its errors."""
    try:
        live = _by_role(world, "watchroom_processes")
        sending = _by_role(world, "watchroom_sentry_processes")
        release = _release(world)
    except client.PeerError as error:
        return unclear(
            f"can't tell whether the app's processes send errors: {error}",
            "start it, or give its address: see watchroom check --help",
        )
    if not sending:
        return unclear(
            "the exporter doesn't report whether the app's processes send errors",
            "update watchroom where the exporter runs, and restart it",
        )
    if not any(live.values()):
        return unclear("no web or worker process is running", "start the app")
    counts = [
        f"{sending.get(role, 0)} of {count} {role}"
        for role, count in live.items()
        if count
    ]
    counted = f"{' and '.join(counts)} processes send errors"
    if any(sending.get(role, 0) < count for role, count in live.items()):
        return red(
            counted,
            "call watchroom.sentry() in the settings, set SENTRY_DSN for every "
            "process, and restart them",
        )
    return green(f"{counted}; {release}")


def _by_role(world: World, metric: str) -> dict[str, int]:
    rows = world.query(f'sum by (role) ({metric}{{{NO_DRILLS},role=~"web|worker"}})')
    counts = {row["metric"].get("role", ""): int(row["value"][1]) for row in rows}
    return dict(sorted(counts.items()))


def _release(world: World) -> str:
    """Return the release that the app's processes report to error tracking."""
    rows = world.query(f"group by (release) (watchroom_release_info{{{NO_DRILLS}}})")
    names = [row["metric"].get("release", "") for row in rows]
    known = [name for name in names if name]
    if not known:
        return "the app's processes report no release: set WATCHROOM_RELEASE"
    return f"the app runs release {named(sorted(known))}"


def _dsn(text: str) -> _Dsn | None:
    parts = urlsplit(text)
    head, _, project = parts.path.rpartition("/")
    if parts.scheme not in {"http", "https"} or not parts.username or not project:
        return None
    host = parts.netloc.rpartition("@")[2]
    return _Dsn(
        f"{parts.scheme}://{host}{head}/api/{project}/envelope/", parts.username
    )


def _envelope(world: World, event_id: str) -> bytes:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event = {
        "event_id": event_id,
        "timestamp": now,
        "level": "info",
        "platform": "python",
        "environment": world.built.manifest.environment,
        "message": {"formatted": "A test by `watchroom check`: nothing is wrong"},
        "tags": {"watchroom": "check"},
    }
    lines = ({"event_id": event_id, "sent_at": now}, {"type": "event"}, event)
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def logs(world: World) -> Finding:
    """A request with a marked id leaves its line where LOGS_URL looks."""
    template = world.built.manifest.logs_url
    if not template:
        return unclear(
            "LOGS_URL is not set: the address of the log store is unknown",
            "set WATCHROOM = {'LOGS_URL': 'https://…{request_id}…'}, then build",
        )
    if "{request_id}" not in template or not world.sites:
        return unclear(
            "LOGS_URL has no {request_id}, or SITES is empty",
            "add {request_id} to LOGS_URL, and the site's URL to SITES",
        )
    mark = fingerprint(template, world.sites[0])
    if not world.send:
        return _last_try(world, _LOGS, mark) or unclear(
            f"configured for {origin(template)}; not searched yet",
            "make a request and search for its log line: "
            + world.command("check", "--send"),
        )
    return _recorded(world, _LOGS, mark, lambda: _request(world, template))


def _request(world: World, template: str) -> Finding:
    marker = f"watchroom-check-{secrets.token_hex(8)}"
    client.fetch(f"{world.sites[0]}/", headers={"X-Request-ID": marker})
    return _look(world, template, marker)


def _look(world: World, template: str, marker: str) -> Finding:
    where = origin(template)
    other = f"watchroom-check-{secrets.token_hex(8)}"
    if other in _search(world, template, other):
        return unclear(
            f"{where} repeats the search term in its answer, so a match proves nothing",
            "look there yourself, or set LOGS_URL to an address that returns "
            "only log lines",
        )
    deadline = time.monotonic() + _LOGS_SECONDS
    while marker not in _search(world, template, marker):
        if time.monotonic() > deadline:
            return red(
                f"{where} has no log line of a request made {_LOGS_SECONDS:.0f} s ago",
                "check that the app logs to stdout (LOGGING = watchroom.logging()) "
                "and the log collector is running",
            )
        time.sleep(1)
    # Searched for before the marker, so a store that logs its searches has this one
    # by now.
    if other in _search(world, template, other):
        return unclear(
            f"{where} logs its own search requests, so a match proves nothing",
            "exclude the log store's own lines in LOGS_URL, or look there yourself",
        )
    return green(f"{where} has the log line of a test request")


def _search(world: World, template: str, marker: str) -> str:
    manifest = world.built.manifest
    now = time.time()
    url = links.fill(
        template,
        now - 300,
        now + 60,
        {
            "request_id": marker,
            "project": manifest.project,
            "environment": manifest.environment,
        },
    )
    token = world.environ.get("LOGS_TOKEN", "")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.fetch(url, headers=headers).body


def _last_try(world: World, name: str, mark: str) -> Finding | None:
    """Return the last result, if it is of the current configuration."""
    record = world.record("sent", name)
    if record is None or record.result.of != mark:
        return None
    last = record.result
    evidence = f"{last.detail}, {world.ago(last.at)}"
    if last.state != PASSED:
        return red(
            evidence, f"{last.more}; then run: {world.command('check', '--send')}"
        )
    return green(evidence) if world.passed_within("sent", name, _DAYS) else None


def _recorded(
    world: World, name: str, mark: str, probe: Callable[[], Finding]
) -> Finding:
    """Return a probe's finding with its result; a failure replaces an older success."""
    try:
        finding = probe()
    except client.PeerError as error:
        finding = red(str(error), "start it, or correct its address")
    if finding.state == UNVERIFIABLE:
        return finding
    proof = Result(
        *("sent", name, world.now, finding.state, finding.evidence, finding.next),
        of=mark,
    )
    return finding._replace(proofs=(proof,))

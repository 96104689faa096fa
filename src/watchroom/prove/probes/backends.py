"""Where errors and logs are kept: a marked event arrives, or it cannot be known."""

from __future__ import annotations

import json
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from watchroom.formats import links
from watchroom.prove import client
from watchroom.prove.records import PASSED, Result
from watchroom.prove.world import Finding, green, named, red, unclear

if TYPE_CHECKING:
    from watchroom.prove.world import World

_DAYS = 30
_ERRORS, _LOGS = "an event to Sentry", "a line to the logs"
_LOGS_SECONDS = 30.0


class _Dsn(NamedTuple):
    url: str
    key: str


def errors(world: World) -> Finding:
    """Sentry acknowledges an event, when one may be sent."""
    text = world.environ.get("SENTRY_DSN", "").strip()
    if not text:
        return _before(world, _ERRORS) or unclear(
            "SENTRY_DSN is not set here: no event can be sent",
            "create a project in Sentry, put its DSN into SENTRY_DSN, call "
            "watchroom.sentry() in the settings, then: watchroom check --send",
        )
    dsn = _dsn(text)
    if dsn is None:
        return red(
            "SENTRY_DSN is no DSN",
            "it looks like https://KEY@HOST/PROJECT; copy it from Sentry's settings",
        )
    host = client.redacted(dsn.url)
    if not world.send:
        return _before(world, _ERRORS) or unclear(
            f"configured for {host}; no event was sent there by a check",
            "watchroom check --send sends one and waits for its acknowledgement",
        )
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
            f"{host} answers {answer.status} to a test event",
            "is the DSN's key active, and its project not over its quota?",
        )
    return _sent(
        world, _ERRORS, f"{host} took the test event {event_id[:8]}; {_release(world)}"
    )


def _release(world: World) -> str:
    """Return which release errors are told apart by, as the app's processes say."""
    rows = world.query('group by (release) (watchroom_release_info{job!~"drill-.+"})')
    names = [row["metric"].get("release", "") for row in rows]
    known = [name for name in names if name]
    if not known:
        return "the app's processes say no release (WATCHROOM_RELEASE)"
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
            "LOGS_URL is not set: nobody says where logs are read",
            "WATCHROOM = {'LOGS_URL': 'https://…{request_id}…'}, then build",
        )
    if "{request_id}" not in template or not world.sites:
        return unclear(
            "LOGS_URL cannot look for one request, or SITES is empty",
            "put {request_id} into LOGS_URL, and the site into SITES",
        )
    if not world.send:
        return _before(world, _LOGS) or unclear(
            f"configured for {client.redacted(template)}; no line was looked for",
            "watchroom check --send makes a request and looks for its line",
        )
    marker = f"watchroom-check-{secrets.token_hex(8)}"
    client.fetch(f"{world.sites[0]}/", headers={"X-Request-ID": marker})
    return _look(world, template, marker)


def _look(world: World, template: str, marker: str) -> Finding:
    where = client.redacted(template)
    other = f"watchroom-check-{secrets.token_hex(8)}"
    if other in _found(world, template, other):
        return unclear(
            f"{where} repeats what it is asked for, whether it has it or not",
            "look there yourself, or let LOGS_URL be an address that answers with data",
        )
    deadline = time.monotonic() + _LOGS_SECONDS
    while marker not in _found(world, template, marker):
        if time.monotonic() > deadline:
            return red(
                f"the line of a request made {_LOGS_SECONDS:.0f} s ago is not in "
                f"{where}",
                "does the app log to stdout (LOGGING = watchroom.logging()), and does "
                "the collector run?",
            )
        time.sleep(1)
    return _sent(world, _LOGS, f"the line of a marked request is in {where}")


def _found(world: World, template: str, marker: str) -> str:
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


def _before(world: World, name: str) -> Finding | None:
    """Return what an earlier check has seen arrive."""
    at = world.passed_within("sent", name, _DAYS)
    record = world.record("sent", name)
    if record is None:
        return None
    if record.result.state != PASSED or at is None:
        return None
    return green(f"{record.result.detail}, {world.ago(at)}")


def _sent(world: World, name: str, detail: str) -> Finding:
    proof = Result("sent", name, world.now, PASSED, detail)
    return green(detail)._replace(proofs=(proof,))

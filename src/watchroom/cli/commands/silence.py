"""`watchroom silence MATCHER…`: silence alerts for a limited time."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import click

from watchroom.cli.ask import Monitor, fail, say
from watchroom.cli.options import DURATION, name_of, where
from watchroom.errors import ConfigError, nearest
from watchroom.formats import matchers as written
from watchroom.units import format_duration, span

if TYPE_CHECKING:
    from pathlib import Path

_API = "/api/v2/silences"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@click.command()
@click.argument("matchers", nargs=-1, metavar="[MATCHER]...")
@click.option(
    "--for",
    "length",
    default="1h",
    type=DURATION,
    show_default=True,
    help="Duration of the silence.",
)
@click.option("--reason", default="", help="Why; required for a new silence.")
@name_of("Your name. [$USER]")
@click.option(
    "--list", "listing", is_flag=True, help="List active and pending silences."
)
@click.option("--expire", metavar="ID", help="End this silence now.")
@where
def silence(
    *,
    matchers: tuple[str, ...],
    length: float,
    reason: str,
    who: str,
    listing: bool,
    expire: str | None,
    directory: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Silence alerts that match every MATCHER, for a limited time.

    MATCHER is an alert's name, or a matcher as in alertmanager.yml: job="app",
    route=~"reports/.*". Silenced rules are still evaluated; the overview and /silences
    show what is silenced.

    \b
    Examples:
      watchroom silence HighLatency --for 1h --reason "the nightly export"
      watchroom silence 'alertname=~"Celery.*"' 'env="staging"' --reason "no broker"
      watchroom silence --list
      watchroom silence --expire 6f1c2a5e-8f4e-4f39-9a39-0d2f4f3a2a11

    Exit codes: 0 done, 1 refused, 2 invalid input, or the monitor can't be reached.
    """  # noqa: D301 - click reads \b as the control character
    monitor = Monitor(directory, url)
    if expire is not None:
        _expire(monitor, expire)
        say({"expired": expire}, f"{expire} has ended", as_json=as_json)
    elif listing:
        silences = _silences(monitor)
        say(silences, lines(silences), as_json=as_json)
    elif not matchers:
        raise click.UsageError("give an alert's name or a matcher, or --list")
    elif not reason.strip():
        raise click.UsageError(
            "--reason is required: it tells others why this is silenced"
        )
    else:
        name = _make(monitor, matchers, length, reason, who)
        ending = monitor.command("silence", "--expire", name)
        text = f"silenced for {format_duration(length)}; to end it: {ending}"
        say({"silenceID": name}, text, as_json=as_json)


def _make(
    monitor: Monitor, matchers: tuple[str, ...], seconds: float, reason: str, who: str
) -> str:
    _refuse_unknown(monitor, matchers)
    now = datetime.now(UTC)
    body = {
        "matchers": [_matcher(text) for text in matchers],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(seconds=seconds)).isoformat(),
        "createdBy": who or "somebody",
        "comment": reason,
    }
    return str(_answer(monitor, _API, body=body)["silenceID"])


def _refuse_unknown(monitor: Monitor, matchers: tuple[str, ...]) -> None:
    """Refuse a name that no rule has: a silence of it would keep nothing quiet.

    As a matcher it is taken all the same: another server may send such alerts.
    """
    answer = monitor.raw("/api/v1/rules?type=alert")
    if not answer.ok:
        return  # Alertmanager itself, which knows no rules
    groups = json.loads(answer.body)["data"]["groups"]
    known = {rule["name"] for group in groups for rule in group["rules"]}
    for text in matchers:
        if _NAME.fullmatch(text) and text not in known:
            raise ConfigError(
                f"no rule is named {text!r}",
                hint=f"{nearest(text, known)}; to silence this name anyway: "
                f"'alertname=\"{text}\"'",
            )


def _matcher(text: str) -> dict[str, Any]:
    """Return a matcher as the API takes it; a bare word is an alert's name."""
    if _NAME.fullmatch(text):
        text = f'alertname="{text}"'
    matcher = written.read_one(text)
    return {
        "name": matcher.name,
        "value": matcher.value,
        "isRegex": "~" in matcher.op,
        "isEqual": not matcher.op.startswith("!"),
    }


def _silences(monitor: Monitor) -> list[dict[str, Any]]:
    silences = _answer(monitor, _API)
    return [silence for silence in silences if silence["status"]["state"] != "expired"]


def _expire(monitor: Monitor, name: str) -> None:
    answer = monitor.raw(f"/api/v2/silence/{name}", method="DELETE")
    if answer.status != HTTPStatus.NOT_FOUND and not answer.ok:
        monitor.refused(answer)
    if not answer.ok:
        listing = monitor.command("silence", "--list")
        fail(f"no active or pending silence has the ID {name}; list them: {listing}")


def _answer(monitor: Monitor, path: str, *, body: Any = None) -> Any:
    return monitor.json(monitor.raw(path, body=body))


def lines(silences: list[dict[str, Any]]) -> str:
    """Return silences for people: id, until when, matchers, who and why."""
    if not silences:
        return "no silences"
    return "\n".join(
        f"{silence['id']}  {_when(silence):<22}  "
        f"{', '.join(map(_written, silence['matchers']))}  "
        f"{silence['createdBy']}: {silence['comment']}"
        for silence in silences
    )


def _when(silence: dict[str, Any]) -> str:
    start, end = (_epoch(silence[key]) for key in ("startsAt", "endsAt"))
    now = time.time()
    if start > now:
        return f"begins in {span(start - now)}"
    return f"{span(end - now)} left"


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _written(matcher: dict[str, Any]) -> str:
    equal, regex = matcher.get("isEqual", True), matcher["isRegex"]
    op = ("=~" if equal else "!~") if regex else ("=" if equal else "!=")
    return f"{matcher['name']}{op}{json.dumps(matcher['value'], ensure_ascii=False)}"

"""Which receivers an alert reaches, and whether they take a message."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import re2

from watchroom.errors import ConfigError
from watchroom.formats.alertmanager import parse_matcher
from watchroom.prove import client

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from watchroom.formats.alertmanager import (
        Alertmanager,
        Receiver,
        Route,
        WebhookConfig,
    )


class Note(NamedTuple):
    """What a drill tells people.

    Attributes:
        title: What was drilled; `[DRILL]` is put before it.
        summary: One line for a phone's screen.
        description: Who sent it and why.
        nonce: Which run it was.
        url: Where the monitor is.
    """

    title: str
    summary: str
    description: str
    nonce: str
    url: str


class Answer(NamedTuple):
    """What one receiver said to a drill message.

    Attributes:
        receiver: Its name in alertmanager.yml.
        accepted: Whether it took the message (2xx).
        detail: Why not, or where it went; never a secret.
    """

    receiver: str
    accepted: bool
    detail: str


def receivers(config: Alertmanager, labels: Mapping[str, str]) -> list[str]:
    """Return the receivers that an alert with `labels` reaches, in order."""
    found = _walk(config.route, labels, config.route.receiver)
    return list(dict.fromkeys(found))


def tell(
    loud: Sequence[Receiver], directory: Path, note: Note, *, pause: float = 0.0
) -> list[Answer]:
    """Send a note through each receiver, and that it is over; return what they said.

    One answer a receiver: the first refusal, or that it took both.

    Args:
        loud: Receivers, as alertmanager.yml has them.
        directory: Where that file stands.
        note: What to say.
        pause: Seconds between the two.
    """
    answers: dict[str, Answer] = {}
    for status in ("firing", "resolved"):
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        body = message(note, status, now)
        for receiver in loud:
            before = answers.get(receiver.name)
            if before is not None and not before.accepted:
                continue
            said = send(receiver, directory, body)
            refused = [answer for answer in said if not answer.accepted]
            answers[receiver.name] = (refused or said)[0]
        if status == "firing":
            time.sleep(pause)
    return list(answers.values())


def message(note: Note, status: str, starts_at: str) -> dict[str, Any]:
    """Return a version-4 webhook body that nobody can take for a real page."""
    labels = {
        "alertname": f"[DRILL] {note.title}",
        "drill": note.nonce,
        "severity": "info",
    }
    identity = blake2b(f"{note.title} {note.nonce}".encode(), digest_size=8)
    notes = {"summary": note.summary, "description": note.description}
    ended = starts_at if status == "resolved" else "0001-01-01T00:00:00Z"
    alert = {
        "status": status,
        "labels": labels,
        "annotations": notes,
        "startsAt": starts_at,
        "endsAt": ended,
        "generatorURL": note.url,
        "fingerprint": identity.hexdigest(),
    }
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="[DRILL] {note.title}", drill="{note.nonce}"}}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "drill",
        "groupLabels": {"alertname": labels["alertname"]},
        "commonLabels": labels,
        "commonAnnotations": notes,
        "externalURL": note.url,
        "alerts": [alert],
    }


def send(receiver: Receiver, directory: Path, body: dict[str, Any]) -> list[Answer]:
    """Send `body` through each webhook of `receiver`, with its own credentials.

    Args:
        receiver: As alertmanager.yml has it.
        directory: Where that file stands; its ``*_file`` paths are relative to it.
        body: A version-4 webhook body.
    """
    answers = []
    for hook in receiver.webhook_configs:
        try:
            url, token = _address(hook, directory)
            client.post(url, {**body, "receiver": receiver.name}, token=token)
        except (ConfigError, client.PeerError) as error:
            answers.append(Answer(receiver.name, accepted=False, detail=str(error)))
        else:
            where = client.redacted(url)
            answers.append(Answer(receiver.name, accepted=True, detail=where))
    return answers


def lacking(receiver: Receiver, directory: Path) -> str:
    """Return which secret file of `receiver` cannot be read, or nothing."""
    try:
        for hook in receiver.webhook_configs:
            _address(hook, directory)
    except ConfigError as error:
        return str(error)
    return ""


def _address(hook: WebhookConfig, directory: Path) -> tuple[str, str]:
    """Return the URL and the token of a webhook."""
    auth = hook.http_config.authorization if hook.http_config else None
    return (
        hook.url or _secret(directory, hook.url_file),
        _secret(directory, auth.credentials_file) if auth else "",
    )


def _secret(directory: Path, name: str) -> str:
    path = directory / name
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", file=path, hint="put the secret there"
        ) from None


def _walk(route: Route, labels: Mapping[str, str], inherited: str) -> list[str]:
    receiver = route.receiver or inherited
    found: list[str] = []
    for child in route.routes:
        if not all(_holds(text, labels) for text in child.matchers):
            continue
        found += _walk(child, labels, receiver)
        if not child.continue_:
            break
    return found or [receiver]


def _holds(text: str, labels: Mapping[str, str]) -> bool:
    name, op, wanted = parse_matcher(text)
    value = labels.get(name, "")
    same = re2.fullmatch(wanted, value) is not None if "~" in op else value == wanted
    return same is (op[0] == "=")

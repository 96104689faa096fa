"""A drill's message, in each receiver's own protocol and with its credentials.

Always at the lowest urgency, except a page meant to wake someone, and always marked
as a test.
"""

from __future__ import annotations

import time
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom.errors import ConfigError
from watchroom.formats.receivers import (
    EmailConfig,
    PagerdutyConfig,
    SlackConfig,
    WebhookConfig,
)
from watchroom.messages import email, pagerduty, slack, smtp, webhook
from watchroom.messages.scrub import origin, scrubbed, secrets_of
from watchroom.prove import client

if TYPE_CHECKING:
    from pathlib import Path

    from watchroom.formats.receivers import Config

_SECONDS = 10.0


class DrillNote(NamedTuple):
    """A drill's message.

    Attributes:
        title: What was drilled; the mark of a test is put before it.
        summary: One line for a phone's screen.
        description: Who sent it and why.
        nonce: Identifies the run.
        url: The monitor's URL.
        severity: ``info``, or ``critical`` for a page meant to wake someone.
        answer_url: The link to acknowledge it, or empty.
    """

    title: str
    summary: str
    description: str
    nonce: str
    url: str
    severity: str = "info"
    answer_url: str = ""

    @property
    def name(self) -> str:
        """The alert's name in messages, marked as a drill."""
        return f"[DRILL] {self.title}"

    @property
    def group_key(self) -> str:
        """What the messages of one run have in common."""
        return f'{{}}:{{alertname="{self.name}", drill="{self.nonce}"}}'

    @property
    def links(self) -> list[tuple[str, str]]:
        """Text and URL of the message's links."""
        answer = [("Acknowledge", self.answer_url)] if self.answer_url else []
        return [*answer, ("Monitor", self.url)]


def send(config: Config, directory: Path, note: DrillNote, status: str) -> str:
    """Send a note once; return where it went, without its secrets.

    Raises:
        ConfigError: A secret cannot be read.
        PeerError: It was not accepted; gives the reason, without secrets.
    """
    match config:
        case WebhookConfig():
            return _webhook(config, directory, note, status)
        case SlackConfig():
            return _slack(config, directory, note, status)
        case PagerdutyConfig():
            return _pagerduty(config, directory, note, status)
        case EmailConfig():
            return _mail(config, directory, note, status)


def secret(directory: Path, name: str) -> str:
    """Return a secret's text.

    Raises:
        ConfigError: It cannot be read.
    """
    path = directory / name
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}",
            file=path,
            hint="put the secret into this file",
        ) from None


def message(note: DrillNote, status: str, at_ms: int) -> dict[str, Any]:
    """Return a version-4 webhook body that is clearly marked as a drill.

    Args:
        note: What to send.
        status: ``firing`` or ``resolved``.
        at_ms: When it began, and when it ended: milliseconds since the epoch.
    """
    labels = {"alertname": note.name, "drill": note.nonce, "severity": note.severity}
    identity = blake2b(f"{note.title} {note.nonce}".encode(), digest_size=8)
    annotations = {"summary": note.summary, "description": note.description}
    if note.answer_url:
        annotations["acknowledge_url"] = note.answer_url
    alert = webhook.WebhookAlert(
        tuple(sorted(labels.items())),
        tuple(sorted(annotations.items())),
        at_ms,
        at_ms if status == "resolved" else None,
        note.url,
        identity.hexdigest(),
    )
    return webhook.payload(
        [alert],
        receiver="drill",
        group_labels=(("alertname", note.name),),
        group_key=note.group_key,
        external_url=note.url,
    )


def _webhook(
    config: WebhookConfig, directory: Path, note: DrillNote, status: str
) -> str:
    url = config.url or secret(directory, config.url_file)
    auth = config.http_config.authorization if config.http_config else None
    token = secret(directory, auth.credentials_file) if auth else ""
    now_ms = round(time.time() * 1000)
    _post(
        url,
        message(note, status, now_ms),
        token=token,
        secrets=(*secrets_of(url), token),
    )
    return origin(url)


def _slack(config: SlackConfig, directory: Path, note: DrillNote, status: str) -> str:
    url = config.api_url or secret(directory, config.api_url_file)
    prefix = "" if status == "firing" else "Resolved: "
    body = slack.payload(
        title=f"{prefix}{slack.escape(note.summary)}",
        text=slack.escape(note.description),
        color="danger" if (note.severity, prefix) == ("critical", "") else "good",
        fallback=f"{prefix}{slack.escape(note.summary)}",
        channel=config.channel,
        links=note.links,
    )
    _post(url, body, secrets=secrets_of(url))
    return origin(url)


def _pagerduty(
    config: PagerdutyConfig, directory: Path, note: DrillNote, status: str
) -> str:
    key = secret(directory, config.routing_key_file)
    event = pagerduty.event(
        action="trigger" if status == "firing" else "resolve",
        key=pagerduty.dedup_key(note.group_key),
        summary=note.summary,
        source=note.url,
        severity=note.severity,
        client="watchroom",
        client_url=note.url,
        details={"description": note.description},
        links=note.links,
        class_=note.name,
    )
    _post(config.url, {"routing_key": key, **event}, secrets=(key,))
    return origin(config.url)


def _mail(config: EmailConfig, directory: Path, note: DrillNote, status: str) -> str:
    password = (
        secret(directory, config.auth_password_file)
        if config.auth_password_file
        else ""
    )
    server = config.server(directory)._replace(password=password)
    prefix = "" if status == "firing" else "Resolved: "
    links = "".join(f"{text}: {href}\n" for text, href in note.links)
    mail = email.message(
        sender=config.from_,
        to=config.to,
        subject=f"{prefix}{note.summary}",
        text=f"{prefix}{note.summary}\n\n{note.description}\n\n{links}",
        thread=note.group_key,
        at=time.time(),
    )
    sender, to = email.addresses(config.from_)[0], email.addresses(config.to)
    outcome = smtp.send(server, mail, sender, to, _SECONDS)
    if outcome.error:
        error = scrubbed(outcome.error, (password,))
        raise client.PeerError(f"smtp://{config.smarthost}: {error}")
    return f"smtp://{config.smarthost}"


def _post(
    url: str, body: dict[str, Any], *, token: str = "", secrets: tuple[str, ...]
) -> None:
    try:
        client.post(url, body, token=token)
    except client.PeerError as error:
        raise client.PeerError(scrubbed(str(error), secrets), error.status) from None

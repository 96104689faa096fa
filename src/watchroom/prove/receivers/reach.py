"""Which receivers an alert reaches, and whether they accept a message."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import ConfigError
from watchroom.formats.routes import compile_route
from watchroom.promql.model import labels_of
from watchroom.prove import client
from watchroom.prove.receivers import send
from watchroom.prove.records import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from watchroom.formats.alertmanager import Alertmanager
    from watchroom.formats.receivers import Receiver
    from watchroom.prove.receivers.send import DrillNote


class ReceiverAnswer(NamedTuple):
    """One receiver's answer to a drill message.

    Attributes:
        receiver: Its name in alertmanager.yml.
        accepted: Whether it accepted the message (2xx).
        detail: Why not, or where it went; never a secret.
    """

    receiver: str
    accepted: bool
    detail: str


def receivers(config: Alertmanager, labels: Mapping[str, str]) -> list[str]:
    """Return the receivers that an alert with `labels` reaches, in order."""
    taken = compile_route(config.route).match(labels_of(dict(labels)))
    return list(dict.fromkeys(node.receiver for node in taken))


def send_drill(
    notifying: Sequence[Receiver],
    directory: Path,
    note: DrillNote,
    *,
    statuses: Sequence[str] = ("firing", "resolved"),
) -> list[ReceiverAnswer]:
    """Send a note, and its end, through each receiver; return their answers.

    One answer per receiver: its first refusal, or that it accepted all.

    Args:
        notifying: Receivers, as alertmanager.yml has them.
        directory: Of that file; its ``*_file`` paths are relative to it.
        note: What to send.
        statuses: The statuses to send, one after the other.
    """
    answers: dict[str, ReceiverAnswer] = {}
    for status in statuses:
        for receiver in notifying:
            before = answers.get(receiver.name)
            if before is None or before.accepted:
                answers[receiver.name] = _send(receiver, directory, note, status)
    return list(answers.values())


def _send(
    receiver: Receiver, directory: Path, note: DrillNote, status: str
) -> ReceiverAnswer:
    where = []
    for name, config in receiver.integrations().items():
        try:
            where.append(send.send(config, directory, note, status))
        except (ConfigError, client.PeerError) as error:
            return ReceiverAnswer(
                receiver.name, accepted=False, detail=f"{name}: {error}"
            )
    return ReceiverAnswer(receiver.name, accepted=True, detail=", ".join(where))


def lacking(receiver: Receiver, directory: Path) -> str:
    """Return which secret file of `receiver` cannot be read, or nothing."""
    try:
        for config in receiver.integrations().values():
            for name in config.secrets():
                send.secret(directory, name)
    except ConfigError as error:
        return str(error)
    return ""


def mark(receiver: Receiver, directory: Path) -> str:
    """Return a fingerprint of a receiver's configuration and secrets.

    If the secrets can't be read, it is only the first part of that.
    """
    texts = []
    try:
        for config in receiver.integrations().values():
            texts += [send.secret(directory, name) for name in config.secrets()]
    except ConfigError:
        return fingerprint(repr(receiver))
    return fingerprint(repr(receiver), secret="\n".join(texts))


def urls(receiver: Receiver, directory: Path) -> list[str]:
    """Return the URLs of a receiver's webhooks, all of them secrets.

    A URL that can't be read is left out.
    """
    addresses = []
    for hook in receiver.webhook_configs:
        with contextlib.suppress(ConfigError):
            addresses.append(hook.url or send.secret(directory, hook.url_file))
    return addresses

"""The integrations of a configuration's receivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.errors import ConfigError, NotSupportedError
from watchroom.formats.receivers import (
    EmailConfig,
    PagerdutyConfig,
    SlackConfig,
    WebhookConfig,
)
from watchroom.monitor.notify.email import Mail
from watchroom.monitor.notify.pagerduty import PagerDuty
from watchroom.monitor.notify.slack import Slack
from watchroom.monitor.notify.webhook import Webhook

if TYPE_CHECKING:
    from pathlib import Path

    from watchroom.formats.alertmanager import Alertmanager
    from watchroom.formats.receivers import Config
    from watchroom.monitor.notify.integration import Integration


def integrations(config: Alertmanager, root: Path) -> dict[str, dict[str, Integration]]:
    """Return receiver → name (``slack[0]``) → integration.

    Args:
        config: A `formats.alertmanager` configuration.
        root: The directory that its files are relative to.

    Raises:
        NotSupportedError: A template does not parse.
    """
    by_receiver: dict[str, dict[str, Integration]] = {}
    for i, receiver in enumerate(config.receivers):
        by_receiver[receiver.name] = {}
        for name, entry in receiver.integrations().items():
            kind, _, place = name.partition("[")
            try:
                by_receiver[receiver.name][name] = _one(entry, root)
            except ConfigError as error:
                text = (error.field or "").partition(".")[2]  # after its kind
                raise NotSupportedError(
                    f"receiver {receiver.name}: {error.what}",
                    field=f"receivers[{i}].{kind}_configs[{place}.{text}",
                    hint="Alertmanager takes it, and fails at every message",
                ) from None
    return by_receiver


def _one(entry: Config, root: Path) -> Integration:
    match entry:
        case WebhookConfig():
            return Webhook(entry)
        case EmailConfig():
            return Mail(entry, root)
        case PagerdutyConfig():
            return PagerDuty(entry)
        case SlackConfig():
            return Slack(entry)

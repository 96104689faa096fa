"""Slack: a message through an incoming webhook."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from watchroom.messages import slack, texts
from watchroom.messages.scrub import secrets_of
from watchroom.monitor.notify import webhook
from watchroom.monitor.notify.integration import Links, SendResult, Wire
from watchroom.monitor.notify.message import MessageTemplate, data

if TYPE_CHECKING:
    from watchroom.formats.receivers import SlackConfig
    from watchroom.monitor.dispatch.notification import Notification

_TEXTS = {
    "title": texts.SLACK_TITLE,
    "title_link": texts.SLACK_LINK,
    "text": texts.SLACK_TEXT,
    "color": texts.SLACK_COLOR,
    "fallback": texts.SLACK_FALLBACK,
}


class Slack:
    """One entry of ``slack_configs``.

    Raises:
        ConfigError: A template does not parse.
    """

    def __init__(self, config: SlackConfig) -> None:
        self.send_resolved = config.send_resolved
        self.destination = webhook.redacted(config.api_url) if config.api_url else ""
        self._config = config
        self._texts: dict[str, MessageTemplate] = {}
        for name, default in _TEXTS.items():
            given = getattr(config, name)
            text = default if given is None else given
            self._texts[name] = MessageTemplate(text, f"slack_configs.{name}")

    def compose(
        self, notification: Notification, external_url: str, links: Links
    ) -> str:
        """Return the message's JSON."""
        dot = data(notification, external_url)
        fields = {
            name: text.expand(dot, slack.escape) for name, text in self._texts.items()
        }
        message = slack.payload(**fields, channel=self._config.channel, links=links)
        return json.dumps(message, ensure_ascii=False)

    async def send(self, body: str, wire: Wire) -> SendResult:
        """Post it once."""
        url = self._config.api_url or await wire.secret(self._config.api_url_file)
        attempt = await webhook.post(
            wire.session,
            url,
            body,
            timeout_seconds=wire.timeout,
            quoted=secrets_of(url),
        )
        return SendResult(webhook.redacted(url), attempt)

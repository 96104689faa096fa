"""PagerDuty: an incident opened and resolved through the Events API, version 2."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from watchroom.messages import pagerduty, texts
from watchroom.monitor.notify import webhook
from watchroom.monitor.notify.integration import Links, SendResult, Wire
from watchroom.monitor.notify.message import MessageTemplate, data

if TYPE_CHECKING:
    from watchroom.formats.receivers import PagerdutyConfig
    from watchroom.monitor.dispatch.notification import Notification

_TEXTS = {
    "summary": ("description", texts.PAGERDUTY_DESCRIPTION),
    "severity": ("severity", texts.PAGERDUTY_SEVERITY),
    "client": ("client", texts.PAGERDUTY_CLIENT),
    "client_url": ("client_url", texts.PAGERDUTY_CLIENT_URL),
    "class_": ("class_", ""),
    "component": ("component", ""),
    "group": ("group", ""),
}
_LINKS = (("Runbook", "runbook_url"), ("Dashboard", "dashboard_url"))


class PagerDuty:
    """One entry of ``pagerduty_configs``.

    Raises:
        ConfigError: A template does not parse.
    """

    def __init__(self, config: PagerdutyConfig) -> None:
        self.send_resolved = config.send_resolved
        self.destination = webhook.redacted(config.url)
        self._config = config
        self._texts: dict[str, MessageTemplate] = {}
        for name, (key, default) in _TEXTS.items():
            given = getattr(config, key)
            text = default if given is None else given
            self._texts[name] = MessageTemplate(text, f"pagerduty_configs.{key}")
        self._details = {
            name: MessageTemplate(text, f"pagerduty_configs.details.{name}")
            for name, text in (config.details or texts.PAGERDUTY_DETAILS).items()
        }

    def compose(
        self, notification: Notification, external_url: str, links: Links
    ) -> str:
        """Return the event's JSON, still without its routing key."""
        dot = data(notification, external_url)
        fields = {name: text.expand(dot) for name, text in self._texts.items()}
        shared = dot.fields["CommonAnnotations"]
        event = pagerduty.event(
            **fields,
            action="trigger" if notification.status == "firing" else "resolve",
            key=pagerduty.dedup_key(notification.key.group_key),
            source=fields["client"],
            details={name: text.expand(dot) for name, text in self._details.items()},
            links=(*links, *((text, shared.get(key, "")) for text, key in _LINKS)),
        )
        return json.dumps(event, ensure_ascii=False)

    @staticmethod
    def acknowledgement(group_key: str) -> str:
        """Return the JSON that acknowledges the incident of a group."""
        key = pagerduty.dedup_key(group_key)
        return json.dumps(pagerduty.event(action="acknowledge", key=key))

    async def send(self, body: str, wire: Wire) -> SendResult:
        """Post it once, with the key."""
        key = await wire.secret(self._config.routing_key_file)
        text = json.dumps({"routing_key": key, **json.loads(body)}, ensure_ascii=False)
        attempt = await webhook.post(
            wire.session,
            self._config.url,
            text,
            timeout_seconds=wire.timeout,
            quoted=(key,),
        )
        return SendResult(self.destination, attempt)

"""The receivers of alertmanager.yml: the kinds, and the keys of each, that we know.

Defaults are Alertmanager's. Secrets are in files only: a key in clear (`routing_key`,
`auth_password`) is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias

import msgspec

from watchroom.errors import ConfigError, NotSupportedError
from watchroom.formats import addresses, known_keys, yamlfile
from watchroom.messages import smtp

if TYPE_CHECKING:
    from pathlib import Path

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"


class Authorization(msgspec.Struct, **yamlfile.STRICT):
    """A bearer token, from a file."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.AUTHORIZATION
    type: str = "Bearer"
    credentials_file: str = ""

    def check(self) -> None:
        """Refuse what is not a bearer token."""
        kind = self.type.strip().lower()
        if kind == "basic":
            raise ConfigError("'basic' isn't a type of authorization", field="type")
        if kind not in {"bearer", ""}:
            raise NotSupportedError(
                f"authorization of the type {self.type!r} is not supported",
                field="type",
                hint="the embedded monitor sends Bearer tokens",
            )


class HttpConfig(msgspec.Struct, **yamlfile.STRICT):
    """How a webhook is called."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.RECEIVER_HTTP
    authorization: Authorization | None = None


class WebhookConfig(msgspec.Struct, **yamlfile.STRICT):
    """A webhook, by its URL or by a file that holds it (Alertmanager ≥ 0.26)."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.WEBHOOK
    url: str = ""
    url_file: str = ""
    send_resolved: bool = True
    max_alerts: int = 0
    http_config: HttpConfig | None = None

    def check(self) -> None:
        """Refuse what no message could be sent with."""
        if bool(self.url) == bool(self.url_file):
            raise ConfigError("a webhook needs exactly one of 'url' and 'url_file'")
        addresses.check_url(self.url, "url")
        if self.max_alerts < 0:
            raise ConfigError("must not be negative", field="max_alerts")
        if self.http_config and self.http_config.authorization:
            with yamlfile.within("http_config.authorization"):
                self.http_config.authorization.check()

    def secrets(self) -> list[str]:
        """Return the files that hold its secrets, relative to alertmanager.yml."""
        auth = self.http_config.authorization if self.http_config else None
        return _named(self.url_file, auth.credentials_file if auth else "")


class TlsConfig(msgspec.Struct, **yamlfile.STRICT):
    """Whose certificates are believed."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.TLS
    ca_file: str = ""


class EmailConfig(msgspec.Struct, **yamlfile.STRICT):
    """A mail over SMTP: TLS from the start on port 465, else STARTTLS if required."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.EMAIL
    to: str
    from_: str = msgspec.field(name="from")
    smarthost: str
    send_resolved: bool = False
    hello: str = "localhost"
    auth_username: str = ""
    auth_password_file: str = ""
    require_tls: bool = True
    tls_config: TlsConfig | None = None
    headers: dict[str, str] = {}
    text: str | None = None
    html: str | None = None

    def check(self) -> None:
        """Refuse what no message could be sent with."""
        if not self.to:
            raise ConfigError("must not be empty", field="to")
        addresses.check_host_port(self.smarthost)
        names = [name.casefold() for name in self.headers]
        if len(set(names)) < len(names):
            raise ConfigError("a header is listed twice", field="headers")
        if bool(self.auth_username) != bool(self.auth_password_file):
            raise NotSupportedError(
                "auth_username and auth_password_file need each other",
                field="auth_username",
                hint="set both, or neither",
            )
        if self.html:
            raise NotSupportedError(
                "'html' is not supported by the embedded monitor",
                field="html",
                hint="write html: ''",
            )

    def secrets(self) -> list[str]:
        """Return the files that hold its secrets, relative to alertmanager.yml."""
        return _named(self.auth_password_file)

    def server(self, root: Path) -> smtp.Server:
        """Return the mail server, without its password.

        Args:
            root: What ``ca_file`` is relative to.
        """
        host, _, port = self.smarthost.rpartition(":")
        ca_file = root / self.tls_config.ca_file if self.tls_config else None
        return smtp.Server(
            *(host.strip("[]"), int(port), self.hello, self.require_tls),
            *(ca_file, self.auth_username),
        )


class PagerdutyConfig(msgspec.Struct, **yamlfile.STRICT):
    """An incident through PagerDuty's Events API, version 2."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.PAGERDUTY
    routing_key_file: str
    url: str = PAGERDUTY_URL
    send_resolved: bool = True
    client: str | None = None
    client_url: str | None = None
    description: str | None = None
    severity: str | None = None
    class_: str = msgspec.field(default="", name="class")
    component: str = ""
    group: str = ""
    details: dict[str, str] = {}

    def check(self) -> None:
        """Refuse what no message could be sent with."""
        if not self.routing_key_file:
            raise ConfigError("PagerDuty needs a routing_key_file")
        addresses.check_url(self.url, "url")

    def secrets(self) -> list[str]:
        """Return the files that hold its secrets, relative to alertmanager.yml."""
        return _named(self.routing_key_file)


class SlackConfig(msgspec.Struct, **yamlfile.STRICT):
    """A message through one of Slack's incoming webhooks."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.SLACK
    api_url: str = ""
    api_url_file: str = ""
    channel: str = ""
    send_resolved: bool = False
    color: str | None = None
    title: str | None = None
    title_link: str | None = None
    text: str | None = None
    fallback: str | None = None

    def check(self) -> None:
        """Refuse what no message could be sent with."""
        if bool(self.api_url) == bool(self.api_url_file):
            raise ConfigError("Slack needs exactly one of 'api_url' and 'api_url_file'")
        addresses.check_url(self.api_url, "api_url")

    def secrets(self) -> list[str]:
        """Return the files that hold its secrets, relative to alertmanager.yml."""
        return _named(self.api_url_file)


Config: TypeAlias = WebhookConfig | EmailConfig | PagerdutyConfig | SlackConfig


class Receiver(msgspec.Struct, **yamlfile.STRICT):
    """One receiver; without any configuration it drops what it gets."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.RECEIVER
    name: str
    webhook_configs: list[WebhookConfig] = []
    email_configs: list[EmailConfig] = []
    pagerduty_configs: list[PagerdutyConfig] = []
    slack_configs: list[SlackConfig] = []

    def integrations(self) -> dict[str, Config]:
        """Return its integrations by the names that Alertmanager's log gives them.

        ``webhook[0]``, ``email[0]``, …: the kind, and its place among its kind.
        """
        kinds: tuple[tuple[str, Sequence[Config]], ...] = (
            ("webhook", self.webhook_configs),
            ("email", self.email_configs),
            ("pagerduty", self.pagerduty_configs),
            ("slack", self.slack_configs),
        )
        return {
            f"{kind}[{index}]": config
            for kind, configs in kinds
            for index, config in enumerate(configs)
        }


KINDS = ("webhook_configs", "email_configs", "pagerduty_configs", "slack_configs")


def check(receiver: Receiver, field: str) -> None:
    """Refuse a receiver that could not send.

    Raises:
        ConfigError: Something is missing or contradicts itself; its field is below
            `field`.
    """
    if not receiver.name:
        raise ConfigError("a receiver needs a name", field=f"{field}.name")
    for name, config in receiver.integrations().items():
        kind, _, index = name.partition("[")
        with yamlfile.within(f"{field}.{kind}_configs[{index}"):
            config.check()


def _named(*names: str) -> list[str]:
    return [name for name in names if name]

"""Templates of messages, with the data and functions that Alertmanager gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchroom.errors import ConfigError
from watchroom.monitor.templates.execute import Execution
from watchroom.monitor.templates.functions import FUNCTIONS, Function
from watchroom.monitor.templates.lex import TemplateSyntaxError
from watchroom.monitor.templates.parse import Parser
from watchroom.monitor.templates.values import (
    KV,
    Alerts,
    ExpandError,
    Struct,
    Time,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchroom.monitor.alert import Alert
    from watchroom.monitor.dispatch.notification import Notification

_SHARED = (
    *("toUpper", "toLower", "title", "match", "safeHtml", "reReplaceAll"),
    *("and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "html", "js"),
    *("urlquery", "index", "slice", "len", "print", "printf", "println"),
)


def _join(_: object, separator: str, items: Any) -> str:
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ExpandError("join takes a list of strings")
    return separator.join(items)


_FUNCTIONS: dict[str, Function] = {
    **{name: FUNCTIONS[name] for name in _SHARED},
    "join": Function(_join, "sa"),
    "stringSlice": Function(lambda _, *items: list(items), "s", True),
}


def data(notification: Notification, external_url: str) -> Struct:
    """Return the template data of a message."""
    alerts = [_alert(alert) for alert in notification.alerts]
    return Struct(
        Receiver=notification.key.receiver,
        Status=notification.status,
        Alerts=Alerts(alerts),
        GroupLabels=KV(notification.group_labels),
        CommonLabels=_common([alert.fields["Labels"] for alert in alerts]),
        CommonAnnotations=_common([alert.fields["Annotations"] for alert in alerts]),
        ExternalURL=external_url,
    )


def _alert(alert: Alert) -> Struct:
    return Struct(
        Status="firing" if alert.ends_at_ms is None else "resolved",
        Labels=KV(alert.labels),
        Annotations=KV(alert.annotations),
        StartsAt=Time(alert.starts_at_ms),
        EndsAt=Time(alert.ends_at_ms or 0),
        GeneratorURL=alert.generator_url,
        Fingerprint=alert.fingerprint,
    )


def _common(sets: list[KV]) -> KV:
    if not sets:
        return KV()
    shared = set(sets[0].items()).intersection(*(pairs.items() for pairs in sets[1:]))
    return KV(sorted(shared))


class MessageTemplate:
    """A template text of a receiver: parsed once, expanded for every message.

    Args:
        text: The template.
        name: Its name in errors: ``slack_configs.title``.

    Raises:
        ConfigError: It uses more than the supported subset.
    """

    __slots__ = ("_name", "_text", "_tree")

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        try:
            self._tree = Parser(text, _FUNCTIONS, ("$",)).parse()
        except TemplateSyntaxError as error:
            raise ConfigError(
                f"a template does not parse: {error}", field=name
            ) from None

    def expand(self, dot: Struct, escape: Callable[[str], str] = str) -> str:
        """Return the expanded text; an error becomes text, since it may be a page.

        Args:
            dot: As `data` makes it.
            escape: Makes plain text safe in the receiver's own markup.
        """
        run = Execution(self._name, self._text, dot, {}, _FUNCTIONS, cut=True)
        try:
            return run.run(self._tree)
        except ExpandError as error:
            summary = dot.fields["CommonAnnotations"].get("summary", "")
            name = dot.fields["CommonLabels"].get("alertname", "alerts")
            what = f"{name} {dot.fields['Status']}: {summary}"
            return escape(f"{what} (its template failed: {error})")

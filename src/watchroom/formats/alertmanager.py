"""alertmanager.yml: the declared subset that we write and that the monitor reads."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from watchroom.errors import ConfigError
from watchroom.formats import receivers, regexp, yamlfile
from watchroom.formats.receivers import (
    Authorization,
    EmailConfig,
    HttpConfig,
    PagerdutyConfig,
    Receiver,
    SlackConfig,
    TlsConfig,
    WebhookConfig,
)
from watchroom.units import parse_duration

__all__ = [
    "Alertmanager",
    "Authorization",
    "EmailConfig",
    "Global",
    "HttpConfig",
    "InhibitRule",
    "Matcher",
    "PagerdutyConfig",
    "Receiver",
    "Route",
    "SlackConfig",
    "TlsConfig",
    "WebhookConfig",
    "dump",
    "load",
    "parse_matcher",
]

_STRICT: dict[str, Any] = {
    "frozen": True,
    "forbid_unknown_fields": True,
    "omit_defaults": True,
}
_MATCHER = re.compile(
    r"""\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^"{}]*?))\s*"""
)
_PLAIN = {"n": "\n", '"': '"', "\\": "\\"}


class Matcher(NamedTuple):
    """One parsed matcher: ``severity=~"critical|warning"``.

    Attributes:
        name: The label.
        op: ``=``, ``!=``, ``=~`` or ``!~``; regexes match the whole value.
        value: What it is compared with.
    """

    name: str
    op: str
    value: str


class Route(msgspec.Struct, **_STRICT):
    """A node of the routing tree; what it leaves out it inherits from its parent."""

    receiver: str = ""
    matchers: list[str] = []
    continue_: bool = msgspec.field(default=False, name="continue")
    group_by: list[str] | None = None
    group_wait: str | None = None
    group_interval: str | None = None
    repeat_interval: str | None = None
    routes: list[Route] = []


class InhibitRule(msgspec.Struct, **_STRICT):
    """An alert that matches the source mutes those that match the target."""

    source_matchers: list[str] = []
    target_matchers: list[str] = []
    equal: list[str] = []


class Global(msgspec.Struct, **_STRICT):
    """Defaults."""

    resolve_timeout: str = "5m"


class Alertmanager(msgspec.Struct, **_STRICT):
    """An alertmanager.yml."""

    route: Route
    receivers: list[Receiver]
    global_: Global = msgspec.field(default_factory=Global, name="global")
    inhibit_rules: list[InhibitRule] = []


def load(text: str, file: str) -> Alertmanager:
    """Return the configuration in `text`.

    Raises:
        ConfigError: A key outside the subset (receivers of other kinds), a bad
            matcher or duration, or a route to an unknown receiver; with its line.
    """
    data, node = yamlfile.parse(text, file)
    _refuse_other_receivers(data, node, file)
    config = yamlfile.convert(data, node, file, Alertmanager)
    names = [receiver.name for receiver in config.receivers]
    with yamlfile.placed(node, file):
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(
                    f"two receivers are named {name!r}", field="receivers"
                )
        for i, receiver in enumerate(config.receivers):
            receivers.check(receiver, f"receivers[{i}]")
        _check_root(config.route)
        _check_route(config.route, "route", set(names))
        for i, rule in enumerate(config.inhibit_rules):
            for side in ("source_matchers", "target_matchers"):
                with yamlfile.within(f"inhibit_rules[{i}].{side}"):
                    for text_ in getattr(rule, side):
                        parse_matcher(text_)
    return config


def dump(config: Alertmanager) -> str:
    """Return the YAML of `config`, in the order that people read it."""
    data = msgspec.to_builtins(config)
    order = ("global", "route", "inhibit_rules", "receivers")
    return yamlfile.dump({key: data[key] for key in order if data.get(key)})


def parse_matcher(text: str) -> Matcher:
    """Return the matcher in ``name="value"``, ``name=~"regex"`` and so on.

    Raises:
        ConfigError: It is none, or its regex does not compile.
    """
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise ConfigError(
            f"{text!r} is not a matcher", hint='write it as severity="critical"'
        )
    name, op, quoted, bare = found.groups()
    value = (
        bare
        if quoted is None
        else re.sub(r"\\(.)", lambda m: _PLAIN.get(m[1], m[0]), quoted)
    )
    if "~" in op:
        regexp.check(value)
    return Matcher(name, op, value)


def _check_root(route: Route) -> None:
    if route.matchers:
        raise ConfigError("the first route matches everything", field="route.matchers")
    if not route.receiver:
        raise ConfigError("the first route needs a receiver", field="route")


def _check_route(route: Route, field: str, names: set[str]) -> None:
    if route.receiver and route.receiver not in names:
        raise ConfigError(
            f"no receiver is named {route.receiver!r}",
            field=f"{field}.receiver",
            hint=f"there are {', '.join(sorted(names)) or 'none'}",
        )
    with yamlfile.within(f"{field}.matchers"):
        for text in route.matchers:
            parse_matcher(text)
    for name in ("group_wait", "group_interval", "repeat_interval"):
        value = getattr(route, name)
        if value is None:
            continue
        with yamlfile.within(f"{field}.{name}"):
            if parse_duration(value) <= 0 and name != "group_wait":
                raise ConfigError(f"{name} must be longer than 0")
    for i, child in enumerate(route.routes):
        _check_route(child, f"{field}.routes[{i}]", names)


def _refuse_other_receivers(data: Any, node: Any, file: str) -> None:
    given = data.get("receivers") if isinstance(data, dict) else None
    for i, receiver in enumerate(given if isinstance(given, list) else []):
        for key in receiver if isinstance(receiver, dict) else []:
            if str(key).endswith("_configs") and key not in receivers.KINDS:
                raise ConfigError(
                    f"{key} is not supported yet by the embedded monitor",
                    file=file,
                    line=yamlfile.line_of(node, ["receivers", i, key]),
                    field=f"receivers[{i}].{key}",
                    hint=f"use {', '.join(receivers.KINDS)}, "
                    "or run Alertmanager itself",
                )

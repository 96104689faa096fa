"""alertmanager.yml: the declared subset that we write and that the monitor reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from watchroom.errors import ConfigError
from watchroom.formats import known_keys, matchers, receivers, yamlfile
from watchroom.formats.receivers import Receiver  # noqa: TC001 - msgspec reads it
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class Route(msgspec.Struct, **yamlfile.STRICT):
    """A node of the routing tree; what it leaves out it inherits from its parent."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.ROUTE
    receiver: str = ""
    matchers: list[str] = []
    continue_: bool = msgspec.field(default=False, name="continue")
    group_by: list[str] | None = None
    group_wait: str | None = None
    group_interval: str | None = None
    repeat_interval: str | None = None
    routes: list[Route] = []


class InhibitRule(msgspec.Struct, **yamlfile.STRICT):
    """An alert that matches the source mutes those that match the target."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.INHIBIT
    source_matchers: list[str] = []
    target_matchers: list[str] = []
    equal: list[str] = []


class Global(msgspec.Struct, **yamlfile.STRICT):
    """Defaults."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.AM_GLOBAL
    resolve_timeout: str = "5m"


class Alertmanager(msgspec.Struct, **yamlfile.STRICT):
    """An alertmanager.yml."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.AM
    route: Route
    receivers: list[Receiver]
    global_: Global = msgspec.field(default_factory=Global, name="global")
    inhibit_rules: list[InhibitRule] = []

    @property
    def receivers_by_name(self) -> dict[str, Receiver]:
        """The receivers by their names."""
        return {receiver.name: receiver for receiver in self.receivers}


def load(text: str, file: str) -> Alertmanager:
    """Return the configuration in `text`.

    Raises:
        ConfigError: A key outside the subset (receivers of other kinds), a bad
            matcher or duration, or a route to an unknown receiver; with its line.
    """
    config, node = yamlfile.read(text, file, Alertmanager)
    with yamlfile.placed(node, file):
        names = check_receivers(config.receivers)
        with yamlfile.within("global"):
            _duration(config.global_.resolve_timeout, "resolve_timeout")
        _check_root(config.route)
        check_route(config.route, "route", names)
        check_inhibitions(config.inhibit_rules)
    return config


def check_receivers(
    new_receivers: Sequence[Receiver], names_in_use: Collection[str] = ()
) -> frozenset[str]:
    """Refuse receivers that could not send; return all names in use.

    Raises:
        ConfigError: With the field below ``receivers``.
        NotSupportedError: Likewise.
    """
    names = set(names_in_use)
    for i, receiver in enumerate(new_receivers):
        receivers.check(receiver, f"receivers[{i}]")
        if receiver.name in names:
            raise ConfigError(
                f"two receivers are named {receiver.name!r}",
                field=f"receivers[{i}].name",
            )
        names.add(receiver.name)
    return frozenset(names)


def check_inhibitions(rules: Sequence[InhibitRule]) -> None:
    """Refuse what does not parse of ``inhibit_rules``.

    Raises:
        ConfigError: With the field below it.
    """
    for i, rule in enumerate(rules):
        with yamlfile.within(f"inhibit_rules[{i}]"):
            for side in ("source_matchers", "target_matchers"):
                _check_matchers(getattr(rule, side), side)
            _check_names(rule.equal, "equal")


def dump(config: Alertmanager) -> str:
    """Return the YAML of `config`, in the order that people read it."""
    data = msgspec.to_builtins(config)
    order = ("global", "route", "inhibit_rules", "receivers")
    return yamlfile.dump({key: data[key] for key in order if data.get(key)})


def _check_root(route: Route) -> None:
    if route.matchers:
        raise ConfigError(
            "the top route matches everything and takes no matchers",
            field="route.matchers",
        )
    if not route.receiver:
        raise ConfigError("the top route needs a receiver", field="route")
    if route.continue_:
        raise ConfigError("the top route takes no 'continue'", field="route.continue")


def check_route(route: Route, field: str, names: Collection[str]) -> None:
    """Refuse a route that cannot work, or one below it.

    Raises:
        ConfigError: With its field below `field`.
    """
    with yamlfile.within(field):
        if route.receiver and route.receiver not in names:
            raise ConfigError(
                f"no receiver is named {route.receiver!r}",
                field="receiver",
                hint=f"known receivers: {', '.join(sorted(names)) or 'none'}",
            )
        _check_matchers(route.matchers, "matchers")
        _check_group_by(route.group_by or [])
        for name in ("group_wait", "group_interval", "repeat_interval"):
            value = getattr(route, name)
            if value is None:
                continue
            if _duration(value, name) <= 0 and name != "group_wait":
                raise ConfigError("must be longer than 0", field=name)
        for i, child in enumerate(route.routes):
            check_route(child, f"routes[{i}]", names)


def _check_matchers(texts: list[str], field: str) -> None:
    for i, text in enumerate(texts):
        with yamlfile.within(f"{field}[{i}]"):
            matchers.parse(text)


def _check_group_by(labels: list[str]) -> None:
    _check_names(labels, "group_by")
    if "..." in labels and set(labels) != {"..."}:
        raise ConfigError(
            "'...' means all labels, so no other label may be listed with it",
            field="group_by",
        )
    for i, label in enumerate(labels):
        if label in labels[:i] and label != "...":
            raise ConfigError(f"{label!r} is listed twice", field=f"group_by[{i}]")


def _check_names(labels: list[str], field: str) -> None:
    for i, label in enumerate(labels):
        if not label:
            raise ConfigError("a label's name is empty", field=f"{field}[{i}]")


def _duration(text: str, field: str) -> float:
    with yamlfile.within(field):
        return parse_duration(text)

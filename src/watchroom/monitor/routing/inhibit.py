"""Inhibition: an alert that fires mutes others that follow from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.formats.routes import compile_matchers
from watchroom.promql.model import matches_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watchroom.formats.alertmanager import InhibitRule
    from watchroom.monitor.alert import Alert
    from watchroom.promql.model import Labels, Matcher


class Inhibition(NamedTuple):
    """One inhibit rule."""

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]


def compile_rules(rules: Sequence[InhibitRule]) -> list[Inhibition]:
    """Return the rules with their matchers parsed.

    Raises:
        ConfigError: A matcher is not one.
    """
    return [
        Inhibition(
            compile_matchers(rule.source_matchers, f"inhibit_rules[{index}]"),
            compile_matchers(rule.target_matchers, f"inhibit_rules[{index}]"),
            tuple(rule.equal),
        )
        for index, rule in enumerate(rules)
    ]


class Inhibitor:
    """Returns which alerts mute an alert, at one moment.

    Args:
        rules: The rules.
        firing: Every alert that fires at that moment.
    """

    def __init__(self, rules: Sequence[Inhibition], firing: Iterable[Alert]) -> None:
        alerts = list(firing)
        self._rules: list[tuple[Inhibition, dict[tuple[str, ...], list[Alert]]]] = []
        for rule in rules:
            sources: dict[tuple[str, ...], list[Alert]] = {}
            for alert in alerts:
                if matches_all(rule.source, alert.labels):
                    sources.setdefault(_values(rule, alert.labels), []).append(alert)
            self._rules.append((rule, sources))

    def muted_by(self, labels: Labels) -> list[str]:
        """Return the fingerprints of the alerts that mute one with `labels`.

        A label that is missing on both sides counts as equal. An alert that matches
        both sides of a rule is not muted by others that do: they would mute each other.
        """
        fingerprints: list[str] = []
        for rule, sources in self._rules:
            if not sources or not matches_all(rule.target, labels):
                continue
            two_sided = matches_all(rule.source, labels)
            for source in sources.get(_values(rule, labels), ()):
                if two_sided and matches_all(rule.target, source.labels):
                    continue
                fingerprints.append(source.fingerprint)
        return fingerprints


def _values(rule: Inhibition, labels: Labels) -> tuple[str, ...]:
    pairs = dict(labels)
    return tuple(pairs.get(name, "") for name in rule.equal)

"""What can be known to be broken before a fault goes in."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import promql_parser

from watchroom.errors import WatchroomError
from watchroom.formats.manifest import alert_of
from watchroom.prove import client, road

if TYPE_CHECKING:
    from pathlib import Path

    from watchroom.formats.alertmanager import Alertmanager, Receiver
    from watchroom.formats.manifest import Accelerated, Drill, Manifest


class BrokenError(WatchroomError):
    """A stage did not come true.

    Attributes:
        stage: Its name.
    """

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage


def check_rule(
    prometheus: str, manifest: Manifest, drill: Drill, copy: Accelerated | None
) -> None:
    """Require that the server evaluates the very rules that were built.

    Raises:
        BrokenError: It has none, another one, or one that fails.
        PeerError: The server does not answer.
    """
    groups = client.get(f"{prometheus}/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    built = alert_of(manifest, drill)
    _check_one(prometheus, rules, drill.alert, built.expr if built else "")
    if copy is not None:
        _check_one(prometheus, rules, copy.alert, copy.expr)


def _check_one(
    prometheus: str, rules: list[dict[str, Any]], name: str, expr: str
) -> None:
    loaded = [rule for rule in rules if rule["name"] == name]
    if not loaded:
        raise BrokenError(
            "scraped",
            f"rule file not loaded: {prometheus} has no rule {name}; "
            "does `rule_files` name it, and was it reloaded?",
        )
    if expr and all(canonical(rule["query"]) != canonical(expr) for rule in loaded):
        raise BrokenError(
            "scraped",
            f"{prometheus} has another {name} than the built one: "
            "reload it, or build again",
        )
    sick = [rule for rule in loaded if rule.get("health") == "err"]
    if sick:
        raise BrokenError("scraped", f"{name} fails: {sick[0].get('lastError')}")


def loud_receivers(
    config: Alertmanager, manifest: Manifest, drill: Drill, directory: Path
) -> list[Receiver]:
    """Return the receivers that the real alert would reach, and that tell somebody.

    Raises:
        BrokenError: There is none, or the secret of one is not there: no reason to
            wait for the rule's `for` first.
    """
    labels = {**drill.labels, "alertname": drill.alert, "job": "app"}
    labels.setdefault("env", manifest.environment)
    names = road.receivers(config, labels)
    by_name = {receiver.name: receiver for receiver in config.receivers}
    loud = [by_name[name] for name in names if by_name[name].integrations()]
    if not loud:
        raise BrokenError(
            "told",
            f"no route: a real {drill.alert} reaches {', '.join(names)}, which "
            "tells nobody; add a receiver for its severity to RECEIVERS",
        )
    for receiver in loud:
        if lacking := road.lacking(receiver, directory):
            raise BrokenError("told", f"receiver {receiver.name}: {lacking}")
    return loud


def canonical(expr: str) -> str:
    """Return an expression in the parser's own spelling, to compare two."""
    # One that does not parse is compared as it stands.
    with contextlib.suppress(ValueError):
        expr = promql_parser.parse(expr).prettify()
    return " ".join(expr.split())

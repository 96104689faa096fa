"""What can be checked before a drill starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchroom.errors import WatchroomError
from watchroom.formats.manifest import alert_of
from watchroom.prove import client
from watchroom.prove.loaded import difference, routing, rule_of
from watchroom.prove.receivers import reach

if TYPE_CHECKING:
    from watchroom.formats.alertmanager import Alertmanager
    from watchroom.formats.manifest import Accelerated, Drill, Manifest
    from watchroom.formats.receivers import Receiver
    from watchroom.prove.chain import Chain
    from watchroom.prove.loaded import LoadedRule


class BrokenError(WatchroomError):
    """A stage was not reached."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage


def check_rule(
    chain: Chain, manifest: Manifest, drill: Drill, copy: Accelerated | None
) -> None:
    """Require that the server evaluates exactly the built rules.

    Raises:
        BrokenError: The rule is missing, different, or fails to evaluate.
        PeerError: The server can't be reached.
    """
    url = f"{chain.prometheus}/api/v1/rules"
    groups = client.get(url, token=chain.watch_token)["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    built = alert_of(manifest, drill)
    wanted = [rule for rule in (built, copy) if rule is not None]
    for rule in wanted:
        _check_one(chain.prometheus, rules, rule_of(rule))


def _check_one(prometheus: str, rules: list[dict[str, Any]], built: LoadedRule) -> None:
    name = built.name
    loaded = [rule for rule in rules if rule["name"] == name]
    if not loaded:
        raise BrokenError(
            "scraped",
            f"rule file not loaded: {prometheus} has no rule {name}; check "
            "`rule_files` in prometheus.yml, and reload",
        )
    if differs := difference(loaded, built):
        raise BrokenError(
            "scraped",
            (
                f"the rule {name} loaded in {prometheus} differs from the built one "
                f"({differs}): reload, or build again"
            ),
        )
    sick = [rule for rule in loaded if rule.get("health") == "err"]
    if sick:
        raise BrokenError(
            "scraped", f"{name} fails to evaluate: {sick[0].get('lastError')}"
        )


def check_routing(chain: Chain, config: Alertmanager) -> None:
    """Require that alerts are routed by exactly the built file.

    Raises:
        BrokenError: They are not.
        PeerError: The server can't be reached.
    """
    if differs := routing(chain.routing_text(), config):
        raise BrokenError(
            "routed",
            (
                f"the alertmanager.yml loaded in {chain.alertmanager} differs from "
                f"the built one ({differs}): reload, or build again"
            ),
        )


def notifying_receivers(
    config: Alertmanager, manifest: Manifest, drill: Drill
) -> list[Receiver]:
    """Return the receivers of the real alert that notify someone.

    Raises:
        BrokenError: No receiver would be notified.
    """
    labels = {**drill.labels, "alertname": drill.alert, "job": "app"}
    labels.setdefault("env", manifest.environment)
    names = reach.receivers(config, labels)
    by_name = config.receivers_by_name
    notifying = [by_name[name] for name in names if by_name[name].integrations()]
    if not notifying:
        raise BrokenError(
            "told",
            f"no route: a real {drill.alert} would reach {', '.join(names)}, which "
            "notifies nobody; add a receiver for its severity to RECEIVERS",
        )
    return notifying

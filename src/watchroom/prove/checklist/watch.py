"""Monitoring: targets are scraped, the built rules are loaded and drilled."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from watchroom.prove import client
from watchroom.prove.checklist.world import Finding, green, named, red, unclear
from watchroom.prove.drills.results import rule_marks
from watchroom.prove.loaded import difference, routing, rules_of
from watchroom.prove.records import PASSED
from watchroom.units import parse_duration
from watchroom.urgency import NO_DRILLS, is_drill

if TYPE_CHECKING:
    from watchroom.prove.checklist.world import World

_DRILL_DAYS = 30
# Every rule about the app depends on this series.
_OWN_SERIES = f"watchroom_processes{{{NO_DRILLS}}}"


_REREAD = (
    "if SITES has changed since the exporter started, restart the exporter: it reads "
    "SITES only at start"
)
_START = (
    "start the targets, or correct their addresses; the runbook TargetDown "
    "has the commands"
)


def _refused_site(target: dict[str, Any]) -> bool:
    error = str(target.get("lastError") or "")
    return target["labels"].get("job") == "site" and "400" in error


def scraping(world: World) -> Finding:
    """Every target is up and was scraped lately, and the app's own series are fresh."""
    targets = [
        target
        for target in world.ask("targets")["activeTargets"]
        if not is_drill(target["labels"])
    ]
    where = world.chain.prometheus
    if not targets:
        return red(
            f"{where} has no targets",
            f"load the built prometheus.yml: {world.reloading}",
        )
    down = [target for target in targets if target["health"] != "up"]
    if down:
        names = [
            f"{_name(target)} ({target.get('lastError') or target['health']})"
            for target in down
        ]
        return red(
            f"{len(down)} of {len(targets)} targets are not up: {named(names, 3)}",
            _REREAD if all(map(_refused_site, down)) else _START,
        )
    slowest = 3 * parse_duration(world.built.manifest.inputs.interval) + 5
    late = [target for target in targets if _late(world, target) > slowest]
    if late:
        return red(
            f"not scraped for {_late(world, late[0]):.0f} s: "
            f"{named([_name(target) for target in late])}",
            f"read the log of {where}",
        )
    fresh = world.number(f"time() - max(timestamp({_OWN_SERIES}))")
    if fresh is None:
        return red(
            f"{len(targets)} of {len(targets)} targets are up, but none serves the "
            "app's metrics (watchroom_processes)",
            "the job `app` must scrape `watchroom exporter`",
        )
    return green(
        f"{len(targets)} of {len(targets)} targets are up; the app's metrics are "
        f"{max(0.0, fresh):.0f} s old"
    )


def _name(target: dict[str, Any]) -> str:
    labels = target["labels"]
    return f"{labels.get('job')} {labels.get('instance')}"


def _late(world: World, target: dict[str, Any]) -> float:
    text = target["lastScrape"]
    # Nanoseconds are more than Python reads.
    head, _, rest = text.partition(".")
    zone = "+00:00" if text.endswith("Z") else text[-6:]
    at = datetime.fromisoformat((head if rest else text.rstrip("Z")) + zone)
    return world.now - at.timestamp()


def rules(world: World) -> Finding:
    """The loaded rules are the built ones, and their last drills passed."""
    problem = _loaded(world)
    if problem is not None:
        return problem
    marks = rule_marks(world.built.manifest)
    if not marks:
        return red("no rule has a drill", f"build again: {world.command('build')}")
    ages = []
    broken, undrilled = [], []
    for alert, mark in sorted(marks.items()):
        record = world.record("drill", alert)
        if record is not None and record.result.state != PASSED:
            broken.append(f"{alert} ({record.result.detail})")
        at = world.passed_within("drill", alert, _DRILL_DAYS)
        if at is None or (record is not None and record.result.of != mark):
            undrilled.append(alert)
        else:
            ages.append(at)
    if broken:
        return red(
            f"the last drill failed: {named(broken, 2)}",
            f"repair it, then run: {world.command('drill', broken[0].split()[0])}",
        )
    if undrilled:
        return red(
            (
                f"{len(undrilled)} of {len(marks)} rules haven't been drilled, in "
                f"their current form, in the last {_DRILL_DAYS} days: "
                f"{named(undrilled)}"
            ),
            world.command("drill", "--all"),
        )
    return green(
        f"{len(marks)} of {len(marks)} drilled rules and their routes are loaded as "
        f"built; every page arrived; oldest drill: {world.ago(min(ages))}"
    )


def _loaded(world: World) -> Finding | None:
    loaded: dict[str, list[dict[str, Any]]] = {}
    for group in world.ask("rules")["groups"]:
        for rule in group["rules"]:
            if rule["type"] == "alerting":
                loaded.setdefault(rule["name"], []).append(rule)
    built = rules_of(world.built.manifest)
    missing = sorted({rule.name for rule in built if rule.name not in loaded})
    where = world.chain.prometheus
    if missing:
        return red(
            f"{where} has not loaded {len(missing)} of {len(built)} rules: "
            f"{named(missing)}",
            f"check that `rule_files` includes rules/*.yml, then: {world.reloading}",
        )
    other = [
        f"{rule.name} ({differs})"
        for rule in built
        if (differs := difference(loaded[rule.name], rule))
    ]
    if other:
        return red(
            f"rules loaded in {where} differ from the built ones: {named(other, 2)}",
            f"{world.reloading}; or build again: {world.command('build')}",
        )
    every = [rule for rules in loaded.values() for rule in rules]
    sick = sorted({rule["name"] for rule in every if rule.get("health") == "err"})
    if sick:
        return red(
            f"these rules fail to evaluate: {named(sick)}",
            f"see lastError in {where}/api/v1/rules",
        )
    if differs := routing(world.chain.routing_text(), world.built.config):
        return red(
            (
                f"the alertmanager.yml loaded in {world.chain.alertmanager} differs "
                f"from the built one: {differs}"
            ),
            world.reloading
            if world.chain.embedded
            else "load the built alertmanager.yml: SIGHUP, or POST /-/reload",
        )
    return None


def processes(world: World) -> Finding:
    """The exporter sees the app's processes, by role and user, and no others exist."""
    exporter = world.chain.exporter
    answer = client.fetch(
        f"{exporter}/-/processes", headers=client.bearer(world.chain.token)
    )
    seen = answer.json() if answer.status == 200 else None
    if not isinstance(seen, dict) or "processes" not in seen:
        return unclear(
            f"{exporter} answered {answer.status} to the request for its processes",
            "set WATCHROOM_TOKEN to its token; only watchroom's exporter "
            "answers this request",
        )
    split = [
        f"{place['directory']} ({_counts(place['processes']) or 'not readable'})"
        for place in seen["elsewhere"]
    ]
    if split:
        return red(
            (
                "some processes use a different runtime directory than "
                f"{seen['directory']}: {named(split, 2)}"
            ),
            "set the same WATCHROOM_RUNTIME_DIR for all of them, and turn off "
            "PrivateTmp",
        )
    if mixed := seen.get("mixed"):
        return red(
            "processes that run code from several directories are counted as "
            f"one app: {_places(mixed)}",
            "if these are two deployments, give each its own PROJECT or ENVIRONMENT "
            "and restart them; if one is an old release, stop it, and restart the "
            "exporter after each deploy",
        )
    counts = _counts(seen["processes"])
    if not seen["processes"] and (others := seen.get("namesakes")):
        named_so = [
            f"{_counts(other['processes'])} as {other['name']} in {other['directory']}"
            for other in others
        ]
        return red(
            f"no process found in {seen['directory']}, but {named(named_so, 2)}",
            "if these are the app's, the app and the exporter read different values "
            "of ENVIRONMENT or PROJECT: an environment variable is missing",
        )
    if not any(process["role"] == "web" for process in seen["processes"]):
        return red(
            f"no web process found in {seen['directory']}"
            + (f"; only {counts}" if counts else ""),
            "start the app with watchroom in INSTALLED_APPS; check that "
            "WATCHROOM_ENABLED=0 is not set and WATCHROOM_RUNTIME_DIR is the same",
        )
    return green(f"{counts}; all in {seen['directory']}")


def _places(mixed: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{place['directory']} ({place['processes']} processes"
        + (", the exporter)" if place["exporter"] else ")")
        for place in mixed
    )


def _counts(processes: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{process['count']} {process['role']} of user {process['user']}"
        for process in processes
    )

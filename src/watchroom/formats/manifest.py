"""watchroom.json: what a build knows and proofs need; never a secret."""

from __future__ import annotations

from typing import Any

import msgspec

from watchroom.errors import ConfigError
from watchroom.formats import caps
from watchroom.runtime import directory

FORMAT = 1
_STRICT: dict[str, Any] = {"frozen": True, "forbid_unknown_fields": True}


class Inputs(msgspec.Struct, **_STRICT):
    """The options of `build`, so that `--check` can use the same.

    Attributes:
        settings: The Django settings module; or empty.
        interval: Scrape and evaluation interval, a duration.
        window: A window for every vital, for demos and tests; None keeps each own.
        for_: A `for` for every alert, likewise.
        select: Label matchers put into every selector, as ``namespace="shop"``.
        labels: Labels put on every rule.
        alertmanager: Where Prometheus sends alerts, host:port.
    """

    settings: str = ""
    interval: str = "5s"
    window: str | None = None
    for_: str | None = msgspec.field(default=None, name="for")
    select: str = ""
    labels: dict[str, str] = {}
    alertmanager: str = "127.0.0.1:9093"


class ManifestAlert(msgspec.Struct, **_STRICT):
    """One alerting rule as built."""

    name: str
    expr: str
    for_: str = msgspec.field(name="for")
    severity: str
    priority: str


class Vital(msgspec.Struct, **_STRICT):
    """One vital as built."""

    name: str
    title: str
    applicable: bool
    alerts: list[ManifestAlert]
    panel: int | None
    runbook: str


class Accelerated(msgspec.Struct, **_STRICT):
    """The copy of a rule that holds for less, for drills alone.

    Attributes:
        alert: Its own alert name.
        expr: The rule's expression, joined with the drills that may fire it.
        for_: Its `for`, a duration.
        budget_seconds: From the first faulty scrape to the page, at the latest.
    """

    alert: str
    expr: str
    for_: str = msgspec.field(name="for")
    budget_seconds: float


class Drill(msgspec.Struct, **_STRICT):
    """How to make one alert fire, and what it must then contain.

    Attributes:
        alert: The alert's name.
        fault: promtool series notation, one step a scrape interval, without job.
        recovery: The same; increments on top of the fault's last values.
        labels: The labels the alert must carry, without `job`.
        budget_seconds: From the first faulty scrape to the page, at the latest.
        accelerated: Its copy, when it holds for more than a minute.
    """

    alert: str
    fault: list[str]
    recovery: list[str]
    labels: dict[str, str]
    budget_seconds: float
    accelerated: Accelerated | None = None


class ChecklistItem(msgspec.Struct, **_STRICT):
    """One item of the launch checklist."""

    id: str
    title: str
    vital: str


class Manifest(msgspec.Struct, **_STRICT):
    """A watchroom.json."""

    format: int
    version: str
    project: str
    environment: str
    inputs: Inputs
    exporter: str
    monitor_url: str
    vitals: list[Vital] = []
    drills: list[Drill] = []
    checklist: list[ChecklistItem] = []
    receivers: list[str] = []
    sites: list[str] = []
    files: dict[str, str] = {}
    logs_url: str = ""
    sentry_url: str = ""

    @property
    def name(self) -> str:
        """What the files of this deployment's processes are named by."""
        return directory.deployment(self.project, self.environment)


def drills_by_name(manifest: Manifest) -> dict[str, Drill]:
    """Return every drill by the name it is run and kept under.

    That is its alert's; a second rule of the same alert has its severity behind it:
    ``HealthCheckFailing/warning``.
    """
    by_name: dict[str, Drill] = {}
    for drill in manifest.drills:
        name, number = drill.alert, 1
        while name in by_name:
            more = drill.labels.get("severity", "") if number == 1 else str(number)
            name, number = f"{drill.alert}/{more}", number + 1
        by_name[name] = drill
    return by_name


def alert_of(manifest: Manifest, drill: Drill) -> ManifestAlert | None:
    """Return the rule that a drill proves, as built."""
    alerts = [a for vital in manifest.vitals for a in vital.alerts]
    same_name = [alert for alert in alerts if alert.name == drill.alert]
    severity = drill.labels.get("severity")
    same = [alert for alert in same_name if alert.severity == severity]
    return next(iter(same or same_name), None)


def load(text: str, file: str) -> Manifest:
    """Return the manifest in `text`.

    Raises:
        ConfigError: It is not a manifest, or of a newer format.
    """
    caps.json_within(text, file)
    try:
        version = msgspec.json.decode(text)["format"]
    except (msgspec.DecodeError, KeyError, TypeError):
        raise ConfigError("isn't a watchroom.json", file=file, hint=_REBUILD) from None
    if version != FORMAT:
        raise ConfigError(
            f"was written in format {version}; this watchroom reads format {FORMAT}",
            file=file,
            hint=_REBUILD,
        )
    try:
        return msgspec.json.decode(text, type=Manifest)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error), file=file, hint=_REBUILD) from None


def dump(manifest: Manifest) -> str:
    """Return the JSON of `manifest`, indented and in a fixed order."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2).decode() + "\n"


_REBUILD = "build again: watchroom build DIR"

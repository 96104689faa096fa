"""Grafana dashboards: the part of the JSON model that we write and the monitor shows.

Field names are Grafana's own. Source of the model: the dashboard JSON of Grafana,
schemaVersion 41.
"""

from __future__ import annotations

from typing import Any

import msgspec

from watchroom.errors import ConfigError
from watchroom.formats import yamlfile

_STRICT: dict[str, Any] = {"frozen": True, "forbid_unknown_fields": True}


class Datasource(msgspec.Struct, **_STRICT):
    """Which data source answers; `uid` may name a variable."""

    type: str = "prometheus"
    uid: str = "${datasource}"


class Target(msgspec.Struct, **_STRICT):
    """One query of a panel; ``B``, hidden, counts the series behind ``A``."""

    refId: str  # noqa: N815 - Grafana's name, as in all of this module
    expr: str
    datasource: Datasource = msgspec.field(default_factory=Datasource)
    instant: bool = False
    range: bool = True
    legendFormat: str = ""  # noqa: N815
    hide: bool = False


class Step(msgspec.Struct, **_STRICT):
    """A colour from `value` upwards; the first step has none."""

    color: str
    value: float | None = None


class Thresholds(msgspec.Struct, **_STRICT):
    """The colours of a panel; which comes first says which direction is bad."""

    mode: str = "absolute"
    steps: list[Step] = []


class Defaults(msgspec.Struct, **_STRICT):
    """How every value of a panel is shown."""

    unit: str = ""
    decimals: int | None = None
    min: float | None = None
    max: float | None = None
    thresholds: Thresholds | None = None
    noValue: str | None = None  # noqa: N815


class FieldConfig(msgspec.Struct, **_STRICT):
    """`defaults`, and overrides by field, which the monitor does not read."""

    defaults: Defaults = msgspec.field(default_factory=Defaults)
    overrides: list[dict[str, Any]] = []


class Link(msgspec.Struct, **_STRICT):
    """A link of a panel or dashboard."""

    title: str
    url: str
    targetBlank: bool = False  # noqa: N815


class GridPos(msgspec.Struct, **_STRICT):
    """Where a panel stands on the grid of 24 columns."""

    h: int
    w: int
    x: int
    y: int


class Panel(msgspec.Struct, **_STRICT):
    """One panel."""

    id: int
    title: str
    type: str = "stat"
    description: str = ""
    datasource: Datasource = msgspec.field(default_factory=Datasource)
    gridPos: GridPos = msgspec.field(default_factory=lambda: GridPos(4, 6, 0, 0))  # noqa: N815
    fieldConfig: FieldConfig = msgspec.field(default_factory=FieldConfig)  # noqa: N815
    options: dict[str, Any] = {}
    targets: list[Target] = []
    links: list[Link] = []


class Dashboard(msgspec.Struct, **_STRICT):
    """A dashboard."""

    uid: str
    title: str
    description: str = ""
    tags: list[str] = []
    schemaVersion: int = 41  # noqa: N815
    version: int = 1
    editable: bool = False
    timezone: str = "browser"
    refresh: str = "10s"
    time: dict[str, str] = {}
    templating: dict[str, Any] = {}
    annotations: dict[str, Any] = {}
    panels: list[Panel] = []


def load(text: str, file: str) -> Dashboard:
    """Return the dashboard in `text`.

    Raises:
        ConfigError: It is not JSON, a key is outside the subset, a value has the wrong
            type, or two panels share an id; with file, line and field.
    """
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ConfigError(f"not JSON: {error}", file=file) from None
    # JSON is YAML, and only the YAML reader knows its lines.
    data, node = yamlfile.parse(text, file)
    dashboard = yamlfile.convert(data, node, file, Dashboard)
    seen: set[int] = set()
    for i, panel in enumerate(dashboard.panels):
        if panel.id in seen:
            raise ConfigError(
                f"two panels have the id {panel.id}",
                file=file,
                line=yamlfile.line_of(node, ["panels", i, "id"]),
                field=f"panels[{i}].id",
            )
        seen.add(panel.id)
    return dashboard


def dump(dashboard: Dashboard) -> str:
    """Return the JSON of `dashboard`, indented and in a fixed order."""
    return msgspec.json.format(msgspec.json.encode(dashboard), indent=2).decode() + "\n"

"""Grafana dashboards: the part of the JSON model that we write and the monitor shows.

Field names are Grafana's own. Source of the model: the dashboard JSON of Grafana,
schemaVersion 41.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

import msgspec

from watchroom.errors import ConfigError
from watchroom.formats import caps, yamlfile

_STRICT: dict[str, Any] = {"frozen": True, "forbid_unknown_fields": True}
# Grafana writes a dozen keys beside these; none changes what a panel shows.
_LOOSE: dict[str, Any] = {"frozen": True}


class Datasource(msgspec.Struct, **_STRICT):
    """Which data source answers; `uid` may name a variable."""

    type: str = "prometheus"
    uid: str = "${datasource}"


class Target(msgspec.Struct, **_STRICT):
    """One query of a panel.

    Hidden, ``B`` counts the series behind ``A``, and ``C`` is what to show where ``A``
    has nothing to judge.
    """

    refId: str  # noqa: N815 - Grafana's name, as in all of this module
    expr: str = ""
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
    """The colours of a panel; the order of two says which direction is bad."""

    mode: str = "absolute"
    steps: list[Step] = []


class Defaults(msgspec.Struct, **_STRICT):
    """How every value of a panel is shown; `custom` is the panel type's own part."""

    unit: str = ""
    decimals: int | None = None
    min: float | None = None
    max: float | None = None
    thresholds: Thresholds | None = None
    noValue: str | None = None  # noqa: N815
    custom: dict[str, Any] = {}


class FieldConfig(msgspec.Struct, **_STRICT):
    """`defaults`, and overrides by field or query.

    Of these the monitor reads only the unit of query ``C``.
    """

    defaults: Defaults = msgspec.field(default_factory=Defaults)
    overrides: list[dict[str, Any]] = []


class Link(msgspec.Struct, **_LOOSE):
    """A link of a panel or dashboard."""

    title: str = ""
    url: str = ""
    targetBlank: bool = False  # noqa: N815


class GridPos(msgspec.Struct, **_LOOSE):
    """A panel's position on the grid of 24 columns."""

    h: int
    w: int
    x: int
    y: int


class Panel(msgspec.Struct, **_STRICT):
    """One panel."""

    id: int
    title: str = ""
    type: str = "stat"
    description: str = ""
    datasource: Datasource = msgspec.field(default_factory=Datasource)
    gridPos: GridPos = msgspec.field(default_factory=lambda: GridPos(4, 6, 0, 0))  # noqa: N815
    fieldConfig: FieldConfig = msgspec.field(default_factory=FieldConfig)  # noqa: N815
    options: dict[str, Any] = {}
    targets: list[Target] = []
    links: list[Link] = []


class Variable(msgspec.Struct, **_LOOSE):
    """What a reader may choose, as ``$name`` in queries.

    Attributes:
        query: ``label_values(metric, label)``, values with commas between, or the same
            in an object beside a refId.
        current: What is chosen at first: `text` and `value`.
    """

    name: str
    type: str
    label: str | None = None
    query: Any = ""
    datasource: Any = None
    definition: str | None = None
    current: dict[str, Any] = {}
    options: list[dict[str, Any]] = []
    multi: bool = False
    includeAll: bool = False  # noqa: N815
    allValue: str | None = None  # noqa: N815
    regex: str | None = ""
    hide: int = 0
    refresh: int = 1
    sort: int = 0


class Templating(msgspec.Struct, **_STRICT):
    """The variables."""

    entries: list[Variable] = msgspec.field(name="list", default_factory=list)


class Annotation(msgspec.Struct, **_LOOSE):
    """Marks over time from a query; the monitor draws its own alerts and deploys."""

    name: str
    datasource: Any = None
    enable: bool = True
    hide: bool = False
    iconColor: str = "red"  # noqa: N815
    expr: str = ""
    step: str = ""
    titleFormat: str = ""  # noqa: N815
    textFormat: str = ""  # noqa: N815
    tagKeys: str = ""  # noqa: N815


class Annotations(msgspec.Struct, **_STRICT):
    """The marks."""

    entries: list[Annotation] = msgspec.field(name="list", default_factory=list)


class Dashboard(msgspec.Struct, **_STRICT):
    """A dashboard; `panels` are in reading order, rows among them."""

    uid: str
    title: str
    description: str = ""
    tags: list[str] = []
    schemaVersion: int = 41  # noqa: N815
    version: int = 1
    editable: bool = False
    timezone: str = "browser"
    refresh: str = "10s"
    graphTooltip: int = 0  # noqa: N815
    time: dict[str, str] = {}
    templating: Templating = msgspec.field(default_factory=Templating)
    annotations: Annotations = msgspec.field(default_factory=Annotations)
    panels: list[Panel] = []


def load(text: str, file: str) -> Dashboard:
    """Return the dashboard in `text`, which `build` wrote: every key is known.

    Raises:
        ConfigError: It is not JSON, a key is outside the subset, a value has the wrong
            type, or two panels share an id; with file, line and field.
    """
    _check_json(text, file)
    dashboard, node = yamlfile.read(text, file, Dashboard)
    return _checked(dashboard, node, file)


def parse(text: str, file: str) -> tuple[Any, Any]:
    """Return plain data, and the nodes that know its lines.

    Raises:
        ConfigError: It is not JSON, or too large or too deep.
    """
    _check_json(text, file)
    # JSON is YAML, and only the YAML reader knows its lines.
    return yamlfile.parse(text, file)


def _check_json(text: str, file: str) -> None:
    caps.json_within(text, file)
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ConfigError(f"not JSON: {error}", file=file) from None


def convert(data: Any, node: Any, file: str) -> Dashboard:
    """Return plain data as a dashboard.

    Raises:
        ConfigError: As `load`.
    """
    return _checked(yamlfile.convert(data, node, file, Dashboard), node, file)


def _checked(dashboard: Dashboard, node: Any, file: str) -> Dashboard:
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


_HEX = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
_RGB = re.compile(r"rgba?\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)")


class Limit(NamedTuple):
    """Where a panel's colours say that something is wrong.

    Attributes:
        value: In the panel's unit; None without one.
        above: Whether it is wrong from there upwards, not below.
        whole: Whether the panel counts whole things.
    """

    value: float | None
    above: bool
    whole: bool

    @property
    def most(self) -> float | None:
        """The last value that is right: of whole things the one before red begins."""
        value = self.value
        if value and self.above and self.whole and value == int(value):
            return value - 1
        return value

    def state(self, value: float) -> Literal["none", "over", "ok"]:
        """Return on which side of the limit a value is; none without a limit."""
        if self.value is None:
            return "none"
        over = value >= self.value if self.above else value < self.value
        return "over" if over else "ok"


def limit_of(panel: Panel) -> Limit:
    """Return where a panel turns red; without red, where its colour first changes."""
    defaults = panel.fieldConfig.defaults
    whole = defaults.decimals == 0
    thresholds = defaults.thresholds
    if thresholds is None or thresholds.mode != "absolute" or not thresholds.steps:
        return Limit(None, above=True, whole=whole)
    base, *steps = thresholds.steps
    steps = [step for step in steps if step.value is not None]
    above = not _is_red(base.color)
    ends = [step for step in steps if _is_red(step.color) is above]
    limits = ends or (steps if above else [])
    return Limit(limits[0].value if limits else None, above=above, whole=whole)


def _is_red(color: str) -> bool:
    if color.endswith("red"):  # Grafana's shades: dark-red, semi-dark-red
        return True
    parts = _HEX.match(color)
    numbers = [int(part, 16) for part in parts.groups()] if parts else []
    if parts := _RGB.match(color):
        numbers = [int(part) for part in parts.groups()]
    if not numbers:
        return False
    red, green, blue = numbers
    return red > 2 * max(green, blue)  # Grafana's orange has two thirds of green

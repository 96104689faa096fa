"""Dashboards that a team made in Grafana: what of them the monitor can draw.

Grafana writes many keys that change nothing of what is shown here; those are dropped.
What would change it, and is not done here, is refused by name: for the one panel, so
that the others are drawn.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from watchroom.errors import ConfigError
from watchroom.formats import grafana

DRAWN = ("timeseries", "stat", "gauge", "bargauge", "text", "row")
VARIABLES = ("datasource", "query", "custom", "constant", "textbox", "interval")
_MOST_PANELS = 200
_NOTHING: tuple[Any, ...] = (None, "", [], {}, False)
_BESIDE = {
    "dashboard": {
        *("id", "gnetId", "fiscalYearStartMonth", "liveNow", "preload", "weekStart"),
        *("style", "timepicker", "iteration", "revision", "links", "snapshot"),
        *("__inputs", "__elements", "__requires"),
    },
    "panel": {
        *(
            "pluginVersion",
            "transparent",
            "cacheTimeout",
            "queryCachingTTL",
            "interval",
        ),
        *(
            "maxDataPoints",
            "hideTimeOverride",
            "repeatDirection",
            "maxPerRow",
            "collapsed",
        ),
        *("panels", "renderer", "datasource", "scopedVars"),
    },
    "target": {
        *("editorMode", "exemplar", "format", "interval", "intervalFactor", "step"),
        *("useBackend", "fullMetaSearch", "includeNullMetadata", "disableTextWrap"),
        *("metric", "key", "queryType", "datasource", "fromExploreMetrics"),
    },
    "defaults": {
        *("color", "mappings", "displayName", "description", "links", "unitScale"),
        *("fieldMinMax", "actions", "filterable", "nullValueMode"),
    },
    "step": {"index", "line", "op", "yaxis"},
}
# Of a panel: these change what is shown, and are not done here.
_CHANGES = ("transformations", "timeFrom", "timeShift", "repeat", "libraryPanel")


class ImportedDashboard(NamedTuple):
    """A dashboard to draw.

    Attributes:
        dashboard: What can be read of it, rows unfolded.
        refused: Why a panel is not drawn, by its id.
        file: Where it came from.
        own: Whether `watchroom build` wrote it.
    """

    dashboard: grafana.Dashboard
    refused: dict[int, str]
    file: str
    own: bool = False


def read(text: str, file: str) -> ImportedDashboard:
    """Return the dashboard in `text`.

    Raises:
        ConfigError: It is not a dashboard, or has a kind of variable that is not done
            here; it names the file and the field.
    """
    data, node = grafana.parse(text, file)
    if not isinstance(data, dict) or not isinstance(data.get("panels", []), list):
        raise ConfigError("isn't a dashboard", file=file)
    if "panels" not in data and ("spec" in data or "dashboard" in data):
        raise ConfigError(
            "isn't a dashboard in the classic JSON model",
            file=file,
            hint="in Grafana, export it as code, in the Classic format",
        )
    plain = _without(data, "dashboard")
    panels: list[dict[str, Any]] = []
    refused: dict[int, str] = {}
    for number, raw in enumerate(_unfolded(data.get("panels", [])), 1):
        panel, why = _panel(raw, number)
        panels.append(panel)
        if why:
            refused[panel["id"]] = why
    if len(panels) > _MOST_PANELS:
        raise ConfigError(f"has more than {_MOST_PANELS} panels", file=file)
    dashboard = grafana.convert({**plain, "panels": panels}, node, file)
    for variable in dashboard.templating.entries:
        if variable.type not in VARIABLES:
            raise ConfigError(
                f"the variable {variable.name!r} is of the type {variable.type!r}",
                file=file,
                field="templating.list",
                hint=f"the monitor supports the variables {', '.join(VARIABLES)}",
            )
    return ImportedDashboard(dashboard, refused, file)


def _unfolded(panels: list[Any]) -> list[dict[str, Any]]:
    flat: list[dict[str, Any]] = []
    for panel in panels:
        if isinstance(panel, dict):
            flat.append(panel)
            inner = panel.get("panels")
            flat += [nested for nested in inner or () if isinstance(nested, dict)]
    return flat


def _panel(raw: dict[str, Any], number: int) -> tuple[dict[str, Any], str]:
    """Return what to convert, and why it is not drawn; then it is only a title."""
    panel_id = raw.get("id")
    shell = {
        "id": panel_id if isinstance(panel_id, int) else 1_000_000 + number,
        "title": str(raw.get("title") or ""),
        "type": str(raw.get("type") or ""),
    }
    if isinstance(raw.get("gridPos"), dict):
        shell["gridPos"] = raw["gridPos"]
    why = _refusal(raw)
    if why:
        return shell, why
    plain = {**_without(raw, "panel"), **shell}
    plain["fieldConfig"] = _field_config(raw.get("fieldConfig"))
    plain["targets"] = [
        _without(target, "target")
        for target in raw.get("targets") or ()
        if isinstance(target, dict)
    ]
    for change in _CHANGES:
        plain.pop(change, None)
    try:
        msgspec.convert(plain, grafana.Panel, strict=True)
    except msgspec.ValidationError as error:
        return shell, str(error).replace("`", "'")
    return plain, ""


def _refusal(raw: dict[str, Any]) -> str:
    kind = raw.get("type")
    if kind not in DRAWN:
        return f"the monitor doesn't draw panels of the type {kind!r}"
    for change in _CHANGES:
        if raw.get(change) not in _NOTHING:
            return f"the monitor doesn't support {change}"
    sources = [raw.get("datasource")]
    sources += [
        target.get("datasource")
        for target in raw.get("targets") or ()
        if isinstance(target, dict)
    ]
    for source in sources:
        kind_of_source = source.get("type") if isinstance(source, dict) else None
        if kind_of_source not in {None, "", "prometheus", "datasource"}:
            return f"its data source is of the type {kind_of_source!r}"
    return ""


def _field_config(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        return {}
    defaults = raw.get("defaults")
    if not isinstance(defaults, dict):
        return {}
    plain = _without(defaults, "defaults")
    thresholds = plain.get("thresholds")
    if isinstance(thresholds, dict):
        steps = thresholds.get("steps") or ()
        plain["thresholds"] = {
            **thresholds,
            "steps": [_without(s, "step") for s in steps if isinstance(s, dict)],
        }
    return {"defaults": {name: v for name, v in plain.items() if v is not None}}


def _without(raw: dict[str, Any], level: str) -> dict[str, Any]:
    """Return a level of the JSON without what changes nothing here."""
    return {name: value for name, value in raw.items() if name not in _BESIDE[level]}

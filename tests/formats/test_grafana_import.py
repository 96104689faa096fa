"""A team's own dashboards: drawn where they can be, refused by name where not."""

from __future__ import annotations

import json

import pytest

from watchroom.errors import ConfigError
from watchroom.formats import grafana_import

PANEL = {
    "id": 2,
    "type": "timeseries",
    "title": "Orders",
    "pluginVersion": "12.0.1",
    "gridPos": {"h": 8, "w": 12, "x": 0, "y": 0, "static": True},
    "datasource": {"type": "prometheus", "uid": "abc"},
    "fieldConfig": {
        "defaults": {
            "color": {"mode": "palette-classic"},
            "custom": {"drawStyle": "line", "axisPlacement": "auto"},
            "mappings": [],
            "min": None,
            "thresholds": {"mode": "absolute", "steps": [{"color": "green"}]},
            "unit": "reqps",
        },
        "overrides": [{"matcher": {"id": "byName"}, "properties": []}],
    },
    "options": {"legend": {"calcs": []}},
    "targets": [
        {
            "datasource": {"type": "prometheus", "uid": "abc"},
            "editorMode": "code",
            "exemplar": False,
            "expr": "rate(orders_total[$__rate_interval])",
            "legendFormat": "__auto",
            "range": True,
            "refId": "A",
        }
    ],
}
BOARD = {
    "annotations": {"list": [{"builtIn": 1, "name": "A", "type": "dashboard"}]},
    "editable": True,
    "fiscalYearStartMonth": 0,
    "graphTooltip": 0,
    "id": 7,
    "links": [],
    "panels": [PANEL],
    "preload": False,
    "refresh": "",
    "schemaVersion": 41,
    "tags": [],
    "templating": {"list": []},
    "time": {"from": "now-6h", "to": "now"},
    "timepicker": {},
    "timezone": "browser",
    "title": "Shop",
    "uid": "shop",
    "version": 3,
}


def read(**changes):
    return grafana_import.read(json.dumps(BOARD | changes), "shop.json")


def panel(**changes):
    return read(panels=[PANEL | changes])


def test_what_grafana_writes_beside_the_model_stops_nothing():
    sheet = read()
    assert sheet.refused == {}
    (one,) = sheet.dashboard.panels
    assert one.targets[0].expr == "rate(orders_total[$__rate_interval])"
    assert one.fieldConfig.defaults.unit == "reqps"
    assert one.gridPos.w == 12


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"type": "heatmap"}, "'heatmap'"),
        ({"transformations": [{"id": "reduce"}]}, "transformations"),
        ({"timeShift": "1d"}, "timeShift"),
        ({"repeat": "job"}, "repeat"),
        ({"datasource": {"type": "loki", "uid": "x"}}, "'loki'"),
        ({"targets": [{"refId": "A", "expr": "m", "nobody": 1}]}, "nobody"),
        ({"targets": [{"refId": "A", "expr": 5}]}, "targets[0].expr"),
        ({"nobodyKnows": 1}, "nobodyKnows"),
    ],
)
def test_a_panel_that_would_show_something_else_is_refused_by_name(changes, why):
    sheet = panel(**changes)
    assert why in sheet.refused[2]
    assert [one.title for one in sheet.dashboard.panels] == ["Orders"]


def test_one_refused_panel_leaves_the_others():
    other = PANEL | {"id": 3, "type": "geomap"}
    sheet = read(panels=[PANEL, other])
    assert list(sheet.refused) == [3]


def test_folded_rows_are_unfolded():
    row = {"id": 9, "type": "row", "title": "More", "collapsed": True}
    sheet = read(panels=[row | {"panels": [PANEL]}])
    assert [one.id for one in sheet.dashboard.panels] == [9, 2]
    assert sheet.refused == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "isn't a dashboard"),
        (json.dumps({"spec": {}}), "classic JSON model"),
        (json.dumps(BOARD | {"uid": 5}), "uid"),
        (json.dumps({k: v for k, v in BOARD.items() if k != "title"}), "title"),
        (json.dumps(BOARD | {"nobody": 1}), "nobody"),
        (
            json.dumps(
                BOARD | {"templating": {"list": [{"name": "f", "type": "adhoc"}]}}
            ),
            "'adhoc'",
        ),
        (json.dumps(BOARD | {"panels": [PANEL, PANEL]}), "two panels have the id 2"),
    ],
)
def test_what_is_no_dashboard_is_refused_with_the_file(text, said):
    with pytest.raises(ConfigError) as caught:
        grafana_import.read(text, "shop.json")
    assert said in str(caught.value)
    assert "shop.json" in str(caught.value)

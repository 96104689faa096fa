"""Marks of alerts and deployments on the dashboards' time axis."""

from __future__ import annotations

import json

from tests.support.plans import built, planned
from tests.support.promqltest import read, stored

from watchroom.derive.marks import marks
from watchroom.formats import grafana
from watchroom.promql.engine import Engine
from watchroom.promql.memory import MemoryQueryable

MINUTE = 60_000
# v1 from the start; v2 from minute 20 to 40; at minute 40 v1 is back.
RELEASES = """
load 1m
  watchroom_release_info{job="app",release="v1",role="web"} 1x20 _x19 1x10
  watchroom_release_info{job="app",release="v1",role="worker"} 1x20 _x19 1x10
  watchroom_release_info{job="app",release="v2",role="web"} _x20 1x20
  watchroom_release_info{job="drill-1",release="v9",role="web"} _x9 1x40

eval instant at 1m vector(1)
  {} 1
"""


def test_every_dashboard_has_both_marks_from_its_own_data_source() -> None:
    for path, text in built(planned()).items():
        if not path.startswith("grafana/"):
            continue
        board = json.loads(text)
        names = [one["name"] for one in board["annotations"]["list"]]
        assert names == ["Alerts", "Deployments"]
        for one in board["annotations"]["list"]:
            assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert one["enable"] is True
            assert one["expr"]
        assert grafana.load(text, path).annotations == marks(planned())


def test_a_release_is_marked_when_it_replaces_another_and_only_then() -> None:
    deployed = marks(planned()).entries[1].expr
    (block,) = read(RELEASES)
    memory = MemoryQueryable(stored(block.loads).series)
    minutes = {}
    for minute in range(50):
        found = Engine().instant(memory, deployed, minute * MINUTE).samples
        minutes[minute] = {dict(labels)["release"] for labels, _ in found}
    marked = {minute: found for minute, found in minutes.items() if found}
    # Five minutes wide: Grafana's steps are wider on a wide range.
    v2 = {minute: {"v2"} for minute in range(20, 25)}
    v1 = {minute: {"v1"} for minute in range(40, 45)}
    assert marked == v2 | v1


def test_marks_are_of_this_site_alone() -> None:
    made = planned(select='namespace="shop"', labels={"team": "shop"})
    alerts, deployed = (one.expr for one in marks(made).entries)
    assert 'team="shop"' in alerts
    assert "namespace" not in alerts
    assert deployed.count('namespace="shop"') == 3

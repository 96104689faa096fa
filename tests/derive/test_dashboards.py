"""Dashboards as Grafana's own linter would have them, and then some."""

from __future__ import annotations

import json
import re

import pytest
from tests.support.plans import built, planned

from watchroom.catalogue.load import Override
from watchroom.catalogue.model import ROWS
from watchroom.derive.selectors import names
from watchroom.formats import grafana

ALL = (
    *("sites", "database", "cache", "celery", "broker", "beat", "postgresql", "health"),
    *("disks", "https"),
)
GUIDE = ROWS[:5]
# Units of Grafana that a value of ours can have, and that the monitor can say.
UNITS = {
    *(
        "short",
        "percentunit",
        "s",
        "reqps",
        "ops",
        "bytes",
        "bool_yes_no",
        "dtdurations",
    ),
    *("none", "percent", "binBps", "d", "suffix:cores"),
}


@pytest.fixture(scope="module")
def made():
    return planned(has=ALL)


@pytest.fixture(scope="module")
def boards(made):
    return {
        path: grafana.load(text, path)
        for path, text in built(made).items()
        if path.startswith("grafana/")
    }


@pytest.fixture(scope="module")
def charts(boards):
    return boards["grafana/watchroom-charts.json"]


def drawn(board):
    return [panel for panel in board.panels if panel.type != "row"]


def filled(expr):
    return expr.replace("$__rate_interval", "20s")


def test_the_same_plan_gives_the_same_bytes(made):
    assert built(made) == built(planned(has=ALL))


def test_every_dashboard_is_told_where_to_ask_and_is_not_edited_in_place(boards):
    uids = [board.uid for board in boards.values()]
    assert sorted(uids) == ["watchroom-charts", "watchroom-overview"]
    for path, board in boards.items():
        assert path == f"grafana/{board.uid}.json"
        assert not board.editable
        first = board.templating.entries[0]
        assert (first.name, first.type) == ("datasource", "datasource")
        for panel in drawn(board):
            for source in (panel, *panel.targets):
                assert source.datasource.uid == "${datasource}"


def test_job_and_instance_can_be_chosen(charts):
    variables = {one.name: one for one in charts.templating.entries}
    for name in ("job", "instance"):
        one = variables[name]
        assert one.multi
        assert one.includeAll
        assert one.allValue == ".+"
        assert one.label
        assert one.refresh == 2
        assert one.datasource == {"type": "prometheus", "uid": "${datasource}"}


def test_panels_have_words_units_targets_and_ids_of_their_own(boards):
    for board in boards.values():
        ids = [panel.id for panel in board.panels]
        assert len(set(ids)) == len(ids)
        for panel in drawn(board):
            assert panel.title
            assert panel.description
            assert panel.fieldConfig.defaults.unit in UNITS, panel.title
            refs = [target.refId for target in panel.targets]
            assert refs
            assert len(set(refs)) == len(refs)
            for target in panel.targets:
                names(filled(target.expr), panel.title)


def test_no_panel_lies_over_another_or_over_the_edge(boards):
    for board in boards.values():
        cells = set()
        for panel in board.panels:
            where = panel.gridPos
            mine = {
                (x, y)
                for x in range(where.x, where.x + where.w)
                for y in range(where.y, where.y + where.h)
            }
            assert where.x + where.w <= 24
            assert not cells & mine, panel.title
            cells |= mine


def test_charts_select_what_the_reader_chose_and_no_drills(charts):
    for panel in drawn(charts):
        for target in panel.targets:
            for selector in names(filled(target.expr), panel.title):
                matchers = {(m.name, m.op, m.value) for m in selector.matchers}
                assert ("job", "=~", "$job") in matchers, target.expr
                assert ("job", "!~", "drill-.+") in matchers, target.expr
                # A record is of a job: an instance would find nothing.
                record = ":" in selector.metric
                chosen = ("instance", "=~", "$instance") in matchers
                assert chosen != record, target.expr


def test_counters_are_read_through_a_rate_that_fits_the_zoom(charts):
    for panel in drawn(charts):
        for target in panel.targets:
            for call in re.findall(r"(\w+)\((?=[^()]*_total)", target.expr):
                assert call in {"rate", "increase", "irate"}, target.expr
            for span in re.findall(r"\[([^\]]+)\]", target.expr):
                assert span == "$__rate_interval", target.expr


def test_lines_of_several_series_have_names(charts):
    for panel in drawn(charts):
        for target in panel.targets:
            assert target.legendFormat, target.expr
            labels = set(re.findall(r"{{(\w+)}}", target.legendFormat))
            grouped = re.search(r"by \(([^)]+)\)", target.expr)
            if grouped:
                by = {name.strip() for name in grouped[1].split(",")} - {"le"}
                assert labels == by, target.expr


def test_a_line_is_drawn_where_the_rule_fires(made, boards):
    checked = 0
    by_title = {
        panel.title: panel for panel in drawn(boards["grafana/watchroom-charts.json"])
    }
    for vital in made.vitals:
        for chart in vital.charts:
            steps = by_title[chart.chart.title].fieldConfig.defaults.thresholds.steps
            limits = [step.value for step in steps if step.value is not None]
            if chart.limit is None:
                assert limits == []
                continue
            checked += 1
            assert limits == [chart.limit]
            numbers = {vital.vital.limit}
            for alert in vital.alerts:
                numbers |= {
                    float(n)
                    for n in re.findall(r"(?:[<>]=?|==) ?(-?[\d.]+)", alert.expr)
                }
            assert chart.limit in numbers, (vital.name, chart.limit, numbers)
            colours = [step.color for step in steps]
            assert colours == (
                ["green", "red"] if chart.chart.bad == "above" else ["red", "green"]
            )
    assert checked > 4


def test_an_override_moves_the_line():
    made = planned(has=ALL, overrides={"HighLatency": Override(limit=3.0)})
    chart = next(
        c for v in made.vitals for c in v.charts if "p95, p99" in c.chart.title
    )
    assert chart.limit == 3.0
    assert "3 seconds" in chart.chart.description


def test_the_guides_groups_come_first_and_in_its_order(charts):
    rows = [panel.title for panel in charts.panels if panel.type == "row"]
    known = [row for row in rows if row in GUIDE]
    assert rows[: len(known)] == [row for row in GUIDE if row in known]
    titles = [panel.title for panel in drawn(charts)]
    assert len(set(titles)) == len(titles)


def test_what_a_project_does_not_have_is_left_out():
    fewer = planned(has=())
    text = built(fewer)["grafana/watchroom-charts.json"]
    rows = [p["title"] for p in json.loads(text)["panels"] if p["type"] == "row"]
    assert "Database" not in rows
    assert "Cache" not in rows
    assert rows[:2] == list(ROWS[:2])


def test_the_nine_signals_of_the_guides_table_come_first(boards):
    panels = boards["grafana/watchroom-overview.json"].panels
    assert [p.type for p in panels[:11]] == ["row", *["stat"] * 9, "row"]
    named = [link.title for p in panels[1:10] for link in p.links]
    assert named == [
        f"Runbook {name}"
        for name in (
            *("HighErrorRate", "HighLatency", "DatabaseQuerySlow"),
            *("DatabaseConnectionsHigh", "CacheHitRateLow", "CeleryTaskFailed"),
            *("MemoryHigh", "DiskSpaceLow", "CertificateExpiring"),
        )
    ]


def test_links_of_panels_lead_to_runbooks_there_are(made, boards):
    files = built(made)
    for board in boards.values():
        for panel in drawn(board):
            for link in panel.links:
                name = link.url.rpartition("/runbooks/")[2]
                assert f"runbooks/{name}.md" in files

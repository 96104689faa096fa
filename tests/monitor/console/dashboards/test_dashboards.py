"""Dashboards of a running monitor: its own files', the team's, their data."""

from __future__ import annotations

import html
import json
import re
import time
import urllib.parse

import pytest
from tests.support.listener import listening
from tests.support.waiting import until
from tests.support.watched import PANEL, Files, Monitor, Target

EVIL = "<script>alert(1)</script>"
CHART = {
    "id": 1,
    "title": f"Size {EVIL}",
    "type": "timeseries",
    "description": "How large m is.",
    "gridPos": {"h": 8, "w": 12, "x": 0, "y": 1},
    "fieldConfig": {
        "defaults": {
            "unit": "bytes",
            "thresholds": PANEL["fieldConfig"]["defaults"]["thresholds"],
            "custom": {"thresholdsStyle": {"mode": "dashed"}},
        }
    },
    "targets": [{"refId": "A", "expr": 'm{x=~"$x"}', "legendFormat": "{{x}}"}],
}
VARIABLE = {
    "name": "x",
    "type": "query",
    "query": "label_values(m, x)",
    "includeAll": True,
    "multi": True,
    "allValue": ".+",
    "current": {"value": "$__all"},
}


def team_board():
    return {
        "uid": "team",
        "title": f"Team {EVIL}",
        "templating": {"list": [VARIABLE]},
        "panels": [
            {"id": 9, "type": "row", "title": "Row"},
            CHART,
            CHART | {"id": 2, "type": "heatmap", "title": "Hot"},
            CHART | {"id": 3, "type": "stat"},
            CHART | {"id": 4, "targets": [{"refId": "A", "expr": "m{x='$nobody'}"}]},
            CHART | {"id": 5, "targets": [{"refId": "A", "expr": "nothing"}]},
            {"id": 6, "type": "text", "options": {"content": f"**bold** {EVIL}"}},
            CHART | {"id": 7, "targets": [{"refId": "A", "expr": "many"}]},
        ],
    }


@pytest.fixture(scope="module")
def monitor(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("dashboards")
    target = Target()
    many = "".join(f'many{{i="{i}"}} {i}\n' for i in range(60))
    target.paths["/metrics"] = f'm{{x="a"}} 3\nm{{x="{EVIL}"}} 9\n{many}'
    with listening() as pages:
        files = Files(tmp_path / "monitoring", pages.url()).job(target.address)
        files.write()
        folder = files.path / "local" / "grafana"
        folder.mkdir(parents=True)
        (folder / "team.json").write_text(json.dumps(team_board()))
        (folder / "broken.json").write_text("{")
        (folder / "twin.json").write_text(
            json.dumps(team_board() | {"uid": "watchroom-overview"})
        )
        running = Monitor(files, tmp_path)
        running.start().ready()
        until(lambda: lines(running, 1)["lines"], 30)
        yield running
        running.stop()
    target.close()


def data(monitor, panel, **query):
    names = {"start": "from", "end": "to"}
    text = urllib.parse.urlencode({names.get(k, k): v for k, v in query.items()})
    return monitor.get(f"/dashboards/team/panels/{panel}?{text}")


def lines(monitor, panel, **query):
    answer = data(monitor, panel, **query)
    assert answer.status == 200, answer.body
    return answer.json


def test_the_index_lists_ours_and_the_teams_and_says_what_is_refused(monitor):
    page = monitor.get("/dashboards/").body
    assert 'href="watchroom-overview"' in page
    assert 'href="team"' in page
    assert "1 not supported" in page
    assert "broken.json" in page
    assert "not JSON" in page
    assert "watchroom-overview&#39; is empty or already used" in page
    assert EVIL not in page
    assert 'href="dashboards/"' in monitor.get("/").body


def test_the_frame_is_there_before_any_data(monitor):
    page = monitor.get("/dashboards/team?from=now-15m&to=now&var-x=a").body
    assert EVIL not in page
    assert "How large m is." in page
    assert "limit 5 B" in page
    assert "the monitor doesn&#39;t draw panels of the type &#39;heatmap&#39;" in page
    assert "<strong>bold</strong>" in page
    assert 'aria-current="true">15m' in page
    assert "from=now-6h&amp;to=now&amp;var-x=a" in page
    assert "<option selected>a</option>" in page
    assert "style=" not in page
    assert monitor.get("/dashboards/nobody").status == 404


def test_lines_are_aligned_named_and_bounded(monitor):
    found = lines(monitor, 1, start="now-15m", points=60)
    assert {line["name"] for line in found["lines"]} == {"a", EVIL}
    assert all(len(line["values"]) == found["count"] for line in found["lines"])
    assert found["count"] <= 61
    assert found["start"] % found["step"] == 0
    assert (found["limit"], found["above"]) == (5, True)
    assert found["word"] == "B"
    last = {line["name"]: line["values"][-1] for line in found["lines"]}
    assert last == {"a": 3, EVIL: 9}
    one = lines(monitor, 1, **{"var-x": "a"})
    assert [line["name"] for line in one["lines"]] == ["a"]


def test_too_many_series_are_counted_and_the_largest_drawn(monitor):
    found = lines(monitor, 7)
    assert found["total"] == 60
    values = [line["values"][-1] for line in found["lines"]]
    assert len(values) == 24
    assert min(values) == 36


def test_a_panel_of_numbers_says_them_with_their_state(monitor):
    found = lines(monitor, 3)
    assert [(n["number"], n["unit"], n["state"]) for n in found["numbers"]] == [
        ("9", "B", "over"),
        ("3", "B", "ok"),
    ]


def test_no_data_and_errors_are_told_apart(monitor):
    assert lines(monitor, 5)["lines"] == []
    wrong = data(monitor, 4)
    assert wrong.status == 422
    assert "$nobody" in wrong.json["error"]
    late = data(monitor, 1, start="tomorrow")
    assert late.status == 422
    assert "isn't a valid time" in late.json["error"]
    assert data(monitor, 2).status == 404
    assert data(monitor, "x").status == 404


def test_a_wrong_time_in_the_url_shows_the_usual_one_and_says_so(monitor):
    answer = monitor.get("/dashboards/team?from=tomorrow")
    assert answer.status == 400
    assert "isn&#39;t a valid time" in answer.body


def rows_of(body):
    """Return the text of a page, and its lines, a row of a table one of them."""
    page = html.unescape(re.sub(r"<[^>]+>", " ", body.replace("<tr>", "\n")))
    return page, [" ".join(row.split()) for row in page.splitlines()]


def with_values(monitor):
    """Return the values of a minute once there are some.

    A quarter of an hour has a step a minute: a new monitor has no sample at one yet.
    """
    answer = monitor.get("/dashboards/team/values?from=now-1m")
    there = any(row.startswith(EVIL) for row in rows_of(answer.body)[1])
    return answer if there else None


def test_without_scripts_a_chart_is_a_table_of_values(monitor):
    page = monitor.get("/dashboards/team?from=now-15m&var-x=a").body
    to = "team/values?from=now-15m&amp;var-x=a"
    assert f'<noscript><meta http-equiv="refresh" content="0; url={to}">' in page
    assert monitor.get("/dashboards/team/panels/1.svg").status == 404
    answer = until(lambda: with_values(monitor), 30, "a sample at a step of the chart")
    assert answer.status == 200
    assert "charts.js" not in answer.body
    assert EVIL not in answer.body
    page, rows = rows_of(answer.body)
    (evil,) = [row for row in rows if row.startswith(EVIL)]
    assert evil.split()[1:3] == ["9", "9"], "the highest, and the newest"
    assert any(row.startswith("Series, B ") for row in rows)
    assert any(row.startswith("9 B") and "past its limit" in row for row in rows)
    for said in ("No data in this time range.", "60 series: the 24 largest are shown."):
        assert said in page
    assert "$nobody" in page, "what cannot be asked says why, beside the others"
    longer = monitor.get("/dashboards/team/values?from=now-15m").body
    assert "monitor started" in longer, "what happened is there without a script too"
    assert monitor.get("/dashboards/team/values?from=tomorrow").status == 400
    assert monitor.get("/dashboards/nobody/values").status == 404


def test_lines_of_one_query_come_largest_first(monitor):
    found = lines(monitor, 7, start="now-15m")["lines"]
    last = [line["values"][-1] for line in found]
    assert last == sorted(last, reverse=True)


def test_marks_say_when_alerts_fired(monitor):
    def fired():
        found = monitor.get("/dashboards/team/marks?from=now-15m").json["marks"]
        return [mark for mark in found if mark["kind"] == "alert"]

    (mark,) = until(fired, 30)
    assert mark["text"] == "TooHigh"
    assert mark["link"] == "runbooks/TooHigh"
    assert 0 <= time.time() - mark["at"] < 120
    kinds = {m["kind"] for m in monitor.get("/dashboards/team/marks").json["marks"]}
    assert "watch" in kinds


def test_the_script_comes_from_this_monitor_or_its_absence_is_said(monitor):
    there = monitor.get("/static/vendor/uPlot.iife.min.js").status == 200
    page = monitor.get("/dashboards/team").body
    assert (
        "charts&#39; script is missing" in page or "script is missing from" in page
    ) != there
    for path in ("/static/vendor/../auth.py", "/static/vendor/x"):
        assert monitor.get(path).status == 404

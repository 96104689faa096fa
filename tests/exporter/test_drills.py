"""Drills: what is served at which second, and which pages are kept."""

import json

import pytest

from watchroom.errors import ConfigError, FormatError
from watchroom.exporter import drills as drills_module
from watchroom.formats import exposition

TOKEN = "a-token-for-tests"
ERRORS = 'http_requests_total{route="drill",status="500"}'
GOOD = 'http_requests_total{route="drill",status="200"}'


def order(nonce="ab12", **changes):
    return {
        "nonce": nonce,
        "alert": "HighErrorRate",
        "fault": [f"{ERRORS} 0+5x100", f"{GOOD} 10+1x3"],
        "recovery": [f"{GOOD} 1000+2x100"],
        "interval_seconds": 5,
        "limit_seconds": 900,
        **changes,
    }


def page(job, status="firing", count=1):
    alert = {"status": status, "labels": {"alertname": "HighErrorRate", "job": job}}
    return {"version": "4", "status": status, "alerts": [alert] * count}


@pytest.fixture
def drill(exporter):
    """Return a function that posts to a drill endpoint with the token."""

    def post(what, body, *, expect=200):
        status, _, text = exporter.call("POST", f"/drill/{what}", body, token=TOKEN)
        assert status == expect, text
        return text

    return post


def served(exporter, nonce="ab12"):
    status, _, text = exporter.call("GET", f"/drill/metrics?nonce={nonce}")
    assert status == 200, text
    return {
        series: exposition.value_of(value)
        for series, value, *_ in exposition.split(text)
        if not series.startswith("watchroom_drill_active")
    }


def targets(exporter, **headers):
    return json.loads(exporter.call("GET", "/drill/targets", headers=headers)[2])


def received(exporter, nonce="ab12"):
    return json.loads(exporter.call("GET", f"/drill/receipt?nonce={nonce}")[2])


def test_idle_there_is_no_target_and_nothing_is_served(exporter):
    assert targets(exporter) == []
    assert exporter.call("GET", "/drill/metrics?nonce=ab12")[0] == 400
    assert exporter.call("GET", "/drill/metrics")[0] == 400


def test_a_running_drill_is_a_target_under_the_name_it_was_asked_by(exporter, drill):
    drill("start", order())
    port = exporter.address[1]
    labels = {
        "job": "drill-ab12",
        "__metrics_path__": "/drill/metrics",
        "__param_nonce": "ab12",
    }
    mine = f"127.0.0.1:{port}"
    assert targets(exporter) == [{"targets": [mine], "labels": labels}]
    trusted = {"Authorization": f"Bearer {TOKEN}"}
    assert targets(exporter, Host="app.internal:9000", **trusted)[0]["targets"] == [
        "app.internal:9000"
    ]
    assert targets(exporter, Host='evil\\"}:1', **trusted)[0]["targets"] == [mine]


def test_the_fault_advances_one_step_an_interval_and_stays_at_its_end(exporter, drill):
    drill("start", order())
    seen = []
    for seconds in (0, 4.9, 5, 14, 500):
        exporter.clock.now = 1000 + seconds
        found = served(exporter)
        seen.append((found[ERRORS], found[GOOD]))
    assert seen == [(0, 10), (0, 10), (5, 11), (10, 12), (500, 13)]


def test_the_recovery_of_a_counter_is_added_to_what_the_fault_served_last(
    exporter, drill
):
    drill("start", order())
    exporter.clock.now += 12
    assert served(exporter) == {ERRORS: 10, GOOD: 12}
    drill("recover", {"nonce": "ab12"})
    assert served(exporter) == {ERRORS: 10, GOOD: 1012}
    exporter.clock.now += 5
    drill("recover", {"nonce": "ab12"})  # again: nothing begins anew
    assert served(exporter) == {ERRORS: 10, GOOD: 1014}


def test_the_recovery_of_a_gauge_is_its_new_value(exporter, drill):
    drill(
        "start",
        order(
            fault=["books 3x9", "new_total _x9"],
            recovery=["books 0x9", "new_total 7x9", "other 1"],
        ),
    )
    assert served(exporter) == {"books": 3}
    drill("recover", {"nonce": "ab12"})
    assert served(exporter) == {"books": 0, "new_total": 7, "other": 1}


def test_a_step_without_a_sample_is_left_out(exporter, drill):
    drill("start", order(fault=["a 1 _ stale 2", "b_total NaN"], recovery=[]))
    seen = []
    for step in range(4):
        exporter.clock.now = 1000 + 5 * step
        seen.append(served(exporter).get("a"))
    assert seen == [1, None, None, 2]


def test_a_fault_can_be_that_the_target_is_down(exporter, drill):
    drill("start", order(fault=["down"], recovery=["up_again 1"]))
    assert exporter.call("GET", "/drill/metrics?nonce=ab12")[0] == 503
    assert len(targets(exporter)) == 1
    drill("recover", {"nonce": "ab12"})
    assert served(exporter) == {"up_again": 1}


def test_a_drill_says_which_alert_it_is_for(exporter, drill):
    drill("start", order())
    text = exporter.call("GET", "/drill/metrics?nonce=ab12")[2]
    assert 'watchroom_drill_active{alert="HighErrorRate"} 1\n' in text


def test_a_drill_ends_at_its_limit_by_itself(exporter, drill):
    drill("start", order(limit_seconds=60))
    exporter.clock.now += 59.9
    assert len(targets(exporter)) == 1
    exporter.clock.now += 0.1
    assert targets(exporter) == []
    assert exporter.call("GET", "/drill/metrics?nonce=ab12")[0] == 400
    drill("recover", {"nonce": "ab12"}, expect=400)
    drill("stop", {"nonce": "ab12"}, expect=400)


def test_stop_takes_the_target_away(exporter, drill):
    drill("start", order())
    drill("stop", {"nonce": "ab12"})
    assert targets(exporter) == []
    assert "already used" in drill("start", order(), expect=400)


def test_drills_run_side_by_side(exporter, drill):
    drill("start", order("one", fault=["a 1"]))
    drill("start", order("two", fault=["a 2"]))
    assert [t["labels"]["job"] for t in targets(exporter)] == ["drill-one", "drill-two"]
    assert served(exporter, "one") == {"a": 1}
    assert served(exporter, "two") == {"a": 2}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nonce": "AB"}, "nonce"),
        ({"nonce": "a" * 33}, "nonce"),
        ({"nonce": 5}, "nonce"),
        ({"alert": ""}, "alert"),
        ({"fault": []}, "fault"),
        ({"fault": "a 1"}, "fault"),
        ({"fault": ["a 1", 2]}, "fault"),
        ({"fault": ["a one"]}, "'one'"),
        ({"fault": ["down", "a 1"]}, "down"),
        ({"fault": ["a 1"] * 2}, "twice"),
        ({"fault": ["a 0x90000", "b 0x90000", "c 0x90000"]}, "steps"),
        ({"fault": ["a 1"] * 501}, "500"),
        ({"recovery": ["{} 1"]}, "series"),
        ({"interval_seconds": 0}, "interval_seconds"),
        ({"interval_seconds": True}, "interval_seconds"),
        ({"limit_seconds": 1e9}, "limit_seconds"),
    ],
)
def test_an_order_that_will_not_do_is_refused_by_field(exporter, drill, changes, said):
    assert said in drill("start", {**order(), **changes}, expect=400)
    assert targets(exporter) == []


def test_an_order_that_is_no_object_is_refused(drill):
    for body in ([], "x", 5, None):
        drill("start", body if body is not None else [], expect=400)


def test_only_the_pages_of_known_drills_are_kept(exporter, drill):
    drill("start", order())
    kept = exporter.call("POST", "/drill/receipt", page("drill-ab12"))[2]
    assert kept == '{"kept": 1}'
    for job in ("app", "drill-zz", "drill-", 5):
        assert exporter.call("POST", "/drill/receipt", page(job))[2] == '{"kept": 0}'
    exporter.call("POST", "/drill/receipt", page("drill-ab12", "resolved"))
    found = received(exporter)["received"]
    assert [(one["at"], one["status"]) for one in found] == [
        (1_700_000_000.5, "firing"),
        (1_700_000_000.5, "resolved"),
    ]
    assert found[0]["alerts"][0]["labels"]["alertname"] == "HighErrorRate"


def test_a_page_that_comes_after_the_end_is_still_read(exporter, drill):
    drill("start", order())
    drill("stop", {"nonce": "ab12"})
    exporter.call("POST", "/drill/receipt", page("drill-ab12", "resolved"))
    assert len(received(exporter)["received"]) == 1


def test_pages_are_bounded_and_what_is_dropped_is_counted(exporter, drill, monkeypatch):
    monkeypatch.setattr(drills_module, "ALERTS", 3)  # not so many pages
    drill("start", order())
    assert exporter.call("POST", "/drill/receipt", page("drill-ab12", count=5))[2] == (
        '{"kept": 3}'
    )
    for _ in range(drills_module.RECEIPTS):
        exporter.drills.receive(page("drill-ab12"))
    assert len(exporter.drills.receipts("ab12")) == drills_module.RECEIPTS
    assert exporter.drills.dropped_receipts == 3
    text = exporter.call("GET", "/metrics")[2]
    assert "watchroom_exporter_dropped_receipts_total 3\n" in text


def test_no_page_of_an_unknown_drill_can_be_read(exporter):
    assert exporter.call("GET", "/drill/receipt?nonce=zz")[0] == 400
    assert exporter.call("POST", "/drill/receipt", {"alerts": 5})[0] == 400
    assert exporter.call("POST", "/drill/receipt", [])[0] == 400


def test_drills_at_once_and_drills_remembered_are_bounded(exporter):
    for at in range(drills_module.RUNNING):
        exporter.drills.start(order(f"n{at}"))
    with pytest.raises(ConfigError, match="drills are running"):
        exporter.drills.start(order("more"))
    for at in range(drills_module.RUNNING, 3 * drills_module.REMEMBERED):
        exporter.drills.stop({"nonce": f"n{at - 1}"})
        exporter.drills.start(order(f"n{at}"))
    with pytest.raises(ConfigError, match="known"):
        exporter.drills.receipts(f"n{drills_module.RUNNING}")
    exporter.drills.receipts(f"n{3 * drills_module.REMEMBERED - 2}")
    assert exporter.drills.running() == drills_module.RUNNING


def test_a_line_that_is_no_series_is_a_format_error(exporter):
    with pytest.raises(FormatError):
        exporter.drills.start(order(fault=["no value"]))

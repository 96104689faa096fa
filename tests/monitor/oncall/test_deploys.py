"""A deployment is seen on the processes, or said; both together are one."""

from __future__ import annotations

from watchroom.monitor.oncall.deploys import Deploys

MINUTE = 60_000


def marks(night):
    night.timeline()
    return [
        (one.version, one.author, one.seen_ms is not None)
        for one in night.oncall.deploys.all(0, night.ms + MINUTE, 10)
    ]


def test_the_release_found_at_the_first_look_is_no_deployment(night):
    deploys = night.oncall.deploys
    deploys.observed(["v1"], night.ms)
    assert marks(night) == []
    deploys.observed(["v1", "v2"], night.ms + MINUTE)
    deploys.observed(["v2"], night.ms + 2 * MINUTE)
    assert marks(night) == [("v2", "", True)]


def test_an_app_that_is_down_or_a_rolling_restart_deploys_nothing(night):
    deploys = night.oncall.deploys
    deploys.observed(["v1"], night.ms)
    deploys.observed([], night.ms + 60 * MINUTE)
    deploys.observed(["v1"], night.ms + 61 * MINUTE)
    deploys.observed(["v1", "v2"], night.ms + 62 * MINUTE)
    deploys.observed(["v2"], night.ms + 63 * MINUTE)
    deploys.observed(["v1", "v2"], night.ms + 64 * MINUTE)
    night.ms += 64 * MINUTE
    assert [one[0] for one in marks(night)] == ["v2"]


def test_going_back_is_a_deployment_too(night):
    deploys = night.oncall.deploys
    for minute, release in ((0, "v1"), (1, "v2"), (20, "v2"), (90, "v1")):
        deploys.observed([release], night.ms + minute * MINUTE)
    night.ms += 90 * MINUTE
    assert [one[0] for one in marks(night)] == ["v1", "v2"]


def test_what_was_said_and_then_seen_is_one_mark(night):
    deploys = night.oncall.deploys
    deploys.observed(["v1"], night.ms)
    made = deploys.record("v2", "CI", night.ms + MINUTE).result()
    assert (made.id, made.seen_ms) == (1, None)
    deploys.observed(["v1", "v2"], night.ms + 2 * MINUTE)
    night.ms += 2 * MINUTE
    assert marks(night) == [("v2", "CI", True)]


def test_a_new_process_knows_what_ran_before(night):
    night.oncall.deploys.observed(["v1"], night.ms)
    night.timeline()
    night.restart()
    night.oncall.deploys.observed(["v2"], night.ms + MINUTE)
    night.ms += MINUTE
    assert marks(night) == [("v2", "", True)]


def test_an_incident_tells_what_went_live_before_and_during_it(night):
    night.oncall.deploys.record("v2", "CI", night.ms - 2 * MINUTE).result()
    night.says(night.alert())
    night.ms += MINUTE
    night.oncall.deploys.record("v3", "Anna", night.ms).result()
    found = [(e.text, e.author) for e in night.timeline() if e.kind == "deploy"]
    assert found == [
        ("v2 deployed, 1 min 59 s before the first failure", "CI"),
        ("v3 deployed, 1 min 1 s after the first failure", "Anna"),
    ]


def test_marks_are_bounded(night, monkeypatch):
    monkeypatch.setattr("watchroom.monitor.oncall.records.KEPT_DEPLOYS", 3)  # not 1,000
    deploys = Deploys(night.oncall.records, lambda _: None)
    for n in range(6):
        deploys.record(f"v{n}", "CI", night.ms + n).result()
    found = night.oncall.records.deploys(0, 2**53, 10)
    assert [one.version for one in found] == ["v5", "v4", "v3"]

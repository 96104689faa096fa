"""Targets get their labels, addresses and moments as Prometheus gives them."""

from __future__ import annotations

import itertools

import pytest

from watchroom.errors import ConfigError
from watchroom.formats.relabel import RelabelConfig
from watchroom.monitor.schedule import Schedule, next_due
from watchroom.monitor.scrape.relabel import compile_rules
from watchroom.monitor.scrape.target import BODY_LIMIT, Job, TargetGroup, build


def job(*relabelings, **changes):
    rules = compile_rules([RelabelConfig(**one) for one in relabelings])
    return Job(
        name="app",
        interval=5.0,
        timeout=4.0,
        metrics_path="/metrics",
        scheme="http",
        params={},
        honor_labels=False,
        honor_timestamps=True,
        track_staleness=False,
        sample_limit=0,
        body_limit=BODY_LIMIT,
        credentials=None,
        rules=rules,
    )._replace(**changes)


def one(spec, *addresses, **labels):
    kept, _ = build(spec, TargetGroup(addresses, tuple(labels.items())))
    return kept[0]


def test_a_plain_target_has_job_and_instance():
    target = one(job(), "h:1", zone="z")
    assert dict(target.labels) == {"instance": "h:1", "job": "app", "zone": "z"}
    assert target.url == "http://h:1/metrics"


def test_a_group_may_name_its_own_job_and_path():
    target = one(job(), "h:1", job="drill-ab", __metrics_path__="/drill/metrics")
    assert dict(target.labels)["job"] == "drill-ab"
    assert target.url == "http://h:1/drill/metrics"


def test_parameters_come_from_the_job_and_from_labels():
    steps = (
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"target_label": "__address__", "replacement": "e:9000"},
    )
    target = one(job(*steps, params={"module": ["http_2xx"]}), "https://a/?b=c&d")
    assert target.url == (
        "http://e:9000/metrics?module=http_2xx&target=https%3A%2F%2Fa%2F%3Fb%3Dc%26d"
    )


def test_dropped_targets_are_kept_aside_with_what_was_discovered():
    drop = {"source_labels": ["__address__"], "regex": "b:.*", "action": "drop"}
    kept, dropped = build(job(drop), TargetGroup(("a:1", "b:1")))
    assert [dict(t.labels)["instance"] for t in kept] == ["a:1"]
    assert [dict(labels)["__address__"] for labels in dropped] == ["b:1"]


@pytest.mark.parametrize("address", ["", "http://h:1/x"])
def test_an_address_is_a_host_and_port(address):
    with pytest.raises(ConfigError, match="not a host and port"):
        build(job(), TargetGroup((address,)))


def test_equal_targets_are_equal_over_a_reload():
    assert one(job(), "h:1") == one(job(), "h:1")
    assert one(job(), "h:1") != one(job(timeout=1.0), "h:1")
    assert one(job(), "h:1").key == one(job(timeout=1.0), "h:1").key


def test_few_targets_are_scraped_early_and_rules_follow_at_once():
    schedule = Schedule()
    schedule.resize(3)
    offsets = [schedule.offset(f"t{n}", 5.0) for n in range(50)]
    assert 0 <= min(offsets) < max(offsets) < schedule.evaluation_offset(5.0) < 0.5


def test_many_targets_are_spread_over_most_of_the_interval():
    schedule = Schedule()
    schedule.resize(1000)
    offsets = sorted(schedule.offset(f"t{n}", 15.0) for n in range(1000))
    assert offsets[-1] > 11
    assert max(b - a for a, b in itertools.pairwise(offsets)) < 0.3
    assert offsets[-1] < schedule.evaluation_offset(15.0) < 15


def test_the_next_moment_is_aligned_and_after_now():
    assert next_due(100.0, 95.25, 5.0, 0.25) == pytest.approx(100.25)
    assert next_due(100.25, 100.25, 5.0, 0.25) == pytest.approx(105.25)
    assert next_due(104.9, 100.25, 5.0, 0.25) == pytest.approx(105.25)


def test_a_sleep_that_ends_too_early_gives_no_moment_twice():
    assert next_due(100.24, 100.25, 5.0, 0.25) == pytest.approx(105.25)


def test_a_clock_set_back_stops_nobody_from_looking():
    hour = 3600.0
    assert next_due(100.3, 100.25 + hour, 5.0, 0.25) == pytest.approx(105.25)

"""A body becomes one row: labels merged, what vanished stale, nothing half stored."""

from __future__ import annotations

import numpy as np
import pytest

from watchroom.errors import FormatError
from watchroom.monitor.scrape.series import TargetSeries, merge
from watchroom.promql.model import is_stale

TARGET = (("instance", "a:1"), ("job", "app"))


def stored(row):
    return {
        dict(labels)["__name__"]: "stale" if stale else value
        for labels, value, stale in zip(
            row.labels, row.values, is_stale(row.values), strict=True
        )
    }


def test_a_series_gone_from_the_next_scrape_is_stale_once():
    series = TargetSeries(TARGET)
    assert stored(series.read("a 1\nb 2\n")) == {"a": 1, "b": 2}
    assert stored(series.read("a 3\n")) == {"a": 3, "b": "stale"}
    assert stored(series.read("a 4\n")) == {"a": 4}


def test_a_failed_scrape_makes_everything_stale_and_up_zero():
    series = TargetSeries(TARGET)
    series.read("a 1\n")
    row = series.with_reports(series.fail(), up=False, seconds=0.5)
    assert stored(row) == {
        "a": "stale",
        "up": 0,
        "scrape_duration_seconds": 0.5,
        "scrape_samples_scraped": 0,
        "scrape_samples_post_metric_relabeling": 0,
        "scrape_series_added": 0,
    }
    assert stored(series.read("a 2\n")) == {"a": 2}


def test_the_end_of_a_target_ends_its_reports_too():
    series = TargetSeries(TARGET)
    series.read("a 1\n")
    row = series.end()
    assert set(stored(row).values()) == {"stale"}
    assert len(row.labels) == 6


def test_series_added_counts_what_is_new_against_the_last_scrape():
    series = TargetSeries(TARGET)
    added = [
        series.read(body).added for body in ("a 1\nb 1\n", "a 1\nb 2\n", "a 1\nc 1\n")
    ]
    assert added == [2, 0, 1]


def test_an_unchanged_set_of_series_is_the_same_list_object():
    series = TargetSeries(TARGET)
    rows = [
        series.with_reports(series.read(f"a {n}\nb {n}\n"), up=True, seconds=0.1)
        for n in range(3)
    ]
    assert rows[1].labels is rows[2].labels
    assert rows[2].values[:2].tolist() == [2, 2]


def test_a_repeated_series_counts_once():
    series = TargetSeries(TARGET)
    row = series.read('a{x="1",y="2"} 1\na{y="2",x="1"} 9\n')
    assert row.values.tolist() == [1]
    assert series.read('a{x="1",y="2"} 2\na{y="2",x="1"} 9\n').values.tolist() == [2]


def test_an_exposed_nan_is_never_a_stale_marker():
    row = TargetSeries(TARGET).read("a NaN\n")
    assert np.isnan(row.values[0])
    assert not is_stale(row.values)[0]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("a 1\nb one\n", "line 2: 'one' is not a number"),
        ("a 1\n\nb 1_000\n", "line 3: '1_000' is not a number"),
        ("a 1\n<html>\n", "line 2"),
        ('a 1\nb{x="1} 2\n', "line 2"),
    ],
)
def test_garbage_is_refused_by_line_and_nothing_of_it_counts(body, line):
    series = TargetSeries(TARGET)
    series.read("z 1\n")
    with pytest.raises(FormatError, match=line):
        series.read(body)
    assert stored(series.fail()) == {"z": "stale"}


def test_the_sample_limit_fails_the_scrape():
    series = TargetSeries(TARGET, sample_limit=2)
    assert series.read("a 1\nb 1\n").scraped == 2
    with pytest.raises(FormatError, match="3 samples, 2 allowed"):
        series.read("a 1\nb 1\nc 1\n")


def test_a_huge_label_is_refused_by_its_line_and_name():
    with pytest.raises(FormatError, match=r"line 2: .*'a' has 20000 characters"):
        TargetSeries(TARGET).read('b 1\nm{a="' + "x" * 20_000 + '"} 1\n')


def test_the_target_wins_and_the_exposed_label_is_kept_aside():
    exposed = {"__name__": "m", "job": "theirs", "exported_job": "older", "x": ""}
    assert dict(merge(exposed, {"job": "app"}, honor=False)) == {
        "__name__": "m",
        "job": "app",
        "exported_job": "older",
        "exported_exported_job": "theirs",
    }


def test_honor_labels_lets_the_exposed_label_win():
    exposed = {"__name__": "m", "job": "theirs", "instance": ""}
    target = {"job": "app", "instance": "a:1", "zone": "z"}
    assert dict(merge(exposed, target, honor=True)) == {
        "__name__": "m",
        "job": "theirs",
        "zone": "z",
    }

"""Samples with a time of their own: kept at it, dropped out of bounds, never ended."""

from __future__ import annotations

import math
import time
import urllib.parse

import pytest
from tests.support.waiting import until
from tests.support.watched import request

from watchroom.errors import FormatError
from watchroom.monitor.scrape.series import TargetSeries
from watchroom.monitor.scrape.timestamps import AHEAD_MS, BEHIND_MS, TimestampSplitter
from watchroom.monitor.store import Store
from watchroom.promql.engine import Engine
from watchroom.promql.model import is_stale

TARGET = (("instance", "a:1"), ("job", "app"))
NOW = 1_800_000_000_000


def named(samples):
    return [(dict(labels)["__name__"], value, at) for labels, value, at in samples]


def stale(row):
    return {
        dict(labels)["__name__"]
        for labels, gone in zip(row.labels, is_stale(row.values), strict=True)
        if gone
    }


def test_a_sample_keeps_its_own_time_and_the_others_are_of_the_scrape():
    row = TargetSeries(TARGET).read(f"a 1\nb 2 {NOW}\n")

    assert [dict(labels)["__name__"] for labels in row.labels] == ["a"]
    assert named(row.stamped) == [("b", 2, NOW)]
    assert (row.scraped, row.added) == (2, 2)


def test_without_honor_timestamps_every_sample_is_of_the_scrape():
    series = TargetSeries(TARGET, honor_timestamps=False)
    row = series.read(f"a 1\nb 2 {NOW}\n")

    assert len(row.labels) == 2
    assert not row.stamped
    assert series.ignored_timestamps == 1


def test_a_series_with_times_of_its_own_gets_no_stale_marker():
    series = TargetSeries(TARGET)
    series.read(f"a 1\nb 2 {NOW}\n")

    assert stale(series.read("a 1\n")) == set()
    series.read(f"a 1\nb 2 {NOW}\n")
    assert stale(series.fail()) == {"a"}


def test_it_gets_one_where_its_staleness_is_tracked():
    series = TargetSeries(TARGET, track_staleness=True)
    series.read(f"a 1\nb 2 {NOW}\nc 3 {NOW}\n")

    assert stale(series.read(f"a 1\nc 3 {NOW}\n")) == {"b"}
    assert stale(series.read(f"a 1\nc 3 {NOW}\n")) == set()
    assert stale(series.fail()) == {"a", "c"}


def test_a_series_that_gets_a_time_of_its_own_ends_as_one_without():
    series = TargetSeries(TARGET)
    series.read("a 1\n")

    assert stale(series.read(f"a 2 {NOW}\n")) == {"a"}


def place(splitter, *samples, now=NOW):
    found = splitter.rows(
        [((("__name__", name),), value, at) for name, value, at in samples], now
    )
    rows = [
        (row.at_ms, {labels[0][1] for labels in row.labels}, row.suffix)
        for row in found.rows
    ]
    return rows, found.out_of_bounds


@pytest.mark.parametrize(
    ("at_ms", "kept"),
    [
        (NOW - BEHIND_MS, True),
        (NOW - BEHIND_MS - 1, False),
        (NOW + AHEAD_MS, True),
        (NOW + AHEAD_MS + 1, False),
        (1000, False),
        (-1000, False),
    ],
)
def test_a_time_too_long_ago_or_to_come_is_dropped_and_counted(at_ms, kept):
    rows, refused = place(TimestampSplitter(), ("a", 1, at_ms))

    assert (bool(rows), refused) == (kept, not kept)


def test_what_was_said_before_is_not_said_again():
    splitter = TimestampSplitter()
    assert len(place(splitter, ("a", 1, NOW), ("b", math.nan, NOW))[0]) == 1

    assert place(splitter, ("a", 1, NOW), ("b", math.nan, NOW)) == ([], 0)
    # Another value at the same time is the store's to refuse, and to count.
    assert len(place(splitter, ("a", 2, NOW))[0]) == 1


def test_series_that_came_together_stay_together():
    splitter = TimestampSplitter()
    first, _ = place(splitter, ("a", 1, NOW), ("b", 1, NOW), ("c", 1, NOW - 5))
    places = {name: where for _, names, where in first for name in names}
    assert places["a"] == places["b"] != places["c"]

    later = NOW + 1000
    second, _ = place(splitter, ("a", 1, later), ("b", 1, later - 1), ("c", 1, later))
    assert {name: where for _, names, where in second for name in names} == places
    assert [row[0] for row in second] == sorted(row[0] for row in second)


def test_more_times_than_there_is_room_for_are_refused_in_words():
    samples = [(f"m{index}", 1, NOW - index) for index in range(12_000)]

    with pytest.raises(FormatError, match="honor_timestamps: false"):
        place(TimestampSplitter(), *samples)
    place(TimestampSplitter(), *samples[:3000])
    place(TimestampSplitter(), *[(name, value, NOW) for name, value, _ in samples])


def test_a_store_takes_times_in_any_order_between_series(tmp_path):
    store = Store(tmp_path, now=lambda: NOW / 1000)
    try:
        splitter = TimestampSplitter()
        labels = [(("__name__", "m"), ("i", str(i))) for i in range(20)]
        for turn in range(6):
            samples = [
                (one, turn * 20.0 + i, NOW + turn * 1000 - i * 700)
                for i, one in enumerate(labels)
            ]
            for row in splitter.rows(samples, NOW + turn * 1000).rows:
                done = store.append(f"t{row.suffix}", row.at_ms, row.labels, row.values)
                assert done.out_of_order == done.duplicate == 0
        for step in (store.flush, store.maintain, lambda: None):
            step()
            found = Engine().instant(
                store.snapshot(), "count_over_time(m[10m])", NOW + 60_000
            )
            assert [value for _, value in found.samples] == [6.0] * 20
        assert store.ahead == 0
    finally:
        store.close()


BODY = """# TYPE m gauge
m{le="3"} 1
# TYPE h histogram
h_bucket{le="3",quantile="1"} 1
# TYPE s summary
s{quantile="1",le="3"} 1
# TYPE c counter
c{quantile="1"} 1
"""


def test_a_bucket_edge_is_a_number_only_where_the_type_says_so():
    row = TargetSeries(TARGET).read(BODY)
    found = {
        dict(labels)["__name__"]: (
            dict(labels).get("le"),
            dict(labels).get("quantile"),
        )
        for labels in row.labels
    }

    assert found == {
        "m": ("3", None),
        "h_bucket": ("3.0", "1"),
        "s": ("3", "1.0"),
        "c": (None, "1"),
    }
    again = TargetSeries(TARGET)
    again.read('m{le="3"} 1\n')
    row = again.read('# TYPE m histogram\nm{le="3"} 1\n')
    assert [dict(labels)["le"] for labels in row.labels] == ["3.0", "3"]
    assert stale(row) == {"m"}


def test_the_monitor_answers_at_the_samples_own_time(target, files, monitor):
    old, soon = int(time.time() * 1000) - 30_000, int(time.time() * 1000) + 300_000
    target.paths["/metrics"] = (
        f"plain 1\nkept 2 {old}\nearly 3 {soon}\nfresh_once 4 1000\n"
        f"far 5 {int(time.time() * 1000) + 3_600_000}\n"
    )
    target.paths["/dropped"] = f"dropped 2 {old}\n"
    files.job(target.address, honor_timestamps=True)
    files.job(target.address, metrics_path="/dropped", honor_timestamps=False)
    files.write()
    monitor.start().ready()

    def samples(query):
        asked = urllib.parse.urlencode({"query": query})
        data = request(f"{monitor.url}/api/v1/query?{asked}").json["data"]
        return [row.get("values") or row["value"] for row in data["result"]]

    until(lambda: samples("plain"))
    assert samples("kept[10m]") == [[[old / 1000, "2"]]]
    assert samples("early offset -6m")
    assert not samples("early")
    assert not samples("fresh_once[1000d]")
    assert not samples("far offset -2h")
    until(lambda: samples("dropped[1m]"))
    assert samples("dropped[1m]")[0][0][0] > old / 1000 + 10
    text = request(f"{monitor.url}/metrics").body
    count = float(
        text.partition("\nwatchroom_samples_out_of_bounds_total ")[2].split()[0]
    )
    assert count >= 2

    target.paths["/metrics"] = None
    until(lambda: samples("up == 0"))
    assert samples("kept")
    assert not samples("plain")

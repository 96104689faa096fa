"""What the exporter says about the sample app is what its visitors have seen."""

from collections import Counter

import pytest

from watchroom.formats import exposition

pytestmark = pytest.mark.slow


def samples(ledger, name):
    """Return (labels, value) of every sample of one metric."""
    for sample in exposition.parse(ledger.metrics()):
        if sample.name == name:
            yield dict(sample.labels), sample.value


def by_status(ledger):
    counts = Counter()
    for labels, value in samples(ledger, "http_requests_total"):
        counts[labels["status"]] += int(value)
    return {status: count for status, count in sorted(counts.items()) if count}


def test_visitors_and_metrics_count_the_same_answers(ledger):
    ledger.export()
    ledger.serve()
    ledger.fault(errors="20%")
    counted = ledger.load("--rate", "80", "--seconds", "4")
    expected = Counter(counted["answers"]) + Counter({"200": 1})
    assert by_status(ledger) == dict(sorted(expected.items()))
    assert counted["server_errors"] > 0.06 * counted["answered"]
    durations = samples(ledger, "http_request_duration_seconds_count")
    assert sum(value for _, value in durations) == counted["answered"] + 1


def test_each_fault_moves_the_metric_it_is_meant_for(ledger):
    ledger.export()
    ledger.serve()
    ledger.fault(slow_queries="30% 1.1s", cache_misses="on")
    counted = ledger.load("--rate", "30", "--seconds", "3")
    assert counted["server_errors"] == 0
    slow = 0.0
    for labels, value in samples(ledger, "db_query_duration_seconds_bucket"):
        slow += {"+Inf": value, "1": -value, "1.0": -value}.get(labels["le"], 0)
    assert slow >= 1
    gets = Counter()
    for labels, value in samples(ledger, "cache_gets_total"):
        gets[labels["result"]] += value
    assert gets["miss"] > 0
    assert gets["hit"] == 0


def test_visitors_of_a_healthy_app_are_no_alarm(ledger):
    ledger.export()
    ledger.serve()
    gets = Counter()
    for _ in range(10):
        ledger.load("--rate", "80", "--seconds", "6")
        gets.clear()
        for labels, value in samples(ledger, "cache_gets_total"):
            gets[labels["result"]] += value
        print(gets)
        if gets.total() > 300:  # the first in each worker are misses
            break
    assert gets["hit"] / gets.total() > 0.7
    steps = {
        labels["kind"]: value for labels, value in samples(ledger, "invoices_total")
    }
    assert steps["issued"] > 0
    assert list(samples(ledger, "journal_unbalanced")) == [({}, 0.0)]
    assert list(samples(ledger, "watchroom_instrument_errors_total")) == [] or all(
        value == 0 for _, value in samples(ledger, "watchroom_instrument_errors_total")
    )

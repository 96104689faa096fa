"""The rule evaluator's states on a clock of our own: the points of the compliance
specification of alert generators, one by one, with promtool as judge of the table."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time

import pytest
import yaml
from tests.support import promtool

from watchroom.errors import ConfigError, StoreError
from watchroom.promql.model import STALE

ONE = """
groups:
  - name: g
    rules:
      - alert: A
        expr: x > 0
        for: {for_}
        labels: {{severity: critical}}
"""


def test_without_a_for_an_alert_fires_at_first_sight(bench):
    b = bench(ONE.format(for_="0s"))
    b.tick(5, ("x", 1, {}))
    assert b.states() == {"A": "firing"}
    assert b.sent[0][0].starts_at_ms == 5000


def test_a_for_shorter_than_the_interval_fires_at_the_next_evaluation(bench):
    b = bench(ONE.format(for_="2s"))
    b.tick(5, ("x", 1, {}))
    assert b.states() == {"A": "pending"}
    assert b.sent == []
    b.tick(10, ("x", 1, {}))
    assert b.states() == {"A": "firing"}


def test_an_alert_fires_when_it_has_held_for_its_for_and_starts_then(bench):
    b = bench(ONE.format(for_="10s"))
    b.run(5, 15, 1)
    assert b.states() == {"A": "pending"}
    b.tick(15, ("x", 1, {}))
    assert b.states() == {"A": "firing"}
    (alert,) = b.sent[-1]
    assert (alert.starts_at_ms, alert.ends_at_ms) == (15_000, None)
    assert b.rules.loaded.alerts()[0].active_at_ms == 5_000


def test_a_pending_alert_that_stops_holding_is_forgotten_without_a_word(bench):
    b = bench(ONE.format(for_="10s"))
    b.run(5, 15, 1)
    b.tick(15, ("x", 0, {}))
    assert b.states() == {}
    b.tick(20, ("x", 1, {}))
    assert b.rules.loaded.alerts()[0].active_at_ms == 20_000
    assert b.sent == []


def test_an_alert_that_stops_holding_is_resolved_at_that_evaluation(bench):
    b = bench(ONE.format(for_="0s"))
    b.tick(5, ("x", 1, {}))
    b.tick(10, ("x", 0, {}))
    assert b.states() == {}
    (alert,) = b.sent[-1]
    assert (alert.starts_at_ms, alert.ends_at_ms) == (5_000, 10_000)
    assert b.heard() == [("A", True), ("A", False)]


def test_an_alert_that_comes_back_after_its_end_is_a_new_one(bench):
    b = bench(ONE.format(for_="10s"))
    b.run(5, 20, 1)
    b.tick(20, ("x", 0, {}))
    b.tick(25, ("x", 1, {}))
    assert b.states() == {"A": "pending"}
    assert b.rules.loaded.alerts()[0].active_at_ms == 25_000


def test_keep_firing_for_bridges_a_pause_and_ends_after_it(bench):
    b = bench(
        """
        groups:
          - name: g
            rules:
              - {alert: A, expr: x > 0, keep_firing_for: 10s}
        """
    )
    b.tick(5, ("x", 1, {}))
    b.tick(10, ("x", 0, {}))
    assert b.states() == {"A": "firing"}
    assert b.rules.loaded.alerts()[0].keep_firing_since_ms == 10_000
    b.tick(15, ("x", 1, {}))
    assert b.rules.loaded.alerts()[0].keep_firing_since_ms is None
    b.tick(20, ("x", 0, {}))
    b.tick(25, ("x", 0, {}))
    assert b.states() == {"A": "firing"}
    b.tick(30, ("x", 0, {}))
    assert b.states() == {}


def test_later_rules_of_a_group_see_what_earlier_ones_gave_at_once(bench):
    b = bench(
        """
        groups:
          - name: g
            rules:
              - {record: "a:x", expr: x * 2}
              - {record: "b:x", expr: "a:x + 1", labels: {kind: sum}}
              - {alert: A, expr: "b:x > 10"}
              - {record: alerts, expr: "count(ALERTS{alertstate='firing'})"}
        """
    )
    b.tick(5, ("x", 5, {"job": "api"}))
    assert b.states() == {"A": "firing"}
    assert b.store.named("b:x") == {(("job", "api"), ("kind", "sum")): [(5000, 11.0)]}
    assert b.store.named("alerts") == {(): [(5000, 1.0)]}


def test_labels_are_those_of_the_series_without_its_name_under_the_rules_own(bench):
    b = bench(
        """
        groups:
          - name: g
            rules:
              - alert: A
                expr: x > 0
                labels: {severity: page, job: "{{ $labels.job }}-x", gone: ""}
                annotations:
                  summary: "{{ $labels.__name__ }} {{ $value | humanize }}"
        """,
        external_labels={"env": "prod", "job": "never"},
    )
    b.tick(5, ("x", 1500, {"job": "api", "gone": "y"}))
    (alert,) = b.sent[0]
    assert dict(alert.labels) == {
        "alertname": "A",
        "severity": "page",
        "job": "api-x",
        "env": "prod",
    }
    assert dict(alert.annotations) == {"summary": "x 1.5k"}
    assert alert.generator_url == "http://watch.example/graph?g0.expr=x+%3E+0&g0.tab=1"
    assert "env" not in dict(b.rules.loaded.alerts()[0].labels)


def test_equal_labels_after_templating_fail_the_rule_and_not_the_others(bench):
    b = bench(
        """
        groups:
          - name: g
            rules:
              - {alert: Twice, expr: x > 0, labels: {n: same}}
              - {record: twice, expr: "x", labels: {n: same}}
              - {alert: Bad, expr: "x + on(job) x"}
              - {alert: Other, expr: x > 0}
        """
    )
    b.tick(5, ("x", 1, {"n": "1"}), ("x", 1, {"n": "2"}))
    assert set(b.states()) == {"Other"}
    errors = b.errors()
    assert set(errors) == {"Twice", "twice", "Bad"}
    assert "same labels" in errors["Twice"]


def test_a_rule_that_fails_keeps_its_alerts_as_they_were(bench):
    b = bench(
        """
        groups:
          - name: g
            rules:
              - {alert: A, expr: "x / on(job) y > 0"}
        """
    )
    b.tick(5, ("x", 1, {"job": "a"}), ("y", 1, {"job": "a"}))
    assert b.states() == {"A": "firing"}
    b.tick(10, ("y", 1, {"job": "a", "n": "2"}), ("x", 1, {"job": "a"}))
    assert b.errors()
    assert b.states() == {"A": "firing"}
    assert b.heard() == [("A", True)]


def test_over_its_limit_a_rule_fails_and_its_alerts_end(bench):
    b = bench(
        """
        groups:
          - name: g
            limit: 1
            rules:
              - {alert: A, expr: x > 0}
              - {record: r, expr: x}
        """
    )
    b.tick(5, ("x", 1, {"n": "1"}))
    b.tick(10, ("x", 1, {"n": "1"}), ("x", 1, {"n": "2"}))
    assert b.errors() == {
        "A": "exceeded limit of 1 with 2 alerts",
        "r": "exceeded limit of 1 with 2 series",
    }
    assert b.states() == {}
    assert b.heard()[-1] == ("A", False)


def test_alerts_are_series_too_and_end_with_stale_markers(bench):
    b = bench(ONE.format(for_="10s"))
    b.run(5, 20, 1)
    b.tick(20, ("x", 0, {}))
    rest = (("alertname", "A"), ("severity", "critical"))
    assert b.store.named("ALERTS") == {
        (rest[0], ("alertstate", "pending"), rest[1]): [
            (5000, 1.0),
            (10000, 1.0),
            (15000, "stale"),
        ],
        (rest[0], ("alertstate", "firing"), rest[1]): [(15000, 1.0), (20000, "stale")],
    }
    assert b.store.named("ALERTS_FOR_STATE") == {
        rest: [(5000, 5.0), (10000, 5.0), (15000, 5.0), (20000, "stale")]
    }


def test_a_record_that_vanishes_ends_with_a_stale_marker(bench):
    b = bench("groups: [{name: g, rules: [{record: r, expr: x > 0}]}]")
    b.tick(5, ("x", 1, {"n": "1"}), ("x", 1, {"n": "2"}))
    b.tick(10, ("x", 1, {"n": "1"}), ("x", 0, {"n": "2"}))
    assert b.store.named("r") == {
        (("n", "1"),): [(5000, 1.0), (10000, 1.0)],
        (("n", "2"),): [(5000, 1.0), (10000, "stale")],
    }


def test_a_series_of_two_rules_is_the_first_ones_and_the_second_says_so(bench):
    b = bench(
        "groups: [{name: g, rules: [{record: r, expr: x}, {record: r, expr: x * 2}]}]"
    )
    b.tick(5, ("x", 1, {}))
    assert b.store.named("r") == {(): [(5000, 1.0)]}
    assert "earlier rule" in b.errors()["r"]


def test_an_evaluation_that_is_not_later_than_the_last_does_nothing(bench):
    b = bench(ONE.format(for_="0s"))
    assert b.tick(10)[0] is not None
    assert b.tick(10) == [None]
    assert b.tick(5) == [None]


def test_a_template_that_fails_says_so_in_the_text_and_the_alert_goes_out(bench):
    b = bench(
        """
        groups:
          - name: g
            rules:
              - alert: A
                expr: x > 0
                annotations: {summary: "{{ query \\"nothing\\" | first }}"}
        """
    )
    b.tick(5, ("x", 1, {}))
    (alert,) = b.sent[0]
    assert dict(alert.annotations)["summary"].startswith("<error expanding template: ")


def test_a_template_that_does_not_parse_is_refused_with_its_file_and_line(bench):
    b = bench(ONE.format(for_="0s"))
    b.tick(5, ("x", 1, {}))
    bad = ONE.format(for_="0s") + '        annotations: {s: "{{ nope }}"}\n'
    with pytest.raises(ConfigError, match=r"r\.yml:5: alert A: .*'nope' not defined"):
        b.load(bad, 6)
    b.tick(10, ("x", 1, {}))
    assert b.states() == {"A": "firing"}


def test_views_say_how_every_rule_went(bench):
    b = bench(
        """
        groups:
          - name: g
            interval: 7s
            rules:
              - {record: r, expr: x}
              - {alert: A, expr: r > 0, for: 1m, labels: {s: t}, annotations: {a: b}}
        """
    )
    (group,) = b.rules.loaded.views()
    assert [rule.health for rule in group.rules] == ["unknown", "unknown"]
    b.tick(7, ("x", 1, {}))
    (group,) = b.rules.loaded.views()
    assert (group.key, group.interval_seconds) == (("r.yml", "g"), 7.0)
    record, alert = group.rules
    assert (record.type, record.name, record.query, record.health) == (
        "recording",
        "r",
        "x",
        "ok",
    )
    assert (alert.type, alert.state, alert.duration) == ("alerting", "pending", 60.0)
    assert (alert.labels, alert.annotations) == ((("s", "t"),), (("a", "b"),))
    assert [a.value for a in alert.alerts] == [1.0]
    assert group.last_evaluation_ms == 7000
    assert b.rules.stats()["evaluations"] == 1


def test_a_bug_in_one_rule_mutes_no_other(bench):
    b = bench(
        "groups: [{name: g, rules: [{alert: A, expr: x > 0}, {alert: B, expr: x > 0}]}]"
    )
    rule = b.rules.loaded.groups[b.rules.groups()[0][0]].rules[0]
    rule._label_texts = None
    b.tick(5, ("x", 1, {}))
    assert b.states() == {"B": "firing"}
    assert "failed inside the monitor" in b.errors()["A"]


def test_a_rule_that_gives_more_alerts_than_anybody_reads_is_an_error(bench):
    b = bench("groups: [{name: g, rules: [{alert: A, expr: x > 0}]}]")
    b.tick(5, ("x", 1, {"n": "0"}))
    b.tick(10, *(("x", 1, {"n": f"{n}"}) for n in range(10_001)))
    assert "10001 alerts at once" in b.errors()["A"]
    assert b.states() == {"A": "firing"}


AT_ONCE = ONE.format(for_="0s")


def hanging(bench, rules=AT_ONCE):
    """Return a bench whose disk hangs, and what ends that."""
    b = bench(rules)
    hangs = threading.Event()
    b.state.write(lambda _: hangs.wait(60))
    b.state.patience = 0.05

    def release():
        hangs.set()
        b.state.patience = 60
        b.state.write(lambda _: None).result(60)

    return b, release


def test_pages_go_out_though_the_disk_hangs(bench):
    b, release = hanging(bench)
    b.tick(5, ("x", 1, {}))
    assert len(b.sent[-1]) == 1
    assert b.rules.stats()["state_failures"] == 1
    release()
    b.tick(10, ("x", 1, {}))
    b.restart(12)
    assert b.states() == {"A": "firing"}


def test_a_disk_that_hangs_is_waited_for_once_and_not_by_every_group(bench):
    groups = [
        {"name": f"{n}", "rules": [{"alert": f"A{n}", "expr": "x > 0"}]}
        for n in range(30)
    ]
    b, release = hanging(bench, yaml.safe_dump({"groups": groups}))
    b.state.patience = 0.2
    started = time.monotonic()
    b.tick(5, ("x", 1, {}))
    b.tick(10, ("x", 1, {}))
    assert time.monotonic() - started < 2
    assert len(b.states()) == 30
    release()
    b.tick(15, ("x", 1, {}))
    b.restart(17)
    assert len(b.states()) == 30


def test_rules_read_again_while_the_disk_hangs_are_in_force_and_page(bench):
    b, release = hanging(bench)
    b.tick(5, ("x", 1, {}))
    b.load(ONE.format(for_="0s").replace("alert: A", "alert: B"), 6)
    assert b.heard()[-1] == ("A", False)
    b.tick(10, ("x", 1, {}))
    assert b.states() == {"B": "firing"}
    assert b.heard()[-1] == ("B", True)
    release()
    b.tick(15, ("x", 1, {}))
    b.restart(17)
    assert b.states() == {"B": "firing"}


def test_an_end_is_never_sent_before_the_reload_that_says_it_fires(bench):
    text = ONE.format(for_="0s")
    b = bench(text)
    b.run(5, 20, 1)
    assert b.states() == {"A": "firing"}
    b.store.put(20_000, "x", 0)
    told, evaluating = [], []

    def sink(alerts):
        if not evaluating:
            thread = threading.Thread(target=b.tick, args=(20,))
            evaluating.append(thread)
            thread.start()
            thread.join(0.3)  # time enough to be first, were it not kept waiting
        told.extend(alert.ends_at_ms is None for alert in alerts)

    b.rules._sink = sink
    b.load(text, 19)
    evaluating[0].join()
    assert told == [True, False]


def test_pages_go_out_though_neither_store_can_be_written(bench):
    b = bench(ONE.format(for_="0s"))

    def full(db):
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")

    def room(db):
        db.execute("PRAGMA max_page_count = 100000")

    def refuse(*_):
        raise StoreError("the disk is full")

    b.state.write(full).result()
    append, b.store.append = b.store.append, refuse
    samples = [("x", 1, {"n": "y" * 200 + f"{n}"}) for n in range(200)]
    with pytest.raises(StoreError):
        b.tick(5, *samples)
    assert len(b.sent[-1]) == 200
    assert b.rules.stats()["state_failures"] == 1
    b.store.append = append
    b.state.write(room).result()
    b.tick(10, *samples)
    b.restart(12)
    assert len(b.rules.loaded.alerts()) == 200


def refuse_beats(b):
    def refused(_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    b.state.beat = refused  # no directory of a test turns read-only while it is open


def refuse_rows(b):
    def refused(*_):
        raise StoreError("the store is closed")

    b.store.append = refused  # nor does the real store refuse a row while it is open


@pytest.mark.parametrize("refuse", [refuse_beats, refuse_rows])
def test_what_is_refused_for_good_after_each_evaluation_is_no_gap(bench, refuse):
    b = bench(ONE.format(for_="30s"))
    b.run(5, 20, 0)
    refuse(b)
    for at in range(20, 120, 5):
        with contextlib.suppress(StoreError):
            b.tick(at, ("x", float(at < 80), {}))
        if at == 50:
            assert b.states() == {"A": "firing"}
    assert b.states() == {}
    assert b.heard() == [("A", True), ("A", False)]
    assert b.rules.loaded.views()[0].last_evaluation_ms == 115_000


def test_what_stands_in_no_table_of_prometheus_is_still_an_answer(bench):
    b = bench(
        """
        groups:
          - name: g
            rules:
              - {record: text, expr: '"a"'}
              - {record: range, expr: 'x[1m]'}
              - {record: number, expr: 2 + 3}
        """
    )
    b.tick(5, ("x", 1, {}))
    assert set(b.errors()) == {"text", "range"}
    assert b.store.named("number") == {(): [(5000, 5.0)]}


# What follows is replayed in promtool: expression, for, keep_firing_for and values of
# x every 5 s. "_" is a gap, and a series that ends there is stale.
SCENES = {
    "AtOnce": ("x > 0", "0s", "0s"),
    "Short": ("x > 0", "1s", "0s"),
    "Exact": ("x > 0", "10s", "0s"),
    "Long": ("x > 1", "25s", "0s"),
    "Average": ("avg_over_time(x[18s]) >= 1", "10s", "0s"),
    "Gone": ("absent(x)", "5s", "0s"),
    "Kept": ("x > 1", "0s", "12s"),
    "Chained": (
        'count(ALERTS{alertname="Exact", alertstate="firing"}) > 0',
        "5s",
        "0s",
    ),
}
VALUES = [
    "0",
    "1",
    "1",
    "1",
    "0",
    "1",
    "2",
    "2",
    "2",
    "2",
    "2",
    "2",
    "2",
    "0",
    "0",
    "1",
    "1",
    "stale",
    "_",
    "_",
    "_",
    "1",
    "1",
    "1",
    "0",
    "0",
]


@pytest.mark.judge("promtool")
def test_states_are_prometheus_own_step_by_step(bench, tmp_path):
    rules = [
        {"alert": name, "expr": expr, "for": for_, "keep_firing_for": keep}
        for name, (expr, for_, keep) in SCENES.items()
    ]
    text = yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]})
    b = bench(text)
    checks = []
    for step, value in enumerate(VALUES):
        at = step * 5
        samples = []
        if value != "_":
            number = STALE if value == "stale" else float(value)
            samples = [("x", number, {"n": n}) for n in ("1", "2")]
        b.tick(at, *samples)
        checks.append(_check(b, at))
    (tmp_path / "r.yml").write_text(text)
    values = " ".join(VALUES)
    case = {
        "rule_files": ["r.yml"],
        "evaluation_interval": "5s",
        "tests": [
            {
                "interval": "5s",
                "input_series": [
                    {"series": f'x{{n="{n}"}}', "values": values} for n in "12"
                ],
                "promql_expr_test": checks,
            }
        ],
    }
    (tmp_path / "t.yml").write_text(yaml.safe_dump(case))
    promtool.run(tmp_path, "t.yml")


def _check(b, at):
    """Return promtool's question for ALERTS at `at`, answered with what we stored."""
    found = []
    for labels, samples in b.store.named("ALERTS").items():
        now = [value for time, value in samples if time == at * 1000]
        if now and now[0] != "stale":
            pairs = ", ".join(f'{name}="{value}"' for name, value in labels)
            found.append({"labels": f"ALERTS{{{pairs}}}", "value": 1})
    return {"expr": "ALERTS", "eval_time": f"{at}s", "exp_samples": found}

"""Restarts, gaps and reloads: no alert is lost, and none is invented."""

from __future__ import annotations

import itertools

import pytest

from watchroom.errors import ConfigError

RULES = """
groups:
  - name: g
    rules:
      - {record: "job:x", expr: "sum by (job) (x)"}
      - {alert: Slow, expr: "job:x > 0", for: 60s, labels: {severity: warning}}
      - {alert: Fast, expr: "job:x > 5"}
"""


def test_a_pending_alert_goes_on_after_a_kill_as_if_nothing_had_happened(bench):
    b = bench(RULES)
    b.run(5, 40, 1, job="api")
    before = b.rules.loaded.alerts()
    b.restart(42)
    assert b.rules.loaded.alerts() == before
    assert b.sent == []
    b.run(45, 65, 1, job="api")
    assert b.states() == {"Slow": "pending"}
    b.tick(65, ("x", 1, {"job": "api"}))
    assert b.states() == {"Slow": "firing"}
    (alert,) = b.sent[-1]
    assert alert.starts_at_ms == 65_000


def test_alerts_that_fired_before_a_kill_are_sent_to_the_dispatcher_at_the_start(bench):
    b = bench(RULES)
    b.run(5, 15, 9, job="api")
    said = b.sent[-1]
    b.sent.clear()
    b.restart(16)
    assert [a._replace(updated_at_ms=0) for a in b.sent[0]] == [
        a._replace(updated_at_ms=0) for a in said
    ]


def test_an_alert_that_ended_just_before_a_kill_is_sent_once_more_as_ended(bench):
    b = bench(RULES)
    b.run(5, 15, 9, job="api")
    b.tick(15, ("x", 0, {"job": "api"}))
    b.sent.clear()
    b.restart(16)
    (alert,) = b.sent[0]
    assert (alert.starts_at_ms, alert.ends_at_ms) == (5_000, 15_000)


def test_series_of_the_last_process_end_when_nothing_gives_them_any_more(bench):
    b = bench(RULES)
    b.run(5, 15, 9, job="api")
    b.restart(16)
    b.tick(20, ("x", 9, {"job": "web"}), ("x", float("nan"), {"job": "api"}))
    b.restart(21, "groups: [{name: g, rules: [{record: 'job:x', expr: x > 100}]}]")
    b.tick(25, ("x", 9, {"job": "web"}))
    assert b.store.named("job:x")[("job", "web"),][-1] == (25_000, "stale")


def test_time_that_nobody_watched_does_not_count_as_pending(bench):
    b = bench(RULES)
    b.run(5, 40, 1, job="api")  # pending since 5, for 30 s
    b.restart(600)
    b.tick(600, ("x", 1, {"job": "api"}))
    assert b.states() == {"Slow": "pending"}
    # 600 - 35 watched nothing; one interval of it is the step to this evaluation.
    assert b.rules.loaded.alerts()[0].active_at_ms == 5_000 + 565_000 - 5_000
    b.run(605, 625, 1, job="api")
    assert b.states() == {"Slow": "pending"}
    b.tick(625, ("x", 1, {"job": "api"}))
    assert b.states() == {"Slow": "firing"}


def test_a_gap_ends_no_alert_until_the_windows_are_full_again(bench):
    b = bench(
        """
        groups:
          - name: g
            rules:
              - {record: "r", expr: "increase(x[5m])"}
              - {alert: Errors, expr: "r >= 5"}
        """
    )
    for at in range(5, 300, 5):
        b.tick(at, ("x", at, {}))
    assert b.states() == {"Errors": "firing"}
    b.restart(2000)  # half an hour without a scrape; the fault goes on
    for at in range(2000, 2290, 5):
        b.tick(at, ("x", 1000 + at / 50, {}))  # a tenth of it: under the limit so far
        assert b.states() == {"Errors": "firing"}, at
    b.run(2290, 2310, 1100.0)
    b.run(2310, 2640, 1100.0)
    assert b.states() == {}
    assert b.heard() == [("Errors", True), ("Errors", False)]


def test_one_long_window_hides_no_gap_in_what_is_looked_at_now(bench):
    b = bench(
        "groups: [{name: g, rules: [{alert: Down, "
        "expr: 'up == 0 and max_over_time(up[1d]) > 0'}]}]"
    )
    b.run(5, 20, 1, name="up")
    b.run(20, 40, 0, name="up")
    assert b.states() == {"Down": "firing"}
    b.restart(1000)
    b.tick(1000)  # the scrape of this moment is late
    assert b.states() == {"Down": "firing"}
    b.run(1005, 1040, 1, name="up")
    assert b.heard() == [("Down", True), ("Down", False)]


def test_a_short_restart_holds_no_end_back(bench):
    b = bench(RULES)
    b.run(5, 40, 9, job="api")
    b.restart(45)
    b.tick(45, ("x", 0, {"job": "api"}))
    assert b.heard()[-1] == ("Fast", False)


def test_after_a_gap_an_absent_series_pages_nobody_before_scrapes_are_back(bench):
    b = bench(
        "groups: [{name: g, rules: [{alert: Gone, expr: absent(x)}]}]",
    )
    b.run(5, 40, 1)
    b.restart(2000)
    b.tick(2000)
    assert b.states() == {"Gone": "pending"}
    b.tick(2005, ("x", 1, {}))
    b.run(2010, 2100, 1)
    assert b.states() == {}
    assert b.heard() == []


def test_after_a_gap_a_series_that_stays_away_pages(bench):
    b = bench("groups: [{name: g, rules: [{alert: Gone, expr: absent(x)}]}]")
    b.run(5, 40, 1)
    b.restart(2000)
    b.run(2000, 2015, None)
    assert b.states() == {"Gone": "firing"}


def test_a_process_that_slept_treats_the_gap_like_a_restart(bench):
    b = bench(RULES)
    b.run(5, 40, 1, job="api")
    b.tick(4000, ("x", 1, {"job": "api"}))
    assert b.states() == {"Slow": "pending"}


@pytest.mark.parametrize(
    "steps", [(16,), (20,), (60,), (20, 5), (20, 5, 5), (20, 5, 5, 5)], ids=str
)
def test_a_machine_that_is_slow_for_good_still_pages(bench, steps):
    b = bench("groups: [{name: g, rules: [{alert: A, expr: x > 0, for: 1m}]}]")
    at = 0
    for step in itertools.islice(itertools.cycle(steps), 100):
        at += step
        b.tick(at, ("x", float(at > 100), {}))
        if b.states() == {"A": "firing"}:
            break
    assert b.states() == {"A": "firing"}
    # `for` at an even pace, or its 12 intervals; then the settling.
    assert at - 100 <= (60 if len(steps) == 1 else 12 * 20) + 3 * max(steps)


def test_a_machine_that_sleeps_twice_pages_nobody_for_what_it_has_not_seen(bench):
    b = bench("groups: [{name: g, rules: [{alert: Gone, expr: absent(x)}]}]")
    b.run(5, 40, 1)
    b.tick(2000)
    b.tick(4000)
    b.run(4005, 4100, 1)
    assert b.states() == {}
    assert b.heard() == []


def test_a_reload_that_changes_an_expression_keeps_the_alert(bench):
    b = bench(RULES)
    b.run(5, 40, 1, job="api")
    b.load(RULES.replace("job:x > 0", "job:x > 0.5"), 41)
    assert b.rules.loaded.alerts()[0].active_at_ms == 5_000
    b.run(45, 70, 1, job="api")
    assert b.states() == {"Slow": "firing"}


@pytest.mark.parametrize(
    "moved",
    [
        {"other.yml": RULES},
        {"r.yml": RULES.replace("name: g", "name: renamed")},
        {"r.yml": RULES.replace('- {alert: Fast, expr: "job:x > 5"}', ""), "a.yml": (
            "groups: [{name: z, rules: [{alert: Fast, expr: 'job:x > 5'}]}]"
        )},
    ],
)  # fmt: skip
def test_a_reload_that_moves_rules_elsewhere_keeps_their_alerts(bench, moved):
    b = bench(RULES)

    def states():
        return {a.labels: (a.state, a.active_at_ms) for a in b.rules.loaded.alerts()}

    b.run(5, 40, 9, job="api")
    before = states()
    assert len(before) == 2
    b.load(moved, 41)
    assert states() == before
    b.restart(43)
    assert states() == before
    b.tick(45, ("x", 9, {"job": "api"}))
    assert b.states() == {"Slow": "pending", "Fast": "firing"}
    assert all(fires for _, fires in b.heard())


def test_a_rule_that_is_removed_ends_its_alerts_and_its_series(bench):
    b = bench(RULES)
    b.run(5, 20, 9, job="api")
    b.load(RULES.replace('- {alert: Fast, expr: "job:x > 5"}', ""), 21)
    assert set(b.states()) == {"Slow"}
    assert b.heard()[-1] == ("Fast", False)
    b.tick(25, ("x", 9, {"job": "api"}))
    firing = (("alertname", "Fast"), ("alertstate", "firing"), ("job", "api"))
    assert b.store.named("ALERTS")[firing][-1] == (25_000, "stale")
    b.restart(26)
    assert ("Fast", False) in b.heard()[-2:]


def test_a_group_that_is_removed_ends_its_series_at_once(bench):
    b = bench(RULES)
    b.run(5, 20, 9, job="api")
    b.load("groups: [{name: other, rules: []}]", 21)
    assert b.store.named("job:x")[("job", "api"),][-1] == (21_000, "stale")
    assert b.heard()[-1] == ("Fast", False)


def test_a_bad_reload_changes_nothing(bench):
    b = bench(RULES)
    b.run(5, 20, 9, job="api")
    before = b.rules.loaded.alerts()
    with pytest.raises(ConfigError):
        b.load(RULES + '        annotations: {a: "{{ nope }}"}\n', 21)
    with pytest.raises(ConfigError):
        b.load(RULES.replace("severity: warning", 'severity: "{{ nope }}"'), 21)
    assert b.rules.loaded.alerts() == before
    b.tick(25, ("x", 9, {"job": "api"}))
    assert b.states() == {"Slow": "pending", "Fast": "firing"}


def test_two_equal_rules_each_keep_their_own_alerts(bench):
    twins = """
    groups:
      - name: g
        rules:
          - {alert: A, expr: x > 0, for: 1m}
          - {alert: A, expr: y > 0, for: 1m}
    """
    b = bench(twins)
    b.tick(5, ("x", 1, {"n": "x"}))
    b.tick(10, ("x", 1, {"n": "x"}), ("y", 1, {"n": "y"}))
    b.restart(12)
    rules = b.rules.loaded.views()[0].rules
    assert [[a.active_at_ms for a in rule.alerts] for rule in rules] == [
        [5000],
        [10000],
    ]


def test_a_clock_that_is_set_back_does_not_stop_the_monitor(bench):
    b = bench(RULES)
    b.run(7200, 7220, 9, job="api")
    # Twice to let targets be scraped again, as after any gap.
    b.run(3590, 3605, 9, job="web")
    assert {dict(a.labels)["job"] for a in b.rules.loaded.alerts()} >= {"web"}
    (alert,) = (a for a in b.sent[-1] if dict(a.labels)["job"] == "web")
    assert (alert.starts_at_ms, alert.ends_at_ms) == (3_600_000, None)


@pytest.mark.parametrize("restarts", [False, True])
def test_a_clock_that_is_set_back_puts_no_wait_off_by_an_hour(bench, restarts):
    b = bench(RULES)
    b.run(7200, 7240, 1, job="api")
    if restarts:  # how long it has waited is not known then: it begins anew
        b.restart(3600)
    fires = 3665 if restarts else 3630
    b.run(3605, fires, 1, job="api")
    assert b.states() == {"Slow": "pending"}
    b.tick(fires, ("x", 1, {"job": "api"}))
    assert b.states() == {"Slow": "firing"}


def test_a_clock_that_is_set_back_keeps_no_alert_for_an_hour(bench):
    kept = "{alert: Kept, expr: x > 5, keep_firing_for: 30s}"
    b = bench(f"groups: [{{name: g, rules: [{kept}, {{alert: Held, expr: x > 5}}]}}]")
    b.run(7200, 7240, 9)
    b.tick(7240, ("x", 0, {}))
    assert b.states() == {"Kept": "firing"}
    b.run(3600, 3645, 0)  # held for three intervals, then kept
    assert b.states() == {"Kept": "firing"}
    b.tick(3645, ("x", 0, {}))
    assert b.states() == {}
    b.run(3650, 3660, 9)
    b.tick(9000, ("x", 0, {}))  # a gap: what fires is held for three intervals
    assert b.states() == {"Kept": "firing", "Held": "firing"}
    b.tick(5000, ("x", 0, {}))  # one more: nothing is over because of it
    assert b.states() == {"Kept": "firing", "Held": "firing"}
    b.run(5005, 5020, 0)
    assert b.states() == {"Kept": "firing"}


def test_other_external_labels_make_other_alerts_and_the_old_ones_end(bench):
    b = bench(RULES, external_labels={"env": "test"})
    b.run(5, 20, 9, job="api")
    b.sent.clear()
    b.loaded["external_labels"] = {"env": "prod"}
    b.load(RULES, 21)
    said = {dict(a.labels)["env"]: a.ends_at_ms for a in b.sent[0]}
    assert said == {"test": 21_000, "prod": None}


def test_the_end_of_a_rule_removed_long_ago_is_told_at_the_next_start(bench):
    b = bench(RULES)
    b.run(5, 20, 9, job="api")
    b.load("groups: []", 21)
    b.sent.clear()
    b.restart(90_000)
    (alert,) = b.sent[0]
    assert alert.ends_at_ms == 21_000
    b.sent.clear()
    b.load("groups: []", 90_001)
    b.restart(90_002)
    assert b.sent == []

"""Rules over series in promtool's notation, evaluated by our own engine.

The counterpart of `tests.support.promtool`: it takes the same cases, so that both
engines judge one scenario.
"""

import numpy as np
from tests.support.one_group import OneGroup

from watchroom.derive.rules import rules
from watchroom.formats import series
from watchroom.promql.engine import Engine
from watchroom.promql.memory import MemoryQueryable, Series
from watchroom.units import parse_duration

# A whole hour, so that the steps of subqueries fall as they do after promtool's 0.
_START_MS = 1_799_841_600_000


class Replay:
    """A plan's rules over the series of one case, from its first step to its last."""

    def __init__(self, made, groups, case):
        self._engine = Engine()
        self._step_ms = round(parse_duration(case["interval"]) * 1000)
        tick = parse_duration(made.site.inputs.interval)
        self._tick_ms = round(tick * 1000)
        self._series = [
            self._read(f"{one['series']} {one['values']}")
            for one in case["input_series"]
        ]
        self._end_ms = _START_MS + max(
            round(parse_duration(one["eval_time"]) * 1000)
            for one in case["promql_expr_test"]
        )
        for group in rules(made).groups:
            if group.name in groups:
                for rule in group.rules:
                    self._run(rule)

    def _read(self, text):
        line = series.parse(text)
        there = [at for at, value in enumerate(line.values) if value is not None]
        return Series(
            tuple(sorted(line.labels)),
            np.array([_START_MS + at * self._step_ms for at in there], np.int64),
            np.array([line.values[at] for at in there], np.float64),
        )

    def _run(self, rule):
        found = self._engine.range(
            MemoryQueryable(self._series),
            rule.expr,
            _START_MS,
            self._end_ms,
            self._tick_ms,
        ).series
        for labels, times, values in found:
            own = {k: v for k, v in labels if k != "__name__"} | dict(rule.labels)
            if rule.record:
                self._add({**own, "__name__": rule.record}, times, values)
            else:
                own |= {"__name__": "ALERTS", "alertname": rule.alert}
                self._alert(own, times, parse_duration(rule.for_ or "0s") * 1000)

    def _alert(self, labels, times, hold_ms):
        since, states = None, {"pending": [], "firing": []}
        for before, now in zip([None, *times[:-1]], times, strict=True):
            if before is None or now - before > self._tick_ms:
                since = now
            state = "firing" if now - since >= hold_ms else "pending"
            states[state].append(now)
        for state, there in states.items():
            self._add({**labels, "alertstate": state}, there, np.ones(len(there)))

    def _add(self, labels, times, values):
        """Add a result; where it stops, a stale marker stands, as in the servers."""
        stamps, numbers = [], []
        for at, (time, value) in enumerate(zip(times, values, strict=True)):
            stamps.append(time)
            numbers.append(value)
            after = times[at + 1] if at + 1 < len(times) else None
            if after != time + self._tick_ms and time < self._end_ms:
                stamps.append(time + self._tick_ms)
                numbers.append(series.STALE)
        if stamps:
            self._series.append(
                Series(
                    tuple(sorted((k, v) for k, v in labels.items() if v)),
                    np.array(stamps, np.int64),
                    np.array(numbers, np.float64),
                )
            )

    def ask(self, expr, eval_time):
        """Return the samples of an expression at a time: values by labels."""
        at = _START_MS + round(parse_duration(eval_time) * 1000)
        found = self._engine.instant(OneGroup(self._series), expr, at)
        return {
            frozenset((k, v) for k, v in labels): value
            for labels, value in found.samples
        }


def check(made, groups, cases):
    """Hold our engine to cases of promtool's."""
    for case in cases:
        replay = Replay(made, groups, case)
        for test in case["promql_expr_test"]:
            wanted = {
                _labels(one["labels"]): one["value"] for one in test["exp_samples"]
            }
            found = replay.ask(test["expr"], test["eval_time"])
            place = f"{case['name']}: {test['expr']} at {test['eval_time']}: {found}"
            assert found.keys() == wanted.keys(), place
            for labels, value in wanted.items():
                assert abs(found[labels] - value) <= 1e-9 * max(1, abs(value)), place


def _labels(text):
    if text == "{}":
        return frozenset()
    head = text if not text.startswith("{") else f"x{text}"
    labels = dict(series.parse(f"{head} 0").labels)
    if text.startswith("{"):
        del labels["__name__"]
    return frozenset(labels.items())

"""Samples in a dict, for tests of rules whose clock is not the store's.

The real store has tests of its own; here a rule must see exactly the samples that the
test wrote, at any time, without files.
"""

from __future__ import annotations

import numpy as np

from watchroom.promql.model import (
    STALE_CELL,
    VALUE,
    SeriesGroup,
    is_stale,
    labels_of,
    matches_all,
    metric_name,
)


class SampleRows:
    """A store and its own snapshot."""

    def __init__(self):
        self.rows = {}

    def put(self, at_ms, name, value, **labels):
        """Add one sample of one series."""
        series = labels_of({"__name__": name, **labels})
        self.rows.setdefault(series, []).append((at_ms, value))

    def append(self, _target, at_ms, labels, values):
        """Add one row, as a rule group does."""
        for series, value in zip(labels, values, strict=True):
            self.rows.setdefault(series, []).append((at_ms, value))

    def snapshot(self):
        """Return itself: tests evaluate one thing at a time."""
        return self

    def select(self, matchers, start_ms, end_ms, _reserve=None):
        """Return one group per matching series."""
        found = []
        for series, samples in self.rows.items():
            inside = [s for s in samples if start_ms < s[0] <= end_ms]
            if not inside or not matches_all(matchers, series):
                continue
            values = np.array([value for _, value in inside])
            state = np.where(is_stale(values), STALE_CELL, VALUE).astype(np.uint8)
            times = np.array([at for at, _ in inside], np.int64)
            found.append(SeriesGroup((series,), times, values[None, :], state[None, :]))
        return found

    def named(self, name):
        """Return the series of a name: labels → [(at_ms, value or "stale")]."""
        return {
            tuple(pair for pair in series if pair[0] != "__name__"): [
                (at, "stale" if is_stale(np.array([value]))[0] else float(value))
                for at, value in samples
            ]
            for series, samples in self.rows.items()
            if metric_name(series) == name
        }

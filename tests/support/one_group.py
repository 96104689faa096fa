"""Series that come and go in one group, as a store gives them to a query."""

from __future__ import annotations

import numpy as np

from watchroom.promql.memory import MemoryQueryable
from watchroom.promql.model import ABSENT, STALE_CELL, VALUE, SeriesGroup, is_stale


class OneGroup(MemoryQueryable):
    """All series in one group, absent cells between."""

    def __init__(self, series):
        super().__init__([])
        if series:
            times = np.unique(np.concatenate([each.timestamps for each in series]))
            values = np.zeros((len(series), len(times)))
            state = np.full(values.shape, ABSENT, np.uint8)
            for row, each in enumerate(series):
                columns = np.searchsorted(times, each.timestamps)
                values[row, columns] = each.values
                stale = is_stale(each.values)
                state[row, columns] = np.where(stale, STALE_CELL, VALUE)
            labels = [each.labels for each in series]
            self._groups = [SeriesGroup(labels, times, values, state)]

"""What an answer is to be read with: the warnings and infos of Prometheus.

In its words, without the place in the text that it adds in brackets: the parser does
not keep places.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from watchroom.promql.value import format_general

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.promql.model import Floats, Mask, Times

_MOST = 10
"""Of each kind, as many as Prometheus' API shows."""

_COUNTERS = ("_total", "_sum", "_count", "_bucket")


class Notes:
    """Warnings and infos of one query, each once, in the order they were met."""

    def __init__(self) -> None:
        self._warnings: dict[str, None] = {}
        self._infos: dict[str, None] = {}
        self._falls: _Falls | None = None

    def warn(self, text: str) -> None:
        """Add a warning."""
        self._warnings[f"PromQL warning: {text}"] = None

    @property
    def warnings(self) -> list[str]:
        """The warnings, the tenth followed by how many were left out."""
        return _first_ten(list(self._warnings), "warning")

    @property
    def infos(self) -> list[str]:
        """The infos, the tenth followed by how many were left out."""
        texts = list(self._infos)
        if self._falls is not None:
            texts.append(f"PromQL info: {self._falls}")
        return _first_ten(texts, "info")

    def quantiles(self, shares: Floats) -> None:
        """Warn of each quantile outside 0 to 1."""
        for share in np.unique(shares[~((shares >= 0) & (shares <= 1))]).tolist():
            self.warn(
                f"quantile value should be between 0 and 1, got {format_general(share)}"
            )

    def bucket(self, text: str, name: str) -> None:
        """Warn of a series whose ``le`` is not an upper bound."""
        suffix = f' for metric name "{name}"' if name else ""
        self.warn(
            f'bucket label "le" is missing or has a malformed value of "{text}"{suffix}'
        )

    def counter(self, name: str) -> None:
        """Add an info if a metric whose rate is taken is not named like a counter."""
        if name and not name.endswith(_COUNTERS):
            self._infos[
                "PromQL info: metric might not be a counter, name does not end in "
                f'_total/_sum/_count/_bucket: "{name}"'
            ] = None

    def falls(self, bounds: Floats, diffs: Floats, forced: Mask, times: Times) -> None:
        """Add an info if buckets counted fewer than the ones below them.

        Args:
            bounds: Upper bounds (B,).
            diffs: By how much each lies below (B, C).
            forced: Which of them were corrected (B, C).
            times: When (C,), in ms.
        """
        if not forced.any():
            return
        if self._falls is None:
            self._falls = _Falls()
        self._falls.add(bounds, diffs, forced, times)


class _Falls:
    """All corrections of buckets in one query, as one sentence."""

    def __init__(self) -> None:
        self.low, self.high = math.inf, -math.inf
        self.difference = 0.0
        self.count = 0
        self.first = self.last = 0

    def add(self, bounds: Floats, diffs: Floats, forced: Mask, times: Times) -> None:
        reached, when = bounds[forced.any(axis=1)], times[forced.any(axis=0)]
        self.low = min(self.low, float(reached.min()))
        self.high = max(self.high, float(reached.max()))
        self.difference = max(self.difference, float(diffs[forced].max()))
        first, last = int(when.min()), int(when.max())
        self.first = min(self.first, first) if self.count else first
        self.last = max(self.last, last) if self.count else last
        self.count += len(when)

    def __str__(self) -> str:
        times = [
            datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            for at in (self.first, self.last)
        ]
        return (
            "input to histogram_quantile needed to be fixed for monotonicity (see "
            "https://prometheus.io/docs/prometheus/latest/querying/functions/"
            f"#histogram_quantile), from buckets {format_general(self.low)} to "
            f"{format_general(self.high)}, with a max diff of {self.difference:.2g}, "
            f"over {self.count} samples from {times[0]} to {times[1]}"
        )


def _first_ten(texts: Sequence[str], kind: str) -> list[str]:
    if len(texts) <= _MOST:
        return list(texts)
    omitted = f"{len(texts) - _MOST} more {kind} annotations omitted"
    return [*texts[:_MOST], omitted]

"""A synthetic Django fleet: what one instance would expose, scrape after scrape.

Zipf traffic over routes that swells and falls by the hour, HTTP counters and 12-bucket
histograms, database, cache and process series. Seeded: the same instance gives the
same samples.
"""

from __future__ import annotations

import numpy as np

_EDGES = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.0", "5.0")
_BUCKETS = (*_EDGES, "10.0", "+Inf")


def labels(name, **pairs):
    """Return sorted labels with the name among them."""
    return tuple(sorted({"__name__": name, **pairs}.items()))


class Instance:
    """One target: `labels` in exposition order, `scrape(seconds)` gives the values."""

    def __init__(self, number=0, routes=60):
        """Lay out the series of instance `number`."""
        self._rng = np.random.default_rng(number)
        self._routes = routes
        self._share = 1 / (1 + np.arange(routes)) ** 1.1
        where = {"instance": f"web-{number}:9000", "job": "app"}
        route = [f"shop/section-{n}/<int:pk>/" for n in range(routes)]
        self.labels = []
        for one in route:
            for status in ("200", "302", "500"):
                self.labels.append(
                    labels(
                        "http_requests_total",
                        method="GET",
                        route=one,
                        status=status,
                        **where,
                    )
                )
        for family, value in (
            ("http_request_duration_seconds", route),
            ("db_query_duration_seconds", ["default", "replica"]),
        ):
            key = "route" if family.startswith("http") else "alias"
            for one in value:
                for edge in _BUCKETS:
                    self.labels.append(
                        labels(f"{family}_bucket", le=edge, **{key: one}, **where)
                    )
                self.labels.append(labels(f"{family}_sum", **{key: one}, **where))
                self.labels.append(labels(f"{family}_count", **{key: one}, **where))
        for result in ("hit", "miss"):
            self.labels.append(
                labels("cache_gets_total", alias="default", result=result, **where)
            )
        for worker in range(8):
            self.labels.append(
                labels("process_resident_memory_bytes", worker=str(worker), **where)
            )
        for report in ("up", "scrape_duration_seconds", "scrape_samples_scraped"):
            self.labels.append(labels(report, **where))
        self._requests = np.zeros((routes, 3))
        self._durations = np.zeros((routes + 2, len(_BUCKETS)))
        self._sums = np.zeros(routes + 2)
        self._cache = np.zeros(2)
        self._memory = np.full(8, 180 * 2.0**20)

    def scrape(self, seconds, at):
        """Advance by `seconds` to the time `at`; return all values."""
        rng = self._rng
        swell = 1 + 0.6 * np.sin(at / 3600)
        asked = rng.poisson(self._share * 8 * seconds * swell / self._share.sum())
        failed = rng.binomial(asked, 0.002)
        moved = rng.binomial(asked - failed, 0.05)
        self._requests += np.stack([asked - failed - moved, moved, failed], 1)
        queries = rng.poisson([asked.sum() * 3.0, asked.sum()])
        for row, count in enumerate([*asked, *queries]):
            if count:
                took = rng.lognormal(-3.2, 0.9, count)
                places = np.searchsorted([float(e) for e in _BUCKETS[:-1]], took)
                self._durations[row] += np.cumsum(
                    np.bincount(places, minlength=len(_BUCKETS))
                )
                self._sums[row] += took.sum()
        self._cache += rng.poisson([asked.sum() * 4.0, asked.sum() * 0.4])
        change = rng.random(8) < 0.1
        self._memory += change * rng.integers(-4, 6, 8) * 4096 * 16
        count = self._durations[:, -1:]
        table = np.hstack([self._durations, self._sums[:, None], count])
        return np.concatenate(
            [
                self._requests.ravel(),
                table.ravel(),
                self._cache,
                self._memory,
                [1.0, 0.01 + rng.random() / 50, float(len(self.labels) - 3)],
            ]
        )

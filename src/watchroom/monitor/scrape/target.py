"""Scrape targets: built from discovered addresses, labelled, addressed, scheduled."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from watchroom.errors import ConfigError
from watchroom.monitor.scrape.relabel import Rule, relabel
from watchroom.units import format_duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from watchroom.promql.model import Labels

BODY_LIMIT = 16 * 2**20
# Where the file sets none. Reading 900,000 new series took 20 s and 1.4 GB, and left
# no room for anybody else's (measured).
SAMPLE_LIMIT = 100_000


class TargetGroup(NamedTuple):
    """Addresses that discovery found together, and the labels they share."""

    targets: tuple[str, ...]
    labels: tuple[tuple[str, str], ...] = ()


class Target(NamedTuple):
    """One thing to scrape. Equal targets are the same target over a reload."""

    pool: str
    url: str
    labels: Labels
    discovered: Labels
    interval: float
    timeout: float
    honor_labels: bool
    honor_timestamps: bool
    track_staleness: bool
    sample_limit: int
    body_limit: int
    credentials: Path | None

    @property
    def key(self) -> str:
        """Its name in the store: the job and the labels its series carry."""
        text = ",".join(f'{name}="{value}"' for name, value in self.labels)
        return f"{self.pool};{text}"


class Job(NamedTuple):
    """One ``scrape_configs`` entry with durations, sizes and paths resolved."""

    name: str
    interval: float
    timeout: float
    metrics_path: str
    scheme: str
    params: Mapping[str, Sequence[str]]
    honor_labels: bool
    honor_timestamps: bool
    track_staleness: bool
    sample_limit: int
    body_limit: int
    credentials: Path | None
    rules: tuple[Rule, ...]


def build(job: Job, group: TargetGroup) -> tuple[list[Target], list[Labels]]:
    """Return the targets of a discovered group, and the label sets that were dropped.

    Raises:
        ConfigError: Relabelling left a target without an address, or with a
            scheme or interval that means nothing.
    """
    kept: list[Target] = []
    dropped: list[Labels] = []
    for address in group.targets:
        start = _defaults(job, {**dict(group.labels), "__address__": address})
        discovered = tuple(sorted(start.items()))
        final = relabel(start, job.rules)
        if final is None:
            dropped.append(discovered)
        else:
            kept.append(_target(job, final, discovered))
    return kept, dropped


def _defaults(job: Job, labels: dict[str, str]) -> dict[str, str]:
    """Return what relabelling starts from; a group's own labels win."""
    start = {
        "job": job.name,
        "__scrape_interval__": format_duration(job.interval),
        "__scrape_timeout__": format_duration(job.timeout),
        "__metrics_path__": job.metrics_path,
        "__scheme__": job.scheme,
    }
    start |= {
        f"__param_{name}": values[0] for name, values in job.params.items() if values
    }
    return start | labels


def _target(job: Job, labels: dict[str, str], discovered: Labels) -> Target:
    address = labels.get("__address__", "")
    if not address or "/" in address:
        raise ConfigError(f"job {job.name!r}: {address!r} is not a host and port")
    scheme = labels.get("__scheme__", "http")
    if scheme not in {"http", "https"}:
        raise ConfigError(f"job {job.name!r}: scheme {scheme!r} is not http or https")
    interval = parse_duration(labels.get("__scrape_interval__", "")) or job.interval
    timeout = parse_duration(labels.get("__scrape_timeout__", "")) or job.timeout
    params = {name: list(values) for name, values in job.params.items()}
    for name, value in labels.items():
        if name.startswith("__param_"):
            params[name.removeprefix("__param_")] = [
                value,
                *params.get(name.removeprefix("__param_"), [])[1:],
            ]
    path = labels.get("__metrics_path__", "/metrics")
    path = path if path.startswith("/") else f"/{path}"
    query = urlencode(sorted(params.items()), doseq=True)
    own = {n: v for n, v in labels.items() if not n.startswith("__")}
    own.setdefault("instance", address)
    return Target(
        pool=job.name,
        url=f"{scheme}://{address}{path}" + (f"?{query}" if query else ""),
        labels=tuple(sorted(own.items())),
        discovered=discovered,
        interval=interval,
        timeout=min(timeout, interval),
        honor_labels=job.honor_labels,
        honor_timestamps=job.honor_timestamps,
        track_staleness=job.track_staleness,
        sample_limit=job.sample_limit,
        body_limit=job.body_limit,
        credentials=job.credentials,
    )


class Schedule:
    """When in each interval targets are scraped and rules evaluated.

    Few targets are scraped close together at the interval's start and rules follow
    right after, so that a change waits for one interval, not two; many are spread
    over up to four fifths of it, so that no moment carries all the work.
    """

    def __init__(self) -> None:
        self._room = 8

    def resize(self, targets: int) -> None:
        """Say how many targets there are; in powers of two, so offsets rarely move."""
        self._room = max(8, 1 << max(0, targets - 1).bit_length())

    def spread(self, interval: float) -> float:
        """Return the seconds over which scrapes are spread."""
        return min(0.8 * interval, 0.02 * self._room)

    def offset(self, key: str, interval: float) -> float:
        """Return the seconds into the interval at which `key` is scraped."""
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64 * self.spread(interval)

    def evaluation_offset(self, interval: float) -> float:
        """Return the seconds into the interval at which rules are evaluated."""
        return self.spread(interval) + min(0.1 * interval, 0.15)


def next_due(now: float, due: float, interval: float, offset: float) -> float:
    """Return the first instant that is `offset` into an interval, after `due` and now.

    A sleep may end a moment too early, which must not give `due` again. When `due` is
    further off than that, the clock was set back: waiting for it to catch up would be
    as long without a look.
    """
    start = now if due - now > interval else max(now, due)
    return ((start - offset) // interval + 1) * interval + offset

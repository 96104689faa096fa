"""Scrape targets: built from discovered addresses, labelled, addressed, scheduled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from watchroom.errors import ConfigError
from watchroom.formats import (
    prometheus,
)
from watchroom.monitor.scrape.relabel import RelabelRule, compile_rules, relabel
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
    rules: tuple[RelabelRule, ...]


def build(job: Job, group: TargetGroup) -> tuple[list[Target], list[Labels]]:
    """Return the targets of a discovered group, and the label sets that were dropped.

    Raises:
        ConfigError: Relabelling left a target without an address, or with a
            scheme or interval that means nothing.
    """
    targets: list[Target] = []
    dropped: list[Labels] = []
    for address in group.targets:
        start = _defaults(job, {**dict(group.labels), "__address__": address})
        discovered = tuple(sorted(start.items()))
        final = relabel(start, job.rules)
        if final is None:
            dropped.append(discovered)
        else:
            targets.append(_target(job, final, discovered))
    return targets, dropped


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


def job_of(
    config: prometheus.Prometheus, entry: prometheus.ScrapeConfig, root: Path
) -> Job:
    """Return a job of the file with its durations, sizes and paths resolved.

    Raises:
        ConfigError: Its relabelling holds a pattern that is not RE2.
    """
    interval, timeout = prometheus.timing(entry, config.global_)
    credentials = None
    if entry.authorization is not None and entry.authorization.credentials_file:
        credentials = root / entry.authorization.credentials_file
    return Job(
        name=entry.job_name,
        interval=interval,
        timeout=timeout,
        metrics_path=entry.metrics_path,
        scheme=entry.scheme or "http",
        params=entry.params,
        honor_labels=entry.honor_labels,
        honor_timestamps=entry.honor_timestamps,
        track_staleness=entry.track_timestamps_staleness,
        sample_limit=entry.sample_limit or SAMPLE_LIMIT,
        body_limit=prometheus.body_limit(entry) or BODY_LIMIT,
        credentials=credentials,
        rules=compile_rules(entry.relabel_configs),
    )

"""prometheus.yml: the declared subset that we write and that the monitor reads."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from watchroom.errors import ConfigError
from watchroom.formats import regexp, yamlfile
from watchroom.units import parse_duration, parse_size

_STRICT: dict[str, Any] = {
    "frozen": True,
    "forbid_unknown_fields": True,
    "omit_defaults": True,
}
_ACTIONS = {
    *("replace", "keep", "drop", "labelmap", "labeldrop", "labelkeep"),
    *("hashmod", "lowercase", "uppercase", "keepequal", "dropequal"),
}


class Authorization(msgspec.Struct, **_STRICT):
    """A bearer token, from a file; tokens do not stand in configuration."""

    type: str = "Bearer"
    credentials_file: str = ""


class RelabelConfig(msgspec.Struct, **_STRICT):
    """One relabelling step."""

    source_labels: list[str] = []
    separator: str = ";"
    target_label: str = ""
    regex: str = "(.*)"
    modulus: int = 0
    replacement: str = "$1"
    action: str = "replace"


class StaticConfig(msgspec.Struct, **_STRICT):
    """Targets that are written down."""

    targets: list[str]
    labels: dict[str, str] = {}


class HttpSdConfig(msgspec.Struct, **_STRICT):
    """Targets that a URL lists as JSON."""

    url: str
    refresh_interval: str = "60s"
    authorization: Authorization | None = None


class FileSdConfig(msgspec.Struct, **_STRICT):
    """Targets that files list as JSON or YAML."""

    files: list[str]
    refresh_interval: str = "5m"


class ScrapeConfig(msgspec.Struct, **_STRICT):
    """One job."""

    job_name: str
    scrape_interval: str | None = None
    scrape_timeout: str | None = None
    metrics_path: str = "/metrics"
    scheme: str = "http"
    params: dict[str, list[str]] = {}
    honor_labels: bool = False
    honor_timestamps: bool = True
    authorization: Authorization | None = None
    sample_limit: int = 0
    body_size_limit: str | int = 0
    static_configs: list[StaticConfig] = []
    http_sd_configs: list[HttpSdConfig] = []
    file_sd_configs: list[FileSdConfig] = []
    relabel_configs: list[RelabelConfig] = []


class Global(msgspec.Struct, **_STRICT):
    """Defaults for every job and group."""

    scrape_interval: str = "1m"
    scrape_timeout: str = "10s"
    evaluation_interval: str = "1m"
    external_labels: dict[str, str] = {}


class AlertmanagerConfig(msgspec.Struct, **_STRICT):
    """Where Prometheus sends alerts; the monitor is its own Alertmanager."""

    static_configs: list[StaticConfig] = []
    scheme: str = "http"
    path_prefix: str = ""
    api_version: str = "v2"
    timeout: str = "10s"


class Alerting(msgspec.Struct, **_STRICT):
    """Read, and ignored by the monitor, which says so."""

    alertmanagers: list[AlertmanagerConfig] = []


class Prometheus(msgspec.Struct, **_STRICT):
    """A prometheus.yml."""

    global_: Global = msgspec.field(default_factory=Global, name="global")
    rule_files: list[str] = []
    alerting: Alerting | None = None
    scrape_configs: list[ScrapeConfig] = []


def load(text: str, file: str) -> Prometheus:
    """Return the configuration in `text`.

    Raises:
        ConfigError: A key outside the subset, a wrong type, duration, size, regex or
            action, or two jobs of one name; with file, line and field.
    """
    data, node = yamlfile.parse(text, file)
    config = yamlfile.convert(data, node, file, Prometheus)
    jobs: set[str] = set()
    for i, job in enumerate(config.scrape_configs):
        with yamlfile.placed(node, file), yamlfile.within(f"scrape_configs[{i}]"):
            if job.job_name in jobs:
                raise ConfigError(f"two jobs are named {job.job_name!r}")
            jobs.add(job.job_name)
            check_job(job, config.global_)
    with yamlfile.placed(node, file), yamlfile.within("global"):
        for name in ("scrape_interval", "scrape_timeout", "evaluation_interval"):
            _positive(getattr(config.global_, name), name)
    return config


def dump(config: Prometheus) -> str:
    """Return the YAML of `config`."""
    return yamlfile.dump(msgspec.to_builtins(config))


def check_job(job: ScrapeConfig, defaults: Global) -> None:
    """Raise ConfigError, with the job's own field, when a value cannot work."""
    interval = _positive(
        job.scrape_interval or defaults.scrape_interval, "scrape_interval"
    )
    timeout = _positive(job.scrape_timeout or "1ms", "scrape_timeout")
    if timeout > interval:
        raise ConfigError(
            "scrape_timeout is longer than scrape_interval", field="scrape_timeout"
        )
    if job.scheme not in {"http", "https"}:
        raise ConfigError(f"{job.scheme!r} is not http or https", field="scheme")
    body_limit(job)
    for refresh in (
        *(sd.refresh_interval for sd in job.http_sd_configs),
        *(sd.refresh_interval for sd in job.file_sd_configs),
    ):
        _positive(refresh, "refresh_interval")
    for i, step in enumerate(job.relabel_configs):
        if step.action not in _ACTIONS:
            raise ConfigError(
                f"relabel action {step.action!r} is not supported",
                field=f"relabel_configs[{i}].action",
                hint=", ".join(sorted(_ACTIONS)),
            )
        with yamlfile.within(f"relabel_configs[{i}].regex"):
            regexp.check(step.regex)


def body_limit(job: ScrapeConfig) -> int:
    """Return the most bytes a scrape's body may have; 0 is the reader's own default.

    Raises:
        ConfigError: It is not a size.
    """
    limit = job.body_size_limit
    if isinstance(limit, int):
        return limit
    # Prometheus' KB, MB and GB are powers of two.
    with yamlfile.within("body_size_limit"):
        return parse_size(re.sub(r"^(\d+)([KMG])B$", r"\1\2iB", limit))


def _positive(text: str, field: str) -> float:
    with yamlfile.within(field):
        seconds = parse_duration(text)
        if seconds <= 0:
            raise ConfigError(f"{field} must be longer than 0")
    return seconds

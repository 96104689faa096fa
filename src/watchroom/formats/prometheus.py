"""prometheus.yml: the declared subset that we write and that the monitor reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

import msgspec

from watchroom.errors import ConfigError, NotSupportedError
from watchroom.formats import addresses, known_keys, relabel, yamlfile
from watchroom.formats.receivers import Authorization  # noqa: TC001 - msgspec reads it
from watchroom.units import parse_duration, parse_size

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_RULE_PATH = re.compile(r"[^*]*(\*[^/]*)?")
_DISCOVERY_PATH = re.compile(r"[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)")
_SIZES = re.compile(r"(?:[\d.]+[KMGTPE]?i?B){2,}")
_DEFAULTS = {"scrape_interval": 60.0, "scrape_timeout": 10.0}
_DEFAULTS["evaluation_interval"] = 60.0


class StaticConfig(msgspec.Struct, **yamlfile.STRICT):
    """Targets that are written down."""

    targets: list[str] = []
    labels: dict[str, str] = {}


class HttpSdConfig(msgspec.Struct, **yamlfile.STRICT):
    """Targets that a URL lists as JSON."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.HTTP_CLIENT
    url: str
    refresh_interval: str = "60s"
    authorization: Authorization | None = None


class FileSdConfig(msgspec.Struct, **yamlfile.STRICT):
    """Targets that files list as JSON or YAML."""

    files: list[str]
    refresh_interval: str = "5m"


class ScrapeConfig(msgspec.Struct, **yamlfile.STRICT):
    """One job."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.SCRAPE
    job_name: str
    scrape_interval: str | None = None
    scrape_timeout: str | None = None
    metrics_path: str = "/metrics"
    scheme: str = "http"
    params: dict[str, list[str]] = {}
    honor_labels: bool = False
    honor_timestamps: bool = True
    track_timestamps_staleness: bool = False
    authorization: Authorization | None = None
    sample_limit: int = 0
    body_size_limit: str = "0"
    static_configs: list[StaticConfig] = []
    http_sd_configs: list[HttpSdConfig] = []
    file_sd_configs: list[FileSdConfig] = []
    relabel_configs: list[relabel.RelabelConfig] = []


class Global(msgspec.Struct, **yamlfile.STRICT):
    """Defaults for every job and group.

    Attributes:
        scrape_timeout: 0s is 10 seconds, or the interval where that is shorter.
    """

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.GLOBAL
    scrape_interval: str = "1m"
    scrape_timeout: str = "0s"
    evaluation_interval: str = "1m"
    external_labels: dict[str, str] = {}


class AlertmanagerConfig(msgspec.Struct, **yamlfile.STRICT):
    """Where Prometheus sends alerts; the monitor is its own Alertmanager."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.ALERTMANAGERS
    static_configs: list[StaticConfig] = []
    scheme: str = "http"
    path_prefix: str = ""
    api_version: str = "v2"
    timeout: str = "10s"
    authorization: Authorization | None = None


class Alerting(msgspec.Struct, **yamlfile.STRICT):
    """Read, and ignored by the monitor, which logs that."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.ALERTING
    alertmanagers: list[AlertmanagerConfig] = []


class Prometheus(msgspec.Struct, **yamlfile.STRICT):
    """A prometheus.yml."""

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.PROMETHEUS
    global_: Global = msgspec.field(default_factory=Global, name="global")
    rule_files: list[str] = []
    alerting: Alerting | None = None
    scrape_configs: list[ScrapeConfig] = []


def load(text: str, file: str) -> Prometheus:
    """Return the configuration in `text`.

    Raises:
        ConfigError: What Prometheus refuses too: an unknown key, a wrong type,
            duration, size, label, address or relabelling step, two jobs of one name;
            with file, line and field.
        NotSupportedError: What Prometheus takes and the monitor does not.
    """
    config, node = yamlfile.read(text, file, Prometheus)
    with yamlfile.placed(node, file):
        with yamlfile.within("global"):
            _check_global(config.global_)
        for i, pattern in enumerate(config.rule_files):
            if not _RULE_PATH.fullmatch(pattern):
                raise ConfigError(
                    f"{pattern!r} isn't a path for rule files",
                    field=f"rule_files[{i}]",
                    hint="only the file name may contain a *",
                )
        _check_alerting(config.alerting or Alerting())
        check_jobs(config.scrape_configs, config.global_)
    return config


def dump(config: Prometheus) -> str:
    """Return the YAML of `config`."""
    return yamlfile.dump(msgspec.to_builtins(config))


def check_jobs(
    jobs: Sequence[ScrapeConfig], defaults: Global, names_in_use: Collection[str] = ()
) -> None:
    """Refuse jobs that cannot work, and a name that another job has.

    Raises:
        ConfigError: With the field in that file.
        NotSupportedError: Likewise.
    """
    names = set(names_in_use)
    for i, job in enumerate(jobs):
        with yamlfile.within(f"scrape_configs[{i}]"):
            if job.job_name in names:
                raise ConfigError(
                    f"two jobs are named {job.job_name!r}", field="job_name"
                )
            names.add(job.job_name)
            check_job(job, defaults)


def check_job(job: ScrapeConfig, defaults: Global) -> None:
    """Raise ConfigError, with the job's own field, when a value cannot work."""
    if not job.job_name:
        raise ConfigError("a job needs a name", field="job_name")
    timing(job, defaults)
    if job.scheme not in {"http", "https", ""}:
        raise NotSupportedError(
            f"{job.scheme!r} isn't http or https",
            field="scheme",
            hint="Prometheus accepts it and then scrapes nothing",
        )
    if job.sample_limit < 0:
        raise ConfigError("must not be negative", field="sample_limit")
    body_limit(job)
    if job.authorization is not None:
        with yamlfile.within("authorization"):
            job.authorization.check()
    for i, sd in enumerate(job.http_sd_configs):
        with yamlfile.within(f"http_sd_configs[{i}]"):
            _check_http_discovery(sd)
    for i, files in enumerate(job.file_sd_configs):
        with yamlfile.within(f"file_sd_configs[{i}]"):
            _check_file_discovery(files)
    for i, step in enumerate(job.relabel_configs):
        with yamlfile.within(f"relabel_configs[{i}]"):
            relabel.check(step)
    for i, group in enumerate(job.static_configs):
        with yamlfile.within(f"static_configs[{i}]"):
            _check_group(group, relabelled=bool(job.relabel_configs))


def timing(job: ScrapeConfig, defaults: Global) -> tuple[float, float]:
    """Return a job's interval and time-out in seconds; 0 counts as not given.

    Raises:
        ConfigError: One is not a duration, or the time-out is the longer.
    """
    every = _seconds(job.scrape_interval, "scrape_interval")
    every = every or _global(defaults, "scrape_interval")
    timeout = _seconds(job.scrape_timeout, "scrape_timeout")
    if timeout > every:
        raise ConfigError(
            "scrape_timeout is longer than scrape_interval", field="scrape_timeout"
        )
    return every, timeout or min(_global(defaults, "scrape_timeout"), every)


def evaluation_seconds(defaults: Global) -> float:
    """Return how often rules are evaluated by default, in seconds."""
    return _global(defaults, "evaluation_interval")


def body_limit(job: ScrapeConfig) -> int:
    """Return the most bytes a scrape's body may have; 0 is the reader's own default.

    Raises:
        ConfigError: It is not a size.
    """
    if job.body_size_limit in {"0", ""}:
        return 0
    # Prometheus' KB, MB and GB are powers of two.
    with yamlfile.within("body_size_limit"):
        if _SIZES.fullmatch(job.body_size_limit):
            raise NotSupportedError("must be one number", hint="write 512MB")
        size = re.sub(r"^([\d.]+)([KMGT])B$", r"\1\2iB", job.body_size_limit)
        return parse_size(size)


def _seconds(text: str | None, field: str) -> float:
    with yamlfile.within(field):
        return 0.0 if text is None else parse_duration(text)


def _global(defaults: Global, name: str) -> float:
    return _seconds(getattr(defaults, name), name) or _DEFAULTS[name]


def _check_global(section: Global) -> None:
    every = _global(section, "scrape_interval")
    if _seconds(section.scrape_timeout, "scrape_timeout") > every:
        raise ConfigError(
            "scrape_timeout is longer than scrape_interval", field="scrape_timeout"
        )
    _global(section, "evaluation_interval")
    with yamlfile.within("external_labels"):
        relabel.check_labels(section.external_labels)
        for name, value in section.external_labels.items():
            if "$" in value:
                raise NotSupportedError(
                    f"{value!r} contains a $",
                    field=name,
                    hint="Prometheus 3 would replace it with an environment "
                    "variable; write the value itself",
                )


def _check_alerting(alerting: Alerting) -> None:
    for i, manager in enumerate(alerting.alertmanagers):
        field = f"alerting.alertmanagers[{i}]"
        with yamlfile.within(field):
            if manager.api_version != "v2":
                raise ConfigError(
                    f"{manager.api_version!r} isn't an API version",
                    field="api_version",
                    hint="write v2, or remove the line",
                )
            if manager.scheme not in {"http", "https"}:
                raise NotSupportedError(
                    f"{manager.scheme!r} isn't http or https", field="scheme"
                )
            if manager.authorization is not None:
                with yamlfile.within("authorization"):
                    manager.authorization.check()
            _seconds(manager.timeout, "timeout")
            for j, group in enumerate(manager.static_configs):
                with yamlfile.within(f"static_configs[{j}]"):
                    _check_group(group, relabelled=False)


def _check_http_discovery(section: HttpSdConfig) -> None:
    if not section.url:
        raise ConfigError("must not be empty", field="url")
    addresses.check_url(section.url, "url")
    if section.authorization is not None:
        with yamlfile.within("authorization"):
            section.authorization.check()
    _refresh(section.refresh_interval)


def _check_file_discovery(section: FileSdConfig) -> None:
    if not section.files:
        raise ConfigError("lists no file", field="files")
    for i, name in enumerate(section.files):
        if not _DISCOVERY_PATH.fullmatch(name):
            raise ConfigError(
                f"{name!r} isn't a path for file discovery",
                field=f"files[{i}]",
                hint="end it with .json, .yml or .yaml; only the file name may "
                "contain a *",
            )
    _refresh(section.refresh_interval)


def _refresh(text: str) -> None:
    if _seconds(text, "refresh_interval") <= 0:
        raise NotSupportedError(
            "must be longer than 0", field="refresh_interval", hint="write 30s"
        )


def _check_group(group: StaticConfig, *, relabelled: bool) -> None:
    """Refuse what is not an address; where steps follow, they may make it one."""
    for i, address in enumerate(group.targets):
        if (not address or "/" in address) and not relabelled:
            raise ConfigError(
                f"{address!r} isn't a host and port",
                field=f"targets[{i}]",
                hint="put the scheme and the path into their own keys: scheme: "
                "https, metrics_path: /metrics",
            )
    with yamlfile.within("labels"):
        relabel.check_labels(group.labels)

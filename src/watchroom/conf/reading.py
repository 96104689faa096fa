"""The WATCHROOM dict, read key by key."""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from watchroom.conf import (
    DEFAULT_EXPORTER,
    DEFAULT_MAX_SERIES,
    DEFAULT_MONITOR_URL,
    DEFAULT_OBJECTIVE,
    Settings,
    fallback,
)
from watchroom.conf.values import check_keys, http_url, mapping, text, wrong

if TYPE_CHECKING:
    from watchroom.conf.health import Health
    from watchroom.conf.receivers import Receiver
    from watchroom.conf.vitals import Override

KEYS = (
    "PROJECT",
    "ENVIRONMENT",
    "SITES",
    "MONITOR_URL",
    "EXPORTER",
    "RECEIVERS",
    "HEARTBEAT",
    "VITALS",
    "OBJECTIVE",
    "HEALTH",
    "RUNTIME_DIR",
    "DISKS",
    "MAX_SERIES",
    "QUEUES",
    "RELEASE",
    "REDACT",
    "LOGS_URL",
    "SENTRY_URL",
)
# Percent. Below, a burn rate of 14.4 is more than most of the requests.
_LEAST_OBJECTIVE, _MOST_OBJECTIVE = 95.0, 99.999


def read(raw: object, env: Mapping[str, str]) -> Settings:
    """Return the settings in the dict `raw` and the environment.

    Raises:
        ConfigError: As `watchroom.conf.load`.
    """
    options = mapping(raw, "WATCHROOM")
    check_keys(options, KEYS, "WATCHROOM")
    defaults = fallback(env)
    max_series = options.get("MAX_SERIES", DEFAULT_MAX_SERIES)
    if isinstance(max_series, bool) or not isinstance(max_series, int):
        raise wrong("MAX_SERIES", "isn't a whole number", "write 10000")
    if not 100 <= max_series <= 1_000_000:
        raise wrong("MAX_SERIES", "isn't between 100 and 1000000", "write 10000")
    return Settings(
        project=text(options, "PROJECT") or defaults.project,
        environment=text(options, "ENVIRONMENT") or defaults.environment,
        sites=tuple(_sites(options.get("SITES", ()))),
        monitor_url=_monitor_url(options),
        monitor_url_set="MONITOR_URL" in options,
        exporter=_exporter(text(options, "EXPORTER") or DEFAULT_EXPORTER),
        receivers=_receivers(options.get("RECEIVERS")),
        heartbeat=_heartbeat(options.get("HEARTBEAT")),
        vitals=_vitals(options.get("VITALS")),
        runtime_dir=defaults.runtime_dir or _path(options),
        disks=tuple(_disks(options.get("DISKS", ()))),
        max_series=max_series,
        queues=tuple(_queues(options.get("QUEUES", ()))),
        health=_health(options.get("HEALTH")),
        enabled=defaults.enabled,
        release=text(options, "RELEASE"),
        redact=_redact(options.get("REDACT", ())),
        logs_url=_template(options, "LOGS_URL"),
        sentry_url=_template(options, "SENTRY_URL"),
        objective=_objective(options.get("OBJECTIVE")),
    )


def _objective(value: object) -> float:
    """Return the share that is to succeed, written as a share or in percent."""
    if value is None:
        return DEFAULT_OBJECTIVE
    hint = "write 99.9 for 99.9% of the requests"
    percentage = value.strip().removesuffix("%") if isinstance(value, str) else value
    if isinstance(percentage, bool) or not isinstance(percentage, str | int | float):
        raise wrong("OBJECTIVE", "is not a percentage", hint)
    try:
        number = float(percentage)
    except ValueError:
        raise wrong("OBJECTIVE", "is not a percentage", hint) from None
    if number < 1 and not isinstance(value, str):
        number *= 100
    if not _LEAST_OBJECTIVE <= number <= _MOST_OBJECTIVE:
        raise wrong("OBJECTIVE", "isn't between 95 and 99.999 percent", hint)
    return round(number / 100, 9)


def _receivers(value: object) -> dict[str, "Receiver"]:
    entries = mapping(value, "RECEIVERS")
    if not entries:  # a web process with nothing to read imports nothing for it
        return {}
    from watchroom.conf.receivers import receiver

    return {str(name): receiver(str(name), entry) for name, entry in entries.items()}


def _heartbeat(value: object) -> tuple["Receiver", ...]:
    if not value:
        return ()
    from watchroom.conf.receivers import heartbeat

    return (heartbeat(value),)


def _vitals(value: object) -> dict[str, "Override"]:
    entries = mapping(value, "VITALS")
    if not entries:
        return {}
    from watchroom.conf.vitals import override

    return {str(name): override(str(name), entry) for name, entry in entries.items()}


def _health(value: object) -> "Health | None":
    if value is None or value == {}:
        return None
    from watchroom.conf.health import health

    return health(value)


def _redact(value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise wrong("REDACT", "is not a list", 'write ["iban"]')
    if not all(isinstance(name, str) and name.strip() for name in value):
        raise wrong("REDACT", "has a key that isn't a string", 'write ["iban"]')
    return tuple(value)


def _template(options: Mapping[object, object], key: str) -> str:
    if not text(options, key):
        return ""
    from watchroom.messages import links

    template = http_url(text(options, key), key)
    unknown = links.unknown(template)
    if unknown:
        raise wrong(
            key,
            f"has no key {unknown}",
            ("its keys are ") + ", ".join(links.PLACEHOLDERS),
        )
    return template


def _path(options: Mapping[object, object]) -> str | None:
    value = options.get("RUNTIME_DIR")
    if value is None or value == "":
        return None
    if not isinstance(value, str | os.PathLike):
        raise wrong("RUNTIME_DIR", "isn't a path")
    return os.fsdecode(value)


def _monitor_url(options: Mapping[object, object]) -> str:
    url = options.get("MONITOR_URL", DEFAULT_MONITOR_URL)
    return http_url(url, "MONITOR_URL").rstrip("/")


def _sites(value: object) -> Iterable[str]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise wrong("SITES", "is not a list", 'write ["https://…"]')
    for at, site in enumerate(value):
        yield http_url(site, f"SITES[{at}]")


def _queues(value: object) -> Iterable[str]:
    if not isinstance(value, list | tuple):
        raise wrong("QUEUES", "is not a list", 'write ["mail"]')
    for at, queue in enumerate(value):
        if not isinstance(queue, str) or not queue:
            raise wrong(f"QUEUES[{at}]", "isn't a queue's name")
        yield queue


def _disks(value: object) -> Iterable[str]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise wrong("DISKS", "is not a list", 'write ["/srv/uploads"]')
    for at, path in enumerate(value):
        if not isinstance(path, str | os.PathLike) or not os.path.isabs(path):  # noqa: PTH117 - as text
            raise wrong(f"DISKS[{at}]", "isn't an absolute path")
        yield os.fsdecode(path)


def _exporter(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 65536):
        raise wrong("EXPORTER", "isn't host:port", f"write {DEFAULT_EXPORTER}")
    return value

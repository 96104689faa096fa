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
    given = mapping(raw, "WATCHROOM")
    check_keys(given, KEYS, "WATCHROOM")
    defaults = fallback(env)
    max_series = given.get("MAX_SERIES", DEFAULT_MAX_SERIES)
    if isinstance(max_series, bool) or not isinstance(max_series, int):
        raise wrong("MAX_SERIES", "is not a whole number", "write 10000")
    if not 100 <= max_series <= 1_000_000:
        raise wrong("MAX_SERIES", "is not between 100 and 1000000", "write 10000")
    return Settings(
        project=text(given, "PROJECT") or defaults.project,
        environment=text(given, "ENVIRONMENT") or defaults.environment,
        sites=tuple(_sites(given.get("SITES", ()))),
        monitor_url=_monitor_url(given),
        monitor_url_set="MONITOR_URL" in given,
        exporter=_exporter(text(given, "EXPORTER") or DEFAULT_EXPORTER),
        receivers=_receivers(given.get("RECEIVERS")),
        heartbeat=_heartbeat(given.get("HEARTBEAT")),
        vitals=_vitals(given.get("VITALS")),
        runtime_dir=defaults.runtime_dir or _path(given),
        disks=tuple(_disks(given.get("DISKS", ()))),
        max_series=max_series,
        queues=tuple(_queues(given.get("QUEUES", ()))),
        health=_health(given.get("HEALTH")),
        enabled=defaults.enabled,
        release=text(given, "RELEASE"),
        redact=_redact(given.get("REDACT", ())),
        logs_url=_template(given, "LOGS_URL"),
        sentry_url=_template(given, "SENTRY_URL"),
        objective=_objective(given.get("OBJECTIVE")),
    )


def _objective(value: object) -> float:
    """Return the share that is to succeed, written as a share or in percent."""
    if value is None:
        return DEFAULT_OBJECTIVE
    hint = "write 99.9, for 99.9% of the requests"
    said = value.strip().removesuffix("%") if isinstance(value, str) else value
    if isinstance(said, bool) or not isinstance(said, str | int | float):
        raise wrong("OBJECTIVE", "is not a percentage", hint)
    try:
        number = float(said)
    except ValueError:
        raise wrong("OBJECTIVE", "is not a percentage", hint) from None
    if number < 1 and not isinstance(value, str):
        number *= 100
    if not _LEAST_OBJECTIVE <= number <= _MOST_OBJECTIVE:
        raise wrong("OBJECTIVE", "is not between 95 and 99.999 percent", hint)
    return round(number / 100, 9)


def _receivers(value: object) -> dict[str, "Receiver"]:
    named = mapping(value, "RECEIVERS")
    if not named:  # a web process with nothing to read imports nothing for it
        return {}
    from watchroom.conf.receivers import receiver

    return {str(name): receiver(str(name), each) for name, each in named.items()}


def _heartbeat(value: object) -> tuple["Receiver", ...]:
    if not value:
        return ()
    from watchroom.conf.receivers import heartbeat

    return (heartbeat(value),)


def _vitals(value: object) -> dict[str, "Override"]:
    named = mapping(value, "VITALS")
    if not named:
        return {}
    from watchroom.conf.vitals import override

    return {str(name): override(str(name), each) for name, each in named.items()}


def _health(value: object) -> "Health | None":
    if value is None or value == {}:
        return None
    from watchroom.conf.health import health

    return health(value)


def _redact(value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise wrong("REDACT", "is not a list", 'write ["iban"]')
    if not all(isinstance(name, str) and name.strip() for name in value):
        raise wrong("REDACT", "has a name that is no text", 'write ["iban"]')
    return tuple(value)


def _template(given: Mapping[object, object], key: str) -> str:
    if not text(given, key):
        return ""
    from watchroom.messages import links

    template = http_url(text(given, key), key)
    unknown = links.unknown(template)
    if unknown:
        raise wrong(key, f"has no {unknown}", "it has " + ", ".join(links.PLACEHOLDERS))
    return template


def _path(given: Mapping[object, object]) -> str | None:
    value = given.get("RUNTIME_DIR")
    if value is None or value == "":
        return None
    if not isinstance(value, str | os.PathLike):
        raise wrong("RUNTIME_DIR", "is not a path")
    return os.fsdecode(value)


def _monitor_url(given: Mapping[object, object]) -> str:
    url = given.get("MONITOR_URL", DEFAULT_MONITOR_URL)
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
            raise wrong(f"QUEUES[{at}]", "is not the name of a queue")
        yield queue


def _disks(value: object) -> Iterable[str]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise wrong("DISKS", "is not a list", 'write ["/srv/uploads"]')
    for at, path in enumerate(value):
        if not isinstance(path, str | os.PathLike) or not os.path.isabs(path):  # noqa: PTH117 - as text
            raise wrong(f"DISKS[{at}]", "is not an absolute path")
        yield os.fsdecode(path)


def _exporter(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 65536):
        raise wrong("EXPORTER", "is not host:port", f"write {DEFAULT_EXPORTER}")
    return value

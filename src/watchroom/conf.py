"""``WATCHROOM`` and the environment, as one frozen record.

Read on use, never at import; the cache is cleared when a test overrides the setting.
"""

from __future__ import annotations

import difflib
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from watchroom.errors import ConfigError
from watchroom.units import parse_duration, parse_limit

if TYPE_CHECKING:
    from collections.abc import Mapping

SEVERITIES = ("critical", "warning", "info")
_NOTHING: dict[str, Any] = {}


class Override(NamedTuple):
    """What a project changes of one vital; None keeps the catalogue's own.

    Attributes:
        limit: In the vital's base unit: seconds, bytes, a share of 1, a count.
        window: A duration.
        for_: A duration.
        severity: ``critical``, ``warning`` or ``info``.
    """

    limit: float | None = None
    window: str | None = None
    for_: str | None = None
    severity: str | None = None


class Receiver(NamedTuple):
    """Who is told.

    Attributes:
        name: Of the receiver in alertmanager.yml.
        url: A webhook that may stand in the files in clear; or empty.
        secret: The name of the file under ``secrets/`` that holds the webhook's URL.
        severities: Which severities it is told.
    """

    name: str
    url: str = ""
    secret: str = ""
    severities: tuple[str, ...] = ("critical", "warning")


class Settings(NamedTuple):
    """All of ``WATCHROOM``, checked and with its defaults.

    Attributes:
        enabled: False takes every instrument out (``WATCHROOM_ENABLED=0``).
        project: Names the runtime directory, files and dashboards.
        environment: Goes into external_labels.
        sites: Public URLs that are probed.
        monitor_url: Where people open the monitor; links in pages use it.
        exporter: host:port that the exporter listens on.
        receivers: Who is told.
        vitals: Overrides by vital.
        runtime_dir: Where process files go; empty is the default rule.
        max_series: The most series that one process keeps.
    """

    enabled: bool = True
    project: str = "django"
    environment: str = "production"
    sites: tuple[str, ...] = ()
    monitor_url: str = "http://127.0.0.1:9700"
    exporter: str = "127.0.0.1:9000"
    receivers: tuple[Receiver, ...] = ()
    vitals: Mapping[str, Override] = _NOTHING
    runtime_dir: str = ""
    max_series: int = 10_000

    def limits(self) -> dict[str, float]:
        """Return the limits that the project changes, by vital."""
        return {
            name: override.limit
            for name, override in self.vitals.items()
            if override.limit is not None
        }


def enabled() -> bool:
    """Tell whether instruments are wanted; it reads no setting."""
    return os.environ.get("WATCHROOM_ENABLED", "1").lower() not in {"0", "false", "no"}


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the project's settings.

    Raises:
        ConfigError: As `load`.
    """
    from django.conf import settings as django_settings

    raw = getattr(django_settings, "WATCHROOM", {})
    module = getattr(django_settings, "SETTINGS_MODULE", "") or ""
    return load(raw, os.environ, default_project=module.partition(".")[0])


def load(
    raw: Any, environ: Mapping[str, str], *, default_project: str = ""
) -> Settings:
    """Return checked settings from the ``WATCHROOM`` dict and the environment.

    Raises:
        ConfigError: A key is unknown or a value cannot be; it names the key.
    """
    if not isinstance(raw, dict):
        raise ConfigError("must be a dict", field="WATCHROOM")
    _known(raw, _READERS, "WATCHROOM")
    values = {
        key.lower(): read(raw[key], f"WATCHROOM[{key!r}]")
        for key, read in _READERS.items()
        if key in raw
    }
    if default_project:
        values.setdefault("project", default_project)
    if environ.get("WATCHROOM_RUNTIME_DIR"):
        values["runtime_dir"] = environ["WATCHROOM_RUNTIME_DIR"]
    return Settings(enabled=enabled(), **values)


def _known(raw: Mapping[str, Any], known: Mapping[str, Any], field: str) -> None:
    for key in raw:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            )
            raise ConfigError(f"unknown key {key!r}", field=field, hint=hint)


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{value!r} is not a text", field=field)
    return value


def _project(value: Any, field: str) -> str:
    text = _text(value, field)
    if not text.replace("-", "_").isidentifier():
        raise ConfigError(
            f"{text!r} cannot name a directory",
            field=field,
            hint="letters, digits, - _",
        )
    return text


def _url(value: Any, field: str) -> str:
    text = _text(value, field)
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(
            f"{text!r} is not a URL", field=field, hint="begin with https://"
        )
    return text


def _sites(value: Any, field: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise ConfigError("must be a list of URLs", field=field)
    return tuple(_url(site, f"{field}[{i}]") for i, site in enumerate(value))


def _address(value: Any, field: str) -> str:
    text = _text(value, field)
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(
            f"{text!r} is not host:port", field=field, hint="as 127.0.0.1:9000"
        )
    return text


def _count(value: Any, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{value!r} is not a positive number", field=field)
    return value


def _vitals(value: Any, field: str) -> dict[str, Override]:
    if not isinstance(value, dict):
        raise ConfigError("must be a dict of vitals", field=field)
    return {
        _text(name, field): _override(raw, f"{field}[{name!r}]")
        for name, raw in value.items()
    }


def _override(raw: Any, field: str) -> Override:
    if not isinstance(raw, dict):
        raise ConfigError("must be a dict", field=field)
    _known(raw, {"limit": 0, "window": 0, "for": 0, "severity": 0}, field)
    try:
        limit = parse_limit(raw["limit"]) if "limit" in raw else None
        for key in ("window", "for"):
            if key in raw:
                parse_duration(_text(raw[key], field))
    except (ConfigError, AttributeError) as error:
        what = error.what if isinstance(error, ConfigError) else "not a limit"
        raise ConfigError(
            what, field=field, hint=getattr(error, "hint", None)
        ) from None
    severity = raw.get("severity")
    if severity is not None and severity not in SEVERITIES:
        raise ConfigError(
            f"{severity!r} is not a severity", field=field, hint=", ".join(SEVERITIES)
        )
    return Override(limit, raw.get("window"), raw.get("for"), severity)


def _receivers(value: Any, field: str) -> tuple[Receiver, ...]:
    if not isinstance(value, dict):
        raise ConfigError("must be a dict of receivers", field=field)
    return tuple(
        _receiver(name, raw, f"{field}[{name!r}]") for name, raw in value.items()
    )


def _receiver(name: Any, raw: Any, field: str) -> Receiver:
    if name in {"drill", "blackhole"}:
        raise ConfigError(f"{name!r} is watchroom's own receiver", field=field)
    if not isinstance(raw, dict):
        raise ConfigError("must be a dict", field=field)
    _known(raw, {"url": 0, "secret": 0, "public": 0, "severity": 0}, field)
    if ("url" in raw) == ("secret" in raw):
        raise ConfigError(
            "needs either 'url' or 'secret'",
            field=field,
            hint="secret names a file under secrets/ that holds the webhook's URL",
        )
    severities = tuple(raw.get("severity", ("critical", "warning")))
    for severity in severities:
        if severity not in SEVERITIES:
            raise ConfigError(
                f"{severity!r} is not a severity", field=field, hint=str(SEVERITIES)
            )
    if "secret" in raw:
        return Receiver(name, "", _text(raw["secret"], field), severities)
    url = _url(raw["url"], field)
    loopback = urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
    if not loopback and raw.get("public") is not True:
        raise ConfigError(
            "a webhook's URL is a secret and would stand in the files",
            field=field,
            hint="use 'secret': NAME, or say 'public': True",
        )
    return Receiver(name, url, "", severities)


_READERS: dict[str, Any] = {
    "PROJECT": _project,
    "ENVIRONMENT": _text,
    "SITES": _sites,
    "MONITOR_URL": _url,
    "EXPORTER": _address,
    "RECEIVERS": _receivers,
    "VITALS": _vitals,
    "RUNTIME_DIR": _text,
    "MAX_SERIES": _count,
}

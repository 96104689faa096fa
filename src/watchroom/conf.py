"""The WATCHROOM setting and the environment, as one frozen value.

Annotations are evaluated here: of a string NamedTuple compiles each, at every import.
"""

import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from watchroom.errors import ConfigError
from watchroom.formats import rundir

DEFAULT_MONITOR_URL = "http://127.0.0.1:9700"
DEFAULT_EXPORTER = "127.0.0.1:9000"
DEFAULT_MAX_SERIES = 10_000
SEVERITIES = ("critical", "warning")
_KEYS = (
    "PROJECT",
    "ENVIRONMENT",
    "SITES",
    "MONITOR_URL",
    "EXPORTER",
    "RECEIVERS",
    "VITALS",
    "RUNTIME_DIR",
    "MAX_SERIES",
)
_RECEIVER_KEYS = ("url", "secret", "public", "severity")
_VITAL_KEYS = ("limit", "window", "for", "severity")
_LOOPBACK = frozenset({"localhost", "::1"})


class Receiver(NamedTuple):
    """One webhook that hears about alerts.

    Attributes:
        name: Its key in RECEIVERS.
        url: The address in clear (loopback, or declared public), or None.
        secret: The name under ``secrets/`` that holds the address, or None.
        severity: Which severities reach it.
    """

    name: str
    url: str | None
    secret: str | None
    severity: tuple[str, ...]


class Override(NamedTuple):
    """What a project changes of one vital; None = as the catalogue has it.

    Attributes:
        limit: In the vital's base unit (seconds, a share of 1, a count).
        window: A Prometheus duration such as ``5m``.
        for_: A Prometheus duration such as ``10m``.
        severity: ``critical`` or ``warning``.
    """

    limit: float | None = None
    window: str | None = None
    for_: str | None = None
    severity: str | None = None


class Settings(NamedTuple):
    """Everything a project says to watchroom.

    Attributes:
        project: Names the runtime directory and the files in it.
        environment: ``production`` pages; anything else does not, unless told so.
        sites: Public URLs to probe.
        monitor_url: Where people reach the monitor.
        monitor_url_set: Whether the project said so itself.
        exporter: ``host:port`` the exporter listens on.
        receivers: By name.
        vitals: Overrides by vital.
        runtime_dir: The explicit runtime directory, or None for the rule.
        max_series: Cap on series per process.
        enabled: False when the environment says WATCHROOM_ENABLED=0.
    """

    project: str = "django"
    environment: str = "production"
    sites: tuple[str, ...] = ()
    monitor_url: str = DEFAULT_MONITOR_URL
    monitor_url_set: bool = False
    exporter: str = DEFAULT_EXPORTER
    receivers: Mapping[str, Receiver] = {}
    vitals: Mapping[str, Override] = {}
    runtime_dir: str | None = None
    max_series: int = DEFAULT_MAX_SERIES
    enabled: bool = True

    @property
    def limits(self) -> dict[str, float]:
        """The overridden limits by vital, for bucket edges."""
        return {
            name: vital.limit
            for name, vital in self.vitals.items()
            if vital.limit is not None
        }


def load(raw: object, env: Mapping[str, str]) -> Settings:
    """Return the settings in the WATCHROOM dict `raw` and the environment.

    Args:
        raw: The value of ``settings.WATCHROOM``.
        env: The environment; DJANGO_SETTINGS_MODULE names the project when PROJECT
            does not.

    Raises:
        ConfigError: A key or value is wrong; `field` names it, `hint` the remedy.
    """
    given = _mapping(raw, "WATCHROOM")
    _known(given, _KEYS, "WATCHROOM")
    defaults = fallback(env)
    max_series = given.get("MAX_SERIES", DEFAULT_MAX_SERIES)
    if isinstance(max_series, bool) or not isinstance(max_series, int):
        raise _wrong("MAX_SERIES", "is not a whole number", "write 10000")
    if not 100 <= max_series <= 1_000_000:
        raise _wrong("MAX_SERIES", "is not between 100 and 1000000", "write 10000")
    return Settings(
        project=_text(given, "PROJECT") or defaults.project,
        environment=_text(given, "ENVIRONMENT") or "production",
        sites=tuple(_sites(given.get("SITES", ()))),
        monitor_url=_monitor_url(given),
        monitor_url_set="MONITOR_URL" in given,
        exporter=_exporter(_text(given, "EXPORTER") or DEFAULT_EXPORTER),
        receivers={
            str(name): _receiver(str(name), value)
            for name, value in _mapping(given.get("RECEIVERS"), "RECEIVERS").items()
        },
        vitals={
            str(name): _override(str(name), value)
            for name, value in _mapping(given.get("VITALS"), "VITALS").items()
        },
        runtime_dir=defaults.runtime_dir or _path(given),
        max_series=max_series,
        enabled=defaults.enabled,
    )


def fallback(env: Mapping[str, str]) -> Settings:
    """Return the settings of a project that says nothing; never raises."""
    module = env.get("DJANGO_SETTINGS_MODULE", "")
    return Settings(
        project=module.partition(".")[0] or "django",
        runtime_dir=env.get("WATCHROOM_RUNTIME_DIR") or None,
        enabled=enabled(env),
    )


def enabled(env: Mapping[str, str]) -> bool:
    """Return False when the environment switches every instrument off."""
    said = env.get("WATCHROOM_ENABLED", "").strip().lower()
    return said not in {"0", "false", "no", "off"}


def runtime_dir(settings: Settings) -> Path:
    """Return the directory of the process files; it need not exist yet."""
    return rundir.locate(settings.project, settings.runtime_dir)


@cache
def settings() -> Settings:
    """Return the settings of the running Django project, read once.

    Raises:
        ConfigError: As `load`; nothing is kept then, so a test may correct it.
    """
    from django.conf import settings as django_settings
    from django.core.signals import setting_changed

    setting_changed.connect(_forget, dispatch_uid="watchroom.conf")
    module = getattr(django_settings, "SETTINGS_MODULE", None)
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": module or ""}
    return load(getattr(django_settings, "WATCHROOM", None) or {}, env)


def _forget(*, setting: str, **_: object) -> None:
    if setting == "WATCHROOM":
        settings.cache_clear()


def _wrong(field: str, what: str, hint: str | None = None) -> ConfigError:
    # Values are left out on purpose: some of them are secrets.
    if not field.startswith("WATCHROOM"):
        field = f"WATCHROOM.{field}"
    return ConfigError(what, field=field, hint=hint)


def _known(given: Iterable[object], known: tuple[str, ...], field: str) -> None:
    for key in given:
        if key in known:
            continue
        from difflib import get_close_matches

        near = get_close_matches(str(key).upper(), [k.upper() for k in known], 1, 0.6)
        nearest = next((k for k in known if [k.upper()] == near), None)
        raise _wrong(
            field,
            f"unknown key {key!r}",
            f"did you mean {nearest!r}?"
            if nearest
            else "the keys are " + ", ".join(known),
        )


def _mapping(value: object, field: str) -> dict[object, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(field, "is not a dict")
    return value


def _text(given: Mapping[object, object], key: str) -> str:
    value = given.get(key, "")
    if not isinstance(value, str):
        raise _wrong(key, "is not a string")
    return value.strip()


def _path(given: Mapping[object, object]) -> str | None:
    value = given.get("RUNTIME_DIR")
    if value is None or value == "":
        return None
    if not isinstance(value, str | os.PathLike):
        raise _wrong("RUNTIME_DIR", "is not a path")
    return os.fsdecode(value)


def _url(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise _wrong(field, "is not a string")
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise _wrong(field, "is not an http(s) URL", "write https://host/path")
    return value


def _monitor_url(given: Mapping[object, object]) -> str:
    url = given.get("MONITOR_URL", DEFAULT_MONITOR_URL)
    return _url(url, "MONITOR_URL").rstrip("/")


def _sites(value: object) -> Iterable[str]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise _wrong("SITES", "is not a list", 'write ["https://…"]')
    for at, site in enumerate(value):
        yield _url(site, f"SITES[{at}]")


def _exporter(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 65536):
        raise _wrong("EXPORTER", "is not host:port", f"write {DEFAULT_EXPORTER}")
    return value


def loopback(url: str) -> bool:
    """Return whether a URL's host is this machine's loopback."""
    from urllib.parse import urlsplit

    host = urlsplit(url).hostname or ""
    return host in _LOOPBACK or host.startswith("127.")


def _receiver(name: str, value: object) -> Receiver:
    field = f"RECEIVERS.{name}"
    given = _mapping(value, field)
    _known(given, _RECEIVER_KEYS, field)
    url, secret = given.get("url"), given.get("secret")
    if (url is None) == (secret is None):
        raise _wrong(field, "needs exactly one of 'url' and 'secret'")
    if secret is not None and (
        not isinstance(secret, str) or rundir.safe(secret) != secret
    ):
        raise _wrong(
            f"{field}.secret",
            "is not a file name",
            "name a file under secrets/, with letters, digits, '_' and '-'",
        )
    if url is not None:
        url = _url(url, f"{field}.url")
        if not loopback(url) and given.get("public") is not True:
            raise _wrong(
                f"{field}.url",
                "would stand in clear in generated files",
                "put it into a file under secrets/ and write 'secret': NAME, "
                "or add 'public': True",
            )
    severity = given.get("severity", SEVERITIES)
    if isinstance(severity, str):
        severity = (severity,)
    if (
        not isinstance(severity, list | tuple)
        or not severity
        or any(one not in SEVERITIES for one in severity)
    ):
        raise _wrong(
            f"{field}.severity", "is not a list of severities", _one_of(SEVERITIES)
        )
    return Receiver(name, url, secret, tuple(severity))


def _override(name: str, value: object) -> Override:
    from watchroom.units import parse_duration, parse_limit

    field = f"VITALS.{name}"
    given = _mapping(value, field)
    _known(given, _VITAL_KEYS, field)
    limit = given.get("limit")
    if limit is not None:
        if not isinstance(limit, str | int | float):
            raise _wrong(f"{field}.limit", "is not a limit", "write 5, '2s' or '80%'")
        try:
            limit = parse_limit(limit)
        except ConfigError as error:
            raise _wrong(f"{field}.limit", error.what, error.hint) from None
    for key in ("window", "for"):
        if key in given:
            try:
                parse_duration(_text(given, key))
            except ConfigError as error:
                raise _wrong(f"{field}.{key}", error.what, error.hint) from None
    severity = given.get("severity")
    if severity is not None and severity not in SEVERITIES:
        raise _wrong(f"{field}.severity", "is not a severity", _one_of(SEVERITIES))
    return Override(
        limit, _text(given, "window") or None, _text(given, "for") or None, severity
    )


def _one_of(words: tuple[str, ...]) -> str:
    return "write one of " + ", ".join(words)

"""The WATCHROOM setting and the environment, as one frozen value.

Only what every process needs is here; the modules that read the dict are imported when
there is one to read. Annotations are evaluated here: of a string NamedTuple compiles
each, at every import.
"""

import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import ConfigError
from watchroom.runtime import directory

if TYPE_CHECKING:
    from watchroom.conf.health import Health
    from watchroom.conf.receivers import Receiver
    from watchroom.conf.vitals import Override

DEFAULT_MONITOR_URL = "http://127.0.0.1:9700"
DEFAULT_EXPORTER = "127.0.0.1:9000"
DEFAULT_MAX_SERIES = 10_000
DEFAULT_OBJECTIVE = 0.999


class Settings(NamedTuple):
    """The WATCHROOM setting of a project.

    Attributes:
        project: Names the runtime directory and the files in it.
        environment: ``production`` pages; anything else does not, unless told so, and
            is part of that name.
        sites: Public URLs to probe.
        monitor_url: Where people reach the monitor.
        monitor_url_set: Whether the project set it.
        exporter: ``host:port`` the exporter listens on.
        receivers: By name.
        heartbeat: Receives a heartbeat every minute; None without one.
        vitals: Overrides by vital.
        runtime_dir: The explicit runtime directory, or None for the rule.
        disks: Paths whose file systems are watched too.
        max_series: Cap on series per process.
        queues: Celery queues that its configuration does not name.
        health: How the app is checked; None when not set.
        enabled: False when the environment has WATCHROOM_ENABLED=0.
        release: As the project says it; empty: what the environment tells.
        redact: Names of values that logs and error reports leave out, with the usual.
        logs_url: Template of the address of the logs; see `watchroom.messages.links`.
        sentry_url: Template of the address of the errors.
        objective: The share of requests that are to succeed.
    """

    project: str = "django"
    environment: str = directory.PRODUCTION
    sites: tuple[str, ...] = ()
    monitor_url: str = DEFAULT_MONITOR_URL
    monitor_url_set: bool = False
    exporter: str = DEFAULT_EXPORTER
    receivers: Mapping[str, "Receiver"] = {}
    heartbeat: tuple["Receiver", ...] = ()
    vitals: Mapping[str, "Override"] = {}
    runtime_dir: str | None = None
    disks: tuple[str, ...] = ()
    max_series: int = DEFAULT_MAX_SERIES
    queues: tuple[str, ...] = ()
    health: "Health | None" = None
    enabled: bool = True
    release: str = ""
    redact: tuple[str, ...] = ()
    logs_url: str = ""
    sentry_url: str = ""
    objective: float = DEFAULT_OBJECTIVE

    @property
    def name(self) -> str:
        """What the runtime directory and the files in it are named by."""
        return directory.deployment(self.project, self.environment)

    @property
    def limits(self) -> dict[str, tuple[float, ...]]:
        """The overridden limits by vital, for bucket edges."""
        return {name: vital.every_limit for name, vital in self.vitals.items()}


def load(raw: object, env: Mapping[str, str]) -> Settings:
    """Return the settings in the WATCHROOM dict `raw` and the environment.

    Args:
        raw: The value of ``settings.WATCHROOM``.
        env: The environment; DJANGO_SETTINGS_MODULE names the project when PROJECT
            does not.

    Raises:
        ConfigError: A key or value is wrong; `field` names it, `hint` the remedy.
    """
    from watchroom.conf.reading import read

    return read(raw, env)


def fallback(env: Mapping[str, str], raw: object = None) -> Settings:
    """Return the settings of a project whose setting is invalid; never raises.

    Names count all the same: a staging whose WATCHROOM is wrong is not production.
    """
    settings = raw if isinstance(raw, Mapping) else {}
    keys = ("PROJECT", "ENVIRONMENT", "RUNTIME_DIR")
    project, environment, directory_setting = (
        value.strip() if isinstance(value := settings.get(key), str) else ""
        for key in keys
    )
    module = env.get("DJANGO_SETTINGS_MODULE", "")
    return Settings(
        project=project or module.partition(".")[0] or "django",
        environment=environment or directory.PRODUCTION,
        runtime_dir=env.get("WATCHROOM_RUNTIME_DIR") or directory_setting or None,
        enabled=enabled(env),
    )


def enabled(env: Mapping[str, str]) -> bool:
    """Return False when the environment switches every instrument off."""
    value = env.get("WATCHROOM_ENABLED", "").strip().lower()
    return value not in {"0", "false", "no", "off"}


def runtime_dir(settings: Settings) -> Path:
    """Return the directory of the process files; it need not exist yet."""
    return directory.locate(settings.name, settings.runtime_dir)


@cache
def code_directory() -> str:
    """Return the directory that the project is imported from; empty when not known."""
    try:
        from django.conf import settings as django_settings

        package = sys.modules[django_settings.SETTINGS_MODULE.partition(".")[0]]
        home = next(iter(getattr(package, "__path__", ())), package.__file__)
        return str(Path(home or "").resolve().parent) if home else ""
    except Exception:  # noqa: BLE001 - settings that were made by hand come from nowhere
        return ""


def release() -> str:
    """Return the release that this process runs; empty when it is unknown."""
    try:
        declared = settings().release
    except Exception:  # noqa: BLE001 - the system check tells it to people
        declared = ""
    return declared or _release()


@cache
def _release() -> str:
    from watchroom.conf.versions import detect

    return detect(os.environ, Path.cwd())


@cache
def settings() -> Settings:
    """Return the settings of the running Django project, read once.

    Raises:
        ConfigError: As `load`; nothing is kept then, so a test may correct it.
    """
    from django.core.signals import setting_changed

    setting_changed.connect(_forget, dispatch_uid="watchroom.conf")
    raw, env = _sources()
    return load(raw, env)


def settings_or_names() -> Settings:
    """Return the settings, or where they are wrong the defaults under their names."""
    try:
        return settings()
    except ConfigError:  # the system check reports it
        raw, env = _sources()
        return fallback(env, raw)


def _sources() -> tuple[object, dict[str, str]]:
    from django.conf import settings as django_settings

    module = getattr(django_settings, "SETTINGS_MODULE", None)
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": module or ""}
    return getattr(django_settings, "WATCHROOM", None) or {}, env


def _forget(*, setting: str, **_: object) -> None:
    if setting == "WATCHROOM":
        settings.cache_clear()

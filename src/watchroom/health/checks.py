"""Which checks there are: the standard ones, a project's own, and the settings."""

from __future__ import annotations

import math
import os
import re
import threading
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from watchroom import conf
from watchroom.conf.health import CheckSettings, Health
from watchroom.errors import ConfigError
from watchroom.health import probes
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

F = TypeVar("F", bound="Callable[[], Any]")
TIMEOUT, TTL = 1.0, 2.0
MODULE = "health_checks"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_DUMMY_DATABASE = "django.db.backends.dummy"


class Check(NamedTuple):
    """One thing that must work for the app to work.

    Attributes:
        name: As /health/ shows it.
        run: Told the seconds it has; raises when the check fails. Returns a word to
            show instead of ``ok``, or None.
        hard: Whether its failure makes /health/ and /readyz answer 503.
        timeout: Seconds that it may take.
        ttl: Seconds that a result is served without asking again.
        once: Whether a good result holds for the life of the process.
    """

    name: str
    run: Callable[[float], str | None]
    hard: bool
    timeout: float = TIMEOUT
    ttl: float = TTL
    once: bool = False

    @property
    def kind(self) -> str:
        """``hard`` or ``soft``."""
        return "hard" if self.hard else "soft"


class _Declared:
    """What the project's modules declared; importing them again restores it."""

    def __init__(self) -> None:
        self.checks: dict[str, Check] = {}
        self.discovered = self.discovering = False
        # Held while modules are imported, which may ask for the checks themselves.
        self.lock = threading.RLock()
        self.chosen: dict[str, Check] = {}
        self.chosen_for: object = None


_DECLARED = _Declared()


def _unlock() -> None:
    _DECLARED.lock = threading.RLock()


# Another thread of the parent may have held it.
os.register_at_fork(after_in_child=_unlock)


def health_check(
    name: str, *, hard: bool = True, timeout: str = "1s", ttl: str = "2s"
) -> Callable[[F], F]:
    """Declare a check of the project's own, in ``health_checks.py`` of any app.

    The function is called in a thread of its own, without arguments. It fails when it
    raises or returns False; only the error's class name is ever shown.

    Args:
        name: As /health/ shows it; a standard check of that name is replaced.
        hard: Whether its failure makes /health/ and /readyz answer 503.
        timeout: How long it may take, as a duration. Nobody waits more than 3 s: then
            they get what it found the last time.
        ttl: How long a result is served without asking again, as a duration.

    Raises:
        ConfigError: The name or a duration is invalid, the name is taken by another
            function, or the function is async.

    Example:
        >>> @watchroom.health_check("ledger_open", hard=False)
        ... def ledger_open() -> bool:
        ...     return Period.objects.filter(open=True).exists()
    """
    field = f"health_check({name!r})"
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "isn't a valid name for a check",
            field=field,
            hint="use lowercase letters and _",
        )
    seconds, fresh = parse_duration(timeout), parse_duration(ttl)
    if not 0 < seconds <= 60 or fresh > 3600:
        raise ConfigError(
            "has a timeout over 60 s, or a ttl over an hour",
            field=field,
            hint='write timeout="1s", ttl="2s"',
        )

    def declare(function: F) -> F:
        if iscoroutinefunction(function):
            raise ConfigError(
                "is async, but checks run in threads",
                field=field,
                hint="use def instead of async def",
            )

        def run(_: float) -> None:
            if function() is False:
                raise FalseReturnedError

        known = _DECLARED.checks.get(name)
        if known is not None and _origin(known.run) != _origin(function):
            twice = "is defined twice"
            raise ConfigError(twice, field=field, hint="rename one of them")
        run.__module__, run.__qualname__ = _origin(function)
        _DECLARED.checks[name] = Check(name, run, hard, seconds, fresh)
        return function

    return declare


class FalseReturnedError(Exception):
    """A check returned False."""


def checks() -> dict[str, Check]:
    """Return the checks of this project by name, in the order they are shown.

    A module of checks that does not import is a hard check that fails: a deploy must
    not become healthier by losing its checks.
    """
    if not _DECLARED.discovered:
        with _DECLARED.lock:
            if not _DECLARED.discovered and not _DECLARED.discovering:
                _DECLARED.discovering = True
                try:
                    _discover()
                finally:
                    _DECLARED.discovering = False
                    _DECLARED.discovered = True
    overrides = settings().checks
    # Celery may be imported after the first answer; tests change settings.
    inputs = (
        *_aliases(),
        tuple(_DECLARED.checks),
        overrides,
        bool(probes.celery_apps()),
    )
    if _DECLARED.chosen_for == inputs:
        return _DECLARED.chosen
    available = {
        check.name: check for check in (*_standard(), *_DECLARED.checks.values())
    }
    chosen = {}
    for name, check in available.items():
        override = overrides.get(name, CheckSettings())
        if override.on:
            chosen[name] = check._replace(
                hard=check.hard if override.hard is None else override.hard,
                timeout=override.timeout or check.timeout,
                ttl=check.ttl if override.ttl is None else override.ttl,
            )
    _DECLARED.chosen, _DECLARED.chosen_for = chosen, inputs
    return chosen


def startup() -> Check:
    """Return the check that the process waits for at its start."""
    return Check("migrations", probes.migrations, hard=True, once=True)


def settings() -> Health:
    """Return the HEALTH setting, or the defaults when the settings are wrong."""
    try:
        return conf.settings().health or Health()
    except ConfigError:  # the system check reports it
        return Health()


def _standard() -> Iterator[Check]:
    from django.conf import settings as django_settings

    for alias, database in django_settings.DATABASES.items():
        engine = database.get("ENGINE", "")
        if engine and engine != _DUMMY_DATABASE:
            yield Check(_named("database", alias), _of(probes.database, alias), True)
    for alias in django_settings.CACHES:
        # Soft: a cache that is gone makes an app slow. Were it hard, it would take
        # every process out of the balancer at the same moment.
        yield Check(_named("cache", alias), _of(probes.cache, alias), False)
    if probes.celery_apps():
        yield Check("broker", probes.broker, False)


def _aliases() -> tuple[tuple[str, ...], tuple[str, ...]]:
    from django.conf import settings as django_settings

    return tuple(django_settings.DATABASES), tuple(django_settings.CACHES)


def _named(what: str, alias: str) -> str:
    return what if alias == "default" else f"{what}_{alias}"


def _of(
    probe: Callable[[str, float], str | None], alias: str
) -> Callable[[float], str | None]:
    return lambda seconds: probe(alias, seconds)


def _discover() -> None:
    """Import ``health_checks.py`` of every app, and next to the settings."""
    from importlib import import_module

    from django.conf import settings as django_settings

    from watchroom.conf import modules

    module = getattr(django_settings, "SETTINGS_MODULE", None) or ""
    for name in modules.named(MODULE, module):
        try:
            import_module(name)
        except Exception as error:  # noqa: BLE001 - the project's own code
            broken = Check(name, _raising(error), True, ttl=math.inf)
            _DECLARED.checks[name] = broken


def _raising(error: Exception) -> Callable[[float], None]:
    def run(_: float) -> None:
        raise error

    return run


def _origin(function: Callable[..., Any]) -> tuple[str, str]:
    return function.__module__, function.__qualname__

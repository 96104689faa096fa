"""The Django project that a command works for: its settings and its own vitals."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from watchroom import conf
from watchroom.catalogue.metrics import Metric
from watchroom.catalogue.model import Vital
from watchroom.conf import modules, redaction
from watchroom.errors import ConfigError, WatchroomError
from watchroom.exporter.collect import celery_app, celery_beat_table, groups
from watchroom.registry import declared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


_MANAGE = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")
_LIBRARY = sysconfig.get_path("stdlib")
_DUMMY_CACHE = "django.core.cache.backends.dummy.DummyCache"
_DUMMY_DATABASE = {"", "django.db.backends.dummy"}


class Project(NamedTuple):
    """What watchroom needs of a project.

    Attributes:
        module: Its settings module.
        settings: WATCHROOM and the environment.
        vitals: Its own, in the order of its apps.
        metrics: Its own.
        has: What is configured of ``sites``, ``https``, ``database``,
            ``asked_database`` (one that answers to others), ``postgresql``, ``cache``,
            ``celery``, ``broker`` and ``beat``.
    """

    module: str
    settings: conf.Settings
    vitals: tuple[Vital, ...]
    metrics: tuple[Metric, ...]
    has: frozenset[str]


def enter(directory: Path, module: str | None) -> str:
    """Make a project's settings importable and return the module's name.

    Args:
        directory: The project, or a directory in it: the nearest manage.py upwards
            counts.
        module: The settings module; by default the environment's, then manage.py's.

    Raises:
        ConfigError: The settings module can't be determined.
    """
    root = _root(directory)
    name = module or os.environ.get("DJANGO_SETTINGS_MODULE") or _from_manage(root)
    if not name:
        raise ConfigError(
            "not a Django project: no manage.py that names its settings",
            file=directory.resolve(),
            hint="use --project DIR, or --settings MODULE",
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    os.environ["DJANGO_SETTINGS_MODULE"] = name
    return name


def load(directory: Path, module: str | None) -> Project:
    """Return a project's settings and its own vitals, without a database query.

    Raises:
        ConfigError: As `enter`; or its settings are of another project, or they or a
            vitals.py cannot be imported, or WATCHROOM is wrong.
    """
    name = enter(directory, module)
    if module is None:
        _belongs(name, _root(directory))
    _setup(name)
    from django.conf import settings as django_settings

    settings = conf.settings()
    vitals = tuple(own_vitals(name))
    return Project(
        module=name,
        settings=settings,
        vitals=vitals,
        metrics=tuple(_own_metrics()),
        has=frozenset((*_has(django_settings, settings), *_has_celery(name))),
    )


def own_vitals(module: str) -> Iterator[Vital]:
    """Import each vitals.py and yield the vitals it defines.

    Looked for in every installed app, as admin.py is, and beside the settings.

    Raises:
        ConfigError: A vitals.py can't be imported.
    """
    seen: set[int] = set()
    for imported in map(_import, modules.named("vitals", module)):
        # The exporter reads no standard vital, nor its Markdown, unless a project does.
        standard = sys.modules.get("watchroom.catalogue.standard")
        seen |= {id(vital) for vital in getattr(standard, "VITALS", ())}
        for value in vars(imported).values():
            for each in value if isinstance(value, list | tuple) else (value,):
                if isinstance(each, Vital) and id(each) not in seen:
                    seen.add(id(each))
                    yield each


def _own_metrics() -> Iterator[Metric]:
    """Yield what the project declared with watchroom.counter and watchroom.gauge."""
    yield from declared.counters()
    for gauge in declared.gauges():
        yield Metric(gauge.name, "gauge", gauge.help, gauge.labels)


def _setup(name: str) -> None:
    # This process only reads, so it must not count or create a process file.
    os.environ["WATCHROOM_ENABLED"] = "0"
    try:
        import django

        django.setup()
    except WatchroomError:
        raise
    except Exception as error:
        raise _failed(f"the settings {name!r} can't be loaded", error) from error
    from django.conf import settings as django_settings

    named = [*django_settings.INSTALLED_APPS, *django_settings.MIDDLEWARE]
    uses = any(str(entry).partition(".")[0] == "watchroom" for entry in named)
    if not uses and not hasattr(django_settings, "WATCHROOM"):
        raise ConfigError(
            f"{name!r} does not use watchroom: it isn't in INSTALLED_APPS or "
            "MIDDLEWARE, and WATCHROOM isn't set",
            hint="if these are the project's settings, add 'watchroom' to "
            "INSTALLED_APPS; if not, give the right ones with --settings MODULE",
        )


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except WatchroomError as error:
        raise ConfigError(f"{name}: {error}") from error
    except Exception as error:
        raise _failed(f"{name} can't be imported", error) from error


def _failed(what: str, error: Exception) -> ConfigError:
    """Return the error with the line of the project's code that raised."""
    trace = error.__traceback__
    line, file = None, None
    while trace is not None:
        code = trace.tb_frame.f_code.co_filename
        if not code.startswith(("<", _LIBRARY)) and "site-packages" not in code:
            file, line = code, trace.tb_lineno
        trace = trace.tb_next
    own = file is not None and Path(file) != Path(__file__)
    return ConfigError(
        f"{what}: {redaction.clean(f'{type(error).__name__}: {error}')}",
        file=file if own else None,
        line=line if own else None,
    )


def _root(directory: Path) -> Path:
    start = directory.resolve()
    for each in (start, *start.parents):
        if (each / "manage.py").is_file():
            return each
    return start


def _belongs(name: str, root: Path) -> None:
    """Refuse settings that a shell has exported for another project."""
    own = _from_manage(root)
    if own is None or name == own:
        return
    with suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            return
        if not Path(spec.origin).resolve().is_relative_to(root):
            raise ConfigError(
                f"is {name!r}, which is outside this project; its manage.py names "
                f"{own}",
                field="DJANGO_SETTINGS_MODULE",
                file=root / "manage.py",
                hint=f"unset it, or use it on purpose with --settings {name}",
            )


def _from_manage(root: Path) -> str | None:
    manage = root / "manage.py"
    if not manage.is_file():
        return None
    match = _MANAGE.search(manage.read_text())
    return match[1] if match else None


def _has(django_settings: object, settings: conf.Settings) -> Iterator[str]:
    if settings.sites:
        yield "sites"
    if any(site.startswith("https:") for site in settings.sites):
        yield "https"
    databases = getattr(django_settings, "DATABASES", {})
    if any(
        config.get("ENGINE", "") not in _DUMMY_DATABASE for config in databases.values()
    ):
        yield "database"
    kinds = {kind for _, kind in groups.databases(django_settings)}
    if kinds:
        yield "asked_database"
    if groups.POSTGRESQL in kinds:
        yield groups.POSTGRESQL
    caches = getattr(django_settings, "CACHES", {})
    if any(config.get("BACKEND") != _DUMMY_CACHE for config in caches.values()):
        yield "cache"
    asked = settings.sites or (settings.health and settings.health.url)
    if asked and _includes_health(getattr(django_settings, "ROOT_URLCONF", "")):
        yield "health"


def _includes_health(urls: str) -> bool:
    """Return whether a project's URLs include watchroom's; False if they fail."""
    with suppress(Exception):  # the project's own code, which may want a database
        importlib.import_module(urls)
    return "watchroom.urls" in sys.modules


def _has_celery(module: str) -> Iterator[str]:
    try:
        app = celery_app.find(module)
        if app is None or app.conf.task_always_eager:
            return
        celery_app.load_tasks(app)
        scheduled = celery_app.schedule(app) or celery_beat_table.model(app) is not None
    except Exception as error:
        raise _failed("the Celery app can't be loaded", error) from error
    yield "celery"
    if not celery_app.unseen(app):
        yield "broker"
    if scheduled:
        yield "beat"

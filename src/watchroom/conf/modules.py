"""Modules that watchroom finds in a project by their name, as Django finds admin.py."""

from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice


def named(name: str, settings_module: str) -> list[str]:
    """Return the modules of a name: in installed apps, and beside the settings.

    Without one beside the settings, the nearest above them counts. None is imported.
    """
    from django.apps import apps

    names = (f"{config.name}.{name}" for config in apps.get_app_configs())
    beside = islice(filter(_exists, _upwards(name, settings_module)), 1)
    return list(dict.fromkeys([*filter(_exists, names), *beside]))


def _upwards(name: str, package: str) -> Iterator[str]:
    while package:
        package = package.rpartition(".")[0]
        yield f"{package}.{name}" if package else name


def _exists(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:  # what is before the last dot isn't a package
        return False

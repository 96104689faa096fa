"""The child that asks a project's gauge functions: ``python -m`` this module.

They need ``django.setup()``, the database and whatever the project does in them, so
they run in a process that the exporter can kill. It speaks JSON lines on its standard
output, one object each:

* ``{"ready": [{"name", "help", "labels", "every"}]}`` once, after the set-up;
* ``{"failed": "…"}`` instead, when ``django.setup()`` raises;
* ``{"broken": "shop.vitals", "text": "…"}`` for a vitals.py that does not import;
* ``{"begin": name}``, then ``{"value": name, "samples": [[[label values], number]]}``
  or ``{"error": name, "text": "…"}``.

Its standard input is one line, ``{"wait": {name: seconds}}``, and then silence; the end
of it means that the exporter is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from watchroom.lifeline import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchroom.registry.declared import Gauge

MOST_SAMPLES = 1000  # of one gauge
_LONGEST_TEXT = 300


def main() -> None:
    """Set Django up, find the gauges and ask them for ever."""
    die_with_parent(signal.SIGKILL)  # whatever it hangs in
    told = os.fdopen(os.dup(1), "w", buffering=1)
    # What the project prints must not get between our lines.
    os.dup2(2, 1)
    orders = json.loads(sys.stdin.readline() or "{}")
    threading.Thread(target=_watch_for_the_end, daemon=True).start()
    import django

    try:
        django.setup()
    except Exception as error:  # noqa: BLE001 - the project's own code
        _say(told, failed=_text(error))
        return
    for broken, text in _import_vitals():
        _say(told, broken=broken, text=text)
    from watchroom.registry import declared

    found = declared.gauges()
    known = [
        {
            "name": gauge.name,
            "help": gauge.help,
            "labels": list(gauge.labels),
            "every": gauge.every_seconds,
        }
        for gauge in found
    ]
    _say(told, ready=known)
    if found:
        _ask_for_ever(told, found, orders.get("wait", {}))


def samples(gauge: Gauge, value: Any) -> list[list[Any]]:
    """Return what a gauge function returned as ``[[label values], number]`` pairs.

    Raises:
        TypeError: It is neither a number nor, for a gauge with labels, a dict of them.
        ValueError: It has more than MOST_SAMPLES entries.
    """
    if not gauge.labels:
        return [[[], _number(gauge, value)]]
    if not isinstance(value, dict):
        raise TypeError(
            f"{gauge.name} has labels: return a dict from label values to numbers, "
            f"not {type(value).__name__}"
        )
    if len(value) > MOST_SAMPLES:
        raise ValueError(f"{len(value)} label values, {MOST_SAMPLES} may be")
    found = []
    for key, number in value.items():
        keys = list(key) if isinstance(key, tuple) else [key]
        if len(keys) != len(gauge.labels):
            raise TypeError(f"{key!r} does not fit the labels {gauge.labels}")
        found.append([[str(one) for one in keys], _number(gauge, number)])
    return found


def _number(gauge: Gauge, value: Any) -> float:
    # float(), for Decimal and NumPy; but a text that happens to be a number is a slip.
    if isinstance(value, str | bytes) or value is None:
        kind = type(value).__name__
        raise TypeError(f"{gauge.name} returned {kind}, which is no number")
    return float(value)


def _ask_for_ever(
    told: TextIO, gauges: Iterable[Gauge], wait: dict[str, float]
) -> NoReturn:
    begun = time.monotonic()
    due = {gauge: begun + float(wait.get(gauge.name, 0.0)) for gauge in gauges}
    while True:
        gauge = min(due, key=due.__getitem__)
        time.sleep(max(0.0, due[gauge] - time.monotonic()))
        due[gauge] = time.monotonic() + gauge.every_seconds
        _say(told, begin=gauge.name)
        try:
            found = samples(gauge, gauge.function())
        except Exception as error:  # noqa: BLE001 - the project's own code
            _say(told, error=gauge.name, text=_text(error))
        else:
            _say(told, value=gauge.name, samples=found)
        _close_connections()


def _import_vitals() -> Iterable[tuple[str, str]]:
    """Import vitals.py of every app and beside the settings; yield what is broken."""
    from django.apps import apps

    modules = [f"{config.name}.vitals" for config in apps.get_app_configs()]
    package = os.environ.get("DJANGO_SETTINGS_MODULE", "")
    beside = []
    while package:
        package = package.rpartition(".")[0]
        beside.append(f"{package}.vitals" if package else "vitals")
    # Beside the settings, or the nearest above them.
    modules += [module for module in beside if find_spec(module) is not None][:1]
    for module in dict.fromkeys(modules):
        try:
            if find_spec(module) is not None:
                import_module(module)
        except Exception as error:  # noqa: BLE001 - the project's own code
            yield module, _text(error)


def _close_connections() -> None:
    # A connection held between two calls is one the database counts for nothing.
    from django.db import connections

    try:
        connections.close_all()
    except Exception as error:  # noqa: BLE001 - a database that is down
        sys.stderr.write(f"closing connections: {_text(error)}\n")


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST_TEXT]


def _say(told: TextIO, **message: Any) -> None:
    told.write(json.dumps(message) + "\n")


def _watch_for_the_end() -> None:
    while sys.stdin.read(1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()

"""The child that asks a group's collectors: ``python -m`` this module, GROUP'S MODULE.

They may need ``django.setup()``, a database, a broker and whatever the project does, so
they run in a process that the exporter can kill. It speaks JSON lines on its standard
output, one object each:

* ``{"ready": [{"name", "every", "limit", "metrics": [{"name", "kind", "help",
  "labels"}], "hung": samples or null}]}`` once, after the set-up;
* ``{"failed": "…"}`` instead, when the set-up raises;
* ``{"broken": "shop.vitals", "text": "…"}`` for what is wrong beside the rest;
* ``{"begin": name}``, then ``{"value": name, "samples": {metric: [[[label values],
  number]]}}`` or ``{"error": name, "text": "…"}``.

Its standard input is one line, ``{"wait": {name: seconds}}`` in the order in which
those that are due are asked, and then silence; the end of it means that the exporter is
gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from watchroom.conf import redaction
from watchroom.lifeline import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from watchroom.catalogue.metrics import Metric
    from watchroom.exporter.collect import Collector

MOST_SAMPLES = 1000  # of one metric
_LONGEST_TEXT = 300


def main(module: str) -> None:
    """Make a group's collectors and ask them for ever."""
    die_with_parent(signal.SIGKILL)  # whatever it hangs in
    output = os.fdopen(os.dup(1), "w", buffering=1)
    # What the project prints must not get between our lines.
    os.dup2(2, 1)
    orders = json.loads(sys.stdin.readline() or "{}")
    threading.Thread(target=_watch_for_the_end, daemon=True).start()

    def broken(name: str, text: str) -> None:
        _send(output, broken=name, text=_cut(text))

    try:
        collectors = import_module(module).collectors(broken)
    except Exception as error:  # noqa: BLE001 - the project's own code
        _send(output, failed=_text(error))
        return
    _send(output, ready=[_introduced(collector) for collector in collectors])
    if collectors:
        _ask_for_ever(output, collectors, orders.get("wait", {}))


def samples(metric: Metric, value: Any) -> list[list[Any]]:
    """Return the value of a metric as ``[[label values], number]`` pairs.

    Raises:
        TypeError: It is neither a number nor, for a metric with labels, a dict of them.
        ValueError: It has more than MOST_SAMPLES entries.
    """
    if not metric.labels:
        return [[[], _number(metric, value)]]
    if not isinstance(value, dict):
        raise TypeError(
            f"{metric.name} has labels: return a dict from label values to numbers, "
            f"not {type(value).__name__}"
        )
    if len(value) > MOST_SAMPLES:
        raise ValueError(
            f"{len(value)} label values; at most {MOST_SAMPLES} are allowed"
        )
    pairs = []
    for key, number in value.items():
        keys = list(key) if isinstance(key, tuple) else [key]
        if len(keys) != len(metric.labels):
            raise TypeError(f"{key!r} doesn't match the labels {metric.labels}")
        pairs.append([[str(part) for part in keys], _number(metric, number)])
    return pairs


def _number(metric: Metric, value: Any) -> float:
    # float(), for Decimal and NumPy; but a text that happens to be a number is a slip.
    if isinstance(value, str | bytes) or value is None:
        kind = type(value).__name__
        raise TypeError(f"{metric.name} returned {kind}, not a number")
    return float(value)


def _answer(collector: Collector, values: Mapping[str, Any]) -> dict[str, Any]:
    by_name = {metric.name: metric for metric in collector.metrics}
    return {name: samples(by_name[name], value) for name, value in values.items()}


def _introduced(collector: Collector) -> dict[str, Any]:
    hung = collector.hung
    return {
        "name": collector.name,
        "every": collector.every_seconds,
        "limit": collector.limit_seconds,
        "metrics": [
            {
                "name": metric.name,
                "kind": metric.kind,
                "help": metric.help,
                "labels": list(metric.labels),
            }
            for metric in collector.metrics
        ],
        "hung": None if hung is None else _answer(collector, hung),
    }


def _ask_for_ever(
    output: TextIO, collectors: Iterable[Collector], wait: dict[str, float]
) -> NoReturn:
    begun = time.monotonic()
    by_name = {collector.name: collector for collector in collectors}
    # Of those due at once the first is asked first, and who is new before all.
    order = [*(name for name in by_name if name not in wait), *wait]
    due = {name: begun + wait.get(name, 0.0) for name in order if name in by_name}
    while True:
        name = min(due, key=due.__getitem__)
        collector = by_name[name]
        time.sleep(max(0.0, due[name] - time.monotonic()))
        due[name] = time.monotonic() + collector.every_seconds
        _send(output, begin=name)
        try:
            answer = _answer(collector, collector.function())
        except Exception as error:  # noqa: BLE001 - the project's own code
            _send(output, error=name, text=_text(error))
        else:
            _send(output, value=name, samples=answer)


def _text(error: Exception) -> str:
    return _cut(f"{type(error).__name__}: {error}")


def _cut(text: str) -> str:
    # Clean before: half a secret is one that nobody knows again.
    return redaction.clean(text)[:_LONGEST_TEXT]


def _send(output: TextIO, **message: Any) -> None:
    output.write(json.dumps(message) + "\n")


def _watch_for_the_end() -> None:
    while sys.stdin.read(1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])

"""Query answers as Prometheus writes them in JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from watchroom.promql.model import Matrix, Scalar, String, Vector
from watchroom.promql.value import format_float, format_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from watchroom.promql.budget import Budget
    from watchroom.promql.model import Floats, Labels, Times, Value


# A point is made as two numbers and a text before it is part of one.
_POINT_BYTES = 160
_OBJECT_BYTES = 64
_HOLD_EVERY = 1 << 20


def _freely(count: int) -> None:
    """Hold nothing: for answers whose size is known."""


def timestamp(at_ms: int) -> str:
    """Return milliseconds as seconds: whole, or with three decimals."""
    seconds, rest = divmod(abs(at_ms), 1000)
    sign = "-" if at_ms < 0 else ""
    return f"{sign}{seconds}.{rest:03d}" if rest else f"{sign}{seconds}"


def value(
    result: Value, at_ms: int, hold: Callable[[int], None] = _freely
) -> list[bytes]:
    """Return the ``data`` object of a query answer as the parts of its JSON text.

    `hold` is called with the bytes that are about to be taken, twice over: for the
    parts, and for the whole that is made of them.

    Raises:
        QueryLimitError: `hold` refused.
    """
    at = timestamp(at_ms)
    match result:
        case Scalar(number):
            return _data("scalar", [f'[{at},"{format_plain(number)}"]'.encode()])
        case String(text):
            hold(24 * len(text))
            return _data("string", [f"[{at},{json.dumps(text)}]".encode()])
        case Vector(samples):
            return _data("vector", _list(_samples(samples, at), hold))
        case Matrix(series):
            return _data("matrix", _list(_rows(series, hold), hold))


def _samples(samples: Iterable[tuple[Labels, float]], at: str) -> Iterator[bytes]:
    for labels, number in samples:
        text = f'{{"metric":{metric(labels)},"value":[{at},"{format_float(number)}"]}}'
        yield text.encode("utf-8", "replace")


def _rows(
    series: Iterable[tuple[Labels, Times, Floats]], hold: Callable[[int], None]
) -> Iterator[bytes]:
    for labels, times, values in series:
        hold(_POINT_BYTES * len(times))
        text = f'{{"metric":{metric(labels)},"values":[{_points(times, values)}]}}'
        yield text.encode("utf-8", "replace")


def _list(rows: Iterable[bytes], hold: Callable[[int], None]) -> list[bytes]:
    """Return rows with commas between them; memory is held as they come."""
    parts: list[bytes] = []
    waiting = 0
    for row in rows:
        if parts:
            parts.append(b",")
        parts.append(row)
        waiting += 2 * (len(row) + _OBJECT_BYTES)
        if waiting > _HOLD_EVERY:
            hold(waiting)
            waiting = 0
    hold(waiting)
    return [b"[", *parts, b"]"]


def _data(kind: str, result: list[bytes]) -> list[bytes]:
    return [f'{{"resultType":"{kind}","result":'.encode(), *result, b"}"]


def stats(budget: Budget, waited: float, took: float) -> bytes:
    """Return the ``stats`` member of an answer: seconds, and samples touched."""
    fields = {
        "timings": {
            "evalTotalTime": took,
            "resultSortTime": 0,
            "queryPreparationTime": 0,
            "innerEvalTime": took,
            "execQueueTime": waited,
            "execTotalTime": waited + took,
        },
        "samples": {
            "totalQueryableSamples": budget.loaded,
            "peakSamples": budget.used,
        },
    }
    return f',"stats":{json.dumps(fields)}'.encode()


def metric(labels: Labels) -> str:
    """Return labels as a JSON object."""
    return json.dumps(dict(labels), separators=(",", ":"), ensure_ascii=False)


def _points(times: Times, values: Floats) -> str:
    ats = [timestamp(at) for at in times.tolist()]
    numbers = values.tolist()
    # Counters, the bulk of large answers: integers print as themselves.
    with np.errstate(invalid="ignore"):
        whole = bool((np.abs(values) < 2**53).all() and (values % 1 == 0).all())
    text = _whole if whole else format_float
    return ",".join(
        f'[{at},"{text(number)}"]' for at, number in zip(ats, numbers, strict=True)
    )


def _whole(number: float) -> str:
    return str(int(number)) if number or str(number)[0] != "-" else "-0"

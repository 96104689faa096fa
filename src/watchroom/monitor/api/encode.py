"""Query answers as Prometheus writes them in JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from watchroom.promql.model import Matrix, Scalar, String, Vector
from watchroom.promql.value import format_float

if TYPE_CHECKING:
    from watchroom.promql.model import Floats, Labels, Times, Value


def timestamp(at_ms: int) -> str:
    """Return milliseconds as seconds: whole, or with three decimals."""
    seconds, rest = divmod(abs(at_ms), 1000)
    sign = "-" if at_ms < 0 else ""
    return f"{sign}{seconds}.{rest:03d}" if rest else f"{sign}{seconds}"


def value(result: Value, at_ms: int) -> str:
    """Return the ``data`` object of a query answer as JSON text."""
    match result:
        case Scalar(number):
            return _data("scalar", f'[{timestamp(at_ms)},"{format_float(number)}"]')
        case String(text):
            return _data("string", f"[{timestamp(at_ms)},{json.dumps(text)}]")
        case Vector(samples):
            at = timestamp(at_ms)
            rows = (
                f'{{"metric":{metric(labels)},"value":[{at},"{format_float(number)}"]}}'
                for labels, number in samples
            )
            return _data("vector", f"[{','.join(rows)}]")
        case Matrix(series):
            rows = (
                f'{{"metric":{metric(labels)},"values":[{_points(times, values)}]}}'
                for labels, times, values in series
            )
            return _data("matrix", f"[{','.join(rows)}]")


def _data(kind: str, result: str) -> str:
    return f'{{"resultType":"{kind}","result":{result}}}'


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

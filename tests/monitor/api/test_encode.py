"""Answers are written as Prometheus writes them."""

from __future__ import annotations

import json
import math

import numpy as np

from watchroom.monitor.api import encode
from watchroom.monitor.api.encode import timestamp
from watchroom.monitor.api.status import rfc3339
from watchroom.promql.model import Matrix, Scalar, String, Vector
from watchroom.promql.value import exponential

LABELS = (("__name__", "m"), ("a", 'q"<'))


def value(result, at_ms):
    return b"".join(encode.value(result, at_ms)).decode()


def test_a_vector():
    text = value(Vector([(LABELS, 0.1), ((), math.inf)]), 1500)
    assert json.loads(text) == {
        "resultType": "vector",
        "result": [
            {"metric": {"__name__": "m", "a": 'q"<'}, "value": [1.5, "0.1"]},
            {"metric": {}, "value": [1.5, "+Inf"]},
        ],
    }


def test_a_matrix_of_whole_numbers_and_of_others():
    times = np.array([1000, 2500], dtype=np.int64)
    whole = Matrix([(LABELS, times, np.array([1e15, -0.0]))])
    other = Matrix([(LABELS, times, np.array([math.nan, 1.5]))])
    points = [json.loads(value(m, 0))["result"][0]["values"] for m in (whole, other)]
    assert points == [
        [[1, "1000000000000000"], [2.5, "-0"]],
        [[1, "NaN"], [2.5, "1.5"]],
    ]


def test_scalars_and_strings():
    assert json.loads(value(Scalar(1.0), 2000))["result"] == [2, "1"]
    assert json.loads(value(String('a"'), 2000))["result"] == [2, 'a"']


def test_a_scalar_is_written_without_an_exponent():
    written = [json.loads(value(Scalar(x), 0))["result"][1] for x in (1e21, 1e-7)]
    assert written == ["1000000000000000000000", "0.0000001"]


def test_times_have_no_needless_digits():
    assert [timestamp(at) for at in (0, 1500, 1001, -1500)] == [
        "0",
        "1.500",
        "1.001",
        "-1.500",
    ]
    assert rfc3339(1_700_000_000_000) == "2023-11-14T22:13:20Z"
    assert rfc3339(1_700_000_000_120) == "2023-11-14T22:13:20.12Z"
    assert rfc3339(None) == "0001-01-01T00:00:00Z"


def test_an_alert_value_is_in_exponent_form():
    values = [0.042, 1.0, 123456.789, 0.0, math.nan]
    assert [exponential(x) for x in values] == [
        "4.2e-02",
        "1e+00",
        "1.23456789e+05",
        "0e+00",
        "NaN",
    ]

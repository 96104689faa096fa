from __future__ import annotations

import pytest

from watchroom.errors import ConfigError
from watchroom.units import (
    format_duration,
    parse_duration,
    parse_limit,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("0", 0), ("250ms", 0.25), ("5m", 300), ("1h30m", 5400), ("1d", 86400)],
)
def test_durations_are_read_as_prometheus_does(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m5", "5m1h", "-5m", "5 m", "1.5h"])
def test_what_prometheus_refuses_is_no_duration(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("seconds", [0, 0.25, 1, 90, 300, 5400, 86400, 864000, 90061])
def test_a_duration_survives_the_round_trip(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


def test_sizes_are_decimal_or_binary_as_written() -> None:
    assert parse_size("2GiB") == 2 * 2**30
    assert parse_size("500MB") == 500 * 10**6
    with pytest.raises(ConfigError, match="is not a size"):
        parse_size("2 gigs")


@pytest.mark.parametrize(
    ("value", "base"),
    [(3, 3.0), ("3", 3.0), ("80%", 0.8), ("2s", 2.0), ("20MiB", 20 * 2**20)],
)
def test_a_limit_is_read_in_its_base_unit(value: str | float, base: float) -> None:
    assert parse_limit(value) == base


@pytest.mark.parametrize("value", [True, "fast", "x%", ""])
def test_what_is_no_limit_is_refused_with_an_example(value: str | bool) -> None:
    with pytest.raises(ConfigError, match="write 5"):
        parse_limit(value)

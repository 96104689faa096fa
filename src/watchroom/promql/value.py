"""Numbers as Prometheus writes them, which is as Go does."""

from __future__ import annotations

import math

import numpy as np


def _special(value: float) -> str | None:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return None


def format_plain(value: float) -> str:
    """Return `value` without an exponent, as ``count_values`` labels it."""
    special = _special(value)
    if special is not None:
        return special
    return np.format_float_positional(value, trim="-")


def _exponential(value: float) -> str:
    """Return finite `value` with an exponent of at least two digits: ``1e-07``."""
    mantissa, _, exponent = np.format_float_scientific(value, trim="-").partition("e")
    return f"{mantissa}e{int(exponent):+03d}"


def format_float(value: float) -> str:
    """Return `value` as the HTTP API does: exponents below 1e-6 and from 1e21 on."""
    return _within(value, 1e-6, 1e21)


def format_general(value: float) -> str:
    """Return `value` as Go's ``%g``: exponents below 1e-4 and from 1e6 on."""
    return _within(value, 1e-4, 1e6)


def _within(value: float, least: float, most: float) -> str:
    """Return `value` plainly from `least` to below `most`, else with an exponent."""
    size = abs(value)
    if math.isfinite(value) and size != 0 and (size < least or size >= most):
        return _exponential(value)
    return format_plain(value)

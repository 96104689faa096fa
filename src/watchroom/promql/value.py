"""Numbers as Prometheus writes them, which is as Go does."""

from __future__ import annotations

import math

import numpy as np


def format_plain(value: float) -> str:
    """Return `value` without an exponent, as ``count_values`` labels it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return np.format_float_positional(value, trim="-")


def exponential(value: float) -> str:
    """Return `value` with an exponent of at least two digits, as Go's ``%e``: 1e-07."""
    if not math.isfinite(value):
        return format_plain(value)
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
    if size != 0 and (size < least or size >= most):
        return exponential(value)
    return format_plain(value)

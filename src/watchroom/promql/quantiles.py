"""Quantiles of unsorted values: of a window, or of the series of a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from watchroom.promql.model import Floats, Mask


def quantile(share: Floats, values: Floats, valid: Mask) -> Floats:
    """Return the `share`-quantile of the valid `values` along the last axis.

    NaN counts as the smallest value. Between two values it is interpolated, on one of
    them it is that value, so that infinity beside it is not multiplied by zero.

    Args:
        share: Broadcasts against the axes before the last; may be NaN or out of 0…1.
        values: (…, K).
        valid: (…, K); the quantile of no value is NaN.
    """
    count = valid.sum(axis=-1)
    nans = (valid & np.isnan(values)).sum(axis=-1)
    keyed = np.where(valid, np.where(np.isnan(values), -np.inf, values), np.inf)
    keyed.sort(axis=-1)
    rank = np.clip(np.nan_to_num(share), 0.0, 1.0) * np.maximum(count - 1, 0)
    lower = np.floor(rank).astype(np.int64)
    upper = np.minimum(np.maximum(count - 1, 0), lower + 1)
    weight = rank - lower

    def pick(index: np.ndarray) -> Floats:
        chosen = np.take_along_axis(keyed, index[..., None], axis=-1)[..., 0]
        return np.where(index < nans, np.nan, chosen)

    low = pick(lower)
    result = np.where(weight == 0, low, low * (1 - weight) + pick(upper) * weight)
    result = np.where(share < 0, -np.inf, np.where(share > 1, np.inf, result))
    return np.where(np.isnan(share) | (count == 0), np.nan, result)

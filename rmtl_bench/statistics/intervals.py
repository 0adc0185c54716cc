"""Mean and t interval of the scores of several seeds: ``mean ± t(1 - alpha/2, n-1) * sd / sqrt(n)``.

A bootstrap is not offered: below 20 seeds it covers too little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.frames import FloatArray, column
from rmtl_bench.statistics.student import t_ppf


@dataclass(frozen=True)
class Interval:
    """A mean and its two-sided interval, in the unit of the values; the bounds are NaN for one value."""

    n: int
    mean: float
    low: float
    high: float


def check_confidence(confidence: float) -> None:
    """Refuse a confidence outside (0, 1)."""
    if not 0.0 < confidence < 1.0:
        raise UsageError(f"a confidence lies between 0 and 1, not {confidence}")


def half_width(n: FloatArray, sd: FloatArray, confidence: float) -> FloatArray:
    """Return ``t * sd / sqrt(n)``, elementwise; NaN where n < 2."""
    check_confidence(confidence)
    several = n >= 2
    safe = np.where(several, n, 2.0)
    width = t_ppf(0.5 + confidence / 2, safe - 1) * sd / np.sqrt(safe)
    return np.where(several, width, np.nan)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return mean and t interval of some values."""
    array = np.asarray(values, dtype=float)
    if array.size == 0:
        raise UsageError("the mean of no values was asked for")
    sd = array.std(ddof=1) if array.size > 1 else np.nan
    width = float(half_width(np.array([float(array.size)]), np.array([sd]), confidence)[0])
    mean = float(array.mean())
    return Interval(int(array.size), mean, mean - width, mean + width)


def summarise(scores: pd.DataFrame, by: Sequence[str], confidence: float = 0.95) -> pd.DataFrame:
    """Return n, mean, low and high of ``value`` for each group of ``by``."""
    grouped = scores.groupby(list(by), sort=True)["value"]
    table = grouped.agg(n="count", mean="mean", sd="std").reset_index()
    width = half_width(column(table, "n"), column(table, "sd"), confidence)
    return table.drop(columns="sd").assign(low=table["mean"] - width, high=table["mean"] + width)

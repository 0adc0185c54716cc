"""Holm's step-down correction (Holm 1979), through statsmodels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from rmtl_bench.statistics.frames import FloatArray, column


def holm(p: FloatArray) -> FloatArray:
    """Return Holm-adjusted p values; a NaN is no test: it stays NaN and does not count."""
    adjusted = np.full(len(p), np.nan)
    tested = np.isfinite(p)
    if tested.any():
        adjusted[tested] = multipletests(p[tested], method="holm")[1]
    return adjusted


def holm_within(frame: pd.DataFrame, by: Sequence[str], name: str = "p") -> FloatArray:
    """Return the Holm-adjusted column ``name``, each group of ``by`` corrected for itself."""
    adjusted = np.full(len(frame), np.nan)
    p = column(frame, name)
    for rows in frame.groupby(list(by), sort=False).indices.values():
        adjusted[rows] = holm(p[rows])
    return adjusted

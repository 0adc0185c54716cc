"""Ranks that never order what the data leave open.

The rank of a method in a cell is ``1 +`` the number of methods that beat it: those with a Holm-adjusted p < 0.05 in
a paired t test over all pairs of the cell and a better mean. Equal ranks are ties.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from rmtl_bench.statistics.frames import CELL, FloatArray, check_directions, check_scores, matrix, wide_scores
from rmtl_bench.statistics.multiplicity import holm
from rmtl_bench.statistics.paired import ALPHA, is_constant
from rmtl_bench.statistics.verdicts import MIN_SEEDS


def rank_methods(
    scores: pd.DataFrame, higher_is_better: Mapping[str, bool], incomplete: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the rank of each method in each (dataset, task, metric), as a float.

    A method is left out of a cell (rank NaN) where it stands in ``incomplete`` (dataset, task, metric, method), or
    lacks a seed that another one of the cell has; with fewer than 3 seeds no method of the cell has a rank.
    """
    finite = check_scores(scores)
    check_directions(finite["metric"].unique(), higher_is_better)
    wide = wide_scores(finite)
    out = set() if incomplete is None else set(incomplete[[*CELL, "method"]].itertuples(index=False, name=None))
    rank = np.full(len(wide), np.nan)
    kept = np.array([key not in out for key in wide.index], dtype=bool)
    values = matrix(wide)
    cells = wide.index.to_frame(index=False).groupby(CELL, sort=False).indices
    for (_, _, metric), rows in cells.items():
        rows = rows[kept[rows]]
        seeds = np.isfinite(values[rows]).any(axis=0)
        rows = rows[np.isfinite(values[rows][:, seeds]).all(axis=1)]
        sign = 1.0 if higher_is_better[metric] else -1.0
        rank[rows] = rank_rows(sign * values[rows][:, seeds])
    return wide.index.to_frame(index=False).assign(rank=rank)


def rank_rows(values: FloatArray) -> FloatArray:
    """Rank the rows of [methods, seeds], higher values better; see the module for the rule."""
    methods, seeds = values.shape
    if seeds < MIN_SEEDS:
        return np.full(methods, np.nan)
    first, second = np.triu_indices(methods, k=1)
    a, b = values[first], values[second]
    p = np.full(len(first), np.nan)
    free = ~is_constant(a, b)
    if free.any():
        p[free] = stats.ttest_rel(a[free], b[free], axis=1).pvalue
    beaten = holm(p) < ALPHA
    first_wins = a.mean(axis=1) > b.mean(axis=1)
    losers = np.where(first_wins, second, first)[beaten]
    return 1.0 + np.bincount(losers, minlength=methods).astype(np.float64)

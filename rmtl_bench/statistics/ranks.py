"""Ranks that never order what the data leave open.

The rank of a method in a cell is ``1 +`` the number of methods that beat it: those with a Holm-adjusted p < 0.05 in
a paired t test over all pairs of the cell and a better mean. Equal ranks are ties.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rmtl_bench.statistics.all_pairs import all_pairs, complete_cells
from rmtl_bench.statistics.frames import FloatArray, check_directions, check_scores, matrix, wide_scores
from rmtl_bench.statistics.multiplicity import holm
from rmtl_bench.statistics.paired import ALPHA
from rmtl_bench.statistics.resampled import corrected_error, share_of, t_test_p
from rmtl_bench.statistics.student import t_ppf
from rmtl_bench.statistics.verdicts import MIN_SEEDS


def rank_methods(
    scores: pd.DataFrame,
    higher_is_better: Mapping[str, bool],
    incomplete: pd.DataFrame | None = None,
    *,
    resampled: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return the rank of each method in each (dataset, task, metric), as a float.

    A method is left out of a cell (rank NaN) where it stands in ``incomplete`` (dataset, task, metric, method), or
    lacks a seed that another one of the cell has; with fewer than 3 seeds no method of the cell has a rank.
    ``resampled``: n_test / n_train of the data sets whose replicates are new splits of the same rows.
    """
    finite = check_scores(scores)
    check_directions(finite["metric"].unique(), higher_is_better)
    wide = wide_scores(finite)
    rank = np.full(len(wide), np.nan)
    values = matrix(wide)
    for (dataset, _, metric), rows in complete_cells(wide, incomplete).items():
        seeds = np.isfinite(values[rows]).any(axis=0)
        sign = 1.0 if higher_is_better[metric] else -1.0
        rank[rows] = rank_rows(sign * values[rows][:, seeds], share_of(dataset, resampled))
    return wide.index.to_frame(index=False).assign(rank=rank)


def rank_rows(values: FloatArray, test_share: float = 0.0) -> FloatArray:
    """Rank the rows of [methods, seeds], higher values better; see the module for the rule."""
    methods, seeds = values.shape
    if seeds < MIN_SEEDS:
        return np.full(methods, np.nan)
    pairs = all_pairs(values)
    error = corrected_error(pairs.sd, seeds, test_share)
    # A p above 0.05 is not better after the correction; that it counts is all that matters, and most are.
    p = np.where(pairs.constant, np.nan, 1.0)
    far = np.flatnonzero(np.abs(pairs.difference) >= 0.999 * t_ppf(1 - ALPHA / 2, seeds - 1) * error)
    p[far] = t_test_p(pairs.difference[far], error[far], seeds - 1)
    beaten = holm(p) < ALPHA
    losers = np.where(pairs.difference > 0, pairs.second, pairs.first)[beaten]
    return 1.0 + np.bincount(losers, minlength=methods).astype(np.float64)

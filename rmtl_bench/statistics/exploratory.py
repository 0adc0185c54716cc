"""Every method against every other one, to find out where to look: exploratory, since none of it was declared before.

Paired t tests as elsewhere, corrected by Benjamini and Hochberg (1995) within each metric over all its cells and pairs:
of what is called better or worse, 5 % on average may be noise (proven for independent tests, which pairs of the same
methods are not quite). Holm's correction promises more: all of it holds at once in 95 % of tables. What is found here
asks for a declared comparison on new seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmtl_bench.statistics.all_pairs import all_pairs, complete_cells
from rmtl_bench.statistics.frames import CELL, FloatArray, check_directions, check_scores, column, matrix, wide_scores
from rmtl_bench.statistics.intervals import check_confidence
from rmtl_bench.statistics.paired import ALPHA
from rmtl_bench.statistics.resampled import corrected_error, share_of, t_interval, t_test_p
from rmtl_bench.statistics.sign_flip import smallest_sign_flip_p
from rmtl_bench.statistics.verdicts import half_widths, verdicts

EXPLORATORY_COLUMNS = [*CELL, "a", "b", "n", "difference", "low", "high", "p", "p_bh", "verdict"]
"""The columns of a table of all pairs; differences and bounds are a - b, in the metric's unit."""


def exploratory_pairs(
    scores: pd.DataFrame,
    higher_is_better: Mapping[str, bool],
    equivalence: Mapping[str, float | str],
    *,
    incomplete: pd.DataFrame | None = None,
    confidence: float = 0.95,
    resampled: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return one row for each cell and pair of methods a < b, with ``EXPLORATORY_COLUMNS``.

    The verdict is on a. Methods that lack a seed, or stand in ``incomplete``, are left out as :func:`rank_methods`
    leaves them out, and so are cells with fewer than 3 seeds. "n too small" is said below 6 seeds, where the exact test
    cannot reach 0.05 at all: how small a p this correction asks for depends on the other pairs. A percentage in
    ``equivalence`` is of b's mean. ``resampled``: n_test / n_train of the data sets whose replicates are new splits.
    """
    check_confidence(confidence)
    finite = check_scores(scores)
    check_directions(finite["metric"].unique(), higher_is_better)
    wide = wide_scores(finite)
    values, methods = matrix(wide), wide.index.get_level_values("method").to_numpy(dtype=object)
    parts = []
    for cell, rows in complete_cells(wide, incomplete).items():
        if len(rows) < 2:
            continue
        seeds = np.isfinite(values[rows]).any(axis=0)
        numbers = _compare_all(values[rows][:, seeds], share_of(cell[0], resampled), confidence)
        named = {"a": methods[rows[numbers.pop("first")]], "b": methods[rows[numbers.pop("second")]]}
        parts.append(pd.DataFrame({**dict(zip(CELL, cell, strict=True)), **named, **numbers}))
    if not parts:
        return pd.DataFrame(columns=EXPLORATORY_COLUMNS)
    table = pd.concat(parts, ignore_index=True)
    up = column(table.assign(up=table["metric"].map(dict(higher_is_better))), "up", bool)
    table["improvement"] = np.where(up, 1.0, -1.0) * column(table, "difference")
    table["p_bh"] = _benjamini_hochberg(table)
    judged = table.assign(p_holm=table["p_bh"])
    table["verdict"] = verdicts(judged, half_widths(table, equivalence), ALPHA)
    return table[EXPLORATORY_COLUMNS]


def _compare_all(values: FloatArray, test_share: float, confidence: float) -> dict[str, NDArray[Any]]:
    n = values.shape[1]
    pairs, means = all_pairs(values), values.mean(axis=1)
    error = corrected_error(pairs.sd, n, test_share)
    low, high = t_interval(pairs.difference, error, n - 1, confidence)
    tost_low, tost_high = t_interval(pairs.difference, error, n - 1, 1 - 2 * ALPHA)
    pairs_of = len(pairs.first)
    return {
        "first": pairs.first,
        "second": pairs.second,
        "n": np.full(pairs_of, n),
        "difference": pairs.difference,
        "low": low,
        "high": high,
        "tost_low": tost_low,
        "tost_high": tost_high,
        "p": t_test_p(pairs.difference, error, n - 1),
        "p_floor": np.full(pairs_of, np.nan if test_share else smallest_sign_flip_p(n)),
        "mean_b": means[pairs.second],
        "deterministic": pairs.constant,
    }


def _benjamini_hochberg(table: pd.DataFrame) -> FloatArray:
    """Return p adjusted within each metric; a NaN is no test and does not count."""
    from scipy import stats

    p, adjusted = column(table, "p"), np.full(len(table), np.nan)
    for rows in table.groupby("metric", sort=False).indices.values():
        tested = rows[np.isfinite(p[rows])]
        if len(tested):
            adjusted[tested] = stats.false_discovery_control(p[tested])
    return adjusted

"""Stars as the paper gives them: an unpaired t test (equal variances, p < 0.05) against the best baseline by mean.

For comparison with published tables only. The baseline is picked on the seeds it is then tested on, seeds are not
paired and nothing is corrected: the 5 % are the share of stars by chance neither of a candidate nor of a table. See
:mod:`~rmtl_bench.statistics.claims` for the claim that a star is taken for.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmtl_bench.statistics.families import Family
from rmtl_bench.statistics.frames import CELL, check_directions, check_scores, column
from rmtl_bench.statistics.paired import ALPHA
from rmtl_bench.statistics.protocols import unpaired_p

STAR_COLUMNS = [*CELL, "candidate", "best_baseline", "mean_candidate", "mean_baseline", "p", "star"]
"""The columns of a table of stars."""


def paper_stars(
    scores: pd.DataFrame, higher_is_better: Mapping[str, bool], family: Family | None = None
) -> pd.DataFrame:
    """Return, for each cell and candidate, the best baseline by mean, the unpaired p and whether there is a star.

    ``family`` declares the candidates and, within its scope, their baselines; None is every method against all others.
    A star says p < 0.05 and a better mean than the best baseline. Each side has the seeds it has; p is NaN where one
    has fewer than 2 or neither varies. Candidates without a baseline in the cell are left out.
    """
    finite = check_scores(scores)
    check_directions(finite["metric"].unique(), higher_is_better)
    names, declared = (family or Family("all", ("*",), ("*",), "all")).declared(finite["method"].unique())
    grouped = finite.groupby([*CELL, "method"], sort=True)["value"].agg(["mean", "std", "count"]).reset_index()
    grouped["place"] = pd.Index(names).get_indexer(grouped["method"])
    parts = []
    for key, cell in grouped.groupby(CELL, sort=True):
        sign = 1.0 if higher_is_better[str(key[2])] else -1.0
        parts.append(_stars_of(cell, declared, sign).assign(**dict(zip(CELL, key, strict=True))))
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True)[STAR_COLUMNS] if parts else pd.DataFrame(columns=STAR_COLUMNS)


def _stars_of(cell: pd.DataFrame, declared: NDArray[np.bool_], sign: float) -> pd.DataFrame:
    place, mean = column(cell, "place", int), column(cell, "mean")
    allowed = declared[np.ix_(place, place)]
    first = np.flatnonzero(allowed.any(axis=1))
    best = np.where(allowed, sign * mean, -np.inf)[first].argmax(axis=1)
    sides = [(array[first], array[best]) for array in (mean, column(cell, "std"), column(cell, "count"))]
    p = unpaired_p(*sides)
    methods = cell["method"].to_numpy(dtype=object)
    return pd.DataFrame(
        {
            "candidate": methods[first],
            "best_baseline": methods[best],
            "mean_candidate": mean[first],
            "mean_baseline": mean[best],
            "p": p,
            "star": (p < ALPHA) & (sign * (mean[first] - mean[best]) > 0),
        }
    )

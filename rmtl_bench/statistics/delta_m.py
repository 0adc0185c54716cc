"""Delta_m: the mean over tasks of the relative change to a reference method (Maninis et al. 2019).

``Delta_m% = 100 / K * sum_k sign_k * (s_k - ref_k) / |ref_k|`` for each seed, with the reference's score of the same
seed; positive is better. Mean and t interval are then taken over the seeds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.statistics.frames import check_directions, check_scores
from rmtl_bench.statistics.intervals import summarise


def delta_m(
    scores: pd.DataFrame, reference: str, higher_is_better: Mapping[str, bool], confidence: float = 0.95
) -> pd.DataFrame:
    """Return n, mean, low and high of Delta_m in % for each dataset, metric and method.

    Seeds for which the method or the reference lacks a task are left out, as are data sets without the reference.
    """
    finite = check_scores(scores)
    check_directions(finite["metric"].unique(), higher_is_better)
    known = finite["method"].unique()
    if reference not in known:
        raise UsageError(f"the reference {reference!r} of Delta_m has no scores{did_you_mean(reference, known)}")
    wide = finite.pivot(index=["dataset", "metric", "task", "seed"], columns="method", values="value")
    base = wide[reference]
    sign = np.where([higher_is_better[m] for m in wide.index.get_level_values("metric")], 1.0, -1.0)
    # A reference of zero has no relative change.
    change = wide.sub(base, axis=0).mul(100 * sign, axis=0).div(base.abs().where(base != 0), axis=0)
    per_task = change.groupby(level=["dataset", "metric", "seed"])
    tasks = wide.groupby(level=["dataset", "metric", "task"]).size().groupby(level=["dataset", "metric"]).size()
    needed = tasks.reindex(per_task.size().index.droplevel("seed")).to_numpy()
    complete = per_task.count().eq(needed, axis=0)
    long = per_task.mean().where(complete).stack().dropna().rename("value").reset_index()
    return summarise(long, ["dataset", "metric", "method"], confidence)

"""The table every function here takes: one row per score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmtl_bench.contracts.errors import UsageError, did_you_mean

FloatArray = NDArray[np.float64]
"""Values in double precision."""

CELL = ["dataset", "task", "metric"]
"""What makes two scores comparable."""

SCORE_COLUMNS = ["dataset", "backbone", "weighting", "method", "task", "metric", "seed", "value"]
"""The columns of a frame of scores; ``method`` is ``backbone/weighting``."""

# Frames that were returned by check_scores and still live: every function here checks what it is given, and one table
# of forty thousand scores passes through eight of them.
_CHECKED: WeakValueDictionary[int, pd.DataFrame] = WeakValueDictionary()


def check_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the finite scores; refuse a frame with a column missing, a score given twice, or versions mixed.

    A score that is not finite (an AUC without positives, say) counts as missing, so that its cell shows n/N. Two
    columns may stand beside those of ``SCORE_COLUMNS`` and are checked and dropped: ``suite``, as name@version, and
    ``fingerprint``, the state of the data; a missing value says nothing. Scores of several suite versions, or of one
    data set in several states, are no table. A frame that was returned here is returned as it is: change a copy.
    """
    if _CHECKED.get(id(scores)) is scores:
        return scores
    absent = [column for column in SCORE_COLUMNS if column not in scores.columns]
    if absent:
        raise UsageError(f"the scores lack the columns {', '.join(absent)}")
    _refuse_mixtures(scores)
    finite = scores.loc[np.isfinite(scores["value"].to_numpy(dtype=float)), SCORE_COLUMNS]
    twice = finite.duplicated([*CELL, "method", "seed"])
    if twice.any():
        row = finite.loc[twice].iloc[0]
        where = f"{row['dataset']}, {row['method']}, {row['task']}, {row['metric']}, seed {row['seed']}"
        raise UsageError(f"a score is given twice: {where}")
    checked = finite.reset_index(drop=True)
    _CHECKED[id(checked)] = checked
    return checked


def _refuse_mixtures(scores: pd.DataFrame) -> None:
    if "suite" in scores.columns:
        suites = sorted(scores["suite"].dropna().unique())
        if len(suites) > 1:
            raise UsageError(
                f"the scores come from {len(suites)} suite versions: {', '.join(suites)}; a table never mixes them"
            )
    if "fingerprint" in scores.columns:
        for dataset, prints in scores.groupby("dataset")["fingerprint"]:
            states = sorted(prints.dropna().unique())
            if len(states) > 1:
                raise UsageError(
                    f"the scores of data set {dataset!r} come from {len(states)} states of the data: "
                    f"{', '.join(states)}; a table never mixes them"
                )


def check_directions(metrics: Iterable[str], higher_is_better: Mapping[str, bool]) -> None:
    """Refuse a metric whose better direction is not declared."""
    for metric in metrics:
        if metric not in higher_is_better:
            hint = did_you_mean(metric, higher_is_better)
            raise UsageError(f"whether a higher {metric!r} is better is not declared{hint}")


def wide_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Return checked scores with one row per (dataset, task, metric, method) and one column per seed, NaN for none."""
    return scores.pivot(index=[*CELL, "method"], columns="seed", values="value").sort_index()


def matrix(frame: pd.DataFrame) -> FloatArray:
    """Return a frame's values in double precision."""
    return np.asarray(frame.to_numpy(dtype=float), dtype=np.float64)


def column(frame: pd.DataFrame, name: str, dtype: Any = float) -> NDArray[Any]:
    """Return one column as an array of ``dtype``."""
    return np.asarray(frame[name].to_numpy(dtype=dtype))

"""Ranking metrics: AUC over all rows and AUC within users."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.metric import Predictions


def auc(predictions: Predictions) -> float:
    """Return the AUC over all rows; NaN unless both classes occur. See :func:`auc_score`."""
    return auc_score(predictions.labels, predictions.scores)


def auc_score(labels: NDArray[Any], scores: NDArray[Any]) -> float:
    """Return the chance that a random positive is scored above a random negative, a tie counting half.

    ``labels`` [N] of 0 and 1, ``scores`` [N], any real numbers. NaN if a class is absent or a score is NaN.
    This is the Mann-Whitney statistic over the number of pairs (Hanley and McNeil 1982, Radiology 143),
    counted in whole numbers and therefore exact, in O(N log N).
    """
    if np.isnan(scores).any():
        return float("nan")
    order = np.argsort(scores)
    positive = labels[order] > 0.5
    return float(_auc_of_groups(positive, _changes(scores[order]), np.zeros(1, dtype=np.int64))[0])


def gauc(predictions: Predictions) -> float:
    """Return the AUC within each user, averaged with the users' row counts as weights.

    Users whose labels are all of one class have no AUC and are left out, weight and all; NaN if no user is
    left or a score is NaN. Zhu et al. 2017 (Optimized Cost per Click in Taobao Display Advertising) weight
    by impressions or clicks; impressions, that is rows, are what Zhou et al. 2018 (Deep Interest Network) use.
    """
    if len(predictions.scores) == 0 or np.isnan(predictions.scores).any():
        return float("nan")
    order = np.lexsort((predictions.scores, predictions.user))
    user = predictions.user[order]
    new_user = _changes(user)
    starts = np.flatnonzero(new_user)
    by_user = _auc_of_groups(predictions.labels[order] > 0.5, new_user | _changes(predictions.scores[order]), starts)
    rows = np.diff(starts, append=len(user))
    defined = ~np.isnan(by_user)
    if not defined.any():
        return float("nan")
    return float(np.average(by_user[defined], weights=rows[defined]))


def _changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return True where a value differs from the one before it; the first always does."""
    changed = np.ones(len(values), dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed


def _auc_of_groups(
    positive: NDArray[np.bool_], new_tie: NDArray[np.bool_], starts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the AUC of each group of rows, NaN where a group lacks a class.

    Rows are sorted by group, then score. ``new_tie`` is True where a run of equal scores begins, and
    ``starts`` holds the first row of each group.
    """
    if len(positive) == 0:
        return np.full(len(starts), np.nan)
    ties = np.flatnonzero(new_tie)
    positives = np.add.reduceat(positive, ties, dtype=np.int64)
    negatives = np.diff(ties, append=len(positive)) - positives
    first_tie = np.searchsorted(ties, starts)
    below = np.cumsum(negatives) - negatives
    group_of_tie = np.repeat(np.arange(len(starts)), np.diff(first_tie, append=len(ties)))
    below -= below[first_tie][group_of_tie]
    # Twice the statistic, so that a tie's half stays a whole number.
    twice_u = np.add.reduceat(positives * (2 * below + negatives), first_tie)
    pairs = np.add.reduceat(positives, first_tie) * np.add.reduceat(negatives, first_tie)
    areas: NDArray[np.float64] = np.divide(twice_u, 2 * pairs, out=np.full(len(starts), np.nan), where=pairs > 0)
    return areas

"""Ranking metrics: AUC over all rows and AUC within users."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.metric import Predictions
from rmtl_bench.metrics.grouping import blocks, group_codes, sort_within_groups


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
    positive = labels > 0.5
    above, below = np.sort(scores[positive]), np.sort(scores[~positive])
    pairs = len(above) * len(below)
    if pairs == 0:
        return float("nan")
    # Looking up the rarer class among the other is the cheaper half of the same count.
    few, many = (above, below) if len(above) <= len(below) else (below, above)
    # Twice the statistic, so that a tie's half stays a whole number.
    twice = sum(int(np.searchsorted(many, few, side).sum()) for side in ("left", "right"))
    return (twice if few is above else 2 * pairs - twice) / (2 * pairs)


def gauc(predictions: Predictions) -> float:
    """Return the AUC within each user, averaged with the users' row counts as weights.

    Users whose labels are all of one class have no AUC and are left out, weight and all; NaN if no user is
    left or a score is NaN. Zhu et al. 2017 (Optimized Cost per Click in Taobao Display Advertising) weight
    by impressions or clicks; impressions, that is rows, are what Zhou et al. 2018 (Deep Interest Network) use.
    """
    if len(predictions.scores) == 0 or np.isnan(predictions.scores).any():
        return float("nan")
    parts = [_statistics_by_user(predictions, rows) for rows in blocks(predictions.user)]
    twice_u, pairs, rows = (np.concatenate(column) for column in zip(*parts, strict=True))
    defined = pairs > 0
    if not defined.any():
        return float("nan")
    return float(np.average(twice_u[defined] / (2 * pairs[defined]), weights=rows[defined]))


class _Statistics(NamedTuple):
    """Of each group of rows, int64: twice the Mann-Whitney statistic, the pairs of both classes and the rows."""

    twice_u: NDArray[np.int64]
    pairs: NDArray[np.int64]
    rows: NDArray[np.int64]


def _statistics_by_user(predictions: Predictions, rows: slice) -> _Statistics:
    """Return the statistics of the users of some rows, which hold whole users."""
    codes = group_codes(predictions.user[rows])
    order, new_user, new_score = sort_within_groups(codes, predictions.scores[rows])
    positive = (predictions.labels[rows] > 0.5)[order]
    return _statistics(positive, new_user | new_score, np.flatnonzero(new_user))


def _statistics(positive: NDArray[np.bool_], new_tie: NDArray[np.bool_], starts: NDArray[np.int64]) -> _Statistics:
    """Return the statistics of groups of rows.

    Rows are sorted by group, then score. ``new_tie`` is True where a run of equal scores begins, and
    ``starts`` holds the first row of each group.
    """
    ends = np.flatnonzero(np.append(new_tie[1:], True))
    first = np.searchsorted(ends, starts)
    last = np.append(first[1:], len(ends)) - 1
    positives = np.cumsum(positive, dtype=np.int64)[ends]
    negatives = ends + 1 - positives
    positives_by_group = np.diff(positives[last], prepend=0)
    negatives_by_group = np.diff(negatives[last], prepend=0)
    earlier = negatives[last] - negatives_by_group
    # Twice the trapezoids under the curve of counts, one a tie: negatives below it and up to it, each positive.
    heights = negatives.copy()
    heights[1:] += negatives[:-1]
    heights *= np.diff(positives, prepend=0)
    twice_u = np.add.reduceat(heights, first) - 2 * earlier * positives_by_group
    return _Statistics(twice_u, positives_by_group * negatives_by_group, positives_by_group + negatives_by_group)

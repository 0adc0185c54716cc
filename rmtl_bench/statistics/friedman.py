"""Are methods told apart over independent data sets? Friedman's test, then every pair (Demšar 2006).

The blocks are data sets, or disjoint time splits that a suite plans as data sets of their own. Seeds and tasks are
none: seeds repeat a data set, and tasks share its rows. The value of a block is therefore one number a method, the mean
of the metric over tasks and seeds in the metric's own unit, or that of one task if one is named. (Ranks averaged over
tasks would do for Friedman's test, but make what is said of a pair depend on the rest of the pool.)

===================  ==========================================================================================
statistic, p         ``scipy.stats.friedmanchisquare`` over the methods' ranks within blocks; 3 methods or more
pairwise             two-sided Wilcoxon signed-rank test of each pair's blocks, Holm-adjusted, rather than Nemenyi's
                     test, whose answer on a pair depends on the other methods (Benavoli et al. 2016, JMLR 17)
groups               the longest stretches of the average ranks in which no two methods are told apart: by a pairwise
                     p < 0.05 after a Friedman p < 0.05
===================  ==========================================================================================

With fewer than 8 blocks the tests have no power and nothing is computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.statistics.aggregates import Incomplete, average_places, compared
from rmtl_bench.statistics.frames import FloatArray, check_directions, check_scores, matrix
from rmtl_bench.statistics.multiplicity import holm
from rmtl_bench.statistics.paired import ALPHA, FLOAT_NOISE

MIN_BLOCKS = 8
"""Independent blocks without which there is no test."""

MIN_METHODS = 3
"""Two methods have a signed-rank test and need no Friedman."""


@dataclass(frozen=True)
class Friedman:
    """The outcome for one metric, or the ``reason`` why there is none: then every number is missing.

    ``blocks``: the data sets used; ``methods`` best first, as in ``average_ranks`` (1 is the best rank) and in both
    axes of ``pairwise``, the Holm-adjusted p of each pair with 1 on the diagonal. ``groups``: methods not told apart,
    each a stretch of ``methods`` of two or more. ``left_out``: incomplete methods. ``note``: that there are too few
    blocks for any pair to be told apart, where it is so.
    """

    metric: str
    blocks: tuple[str, ...]
    methods: tuple[str, ...]
    left_out: tuple[str, ...]
    reason: str = ""
    statistic: float = math.nan
    p: float = math.nan
    average_ranks: pd.Series = field(default_factory=lambda: pd.Series(dtype=float))
    pairwise: pd.DataFrame = field(default_factory=pd.DataFrame)
    groups: tuple[tuple[str, ...], ...] = ()
    note: str = ""


def friedman(
    scores: pd.DataFrame,
    metric: str,
    higher_is_better: Mapping[str, bool],
    min_blocks: int = MIN_BLOCKS,
    *,
    task: str | None = None,
    incomplete: Incomplete = "exclude-method",
) -> Friedman:
    """Test the methods of one metric over data sets; the mean over tasks counts unless ``task`` names one.

    A method that lacks a task or seed of a data set is left out, or with ``exclude-cell`` that data set is. Raises
    :class:`UsageError` for an unknown metric or task.
    """
    wide = _chosen(scores, metric, task, higher_is_better)
    present = wide.notna().groupby(level="dataset").all()
    dense = compared(present, incomplete)
    by_task = wide.groupby(level=["dataset", "task"]).mean()
    values = by_task.groupby(level="dataset").mean().loc[dense.rows, dense.methods]
    left_out = tuple(present.columns[~dense.methods])
    blocks, methods = tuple(values.index), tuple(values.columns)
    if reason := _too_little(len(blocks), len(methods), min_blocks):
        return Friedman(metric, blocks, methods, left_out, reason)
    sign = 1.0 if higher_is_better[metric] else -1.0
    return _tested(Friedman(metric, blocks, methods, left_out), _without_noise(sign * matrix(values)))


def _tested(untested: Friedman, values: FloatArray) -> Friedman:
    """Add ranks and tests of [blocks, methods], higher values better."""
    average = average_places(-values).mean(axis=0)
    order = np.argsort(average, kind="stable")
    values, ordered = values[:, order], tuple(untested.methods[i] for i in order)
    statistic, p = _friedman_p(values)
    pairwise = pairwise_signed_rank(values)
    apart = (pairwise < ALPHA) & (p < ALPHA)
    return replace(
        untested,
        methods=ordered,
        statistic=statistic,
        p=p,
        average_ranks=pd.Series(average[order], ordered, name="average_rank"),
        pairwise=pd.DataFrame(pairwise, ordered, ordered),
        groups=tuple(tuple(ordered[start:end]) for start, end in stretches(apart)),
        note=_unreachable(*values.shape),
    )


def pairwise_signed_rank(values: FloatArray) -> FloatArray:
    """Return the Holm-adjusted p of each pair of columns of [blocks, methods], 1 on the diagonal.

    Blocks without a difference are dropped, as Wilcoxon did; a pair without any difference has p = 1.
    """
    from scipy import stats

    methods = values.shape[1]
    first, second = np.triu_indices(methods, k=1)
    differences = (values[:, first] - values[:, second]).T
    nonzero = differences != 0
    counts = nonzero.sum(axis=1)
    p = np.ones(len(first))
    for n in np.unique(counts[counts > 0]):
        pairs = np.flatnonzero(counts == n)
        p[pairs] = stats.wilcoxon(differences[pairs][nonzero[pairs]].reshape(-1, n), axis=1).pvalue
    table = np.ones((methods, methods))
    table[first, second] = table[second, first] = holm(p)
    return table


def stretches(apart: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the longest stretches [start, end) of two or more within which no two are ``apart``.

    ``apart`` [M, M], symmetric, in the order of rank. A stretch within another one is left out.
    """
    length = len(apart)
    # For each member the nearest earlier one it is apart from, -1 for none.
    earlier = np.where(np.tril(apart, -1), np.arange(length), -1).max(axis=1)
    found: list[tuple[int, int]] = []
    for start in range(length):
        beyond = np.flatnonzero(earlier[start:] >= start)
        end = start + int(beyond[0]) if len(beyond) else length
        if end - start > 1 and (not found or end > found[-1][1]):
            found.append((start, end))
    return found


def _chosen(scores: pd.DataFrame, metric: str, task: str | None, higher_is_better: Mapping[str, bool]) -> pd.DataFrame:
    """Return the values of a metric by (dataset, task, seed) and method."""
    check_directions([metric], higher_is_better)
    finite = check_scores(scores)
    of_metric = finite[finite["metric"] == metric]
    if of_metric.empty:
        raise UsageError(f"no scores of metric {metric!r}{did_you_mean(metric, finite['metric'].unique())}")
    of_task = of_metric if task is None else of_metric[of_metric["task"] == task]
    if of_task.empty:
        raise UsageError(f"no scores of task {task!r}{did_you_mean(str(task), of_metric['task'].unique())}")
    return of_task.pivot(index=["dataset", "task", "seed"], columns="method", values="value").sort_index()


def _too_little(blocks: int, methods: int, min_blocks: int) -> str:
    if blocks < min_blocks:
        return f"{blocks} independent block{'' if blocks == 1 else 's'}; {min_blocks} are needed"
    if methods < MIN_METHODS:
        return f"{methods} complete method{'' if methods == 1 else 's'}; {MIN_METHODS} are needed"
    return ""


def _without_noise(values: FloatArray) -> FloatArray:
    """Make values of a block equal that differ by rounding alone."""
    size = FLOAT_NOISE * np.abs(values).max(axis=1, keepdims=True)
    return np.where(size > 0, np.round(values / np.where(size > 0, size, 1)) * size, values)


def _friedman_p(values: FloatArray) -> tuple[float, float]:
    from scipy import stats

    # Where all methods tie in all blocks, scipy divides by zero.
    if (values == values[:, :1]).all():
        return 0.0, 1.0
    test = stats.friedmanchisquare(*values.T)
    return float(test.statistic), float(test.pvalue)


def _unreachable(blocks: int, methods: int) -> str:
    pairs = methods * (methods - 1) // 2
    needed = math.ceil(math.log2(2 * pairs / ALPHA))
    if blocks >= needed:
        return ""
    return f"n too small: {needed} blocks are needed to tell any of {pairs} pairs apart, not {blocks}"

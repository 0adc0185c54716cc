"""Across cells, by size: what a method gains on a reference, with intervals from resampled seeds.

===================  ==========================================================================================
iqm                  interquartile mean over cells x seeds of the gain in %, ``100 * sign * (s - ref) / |ref|``, ref
                     the reference's score of the same seed: ``scipy.stats.trim_mean(x, 0.25)``
probability          mean over cells of P(A > reference): the share of seeds that improve, a tie counting half
===================  ==========================================================================================

Agarwal et al. 2021 (Deep Reinforcement Learning at the Edge of the Statistical Precipice) propose both; there, seeds
are not paired. The gain is that to the reference, not to the best and worst of the pool, so that another method in the
table changes nothing. The bootstrap resamples seeds, within each data set, and the same ones for all its tasks and all
methods; percentile interval of 2,000 draws. With fewer than 3 seeds on a data set there is no interval, NaN. Five
seeds give one that is too narrow: it describes, it does not test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.statistics.aggregates import Incomplete, check_incomplete, compared
from rmtl_bench.statistics.frames import FloatArray, check_directions, check_scores, matrix
from rmtl_bench.statistics.intervals import check_confidence
from rmtl_bench.statistics.verdicts import MIN_SEEDS

DRAWS = 2_000
"""Resamplings of the seeds by default."""

Statistic = Callable[[Sequence[FloatArray]], FloatArray]
"""One array [methods, draws, tasks, seeds] a data set -> values [methods, draws]."""

_BLOCK = 2**22


class _Block(NamedTuple):
    """A data set: the scores of the methods [methods, tasks, seeds] and of the reference [tasks, seeds]."""

    scores: FloatArray
    reference: FloatArray


class _Aggregate(NamedTuple):
    """What is made of each score, [methods, tasks, seeds] a data set, and of all of them together.

    ``nonzero``: a reference of zero makes nothing of a score.
    """

    name: str
    of_scores: Callable[[_Block], FloatArray]
    together: Statistic
    nonzero: bool


def iqm(
    scores: pd.DataFrame,
    reference: str,
    higher_is_better: Mapping[str, bool],
    *,
    confidence: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
    incomplete: Incomplete = "exclude-method",
) -> pd.DataFrame:
    """Return the interquartile mean of each method's gains on the reference, in %, positive for better.

    Columns: metric, method, iqm, low, high, ``seeds``, the fewest of a data set, ``cells`` of ``of_cells``. Every cell
    and seed weighs the same. Cells in which the reference is incomplete or zero are left out for all, and so are
    metrics that it has no score of; incomplete methods are treated as :mod:`rmtl_bench.statistics.aggregates` says.
    """
    return _aggregate(_IQM, scores, reference, higher_is_better, confidence, draws, seed, incomplete)


def probability_of_improvement(
    scores: pd.DataFrame,
    reference: str,
    higher_is_better: Mapping[str, bool],
    *,
    confidence: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
    incomplete: Incomplete = "exclude-method",
) -> pd.DataFrame:
    """Return the chance that a method is better than the reference with the same seed, in a cell taken at random.

    Columns: metric, method, probability, low, high and as for :func:`iqm`. Every cell weighs the same.
    """
    return _aggregate(_PROBABILITY, scores, reference, higher_is_better, confidence, draws, seed, incomplete)


def _gains(block: _Block) -> FloatArray:
    gains: FloatArray = 100 * (block.scores - block.reference) / np.abs(block.reference)
    return gains


def _wins(block: _Block) -> FloatArray:
    return 0.5 + 0.5 * np.sign(block.scores - block.reference)


def _trimmed(blocks: Sequence[FloatArray]) -> FloatArray:
    from scipy import stats

    flat = [block.reshape(*block.shape[:2], -1) for block in blocks]
    return np.asarray(stats.trim_mean(np.concatenate(flat, axis=2), 0.25, axis=2), dtype=np.float64)


def _mean_of_cells(blocks: Sequence[FloatArray]) -> FloatArray:
    return np.asarray(np.concatenate([block.mean(axis=3) for block in blocks], axis=2).mean(axis=2))


_IQM = _Aggregate("iqm", _gains, _trimmed, nonzero=True)
_PROBABILITY = _Aggregate("probability", _wins, _mean_of_cells, nonzero=False)


def _aggregate(
    kind: _Aggregate,
    scores: pd.DataFrame,
    reference: str,
    higher_is_better: Mapping[str, bool],
    confidence: float,
    draws: int,
    seed: int,
    incomplete: Incomplete,
) -> pd.DataFrame:
    finite = _checked(scores, reference, higher_is_better, confidence, incomplete)
    columns = ["metric", "method", kind.name, "low", "high", "seeds", "cells", "of_cells"]
    parts = []
    for metric, group in finite.groupby("metric", sort=True):
        sign = 1.0 if higher_is_better[str(metric)] else -1.0
        wide = group.pivot(index=["dataset", "task", "seed"], columns="method", values="value").sort_index()
        if reference not in wide:
            continue
        table, methods, blocks = _blocks(sign * wide, reference, incomplete, kind.nonzero)
        values = [kind.of_scores(block) for block in blocks]
        seeds = min((block.shape[2] for block in values), default=0)
        result = {key: np.full(len(table), np.nan) for key in (kind.name, "low", "high")}
        if values and methods.any():
            result[kind.name][methods] = kind.together([block[:, None] for block in values])[:, 0]
            if seeds >= MIN_SEEDS:
                drawn = _bootstrap(values, kind.together, draws, seed)
                bounds = np.quantile(drawn, [0.5 - confidence / 2, 0.5 + confidence / 2], axis=1)
                result["low"][methods], result["high"][methods] = bounds
        parts.append(table.assign(metric=metric, seeds=seeds, **result)[columns])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _checked(
    scores: pd.DataFrame, reference: str, higher_is_better: Mapping[str, bool], confidence: float, incomplete: str
) -> pd.DataFrame:
    check_confidence(confidence)
    check_incomplete(incomplete)
    finite = check_scores(scores)
    check_directions(finite["metric"].unique(), higher_is_better)
    known = finite["method"].unique()
    if reference not in known:
        raise UsageError(f"the reference {reference!r} has no scores{did_you_mean(reference, known)}")
    return finite


def _blocks(
    wide: pd.DataFrame, reference: str, incomplete: Incomplete, nonzero: bool
) -> tuple[pd.DataFrame, NDArray[np.bool_], list[_Block]]:
    """Return method and coverage of all but the reference, which of them are compared, and a block a data set."""
    cell = ["dataset", "task"]
    present = wide.notna().groupby(level=cell).all()
    usable = present[reference]
    if nonzero:
        usable = usable & (wide[reference] != 0).groupby(level=cell).all()
    others = [method for method in wide.columns if method != reference]
    dense = compared(present.loc[usable, others], incomplete)
    table = pd.DataFrame({"method": others, "cells": dense.cells, "of_cells": len(present)})
    kept = [method for method, keep in zip(others, dense.methods, strict=True) if keep]
    cells = present.index[usable][dense.rows]
    blocks = []
    for dataset in cells.unique("dataset"):
        tasks = [task for name, task in cells if name == dataset]
        # [methods and the reference, tasks, seeds]; a seed that a task lacks for all methods is left out.
        of_tasks = [matrix(wide.loc[(dataset, task), [*kept, reference]].T) for task in tasks]
        seeds = [wide.loc[(dataset, task)].index for task in tasks]
        shared = [seed for seed in seeds[0] if all(seed in of_task for of_task in seeds)]
        columns = [of_task.get_indexer(shared) for of_task in seeds]
        block = np.stack([values[:, picked] for values, picked in zip(of_tasks, columns, strict=True)], axis=1)
        blocks.append(_Block(block[:-1], block[-1]))
    return table, dense.methods, blocks


def _bootstrap(blocks: Sequence[FloatArray], statistic: Statistic, draws: int, seed: int) -> FloatArray:
    """Return [methods, draws] of the statistic over resampled seeds, the same ones for all methods and tasks."""
    generator = np.random.default_rng(seed)
    picked = [generator.integers(0, block.shape[2], (draws, block.shape[2])) for block in blocks]
    step = max(1, _BLOCK // max(1, sum(block.size for block in blocks)))
    parts = [
        statistic([np.moveaxis(block[:, :, at[rows]], 2, 1) for block, at in zip(blocks, picked, strict=True)])
        for rows in _slices(draws, step)
    ]
    return np.concatenate(parts, axis=1)


def _slices(length: int, step: int) -> Iterator[slice]:
    return (slice(start, start + step) for start in range(0, length, step))

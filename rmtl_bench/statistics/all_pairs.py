"""All pairs of the methods of one cell: mean and standard deviation of the differences ``d = a - b`` of each seed.

The differences themselves are formed, a block of pairs at a time: from a Gram matrix of the scores they would be faster
still, and lose to cancellation what methods have in common.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmtl_bench.statistics.frames import CELL, FloatArray, matrix
from rmtl_bench.statistics.paired import FLOAT_NOISE
from rmtl_bench.statistics.verdicts import MIN_SEEDS

# Small enough for a processor's own memory.
_BLOCK = 2**16


@dataclass(frozen=True)
class AllPairs:
    """The pairs of n rows, i < j, in the order of ``numpy.triu_indices``; each array is [n * (n - 1) / 2].

    ``sd`` is 0 where ``constant`` says that the difference is the same for every seed, up to rounding.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    difference: FloatArray
    sd: FloatArray
    constant: NDArray[np.bool_]


def all_pairs(values: FloatArray) -> AllPairs:
    """Compare every two rows of [methods, seeds], without gaps and with at least 2 seeds."""
    methods, seeds = values.shape
    first, second = np.triu_indices(methods, k=1)
    by_seed = np.ascontiguousarray(values.T)
    difference, variance = np.empty(len(first)), np.empty(len(first))
    step = max(1, _BLOCK // seeds)
    for start in range(0, len(first), step):
        block = slice(start, start + step)
        d = by_seed.take(first[block], axis=1) - by_seed.take(second[block], axis=1)
        difference[block] = d.mean(axis=0)
        d -= difference[block]
        variance[block] = np.einsum("ij,ij->j", d, d) / (seeds - 1)
    size = np.abs(values).max(axis=1, initial=0.0)
    sd = np.sqrt(variance)
    constant = sd <= FLOAT_NOISE * np.maximum(size[first], size[second])
    return AllPairs(first, second, difference, np.where(constant, 0.0, sd), constant)


def complete_cells(
    wide: pd.DataFrame, incomplete: pd.DataFrame | None
) -> Mapping[tuple[str, str, str], NDArray[np.intp]]:
    """Return, by (dataset, task, metric), the rows of ``wide_scores`` that may be compared with each other.

    A method is left out of a cell where it stands in ``incomplete`` (dataset, task, metric, method), or lacks a seed
    that another one of the cell has; with fewer than 3 seeds a cell has no rows.
    """
    values = matrix(wide)
    out = np.zeros(len(wide), dtype=bool)
    if incomplete is not None and len(incomplete):
        out = wide.index.isin(pd.MultiIndex.from_frame(incomplete[[*CELL, "method"]]))
    kept = {}
    for cell, every in wide.index.to_frame(index=False).groupby(CELL, sort=False).indices.items():
        rows = every[~out[every]]
        there = np.isfinite(values[rows])
        seeds = there.any(axis=0)
        kept[cell] = rows[there[:, seeds].all(axis=1)] if seeds.sum() >= MIN_SEEDS else rows[:0]
    return kept

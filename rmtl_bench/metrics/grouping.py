"""Rows that belong together: users and sessions as small numbers, and scores in order within each.

Every step is a pass or a sort over plain 64-bit numbers: numpy sorts those several times faster than it sorts
by two columns, or finds the permutation that sorts one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SPREAD = 4
"""Ids are numbered by subtraction alone where their range is at most this many times the number of rows."""

BLOCK = 2**18
"""Rows of a block of :func:`blocks`: few enough that what is made of them stays in a processor's cache."""


def blocks(ids: NDArray[np.integer]) -> Iterator[slice]:
    """Yield slices of all rows that part no group of equal ids [N].

    They hold about :data:`BLOCK` rows each, or a larger group, where the ids are sorted; else all rows at once.
    """
    cuts = np.zeros(0, dtype=np.int64)
    if np.all(ids[1:] >= ids[:-1]):
        cuts = np.searchsorted(ids, ids[BLOCK::BLOCK])
    for start, stop in itertools.pairwise(np.unique([0, *cuts, len(ids)])):
        yield slice(start, stop)


def group_codes(ids: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return a number [N] from 0 up for every row: equal where the ids [N] are equal, ordered as they are.

    No number is as large as :data:`SPREAD` times N, so that an array of that length can be indexed by them;
    not every smaller number need occur. Any integer type and range will do.
    """
    if len(ids) == 0:
        return np.zeros(0, dtype=np.int64)
    low, high = int(ids.min()), int(ids.max())
    if high - low < SPREAD * len(ids):
        # Modulo 2^64, which neither a narrow type nor one without a sign can overflow.
        return (ids.astype(np.uint64) - np.uint64(low % 2**64)).view(np.int64)
    if np.all(ids[1:] >= ids[:-1]):
        codes: NDArray[np.int64] = np.cumsum(changes(ids), dtype=np.int64) - 1
        return codes
    places: NDArray[np.int64] = np.unique(ids, return_inverse=True)[1].astype(np.int64, copy=False)
    return places


def changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return True [N] where a value differs from the one before it; the first always does."""
    changed = np.ones(len(values), dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed


class Sorted(NamedTuple):
    """Rows by group, then score: ``order`` int64 [N] holds the rows in that order.

    ``new_group`` and ``new_score`` bool [N] are True where, in that order, a row's group or score differs from
    that of the row before it.
    """

    order: NDArray[np.int64]
    new_group: NDArray[np.bool_]
    new_score: NDArray[np.bool_]


def sort_within_groups(codes: NDArray[np.int64], scores: NDArray[Any]) -> Sorted:
    """Return the rows by group, then score; equal scores of a group in any order.

    ``codes`` [N] as of :func:`group_codes`, ``scores`` [N] any real numbers but NaN; 0 < N < 2^30. A row is
    packed into 64 bits: its group, its score rounded down to the bits that are left (some 23 for ten million
    rows of a hundred thousand groups), and its place. Sorting these leaves wrong only the few rows of a group
    whose scores round alike and differ; they are put right by their whole scores.
    """
    row_bits = (len(codes) - 1).bit_length()
    level_bits = min(64 - row_bits - int(codes.max()).bit_length(), 52)
    key = _levels(scores, level_bits)
    key |= codes.view(np.uint64) << np.uint64(level_bits)
    key <<= np.uint64(row_bits)
    key |= np.arange(len(codes), dtype=np.uint64)
    key.sort()
    order = (key & np.uint64(2**row_bits - 1)).view(np.int64)
    key >>= np.uint64(row_bits)
    in_order = scores[order]
    new_score, new_cell = changes(in_order), changes(key)
    mixed = new_score & ~new_cell
    if mixed.any():
        rows = _rows_of_marked(mixed, np.flatnonzero(new_cell))
        by_score = np.lexsort((in_order[rows], key[rows]))
        order[rows] = order[rows[by_score]]
        new_score = changes(scores[order])
    key >>= np.uint64(level_bits)
    return Sorted(order, changes(key), new_score)


def _levels(scores: NDArray[Any], bits: int) -> NDArray[np.uint64]:
    """Return the scores [N] as whole numbers below 2^bits that never decrease where the scores increase."""
    low, high = float(scores.min()), float(scores.max())
    if not 0 < high - low < math.inf:
        return np.zeros(len(scores), dtype=np.uint64)
    level: NDArray[np.float64] = np.subtract(scores, low, dtype=np.float64)
    level /= high - low
    level *= 2**bits - 1
    return level.astype(np.uint64)


def _rows_of_marked(marked: NDArray[np.bool_], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return all rows of those groups in which a row is marked; ``starts`` holds each group's first row."""
    chosen = np.logical_or.reduceat(marked, starts)
    return np.flatnonzero(np.repeat(chosen, np.diff(starts, append=len(marked))))

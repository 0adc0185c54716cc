"""Curves in a line of text, one character a point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BLOCKS = "▁▂▃▄▅▆▇█"
"""From low to high."""

ASCII_BLOCKS = "_.-:=+*#"
"""From low to high, where an encoding has no blocks."""

LONGEST = 40
"""The most characters of a curve."""

_GAP = " "
# A curve that varies by less than this share of its size varies by rounding alone.
_FLAT = 1e-9


def sparkline(values: Sequence[float], ascii: bool = False) -> str:  # noqa: A002
    """Return a curve from its lowest value to its highest; see :func:`sparklines`."""
    return sparklines([values], ascii)


def sparklines(parts: Sequence[Sequence[float]], ascii: bool = False) -> str:  # noqa: A002
    """Return curves on one common scale, one after the other, with a bar between them.

    A value that is not finite is a gap, a constant flat, in the middle. What is longer than :data:`LONGEST` in all is
    averaged into that many characters, each part at least one; the bars come on top. A part without a value gives none.
    """
    arrays = [np.asarray(part, dtype=np.float64) for part in parts]
    total = sum(len(array) for array in arrays)
    if total > LONGEST:
        arrays = [_averaged(array, max(1, round(LONGEST * len(array) / total))) for array in arrays if len(array)]
    finite = [array[np.isfinite(array)] for array in arrays]
    found = np.concatenate(finite) if finite else np.array([])
    blocks = ASCII_BLOCKS if ascii else BLOCKS
    bar = "|" if ascii else "│"
    if not len(found):
        return bar.join(_GAP * len(array) for array in arrays if len(array))
    low, high = float(found.min()), float(found.max())
    return bar.join(_line(array, low, high, blocks) for array in arrays if len(array))


def _averaged(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Return the means of ``length`` parts of almost one size, over what is finite in each; NaN where nothing is."""
    if len(values) <= length:
        return values
    place = np.arange(len(values)) * length // len(values)
    finite = np.isfinite(values)
    counts = np.bincount(place[finite], minlength=length)
    sums = np.bincount(place[finite], weights=values[finite], minlength=length)
    means = np.full(length, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def _line(values: NDArray[np.float64], low: float, high: float, blocks: str) -> str:
    size = max(abs(low), abs(high))
    if size == 0 or high / size - low / size <= _FLAT:
        levels = np.where(np.isfinite(values), (len(blocks) - 1) // 2, 0)
    else:
        # Divided first: the difference of two large numbers need not be finite.
        share = (values / size - low / size) / (high / size - low / size)
        # The half of a range is to have one block, however it is rounded.
        levels = np.nan_to_num(share * len(blocks) + _FLAT, nan=0.0, posinf=0.0, neginf=0.0).astype(int)
    characters = np.array(list(blocks))[levels.clip(0, len(blocks) - 1)]
    return "".join(np.where(np.isfinite(values), characters, _GAP).tolist())

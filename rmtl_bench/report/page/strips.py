"""Strips: one small drawing a row, of the interval, the seeds and the reference, on the scale of the whole cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from rmtl_bench.report.document import number

WIDTH, HEIGHT = 160, 16
"""The size of a strip, in its own units."""

_EDGE = 6
_MIDDLE = HEIGHT // 2
_FENCE = 3.0
_AIR = 0.05


class Scale(NamedTuple):
    """The values at the left and the right end of a strip."""

    low: float
    high: float

    def place(self, value: float) -> float:
        """Return where a value is drawn; beyond the scale, at its end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(_EDGE + share * (WIDTH - 2 * _EDGE), 1)


def scale_of(values: NDArray[np.float64]) -> Scale | None:
    """Return the scale of the scores of a cell, None where none is finite.

    A score further from the median than three times the middle 80 % does not stretch it.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    low, middle, high = np.quantile(finite, (0.1, 0.5, 0.9))
    if high > low:
        finite = finite[np.abs(finite - middle) <= _FENCE * (high - low)]
    low, high = float(finite.min()), float(finite.max())
    air = _AIR * (high - low) or abs(low) * 1e-3 or 1e-6
    return Scale(low - air, high + air)


def strip(scale: Scale, mean: float, low: float, high: float, seeds: Sequence[float], reference: float) -> Markup:
    """Draw a row: a line for the interval, a dot a seed, a tick for the mean, a thin line for the reference's mean.

    An interval that goes beyond the scale ends in an arrow. Without a mean nothing is drawn but the reference.
    """
    parts = []
    said = ["seeds " + " ".join(map(number, seeds))] if len(seeds) else ["no seed"]
    if math.isfinite(reference):
        parts.append(f'<path class="ref" d="M{scale.place(reference):g} 0v{HEIGHT}"/>')
        said.append(f"reference {number(reference)}")
    if math.isfinite(low) and math.isfinite(high):
        parts.append(f'<path class="ci" d="{_interval(scale, low, high)}"/>')
        said.insert(0, f"interval {number(low)} to {number(high)}")
    if len(seeds):
        # A line of no length with round ends is a dot.
        dots = "".join(f"M{scale.place(seed):g} {_MIDDLE}h0" for seed in seeds)
        parts.append(f'<path class="dot" d="{dots}"/>')
    if math.isfinite(mean):
        parts.append(f'<path class="mean" d="M{scale.place(mean):g} 3v{HEIGHT - 6}"/>')
    title = f"<title>{'; '.join(said)}</title>"
    return Markup(f'<svg class="strip" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{title}{"".join(parts)}</svg>')  # noqa: S704 -- numbers alone


def _interval(scale: Scale, low: float, high: float) -> str:
    line = f"M{scale.place(low):g} {_MIDDLE}H{scale.place(high):g}"
    left = f"M{_EDGE} {_MIDDLE - 3}l-4 3 4 3" if low < scale.low else ""
    right = f"M{WIDTH - _EDGE} {_MIDDLE - 3}l4 3-4 3" if high > scale.high else ""
    return line + left + right

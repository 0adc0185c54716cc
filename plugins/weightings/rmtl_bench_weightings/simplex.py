"""The projection onto the simplex, for MoCo and PE-LTR."""

from __future__ import annotations

import torch
from torch import Tensor


def project_onto_simplex(values: Tensor, total: float | Tensor = 1.0) -> Tensor:
    """Return the point nearest to ``values`` [K] whose coordinates are at least 0 and sum to ``total`` >= 0.

    Exact, by sorting (Held, Wolfe and Crowder, 1974): the same number is taken from every coordinate, and what falls
    below 0 becomes 0. A NaN among the values makes every coordinate NaN.
    """
    ordered = values.sort(descending=True).values
    counts = torch.arange(1, len(values) + 1).to(values)
    taken = (ordered.cumsum(0) - total) / counts
    positive = (ordered > taken).sum().clamp(min=1)
    return (values - taken[positive - 1]).clamp(min=0)

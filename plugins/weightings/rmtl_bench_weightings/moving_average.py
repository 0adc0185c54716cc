"""Exponential moving averages of what need not be there at every step, for MetaBalance and GradCraft.

An average is a tensor [..., 2, K]: the decayed sums of the values seen, and those of their weights. Their ratio is free
of the bias towards 0 that an average started at 0 has. Where every value is there at every step that bias is a common
factor, which no ratio of two averages shows.
"""

from __future__ import annotations

import torch
from torch import Tensor


def moved_on(average: Tensor, values: Tensor, seen: Tensor, beta: float) -> Tensor:
    """Return the average [..., 2, K] after ``values`` [..., K]; where ``seen`` [..., K] is false, as it was."""
    after = beta * average + (1 - beta) * torch.stack([values, torch.ones_like(values)], dim=-2)
    return torch.where(seen.unsqueeze(-2), after, average)


def mean_of(average: Tensor) -> Tensor:
    """Return the mean [..., K] that an average [..., 2, K] stands at; 0 where nothing has been seen."""
    sums, weights = average.unbind(-2)
    return torch.where(weights == 0, 0.0, sums / weights)

"""Uncertainty weighting in closed form, UW-SO."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rmtl_bench.contracts import Task, Weighted
from rmtl_bench_weightings.balancing import LossBalancing


class SoftOptimalUncertainty(LossBalancing):
    """Soft optimal uncertainty weighting, UW-SO (Kirchdorfer et al., GCPR 2024)::

        L = sum_k w_k L_k,    w = softmax(1 / (T sg(L)))

    where sg stops the gradient: 1 / L_k is the weight that uncertainty weighting has at its optimum, and the softmax
    evens it. The weights sum to 1.

    The temperature is no detail. At losses of .2 and .05, which a click and a purchase may well have, T = 1 gives
    weights of 3e-7 and 1: one task is all that is trained. The paper finds T anew for every data set; the default of 10
    gives .18 and .82 there, near to what 1 / L_k itself gives, .2 and .8.

    A task without a label in the batch has weight 0, the others share 1. Where others differ: a port to LibMTL
    has T = 1, and adds 1e-8 to the losses.
    """

    capturable = True

    def __init__(self, tasks: Sequence[Task], temperature: float = 10.0) -> None:
        super().__init__(tasks)
        self.temperature = temperature

    def balance(self, means: Tensor, known: Tensor) -> Weighted:
        """Return the sum of the losses under the weights of this batch."""
        losses = means.detach()
        present = known & (losses != 0)
        # Two losses too small to be inverted would otherwise be infinity less infinity.
        largest = torch.finfo(losses.dtype).max
        inverse = (1 / (self.temperature * losses)).clamp(max=largest)
        shares = torch.where(present, inverse, -torch.inf).softmax(0)
        weights = torch.where(present, shares, 0.0)
        return Weighted((weights * means).sum(), weights)

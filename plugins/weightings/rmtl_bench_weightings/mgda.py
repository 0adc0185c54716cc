"""The shortest vector between the tasks' gradients, MGDA."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchjd.aggregation import MGDAWeighting

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.through_torchjd import OfGramian


class MinimumNorm(OfGramian):
    """Multiple-gradient descent, MGDA (Désidéri 2012; Sener and Koltun, NeurIPS 2018)::

        w = argmin |sum_k w_k g_k|^2    over the simplex

    At two tasks in closed form, w_1 = clip((g_2 - g_1) . g_2 / |g_1 - g_2|^2, 0, 1); two equal gradients share evenly.
    From three tasks on by the Frank-Wolfe solver of ``torchjd.aggregation.MGDAWeighting``, which stops at a step below
    1e-3 or after 100. The weights sum to 1. With ``scope = "representation"`` it is the paper's MGDA-UB.
    """

    def __init__(self, tasks: Sequence[Task], scope: str = "shared") -> None:
        super().__init__(tasks, scope)
        self.wrap(MGDAWeighting())

    def balance(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Return the weights of the shortest vector."""
        if len(gramian) > 2:
            return super().balance(gramian, losses)
        distance = gramian[0, 0] - 2 * gramian[0, 1] + gramian[1, 1]
        if distance <= 0:
            return torch.full_like(losses, 0.5)
        first = ((gramian[1, 1] - gramian[0, 1]) / distance).clamp(0, 1)
        return torch.stack([first, 1 - first])

"""The shortest direction in which every task has a least weight, PE-LTR."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rmtl_bench.contracts import Task, UsageError
from rmtl_bench_weightings.balancing import GramianBalancing
from rmtl_bench_weightings.simplex import project_onto_simplex

_ACCURACY = 1e-6


class ParetoEfficient(GramianBalancing):
    """Pareto-efficient learning to rank, PE-LTR (Lin et al., RecSys 2019), made for e-commerce::

        min |sum_k w_k g_k|^2    subject to    w_k >= c,    sum_k w_k = 1

    in the paper's two steps. First without w >= c, where the conditions of Karush, Kuhn and Tucker are linear::

        [G  e] [w]   [0]
        [e' 0] [l] = [1],    G the Gramian, e a vector of ones

    then the point of {w >= c, sum_k w_k = 1} that is nearest to this w. For two tasks that is the minimum; from three
    on it need not be, which is where this is not MGDA with a bound.

    c is ``least``, the same for every task, 0.1 by default: bounds are the preferences of the paper, and without one
    (0) a task may get no weight at all. It can be 1/K at most, where all weights are equal. Gradients that are
    linearly dependent to the accuracy of float32, so that many w are best, share evenly. The weights sum to 1; a task
    without a label in the batch has weight 0.

    Where others differ: TorchEasyRec takes the gradients on all parameters of the model (``scope = "all"``), one bound
    a task, and reaches the same projection by SLSQP.

    Raises :class:`UsageError` where the least weights of all tasks exceed 1.
    """

    def __init__(self, tasks: Sequence[Task], least: float = 0.1, scope: str = "shared") -> None:
        super().__init__(tasks, scope)
        number = len(self.tasks)
        if not 0 <= least * number <= 1:
            raise UsageError(
                f"weighting 'pe-ltr': parameter 'least' is {least!r}; with {number} tasks it takes values from 0 to "
                f"1/{number}"
            )
        self.least = least

    def balance(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Return the weights [k], at least ``least`` and summing to 1."""
        return self.least + project_onto_simplex(_relaxed(gramian) - self.least, 1 - self.least * len(losses))


def _relaxed(gramian: Tensor) -> Tensor:
    """Return the w [k] that sums to 1 and makes w' G w smallest, whatever its signs."""
    norms = gramian.diagonal().sqrt()
    # In terms of w_k |g_k| the system holds cosines: gradients of very different lengths do not spoil it.
    lengths = norms / norms.min()
    size = len(norms)
    system = torch.zeros(size + 1, size + 1).to(gramian)
    system[:size, :size] = gramian / norms.outer(norms)
    system[:size, size] = system[size, :size] = 1 / lengths
    inverse: Tensor = torch.linalg.pinv(system, rtol=_ACCURACY, hermitian=True)
    return inverse[:size, size] / lengths

"""Stochastic weights held to the mean direction, SDMGrad."""

from __future__ import annotations

from collections.abc import Sequence

from torchjd.aggregation import SDMGradWeighting

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.through_torchjd import OfGramian


class DirectionOriented(OfGramian):
    """Direction-oriented multi-objective learning, SDMGrad (Xiao, Ban and Ji, NeurIPS 2023)::

        w = argmin over the simplex of |sum_k (w_k + lambda / K) g_k|^2
        d = sum_k (w_k + lambda / K) g_k / (1 + lambda)

    through ``torchjd.aggregation.SDMGradWeighting``: 20 projected gradient steps (step size 10, momentum 0.5) from the
    last step's w, on J_1 J_2^T of independent batches, scaled by the mean length of the gradients. lambda = 0.3 as in
    the authors' experiments (0.6 in their class).

    Where others differ: the paper and LibMTL draw three batches a step, two for the weights and one for the direction.
    Here the two are halves of the batch, whose sum gives the direction, too: at the cost of one, the weights depend
    on the rows they weigh.
    """

    keeps_state = True

    def __init__(self, tasks: Sequence[Task], pull: float = 0.3, steps: int = 20, scope: str = "shared") -> None:
        super().__init__(tasks, scope)
        self.two_halves = len(self.tasks) > 1
        self.wrap(SDMGradWeighting(n_iter=steps, lambda_=pull))

"""Weights from two independent halves of the batch, MoDo."""

from __future__ import annotations

from collections.abc import Sequence

from torchjd.aggregation import MoDoWeighting

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.through_torchjd import OfGramian


class DoubleSampled(OfGramian):
    """Multi-objective gradient with double sampling, MoDo (Chen et al., NeurIPS 2023, JMLR 2024)::

        w <- Proj_simplex(w - gamma (J_1 J_2^T + rho I) w),    d = (J_1 + J_2)^T w / 2

    through ``torchjd.aggregation.MoDoWeighting``: of two independent batches, J_1 J_2^T is free of the bias of J J^T.
    gamma = 0.1 and rho = 0.1 are torchjd's; w = 1/K at the start, and sums to 1.

    Where others differ: the paper and LibMTL draw two or three batches a step, at two or three times the cost. Here the
    two are halves of the batch, at the cost of one; J_1 J_2^T is as unbiased, and noisier.
    """

    keeps_state = True

    def __init__(
        self, tasks: Sequence[Task], step_size: float = 0.1, ridge: float = 0.1, scope: str = "shared"
    ) -> None:
        super().__init__(tasks, scope)
        self.two_halves = len(self.tasks) > 1
        self.wrap(MoDoWeighting(gamma=step_size, rho=ridge))

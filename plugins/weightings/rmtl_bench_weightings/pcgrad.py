"""Gradients without what conflicts with other tasks, PCGrad."""

from __future__ import annotations

from collections.abc import Sequence

from torchjd.aggregation import PCGradWeighting

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.through_torchjd import OfGramian


class ProjectedGradients(OfGramian):
    """Projecting conflicting gradients, PCGrad (Yu et al., NeurIPS 2020)::

        for each task i, for the others j in random order:    if g_i' . g_j < 0:  g_i' -= (g_i' . g_j / |g_j|^2) g_j
        d = sum_i g_i'

    through ``torchjd.aggregation.PCGradWeighting``, on the Gramian alone. Without a conflict every weight is 1: plain
    training under ``fixed``. From three tasks on the orders are drawn from the weighting's own generator.

    Where others differ: some projections use the other task's already projected gradient; the paper's, and these, the
    original one.
    """

    def __init__(self, tasks: Sequence[Task], scope: str = "shared") -> None:
        super().__init__(tasks, scope)
        self.wrap(PCGradWeighting())

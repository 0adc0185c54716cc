"""The mean of the gradients, each without what conflicts with any other, UPGrad."""

from __future__ import annotations

from collections.abc import Sequence

from torchjd.aggregation import UPGradWeighting

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.dual_cone import LeastSquaresProjector
from rmtl_bench_weightings.through_torchjd import OfGramian


class UnconflictingProjection(OfGramian):
    """Unconflicting projection of gradients, UPGrad (Quinton and Rey, 2024)::

        d = (1/K) sum_k pi(g_k),    pi the projection onto the dual cone {d: g_j . d >= 0 for all j}

    through ``torchjd.aggregation.UPGradWeighting`` with torchjd's regularisation: 1e-4 on the diagonal of the Gramian
    of trace 1. The quadratic program is solved with scipy, not with torchjd's default solver
    (:mod:`~rmtl_bench_weightings.dual_cone`). At two tasks and without regularisation it is half of PCGrad's direction.
    """

    def __init__(self, tasks: Sequence[Task], scope: str = "shared") -> None:
        super().__init__(tasks, scope)
        self.wrap(UPGradWeighting(projector=LeastSquaresProjector()))

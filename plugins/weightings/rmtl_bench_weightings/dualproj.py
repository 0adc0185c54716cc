"""The mean gradient without what conflicts with any task, DualProj."""

from __future__ import annotations

from collections.abc import Sequence

from torchjd.aggregation import DualProjWeighting

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.dual_cone import LeastSquaresProjector
from rmtl_bench_weightings.through_torchjd import OfGramian


class DualProjection(OfGramian):
    """Projection of the mean gradient onto the dual cone, DualProj (after GEM, Lopez-Paz and Ranzato, NeurIPS 2017)::

        d = pi((1/K) sum_k g_k),    pi the projection onto {d: g_j . d >= 0 for all j}

    through ``torchjd.aggregation.DualProjWeighting`` with torchjd's regularisation: 1e-4 on the diagonal of the Gramian
    of trace 1. The quadratic program is solved with scipy (:mod:`~rmtl_bench_weightings.dual_cone`). GEM projects the
    gradient of a new task so that the losses on earlier ones do not rise; there is no earlier task here.
    """

    def __init__(self, tasks: Sequence[Task], scope: str = "shared") -> None:
        super().__init__(tasks, scope)
        self.wrap(DualProjWeighting(projector=LeastSquaresProjector()))

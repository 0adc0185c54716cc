"""Gradients brought to the similarity they usually have, GradVac."""

from __future__ import annotations

from collections.abc import Sequence

from torchjd.aggregation import GradVacWeighting

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.through_torchjd import OfGramian


class GradientVaccine(OfGramian):
    """Gradient vaccine, GradVac (Wang et al., ICLR 2021)::

        for each task i, for the others j in random order, phi = cos(g_i', g_j), t its moving average:
        if phi < t:   g_i' += g_j |g_i'| (t sqrt(1 - phi^2) - phi sqrt(1 - t^2)) / (|g_j| sqrt(1 - t^2))
        t <- (1 - beta) t + beta phi;    d = sum_i g_i'

    through ``torchjd.aggregation.GradVacWeighting``, on the Gramian alone; t = 0 at the start. beta is 0.5 as in
    torchjd and LibMTL; the paper's is 0.01. The paper takes cosines parameter group by group, here they are those of
    the whole scope, as in LibMTL. A task without a label in the batch has cosine 0, which its averages take in.
    """

    keeps_state = True

    def __init__(self, tasks: Sequence[Task], decay: float = 0.5, scope: str = "shared") -> None:
        super().__init__(tasks, scope)
        self.wrap(GradVacWeighting(beta=decay))

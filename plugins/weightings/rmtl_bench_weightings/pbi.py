"""Penalty-based boundary intersection, PBI."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchjd.scalarization import PBI

from rmtl_bench.contracts import Task, Weighted
from rmtl_bench_weightings.through_torchjd import Scalarized


class BoundaryIntersection(Scalarized):
    """Penalty-based boundary intersection, PBI (Zhang and Li, MOEA/D, IEEE TEC 2007)::

        d_1 = L . w / |w|,    d_2 = |L - d_1 w / |w||,    minimise d_1 + theta d_2,    w_k = 1

    through ``torchjd.scalarization.PBI``: the losses are to be small and of one size. theta is 5 as in the paper; a
    weight is then negative wherever a task's loss is far below the mean, which is raised to meet the others. The ideal
    point is 0. A task without a label in the batch counts as lying on the direction of the others.
    """

    capturable = True

    def __init__(self, tasks: Sequence[Task], penalty: float = 5.0) -> None:
        super().__init__(tasks)
        self.scalarizer = PBI(penalty, torch.ones(len(self.tasks)))

    def resting(self, means: Tensor, known: Tensor) -> Tensor:
        """Return the mean loss of the tasks that have one."""
        return ((means * known).sum() / known.sum().clamp(min=1)).expand_as(means)

    def balance(self, means: Tensor, known: Tensor) -> Weighted:
        """Return the scalar for the even direction, and its derivatives."""
        self.scalarizer.weights = torch.full_like(means.detach(), 1.0)
        return super().balance(means, known)

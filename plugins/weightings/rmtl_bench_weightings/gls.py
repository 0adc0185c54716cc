"""The geometric mean of the losses, GLS."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchjd.scalarization import GeometricMean

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.through_torchjd import Scalarized


class GeometricLoss(Scalarized):
    """Geometric loss strategy, GLS (Chennupati et al., MultiNet++, CVPR workshops 2019)::

        L = (prod_k L_k)^(1/K),    weight of task k: L / (K L_k)

    through ``torchjd.scalarization.GeometricMean``. No parameter. A task without a label in the batch counts as a
    factor of 1.

    Where others differ: LibMTL reports L / (K prod L) as weights, which they are not.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__(tasks)
        self.scalarizer = GeometricMean()

    def resting(self, means: Tensor, known: Tensor) -> Tensor:
        """Return a factor of 1."""
        return torch.ones_like(means)

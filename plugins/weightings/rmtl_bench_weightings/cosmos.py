"""A linear scalarization held to the direction of the preferences, COSMOS."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchjd.scalarization import COSMOS

from rmtl_bench.contracts import Task, Weighted
from rmtl_bench_weightings.through_torchjd import Scalarized


class CosineScalarized(Scalarized):
    """COSMOS (Ruchte and Grabocka, ICDM 2021)::

        L = sum_k r_k L_k - lambda cos(r, (L_1, ..., L_K)),    r_k = 1/K

    through ``torchjd.scalarization.COSMOS``. The paper draws a new preference r for each batch, feeds it to the model
    and so learns the whole Pareto front; here r is even and fixed, since one model is compared with others. lambda is
    0.01 to 8 in the paper, 0.1 here, where cross-entropies are well below 1. A weight can become negative.
    """

    capturable = True

    def __init__(self, tasks: Sequence[Task], cosine: float = 0.1) -> None:
        super().__init__(tasks)
        self.scalarizer = COSMOS(cosine, torch.ones(len(self.tasks)))

    def balance(self, means: Tensor, known: Tensor) -> Weighted:
        """Return the scalar for the even preference, and its derivatives."""
        self.scalarizer.weights = torch.full_like(means.detach(), 1 / len(self.tasks))
        return super().balance(means, known)

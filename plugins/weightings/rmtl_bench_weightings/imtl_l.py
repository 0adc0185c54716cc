"""Learned scales that bring every loss to one size, IMTL-L."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torchjd.scalarization import IMTLL

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.through_torchjd import Scalarized


class ImpartialLoss(Scalarized):
    """Impartial multi-task learning by losses, IMTL-L (Liu et al., ICLR 2021)::

        L = sum_k exp(s_k) L_k - s_k,    s_k learned with the model, 0 at the start

    through ``torchjd.scalarization.IMTLL``. The weight is exp(s_k); at its optimum exp(s_k) L_k = 1. It is twice the
    regression form of uncertainty weighting at -s_k. In a batch without any label of a task, s_k gets no gradient.
    """

    capturable = True

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__(tasks)
        self.scalarizer = IMTLL(len(self.tasks))

    def resting(self, means: Tensor, known: Tensor) -> Tensor:
        """Return exp(-s_k), where the gradient of s_k is 0."""
        return self.scalarizer.log_scale.detach().neg().exp().to(means)

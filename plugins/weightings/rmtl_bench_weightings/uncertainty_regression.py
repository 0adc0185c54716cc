"""Uncertainty weighting in the form for regression."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torchjd.scalarization import UW

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.through_torchjd import Scalarized


class UncertaintyRegression(Scalarized):
    """Homoscedastic uncertainty (Kendall et al., CVPR 2018), in the form for regression::

        L = sum_k exp(-s_k) L_k / 2 + s_k / 2,    s_k = log sigma_k^2, learned with the model, 0 at the start

    through ``torchjd.scalarization.UW``. The weight is exp(-s_k) / 2; at its optimum s_k = log L_k. LibMTL (with
    s_k = -0.5 at the start) and torchjd use this form for every loss; for cross-entropies the paper has the form of
    ``uncertainty``, whose weights at the optimum are the same, 1 / (2 L_k). In a batch without any label of a task,
    s_k gets no gradient.
    """

    capturable = True

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__(tasks)
        self.scalarizer = UW(len(self.tasks))

    def resting(self, means: Tensor, known: Tensor) -> Tensor:
        """Return exp(s_k), where the gradient of s_k is 0."""
        return self.scalarizer.log_var.detach().exp().to(means)

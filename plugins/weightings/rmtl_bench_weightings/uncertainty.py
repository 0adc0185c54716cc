"""Uncertainty weighting."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import Task, Weighted
from rmtl_bench_weightings.balancing import LossBalancing


class Uncertainty(LossBalancing):
    """Homoscedastic uncertainty (Kendall et al., CVPR 2018), in the form for classification::

        L = sum_k exp(-s_k) L_k + s_k / 2,    s_k = log sigma_k^2, learned with the model

    The weight is exp(-s_k). Its optimum is s_k = log(2 L_k), where the weighted loss of every task is 1/2.

    Where others differ: the paper's form for regression has L_k / 2, as LibMTL (s_k = -0.5 at the start) and
    TorchJD (0) use it for every loss; their optimum is log L_k. torch-rechub keeps s_k from going below 0, which
    caps the weights.

    In a batch without any label of a task, s_k gets no gradient: the term s_k / 2 alone would raise its weight.
    """

    capturable = True

    def __init__(self, tasks: Sequence[Task], initial_log_variance: float = 0.0) -> None:
        super().__init__(tasks)
        self.log_variances = nn.Parameter(torch.full((len(self.tasks),), initial_log_variance))

    def balance(self, means: Tensor, known: Tensor) -> Weighted:
        """Return the sum of the scaled losses and of the penalty on the variances."""
        weights = torch.exp(-self.log_variances)
        penalty = self.log_variances / 2 * known
        return Weighted((weights * means + penalty).sum(), weights.detach())

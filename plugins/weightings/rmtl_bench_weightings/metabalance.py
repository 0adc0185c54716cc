"""The auxiliary tasks' gradients brought near to the target task's in length, MetaBalance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rmtl_bench.contracts import GradientWeighting, Task, UsageError
from rmtl_bench.contracts.errors import did_you_mean
from rmtl_bench_weightings.balancing import LazyState
from rmtl_bench_weightings.moving_average import mean_of, moved_on


class MetaBalance(LazyState, GradientWeighting):
    """MetaBalance (He et al., WWW 2022), for each parameter tensor by itself::

        m_k <- beta m_k + (1 - beta) |g_k|,    d = sum_k (r m_target / m_k + 1 - r) g_k

    Made for recommendation: one task is the target, the others help it. r is ``relax``: at 1 every gradient gets the
    target's length, at 0 nothing is changed. beta = .9 and r = .7 as in the paper. What lies outside the scope gets the
    weights that the norms over the whole scope give, which are those reported. ``target`` names the target task; empty:
    the first.

    A task without a label in the batch keeps its averages. The averages are free of the bias of their start, which
    otherwise would be larger for a task whose labels are missing more often. A tensor on which the target has never
    had a gradient is left as it is, as the others' towers are in the scope ``all``.

    Where others differ: the authors' code starts its averages at 0, which is the same as long as no label is missing,
    and lets a zero gradient of a task count. It divides by 0 on tensors that a task does not reach.

    Raises :class:`UsageError` for a target that is no task.
    """

    lazy = ("averages",)

    def __init__(
        self, tasks: Sequence[Task], target: str = "", beta: float = 0.9, relax: float = 0.7, scope: str = "shared"
    ) -> None:
        super().__init__(tasks, scope)
        names = [task.name for task in self.tasks]
        if target and target not in names:
            raise UsageError(f"weighting 'metabalance': target {target!r} is no task{did_you_mean(target, names)}")
        self.target = names.index(target) if target else 0
        self.beta = beta
        self.relax = relax
        self.averages: Tensor | None = None

    def directions(self, jacobians: Sequence[Tensor], losses: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """Return a direction [n] for each tensor from its Jacobian [K, n], and the weights [K] of the whole scope."""
        if len(self.tasks) == 1:
            return [jacobian[0] for jacobian in jacobians], torch.ones_like(losses)
        by_tensor = torch.stack([jacobian.norm(dim=1) for jacobian in jacobians])
        weights = self._weights(torch.cat([by_tensor, by_tensor.norm(dim=0, keepdim=True)]))
        # A loss that is not finite has to show, even where the norms do not show it.
        reported = torch.where(losses.isfinite(), weights[-1], torch.nan)
        return [row @ jacobian for row, jacobian in zip(weights[:-1], jacobians, strict=True)], reported

    def _weights(self, norms: Tensor) -> Tensor:
        """Return the weights [T + 1, K] from the norms [T + 1, K], the last row those over all tensors."""
        rows, tasks = norms.shape
        before = norms.new_zeros(rows, 2, tasks) if self.averages is None else self.averages.to(norms)
        self.averages = moved_on(before, norms, norms != 0, self.beta)
        means = mean_of(self.averages)
        targets = means[:, [self.target]]
        return torch.where((means == 0) | (targets == 0), 1.0, 1 + self.relax * (targets / means - 1))

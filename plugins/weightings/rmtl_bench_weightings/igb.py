"""More weight where the loss has fallen least, IGB."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rmtl_bench.contracts import Task, Weighted
from rmtl_bench_weightings.balancing import LossBalancing


class ImprovableGap(LossBalancing):
    """Improvable gap balancing, IGB v1 (Dai et al., UAI 2023)::

        L = sum_k v_k log L_k,    v = K softmax(sg(L) / Lbase)

    where sg stops the gradient and Lbase_k is the task's mean loss in the first epoch, in which v = 1. The logarithm
    makes the scale of a loss irrelevant, v favours tasks that have come down least. The weights reported are those of
    the losses, v_k / L_k. No parameter. A training that ends after one epoch is one on the sum of the logarithms.

    A task without a label in the batch is left out, weight 0, and K counts the others. One without a label in the first
    epoch takes its base from the first epoch in which it has one; until then its ratio is 1.

    Where others differ: the authors' code has the base epoch as an option, and reports v. IGB v2, where reinforcement
    learning finds v, is not this.
    """

    capturable = True

    base: Tensor

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__(tasks)
        self.register_buffer("base", torch.zeros(len(self.tasks)))

    def balance(self, means: Tensor, known: Tensor) -> Weighted:
        """Return the weighted sum of the logarithms, and the derivatives of it by the losses."""
        losses = means.detach()
        present = known & (losses != 0)
        base = self.base.to(losses)
        ratios = torch.where(base > 0, losses / base, 1.0)
        shares = present.sum() * torch.where(present, ratios, -torch.inf).softmax(0)
        of_logarithms = torch.where(present, shares, 0.0)
        loss = (of_logarithms * torch.where(present, means, 1.0).log()).sum()
        return Weighted(loss, torch.where(present, of_logarithms / losses, 0.0))

    def after_epoch(self, losses: Tensor) -> None:
        """Keep the mean losses of the first epoch, and of later ones for tasks that had none."""
        self.base = torch.where(self.base > 0, self.base, losses.detach().to(self.base))

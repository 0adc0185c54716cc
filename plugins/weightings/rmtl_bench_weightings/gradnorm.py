"""Weights trained until all gradients have the norms they should have, GradNorm."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.balancing import GramianBalancing

_LEAST = 1e-3


class GradientNormalization(GramianBalancing):
    """Gradient normalisation, GradNorm (Chen et al., ICML 2018)::

        G_k = w_k |g_k|,    r_k = (L_k / L_k(0)) / mean_j (L_j / L_j(0)),    T_k = mean_j G_j  r_k^alpha
        w <- Adam(w, d/dw sum_k |G_k - T_k|), T_k held constant;    w <- K w / sum_j w_j

    so that tasks that have come down less get larger gradients. w = 1 at the start; L_k(0) is the loss of the first
    step in which the task has a label. alpha = 1.5, step size .025 as in the paper. The derivative is
    sign(G_k - T_k) |g_k|; it is written into the gradient of ``weights``, which the trainer's Adam moves by
    ``learning_rate``. The step is taken under the weights as they were, and after it they are held at 0.001 or above
    and brought to sum to K.

    The norms are those of the scope. The paper takes the last shared layer alone; ``scope = "representation"``, the
    gradient on that layer's output, is nearest to it, and cheapest.

    A task without a label in the batch has no part in the means and no gradient on its weight, which Adam's momentum
    and the sum to K may still move.

    Where others differ: LibMTL has w = K softmax(.) of what is learned, trained at the model's learning rate, with
    unit weights in the first epoch, whose mean losses are L_k(0).
    """

    keeps_state = True
    initial: Tensor

    def __init__(
        self, tasks: Sequence[Task], alpha: float = 1.5, learning_rate: float = 0.025, scope: str = "shared"
    ) -> None:
        super().__init__(tasks, scope)
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.weights = nn.Parameter(torch.ones(len(self.tasks)))
        self.register_buffer("initial", torch.zeros(len(self.tasks)))

    def balance(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Return the weights of this step, and leave the gradient that leads to those of the next."""
        initial = self.initial.to(losses)
        initial = torch.where(initial == 0, losses, initial)
        self.initial = initial.to(self.initial)
        weights = self.weights.detach().to(losses)
        norms = gramian.diagonal().sqrt()
        excess = weights * norms - target_norms(weights * norms, losses, initial, self.alpha)
        self.weights.grad = torch.where(losses == 0, 0.0, excess.sign() * norms).to(self.weights)
        return weights

    @torch.no_grad()
    def after_step(self) -> None:
        """Hold the weights above 0 and bring them to sum to the number of tasks."""
        positive = self.weights.clamp(min=_LEAST)
        self.weights.copy_(positive * len(self.tasks) / positive.sum())


def target_norms(norms: Tensor, losses: Tensor, initial: Tensor, alpha: float) -> Tensor:
    """Return the norms [K] that weighted gradients of ``norms`` [K] should have, from losses and initial losses [K].

    Undefined for tasks of loss 0, which have no part in the others' norms.
    """
    present = losses != 0
    rates = torch.where(present, losses / initial, torch.nan)
    mean_norm = torch.where(present, norms, torch.nan).nanmean()
    return mean_norm * (rates / rates.nanmean()) ** alpha

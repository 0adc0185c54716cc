"""Gradients of one sign at a time, GradDrop."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchjd.aggregation import GradDrop

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.through_torchjd import OfJacobian


class SignDropout(OfJacobian):
    """Gradient sign dropout, GradDrop (Chen et al., NeurIPS 2020), element by element of the gradients::

        P = (1 + sum_k g_k / sum_k |g_k|) / 2,    U ~ U(0, 1):    keep the positive g_k if P > U, the negative if P < U
        d = sum_k (l + (1 - l) kept) g_k

    through ``torchjd.aggregation.GradDrop``; the leak l is 0 by default. U is drawn
    from the weighting's own generator. The direction is no sum of whole gradients: what lies outside the scope has
    weight 1, which is what is reported.

    The paper takes the gradients on a layer's activations, summed over the batch after a multiplication with the sign
    of the activation; ``scope = "representation"`` takes them there, each row for itself.
    """

    def __init__(self, tasks: Sequence[Task], leak: float = 0.0, scope: str = "shared") -> None:
        super().__init__(tasks, scope)
        self.wrap(GradDrop())
        self.leak = leak

    def balance(self, jacobian: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
        """Return the signs' direction, and weights of 1."""
        weights = torch.ones_like(losses)
        if self.leak:
            self.method.leak = self.leak * weights.to(jacobian)
        return self.ask(jacobian), weights

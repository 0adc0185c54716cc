"""Dynamic weight average."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from rmtl_bench.contracts import Batch, LossWeighting, Task, TaskLosses, Weighted


class DynamicWeightAverage(LossWeighting):
    """Dynamic weight average, DWA (Liu et al., CVPR 2019)::

        L = sum_k w_k L_k,    w(t) = K softmax(r(t-1) / T),    r_k(t-1) = Lbar_k(t-1) / Lbar_k(t-2)

    where Lbar_k(t) is the task's mean training loss in epoch t, and w = 1 in the first two epochs; T = 2 as in the
    paper. Weights sum to K. A training that stops after two epochs is one with unit weights. A task whose mean loss
    two epochs ago was 0 (it had no label) counts as unchanged, r_k = 1.
    """

    capturable = True

    weights: Tensor
    previous: Tensor

    def __init__(self, tasks: Sequence[Task], temperature: float = 2.0) -> None:
        super().__init__(tasks)
        self.temperature = temperature
        self.register_buffer("weights", torch.ones(len(self.tasks)))
        self.register_buffer("previous", torch.zeros(len(self.tasks)))

    def combine(self, losses: TaskLosses, logits: Tensor, batch: Batch) -> Weighted:
        """Return the sum of the losses under the weights of this epoch."""
        return Weighted((self.weights * losses.mean()).sum(), self.weights)

    @classmethod
    def combine_side_by_side(
        cls, weightings: Sequence[Self], losses: TaskLosses, logits: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        """Return the sums [S] of several seeds, and the weights [S, K] of this epoch."""
        weights = torch.stack([own.weights for own in weightings])
        return (weights * losses.mean()).sum(1), weights

    def after_epoch(self, losses: Tensor) -> None:
        """Set the weights of the next epoch from the mean losses of this one and of the one before."""
        losses = losses.detach().to(self.previous)
        if bool(self.previous.any()):
            rates = torch.where(self.previous > 0, losses / self.previous, 1.0)
            # A new tensor, not a change in place: weights already reported to the history stay what they were.
            self.weights = len(self.tasks) * (rates / self.temperature).softmax(0)
        self.previous = losses.clone()

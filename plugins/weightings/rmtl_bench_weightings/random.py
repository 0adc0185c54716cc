"""Random weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from rmtl_bench.contracts import Batch, LossWeighting, TaskLosses, Weighted


class Random(LossWeighting):
    """Random loss weighting, RLW (Lin et al., TMLR 2022)::

        L = sum_k w_k L_k,    w = softmax(z),  z ~ N(0, I) anew at each step

    The weights sum to 1, as in the paper, LibMTL and TorchJD: on average, the loss is 1/K of that of unit weights.
    Draws come from ``generator``, on the CPU, so that they are the same on every device. A generator is no part of a
    state_dict: weights loaded in the middle of a training go on with whatever draws the trainer seeded.
    """

    def combine(self, losses: TaskLosses, logits: Tensor, batch: Batch) -> Weighted:
        """Return the sum of the losses under newly drawn weights."""
        means = losses.mean()
        weights = torch.randn(len(self.tasks), generator=self.generator).softmax(0).to(means.device, non_blocking=True)
        return Weighted((weights * means).sum(), weights)

    @classmethod
    def combine_side_by_side(
        cls, weightings: Sequence[Self], losses: TaskLosses, logits: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        """Return the sums [S] of several seeds, each under its own draw, and the weights [S, K]."""
        drawn = torch.stack([torch.randn(len(own.tasks), generator=own.generator) for own in weightings])
        weights = drawn.softmax(1).to(logits.device, non_blocking=True)
        return (weights * losses.mean()).sum(1), weights

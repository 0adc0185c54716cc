"""Fixed weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from rmtl_bench.contracts import Batch, LossWeighting, Task, TaskLosses, UsageError, Weighted


class Fixed(LossWeighting):
    """Constant weights::

        L = sum_k w_k L_k

    Without weights given, w_k = 1 for each task (as in LibMTL), not 1/K (as in MTReclib, RMTL and torch-rechub):
    the sum of the losses, not their mean. Adam all but hides the factor, weight decay and SGD do not.
    """

    capturable = True

    weights: Tensor

    def __init__(self, tasks: Sequence[Task], weights: Sequence[float] = ()) -> None:
        super().__init__(tasks)
        if weights and len(weights) != len(self.tasks):
            given, names = ", ".join(f"{w:g}" for w in weights), ", ".join(t.name for t in self.tasks)
            raise UsageError(
                f"weighting 'fixed': {len(weights)} weights ({given}) do not fit {len(self.tasks)} tasks ({names})"
            )
        self.register_buffer("weights", torch.tensor(weights or [1.0] * len(self.tasks), dtype=torch.float32))

    def combine(self, losses: TaskLosses, logits: Tensor, batch: Batch) -> Weighted:
        """Return the weighted sum of the tasks' mean losses."""
        return Weighted((self.weights * losses.mean()).sum(), self.weights)

    @classmethod
    def combine_side_by_side(
        cls, weightings: Sequence[Self], losses: TaskLosses, logits: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        """Return the weighted sums [S] of several seeds, and the weights [S, K]."""
        weights = torch.stack([own.weights for own in weightings])
        return (weights * losses.mean()).sum(1), weights

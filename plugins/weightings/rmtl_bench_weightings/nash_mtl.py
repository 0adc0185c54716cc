"""The bargaining solution between the tasks, Nash-MTL."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchjd.aggregation import FairGradWeighting

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.fairgrad import fair_weights
from rmtl_bench_weightings.through_torchjd import OfGramian

_LEAST = 1e-6
"""Opposed gradients have no bargain: 1 + cos is kept from falling below this."""


class NashBargaining(OfGramian):
    """Nash-MTL (Navon et al., ICML 2022)::

        G w = 1 / w,    w > 0

    At two tasks in closed form, w_k = 1 / (|g_k| sqrt(1 + cos)), cos that of the two gradients. From three tasks on by
    ``torchjd.aggregation.FairGradWeighting`` at alpha = 1, the same equation, solved with scipy. The direction has the
    length sqrt(K), always.

    Where others differ: the authors' code, which LibMTL and torchjd's ``NashMTL`` follow, solves a sequence of convex
    programs with cvxpy and ECOS from the last step's solution, stops early, falls back to old weights where the solver
    fails, and clips the direction to length 1: a factor of 1 / sqrt(K) here, which Adam forgives.
    """

    def __init__(self, tasks: Sequence[Task], scope: str = "shared") -> None:
        super().__init__(tasks, scope)
        self.wrap(FairGradWeighting(1.0))

    def balance(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Return the bargaining weights."""
        if len(gramian) > 2:
            return fair_weights(self.method, gramian)
        lengths = gramian.diagonal().sqrt()
        cosine = gramian[0, 1] / lengths.prod()
        return 1 / (lengths * torch.sqrt((1 + cosine).clamp(min=_LEAST)))

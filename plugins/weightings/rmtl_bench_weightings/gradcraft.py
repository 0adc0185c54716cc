"""Gradients of nearly one length, each freed of all its conflicts at once, GradCraft."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.balancing import GramianBalancing
from rmtl_bench_weightings.moving_average import mean_of, moved_on

_ACCURACY = 1e-6


class GradientCrafting(GramianBalancing):
    """GradCraft (Bai et al., KDD 2024), made for recommendation::

        m_k <- beta m_k + (1 - beta) |g_k|,    h_k = (r max_j m_j / m_k + 1 - r) g_k
        for each task i, with C = {j: h_i . h_j < 0}:    h_i' = h_i + sum_{j in C} c_j h_j,    c such that
        h_i' . h_j = eps |h_i| |h_j|  for all j in C at once;    d = sum_i h_i'

    PCGrad takes the conflicts one after another, so that a later projection may bring back an earlier conflict; here
    one linear system settles all of a task's conflicts. The margin eps refers to the lengths before the projection:
    h_i' / |h_i| has the product eps with the unit vector of every task that i conflicted with. That is less than the
    cosine of h_i', since the projection shortens. At r = eps = 0 and two tasks this is PCGrad.

    r is ``relax``: at 1 all gradients have the length of the largest, at 0 their own. r = .1 and eps = 1e-10 are
    settings of the authors' code, which searches r from 0 to 1 and eps from 1e-10 to 1e-8. Conflicting gradients that
    are linearly dependent, to the accuracy of float32, give the c of least length.

    A task without a label in the batch keeps m_k, which still counts for the maximum, and conflicts with none. The
    averages are free of the bias of their start.

    Where others differ: d is the sum, as unit weights have it, and the mean in the authors' code, which has the
    averages but calls them with beta = 0.
    """

    keeps_state = True
    averages: Tensor

    def __init__(
        self,
        tasks: Sequence[Task],
        beta: float = 0.9,
        relax: float = 0.1,
        margin: float = 1e-10,
        scope: str = "shared",
    ) -> None:
        super().__init__(tasks, scope)
        self.beta = beta
        self.relax = relax
        self.margin = margin
        self.register_buffer("averages", torch.zeros(2, len(self.tasks), dtype=torch.float64))

    def balance(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Return the weights that give the sum of the crafted gradients."""
        norms = gramian.diagonal().sqrt()
        averages = moved_on(self.averages.to(norms), norms, norms > 0, self.beta)
        self.averages = averages.to(self.averages)
        means = mean_of(averages)
        scales = torch.where(means > 0, 1 + self.relax * (means.max() / means - 1), 1.0)
        lengths = torch.where(norms > 0, norms, 1.0)
        return scales + self._added(gramian / lengths.outer(lengths), scales * norms) / lengths

    def _added(self, cosines: Tensor, lengths: Tensor) -> Tensor:
        """Return how much of each task's unit gradient [K] the projections add, from the lengths [K] of the h_k."""
        added = torch.zeros_like(lengths)
        for own, length in zip(cosines, lengths, strict=True):
            conflicting = own < 0
            if bool(conflicting.any()):
                among = cosines[conflicting][:, conflicting]
                inverse = torch.linalg.pinv(among, rtol=_ACCURACY, hermitian=True)
                added[conflicting] += length * (inverse @ (self.margin - own[conflicting]))
        return added

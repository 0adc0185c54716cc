"""A direction that is alpha-fair to the tasks, FairGrad."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torchjd.aggregation import FairGradWeighting

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.through_torchjd import OfGramian


def fair_weights(method: FairGradWeighting, gramian: Tensor) -> Tensor:
    """Return the solution w > 0 of ``G w = w^(-1/alpha)``.

    torchjd's solver does not converge where gradients are very small or large. It is given G / s, s the mean squared
    length, and its solution v brought back exactly: ``w = s^(-alpha / (1 + alpha)) v``.
    """
    alpha = float(method.alpha)
    scale = gramian.diagonal().mean()
    solution: Tensor = method(gramian / scale)
    return solution * scale ** (-alpha / (1 + alpha))


class FairGradients(OfGramian):
    """Fair resource allocation, FairGrad (Ban and Ji, ICML 2024)::

        G w = w^(-1/alpha),    w > 0

    through ``torchjd.aggregation.FairGradWeighting``, which solves it by bounded least squares with scipy. alpha = 1 is
    Nash-MTL; the paper tunes it, 2 is the default here; with alpha towards infinity the worst-off task alone
    counts. The sizes of the weights go with those of the gradients to the power -2 alpha / (1 + alpha).
    """

    def __init__(self, tasks: Sequence[Task], alpha: float = 2.0, scope: str = "shared") -> None:
        super().__init__(tasks, scope)
        self.wrap(FairGradWeighting(alpha))

    def balance(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Return the fair weights."""
        return fair_weights(self.method, gramian)

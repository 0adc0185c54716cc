"""The best worst-case improvement near the mean gradient, CAGrad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.balancing import GramianBalancing

_PARETO = 1e-12


class ConflictAverse(GramianBalancing):
    """Conflict-averse gradient descent, CAGrad (Liu et al., NeurIPS 2021)::

        g_0 = mean_k g_k,    w = argmin over the simplex of  g_w . g_0 + c |g_0| |g_w|,    g_w = sum_k w_k g_k
        d = g_0 + (c |g_0| / |g_w|) g_w

    c = 0.5; 0 is the mean gradient, towards infinity MGDA. At two tasks w is found in closed form, from three tasks on
    with scipy's SLSQP, as in the authors' code. Where |g_w| is 0 up to rounding, the point is Pareto-stationary and d
    is the mean gradient. The tests compare both with torchjd's, which needs cvxpy for a program of K variables.

    Where others differ: the authors' code and LibMTL divide d by 1 + c^2 (``rescale = true``) or by 1 + c; torchjd does
    not, and returns d = 0 at a Pareto-stationary point.
    """

    def __init__(self, tasks: Sequence[Task], c: float = 0.5, rescale: bool = False, scope: str = "shared") -> None:
        super().__init__(tasks, scope)
        self.c = c
        self.rescale = rescale

    def balance(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Return the mean's weights and what the worst-off direction adds."""
        scaled = gramian / gramian.diagonal().mean()
        mean = torch.full_like(losses, 1 / len(losses))
        length = float((mean @ scaled @ mean).clamp(min=0).sqrt())
        radius = self.c * length
        worst = _of_two(scaled, radius) if len(losses) == 2 else _of_many(scaled.numpy(), radius)
        norm = float((worst @ scaled @ worst).clamp(min=0).sqrt())
        weights = mean + (radius / norm) * worst if norm > _PARETO else mean
        return weights / (1 + self.c**2) if self.rescale else weights


def _of_two(gramian: Tensor, radius: float) -> Tensor:
    """The minimum over x in [0, 1] of p x + radius sqrt(a x^2 + 2 b x + c), convex: its stationary point, clipped.

    With u = a x + b and d = a c - b^2 the derivative is 0 where u = -sign(p) |p| sqrt(d / (a radius^2 - p^2)).
    """
    (g11, g12), (_, g22) = gramian.tolist()
    a, b, slope = g11 - 2 * g12 + g22, g12 - g22, (g11 - g22) / 2
    curvature = a * radius**2 - slope**2
    if a <= 0:
        first = 0.5
    elif curvature <= 0:
        first = 0.0 if slope > 0 else 1.0
    else:
        rest = max(a * g22 - b**2, 0.0)
        first = min(max((-slope * (rest / curvature) ** 0.5 - b) / a, 0.0), 1.0)
    return gramian.new_tensor([first, 1 - first])


def _of_many(gramian: NDArray[np.float64], radius: float) -> Tensor:
    count = len(gramian)
    towards_mean = gramian.mean(1)

    def objective(w: NDArray[np.float64]) -> float:
        return float(w @ towards_mean + radius * np.sqrt(max(w @ gramian @ w, _PARETO**2)))

    even = np.full(count, 1 / count)
    simplex = {"type": "eq", "fun": lambda w: w.sum() - 1}
    found = minimize(objective, even, bounds=[(0, 1)] * count, constraints=simplex, options={"ftol": 1e-12})
    return torch.from_numpy(found.x)

"""The shortest direction, from gradients and weights that move slowly, MoCo."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.balancing import DirectionBalancing, LazyState
from rmtl_bench_weightings.simplex import project_onto_simplex


class GradientCorrection(LazyState, DirectionBalancing):
    """Multi-objective gradient correction, MoCo (Fernando et al., ICLR 2023)::

        y_k <- y_k - beta_t (y_k - g_k),                        beta_t = beta / t^beta_decay
        w   <- the point of the simplex nearest to
               w - gamma_t (Y Y' + rho I) w,                    gamma_t = gamma / t^gamma_decay
        d = sum_k w_k y_k

    where Y has the rows y_k. MGDA on single batches is biased, since its weights depend on the very noise they weigh;
    averaged gradients and one small step of the weights make the bias vanish. y = 0 and w = 1/K at the start. The
    defaults, beta = .5, gamma = .1, both over t^.5, and rho = 0, are LibMTL's. The weights sum to 1 and are given to
    what lies outside the scope. How fast they move goes with the squared lengths of the gradients: where these are
    far below 1 they hardly leave 1/K, unless gamma is raised.

    The state has K times the size of the scope, which is why the representation, another at every step, cannot be one.
    A task without a label in the batch keeps y_k and its t, and still has its part in d, since y_k still estimates its
    gradient; until it had one, its weight stays as it is.

    Where others differ: LibMTL replaces g_k by its unit vector times the loss, and the projection by a softmax.
    """

    lazy = ("tracked",)
    shares: Tensor
    steps: Tensor
    seen: Tensor

    def __init__(
        self,
        tasks: Sequence[Task],
        beta: float = 0.5,
        beta_decay: float = 0.5,
        gamma: float = 0.1,
        gamma_decay: float = 0.5,
        rho: float = 0.0,
        scope: str = "shared",
    ) -> None:
        super().__init__(tasks, scope)
        self.beta = beta
        self.beta_decay = beta_decay
        self.gamma = gamma
        self.gamma_decay = gamma_decay
        self.rho = rho
        self.tracked: Tensor | None = None
        number = len(self.tasks)
        self.register_buffer("shares", torch.full((number,), 1 / number, dtype=torch.float64))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("seen", torch.zeros(number, dtype=torch.int64))

    def balance(self, jacobian: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted sum of the averaged gradients, and its weights."""
        tracked = self._track(jacobian)
        self.shares = self._shares(tracked @ tracked.T)
        # A loss that is not finite has to show, even where the gradients do not show it.
        weights = torch.where(losses.isfinite(), self.shares.to(losses), torch.nan)
        return self.shares.to(tracked) @ tracked, weights

    def _track(self, jacobian: Tensor) -> Tensor:
        present = jacobian.ne(0).any(1)
        self.seen = self.seen + present
        rates = self.beta / self.seen.double().clamp(min=1) ** self.beta_decay
        rates = torch.where(present, rates, 0.0).to(jacobian)[:, None]
        before = torch.zeros_like(jacobian) if self.tracked is None else self.tracked.to(jacobian)
        self.tracked = before - rates * (before - jacobian)
        return self.tracked

    def _shares(self, gramian: Tensor) -> Tensor:
        """Return the weights [K] after one projected gradient step, those of tasks never seen as they were."""
        self.steps = self.steps + 1
        rate = self.gamma / self.steps.double() ** self.gamma_decay
        before = self.shares.double()
        wanted = before - rate * (gramian.double() @ before + self.rho * before)
        known = self.seen > 0
        shares = before.clone()
        if bool(known.any()):
            shares[known] = project_onto_simplex(wanted[known], 1 - shares[~known].sum())
        return shares

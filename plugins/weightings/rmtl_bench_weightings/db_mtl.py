"""Logarithms of the losses, gradients of one length, DB-MTL."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.balancing import DirectionBalancing, LazyState


class DualBalancing(LazyState, DirectionBalancing):
    """Dual balancing, DB-MTL (Lin et al., 2023)::

        y_k <- b y_k + (1 - b) g_k / L_k,    b = beta / t^beta_decay,    y = 0 at the start, t the step
        d = sum_k max_j |y_j| y_k / |y_k|

    g_k / L_k is the gradient of log L_k, y_k its moving average. The weights reported, a_k / L_k with
    a_k = max_j |y_j| / |y_k|, go to all that lies outside the scope; with beta = 0 they give d, too. The state has K
    times the size of the scope (none with beta = 0), which is why the representation, another at every step, cannot be
    one.

    The paper searches .1, .5 and .9 for b, constant or over t^.5; beta = .9 with beta_decay = .5 is one of these six.

    A task without a label in the batch keeps y_k and its t, and has no part in d: weight 0. With one task there is no
    logarithm either.

    Where others differ: LibMTL's settings have beta_decay = 0, it adds 1e-8 to losses and norms, and reports weights of
    1. The paper gives task-specific parameters the gradient of log L_k, without a_k; Adam, which does not see the
    scale of a gradient, all but hides that.
    """

    lazy = ("tracked",)
    steps: Tensor

    def __init__(
        self, tasks: Sequence[Task], beta: float = 0.9, beta_decay: float = 0.5, scope: str = "shared"
    ) -> None:
        super().__init__(tasks, scope)
        self.beta = beta
        self.beta_decay = beta_decay
        self.tracked: Tensor | None = None
        self.register_buffer("steps", torch.zeros(len(self.tasks), dtype=torch.int64))

    def balance(self, jacobian: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of the rescaled averages, and the weights of the losses that rescaling amounts to."""
        present = jacobian.ne(0).any(1)
        tracked = self._track(jacobian / torch.where(losses == 0, 1.0, losses)[:, None], present)
        norms = tracked.norm(dim=1)
        largest = torch.where(present, norms, 0.0).max()
        scales = torch.where(present & (norms != 0), largest / norms, 1.0)
        weights = torch.where(losses == 0, 0.0, scales / losses)
        return torch.where(present, scales, 0.0) @ tracked, weights

    def _track(self, gradients: Tensor, present: Tensor) -> Tensor:
        if self.beta == 0:
            return gradients
        self.steps = self.steps + present
        kept = self.beta / self.steps.double().clamp(min=1) ** self.beta_decay
        kept = torch.where(present, kept, 1.0).to(gradients)[:, None]
        before = torch.zeros_like(gradients) if self.tracked is None else self.tracked.to(gradients)
        self.tracked = gradients + kept * (before - gradients)
        return self.tracked

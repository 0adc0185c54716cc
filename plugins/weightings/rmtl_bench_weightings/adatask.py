"""Adam's moments for each task by itself, AdaTask."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.balancing import DirectionBalancing, LazyState


class TaskwiseAdam(LazyState, DirectionBalancing):
    """AdaTask with Adam (Yang et al., AAAI 2023)::

        m_k <- beta1 m_k + (1 - beta1) g_k,    v_k <- beta2 v_k + (1 - beta2) g_k^2
        d = sum_k (m_k / (1 - beta1^t)) / (sqrt(v_k / (1 - beta2^t)) + epsilon)

    With one Adam for all, the task of the largest gradients dominates what the step is divided by, parameter by
    parameter; here every task has a step of its own, and the steps are added. d is a step already: it goes, times the
    learning rate, to the parameters of the scope, past Adam. Outside the scope the losses are added, as with unit
    weights. beta1 = .9, beta2 = .999, epsilon = 1e-8 as in the authors' code.

    The state has 2 K times the size of the scope. A task without a label in the batch keeps its moments and its t, and
    takes no step; in Adam the momentum would go on. With one task this is the trainer's Adam.

    Where others differ: the authors' code knows no weight decay on the scope; here the trainer's is that of plain
    gradient descent, outside the moments, so that it is weaker than an L2 penalty within Adam. The paper has AdaGrad
    and RMSProp forms besides.
    """

    lazy = ("means", "squares")
    steps: Tensor

    def __init__(
        self,
        tasks: Sequence[Task],
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        scope: str = "shared",
    ) -> None:
        super().__init__(tasks, scope)
        self.preconditions = len(self.tasks) > 1
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.means: Tensor | None = None
        self.squares: Tensor | None = None
        self.register_buffer("steps", torch.zeros(len(self.tasks), dtype=torch.int64))

    def balance(self, jacobian: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of the tasks' steps, and weights of 1."""
        present = jacobian.ne(0).any(1)
        self.steps = self.steps + present
        self.means = _averaged(self.means, jacobian, present, self.beta1)
        self.squares = _averaged(self.squares, jacobian.square(), present, self.beta2)
        scale = (self.squares / self._seen(self.beta2, jacobian)).sqrt() + self.epsilon
        steps = self.means / self._seen(self.beta1, jacobian) / scale
        # A loss that is not finite has to show, even where the gradients do not show it.
        return present.to(steps) @ steps, torch.where(losses.isfinite(), 1.0, torch.nan).to(losses)

    def _seen(self, beta: float, like: Tensor) -> Tensor:
        """Return the weight [K, 1] that an average has given to gradients, the rest being its start at 0."""
        # In float64: float32 knows 1 - beta2 to four digits only.
        return (1 - beta ** self.steps.double().clamp(min=1)).to(like)[:, None]


def _averaged(average: Tensor | None, values: Tensor, present: Tensor, beta: float) -> Tensor:
    """Return a moving average [K, P], started at 0, after ``values`` [K, P]; rows not present stay as they are."""
    share = (1 - beta) * present.double()[:, None]
    before = torch.zeros_like(values) if average is None else average.to(values)
    return (1 - share).to(values) * before + share.to(values) * values

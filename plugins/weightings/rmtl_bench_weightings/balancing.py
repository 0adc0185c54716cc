"""What the weightings of this distribution have in common: with one task there is nothing to balance.

A training of one task is then plain training bit for bit, under every weighting here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from rmtl_bench.contracts import Batch, GradientWeighting, LossWeighting, TaskLosses, Weighted


class LossBalancing(LossWeighting):
    """A loss weighting that looks at the mean loss of each task."""

    def combine(self, losses: TaskLosses, logits: Tensor, batch: Batch) -> Weighted:
        """Return the balanced loss, or the loss itself where there is one task."""
        means = losses.mean()
        if len(self.tasks) == 1:
            return Weighted(means.sum(), torch.ones_like(means))
        known = torch.ones_like(means, dtype=torch.bool) if losses.mask is None else losses.mask.any(0)
        return self.balance(means, known)

    @classmethod
    def combine_side_by_side(
        cls, weightings: Sequence[Self], losses: TaskLosses, logits: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        """Return the balanced losses [S] and weights [S, K] of several seeds; the means are taken for all at once."""
        means = losses.mean()
        if len(weightings[0].tasks) == 1:
            return means.sum(1), torch.ones_like(means)
        known = torch.ones_like(means, dtype=torch.bool) if losses.mask is None else losses.mask.any(1)
        each = [own.balance(*given) for own, *given in zip(weightings, means.unbind(), known.unbind(), strict=True)]
        return torch.stack([found.loss for found in each]), torch.stack([found.weights for found in each])

    @abstractmethod
    def balance(self, means: Tensor, known: Tensor) -> Weighted:
        """Return the scalar to minimise and the weights [K], without gradient, for K > 1 tasks.

        ``means`` [K] are the tasks' mean losses, with gradient; ``known`` bool [K] says which have a label in the
        batch: the mean loss of the others is 0, and nothing may be learnt from it.
        """


class GramianBalancing(GradientWeighting):
    """A gradient weighting that needs the Gramian alone.

    The Gramian is K x K: it is solved on the CPU and in float64, whatever the device. A Gramian or a loss that is not
    finite gives weights of NaN, so that the run ends as diverged and not in a solver's error. Tasks whose gradient is
    0, mostly for want of a label in the batch, have weight 0 and are kept from the solver.
    """

    keeps_state = False
    """Whether the method has state by task; it is then given every task, zero gradients included."""

    def task_weights(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Return the weights [K]; 1 where there is one task."""
        small = gramian.detach().to("cpu", torch.float64)
        values = losses.detach().to("cpu", torch.float64)
        if len(self.tasks) == 1 or not bool(torch.isfinite(small).all() and torch.isfinite(values).all()):
            return torch.full_like(losses, 1.0 if len(self.tasks) == 1 else float("nan"))
        present = torch.ones_like(values, dtype=torch.bool) if self.keeps_state else small.diagonal() > 0
        weights = torch.zeros_like(values)
        if int(present.sum()) > 1:
            weights[present] = self.balance(small[present][:, present], values[present])
        else:
            weights[present] = 1.0
        return weights.to(gramian)

    @abstractmethod
    def balance(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Return weights [k], from the Gramian [k, k] of k > 1 gradients and their losses [k], float64 on the CPU."""


class DirectionBalancing(GradientWeighting):
    """A gradient weighting that needs the whole Jacobian."""

    def direction(self, jacobian: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
        """Return the direction [P] and the weights [K]; the gradient itself where there is one task."""
        if len(self.tasks) == 1:
            return jacobian[0], torch.ones_like(losses)
        return self.balance(jacobian, losses)

    @abstractmethod
    def balance(self, jacobian: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
        """Return the direction [P] and the weights [K] from the Jacobian [K, P] of K > 1 losses [K]."""


class LazyState:
    """Mixin, first among the bases: tensors whose size is known at the first step only are part of the state_dict.

    ``lazy`` names the attributes: a tensor, a list of tensors, a number, or ``None`` before the first step. Give them
    new values instead of changing a tensor in place.
    """

    lazy: tuple[str, ...] = ()

    def get_extra_state(self) -> dict[str, Any]:
        """Return the base's state, and the attributes."""
        state: dict[str, Any] = super().get_extra_state()  # type: ignore[misc]
        return {**state, "lazy": {name: getattr(self, name) for name in self.lazy}}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that :meth:`get_extra_state` gave."""
        super().set_extra_state(state)  # type: ignore[misc]
        for name, value in state["lazy"].items():
            setattr(self, name, value)

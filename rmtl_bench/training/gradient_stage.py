"""The stage that trains the backbone under a gradient weighting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rmtl_bench.contracts.backbone import Backbone
from rmtl_bench.contracts.batch import Batch
from rmtl_bench.contracts.errors import PluginError, UsageError
from rmtl_bench.contracts.stage import StepReport
from rmtl_bench.contracts.weighting import GradientWeighting, TaskLosses
from rmtl_bench.training.backbone_stage import BackboneStage, task_losses
from rmtl_bench.training.validation import Validation


class GradientStage(BackboneStage):
    """Moves what the scope names along the direction of a gradient weighting.

    Everything else gets the gradient of the weighted sum of the losses; a backbone's penalty is added to both. The
    cheapest exact way is taken: the tasks' gradients are computed on the scope alone, so that embeddings outside it
    cost one backward pass whatever the number of tasks; on the representation they do not even reach the shared
    network, and where the direction is a weighted sum, the backward pass of the sum of the losses is all that follows.
    """

    weighting: GradientWeighting

    def __init__(
        self, name: str, backbone: Backbone, weighting: GradientWeighting, validation: Validation, **limits: Any
    ) -> None:
        super().__init__(name, backbone, weighting, validation, **limits)
        trained = [p for p in backbone.parameters() if p.requires_grad]
        self.scope = self._parameters_of(weighting.scope, trained)
        inside = {id(p) for p in self.scope}
        self.others = [p for p in trained if id(p) not in inside]
        if not self.scope and (weighting.preconditions or weighting.two_halves):
            raise PluginError(f"{type(weighting).__name__} needs gradients of parameters; a representation has none")

    def _parameters_of(self, scope: str, trained: list[nn.Parameter]) -> list[nn.Parameter]:
        if scope == "all":
            return trained
        if scope == "representation":
            return []
        shared = self.backbone.shared_parameters()
        if not shared:
            who, what = type(self.weighting).__name__, type(self.backbone).__name__
            raise UsageError(f"{what} shares no parameter that {who} could use")
        return shared

    def optimizers(self, learning_rate: float, weight_decay: float) -> Sequence[torch.optim.Optimizer]:
        """Return Adam, and beside it plain steps for a scope whose directions are steps already."""
        adam = super().optimizers(learning_rate, weight_decay)
        if not self.weighting.preconditions:
            return adam
        return [*adam, torch.optim.SGD(self.scope, lr=learning_rate, weight_decay=weight_decay)]

    def parameter_groups(self) -> Iterable[dict[str, Any]]:
        """Return the groups of Adam: all but a scope whose directions are steps already."""
        backbone, own = super().parameter_groups()
        return [{**backbone, "params": self.others} if self.weighting.preconditions else backbone, own]

    def backward(self, batch: Batch) -> StepReport:
        """Write the direction into the scope's gradients, the weighted gradient into the others."""
        self.begin(batch)
        logits, representation = self.backbone.represent(batch)
        per_sample = task_losses(logits, batch)
        losses = per_sample.mean()
        if self.weighting.two_halves and len(batch) > 1:
            directions, weights = self._of_two_halves(per_sample, losses)
        else:
            tensors = self._tensors(representation)
            jacobians = task_jacobians(losses, tensors)
            directions, weights = self.weighting.directions(jacobians, losses.detach())
            if not self.scope and not self.weighting.combines:
                _turn(tensors[0], directions[0], weights @ jacobians[0])
        weights = weights.detach()
        penalty = self.backbone.penalty(logits, batch)
        objective = (weights * losses).sum()
        if penalty is not None:
            objective = objective + penalty
        if self.scope:
            self._write(directions, penalty)
            if self.others:
                torch.autograd.backward(objective, inputs=self.others)
        else:
            objective.backward()
        return StepReport(losses.detach(), weights)

    def _of_two_halves(self, losses: TaskLosses, means: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """Return the directions and weights that come from J_1 J_2^T; J is the halves' mean by known labels."""
        halves = losses.halves()
        jacobians = [task_jacobians(half.mean(), self.scope) for half in halves]
        crossed = torch.stack([a @ b.T for a, b in zip(*jacobians, strict=True)]).sum(0)
        weights = self.weighting.task_weights(crossed, means.detach())
        known = torch.stack([half.known() for half in halves])
        first, second = weights * known / known.sum(0).clamp(min=1)
        return [first @ a + second @ b for a, b in zip(*jacobians, strict=True)], weights

    def _tensors(self, representation: Tensor | None) -> Sequence[Tensor]:
        if self.scope:
            return self.scope
        if representation is None:
            who, what = type(self.weighting).__name__, type(self.backbone).__name__
            raise UsageError(f"{what} has no shared representation that {who} could use")
        return [representation]

    def _write(self, directions: Sequence[Tensor], penalty: Tensor | None) -> None:
        added: Sequence[Tensor | None] = [None] * len(self.scope)
        if penalty is not None:
            added = torch.autograd.grad(penalty, self.scope, retain_graph=True, allow_unused=True)
        for parameter, direction, extra in zip(self.scope, directions, added, strict=True):
            gradient = direction.detach().view_as(parameter)
            parameter.grad = gradient.clone() if extra is None else gradient + extra


def _turn(representation: Tensor, direction: Tensor, weighted: Tensor) -> None:
    """Let the coming backward pass bring ``direction`` below the representation in place of the weighted gradient."""
    change = (direction - weighted).detach()
    representation.register_hook(lambda gradient: gradient + change.view_as(gradient))


def task_jacobians(losses: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return, for each tensor, the gradients [K, n] of the losses [K] on it; the graph is kept."""
    rows = [torch.autograd.grad(loss, tensors, retain_graph=True, materialize_grads=True) for loss in losses]
    return [torch.stack([gradient.reshape(-1) for gradient in column]) for column in zip(*rows, strict=True)]

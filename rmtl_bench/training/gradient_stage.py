"""The stage that trains the backbone under a gradient weighting: of one seed, and of several side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rmtl_bench.contracts.backbone import Backbone
from rmtl_bench.contracts.batch import Batch
from rmtl_bench.contracts.errors import PluginError, UsageError
from rmtl_bench.contracts.optimizers import SGD
from rmtl_bench.contracts.side_by_side import StageGroup
from rmtl_bench.contracts.spans import span
from rmtl_bench.contracts.stack import NotStackableError
from rmtl_bench.contracts.stage import StepReport
from rmtl_bench.contracts.weighting import GradientWeighting, TaskLosses
from rmtl_bench.training.backbone_stage import BackboneStage, BackboneStages, task_losses
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
        return [*adam, SGD(self.scope, lr=learning_rate, weight_decay=weight_decay)]

    def parameter_groups(self) -> Iterable[dict[str, Any]]:
        """Return the groups of Adam: all but a scope whose directions are steps already."""
        backbone, own = super().parameter_groups()
        return [{**backbone, "params": self.others} if self.weighting.preconditions else backbone, own]

    def backward(self, batch: Batch) -> StepReport:
        """Write the direction into the scope's gradients, the weighted gradient into the others."""
        self.begin(batch)
        with span("forward"):
            logits, representation = self.precision.represent(self.backbone, batch)
            per_sample = task_losses(logits, batch)
            losses = per_sample.mean()
        if self.weighting.two_halves and len(batch) > 1:
            halves = per_sample.halves()
            of_halves = [task_jacobians(half.mean(), self.scope) for half in halves]
            with span("weighting"):
                directions, weights = self.directions_of_halves(of_halves, halves, losses.detach())
        else:
            tensors = self.tensors(representation)
            jacobians = task_jacobians(losses, tensors)
            with span("weighting"):
                directions, weights = self.weighting.directions(jacobians, losses.detach())
            if not self.scope and not self.weighting.combines:
                _turn(tensors[0], directions[0] - weights @ jacobians[0])
        weights = weights.detach()
        with span("forward"):
            penalty = self.backbone.penalty(logits, batch)
        with span("backward"):
            objective = (weights * losses).sum()
            if penalty is not None:
                objective = objective + penalty
            if self.scope:
                write_directions(self.scope, directions, penalty)
                if self.others:
                    torch.autograd.backward(objective, inputs=self.others)
            else:
                objective.backward()
        return StepReport(losses.detach(), weights)

    def directions_of_halves(
        self, jacobians: Sequence[Sequence[Tensor]], halves: Sequence[TaskLosses], means: Tensor
    ) -> tuple[Sequence[Tensor], Tensor]:
        """Return the directions and weights that come from J_1 J_2^T; J is the halves' mean by known labels.

        ``jacobians``: of each half, those of the tensors of the scope [K, n]; ``means`` [K]: the losses of the batch.
        """
        first_half, second_half = jacobians
        crossed = torch.stack([a @ b.T for a, b in zip(first_half, second_half, strict=True)]).sum(0)
        weights = self.weighting.task_weights(crossed, means)
        known = torch.stack([half.known() for half in halves])
        first, second = weights * known / known.sum(0).clamp(min=1)
        return [first @ a + second @ b for a, b in zip(first_half, second_half, strict=True)], weights

    def tensors(self, representation: Tensor | None) -> Sequence[Tensor]:
        """Return the tensors whose gradients are looked at: the scope's parameters, or the representation."""
        if self.scope:
            return self.scope
        if representation is None:
            who, what = type(self.weighting).__name__, type(self.backbone).__name__
            raise UsageError(f"{what} has no shared representation that {who} could use")
        return [representation]

    @classmethod
    def side_by_side(cls, stages: Sequence[GradientStage]) -> StageGroup[GradientStage]:
        """Return the stages of several seeds, to be trained in one pass."""
        return GradientStages(stages)


class GradientStages(BackboneStages[GradientStage]):
    """Computes the tasks' gradients of all seeds in one pass a task; each seed's weighting then finds its direction.

    No seed's losses depend on another's parameters, so the gradient of a task's losses, summed over the seeds, holds
    each seed's own. What follows is :class:`GradientStage`, seed by seed where the weighting is asked.
    """

    def backward(self, batch: Batch) -> StepReport:
        """Write the directions into the gradients of the scope, the weighted gradients into the others."""
        with span("forward"):
            made = self.forward(batch)
            per_sample = task_losses(made.logits, batch)
            losses = per_sample.mean()
        scope, others = self._split()
        first = self.stages[0].weighting
        if first.two_halves and batch.labels.shape[1] > 1:
            directions, weights = self._of_two_halves(per_sample, losses, scope)
        else:
            tensors: Sequence[Tensor] = scope or self.stages[0].tensors(made.representation)
            jacobians = stacked_jacobians(losses, tensors)
            with span("weighting"):
                directions, weights = self._directions(jacobians, losses.detach())
            if not scope and not first.combines:
                _turn(tensors[0], directions[0] - (weights.unsqueeze(1) @ jacobians[0]).squeeze(1))
        with span("backward"):
            objective = (weights * losses).sum()
            penalty = None if made.penalty is None else made.penalty.sum()
            if penalty is not None:
                objective = objective + penalty
            if not scope:
                objective.backward()
                return StepReport(losses.detach(), weights)
            write_directions(scope, directions, penalty)
            if others:
                torch.autograd.backward(objective, inputs=others)
        return StepReport(losses.detach(), weights)

    def _split(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Return the stacked leaves inside the scope, in the stage's order, and those outside that are trained."""
        leaves = {id(own): leaf for own, leaf in self.backbones.leaves()}
        first = self.stages[0]
        return [leaves[id(own)] for own in first.scope], [leaves[id(own)] for own in first.others]

    def _directions(self, jacobians: Sequence[Tensor], losses: Tensor) -> tuple[list[Tensor], Tensor]:
        found = [
            stage.weighting.directions([jacobian[place] for jacobian in jacobians], losses[place])
            for place, stage in enumerate(self.stages)
        ]
        columns = zip(*(directions for directions, _ in found), strict=True)
        return [torch.stack(list(column)) for column in columns], torch.stack([w.detach() for _, w in found])

    def _of_two_halves(
        self, losses: TaskLosses, means: Tensor, scope: Sequence[nn.Parameter]
    ) -> tuple[list[Tensor], Tensor]:
        halves = losses.halves()
        jacobians = [stacked_jacobians(half.mean(), scope) for half in halves]
        with span("weighting"):
            found = [
                stage.directions_of_halves(
                    [[jacobian[place] for jacobian in half] for half in jacobians],
                    [half.replica(place) for half in halves],
                    means[place].detach(),
                )
                for place, stage in enumerate(self.stages)
            ]
            columns = zip(*(directions for directions, _ in found), strict=True)
            return [torch.stack(list(column)) for column in columns], torch.stack([w.detach() for _, w in found])


def write_directions(scope: Sequence[nn.Parameter], directions: Sequence[Tensor], penalty: Tensor | None) -> None:
    """Write each parameter's direction, of any shape, into its gradient, and add that of a penalty to it."""
    added: Sequence[Tensor | None] = [None] * len(scope)
    if penalty is not None:
        added = torch.autograd.grad(penalty, scope, retain_graph=True, allow_unused=True)
    for parameter, direction, extra in zip(scope, directions, added, strict=True):
        gradient = direction.detach().view_as(parameter)
        parameter.grad = gradient.clone() if extra is None else gradient + extra


def _turn(representation: Tensor, change: Tensor) -> None:
    """Let the coming backward pass add ``change`` to the gradient on the representation, and bring the sum below it."""
    representation.register_hook(lambda gradient: gradient + change.detach().view_as(gradient).to(gradient))


def task_jacobians(losses: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return, for each tensor, the gradients [K, n] of the losses [K] on it; the graph is kept."""
    with span("backward"):
        rows = [torch.autograd.grad(loss, tensors, retain_graph=True, materialize_grads=True) for loss in losses]
        # Those of a representation have its type, which need not be that of the losses.
        columns = zip(*rows, strict=True)
        return [torch.stack([gradient.reshape(-1).to(losses) for gradient in column]) for column in columns]


def stacked_jacobians(losses: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return, for each stacked tensor [S, ...], the gradients [S, K, n] of the losses [S, K] on it.

    Raises :class:`NotStackableError` where there is none at all: ``vmap`` returns a copy of what its operations have
    stacked along another axis than the first, as convolutions do, and of the copy no loss is a function.
    """
    with span("backward"):
        of_tasks = losses.sum(0)
        rows = [torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True) for loss in of_tasks]
        if all(gradient is None for row in rows for gradient in row):
            raise NotStackableError("no loss depends on the representation that vmap returns")
        columns = [
            [torch.zeros_like(tensor) if gradient is None else gradient for gradient in column]
            for tensor, column in zip(tensors, zip(*rows, strict=True), strict=True)
        ]
        return [torch.stack([gradient.flatten(1).to(losses) for gradient in column], 1) for column in columns]

"""Stages that train the backbone: under a loss weighting, or under a gradient weighting."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtl_bench.contracts.backbone import Backbone
from rmtl_bench.contracts.batch import Batch
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.contracts.stage import Evaluation, Stage, StepReport
from rmtl_bench.contracts.weighting import GradientWeighting, LossWeighting, TaskLosses, Weighting
from rmtl_bench.training.validation import Validation


def task_losses(logits: Tensor, batch: Batch) -> TaskLosses:
    """Return the binary cross-entropies [B, K] of logits [B, K], 0 where the label is missing."""
    losses = F.binary_cross_entropy_with_logits(logits, batch.labels, reduction="none")
    return TaskLosses(losses if batch.label_mask is None else losses * batch.label_mask, batch.label_mask)


class BackboneStage(Stage):
    """Trains the backbone and the weighting's own parameters, the latter without weight decay."""

    def __init__(
        self, name: str, backbone: Backbone, weighting: Weighting, validation: Validation, **limits: Any
    ) -> None:
        super().__init__(name, nn.ModuleList([backbone, weighting]), **limits)
        self.backbone = backbone
        self.weighting = weighting
        self.validation = validation

    def parameter_groups(self) -> Iterable[dict[str, Any]]:
        """Return the backbone's parameters, and the weighting's without weight decay."""
        return [
            {"params": [p for p in self.backbone.parameters() if p.requires_grad]},
            {"params": [p for p in self.weighting.parameters() if p.requires_grad], "weight_decay": 0.0},
        ]

    def after_step(self) -> None:
        """Pass on to the weighting."""
        self.weighting.after_step()

    def after_epoch(self, losses: Tensor) -> None:
        """Pass on to the weighting."""
        self.weighting.after_epoch(losses)

    def evaluate(self) -> Evaluation:
        """Return the mean validation AUC as score, with AUC and logloss by task."""
        return self.validation.evaluate(self.backbone)


class LossStage(BackboneStage):
    """Minimises the scalar of a loss weighting."""

    weighting: LossWeighting

    def backward(self, batch: Batch) -> StepReport:
        """Backpropagate the weighted loss."""
        logits = self.backbone(batch)
        losses = task_losses(logits, batch)
        weighted = self.weighting.combine(losses, logits, batch)
        weighted.loss.backward()
        return StepReport(losses.mean().detach(), weighted.weights)


class GradientStage(BackboneStage):
    """Moves the shared dense parameters along the direction of a gradient weighting.

    Everything else gets the gradient of the weighted sum of the losses.
    """

    weighting: GradientWeighting

    def __init__(
        self, name: str, backbone: Backbone, weighting: GradientWeighting, validation: Validation, **limits: Any
    ) -> None:
        super().__init__(name, backbone, weighting, validation, **limits)
        self.shared = backbone.shared_parameters()
        if not self.shared:
            raise UsageError(f"{type(backbone).__name__} shares no parameter that {type(weighting).__name__} could use")
        shared = {id(p) for p in self.shared}
        self.others = [p for p in backbone.parameters() if p.requires_grad and id(p) not in shared]

    def backward(self, batch: Batch) -> StepReport:
        """Write the direction into the shared gradients, the weighted gradient into the others."""
        losses = task_losses(self.backbone(batch), batch).mean()
        rows = [torch.autograd.grad(loss, self.shared, retain_graph=True, materialize_grads=True) for loss in losses]
        jacobian = torch.stack([torch.cat([g.reshape(-1) for g in row]) for row in rows])
        direction, weights = self.weighting.direction(jacobian, losses.detach())
        weights = weights.detach()
        if self.others:
            torch.autograd.backward((weights * losses).sum(), inputs=self.others)
        sizes = [p.numel() for p in self.shared]
        for parameter, gradient in zip(self.shared, direction.detach().split(sizes), strict=True):
            parameter.grad = gradient.view_as(parameter).clone()
        return StepReport(losses.detach(), weights)

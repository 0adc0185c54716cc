"""What the stages that train the backbone have in common, and the one under a loss weighting."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtl_bench.contracts.backbone import Backbone
from rmtl_bench.contracts.batch import Batch
from rmtl_bench.contracts.stage import Evaluation, Stage, StepReport
from rmtl_bench.contracts.weighting import LossWeighting, TaskLosses, Weighting
from rmtl_bench.training.streams import RandomState
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
        self._looks_again = type(weighting).look_again is not Weighting.look_again
        self._last: tuple[Batch, RandomState] | None = None

    def parameter_groups(self) -> Iterable[dict[str, Any]]:
        """Return the backbone's parameters, and the weighting's without weight decay."""
        own: dict[str, Any] = {"params": [p for p in self.weighting.parameters() if p.requires_grad]}
        if self.weighting.learning_rate is not None:
            own["lr"] = self.weighting.learning_rate
        return [
            {"params": [p for p in self.backbone.parameters() if p.requires_grad]},
            {**own, "weight_decay": 0.0},
        ]

    def begin(self, batch: Batch) -> None:
        """Note the batch, and where the random numbers stand, for a weighting that will look at it again."""
        if self._looks_again:
            self._last = batch, RandomState.of(batch.labels.device)

    def after_step(self) -> None:
        """Pass on to the weighting."""
        self.weighting.after_step()
        if self._looks_again:
            self.weighting.look_again(self._losses_again)
            self._last = None

    @torch.no_grad()
    def _losses_again(self) -> Tensor:
        if self._last is None:
            raise RuntimeError("there is no step whose losses could be looked at again")
        batch, state = self._last
        with state.replayed():
            return task_losses(self.backbone(batch), batch).mean()

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
        """Backpropagate the weighted loss, and the backbone's penalty if it has one."""
        self.begin(batch)
        logits = self.backbone(batch)
        losses = task_losses(logits, batch)
        weighted = self.weighting.combine(losses, logits, batch)
        penalty = self.backbone.penalty(logits, batch)
        (weighted.loss if penalty is None else weighted.loss + penalty).backward()
        return StepReport(losses.mean().detach(), weighted.weights)

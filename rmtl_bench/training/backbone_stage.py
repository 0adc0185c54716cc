"""What the stages that train the backbone have in common: of one seed, and of several side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtl_bench.contracts.backbone import Backbone
from rmtl_bench.contracts.batch import Batch
from rmtl_bench.contracts.dropout import generators_of_replicas, replica_generators
from rmtl_bench.contracts.errors import DivergedError
from rmtl_bench.contracts.side_by_side import StageGroup
from rmtl_bench.contracts.stack import ModuleStack, NotStackableError, map_stacked
from rmtl_bench.contracts.stage import Evaluation, Stage
from rmtl_bench.contracts.weighting import TaskLosses, Weighting
from rmtl_bench.training.agreement import refuse_disagreement
from rmtl_bench.training.streams import RandomState
from rmtl_bench.training.validation import Validation, predict_side_by_side


def task_losses(logits: Tensor, batch: Batch) -> TaskLosses:
    """Return the binary cross-entropies of logits [B, K] or, stacked, [S, B, K]; 0 where the label is missing."""
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
        self.precision = validation.precision
        self._looks_again = type(weighting).look_again is not Weighting.look_again
        self._last: tuple[Batch, RandomState] | None = None

    @property
    def capturable(self) -> bool:
        """Whether backbone and weighting are. To look at a batch again, the state of the generators is fetched."""
        return self.backbone.capturable and self.weighting.capturable and not self._looks_again

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
            return task_losses(self.precision.logits(self.backbone, batch), batch).mean()

    def after_epoch(self, losses: Tensor) -> None:
        """Pass on to the weighting."""
        self.weighting.after_epoch(losses)

    def evaluate(self) -> Evaluation:
        """Return the mean validation AUC as score, with AUC and logloss by task."""
        return self.validation.evaluate(self.backbone)


B = TypeVar("B", bound=BackboneStage)


class Forward(NamedTuple):
    """What a forward pass of S backbones returns: logits [S, B, K]; a penalty [S] and a representation, if any."""

    logits: Tensor
    penalty: Tensor | None
    representation: Tensor | None


class BackboneStages(StageGroup[B]):
    """Backbones stacked, and each seed's weighting as it is."""

    def __init__(self, stages: Sequence[B]) -> None:
        super().__init__(stages)
        self.backbones = ModuleStack([stage.backbone for stage in stages])
        try:
            refuse_disagreement(self.backbones, stages[0].validation.rows)
        except NotStackableError:
            self.backbones.dissolve()
            raise
        self.precision = stages[0].precision
        self._looks_again = type(stages[0].weighting).look_again is not Weighting.look_again
        self._last: tuple[Batch, RandomState, list[torch.Generator]] | None = None

    def forward(self, batch: Batch) -> Forward:
        """Return what the backbones make of batches stacked [S, B, ...]."""
        if self._looks_again:
            replicas = [generator.clone_state() for generator in generators_of_replicas()]
            self._last = batch, RandomState.of(batch.labels.device), replicas
        made = map_stacked(self._represented, [self.backbones], batch)
        return Forward(made["logits"], made.get("penalty"), made.get("representation"))

    def after_step(self) -> None:
        """Pass on to the weightings."""
        for stage in self.stages:
            stage.weighting.after_step()
        if self._looks_again:
            again = self._losses_again().unbind()
            for stage, losses in zip(self.stages, again, strict=True):
                stage.weighting.look_again(lambda losses=losses: losses)  # type: ignore[misc]
            self._last = None

    @torch.no_grad()
    def _losses_again(self) -> Tensor:
        if self._last is None:
            raise RuntimeError("there is no step whose losses could be looked at again")
        batch, state, replicas = self._last
        with state.replayed(), replica_generators(replicas):
            return task_losses(map_stacked(self.precision.logits, [self.backbones], batch), batch).mean()

    def evaluate(self) -> Sequence[Evaluation | DivergedError]:
        """Return each seed's mean validation AUC as score, with AUC and logloss by task."""
        validation = self.stages[0].validation
        logits = predict_side_by_side(self.backbones, validation.rows, validation.batch_size, self.precision)
        return validation.judge_side_by_side(logits)

    def _represented(self, backbone: Backbone, batch: Batch) -> dict[str, Tensor]:
        logits, representation = self.precision.represent(backbone, batch)
        made = {"logits": logits, "penalty": backbone.penalty(logits, batch), "representation": representation}
        return {name: value for name, value in made.items() if value is not None}

"""The trainer: runs the stages of a weighting one after another. It knows stages only."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rmtl_bench.contracts.backbone import Backbone
from rmtl_bench.contracts.batch import SplitRows
from rmtl_bench.contracts.cell import EpochRecord
from rmtl_bench.contracts.errors import DivergedError, PluginError
from rmtl_bench.contracts.schema import Schema
from rmtl_bench.contracts.stage import Evaluation, Stage
from rmtl_bench.contracts.weighting import GradientWeighting, LossWeighting, Weighting
from rmtl_bench.training.backbone_stage import LossStage
from rmtl_bench.training.gradient_stage import GradientStage
from rmtl_bench.training.history import History, StageSummary
from rmtl_bench.training.settings import TrainerSettings
from rmtl_bench.training.streams import Streams
from rmtl_bench.training.validation import Validation, predict

Observer = Callable[[EpochRecord], None]


class Trainer:
    """Trains one backbone under one weighting. Implements the ``StageContext`` that stages are made with."""

    def __init__(
        self,
        backbone: Backbone,
        weighting: Weighting,
        train: SplitRows,
        valid: SplitRows,
        settings: TrainerSettings,
        streams: Streams,
        observer: Observer | None = None,
        handed_on: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.backbone = backbone
        self.weighting = weighting
        self.schema: Schema = backbone.schema
        self.train = train
        self.valid = valid
        self.settings = settings
        self.device = train.labels.device
        self.evaluation_batch_size = settings.evaluation_batch_size
        self.handed_on = handed_on
        self.history = History(self.schema.task_names)
        self._streams = streams
        self._observer = observer
        self._validation = Validation(valid, self.schema.task_names, settings.evaluation_batch_size)

    def backbone_stage(self, name: str, weighting: Weighting, **limits: Any) -> Stage:
        """Return a stage that trains the backbone under a loss or gradient weighting."""
        if weighting is not self.weighting:
            weighting.to(self.device)
            weighting.generator.manual_seed(self.seed(f"weighting/{name}"))
        if isinstance(weighting, GradientWeighting):
            return GradientStage(name, self.backbone, weighting, self._validation, **limits)
        if isinstance(weighting, LossWeighting):
            return LossStage(name, self.backbone, weighting, self._validation, **limits)
        raise PluginError(f"{type(weighting).__name__} is neither a loss weighting nor a gradient weighting")

    def predict(self, rows: SplitRows) -> Tensor:
        """Return the backbone's logits [N, K] on all rows of a split."""
        return predict(self.backbone, rows, self.evaluation_batch_size)

    def validate(self) -> Evaluation:
        """Return the backbone's mean validation AUC as score, with AUC and logloss by task."""
        return self._validation.evaluate(self.backbone)

    def seed(self, stream: str, *, paired: bool = False) -> int:
        """Return a seed for a random stream of the weighting's own, or one that weightings have in common."""
        return self._streams.paired(stream) if paired else self._streams.weighting(stream)

    def warn(self, text: str) -> None:
        """Add a line to the history's warnings, once."""
        if text not in self.history.warnings:
            self.history.warnings.append(text)

    def run(self) -> History:
        """Run every stage and return the history; the backbone is left in its best state of the last stage.

        torch's global random state and both modules' training mode are the caller's again afterwards. Raises
        ``DivergedError`` when a loss or prediction is not finite.
        """
        devices = [self.device] if self.device.type == "cuda" else []
        self.weighting.to(self.device)
        self.weighting.generator.manual_seed(self.seed("weighting"))
        modes = [(module, module.training) for module in (self.backbone, self.weighting)]
        try:
            with torch.random.fork_rng(devices=devices):
                for stage in self.weighting.stages(self):
                    self._run_stage(stage)
        finally:
            for module, training in modes:
                module.train(training)
        return self.history

    def _run_stage(self, stage: Stage) -> None:
        started = time.perf_counter()
        learning_rate = self.settings.learning_rate if stage.learning_rate is None else stage.learning_rate
        optimizers = stage.optimizers(learning_rate, self.settings.weight_decay)
        patience = stage.patience or self.settings.patience
        limit = stage.max_epochs or self.settings.max_epochs
        best_score, best_epoch, best_state = -math.inf, 0, copy.deepcopy(stage.module.state_dict())
        if stage.counts_start:
            best_score = _finite(stage.evaluate(), stage, 0).score
        epoch, ended_by = 0, "max-epochs"
        for epoch in range(1, limit + 1):
            evaluation = self._run_epoch(stage, optimizers, epoch)
            if evaluation.score > best_score + stage.tolerance * abs(best_score) or math.isinf(best_score):
                best_score, best_epoch = evaluation.score, epoch
                best_state = copy.deepcopy(stage.module.state_dict())
            elif epoch - best_epoch >= patience:
                ended_by = "no-improvement"
                break
        stage.module.load_state_dict(best_state)
        stage.ended_by = ended_by
        steps = epoch * math.ceil(len(self.train) / self.settings.batch_size)
        seconds = time.perf_counter() - started
        self.history.stages.append(StageSummary(stage.name, epoch, best_epoch, best_score, ended_by, seconds, steps))

    def _run_epoch(self, stage: Stage, optimizers: Sequence[torch.optim.Optimizer], epoch: int) -> Evaluation:
        started = time.perf_counter()
        torch.manual_seed(self._streams.dropout(stage.order, epoch))
        shuffle = torch.Generator().manual_seed(self._streams.order(stage.order, epoch))
        order = torch.randperm(len(self.train), generator=shuffle).to(self.device)
        total = torch.zeros(len(self.schema.tasks), device=self.device)
        weights: list[Tensor] = []
        stage.module.train()
        for rows in order.split(self.settings.batch_size):
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            report = stage.backward(self.train.batch(rows))
            for optimizer in optimizers:
                optimizer.step()
            stage.after_step()
            total += report.losses * len(rows)
            if report.weights is not None:
                weights.append(report.weights)
        losses = (total / len(order)).cpu()
        if not torch.isfinite(losses).all():
            raise DivergedError(f"stage {stage.name!r}, epoch {epoch}: the training loss is {losses.tolist()}")
        self.history.add_weights(stage.name, epoch, weights)
        stage.after_epoch(losses)
        stage.module.eval()
        evaluation = _finite(stage.evaluate(), stage, epoch)
        record = EpochRecord(
            stage=stage.name,
            epoch=epoch,
            seconds=time.perf_counter() - started,
            losses=dict(zip(self.schema.task_names, losses.tolist(), strict=True)),
            score=evaluation.score,
            values=evaluation.values,
        )
        self.history.add_epoch(record)
        if self._observer is not None:
            self._observer(record)
        return evaluation


def _finite(evaluation: Evaluation, stage: Stage, epoch: int) -> Evaluation:
    if not math.isfinite(evaluation.score):
        raise DivergedError(f"stage {stage.name!r}, epoch {epoch}: the validation score is {evaluation.score}")
    return evaluation

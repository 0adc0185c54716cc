"""The trainer: runs the stages of a weighting one after another. It knows stages only."""

from __future__ import annotations

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
from rmtl_bench.contracts.stage import Evaluation, Stage, StepReport
from rmtl_bench.contracts.weighting import GradientWeighting, LossWeighting, Weighting
from rmtl_bench.training.backbone_stage import LossStage
from rmtl_bench.training.course import StageCourse
from rmtl_bench.training.gradient_stage import GradientStage
from rmtl_bench.training.history import History, KeptEpoch
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
        ``DivergedError`` when a loss or prediction is not finite: the history then ends with the last good epoch, and
        the backbone is in the best state that it had until then, ``history.kept_epoch``.
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
        course = StageCourse(stage)
        try:
            ended_by = self._run_epochs(course)
        except DivergedError:
            self.history.stages.append(course.end("diverged"))
            raise
        self.history.stages.append(course.end(ended_by))

    def _run_epochs(self, course: StageCourse) -> str:
        """Run a stage to its end, and return what ended it."""
        stage = course.stage
        learning_rate = self.settings.learning_rate if stage.learning_rate is None else stage.learning_rate
        optimizers = stage.optimizers(learning_rate, self.settings.weight_decay)
        patience = stage.patience or self.settings.patience
        own = {id(parameter) for parameter in self.backbone.parameters()}
        trains_backbone = any(id(parameter) in own for parameter in stage.module.parameters())
        if stage.counts_start:
            course.best_score = _evaluated(course).score
        for _ in range(stage.max_epochs or self.settings.max_epochs):
            course.epochs += 1
            with self.history.all_or_nothing():
                score = self._run_epoch(course, optimizers).score
            if course.is_better(score):
                course.keep(score)
                if trains_backbone:
                    self.history.kept_epoch = KeptEpoch(stage.name, course.epochs, score)
            elif course.epochs - course.best_epoch >= patience:
                return "no-improvement"
        return "max-epochs"

    def _run_epoch(self, course: StageCourse, optimizers: Sequence[torch.optim.Optimizer]) -> Evaluation:
        started = time.perf_counter()
        stage, epoch = course.stage, course.epochs
        stage.module.train()
        losses, weights = self._run_steps(course, optimizers)
        if not torch.isfinite(losses).all():
            raise DivergedError(f"{course}: the training loss is {losses.tolist()}")
        # Before the weighting is told of the epoch: it may change what it has reported in place.
        self.history.add_weights(stage.name, epoch, weights)
        stage.after_epoch(losses)
        stage.module.eval()
        evaluation = _evaluated(course)
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

    def _run_steps(
        self, course: StageCourse, optimizers: Sequence[torch.optim.Optimizer]
    ) -> tuple[Tensor, list[Tensor]]:
        """Run the steps of an epoch; return the mean losses [K], on the CPU, and the weights that were used."""
        stage = course.stage
        torch.manual_seed(self._streams.dropout(stage.order, course.epochs))
        shuffle = torch.Generator().manual_seed(self._streams.order(stage.order, course.epochs))
        batches = torch.randperm(len(self.train), generator=shuffle).to(self.device).split(self.settings.batch_size)
        total = torch.zeros(len(self.schema.tasks), device=self.device)
        weights: list[Tensor] = []
        started = time.perf_counter()
        try:
            for rows in batches:
                report = self._step(stage, rows, optimizers)
                total += report.losses * len(rows)
                if report.weights is not None:
                    weights.append(report.weights)
        except Exception as error:
            # A solver that is given a NaN may raise anything: asked only now, it costs no step a synchronisation.
            if all(torch.isfinite(values).all() for values in (total, *stage.module.parameters())):
                raise
            reason = f"a step failed with {type(error).__name__} after values that are not finite"
            raise DivergedError(f"{course}: {reason}") from error
        # Fetching the losses waits for the device: the clock must not be read before.
        losses = (total / len(self.train)).cpu()
        course.add_steps(len(batches), time.perf_counter() - started)
        return losses, weights

    def _step(self, stage: Stage, rows: Tensor, optimizers: Sequence[torch.optim.Optimizer]) -> StepReport:
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        report = stage.backward(self.train.batch(rows))
        for optimizer in optimizers:
            optimizer.step()
        stage.after_step()
        return report


def _evaluated(course: StageCourse) -> Evaluation:
    try:
        evaluation = course.stage.evaluate()
    except DivergedError as error:
        raise DivergedError(f"{course}: {error}") from error
    if not math.isfinite(evaluation.score):
        raise DivergedError(f"{course}: the validation score is {evaluation.score}")
    return evaluation

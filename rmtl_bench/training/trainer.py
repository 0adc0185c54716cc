"""The trainer: runs the stages of a weighting one after another. It knows stages only."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from rmtl_bench.contracts.backbone import Backbone
from rmtl_bench.contracts.batch import SplitRows
from rmtl_bench.contracts.cell import EpochRecord
from rmtl_bench.contracts.errors import DivergedError, PluginError
from rmtl_bench.contracts.schema import Schema
from rmtl_bench.contracts.spans import span
from rmtl_bench.contracts.stage import Evaluation, Stage
from rmtl_bench.contracts.weighting import GradientWeighting, LossWeighting, Weighting
from rmtl_bench.training.checkpoint import Checkpoint, load_optimizers
from rmtl_bench.training.course import StageCourse
from rmtl_bench.training.cuda_graphs import make_steps
from rmtl_bench.training.gradient_stage import GradientStage
from rmtl_bench.training.history import History, KeptEpoch
from rmtl_bench.training.loss_stage import LossStage
from rmtl_bench.training.order import Batches, batches_of
from rmtl_bench.training.precision import Precision
from rmtl_bench.training.settings import TrainerSettings
from rmtl_bench.training.steps import Steps, seconds_of_steps
from rmtl_bench.training.streams import Streams
from rmtl_bench.training.used_weights import UsedWeights
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
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.backbone = backbone
        self.weighting = weighting
        self.schema: Schema = backbone.schema
        self.train = train
        self.valid = valid
        self.settings = settings
        self.device = train.device
        self.precision = Precision(settings.precision)
        self.evaluation_batch_size = settings.evaluation_rows(self.device.type)
        self.handed_on = handed_on
        self.history = History(self.schema.task_names)
        self.streams = streams
        self.checkpoint = checkpoint or Checkpoint()
        self._observer = observer
        if settings.shuffle == "rows" and not train.resident:
            self.warn('the rows stay on the disk and are read in random order; shuffle = "blocks" reads them in order')
        self._validation = Validation(valid, self.schema.task_names, self.evaluation_batch_size, self.precision)

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
        with span("evaluation"), self.precision.products(self.device):
            return predict(self.backbone, rows, self.evaluation_batch_size, self.precision)

    def validate(self) -> Evaluation:
        """Return the backbone's mean validation AUC as score, with AUC and logloss by task."""
        with span("evaluation"), self.precision.products(self.device):
            return self._validation.evaluate(self.backbone)

    def seed(self, stream: str, *, paired: bool = False) -> int:
        """Return a seed for a random stream of the weighting's own, or one that weightings have in common."""
        return self.streams.paired(stream) if paired else self.streams.weighting(stream)

    def warn(self, text: str) -> None:
        """Add a line to the history's warnings, once."""
        if text not in self.history.warnings:
            self.history.warnings.append(text)

    def run(self) -> History:
        """Run every stage and return the history; the backbone is left in its best state of the last stage.

        torch's global random state and both modules' training mode are the caller's again afterwards. Raises
        ``DivergedError`` when a loss or prediction is not finite: the history then ends with the last good epoch, and
        the backbone is in the best state that it had until then, ``history.kept_epoch``; ``CheckpointError`` when the
        checkpoint proves to be of no use: backbone and weighting are then in no state to go on with.
        """
        with self.at_work(), self.checkpoint.blamed():
            for stage in self.stages():
                self.run_stage(stage)
        return self.history

    def stages(self) -> Iterator[Stage]:
        """Yield the stages of the weighting, each made when it is asked for; not those that a checkpoint had ended."""
        self.checkpoint.begin(self)
        stages = iter(self.weighting.stages(self))
        while True:
            with span("weighting"):
                stage = next(stages, None)
            if stage is None:
                self.checkpoint.no_more_stages()
                return
            if not self.checkpoint.had_ended(stage):
                yield stage

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Within, the weighting is on the device and seeded; behind, modes and random state are the caller's again."""
        devices = [self.device] if self.device.type == "cuda" else []
        self.weighting.to(self.device)
        self.weighting.generator.manual_seed(self.seed("weighting"))
        modes = [(module, module.training) for module in (self.backbone, self.weighting)]
        try:
            with torch.random.fork_rng(devices=devices), self.precision.products(self.device):
                yield
        finally:
            for module, training in modes:
                module.train(training)

    def run_stage(self, stage: Stage) -> None:
        """Run a stage to its end and note how it went."""
        started = time.perf_counter()
        course = StageCourse(stage, self.settings)
        try:
            optimizers = stage.optimizers(course.learning_rate, course.weight_decay)
            steps = make_steps(stage, optimizers, self.train, self.warn)
            saved = self.checkpoint.goes_on(course)
            if saved is not None:
                load_optimizers(optimizers, saved)
                started -= course.seconds
            elif stage.counts_start:
                with span("evaluation"):
                    course.best_score = checked(stage.evaluate()).score
            while not course.ended_by:
                self._run_epoch(course, steps)
                course.seconds = time.perf_counter() - started
                self.checkpoint.epoch_ended(course, lambda: [optimizer.state_dict() for optimizer in optimizers])
        except DivergedError as error:
            course.ended_by = "diverged"
            raise DivergedError(f"{course}: {error}") from error
        finally:
            course.seconds = time.perf_counter() - started
            if course.ended_by:
                self.end_stage(course)

    def end_stage(self, course: StageCourse) -> None:
        """Note how a stage went; its module is in its best state afterwards."""
        self.history.stages.append(course.end())
        self.checkpoint.stage_ended(course)

    def seconds_of_steps(self, course: StageCourse, count: int) -> list[float]:
        """Take the first steps of a stage and return the seconds of each; the stage is used up."""
        stage = course.stage
        stage.module.train()
        optimizers = stage.optimizers(course.learning_rate, course.weight_decay)
        steps = make_steps(stage, optimizers, self.train, self.warn)
        return seconds_of_steps(steps, self._batches(course), count)

    def _run_epoch(self, course: StageCourse, steps: Steps) -> None:
        started = time.perf_counter()
        course.epochs += 1
        mark = self.history.mark()
        course.stage.module.train()
        try:
            losses, weights = self._run_steps(course, steps)
            self.trained(course, losses, weights)
            with span("evaluation"):
                evaluation = course.stage.evaluate()
            self.evaluated(course, losses, evaluation, time.perf_counter() - started)
        except BaseException:
            self.history.back_to(mark)
            raise

    def trained(self, course: StageCourse, losses: Tensor, weights: UsedWeights) -> None:
        """Note what the steps of an epoch came to: mean losses [K], on the CPU, and the weights that were used.

        Raises ``DivergedError`` where a loss is not finite.
        """
        if not torch.isfinite(losses).all():
            raise DivergedError(f"the training loss is {losses.tolist()}")
        # Before the weighting is told of the epoch: it may change what it has reported in place.
        self.history.add_weights(course.stage.name, course.epochs, weights)
        with span("weighting"):
            course.stage.after_epoch(losses)
        course.stage.module.eval()

    def evaluated(self, course: StageCourse, losses: Tensor, evaluation: Evaluation, seconds: float) -> None:
        """Note the end of an epoch that took ``seconds``, keep its state if it is the best, and tell of it.

        Raises ``DivergedError`` where the score is not finite.
        """
        score = checked(evaluation).score
        record = EpochRecord(
            stage=course.stage.name,
            epoch=course.epochs,
            seconds=seconds,
            losses=dict(zip(self.schema.task_names, losses.tolist(), strict=True)),
            score=score,
            values=evaluation.values,
        )
        self.history.add_epoch(record)
        if self._observer is not None:
            self._observer(record)
        if course.judge(score) and self._trains_backbone(course.stage):
            self.history.kept_epoch = KeptEpoch(course.stage.name, course.epochs, score)

    def _trains_backbone(self, stage: Stage) -> bool:
        own = {id(parameter) for parameter in self.backbone.parameters()}
        return any(id(parameter) in own for parameter in stage.module.parameters())

    def order_seed(self, course: StageCourse) -> int:
        """Return the seed of the order of rows in this epoch."""
        return self.streams.order(course.stage.order, course.epochs)

    def _batches(self, course: StageCourse) -> Batches:
        with span("data"):
            return batches_of(self.train, [self.order_seed(course)], self.settings)

    def dropout_seed(self, course: StageCourse) -> int:
        """Return the seed of dropout in this epoch."""
        return self.streams.dropout(course.stage.order, course.epochs)

    def _run_steps(self, course: StageCourse, steps: Steps) -> tuple[Tensor, UsedWeights]:
        """Run the steps of an epoch; return the mean losses [K], on the CPU, and the weights that were used."""
        torch.manual_seed(self.dropout_seed(course))
        batches = self._batches(course)
        total = torch.zeros(len(self.schema.tasks), device=self.device)
        weights = UsedWeights(len(self.schema.tasks))
        started = time.perf_counter()
        steps.begin_epoch(len(batches))
        try:
            for rows in batches:
                report = steps(rows)
                total += report.losses * len(rows)
                if report.weights is not None:
                    weights.append(report.weights)
        except Exception as error:
            # A solver that is given a NaN may raise anything: asked only now, it costs no step a synchronisation.
            if all(torch.isfinite(values).all() for values in (total, *course.stage.module.parameters())):
                raise
            raise DivergedError(
                f"a step failed with {type(error).__name__} after values that are not finite"
            ) from error
        # Fetching the losses waits for the device: the clock must not be read before.
        losses = (total / len(self.train)).cpu()
        course.add_steps(len(batches), time.perf_counter() - started)
        return losses, weights


def checked(evaluation: Evaluation) -> Evaluation:
    """Return the evaluation; raise ``DivergedError`` where its score is not finite."""
    if not math.isfinite(evaluation.score):
        raise DivergedError(f"the validation score is {evaluation.score}")
    return evaluation

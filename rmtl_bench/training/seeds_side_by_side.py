"""Several seeds of one cell in one pass, each with a trainer of its own, and the same numbers as alone.

The seeds run stage by stage. Within a stage every seed has its own batch order, dropout masks, weighting and early
stopping; what is stacked is the modules that the stage trains (:mod:`rmtl_bench.contracts.side_by_side`). A seed whose
stage has ended leaves the stack, and costs nothing until all have come to their next stage. Every seed has a checkpoint
of its own, the one that it would have alone; those of the seeds in the stack are written at the same epochs, so that
the pass can go on from them. Numbers equal those of a
run on its own to rounding: a product of stacked matrices adds up in another order. Seconds are a seed's share: those
of the pass divided by the seeds that were in it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rmtl_bench.contracts.dropout import replica_generators
from rmtl_bench.contracts.errors import DivergedError
from rmtl_bench.contracts.side_by_side import StageGroup
from rmtl_bench.contracts.spans import span
from rmtl_bench.contracts.stack import NotStackableError
from rmtl_bench.contracts.stage import Evaluation, Stage
from rmtl_bench.training.checkpoint import load_optimizers
from rmtl_bench.training.checkpoint_file import CheckpointError
from rmtl_bench.training.course import StageCourse
from rmtl_bench.training.cuda_graphs import make_steps
from rmtl_bench.training.order import Batches, batches_of
from rmtl_bench.training.steps import seconds_of_steps
from rmtl_bench.training.trainer import Trainer, checked
from rmtl_bench.training.used_weights import UsedWeights


class SeedsSideBySide:
    """Trains the seeds of one cell side by side.

    The trainers differ in their cell's seed alone: they have the same rows and the same settings.
    """

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        self.trainers = list(trainers)

    def run(self) -> list[DivergedError | None]:
        """Run every stage of every seed; return the error of each seed that diverged, ``None`` for the others.

        What :meth:`Trainer.run` says of a seed holds for each: its history, its backbone's state, a run that diverged.
        Any other exception ends the pass, and leaves histories and backbones in the middle of it. The checkpoints,
        where there are any, have to be at one place: see :func:`~rmtl_bench.training.checkpoint.at_one_place`.
        """
        with ExitStack() as work:
            for trainer in self.trainers:
                work.enter_context(trainer.at_work())
                work.enter_context(trainer.checkpoint.blamed())
            seeds = [_Seed(trainer) for trainer in self.trainers]
            # Where the run goes on from a checkpoint, some seeds may wait at the next stage for the others.
            first = min(seed.ended_before for seed in seeds)
            behind = [seed for seed in seeds if seed.ended_before == first]
            for several in itertools.chain([behind], itertools.repeat(seeds)):
                going = [seed for seed in several if seed.advance()]
                if not going:
                    break
                _run_stage(going)
        return [seed.error for seed in seeds]


class _Seed:
    """One seed's way through the pass: the stage that it is in, and what ended it early, if anything did."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.generator = torch.Generator(trainer.device)
        self.error: DivergedError | None = None
        trainer.checkpoint.begin(trainer)
        self.ended_before, _ = trainer.checkpoint.place
        self._stages = trainer.stages()

    def advance(self) -> bool:
        """Come to the next stage; return whether there is one."""
        stage = None
        if self.error is None:
            try:
                stage = next(self._stages, None)
            except DivergedError as error:
                self.error = error
        if stage is not None:
            self.course = StageCourse(stage, self.trainer.settings)
        return stage is not None

    @property
    def stage(self) -> Stage:
        """The stage that it is in."""
        return self.course.stage

    @contextmanager
    def diverging(self) -> Iterator[None]:
        """Within, a value that is not finite ends this seed and no other."""
        try:
            yield
        except DivergedError as error:
            self.error = DivergedError(f"{self.course}: {error}")
            self.error.__cause__ = error
            self.course.ended_by = "diverged"


def _run_stage(seeds: Sequence[_Seed]) -> None:
    group, reason = _grouped([seed.stage for seed in seeds])
    if group is not None:
        _Pass(seeds, group).run()
        return
    for seed in seeds:
        if len(seeds) > 1:
            seed.trainer.warn(f"stage {seed.stage.name!r}: the seeds trained one after another: {reason}")
        try:
            seed.trainer.run_stage(seed.stage)
        except DivergedError as error:
            seed.error = error


def _grouped(stages: Sequence[Stage]) -> tuple[StageGroup[Stage] | None, str]:
    """Return the stages as a group, or ``None`` and why they cannot be one; a single stage needs none."""
    kind = type(stages[0])
    if len(stages) == 1 or any(type(stage) is not kind for stage in stages):
        return None, "their stages are of several kinds"
    try:
        return kind.side_by_side(stages), f"{kind.__name__} takes one seed at a time"
    except NotStackableError as error:
        return None, str(error)


def seconds_of_first_steps(trainers: Sequence[Trainer], steps: int) -> float:
    """Return the seconds of one step of the first stage, all seeds side by side: the fastest of ``steps``.

    As many go before them. The trainers are used up. Raises ``NotStackableError`` where the seeds cannot be one group.
    """
    with ExitStack() as work:
        for trainer in trainers:
            work.enter_context(trainer.at_work())
        seeds = [_Seed(trainer) for trainer in trainers]
        for seed in seeds:
            seed.advance()
            seed.course.epochs = 1
        if len(seeds) > 1:
            group, reason = _grouped([seed.stage for seed in seeds])
            if group is None:
                raise NotStackableError(reason)
            return min(_Pass(seeds, group).seconds_of_steps(2 * steps)[steps:])
        return min(seeds[0].trainer.seconds_of_steps(seeds[0].course, 2 * steps)[steps:])


class _Pass:
    """One stage of several seeds, from its first epoch until the last seed has ended it."""

    def __init__(self, seeds: Sequence[_Seed], group: StageGroup[Stage]) -> None:
        self.seeds = list(seeds)
        self.group = group
        trainer, course = seeds[0].trainer, seeds[0].course
        self.device = trainer.device
        self.rows = trainer.train
        self.settings = trainer.settings
        self.waiting: list[_Seed] = []
        self.rates = course.learning_rate, course.weight_decay
        self.optimizers = group.optimizers(*self.rates)
        self.steps = make_steps(group, self.optimizers, self.rows, self._warn)

    def run(self) -> None:
        """Run epochs until every seed has ended the stage."""
        if not self._goes_on() and self.seeds[0].stage.counts_start:
            for seed, found in zip(self.seeds, self._evaluate(), strict=True):
                with seed.diverging():
                    seed.course.best_score = checked(_sound(found)).score
            self._drop_ended()
        while self.seeds:
            self._run_epoch()
            self._drop_ended()
            self._save()

    def _goes_on(self) -> bool:
        """Put stages and optimizers to where they were, if they were under way; return whether they were."""
        states = [seed.trainer.checkpoint.goes_on(seed.course) for seed in self.seeds]
        if all(saved is None for saved in states):
            return False
        if len({seed.course.epochs for seed in self.seeds}) > 1:
            raise CheckpointError("the seeds of a pass are at several epochs of a stage")
        each = self.group.optimizers_of_seeds(self.optimizers, *self.rates)
        for optimizers, saved in zip(each, states, strict=True):
            load_optimizers(optimizers, saved or [])
        self.group.gather(self.optimizers, each)
        return True

    def _save(self) -> None:
        """Write the seeds' checkpoints if it is time to, of all at the same epoch."""
        for seed in (*self.seeds, *self.waiting):
            seed.trainer.checkpoint.holds()
        if not any(seed.trainer.checkpoint.is_due() for seed in self.seeds):
            return
        started = time.monotonic()
        each = self.group.optimizers_of_seeds(self.optimizers, *self.rates)
        for seed, optimizers in zip(self.seeds, each, strict=True):
            seed.trainer.checkpoint.write(seed.course, partial(_states, optimizers))
        for seed in self.waiting:
            seed.trainer.checkpoint.catch_up()
        for seed in self.seeds:
            seed.trainer.checkpoint.wrote_in(time.monotonic() - started)

    def seconds_of_steps(self, count: int) -> list[float]:
        """Take the first steps and return the seconds of each; the stages are used up."""
        for seed in self.seeds:
            seed.stage.module.train()
        with self._drawing():
            return seconds_of_steps(self.steps, self._batches(), count)

    def _run_epoch(self) -> None:
        started = time.perf_counter()
        marks = [seed.trainer.history.mark() for seed in self.seeds]
        for seed in self.seeds:
            seed.course.epochs += 1
            seed.stage.module.train()
        losses, weights = self._run_steps()
        for seed, own, used in zip(self.seeds, losses, weights, strict=True):
            with seed.diverging():
                seed.trainer.trained(seed.course, own, used)
            seed.stage.module.eval()
        evaluations = self._evaluate()
        share = (time.perf_counter() - started) / len(self.seeds)
        for seed, own, found in zip(self.seeds, losses, evaluations, strict=True):
            if seed.error is None:
                with seed.diverging():
                    seed.trainer.evaluated(seed.course, own, _sound(found), share)
        for seed, mark in zip(self.seeds, marks, strict=True):
            seed.course.seconds += share
            if seed.error is not None:
                seed.trainer.history.back_to(mark)

    def _evaluate(self) -> Sequence[Evaluation | DivergedError]:
        with span("evaluation"):
            return self.group.evaluate()

    def _run_steps(self) -> tuple[Tensor, list[UsedWeights]]:
        """Run the steps of an epoch; return mean losses [S, K], on the CPU, and the weights that each seed used."""
        started = time.perf_counter()
        batches = self._batches()
        total = torch.zeros(len(self.seeds), len(self.seeds[0].trainer.schema.tasks), device=self.device)
        weights = [UsedWeights(total.shape[1]) for _ in self.seeds]
        self.steps.begin_epoch(len(batches))
        with self._drawing():
            for rows in batches:
                report = self.steps(rows)
                total += report.losses * rows.shape[1]
                if report.weights is not None:
                    for used, own in zip(weights, report.weights.reshape(len(self.seeds), -1), strict=True):
                        used.append(own)
        losses = (total / len(self.rows)).cpu()
        share = (time.perf_counter() - started) / len(self.seeds)
        for seed in self.seeds:
            seed.course.add_steps(len(batches), share)
        return losses, weights

    def _warn(self, text: str) -> None:
        for seed in self.seeds:
            seed.trainer.warn(text)

    def _batches(self) -> Batches:
        """Return the rows of each batch of this epoch, [S, B]: every seed has an order of its own."""
        with span("data"):
            orders = [seed.trainer.order_seed(seed.course) for seed in self.seeds]
            return batches_of(self.rows, orders, self.settings, stacked=True)

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        """Within, the units that a seed drops are those that it drops alone."""
        for seed in self.seeds:
            seed.generator.manual_seed(seed.trainer.dropout_seed(seed.course))
        torch.manual_seed(self.seeds[0].generator.initial_seed())
        with replica_generators([seed.generator for seed in self.seeds]):
            yield

    def _drop_ended(self) -> None:
        """Let the seeds that have ended the stage leave the stack, each in its best state."""
        ended = [seed for seed in self.seeds if seed.course.ended_by]
        if not ended:
            return
        places = [place for place, seed in enumerate(self.seeds) if seed not in ended]
        if places:
            self.group.keep(places, self.optimizers)
        else:
            self.group.dissolve()
        for seed in ended:
            seed.trainer.end_stage(seed.course)
        self.waiting += ended
        self.seeds = [self.seeds[place] for place in places]


def _states(optimizers: Sequence[torch.optim.Optimizer]) -> list[dict[str, Any]]:
    return [optimizer.state_dict() for optimizer in optimizers]


def _sound(found: Evaluation | DivergedError) -> Evaluation:
    if isinstance(found, DivergedError):
        raise found
    return found

"""What the stages of a method take of several seeds side by side: a step, and a validation.

The stages are those that the trainer runs, with its optimisers and its steps, eager or recorded; every one is stepped
some times and validated, in its order, on whatever rows there are: nothing is learnt.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.clock import seconds, wait
from benchmarks.trainings import BATCH, Data, make_trainer
from rmtl_bench.contracts.side_by_side import StageGroup
from rmtl_bench.contracts.stage import Stage
from rmtl_bench.plugins import Registry
from rmtl_bench.training.cuda_graphs import LEAST_STEPS, CudaRecorder, make_steps
from rmtl_bench.training.steps import EagerSteps, Steps
from rmtl_bench.training.trainer import Trainer

WARM_UP = 6
"""Steps before the clock: those that are taken one by one, the recording, and the first launch."""
TURNS = 3

_FAILED: list[torch.cuda.CUDAGraph] = []
"""Recordings that broke off: torch's allocator may still refer to them."""


@dataclass(frozen=True)
class StageTime:
    """Seconds of one step and of one validation of all seeds together; ``validation`` is ``nan`` where none was asked.

    ``recorded``: whether a CUDA graph took the steps.
    """

    stage: str
    step: float
    validation: float
    recorded: bool


@dataclass(frozen=True)
class Measured:
    """A stage, ready to step, with what takes its steps: for figures beside the time."""

    stage: Stage | StageGroup[Stage]
    eager: EagerSteps
    batches: Sequence[Tensor]


def new_trainers(
    registry: Registry, data: Data, backbone: str, weighting: str, seeds: int, **given: Any
) -> list[Trainer]:
    """Return trainers of several seeds, their parameters drawn on the data's device."""
    trainers = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        with torch.device(data.train.labels.device):
            trainers.append(make_trainer(registry, data, backbone, weighting, seed=seed, **given))
    return trainers


def stage_times(
    trainers: Sequence[Trainer],
    steps: int = 30,
    *,
    recorded: bool = True,
    validate: bool = True,
    wanted: Callable[[str], bool] = lambda name: True,
    beside: Callable[[Measured], None] | None = None,
) -> Iterator[StageTime]:
    """Yield the times of every stage of the trainers' weighting that is ``wanted`` by its name.

    ``recorded``: with CUDA graphs where they are possible; ``beside`` is called with every stage after its steps.
    """
    with ExitStack() as work:
        for trainer in trainers:
            work.enter_context(trainer.at_work())
        for stages in zip(*(trainer.stages() for trainer in trainers), strict=True):
            if wanted(stages[0].name):
                yield _time_of(trainers[0], stages, steps, recorded, validate, beside)
            for stage in stages:
                stage.ended_by = "no-improvement"


def _time_of(
    trainer: Trainer,
    stages: Sequence[Stage],
    count: int,
    recorded: bool,
    validate: bool,
    beside: Callable[[Measured], None] | None,
) -> StageTime:
    one: Stage | StageGroup[Stage] = stages[0]
    if len(stages) > 1:
        group = type(stages[0]).side_by_side(stages)
        if group is None:
            raise ValueError(f"{type(stages[0]).__name__} takes one seed at a time")
        one = group
    rate = stages[0].learning_rate or trainer.settings.learning_rate
    optimizers = one.optimizers(rate, trainer.settings.weight_decay)
    warnings: list[str] = []
    eager = EagerSteps(one, optimizers, trainer.train)
    steps = make_steps(one, optimizers, trainer.train, warnings.append) if recorded else eager
    batches = _batches(trainer, len(stages))
    for stage in stages:
        stage.module.train()
    step = _seconds_of_a_step(steps, batches, count, trainer.device)
    if beside is not None:
        beside(Measured(one, eager, batches))
    validation = float("nan")
    if validate:
        for stage in stages:
            stage.module.eval()
        one.evaluate()
        validation = seconds(one.evaluate, trainer.device)
    if isinstance(one, StageGroup):
        one.dissolve()
    graph = recorded and trainer.device.type == "cuda" and one.capturable and not warnings
    return StageTime(stages[0].name, step, validation, graph)


def _batches(trainer: Trainer, seeds: int) -> Sequence[Tensor]:
    orders = [torch.randperm(len(trainer.train)) for _ in range(seeds)]
    order = (orders[0] if seeds == 1 else torch.stack(orders)).to(trainer.device)
    return [
        rows for rows in order.split(trainer.settings.batch_size, -1) if rows.shape[-1] == trainer.settings.batch_size
    ]


def _seconds_of_a_step(steps: Steps, batches: Sequence[Tensor], count: int, device: torch.device) -> float:
    """Return the seconds of a step: the median of some turns of steps in a row, which the device works off."""
    steps.begin_epoch(max(LEAST_STEPS, WARM_UP + count))
    numbers = iter(range(WARM_UP + count))

    def take(some: int) -> None:
        for number in (next(numbers) for _ in range(some)):
            steps(batches[number % len(batches)])

    take(WARM_UP)
    wait(device)
    a_turn = max(1, count // TURNS)
    return statistics.median(seconds(lambda: take(a_turn), device) / a_turn for _ in range(TURNS))


def free_memory() -> None:
    """Give back what the last trainings held on a GPU, and let the next ones be recorded whatever became of them."""
    _FAILED.extend(CudaRecorder.failed)
    CudaRecorder.failed.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def training_rows(batches: int = 12) -> int:
    """Return how many rows so many batches of the default size have."""
    return batches * BATCH

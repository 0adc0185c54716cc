"""The steps of an epoch: what a stage, or several seeds' stages side by side, do with each batch."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from rmtl_bench.contracts.batch import SplitRows
from rmtl_bench.contracts.side_by_side import StageGroup
from rmtl_bench.contracts.spans import span
from rmtl_bench.contracts.stage import Stage, StepReport
from rmtl_bench.training.order import Batches


class Steps(Protocol):
    """Takes the steps of a stage, one batch at a time."""

    def begin_epoch(self, steps: int) -> None:
        """Called before the first of the ``steps`` steps of an epoch: what they work on may be other tensors now."""
        ...

    def __call__(self, rows: Tensor) -> StepReport:
        """Take the step of one batch, from the int64 positions of its rows: [B], or [S, B] for S seeds side by side."""
        ...


class EagerSteps:
    """Takes each step as it comes, operation by operation."""

    def __init__(
        self, stage: Stage | StageGroup[Stage], optimizers: Sequence[torch.optim.Optimizer], train: SplitRows
    ) -> None:
        self.stage = stage
        self.optimizers = optimizers
        self.train = train

    def begin_epoch(self, steps: int) -> None:
        """Nothing is kept from one epoch to the next."""

    def __call__(self, rows: Tensor) -> StepReport:
        """Compute the gradients of a batch and move the parameters."""
        with span("step"):
            with span("optimizer"):
                for optimizer in self.optimizers:
                    optimizer.zero_grad(set_to_none=True)
            with span("data"):
                batch = self.train.batch(rows)
            report = self.stage.backward(batch)
            with span("optimizer"):
                for optimizer in self.optimizers:
                    optimizer.step()
            with span("weighting"):
                self.stage.after_step()
            return report


def seconds_of_steps(steps: Steps, batches: Batches, count: int) -> list[float]:
    """Take ``count`` steps on the batches by turns, and return the seconds of each."""
    seconds = []
    steps.begin_epoch(len(batches))
    for rows in itertools.islice(itertools.cycle(batches), count):
        started = time.perf_counter()
        report = steps(rows)
        if report.losses.is_cuda:
            torch.cuda.synchronize(report.losses.device)
        seconds.append(time.perf_counter() - started)
    return seconds

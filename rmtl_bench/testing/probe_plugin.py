"""A plugin in one file: what the kit gives executors to run. Its runs learn or misbehave as they are told."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from torch import Tensor

from rmtl_bench.contracts.batch import Batch
from rmtl_bench.contracts.catalogue import BackboneInfo, DatasetInfo, Parameter, WeightingInfo, hookimpl
from rmtl_bench.contracts.dataset import Dataset, SessionTable
from rmtl_bench.contracts.schema import Task
from rmtl_bench.contracts.weighting import LossWeighting, TaskLosses, Weighted
from rmtl_bench.testing.reference import PlainBackbone
from rmtl_bench.testing.sessions import simulated_sessions

_NAP_SECONDS = 0.1


class ProbeWeighting(LossWeighting):
    """Sums the losses, having done what it is told before each step.

    ``behaviour``: ``learn``; ``raise`` an error; ``kill`` the process, unless its number is ``spared``; ``sleep`` a
    little, having left the number of the process as the name of a file in the folder ``numbers``.
    """

    def __init__(self, tasks: tuple[Task, ...], behaviour: str = "learn", spared: int = 0, numbers: str = "") -> None:
        super().__init__(tasks)
        self.behaviour = behaviour
        self.spared = spared
        self.numbers = numbers

    def combine(self, losses: TaskLosses, logits: Tensor, batch: Batch) -> Weighted:
        """Return the sum of the mean losses, and weights of 1 [K]."""
        if self.behaviour == "raise":
            raise RuntimeError("the probe was told to raise")
        if self.behaviour == "kill" and os.getpid() != self.spared:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.behaviour == "sleep":
            # Another machine has no such folder.
            with contextlib.suppress(OSError):
                Path(self.numbers, str(os.getpid())).touch()
            time.sleep(_NAP_SECONDS)
        mean = losses.mean()
        return Weighted(mean.sum(), mean.new_ones(mean.shape))


class ProbeBackbone(PlainBackbone):
    """The plain backbone."""


class ProbeSessions(Dataset):
    """The kit's simulated sessions."""

    def __init__(self, rows: int = 600) -> None:
        self.rows = rows

    def build(self, data_dir: Path, scratch: Path) -> SessionTable:
        """Return the table."""
        return simulated_sessions(self.rows)


@hookimpl
def rmtl_backbones() -> list[BackboneInfo]:
    """Return the backbone of probe runs."""
    return [
        BackboneInfo(
            name="probe-backbone",
            target=f"{__name__}:ProbeBackbone",
            summary="a shared layer and a linear head for each task",
            provides=frozenset({"shared-parameters", "shared-representation"}),
        )
    ]


@hookimpl
def rmtl_weightings() -> list[WeightingInfo]:
    """Return the weighting of probe runs."""
    return [
        WeightingInfo(
            name="probe-weighting",
            target=f"{__name__}:ProbeWeighting",
            summary="the sum of the losses, or what it is told to do",
            form="loss",
            parameters={
                "behaviour": Parameter("learn", "what to do", choices=("learn", "raise", "kill", "sleep")),
                "spared": Parameter(0, "the number of the process that is not killed", minimum=0),
                "numbers": Parameter("", "the folder for the number of a process that sleeps"),
            },
        )
    ]


@hookimpl
def rmtl_datasets() -> list[DatasetInfo]:
    """Return the data set of probe runs."""
    return [
        DatasetInfo(
            name="probe-sessions",
            target=f"{__name__}:ProbeSessions",
            summary="simulated sessions",
            licence="none needed",
            size="as many rows as asked for",
            parameters={"rows": Parameter(600, "number of rows", minimum=100)},
            provides=frozenset({"sessions", "optimum"}),
        )
    ]

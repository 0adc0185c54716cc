"""Training steps as a CUDA graph: recorded once an epoch, then launched as one.

A small model's step is hundreds of operations of a few microseconds each; to start them one by one takes longer than to
run them. A graph is started at once. It repeats the recorded operations on the recorded tensors, so the rows of each
batch are copied into a tensor of its own, and what a step reports is copied out of it. The numbers are those of steps
taken one by one: dropout draws on from where the device's generator stands, and nothing is done twice.

Taken one by one are the first steps of an epoch, real ones, on the stream that will record (memory, workspaces and the
optimizer's state have to be there before), and every batch of another size than the first, which the last mostly is. A
stage says whether its steps can be recorded (``Stage.capturable``); the first is watched all the same. What cannot be
recorded is taken step by step, and the run says so.

Every epoch records anew: in between, a weighting may exchange its tensors, and seeds side by side become fewer. An old
graph is given up before, with its memory, so that there is one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol, TypeVar

import torch
from torch import Tensor

from rmtl_bench.contracts.batch import SplitRows
from rmtl_bench.contracts.side_by_side import StageGroup
from rmtl_bench.contracts.spans import span
from rmtl_bench.contracts.stage import Stage, StepReport
from rmtl_bench.training.device_operations import DeviceOperations
from rmtl_bench.training.profile import traced
from rmtl_bench.training.steps import EagerSteps, Steps

WARM_UP = 3
"""Steps of an epoch that are taken one by one before the recording."""
LEAST_STEPS = 32
"""Epochs of fewer steps are not recorded: it would cost more than it saves."""

T = TypeVar("T")


class Recorder(Protocol):
    """What records a device's operations."""

    def aside(self, action: Callable[[], T]) -> T:
        """Do something where recordings are made, and return what it returns."""
        ...

    def record(self, action: Callable[[], T]) -> tuple[Callable[[], None], T]:
        """Record the operations of an action, and carry none out.

        Return what carries them all out, and what the action returned: tensors that are written each time. Raises
        whatever keeps them from being recorded; the device can then be used as before.
        """
        ...


class CudaRecorder:
    """Records a CUDA device's operations as a graph. After one failure, no stage of the process records any more."""

    failed: ClassVar[list[torch.cuda.CUDAGraph]] = []
    """Graphs that broke off, kept: torch's allocator may still refer to them."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device)

    def aside(self, action: Callable[[], T]) -> T:
        """Do something on the stream that records; the current one waits for it, and it for the current one."""
        current = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            returned = action()
        current.wait_stream(self._stream)
        return returned

    def record(self, action: Callable[[], T]) -> tuple[Callable[[], None], T]:
        """Record the operations of an action as a graph. Return what launches it on the current stream, and the result.

        Waits for the device, and gives memory that torch's allocator keeps in reserve back to it.
        """
        current = torch.cuda.current_stream(self.device)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                returned = action()
        except Exception:
            self.failed.append(graph)
            # Where a recording breaks off, torch leaves its stream as the current one, and versions before 2.12 leave
            # the generator in the middle of a recording.
            torch.cuda.set_stream(current)
            generator = torch.cuda.default_generators[current.device.index]
            generator.graphsafe_set_state(generator.clone_state())
            raise
        return graph.replay, returned


class GraphedSteps:
    """Takes most steps of an epoch as a graph; implements :class:`Steps`.

    ``warn`` is told in one line, once, where none can be. ``least_steps``: how many an epoch needs to be recorded.
    """

    def __init__(
        self, eager: EagerSteps, recorder: Recorder, warn: Callable[[str], None], least_steps: int = LEAST_STEPS
    ) -> None:
        self.eager = eager
        self.recorder = recorder
        self.warn = warn
        self.least_steps = least_steps
        self._watched = False
        self._given_up = False
        self.begin_epoch(0)

    def begin_epoch(self, steps: int) -> None:
        """Give the last epoch's graph up."""
        self._graphed = steps >= self.least_steps and not self._given_up
        self._taken = 0
        self._rows: Tensor | None = None
        self._recorded: tuple[Callable[[], None], StepReport] | None = None

    def __call__(self, rows: Tensor) -> StepReport:
        """Take the step of one batch."""
        if self._graphed and self._rows is None:
            self._rows = torch.empty(rows.shape, dtype=rows.dtype, device=rows.device)
        if not self._graphed or self._rows is None or self._rows.shape != rows.shape:
            return self.eager(rows)
        self._taken += 1
        if self._taken <= WARM_UP:
            return self.recorder.aside(lambda: self._one_by_one(rows))
        with span("step"):
            self._rows.copy_(rows)
            if self._recorded is None:
                self._record(self._rows)
            if self._recorded is None:
                return self.eager(rows)
            launch, report = self._recorded
            launch()
            # The next launch writes over what this one has returned.
            return StepReport(report.losses.clone(), None if report.weights is None else report.weights.clone())

    def _one_by_one(self, rows: Tensor) -> StepReport:
        """Take a step of the warm-up; the last of the first epoch's is watched: what is made once has been made."""
        if self._watched or self._taken < WARM_UP:
            return self.eager(rows)
        self._watched = True
        with DeviceOperations(rows.device) as operations:
            report = self.eager(rows)
        if operations.found:
            self._give_up(operations.found[0])
        return report

    def _record(self, rows: Tensor) -> None:
        # The recorded step has gradients of its own: the last one's are given up first, not kept beside them.
        for optimizer in self.eager.optimizers:
            optimizer.zero_grad(set_to_none=True)
        try:
            self._recorded = self.recorder.record(lambda: self.eager(rows))
        except Exception as error:
            self._give_up(f"{type(error).__name__}: {(str(error).strip() or 'no reason given').splitlines()[0]}")

    def _give_up(self, reason: str) -> None:
        self._given_up = True
        self.begin_epoch(0)
        self.warn(f"steps were taken without a CUDA graph: {reason}")


def make_steps(
    stage: Stage | StageGroup[Stage],
    optimizers: Sequence[torch.optim.Optimizer],
    train: SplitRows,
    warn: Callable[[str], None],
) -> Steps:
    """Return what takes a stage's steps: with a graph where the device and the stage allow it."""
    eager = EagerSteps(stage, optimizers, train)
    device = train.device
    name = stage.stages[0].name if isinstance(stage, StageGroup) else stage.name
    # A graph cannot read rows from the disk.
    if device.type != "cuda" or not train.resident or not stage.capturable or CudaRecorder.failed:
        return traced(eager, name)
    return traced(GraphedSteps(eager, CudaRecorder(device), lambda text: warn(f"stage {name!r}: {text}")), name)

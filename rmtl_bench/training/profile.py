"""The profile of the runs of a process: where their time went, and a trace of the first steps of each stage.

The seconds of the parts cover the whole runs. The trace, which has every operation of torch, covers the first
:data:`TRACED_STEPS` steps of at most :data:`TRACED_STAGES` stages, so that it is some megabytes at most; a stage that
several runs of the process go through one after another is traced once. Numbers are those without a profile: what is
recorded takes time and nothing else. The steps in the trace are slower for it; the rest is not. What the recording
itself takes is a part of its own, ``profile``.

On a GPU the CPU waits for the device wherever a span begins or ends: seconds are those of the device's work, and a
step takes longer than without a profile, where the CPU runs ahead.
"""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.profiler import profile as TorchProfile

from rmtl_bench.contracts.spans import SpanRecorder, active_recorder
from rmtl_bench.contracts.stage import StepReport
from rmtl_bench.training.steps import Steps

TRACED_STEPS = 20
"""Steps at the beginning of a stage that are in the trace."""
TRACED_STAGES = 8
"""Stages that are in the trace at most."""

_KEPT = ("schemaVersion", "deviceProperties", "displayTimeUnit", "baseTimeNanoseconds")
_FOR_GRAPHS = {"DISABLE_CUPTI_LAZY_REINIT": "1", "TEARDOWN_CUPTI": "0"}
"""What torch's profiler sets where CUDA graphs are used: some versions of CUDA crash when they are traced anew."""


class Profile(SpanRecorder):
    """Records the spans of this thread, and traces first steps; :func:`traced` finds it.

    ``traced``: by the name of a stage, how many of its steps are in the trace. ``trouble``: why there are no more, if
    torch's profiler failed: that ends no run. ``ahead``: seconds of the process that have passed before.
    """

    def __init__(self, device: torch.device, ahead: float = 0.0) -> None:
        super().__init__(ahead)
        self.device = device
        self.traced: dict[str, int] = {}
        self.trouble = ""
        self._tracing: TorchProfile | None = None
        self._stages: list[str] = []
        self._steps = 0
        self._facts: dict[str, Any] = {}
        self._events: list[dict[str, Any]] = []

    def hears(self) -> bool:
        """Return whether spans count: while a CUDA graph is recorded nothing is computed, and nobody may wait."""
        return super().hears() and not (self.device.type == "cuda" and torch.cuda.is_current_stream_capturing())

    def wait_for_device(self) -> None:
        """Wait for all that the device was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def annotated(self, name: str) -> AbstractContextManager[object]:
        """Return what names a part of the trace, while there is one."""
        return super().annotated(name) if self._tracing is None else torch.autograd.profiler.record_function(name)

    def steps_to_trace(self, stage: str, steps: int) -> int:
        """Return how many of so many steps of a stage are to be traced."""
        if stage in self._stages or len(self._stages) >= TRACED_STAGES or self.trouble:
            return 0
        return min(TRACED_STEPS, steps)

    def begin_trace(self, stage: str) -> None:
        """Trace the steps of a stage, until :meth:`end_trace`."""
        self._stages.append(stage)
        self._steps = 0
        with self.span("profile"):
            try:
                if self.device.type == "cuda":
                    os.environ.update(_FOR_GRAPHS)
                # torch.profiler.profile is the same and imports the compiler, which takes a second.
                tracing = TorchProfile(use_device="cuda" if self.device.type == "cuda" else None, use_kineto=True)
                tracing.__enter__()
                self._tracing = tracing
            except Exception as error:
                self._fail(error)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Within, a step of the stage is taken that is being traced."""
        with self.annotated(f"{self._stages[-1]}, step {self._steps + 1}"):
            yield
        self._steps += 1

    def end_trace(self) -> None:
        """End the trace of a stage, if there is one."""
        tracing, self._tracing = self._tracing, None
        if tracing is None:
            return
        with self.span("profile"):
            try:
                tracing.__exit__(None, None, None)
                self._add(tracing)
            except Exception as error:
                self._fail(error)

    def write_trace(self, path: Path) -> None:
        """Write the trace of all stages in Chrome's format, gzip; nothing where nothing was traced."""
        if self._events:
            text = json.dumps({**self._facts, "traceEvents": self._events})
            path.write_bytes(gzip.compress(text.encode(), compresslevel=5, mtime=0))

    def _add(self, tracing: TorchProfile) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace.json"
            tracing.export_chrome_trace(str(path))
            trace = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        self._facts = {key: trace[key] for key in _KEPT if key in trace}
        self._events += trace["traceEvents"]
        self.traced[self._stages[-1]] = self._steps

    def _fail(self, error: Exception) -> None:
        self.trouble = f"{type(error).__name__}: {error}"


class TracedSteps:
    """Takes the steps of a stage as :class:`~rmtl_bench.training.steps.Steps` does, the first ones in the trace."""

    def __init__(self, steps: Steps, stage: str, profile: Profile) -> None:
        self.steps = steps
        self.stage = stage
        self.profile = profile
        self._left = 0
        self._begun = False

    def begin_epoch(self, steps: int) -> None:
        """Trace the first steps of this epoch, if it is the stage's first."""
        self._left = self.profile.steps_to_trace(self.stage, steps)
        self.steps.begin_epoch(steps)

    def __call__(self, rows: Tensor) -> StepReport:
        """Take the step of one batch."""
        return self._traced(rows) if self._left else self.steps(rows)

    def _traced(self, rows: Tensor) -> StepReport:
        if not self._begun:
            self._begun = True
            self.profile.begin_trace(self.stage)
        self._left -= 1
        try:
            with self.profile.step():
                return self.steps(rows)
        except BaseException:
            self._left = 0
            raise
        finally:
            if not self._left:
                self.profile.end_trace()


def traced(steps: Steps, stage: str) -> Steps:
    """Return a stage's steps, the first of which enter the trace where a profile is taken."""
    profile = active_recorder()
    return TracedSteps(steps, stage, profile) if isinstance(profile, Profile) else steps

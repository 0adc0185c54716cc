"""The executor of one machine: a process for every request, several at once, each within its limits."""

from __future__ import annotations

import selectors
import time
from collections.abc import Sequence

from rmtl_bench.contracts.device import cores, default_jobs, resolve_device
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.contracts.executor import Ended, Ending, Executor, Job, Room, Tell
from rmtl_bench.contracts.run_request import RunRequest
from rmtl_bench.contracts.wording import duration, size
from rmtl_bench.execution.environment import describe_machine
from rmtl_bench.execution.memory import can_be_measured
from rmtl_bench.execution.process import RunProcess
from rmtl_bench.execution.starter import RunStarter

_LOOK_SECONDS = 0.1
"""The longest time between two looks at the limits."""


class ProcessExecutor(Executor):
    """Starts a process for each request, and ends it where it takes more than it may.

    ``starter`` starts the processes; one of its own, from :meth:`open` to :meth:`close`, if none is given.
    """

    def __init__(self, starter: RunStarter | None = None) -> None:
        self._given = starter
        self._own: RunStarter | None = None
        self._selector: selectors.BaseSelector | None = None
        self._running: dict[RunProcess, float] = {}
        self._tell: Tell = _tell_nobody

    @property
    def starter(self) -> RunStarter:
        """What starts the processes."""
        starter = self._given or self._own
        if starter is None:
            raise RuntimeError("the executor is not open")
        return starter

    def open(self, job: Job, tell: Tell) -> Room:
        """Find the device, and share the cores out."""
        if job.limits.memory is not None and not can_be_measured():
            raise UsageError("--memory-limit cannot be kept here: this system does not tell what a process holds")
        if self._given is None:
            self._own = RunStarter(job.plugin_files)
        self._tell = tell
        self._selector = selectors.DefaultSelector()
        machine = describe_machine()
        # Last, since it waits for the starter.
        device = resolve_device(job.device, self.starter.cuda_devices)
        jobs = min(job.jobs or default_jobs(device), job.runs)
        return Room(device, jobs, job.threads or max(1, cores() // jobs), machine)

    def start(self, request: RunRequest) -> None:
        """Start the process that makes the runs of a request."""
        process = self.starter.start(request)
        self._running[process] = time.monotonic()
        self._listening.register(process, selectors.EVENT_READ)

    def wait(self, seconds: float) -> Sequence[Ended]:
        """Wait for events and ends, and end the processes that are over a limit."""
        limited = any(process.request.limits.any for process in self._running)
        ended = []
        for key, _ in self._listening.select(min(seconds, _LOOK_SECONDS) if limited else seconds):
            process: RunProcess = key.fileobj  # type: ignore[assignment]
            if self._listen(process):
                ended.append(self._forget(process, process.ending(process.wait())))
        for process in list(self._running):
            if verdict := self._over_limit(process):
                process.kill()
                ended.append(self._forget(process, verdict))
        return ended

    def close(self) -> None:
        """Kill what runs, and end the starter if it is this executor's own."""
        for process in list(self._running):
            process.kill()
            self._forget(process, Ending())
        if self._selector is not None:
            self._selector.close()
            self._selector = None
        if self._own is not None:
            self._own.close()
            self._own = None

    @property
    def _listening(self) -> selectors.BaseSelector:
        if self._selector is None:
            raise RuntimeError("the executor is not open")
        return self._selector

    def _listen(self, process: RunProcess) -> bool:
        """Pass on what a process says; return whether it has ended."""
        for event in process.events():
            if event is None:
                return True
            self._tell(process.request, event)
        return False

    def _forget(self, process: RunProcess, ending: Ending) -> Ended:
        self._listening.unregister(process)
        del self._running[process]
        return Ended(process.request, ending)

    def _over_limit(self, process: RunProcess) -> Ending | None:
        request = process.request
        limits = request.limits
        if limits.seconds is not None:
            allowed = limits.seconds * len(request.runs)
            if time.monotonic() - self._running[process] > allowed:
                share = f", {len(request.runs)} runs of {duration(limits.seconds)}" if request.others else ""
                return Ending("timeout", f"stopped: it took longer than the limit of {duration(allowed)}{share}")
        if limits.memory is not None and (held := process.memory()) > limits.memory:
            return Ending("oom", f"stopped: it held {size(held)} of memory, over the limit of {size(limits.memory)}")
        return None


def _tell_nobody(request: RunRequest, event: object) -> None:
    """Tell nobody: the executor is not open."""

"""The executor for a debugger: makes runs one after another in the process it is in."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rmtl_bench.contracts.device import cores, resolve_device
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.contracts.executor import Ended, Ending, Executor, Job, Room, Tell
from rmtl_bench.contracts.run_request import RunRequest
from rmtl_bench.execution.environment import describe_machine
from rmtl_bench.plugins import PluginHost, load_plugins


class InlineExecutor(Executor):
    """Makes each run in the process it is in: a breakpoint in a model stops there, and what a run prints is seen.

    A run that brings the process down brings the command down. Ctrl-C stops the run at once. It keeps no limits.
    """

    def __init__(self) -> None:
        self._waiting: deque[RunRequest] = deque()
        self._tell: Tell | None = None
        self._host: PluginHost | None = None

    def open(self, job: Job, tell: Tell) -> Room:
        """Find the device. Raises ``UsageError`` for a limit, or for several jobs."""
        for limit, option in ((job.limits.seconds, "--timeout"), (job.limits.memory, "--memory-limit")):
            if limit is not None:
                raise UsageError(f"executor 'inline' cannot keep {option}: nobody could stop a run; use 'process'")
        if job.jobs > 1:
            raise UsageError(f"executor 'inline' makes one run at a time; --jobs {job.jobs} needs 'process'")
        self._tell = tell
        self._host = load_plugins(job.plugin_files)
        return Room(resolve_device(job.device), 1, job.threads or cores(), describe_machine())

    def start(self, request: RunRequest) -> None:
        """Let a request be the next to be made."""
        self._waiting.append(request)

    def wait(self, seconds: float) -> Sequence[Ended]:
        """Make the request that was started, however long it takes."""
        if not self._waiting:
            time.sleep(seconds)
            return []
        request = self._waiting.popleft()
        with _interruptible():
            self._make(request)
        return [Ended(request, Ending("failed", "its process, the command's own, left no result"))]

    def close(self) -> None:
        """Forget what was started and not yet made."""
        self._waiting.clear()

    def _make(self, request: RunRequest) -> None:
        from rmtl_bench.execution.worker import make_runs

        def emit(event: Mapping[str, Any]) -> None:
            if self._tell is not None:
                self._tell(request, event)

        (request.staging / "log.txt").write_text("made by the executor inline: what it said went to its terminal\n")
        make_runs(request, emit, self._host)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Within, Ctrl-C stops what is going on, at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

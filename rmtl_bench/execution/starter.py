"""Starting runs: the parent's view of the template process."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rmtl_bench.contracts.run_request import RunRequest
from rmtl_bench.execution.process import RunProcess
from rmtl_bench.execution.template import DEVICES, FORK, RUN, SPAWN

_DEATH_SECONDS = 1.0
"""How long a template that has let go of a run may take to end."""


def may_fork() -> bool:
    """Return whether runs are forked: not on macOS, and nowhere with ``RMTL_BENCH_FORK=0``."""
    # An Objective-C runtime that was used before a fork aborts the child, and system libraries of macOS use it.
    return sys.platform != "darwin" and os.environ.get("RMTL_BENCH_FORK", "1") != "0"


class RunStarter:
    """Starts the processes of runs. Made as early as a command knows its plugin files: its imports take a second.

    It starts one template process (:mod:`rmtl_bench.execution.template`), which imports what runs need while the
    command plans them, and forks each run's process from it; ``fork=False`` starts a new Python for every run, by
    default where :func:`may_fork` says so. A template that was killed is replaced by the next start. Use it as a
    context manager, or close it: the runs that it has started go on.
    """

    def __init__(self, plugin_files: Sequence[Path] = (), *, fork: bool | None = None) -> None:
        self.plugin_files = tuple(plugin_files)
        self.fork = may_fork() if fork is None else fork
        self._open()

    def start(self, request: RunRequest) -> RunProcess:
        """Start the process of a run."""
        return RunProcess(request, lambda ends: self._order(RUN, ends))

    def cuda_devices(self) -> int:
        """Return the number of CUDA devices that torch sees; neither this process nor the template touches them."""
        read, write = os.pipe()
        with os.fdopen(read) as answer:
            try:
                self._order(DEVICES, [write])
            finally:
                os.close(write)
            return int(answer.read() or 0)

    def close(self) -> None:
        """End the template."""
        self._control.close()
        self._template.kill()
        self._template.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        self._control, theirs = socket.socketpair()
        mode = FORK if self.fork else SPAWN
        command = [sys.executable, "-P", "-m", "rmtl_bench.execution.template", mode, *map(str, self.plugin_files)]
        # One thread, so that it can be forked; a run sets the number of its own.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with theirs, tempfile.TemporaryFile() as said:
            self._template: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603
                command, stdin=theirs.fileno(), stdout=said, stderr=said, start_new_session=True, env=environment
            )

    def _order(self, order: bytes, descriptors: Sequence[int]) -> Callable[[], int | None]:
        """Send an order to the template, to a new one if there is none; return what asks for the template's end."""
        if self._template.poll() is not None or not self._send(order, descriptors):
            self.close()
            self._open()
            self._send(order, descriptors)
        template = self._template

        def code() -> int | None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return template.wait(_DEATH_SECONDS)
            return None

        return code

    def _send(self, order: bytes, descriptors: Sequence[int]) -> bool:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self._control, [order], descriptors)
            return True
        return False

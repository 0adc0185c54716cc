"""One run's process, seen from the parent."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import IO, Any, cast

from rmtl_bench.execution.request import RunRequest

LOG_TAIL = 40


class RunProcess:
    """A spawned Python process that makes one run.

    Its standard input stays open as a lifeline: when the parent dies, however, the process reads its end and
    exits. Its standard output carries one JSON line an event; everything it prints goes to the run's log.
    It has a session of its own, so that Ctrl-C reaches the parent alone.
    """

    def __init__(self, request: RunRequest) -> None:
        self.request = request
        self.started = time.time()
        self.log = request.staging / "log.txt"
        threads = str(request.threads)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "rmtl_bench.execution.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
            )
        self._buffer = b""
        stdin = cast("IO[bytes]", self._process.stdin)
        # A process that dies at once is seen by its end of output, not here.
        with contextlib.suppress(BrokenPipeError):
            stdin.write(request.to_line().encode() + b"\n")
            stdin.flush()

    def fileno(self) -> int:
        """Return the descriptor of its event stream, for a selector."""
        return cast("IO[bytes]", self._process.stdout).fileno()

    def events(self) -> Iterator[dict[str, Any] | None]:
        """Yield the events that have arrived; ``None`` marks the end of the process."""
        chunk = os.read(self.fileno(), 65536)
        if not chunk:
            yield None
            return
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)

    def wait(self) -> int:
        """Wait for its end; return the exit code, minus the signal's number if a signal ended it."""
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                cast("IO[bytes]", pipe).close()
        return code

    def kill(self) -> int:
        """Kill it and all it started; return the exit code."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return self.wait()

    def obituary(self, code: int) -> str:
        """Return what is known of a process that ended with ``code`` and left no result."""
        if code < 0:
            with contextlib.suppress(ValueError):
                reason = f"the run's process was killed by {signal.Signals(-code).name}"
                return f"{reason}\n{self._log_tail()}".rstrip()
        return f"the run's process exited with code {code} and left no result\n{self._log_tail()}".rstrip()

    def _log_tail(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-LOG_TAIL:])

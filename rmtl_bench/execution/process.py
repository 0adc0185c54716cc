"""One run's process, seen from the parent."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rmtl_bench.contracts.executor import DISK_FULL, Ending
from rmtl_bench.contracts.run_request import RunRequest
from rmtl_bench.execution.memory import memory_of, oom_kills

LOG_TAIL = 40
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Signals that a process does not bring upon itself."""
_DEATH_SECONDS = 5.0
"""How long to wait for the end of a killed process that nobody reports."""


class ChildEnds(NamedTuple):
    """The descriptors that a run's process is to have: its standard input, output and error, and its status pipe."""

    lifeline: int
    events: int
    log: int
    status: int


class RunProcess:
    """A Python process that makes one run; ``start`` hands :class:`ChildEnds` to whoever starts it.

    Its standard input brings the request and stays open as a lifeline: when the parent dies, however, the process
    reads its end and exits. Its standard output carries one JSON line an event; everything it prints goes to the
    run's log. It has a session of its own, so that Ctrl-C reaches the parent alone. The status pipe brings its
    ``pid`` when it has started, and its exit ``code`` when it has ended. If the starting process is killed before,
    the run goes on and its code stays unknown. ``start`` returns what asks for the starting process's own exit code:
    one that ended before the run's process began is what ended the run.
    """

    def __init__(self, request: RunRequest, start: Callable[[ChildEnds], Callable[[], int | None]]) -> None:
        self.request = request
        self.started = time.time()
        self.log = request.staging / "log.txt"
        self._buffer = b""
        self._told = b""
        self._is_over = False
        self._oom_kills = oom_kills()
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            lifeline, self._lifeline = _pipe(theirs, ours)
            self._events, events = _pipe(ours, theirs)
            self._status, status = _pipe(ours, theirs)
            log = theirs.enter_context(self.log.open("wb"))
            self._code_of_starter = start(ChildEnds(lifeline, events, log.fileno(), status))
            theirs.close()
            # A process that dies at once is seen by its end of output, not here.
            with contextlib.suppress(BrokenPipeError):
                _write(self._lifeline, request.to_line().encode() + b"\n")
            self._ends = ours.pop_all()

    def fileno(self) -> int:
        """Return the descriptor of its event stream, for a selector."""
        return self._events

    def events(self) -> Iterator[dict[str, Any] | None]:
        """Yield the events that have arrived; ``None`` marks the end of the process."""
        chunk = os.read(self._events, 65536)
        if not chunk:
            yield None
            return
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)

    def wait(self) -> int | None:
        """Wait for its end; return the exit code, minus the signal's number if a signal ended it.

        ``None`` if nobody can tell any more.
        """
        if not self._is_over:
            while self._hear():
                pass
            self._ends.close()
            self._is_over = True
        facts = self._facts()
        return facts.get("code") if facts else self._code_of_starter()

    def pid(self) -> int | None:
        """Wait for its start; return its number, ``None`` if it was never started."""
        while not self._facts() and self._hear():
            pass
        return self._facts().get("pid")

    def kill(self) -> int | None:
        """Kill it and all it started; return the exit code."""
        pid = self.pid()
        if pid is not None and not self._is_reaped():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            self._wait_for_silence()
        return self.wait()

    def ending(self, code: int | None) -> Ending:
        """Return what is known of a process that ended with ``code``, for runs of it that left no result."""
        if code == DISK_FULL:
            return Ending("interrupted", "the run's process found no room on the disk", disk_full=True)
        status, reason = _judged(code)
        if code == -signal.SIGKILL and oom_kills() > self._oom_kills:
            status, reason = "oom", f"{reason}, it seems by the system, which had run out of memory"
        return Ending(status, f"the run's process {reason}\n{self._log_tail()}".rstrip())

    def memory(self) -> int:
        """Return the bytes of memory that it holds and no file backs; 0 where nobody can tell."""
        pid = self._facts().get("pid")
        if pid is None and _is_readable(self._status, 0.0):
            self._hear()
            pid = self._facts().get("pid")
        return 0 if pid is None or self._is_reaped() else memory_of(pid)

    def _facts(self) -> dict[str, int]:
        """What the status pipe has told so far."""
        facts: dict[str, int] = {}
        for line in self._told.split(b"\n")[:-1]:
            facts |= json.loads(line)
        return facts

    def _hear(self) -> bool:
        """Read on in the status pipe; return whether there was anything."""
        if self._is_over:
            return False
        told = os.read(self._status, 4096)
        self._told += told
        return bool(told)

    def _is_reaped(self) -> bool:
        # A number that was given back may be another process's by now.
        if not self._is_over and _is_readable(self._status, 0.0):
            self._hear()
        return self._is_over or "code" in self._facts()

    def _wait_for_silence(self) -> None:
        deadline = time.monotonic() + _DEATH_SECONDS
        while _is_readable(self._events, max(0.0, deadline - time.monotonic())):
            if not os.read(self._events, 65536):
                return

    def _log_tail(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-LOG_TAIL:])


def _judged(code: int | None) -> tuple[str, str]:
    """Return the status of a run whose process ended with ``code`` and left no result, and how it ended in words."""
    if code is None:
        return "interrupted", "ended, nobody knows how, and left no result"
    if code >= 0:
        return "failed", f"exited with code {code} and left no result"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return "interrupted" if -code in _FROM_OUTSIDE else "failed", f"was killed by {name}"


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """Return the ends of a pipe, each closed by a stack of its own."""
    read, write = os.pipe()
    reader.callback(os.close, read)
    writer.callback(os.close, write)
    return read, write


def _write(descriptor: int, text: bytes) -> None:
    while text:
        text = text[os.write(descriptor, text) :]


def _is_readable(descriptor: int, seconds: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        return bool(selector.select(seconds))

"""A command of the campaign and its processes, as the system shows them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_LOOK = 0.01
_TEMPLATE = b"rmtl_bench.execution.template"


class Command:
    """``rmtl-bench`` with some arguments, started as a user's shell does: in a process group of its own.

    ``said``: the file that has what it prints.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], said: Path) -> None:
        self.said = said
        with said.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "rmtl_bench.cli.main", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                process_group=0,
            )

    @property
    def is_over(self) -> bool:
        return self.process.poll() is not None

    def wait(self, seconds: float) -> bool:
        """Return whether it has ended within so many seconds."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.is_over

    def signal(self, number: int) -> None:
        """Send a signal to the command alone, unless it has ended."""
        self.process.send_signal(number)

    def text(self) -> str:
        return self.said.read_text(errors="replace")

    def template(self) -> int | None:
        """Return the process that the runs are forked from; ``None`` if there is none."""
        for child in children(self.process.pid):
            with suppress(OSError):
                if _TEMPLATE in Path(f"/proc/{child}/cmdline").read_bytes():
                    return child
        return None

    def runs(self) -> list[int]:
        """Return the processes of the runs."""
        template = self.template()
        return [] if template is None else children(template)

    def end(self) -> None:
        """End it and all its processes, whatever they do."""
        for pid in [*self.runs(), *children(self.process.pid)]:
            kill(pid, signal.SIGKILL)
        if not self.is_over:
            self.process.kill()
        self.process.wait()


def children(pid: int) -> list[int]:
    """Return the children of a process, those that have ended and are not waited for left out."""
    found = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in listed.read_text().split()]
    return [child for child in found if _is_alive(child)]


def kill(pid: int, number: int) -> bool:
    """Send a signal to a process; return whether it was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def pause_until(moment: float, command: Command) -> bool:
    """Wait until a moment of the monotonic clock, or the end of a command; return whether it still runs."""
    while not command.is_over and time.monotonic() < moment:
        time.sleep(_LOOK)
    return not command.is_over


def _is_alive(pid: int) -> bool:
    with suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in "ZX"
    return False

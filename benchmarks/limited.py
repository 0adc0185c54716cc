"""A process under a hard limit of memory, and the most memory that it held.

The limit is the kernel's own: ``RLIMIT_DATA``, every byte of private writable memory that the process has asked for,
touched or not; what exceeds it fails. Beside it, the process is looked at every few milliseconds, and ended if the
memory that no file backs (``RssAnon`` and ``RssShmem``) exceeds the limit all the same.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KINDS = ("Rss", "VmHWM", "VmRSS", "VmData")
"""How the lines begin that say what memory a process has."""

PAUSE = 0.005
"""Seconds between two looks at a process."""


@dataclass(frozen=True)
class Limited:
    """How a process under a limit ended.

    ``peaks``: the most bytes of each kind of memory seen, by their names in ``/proc/PID/status``; ``VmHWM`` is the
    kernel's own record of the resident memory, pages of mapped files among it. ``result``: the JSON of its last line
    on standard output, ``None`` where it failed; ``error``: the last line of what it said on standard error.
    """

    returncode: int
    seconds: float
    peaks: dict[str, int]
    result: Any
    error: str


def limit_this_process(limit: int) -> None:
    """Set the limit, in bytes; nothing can be raised again."""
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def run_limited(module: str, arguments: Sequence[str], limit: int) -> Limited:
    """Run ``python -m module`` and watch it; it sets its limit itself, as its first act."""
    started = time.perf_counter()
    command = [sys.executable, "-m", module, *arguments]
    peaks: dict[str, int] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            _note(process.pid, peaks)
            if peaks.get("unbacked", 0) > limit:
                process.kill()
            time.sleep(PAUSE)
        out, said = process.communicate()
    lines = out.strip().splitlines()
    result = json.loads(lines[-1]) if process.returncode == 0 and lines else None
    errors = said.strip().splitlines()
    error = errors[-1] if errors and process.returncode else ""
    return Limited(process.returncode, time.perf_counter() - started, peaks, result, error)


def _note(pid: int, peaks: dict[str, int]) -> None:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return
    lines = [line.split(":", 1) for line in text.splitlines() if line.startswith(KINDS)]
    now = {name: int(size.split()[0]) * 1024 for name, size in lines}
    now["unbacked"] = now.get("RssAnon", 0) + now.get("RssShmem", 0)
    for name, size in now.items():
        peaks[name] = max(peaks.get(name, 0), size)

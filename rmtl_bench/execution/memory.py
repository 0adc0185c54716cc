"""The memory of a run's process: what it holds, whether the system ran out of it, keeping what tensors give back."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

_MMAP_MAX, _TRIM_THRESHOLD, _TOP_PAD = -4, -1, -2
_SETTINGS = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 2**28}
"""Parameters of glibc's ``mallopt`` (malloc.h), and their values: no mapping, no trimming, and growth by 256 MB."""


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees until it ends; return whether the C library could be told.

    A training step makes the same large tensors again and again. By default glibc gives each of more than 32 MB back
    to the system, which hands it out again page by page, each page zeroed: for the gradient of a million embeddings of
    width 128 that takes longer than Adam. Only glibc knows this; elsewhere nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    told = [mallopt(parameter, value) == 1 for parameter, value in _SETTINGS.items()]
    return all(told)


def can_be_measured() -> bool:
    """Return whether this system tells what memory a process holds."""
    return memory_of("self") > 0


def memory_of(pid: int | str) -> int:
    """Return the bytes of memory that a process holds and no file backs; 0 where the system does not tell.

    Pages of memory-mapped files are left out: they are given back as soon as anybody needs the memory.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    sizes = dict(line.split(":", 1) for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
    return sum(int(size.split()[0]) * 1024 for size in sizes.values())


def oom_kills() -> int:
    """Return how many processes this system has killed since its start because memory ran out; 0 where unknown."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory did not suffice."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)

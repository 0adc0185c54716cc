"""The memory of a run's process on the CPU: what tensors give back is kept for the next ones."""

from __future__ import annotations

import ctypes
import sys

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

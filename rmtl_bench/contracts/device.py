"""Devices: what ``--device`` may say, and what it means on this machine; for executors."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from rmtl_bench.contracts.errors import UsageError


def check_device(text: str) -> str:
    """Return ``text`` if it is of the form auto, cpu, cuda or cuda:N; raise :class:`UsageError` otherwise."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise UsageError(f"unknown device {text!r}; it takes auto, cpu, cuda or cuda:N")
    return text


def cuda_devices() -> int:
    """Return the number of CUDA devices that torch sees. Imports torch; a process that has looked cannot be forked."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def resolve_device(text: str, count_devices: Callable[[], int] = cuda_devices) -> str:
    """Return the device that ``text`` means on this machine; raise :class:`UsageError` if it has none such.

    ``count_devices`` is called only where a GPU may be meant.
    """
    if check_device(text) == "cpu":
        return "cpu"
    count = count_devices()
    if text == "auto":
        return "cuda" if count else "cpu"
    wanted = int(text.partition(":")[2] or 0)
    if wanted >= count:
        has = f"{count} CUDA device(s)" if count else "no CUDA device"
        raise UsageError(f"device {text!r} is not there: this machine has {has}; use --device auto or cpu")
    return text


def require_device(text: str, count_devices: Callable[[], int] = cuda_devices) -> None:
    """Raise :class:`UsageError` unless a run on the device can start; counts devices only where a GPU was named."""
    if check_device(text).startswith("cuda"):
        resolve_device(text, count_devices)


def default_jobs(device: str) -> int:
    """Return how many runs to make at once: one a core on the CPU, one on a GPU."""
    return 1 if device.startswith("cuda") else cores()


def cores() -> int:
    """Return the number of cores that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))

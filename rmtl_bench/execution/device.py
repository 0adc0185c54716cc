"""Devices: what ``--device`` may say."""

from __future__ import annotations

import os
import re

from rmtl_bench.contracts.errors import UsageError


def check_device(text: str) -> str:
    """Return ``text`` if it is of the form auto, cpu, cuda or cuda:N; raise :class:`UsageError` otherwise."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise UsageError(f"unknown device {text!r}; it takes auto, cpu, cuda or cuda:N")
    return text


def require_device(text: str) -> None:
    """Raise :class:`UsageError` unless a run on the device can start; imports torch only where a GPU was named."""
    if check_device(text).startswith("cuda"):
        resolve_device(text)


def resolve_device(text: str) -> str:
    """Return the device that ``text`` means on this machine; raise :class:`UsageError` if it has none such.

    Imports torch only where a GPU may be meant.
    """
    if check_device(text) == "cpu":
        return "cpu"
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if text == "auto":
        return "cuda" if count else "cpu"
    wanted = int(text.partition(":")[2] or 0)
    if wanted >= count:
        has = f"{count} CUDA device(s)" if count else "no CUDA device"
        raise UsageError(f"device {text!r} is not there: this machine has {has}; use --device auto or cpu")
    return text


def default_jobs(device: str) -> int:
    """Return how many runs to make at once: one a core on the CPU, one on a GPU."""
    return 1 if device.startswith("cuda") else max(1, len(os.sched_getaffinity(0)))

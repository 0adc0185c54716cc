"""Timing on a machine that does other things, too, and on devices that work behind the program's back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

CPU = torch.device("cpu")


def wait(device: torch.device) -> None:
    """Wait until everything that was started on a device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(action: Callable[[], object], device: torch.device = CPU) -> float:
    """Return the seconds that an action takes, what it starts on the device included."""
    wait(device)
    started = time.perf_counter()
    action()
    wait(device)
    return time.perf_counter() - started


def least_seconds(action: Callable[[], object], rounds: int, device: torch.device = CPU) -> float:
    """Return the least seconds of an action over some rounds, after one that warms up."""
    action()
    return min(seconds(action, device) for _ in range(rounds))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Within, torch uses ``count`` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

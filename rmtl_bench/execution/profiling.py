"""Taking the profile of the runs of a process, and writing it into their folders."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from rmtl_bench.contracts.spans import recording
from rmtl_bench.store.layout import TRACE_FILE
from rmtl_bench.store.profiles import RunProfile, write_profile
from rmtl_bench.training.profile import Profile


@contextmanager
def profiled(folders: Sequence[Path], device: str, seconds_before: float) -> Iterator[None]:
    """Within, runs are made in one process; their profile is written into each one's folder, however they end.

    It begins where the process did; ``seconds_before``, the time since then, counts where the system does not tell it.
    What a process was forked from, and its imports, is no part of it.
    """
    profile = Profile(torch.device(device), max(seconds_before, seconds_of_process()))
    try:
        with recording(profile):
            yield
    finally:
        profile.end_trace()
        profile.settle()
        found = RunProfile(
            dict(profile.seconds), dict(profile.counts), len(folders), device, dict(profile.traced), profile.trouble
        )
        for folder in folders:
            write_profile(folder, found)
            profile.write_trace(folder / TRACE_FILE)


def seconds_of_process() -> float:
    """Return how long ago this process was started or forked, to a hundredth of a second; 0 if that is not known."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        # In clock ticks since the start of the system, the 22nd of all and the 20th behind the name of the command.
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0

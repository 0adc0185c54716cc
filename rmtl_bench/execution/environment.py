"""Facts about the machine and the software of a run."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any


def describe_machine() -> dict[str, Any]:
    """Return JSON-ready facts that are one for all runs: interpreter, system, processor, distributions, git commit."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "executable": sys.executable,
        "git": _git_commit(),
        "distributions": dict(sorted(_distributions())),
    }


def describe_environment(device: str, threads: int, machine: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return JSON-ready facts of a run: those of :func:`describe_machine`, torch, device, threads.

    ``machine``: what :func:`describe_machine` has said already, if anything.
    """
    import torch

    facts = {**(machine or describe_machine()), "torch": torch.__version__, "device": device, "threads": threads}
    if device.startswith("cuda"):
        facts["gpu"] = torch.cuda.get_device_name(torch.device(device))
        facts["cuda"] = torch.version.cuda
    return facts


def _distributions() -> Iterator[tuple[str, str]]:
    for distribution in metadata.distributions():
        # Each look at it reads and parses the file again.
        facts = distribution.metadata
        if facts["Name"]:
            yield facts["Name"], facts["Version"]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _git_commit() -> str | None:
    """The commit of the working folder, with "+" behind it if it has changes; ``None`` outside a repository."""
    try:
        command = ["git", "describe", "--always", "--dirty=+", "--abbrev=40", "--exclude=*"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None

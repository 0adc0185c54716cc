"""Whether a table's rows are copied to the device once or stay on the disk, decided by what memory there is.

The rows are resident where the table's bytes are at most half (:data:`SHARE`) of the memory that the process may still
take, and mapped otherwise. That memory is the least of

- what the system has available (``MemAvailable``);
- what the control group of the process, or one above it, leaves (cgroup v1 or v2: limit less what is in use);
- what the process's own limit of data leaves (``RLIMIT_DATA``, ``ulimit -d``);
- what the run's memory limit leaves, if it has one.

On a CUDA device the table has to fit into half of the free memory there as well. Where nothing is known of the memory,
rows are resident. The other half is for the model, the order of the rows, predictions and metrics. The numbers of a run
are the same either way. The environment variable ``RMTL_BENCH_ROWS`` decides instead: ``resident``, ``mapped``, or
``auto``, the default.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import torch

from rmtl_bench.contracts.batch import SplitRows
from rmtl_bench.contracts.dataset import SessionTable
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.data.mapped_rows import OF_BATCHES, MappedRows
from rmtl_bench.data.rows import DeviceRows

SHARE = 0.5
"""Of the memory that is left, the share that a resident table may take."""

RESIDENCES = ("auto", "resident", "mapped")
VARIABLE = "RMTL_BENCH_ROWS"

_COLUMNS = (*OF_BATCHES, "session_end", "optimum")
_PROC = Path("/proc")
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_NO_LIMIT = 2**60
"""What cgroup v1 and the limits of a process give for none is more than this."""


def open_split(table: SessionTable, split: str, device: torch.device, mapped: bool) -> SplitRows:
    """Return the rows of a split: copied to ``device``, or read from the table's memory maps."""
    return MappedRows(table, split, device) if mapped else DeviceRows(table, split, device)


def stays_on_disk(table: SessionTable, device: torch.device, memory_limit: int | None = None) -> bool:
    """Return whether the table's rows are to stay on the disk, as the module says.

    ``memory_limit``: the bytes that the run may take in all, ``None`` without limit. Raises
    :class:`~rmtl_bench.contracts.errors.UsageError` for another value of ``RMTL_BENCH_ROWS``.
    """
    asked = os.environ.get(VARIABLE, "") or "auto"
    if asked not in RESIDENCES:
        raise UsageError(f"{VARIABLE} is {asked!r}; it takes one of {', '.join(RESIDENCES)}")
    if asked != "auto":
        return asked == "mapped"
    left = [available_memory(memory_limit)]
    if device.type == "cuda":
        left.append(torch.cuda.mem_get_info(device)[0])
    return any(memory is not None and resident_bytes(table) > SHARE * memory for memory in left)


def resident_bytes(table: SessionTable) -> int:
    """Return the bytes of what is copied to the device where the rows are resident."""
    return sum(array.nbytes for name in _COLUMNS if (array := getattr(table, name)) is not None)


def available_memory(memory_limit: int | None = None) -> int | None:
    """Return the bytes that this process may still take, or ``None`` where nothing is known of the memory.

    ``memory_limit``: the bytes that it may take in all.
    """
    left = list(_left_by_control_groups())
    if (available := _kilobytes(_PROC / "meminfo", "MemAvailable")) is not None:
        left.append(available)
    if (limit := _limit_of_data()) is not None:
        left.append(limit - (_kilobytes(_PROC / "self/status", "VmData") or 0))
    if memory_limit is not None:
        left.append(memory_limit - (_kilobytes(_PROC / "self/status", "RssAnon") or 0))
    return max(0, min(left)) if left else None


def _kilobytes(file: Path, name: str) -> int | None:
    """Return the bytes on the line of that name in a file of ``/proc``."""
    try:
        lines = file.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), None)


def _limit_of_data() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    return None if limit == resource.RLIM_INFINITY or limit > _NO_LIMIT else limit


def _left_by_control_groups() -> Iterator[int]:
    """Yield what each control group of this process leaves that has a limit of memory."""
    try:
        lines = (_PROC / "self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _left_below(_CONTROL_GROUPS, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _left_below(_CONTROL_GROUPS / "memory", path, *names)


def _left_below(root: Path, path: str, limit: str, usage: str, given_back: str) -> Iterator[int]:
    """Yield what a group and those above it leave; in a container the group's own folder may be the root."""
    folder = root / path.lstrip("/")
    for group in (folder, *folder.parents):
        if not group.is_relative_to(root):
            return
        try:
            most, used = int((group / limit).read_text()), int((group / usage).read_text())
            statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            cached = int(statistics.get(given_back, 0))
        except (OSError, ValueError):
            continue
        if most < _NO_LIMIT:
            # Pages of files that nobody uses are given back before the limit is felt.
            yield most - used + cached

"""Memory, and the disks that results and prepared tables lie on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.wording import size
from rmtl_bench.data.preparation import default_cache_dir
from rmtl_bench.installation.finding import Finding

SCARCE = 10**9
"""Bytes of memory, or of a disk, below which runs may fail for want of them."""


def machine(store_path: Path) -> Iterator[Finding]:
    """Yield what is free, and whether the cache can be written."""
    cores = os.cpu_count()
    memory = available_memory()
    if memory is not None:
        state = "ok" if memory >= SCARCE else "warning"
        yield Finding("memory", state, f"{size(memory)} available, {cores} cores")
    yield _disk("disk of the store", store_path.absolute())
    cache = default_cache_dir().absolute()
    yield _disk("disk of the cache", cache)
    if fault := unwritable(cache):
        remedy = "set RMTL_BENCH_CACHE to a folder of yours"
        yield Finding("cache", "problem", f"{fault}: prepared tables have no place", remedy, DataError.exit_code)
    else:
        yield Finding("cache", "ok", f"{cache}" + ("" if cache.exists() else ", to be made"))


def available_memory() -> int | None:
    """Return the bytes of memory that a new process could have; ``None`` where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def unwritable(folder: Path) -> str:
    """Return why a folder cannot be written, or made if it is not there; empty: it can. Nothing is written."""
    there = existing(folder)
    if not there.is_dir():
        return f"{there} is no folder"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"{there} cannot be written"


def existing(path: Path) -> Path:
    """Return the path itself if anything is there, else the nearest folder above that is."""
    return next((place for place in (path, *path.parents) if place.exists()), Path("/"))


def _disk(subject: str, path: Path) -> Finding:
    free = shutil.disk_usage(existing(path)).free
    return Finding(subject, "ok" if free >= SCARCE else "warning", f"{size(free)} free at {path}")

"""From raw files to a prepared table, once: fingerprints and the cache on disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs

from rmtl_bench.contracts.dataset import Dataset
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.data.checks import check_table
from rmtl_bench.data.storage import FORMAT, save_table

_SETTLED_SECONDS = 2.0


def default_data_dir() -> Path:
    """Return where raw files are looked for: ``$RMTL_BENCH_DATA``, else the user's data folder."""
    given = os.environ.get("RMTL_BENCH_DATA")
    return Path(given) if given else platformdirs.user_data_path("rmtl-bench") / "data"


def default_cache_dir() -> Path:
    """Return where prepared tables are kept: ``$RMTL_BENCH_CACHE``, else the user's cache folder."""
    given = os.environ.get("RMTL_BENCH_CACHE")
    return Path(given) if given else platformdirs.user_cache_path("rmtl-bench")


def fingerprint(
    dataset: Dataset,
    name: str,
    version: int,
    parameters: Mapping[str, Any],
    distribution_version: str,
    data_dir: Path,
    cache_dir: Path,
) -> str:
    """Return 16 hexadecimal digits that decide a prepared table: same digits, same numbers.

    They are the start of a SHA-256 over the raw files' names and contents, the data set's name, version and
    resolved ``parameters``, the version of the distribution that offers it, and the format of the storage.
    """
    hashes = _ContentHashes(cache_dir / "raw-file-hashes.json")
    files = [[path.name, hashes.of(path)] for path in dataset.raw_files(data_dir)]
    hashes.save()
    identity = {
        "storage": FORMAT,
        "files": sorted(files),
        "name": name,
        "version": version,
        "parameters": dict(parameters),
        "distribution_version": distribution_version,
    }
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def prepare(dataset: Dataset, fingerprint: str, name: str, data_dir: Path, cache_dir: Path) -> Path:
    """Return the folder of the prepared table, building, checking and saving it if it is not there yet.

    Two processes may prepare the same table at once: both build it, the first publishes it, the other's is discarded.
    """
    folder = cache_dir / "prepared" / f"{name}-{fingerprint}"
    if not (folder / "table.json").exists():
        table = dataset.build(data_dir)
        check_table(table, name)
        try:
            save_table(table, folder)
        except OSError as error:
            raise DataError(f"{name}: cannot write the prepared table to {folder}: {error}") from error
    return folder


class _ContentHashes:
    """SHA-256 of files, remembered by path, size and modification time, since raw files are large."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: dict[str, list[Any]] = {}
        self._new: dict[str, list[Any]] = {}
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(memory.read_text(encoding="utf-8"))
            if isinstance(known, dict):
                self._known = known

    def of(self, path: Path) -> str:
        """Return the hash of the content of ``path``."""
        try:
            status = path.stat()
            key, stamp = str(path.resolve()), [status.st_size, status.st_mtime_ns]
            known = self._known.get(key)
            if isinstance(known, list) and known[:2] == stamp:
                return str(known[2])
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error}") from error
        # A file touched just now may change again within the resolution of its time stamp.
        if time.time() - status.st_mtime > _SETTLED_SECONDS:
            self._new[key] = [*stamp, digest]
        return digest

    def save(self) -> None:
        """Remember the new hashes; a memory that cannot be written only costs time."""
        if not self._new:
            return
        aside = self._memory.with_name(f".{self._memory.name}.{uuid.uuid4().hex}")
        with contextlib.suppress(OSError):
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            aside.write_text(json.dumps(self._known | self._new), encoding="utf-8")
            aside.replace(self._memory)

"""From raw files to a prepared table, once: fingerprints and the cache on disk."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import platformdirs

from rmtl_bench.contracts.cell import Component
from rmtl_bench.contracts.dataset import Dataset
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.data.checks import check_table
from rmtl_bench.data.locks import try_lock
from rmtl_bench.data.manifest import RawFile, manifest_of
from rmtl_bench.data.storage import FORMAT, save_table

_HASHES = "raw-file-hashes.json"
_LENGTH = 16
_SETTLED_SECONDS = 2.0


def default_data_dir() -> Path:
    """Return where raw files are looked for: ``$RMTL_BENCH_DATA``, else the user's data folder."""
    given = os.environ.get("RMTL_BENCH_DATA")
    return Path(given) if given else platformdirs.user_data_path("rmtl-bench") / "data"


def default_cache_dir() -> Path:
    """Return where prepared tables are kept: ``$RMTL_BENCH_CACHE``, else the user's cache folder."""
    given = os.environ.get("RMTL_BENCH_CACHE")
    return Path(given) if given else platformdirs.user_cache_path("rmtl-bench")


def fingerprint(dataset: Dataset, component: Component, data_dir: Path, cache_dir: Path) -> str:
    """Return 16 hexadecimal digits that decide a prepared table: same digits, same numbers.

    They are the start of a SHA-256 over the raw files' names and contents, the data set's name, version and
    resolved parameters, the version of the distribution that offers it, and the format of the storage.
    """
    return _identity(component, raw_file_stamps(dataset.raw_files(data_dir), cache_dir))


def known_fingerprint(dataset: Dataset, component: Component, data_dir: Path, cache_dir: Path) -> str | None:
    """Return the fingerprint without reading a raw file, or ``None`` if one of them was not hashed as it is now."""
    hashes = _ContentHashes(cache_dir / _HASHES)
    stamps = []
    for path in dataset.raw_files(data_dir):
        digest = hashes.known(path)
        if digest is None:
            return None
        stamps.append({"name": path.name, "sha256": digest})
    return _identity(component, stamps)


def raw_file_stamps(paths: Iterable[Path], cache_dir: Path) -> list[RawFile]:
    """Return name, size and SHA-256 of raw files; a file that was hashed before, and not touched since, is not read."""
    hashes = _ContentHashes(cache_dir / _HASHES)
    stamps: list[RawFile] = [
        {"name": path.name, "sha256": hashes.of(path), "bytes": path.stat().st_size} for path in paths
    ]
    hashes.save()
    return stamps


def _identity(component: Component, stamps: Iterable[RawFile]) -> str:
    identity = {
        "storage": FORMAT,
        "files": sorted([stamp["name"], stamp["sha256"]] for stamp in stamps),
        "name": component.name,
        "version": component.version,
        "parameters": dict(component.parameters),
        "distribution_version": component.distribution_version,
    }
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:_LENGTH]


def prepared_folder(name: str, fingerprint: str, cache_dir: Path) -> Path:
    """Return where the prepared table of that fingerprint is, or will be."""
    return cache_dir / "prepared" / f"{name}-{fingerprint}"


def prepared_folders(name: str, cache_dir: Path) -> list[Path]:
    """Return the folders of all prepared tables of a data set, whatever their parameters."""
    found = (cache_dir / "prepared").glob(f"{glob.escape(name)}-*/table.json")
    return sorted(path.parent for path in found if len(path.parent.name) == len(name) + 1 + _LENGTH)


def prepare(dataset: Dataset, fingerprint: str, component: Component, data_dir: Path, cache_dir: Path) -> Path:
    """Return the folder of the prepared table, building, checking and saving it if it is not there yet.

    It appears complete or not at all. Of two processes that ask for the same table one builds it, and the other waits;
    what a killed one has left is removed. Raises :class:`DataError`, also for a full disk, and for raw files that are
    not those of the fingerprint any more.
    """
    folder = prepared_folder(component.name, fingerprint, cache_dir)
    if (folder / "table.json").exists():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder.parent)
        with _alone(folder) as scratch:
            if not (folder / "table.json").exists():
                _build(dataset, fingerprint, component, data_dir, cache_dir, folder, scratch)
    except OSError as error:
        raise DataError(f"{component.name}: cannot write the prepared table to {folder}: {error}") from error
    return folder


def _build(
    dataset: Dataset,
    fingerprint: str,
    component: Component,
    data_dir: Path,
    cache_dir: Path,
    folder: Path,
    scratch: Path,
) -> None:
    table = dataset.build(data_dir, scratch)
    stamps = raw_file_stamps(dataset.raw_files(data_dir), cache_dir)
    if _identity(component, stamps) != fingerprint:
        raise DataError(f"{component.name}: a raw file changed while it was read; try again")
    check_table(table, component.name)
    save_table(table, folder, scratch, lambda arrays: manifest_of(table, component, fingerprint, stamps, arrays))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """Hold the lock of a prepared table, waiting for it, and yield an empty scratch folder that is gone afterwards."""
    lock = folder.with_name(f".{folder.name}.lock")
    while (descriptor := try_lock(lock)) is None:
        time.sleep(0.05)
    scratch = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        scratch.mkdir()
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def remove_leftovers(prepared: Path) -> None:
    """Remove what preparations that were killed have left: their locks are free, and their scratch folders remain."""
    for lock in prepared.glob(".*.lock"):
        descriptor = try_lock(lock)
        if descriptor is not None:
            for left in prepared.glob(f"{glob.escape(lock.stem)}.*"):
                shutil.rmtree(left, ignore_errors=True)
            lock.unlink(missing_ok=True)
            os.close(descriptor)


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

    def known(self, path: Path) -> str | None:
        """Return the hash of the content of ``path`` if it is remembered and the file is as it was then."""
        with contextlib.suppress(OSError):
            status = path.stat()
            known = self._known.get(str(path.resolve()))
            if isinstance(known, list) and known[:2] == [status.st_size, status.st_mtime_ns]:
                return str(known[2])
        return None

    def of(self, path: Path) -> str:
        """Return the hash of the content of ``path``."""
        known = self.known(path)
        if known is not None:
            return known
        try:
            status = path.stat()
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error}") from error
        # A file touched just now may change again within the resolution of its time stamp.
        if time.time() - status.st_mtime > _SETTLED_SECONDS:
            self._new[str(path.resolve())] = [status.st_size, status.st_mtime_ns, digest]
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

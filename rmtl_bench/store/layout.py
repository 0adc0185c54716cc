"""The folders of a store, and how a finished run gets into them.

::

    FORMAT              the format of the store, an integer
    staging/            runs being made, each with the lock of the process that makes it
    runs/<run_id>       a run's first attempt; runs/<run_id>.2 its second
    suites/             the plans of suites
    claims/             locks, one a run that a command is about to make or makes
    checkpoints/        how far runs have come that take long, to go on from
    results.duckdb      an index, made from the folders above
"""

from __future__ import annotations

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.data.locks import try_lock
from rmtl_bench.store.checksums import write_checksums
from rmtl_bench.store.disk import flush, is_full, remove, write_atomically
from rmtl_bench.store.migrations import STORE_FORMAT, migrate

KEPT_FILE = "kept.safetensors"
"""What a run hands on to the runs that build on it, in its folder."""

PROFILE_FILE = "profile.json"
"""Where the time of a run went, in its folder; only of a run that was profiled."""
TRACE_FILE = "trace.json.gz"
"""The operations of a profiled run's first steps, in its folder, as Chrome, Perfetto and TensorBoard read them."""

ATTEMPTS_APART = 16
"""The most that the numbers of two attempts at one run differ by, so that the highest is found by a few looks."""

_RUN_FOLDER = re.compile(r"([0-9a-f]{16})(?:\.([2-9]|[1-9][0-9]+))?")
_MOMENT = 0.005


@dataclass(frozen=True, order=True)
class RunFolder:
    """A published run: the first attempt at ``run_id``, or a later one."""

    run_id: str
    attempt: int
    path: Path


class Store:
    """A folder of results. Open it with :meth:`open`. Pickled, it is its path: it holds no lock elsewhere."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.staging = path / "staging"
        self.runs_path = path / "runs"
        self.suites = path / "suites"
        self.claims = path / "claims"
        self.checkpoints = path / "checkpoints"
        self._locks: dict[Path, int] = {}
        self._claims: dict[str, int] = {}

    def __reduce__(self) -> tuple[type[Store], tuple[Path]]:
        return Store, (self.path,)

    @classmethod
    def open(cls, path: Path | str, create: bool = True) -> Store:
        """Return the store at ``path``, made if missing and ``create``.

        Opened with ``create``, a store of an older format is made one of today's, see
        :mod:`~rmtl_bench.store.migrations`; without, it is read as it is and nothing is written.
        Raises :class:`StoreError` if there is none, or something else than a store of a known format stands there.
        """
        store = cls(Path(path).absolute())
        try:
            store._check_or_create(create)
        except OSError as error:
            raise StoreError(f"{store.path} cannot be used as a store: {error.strerror or error}") from error
        return store

    def _check_or_create(self, create: bool) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise StoreError(f"{self.path} is a file; a store is a folder")
        mark = self.path / "FORMAT"
        if mark.is_file():
            found = self.format
            if create and found < STORE_FORMAT:
                migrate(self.path, found)
        else:
            self._refuse_strangers()
            if not create:
                raise StoreError(f"there is no store at {self.path}; a run makes one")
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(mark, f"{STORE_FORMAT}\n")
        if create:
            for folder in (self.staging, self.runs_path, self.suites, self.claims, self.checkpoints):
                folder.mkdir(exist_ok=True)

    @property
    def format(self) -> int:
        """The format of the store, as ``FORMAT`` says. Raises :class:`StoreError` for one that is not known."""
        with (self.path / "FORMAT").open(encoding="utf-8", errors="replace") as file:
            found = file.read(80).strip()
        known = [str(number) for number in range(1, STORE_FORMAT + 1)]
        if found not in known:
            raise StoreError(
                f"{self.path} is a store of format {found!r}; this rmtl-bench reads the formats {', '.join(known)}"
            )
        return int(found)

    def _refuse_strangers(self) -> None:
        # Another command may be creating the same store: its unfinished FORMAT is no stranger.
        entries = [p.name for p in self.path.iterdir()] if self.path.exists() else []
        if any(not name.startswith("FORMAT") for name in entries) and not (self.path / "FORMAT").is_file():
            raise StoreError(f"{self.path} is not a store and not empty; give an empty or a new folder")

    def staging_folder(self, run_id: str) -> Path:
        """Return a new, empty folder to write a run in.

        It is safe from :meth:`clean_staging` as long as this process lives: publish it from this process,
        or keep this process until it is published.
        """
        while True:
            folder = self.staging / f"{run_id}-{uuid.uuid4().hex[:12]}"
            try:
                descriptor = try_lock(lock_of(folder))
                if descriptor is not None:
                    self._locks[folder] = descriptor
                    folder.mkdir()
                    return folder
            except BaseException as error:
                # Ctrl-C comes where a disk is waited for, and nobody else knows of this folder yet.
                self.discard(folder)
                if isinstance(error, OSError):
                    raise StoreError(f"{folder} cannot be made: {error.strerror or error}") from error
                raise
            # Another command's cleaning has looked at the lock in the moment between its making and its taking.

    def publish(self, staging: Path, run_id: str) -> Path:
        """Move a finished staging folder among the runs, in one step, and return its new path.

        A run that is there already stays: this one becomes the next attempt. ``checksums.json`` is written into it,
        and everything is on the disk before the move: a published run is a whole one even after a power cut.
        """
        if not (staging / "run.json").is_file():
            raise StoreError(f"{staging} has no run.json, so there is nothing to publish")
        try:
            write_checksums(staging)
        except OSError as error:
            # On a full disk, a run without checksums is better than none: to move it takes no room.
            if not is_full(error):
                raise
        for path in (*staging.iterdir(), staging):
            flush(path)
        attempt = self.attempts(run_id) + 1
        while True:
            target = self.attempt_folder(run_id, attempt)
            # Renaming onto an existing folder fails, unless that is empty: so two publishers never overwrite.
            if not target.exists():
                try:
                    staging.rename(target)
                    break
                except OSError as error:
                    if not target.exists():
                        raise StoreError(f"{staging} cannot be moved to {target}: {error.strerror}") from error
            attempt += 1
        flush(self.runs_path)
        self._release(staging)
        return target

    def discard(self, staging: Path) -> None:
        """Remove a staging folder that will not be published."""
        shutil.rmtree(staging, ignore_errors=True)
        self._release(staging)

    def _release(self, staging: Path) -> None:
        lock_of(staging).unlink(missing_ok=True)
        descriptor = self._locks.pop(staging, None)
        if descriptor is not None:
            os.close(descriptor)

    def clean_staging(self) -> list[str]:
        """Remove what dead processes left in ``staging/`` and their claims; return the names of the folders removed.

        What a living process makes or claims is not touched.
        """
        removed = []
        entries = list(self.staging.iterdir()) if self.staging.is_dir() else []
        for folder in sorted({p.with_suffix("") if p.suffix == ".lock" else p for p in entries}):
            descriptor = try_lock(lock_of(folder))
            if descriptor is None:
                continue
            if folder.is_dir():
                remove(folder)
                removed.append(folder.name)
            lock_of(folder).unlink(missing_ok=True)
            os.close(descriptor)
        for claim in sorted(self.claims.glob("*.lock")) if self.claims.is_dir() else []:
            descriptor = try_lock(claim)
            if descriptor is not None:
                claim.unlink(missing_ok=True)
                os.close(descriptor)
        return removed

    def claim(self, run_id: str) -> bool:
        """Take the claim on a run, which one process at a time holds while it makes the run; return whether it has it.

        It ends with :meth:`release`, or with the process. To claim again what this process holds changes nothing.
        Raises :class:`StoreError` where the store cannot be written.
        """
        if run_id in self._claims:
            return True
        try:
            self.claims.mkdir(exist_ok=True)
            descriptor = try_lock(self.claim_file(run_id))
            if descriptor is None:
                # Who sweeps or looks at the claims of dead processes holds each for a moment.
                time.sleep(_MOMENT)
                descriptor = try_lock(self.claim_file(run_id))
        except OSError as error:
            raise StoreError(f"{self.claim_file(run_id)} cannot be locked: {error.strerror or error}") from error
        if descriptor is not None:
            self._claims[run_id] = descriptor
        return descriptor is not None

    def release(self, run_id: str) -> None:
        """Give up the claim on a run; a claim that this process does not hold is left alone."""
        descriptor = self._claims.pop(run_id, None)
        if descriptor is not None:
            self.claim_file(run_id).unlink(missing_ok=True)
            os.close(descriptor)

    @property
    def claimed(self) -> frozenset[str]:
        """The run ids whose claims this process holds."""
        return frozenset(self._claims)

    def claim_file(self, run_id: str) -> Path:
        """Return the lock of the claim on a run, which need not be there."""
        return self.claims / f"{run_id}.lock"

    def checkpoint(self, run_id: str) -> Path:
        """Return where the run ``run_id`` keeps its checkpoint, a file or a folder that need not be there.

        The folder that it is to lie in is there.
        """
        self.checkpoints.mkdir(exist_ok=True)
        return self.checkpoints / run_id

    def drop_checkpoint(self, run_id: str) -> None:
        """Remove the checkpoint of a run, if it has one."""
        remove(self.checkpoints / run_id)

    def attempts(self, run_id: str) -> int:
        """Return the number of the highest published attempt at a run, 0 for none; no folder is listed or read."""
        highest, number = 0, 1
        while number <= highest + ATTEMPTS_APART:
            if self.attempt_folder(run_id, number).exists():
                highest = number
            number += 1
        return highest

    def attempt_folder(self, run_id: str, attempt: int) -> Path:
        """Return the folder of an attempt, counted from 1, which need not be there."""
        return self.runs_path / (run_id if attempt == 1 else f"{run_id}.{attempt}")

    def runs(self) -> Iterator[RunFolder]:
        """Yield the published runs in order of run id and attempt; whether they can be read is not looked at."""
        folders, _ = self.names()
        yield from sorted(map(self.run_folder, folders))

    def names(self) -> tuple[list[str], list[str]]:
        """Return the names of what stands among the runs: of run folders, and of everything else but hidden files."""
        try:
            # A Path an entry would cost ten times as much as the listing of ten thousand.
            entries = [name for name in os.listdir(self.runs_path) if not name.startswith(".")]  # noqa: PTH208
        except (FileNotFoundError, NotADirectoryError):
            return [], []
        folders = [name for name in entries if _RUN_FOLDER.fullmatch(name)]
        return folders, sorted(set(entries).difference(folders))

    def run_folder(self, name: str) -> RunFolder:
        """Return the run whose folder has this name. Raises :class:`StoreError` for a name that is none."""
        if not (match := _RUN_FOLDER.fullmatch(name)):
            raise StoreError(f"{name!r} is no name of a run's folder")
        return RunFolder(match[1], int(match[2] or 1), self.runs_path / name)

    def kept_file(self, run_id: str) -> Path | None:
        """Return what the latest attempt at ``run_id`` that kept something has kept; ``None`` if none did."""
        for attempt in range(self.attempts(run_id), 0, -1):
            if (file := self.attempt_folder(run_id, attempt) / KEPT_FILE).is_file():
                return file
        return None

    def strangers(self) -> list[Path]:
        """Return what stands among the runs and is none, by its name; hidden files are not looked at."""
        return [self.runs_path / name for name in self.names()[1]]


def lock_of(folder: Path) -> Path:
    """Return the lock of a staging folder: whoever makes the run holds it from before the folder is there."""
    return folder.with_name(folder.name + ".lock")

"""How far a run in progress has come: a small file in its staging folder, for who looks at the store meanwhile.

The process that publishes a run writes it, at most once a second, and removes it before the run is published. A run is
in progress while its folder is in ``staging/`` and a living process holds the folder's lock; the file says what more is
known, and everything works without it.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.reading import read_json
from rmtl_bench.data.locks import is_locked
from rmtl_bench.store.layout import Store, lock_of

PROGRESS_FILE = "progress.json"
"""The name of the file."""

_STAGED_RUN = re.compile(r"[0-9a-f]{16}-[^.]*")

INTERVAL = 1.0
"""The fewest seconds between two writings of one file."""

LARGEST = 1 << 16
"""The most bytes that the file may have."""

_NO_TIME = 1e11


@dataclass(frozen=True)
class Progress:
    """What is known of a run in progress.

    ``label`` is ``dataset/backbone/weighting/seed``; ``suite``, what the command that makes the run was given;
    ``begun``, when that command's first run started, and ``started``, this one: seconds since the epoch. ``stage`` is
    empty and ``score`` None until the first epoch has ended. A run of which no file tells has its ``run_id`` alone, and
    the time when its lock was taken as ``started``.
    """

    run_id: str
    label: str = ""
    suite: str = ""
    begun: float = 0.0
    started: float = 0.0
    stage: str = ""
    epoch: int = 0
    score: float | None = None


class ProgressFile:
    """The file of one run, which lies in the folder ``staging``.

    What cannot be written is passed over: it must not fail the run.
    """

    def __init__(self, staging: Path, progress: Progress) -> None:
        self._path = staging / PROGRESS_FILE
        self._progress = progress
        self._written: Progress | None = None
        self._next = 0.0
        self.write_if_due()

    def epoch_finished(self, event: Mapping[str, Any]) -> None:
        """Note that the run has finished an epoch, of which ``event`` gives ``stage``, ``epoch`` and ``score``."""
        stage, epoch, score = str(event["stage"]), int(event["epoch"]), float(event["score"])
        self._progress = replace(self._progress, stage=stage, epoch=epoch, score=score)

    def write_if_due(self) -> None:
        """Write what is new, unless something was written within :data:`INTERVAL`; to be called now and then."""
        now = time.monotonic()
        if self._progress == self._written or now < self._next:
            return
        self._written, self._next = self._progress, now + INTERVAL
        aside = _aside(self._path)
        try:
            # No flush to the disk: nobody needs the file after a power cut.
            aside.write_text(json.dumps(asdict(self._progress)), encoding="utf-8")
            aside.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the file, since the run is about to be published."""
        for path in (self._path, _aside(self._path)):
            path.unlink(missing_ok=True)


def runs_in_progress(store: Store) -> list[Progress]:
    """Return the runs that living processes are making in a store, those started first first.

    What dead processes have left is not looked at, and nothing is changed. A run that ends meanwhile may be among them
    or not.
    """
    try:
        folders = [path for path in store.staging.iterdir() if _STAGED_RUN.fullmatch(path.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    # A folder is made after its lock is taken: to look at the lock of a folder that is there disturbs no run.
    found = [_read(folder) for folder in folders if folder.is_dir() and is_locked(lock_of(folder))]
    return sorted(found, key=lambda progress: (progress.started, progress.run_id))


def _read(folder: Path) -> Progress:
    """Return what the file in a folder says; without a file that can be read, what the folder itself says."""
    run_id = folder.name.partition("-")[0]
    try:
        said = read_json(folder / PROGRESS_FILE, LARGEST, links=False, finite=False)
        found = Progress(
            run_id=run_id,
            label=str(said["label"]),
            suite=str(said["suite"]),
            begun=float(said["begun"]),
            started=float(said["started"]),
            stage=str(said["stage"]),
            epoch=int(said["epoch"]),
            score=None if said["score"] is None else float(said["score"]),
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return Progress(run_id, started=_locked_since(folder))
    # What is no time of this machine's calendar cannot be shown.
    if not (0 <= found.begun < _NO_TIME and 0 <= found.started < _NO_TIME):
        return replace(found, begun=0.0, started=_locked_since(folder))
    return found


def _locked_since(folder: Path) -> float:
    try:
        # Made when it is taken, and never written.
        return lock_of(folder).stat().st_mtime
    except OSError:
        return time.time()


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")

"""What lies in a store and nobody needs any more; what a living process holds is never among it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rmtl_bench.data.locks import is_locked
from rmtl_bench.store.layout import Store, lock_of

_RUN_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Leftover:
    """A file or folder that can go, and what it is."""

    path: Path
    what: str


def leftovers(store: Store, statuses: Mapping[str, str]) -> list[Leftover]:
    """Return what can go, by path. ``statuses``: run id -> how the attempt that counts ended. Nothing is changed."""
    found = [*_staging(store), *_claims(store), *_checkpoints(store, statuses)]
    aside = sorted(store.path.glob("results.duckdb*.aside*")) if store.path.is_dir() else []
    return [*found, *(Leftover(path, "an index that could not be read") for path in aside)]


def checkpoint_run(path: Path) -> str:
    """Return the run id that a checkpoint's name begins with; empty: it begins with none."""
    match = _RUN_ID.match(path.name)
    return match[0] if match else ""


def _staging(store: Store) -> Iterator[Leftover]:
    for path in _entries(store.staging):
        if path.suffix == ".lock":
            # Without its folder it is a lock that is just taken, or nothing; with it, the folder speaks for both.
            continue
        if not is_locked(lock_of(path)) and path.exists():
            yield Leftover(path, "left by a process that is dead")


def _claims(store: Store) -> Iterator[Leftover]:
    for path in _entries(store.claims):
        if not is_locked(path) and path.exists():
            yield Leftover(path, "the claim of a process that is dead")


def _checkpoints(store: Store, statuses: Mapping[str, str]) -> Iterator[Leftover]:
    for path in _entries(store.checkpoints):
        run_id = checkpoint_run(path)
        if statuses.get(run_id, "interrupted") != "interrupted" and not is_locked(store.claim_file(run_id)):
            yield Leftover(path, "the checkpoint of a run that has ended")


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []

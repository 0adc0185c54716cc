"""The runs and plans of another store, copied into this one.

What tells two attempts at one run apart is their ``run.json``: an attempt that is there already, under whatever number,
is not copied again, so that merging twice changes nothing. Another attempt becomes the next one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store.checksums import digest_of, faults, read_checksums
from rmtl_bench.store.copying import copy_run, refuse_strangers
from rmtl_bench.store.ingest import Problem
from rmtl_bench.store.integrity import examine
from rmtl_bench.store.layout import RunFolder, Store
from rmtl_bench.store.plans import StoredPlan, load_plan_file, plan_names, save_plan
from rmtl_bench.store.run_files import read_run

BATCH = 500
"""Runs that are examined, then copied, before the next are."""


@dataclass(frozen=True)
class Selection:
    """What of a store is copied: all, or the runs and plans that are named here, without the files in ``leave_out``."""

    run_ids: Collection[str] | None = None
    plans: Collection[str] | None = None
    leave_out: Collection[str] = ()


@dataclass(frozen=True)
class Merged:
    """What a merge copied, or would: new runs, further attempts at runs that were there, and plans.

    ``present``: attempts that were there already; ``problems``: what was passed over, and why.
    """

    runs: int
    attempts: int
    present: int
    plans: tuple[str, ...]
    problems: tuple[Problem, ...]


class _Lacking:
    """What ``store`` lacks of another store, found without writing anything."""

    def __init__(self, store: Store, other: Store, selection: Selection) -> None:
        self.problems: list[Problem] = []
        self.plans = self._plans(store, other, selection)
        self.present = 0
        self.new: list[RunFolder] = []
        self.known_runs: set[str] = set()
        for run_id, attempts in sorted(_attempts(other, selection).items()):
            have = set(_digests(store, run_id))
            self.known_runs |= {run_id} if store.attempts(run_id) else set()
            for folder in attempts:
                self._look(folder, have)

    def _look(self, folder: RunFolder, have: set[str]) -> None:
        try:
            refuse_strangers(folder.path)
            digest = digest_of(folder.path / "run.json")
        except (StoreError, OSError) as error:
            self.pass_over(folder.path, f"{folder.path} cannot be read: {error}")
            return
        if digest in have:
            self.present += 1
        else:
            have.add(digest)
            self.new.append(folder)

    def pass_over(self, path: Path, reason: str) -> None:
        """Note a problem, unless its folder is gone: then it was pruned meanwhile."""
        if path.exists() or path.is_symlink():
            self.problems.append(Problem(path, reason))

    def _plans(self, store: Store, other: Store, selection: Selection) -> list[StoredPlan]:
        lacking = []
        known = set(plan_names(store))
        for name in plan_names(other):
            path = other.suites / f"{name}.json"
            if selection.plans is not None and name not in selection.plans:
                continue
            try:
                if path.is_symlink():
                    raise StoreError(f"{path} is a link; a plan is a file")
                plan = load_plan_file(path)
            except StoreError as error:
                self.pass_over(path, str(error))
                continue
            if name not in known:
                lacking.append(plan)
                continue
            kept = load_plan_file(store.suites / path.name)
            if kept.digest != plan.digest:
                raise StoreError(
                    f"{name} is another suite in {other.path} (digest {plan.digest}) than in {store.path} "
                    f"(digest {kept.digest}); nothing was copied: a suite never changes once it has run"
                )
        return lacking


def check_apart(store: Path, other: Store) -> None:
    """Raise :class:`StoreError` where both are one folder, or a part of the other is a link."""
    if store.exists() and store.samefile(other.path):
        raise StoreError(f"{other.path} is the store itself; name another one")
    for part in (other.runs_path, other.suites):
        if part.is_symlink():
            raise StoreError(f"{part} is a link, which a merge does not follow; merge a store without links")


def would_merge(store: Store, other: Store, selection: Selection | None = None) -> Merged:
    """Return what :func:`merge` would copy; nothing is written. Raises as it does."""
    lacking = _Lacking(store, other, selection or Selection())
    broken = examine(lacking.new).broken
    return _summary(lacking, [folder for folder in lacking.new if folder.path not in broken], broken)


def merge(store: Store, other: Store, selection: Selection | None = None) -> Merged:
    """Copy into ``store`` what it lacks of ``other``; the caller holds :func:`~rmtl_bench.store.upkeep.upkeep`.

    Each run is copied aside and published in one step: an interrupted merge leaves no half of a run, and goes on where
    it was. Only plain files are copied, compared with their checksums; a folder that is broken or holds anything else
    is passed over. ``other`` is only read. Raises :class:`StoreError`, before anything is copied, where both have a
    plan of one name and another digest, and where the store cannot be written.
    """
    selection = selection or Selection()
    lacking = _Lacking(store, other, selection)
    copied: list[RunFolder] = []
    broken: dict[Path, list[str]] = {}
    for start in range(0, len(lacking.new), BATCH):
        batch = lacking.new[start : start + BATCH]
        broken |= examine(batch, compare=False).broken
        for folder in batch:
            if folder.path not in broken and _copy(store, folder, selection, lacking):
                copied.append(folder)
    for plan in lacking.plans:
        save_plan(store, plan)
    return _summary(lacking, copied, broken)


def _copy(store: Store, folder: RunFolder, selection: Selection, lacking: _Lacking) -> bool:
    staging = store.staging_folder("merge")
    try:
        copy_run(folder.path, staging, selection.leave_out)
        if read_run(staging).run_id != folder.run_id:
            raise StoreError(f"{folder.path} holds another run than its name says")
    except StoreError as error:
        store.discard(staging)
        lacking.pass_over(folder.path, str(error))
        return False
    except OSError as error:
        store.discard(staging)
        raise StoreError(f"{folder.path} cannot be copied to {store.path}: {error.strerror or error}") from error
    except BaseException:
        store.discard(staging)
        raise
    try:
        store.publish(staging, folder.run_id)
    except BaseException:
        store.discard(staging)
        raise
    return True


def _summary(lacking: _Lacking, copied: Sequence[RunFolder], broken: Mapping[Path, Sequence[str]]) -> Merged:
    first: set[str] = set()
    for folder in copied:
        if folder.run_id not in lacking.known_runs:
            first.add(folder.run_id)
    for path, texts in broken.items():
        lacking.pass_over(path, texts[0])
    names = tuple(plan.name for plan in lacking.plans)
    return Merged(len(first), len(copied) - len(first), lacking.present, names, tuple(lacking.problems))


def _attempts(other: Store, selection: Selection) -> dict[str, list[RunFolder]]:
    attempts: dict[str, list[RunFolder]] = defaultdict(list)
    for folder in other.runs():
        if selection.run_ids is None or folder.run_id in selection.run_ids:
            attempts[folder.run_id].append(folder)
    return attempts


def _digests(store: Store, run_id: str) -> Iterator[str]:
    """Yield what tells the attempts apart that a store has of a run; one that is damaged is as good as not there."""
    for attempt in range(1, store.attempts(run_id) + 1):
        folder = store.attempt_folder(run_id, attempt)
        try:
            checksums = read_checksums(folder)
            if not any(faults(folder, checksums or {})):
                yield digest_of(folder / "run.json")
        except (OSError, StoreError):
            continue

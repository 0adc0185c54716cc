"""Making a store smaller: attempts that later ones have superseded, and what nobody needs any more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store.checksums import keep_checksums, read_checksums
from rmtl_bench.store.disk import flush, remove, size_of
from rmtl_bench.store.index import Index
from rmtl_bench.store.layout import ATTEMPTS_APART, KEPT_FILE, RunFolder, Store
from rmtl_bench.store.leftovers import checkpoint_run, leftovers
from rmtl_bench.store.plans import all_plans

PREDICTIONS = "predictions.parquet"


@dataclass(frozen=True)
class Asked:
    """What may go beside superseded attempts and leftovers.

    ``failed``: attempts that did not end well; ``predictions`` of all runs; ``not_in_plans``: the runs that no kept
    plan names and none of the others builds on.
    """

    failed: bool = False
    predictions: bool = False
    not_in_plans: bool = False


@dataclass(frozen=True)
class Removal:
    """A file or folder that can go, why, and how many bytes it has; ``run_id``: whose it is, empty: no run's."""

    path: Path
    why: str
    size: int
    run_id: str = ""


@dataclass(frozen=True)
class Pruned:
    """What was removed, and what was left since a living process holds it."""

    removed: tuple[Removal, ...]
    held: tuple[Removal, ...]

    @property
    def size(self) -> int:
        """The bytes that went."""
        return sum(removal.size for removal in self.removed)


def removals(store: Store, asked: Asked) -> list[Removal]:
    """Return what can go from a store whose index is up to date; nothing is removed.

    Of each run stay its newest attempt, the newest that ended well, the newest that kept something for later runs, and
    so many that no two numbers are more than :data:`~rmtl_bench.store.layout.ATTEMPTS_APART` apart.
    Raises :class:`StoreError` where ``not_in_plans`` is asked for and no plan is kept, or one cannot be read.
    """
    index = Index(store)
    statuses = _statuses(index)
    chosen = _superseded(store, statuses)
    if asked.failed:
        unhappy = {folder: f"ended as {status}" for folder, status in statuses.items() if status != "ok"}
        chosen = unhappy | chosen
    if asked.not_in_plans:
        chosen = dict.fromkeys(_unplanned(store, index, statuses), "in no plan") | chosen
    chosen = _with_numbers_kept(store, chosen)
    found = [
        Removal(path := store.runs_path / name, f"attempt {folder.attempt}: {why}", size_of(path), folder.run_id)
        for name, why in sorted(chosen.items())
        if (folder := store.run_folder(name))
    ]
    if asked.predictions:
        found += _predictions(store, chosen)
    latest = {run_id: attempt.status for run_id, attempt in index.latest().items()}
    for left in leftovers(store, latest):
        run_id = checkpoint_run(left.path) if left.path.parent == store.checkpoints else ""
        found.append(Removal(left.path, left.what, size_of(left.path), run_id))
    return found


def prune(store: Store, planned: Sequence[Removal]) -> Pruned:
    """Remove what :func:`removals` has returned, and bring the index up to date; what is held by now is left.

    A run's folder is first moved out of the runs, in one step, so that no half of it ever stands among them.
    """
    done: list[Removal] = []
    held: list[Removal] = []
    aside = store.staging_folder("prune")
    try:
        for removal in planned:
            gone = _remove(store, removal, aside)
            (done if gone else held).append(removal)
        flush(store.runs_path)
    finally:
        store.discard(aside)
    # Those of dead processes alone, each under its own lock: what was listed may be another's by now.
    store.clean_staging()
    Index(store).refresh()
    return Pruned(tuple(done), tuple(held))


def _remove(store: Store, removal: Removal, aside: Path) -> bool:
    """Remove one; return False where a living process holds it."""
    path = removal.path
    if path.parent in (store.staging, store.claims):
        return True
    if not removal.run_id:
        remove(path)
        return True
    mine = removal.run_id in store.claimed
    if not store.claim(removal.run_id):
        return False
    try:
        if path.parent == store.runs_path:
            if path.is_dir():
                path.rename(aside / path.name)
                remove(aside / path.name)
        elif path.name == PREDICTIONS:
            _drop_predictions(path)
        else:
            remove(path)
    except FileNotFoundError:
        return True
    finally:
        if not mine:
            store.release(removal.run_id)
    return True


def _drop_predictions(path: Path) -> None:
    checksums = read_checksums(path.parent)
    if checksums is not None:
        # First: a file that no checksum names is less of a fault than one that is named and missing.
        keep_checksums(path.parent, {name: digest for name, digest in checksums.items() if name != path.name})
    path.unlink(missing_ok=True)


def _statuses(index: Index) -> dict[str, str]:
    """Return how each attempt that can be read ended, by the name of its folder."""
    _, rows = index.query("SELECT folder, status FROM runs")
    return dict(rows)


def _superseded(store: Store, statuses: Mapping[str, str]) -> dict[str, str]:
    chosen = {}
    for attempts in _by_run(store).values():
        if len(attempts) == 1:
            continue
        well = [folder.attempt for folder in attempts if statuses.get(folder.path.name) == "ok"]
        kept = [folder.attempt for folder in attempts if (folder.path / KEPT_FILE).is_file()]
        for folder in attempts:
            if well and folder.attempt < well[-1] and folder.attempt not in kept[-1:]:
                chosen[folder.path.name] = f"superseded by attempt {well[-1]}, which ended well"
    return chosen


def _unplanned(store: Store, index: Index, statuses: Mapping[str, str]) -> Iterator[str]:
    plans = all_plans(store)
    if not plans:
        raise StoreError(f"{store.path} keeps no plan, so every run would go; nothing was removed")
    wanted = {cell.run_id for plan in plans for cell in plan.cells}
    _, rows = index.query("SELECT run_id, json_extract_string(cell, '$.source') FROM runs")
    sources = dict(rows)
    left = list(wanted)
    while left:
        source = sources.get(left.pop())
        if source and source not in wanted:
            wanted.add(source)
            left.append(source)
    # A folder that cannot be read may be anything: it stays.
    yield from (name for name in statuses if store.run_folder(name).run_id not in wanted)


def _with_numbers_kept(store: Store, chosen: Mapping[str, str]) -> dict[str, str]:
    """Return what may go so that, of a run of which something stays, the highest number is found by a few looks."""
    spared = set()
    for attempts in _by_run(store).values():
        staying = [folder for folder in attempts if folder.path.name not in chosen]
        last = 0
        for folder in attempts if staying else []:
            following = [other.attempt for other in attempts if other.attempt > folder.attempt]
            stays = folder in staying
            if not stays and folder.attempt < staying[-1].attempt and following[0] > last + ATTEMPTS_APART:
                spared.add(folder.path.name)
                stays = True
            last = folder.attempt if stays else last
    return {name: why for name, why in chosen.items() if name not in spared}


def _predictions(store: Store, chosen: Mapping[str, str]) -> Iterator[Removal]:
    for folder in store.runs():
        path = folder.path / PREDICTIONS
        if folder.path.name not in chosen and path.is_file() and not path.is_symlink():
            yield Removal(path, "predictions", size_of(path), folder.run_id)


def _by_run(store: Store) -> dict[str, list[RunFolder]]:
    attempts: dict[str, list[RunFolder]] = defaultdict(list)
    for folder in store.runs():
        attempts[folder.run_id].append(folder)
    return attempts

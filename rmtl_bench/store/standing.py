"""How the runs of a store stand: what a command may take as made, and what it has to make again.

The index says how runs ended. Whether their folders still hold what was published is looked at here, by names and
sizes, of the runs that are asked about: ``rmtl-bench db check`` compares the contents of all.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store.checksums import cut_short
from rmtl_bench.store.index import Index, Refreshed
from rmtl_bench.store.layout import Store


@dataclass(frozen=True)
class Standing:
    """``statuses``: how the attempt that counts ended, by run id, unless the run is in ``damaged``.

    ``attempts``: the highest attempt that was there, readable or not; ``damaged``: what is wrong with the folders of
    runs that ended well; ``refreshed``: what bringing the index up to date has said.
    """

    statuses: dict[str, str]
    attempts: dict[str, int]
    damaged: dict[str, str]
    refreshed: Refreshed


def standing(store: Store, run_ids: Collection[str]) -> Standing:
    """Bring the index up to date and return how the runs stand; ``run_ids``: those whose folders are looked at.

    A folder that is published after this was called is not in it. Raises as :meth:`Index.refresh` does.
    """
    index = Index(store)
    refreshed = index.refresh()
    with index.reading():
        statuses = {run_id: attempt.status for run_id, attempt in index.latest().items()}
        folders = index.folders([*run_ids])
        attempts = index.attempts()
    for problem in refreshed.problems:
        with suppress(StoreError):
            folder = store.run_folder(problem.path.name)
            attempts[folder.run_id] = max(folder.attempt, attempts.get(folder.run_id, 0))
    damaged = {run_id: fault for run_id, path in folders.items() if (fault := cut_short(path))}
    for run_id in damaged:
        del statuses[run_id]
    return Standing(statuses, attempts, damaged, refreshed)

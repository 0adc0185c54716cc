"""From a staging folder to a published run, however the run ended."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from rmtl_bench.contracts.cell import Cell, Outcome
from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.contracts.executor import Ended
from rmtl_bench.contracts.run_request import RunRequest
from rmtl_bench.store import Store
from rmtl_bench.store.checksums import cut_short
from rmtl_bench.store.ingest import checked
from rmtl_bench.store.run_files import RunRecord, iso_time, read_run, write_run

LOG_FILE = "log.txt"
"""What the process of a run said, in the run's folder."""


def left_a_result(run: RunRequest) -> bool:
    """Return whether a run has left its ``run.json``, which is the last it writes."""
    try:
        return bool(read_run(run.staging))
    except StoreError:
        return False


def publish_run(store: Store, run: RunRequest, ended: Ended, started: float) -> Outcome:
    """Publish one run of a request that has ended, and say how it ended.

    Where it left no ``run.json``, what the executor knows of its end is written in its place. The first run of a
    request has the process's log, and is to be published last. ``started``: when the request was, in seconds since the
    epoch.
    """
    request = ended.request
    if run.staging != request.staging:
        with contextlib.suppress(OSError):
            shutil.copyfile(request.staging / LOG_FILE, run.staging / LOG_FILE)
    now = time.time()
    try:
        record = read_run(run.staging)
    except StoreError:
        record = RunRecord(
            run_id=run.cell.run_id,
            cell=run.cell,
            status=ended.ending.status,
            started=iso_time(started),
            finished=iso_time(now),
            seconds={"total": now - started},
            error=ended.ending.error,
        )
        write_run(run.staging, record)
    folder = store.publish(run.staging, run.cell.run_id)
    # Of runs side by side, each has its share of the time.
    return _outcome(record, sum(record.seconds.values()) if request.others else now - started, folder)


def publish_unstarted(store: Store, cell: Cell, reason: str) -> Outcome:
    """Publish a run that was skipped, and why."""
    now = iso_time(time.time())
    staging = store.staging_folder(cell.run_id)
    record = RunRecord(cell.run_id, cell, "skipped", now, now, {"total": 0.0}, reason)
    write_run(staging, record)
    return _outcome(record, 0.0, store.publish(staging, cell.run_id))


def published_outcome(store: Store, cell: Cell, attempt: int) -> Outcome | None:
    """Return how an attempt at a run that is in the store has ended; ``None`` if its folder is damaged."""
    name = cell.run_id if attempt == 1 else f"{cell.run_id}.{attempt}"
    folder = store.run_folder(name)
    try:
        record = checked(folder)
    except StoreError:
        return None
    if cut_short(folder.path):
        return None
    return _outcome(record, sum(record.seconds.values()), folder.path)


def _outcome(record: RunRecord, seconds: float, folder: Path) -> Outcome:
    warnings = tuple(str(text) for text in record.facts.get("warnings", ()))
    return Outcome(record.run_id, record.status, seconds, record.error, warnings, folder)

"""From a staging folder to a published run, however the run ended."""

from __future__ import annotations

import contextlib
import shutil
import time

from rmtl_bench.contracts.cell import Cell, Outcome
from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.execution.process import RunProcess
from rmtl_bench.execution.request import RunRequest
from rmtl_bench.store import Store
from rmtl_bench.store.run_files import RunRecord, iso_time, read_run, write_run


def publish_run(store: Store, process: RunProcess, code: int | None, run: RunRequest | None = None) -> Outcome:
    """Publish a run of a process that ended with ``code``, ``None`` if that is unknown, and say how the run ended.

    A process that left no ``run.json`` was killed: a run of that status is written in its place. ``run``: which of the
    process's runs, by default the first. The first has the process's log, and is to be published last.
    """
    request = process.request if run is None else run
    if request is not process.request:
        with contextlib.suppress(OSError):
            shutil.copyfile(process.log, request.staging / process.log.name)
    try:
        record = read_run(request.staging)
    except StoreError:
        now = time.time()
        record = RunRecord(
            run_id=request.cell.run_id,
            cell=request.cell,
            status="killed",
            started=iso_time(process.started),
            finished=iso_time(now),
            seconds={"total": now - process.started},
            error=process.obituary(code),
        )
        write_run(request.staging, record)
    store.publish(request.staging, request.cell.run_id)
    warnings = tuple(str(text) for text in record.facts.get("warnings", ()))
    # Of runs side by side, each has its share of the time.
    seconds = sum(record.seconds.values()) if process.request.others else time.time() - process.started
    return Outcome(record.run_id, record.status, seconds, record.error, warnings)


def publish_unstarted(store: Store, cell: Cell, error: str) -> Outcome:
    """Publish a failed run that was never started, and why."""
    now = iso_time(time.time())
    staging = store.staging_folder(cell.run_id)
    write_run(staging, RunRecord(cell.run_id, cell, "failed", now, now, {"total": 0.0}, error))
    store.publish(staging, cell.run_id)
    return Outcome(cell.run_id, "failed", 0.0, error)

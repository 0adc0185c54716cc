"""One run's process: ``python -m rmtl_bench.execution.worker``, the request on its standard input.

It writes the run folder where the request says, and never touches the index. Whatever happens to the run,
an exception or a value that is not finite, ends in its ``run.json``; only a process that is killed leaves
none, and the parent writes that one. A run that diverged leaves what it had until its last good epoch.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import IO, Any

from rmtl_bench.contracts.cell import EpochRecord
from rmtl_bench.execution.request import RunRequest
from rmtl_bench.store.layout import KEPT_FILE
from rmtl_bench.store.run_files import RunRecord, iso_time, write_environment, write_predictions, write_run, write_table

Emit = Callable[[Mapping[str, Any]], None]


def main() -> None:
    """Read the request, make the run, write its folder."""
    events = _take_standard_output()
    request = RunRequest.from_line(sys.stdin.readline())
    threading.Thread(target=_exit_with_parent, daemon=True).start()

    def emit(event: Mapping[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")
        events.flush()

    make_run(request, emit)


def make_run(request: RunRequest, emit: Emit) -> None:
    """Make the run and write its folder, ``run.json`` last: with it the folder is complete."""
    started = time.time()
    facts: dict[str, Any] = {}
    try:
        facts, error = _run_and_write(request, emit)
        status = "diverged" if error else "ok"
    except Exception:
        status, error = "failed", traceback.format_exc()
    finished = time.time()
    record = RunRecord(
        run_id=request.cell.run_id,
        cell=request.cell,
        status=status,
        started=iso_time(started),
        finished=iso_time(finished),
        seconds=facts.pop("seconds", {"total": finished - started}),
        error=error,
        facts=facts,
    )
    write_run(request.staging, record)


def _run_and_write(request: RunRequest, emit: Emit) -> tuple[dict[str, Any], str]:
    """Make the run and write its tables; return its facts, and the traceback if it diverged."""
    # Imported here, so that a broken installation of torch is a failed run with a traceback, too.
    import torch

    from rmtl_bench.contracts.weighting import Diagnostic
    from rmtl_bench.execution.environment import describe_environment
    from rmtl_bench.execution.kept import write_kept
    from rmtl_bench.execution.run_cell import run_cell
    from rmtl_bench.metrics.evaluation import MetricRow
    from rmtl_bench.plugins import load_plugins

    torch.set_num_threads(request.threads)
    host = load_plugins(request.plugin_files)
    write_environment(request.staging, describe_environment(request.device, request.threads))
    host.notify("rmtl_run_started", cell=request.cell)

    def observe(record: EpochRecord) -> None:
        emit({"stage": record.stage, "epoch": record.epoch, "score": record.score})
        host.notify("rmtl_epoch_finished", cell=request.cell, record=record)

    result = run_cell(request.cell, request.table, host.registry, request.device, observe, request.source)
    write_table(request.staging, "history", result.history.epochs)
    write_table(request.staging, "weights", result.history.weights)
    if result.predictions:
        columns = zip(*result.metrics, strict=True)
        write_table(request.staging, "metrics", dict(zip(MetricRow._fields, columns, strict=True)))
        write_predictions(request.staging, result.predictions)
    if result.diagnostics:
        columns = zip(*result.diagnostics, strict=True)
        write_table(request.staging, "diagnostics", dict(zip(Diagnostic._fields, columns, strict=True)))
    if request.keep and not result.error:
        write_kept(request.staging / KEPT_FILE, result.kept)
    return result.facts, result.error


def _take_standard_output() -> IO[str]:
    """Keep standard output for events; what anybody prints goes to standard error, which is the run's log."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return events


def _exit_with_parent() -> None:
    # Standard input ends when the parent is gone, killed or not. The buffered reader's lock would outlive
    # the interpreter in a daemon thread; a plain read does not.
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()

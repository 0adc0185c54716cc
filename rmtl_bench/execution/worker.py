"""One run's process: a fork of the template, or ``python -m rmtl_bench.execution.worker``; the request on its input.

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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from rmtl_bench.contracts.cell import EpochRecord
from rmtl_bench.contracts.executor import DISK_FULL
from rmtl_bench.contracts.run_request import RunRequest
from rmtl_bench.execution.memory import is_out_of_memory, keep_freed_memory
from rmtl_bench.store.disk import is_full
from rmtl_bench.store.layout import KEPT_FILE
from rmtl_bench.store.run_files import RunRecord, iso_time, write_environment, write_predictions, write_run, write_table

if TYPE_CHECKING:
    from rmtl_bench.execution.run_cell import RunResult
    from rmtl_bench.plugins.host import PluginHost
    from rmtl_bench.training.trainer import Observer

Emit = Callable[[Mapping[str, Any]], None]


def main(host: PluginHost | None = None) -> None:
    """Read the request, make the run, write its folder. ``host``: plugins that are loaded already, if any are."""
    events = _take_standard_output()
    request = RunRequest.from_line(sys.stdin.readline())
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    # For what a plugin loads or starts; torch is told in words.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(request.threads))

    def emit(event: Mapping[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")
        events.flush()

    try:
        make_runs(request, emit, host)
    except Exception as problem:
        if not is_full(problem):
            raise
        # Nothing is known against the run: it is one that was interrupted, and not one that has failed.
        sys.exit(DISK_FULL)


def make_runs(request: RunRequest, emit: Emit, host: PluginHost | None = None) -> None:
    """Make all runs of the request. Each event says whose it is, by its run id, where there are several.

    Raises what says that the disk is full, having left runs without a ``run.json``; no other error of a run.
    A run that begins says so: one that has not, when the process is killed, has lost nothing. A profile is written when
    all are made.
    """
    if not request.others:
        make_run(request, emit, host)
        return
    started = time.time()
    left = dict(enumerate(request.runs))
    try:
        host = _ready(request, host)
        with _profiled(request, started):
            for place, facts, status, error in _run_side_by_side(request, emit, host):
                _write_end(left.pop(place), started, facts, status, error)
                started = time.time()
    except Exception as problem:
        if is_full(problem):
            raise
        for run in left.values():
            _write_end(run, started, None, _status_of(problem), traceback.format_exc())


def make_run(request: RunRequest, emit: Emit, host: PluginHost | None = None) -> None:
    """Make the run and write its folder, ``run.json`` last: with it the folder is complete.

    ``host``: plugins that are loaded already; they are loaded anew where the request names other files.
    """
    started = time.time()
    facts: dict[str, Any] | None = None
    try:
        host = _ready(request, host)
        with _profiled(request, started):
            facts, error = _run_and_write(request, emit, host)
        status = ""
    except Exception as problem:
        if is_full(problem):
            raise
        status, error = _status_of(problem), traceback.format_exc()
    _write_end(request, started, facts, status, error)


def _write_end(request: RunRequest, started: float, facts: dict[str, Any] | None, status: str, error: str) -> None:
    """Write ``run.json``. ``status`` is empty where it follows from the error: without one the run ended well."""
    facts = facts or {}
    finished = time.time()
    record = RunRecord(
        run_id=request.cell.run_id,
        cell=request.cell,
        status=status or ("diverged" if error else "ok"),
        started=iso_time(started),
        finished=iso_time(finished),
        seconds=facts.pop("seconds", {"total": finished - started}),
        error=error,
        facts=facts,
    )
    write_run(request.staging, record)


def _status_of(problem: Exception) -> str:
    return "oom" if is_out_of_memory(problem) else "failed"


def _ready(request: RunRequest, loaded: PluginHost | None) -> PluginHost:
    """Set torch up and return the plugins."""
    # Imported here, so that a broken installation of torch is a failed run with a traceback, too.
    import torch

    from rmtl_bench.plugins import load_plugins

    torch.set_num_threads(request.threads)
    if request.device == "cpu":
        keep_freed_memory()
    return loaded if loaded and tuple(loaded.files) == request.plugin_files else load_plugins(request.plugin_files)


@contextmanager
def _profiled(request: RunRequest, started: float) -> Iterator[None]:
    """Within, the request's runs are made; if it asks for it, their profile is written afterwards, however they end.

    ``started``: when the process began with them, for where nothing tells when it was itself started.
    """
    if not request.profile:
        yield
        return
    from rmtl_bench.execution.profiling import profiled

    with profiled([run.staging for run in request.runs], request.device, time.time() - started):
        yield


def _observer(request: RunRequest, emit: Emit, host: PluginHost) -> Observer:
    """Note where the run is made, and return what tells of its epochs."""
    from rmtl_bench.execution.environment import describe_environment

    write_environment(request.staging, describe_environment(request.device, request.threads, request.machine))
    host.notify("rmtl_run_started", cell=request.cell)

    def observe(record: EpochRecord) -> None:
        emit({"stage": record.stage, "epoch": record.epoch, "score": record.score})
        host.notify("rmtl_epoch_finished", cell=request.cell, record=record)

    return observe


def _run_and_write(request: RunRequest, emit: Emit, host: PluginHost) -> tuple[dict[str, Any], str]:
    """Make the run and write its tables; return its facts, and the traceback if it diverged."""
    from rmtl_bench.execution.run_cell import run_cell

    observe = _observer(request, emit, host)
    return _write_result(
        request,
        run_cell(
            request.cell,
            request.table,
            host.registry,
            request.device,
            observe,
            request.source,
            request.limits.memory,
            request.checkpoint,
            request.checkpoint_seconds,
        ),
    )


def _run_side_by_side(
    request: RunRequest, emit: Emit, host: PluginHost
) -> Iterator[tuple[int, dict[str, Any] | None, str, str]]:
    """Make the runs and write their tables; yield each one's place, facts if it has a result, status and traceback."""
    from rmtl_bench.execution.run_seeds import SeedToRun, run_seeds

    def begin(run: RunRequest) -> Observer:
        def tell(event: Mapping[str, Any]) -> None:
            emit({"run": run.cell.run_id, **event})

        tell({"begun": True})
        return _observer(run, tell, host)

    asked = [SeedToRun(run.cell, partial(begin, run), run.source, run.checkpoint) for run in request.runs]
    limits = request.seeds_per_pass, request.limits.memory, request.checkpoint_seconds
    for end in run_seeds(asked, request.table, host.registry, request.device, *limits):
        if end.result is None:
            yield end.place, None, "oom" if end.out_of_memory else "failed", end.error
        else:
            facts, error = _write_result(request.runs[end.place], end.result)
            yield end.place, facts, "", error


def _write_result(request: RunRequest, result: RunResult) -> tuple[dict[str, Any], str]:
    from rmtl_bench.contracts.weighting import Diagnostic
    from rmtl_bench.execution.kept import write_kept
    from rmtl_bench.metrics.evaluation import MetricRow

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

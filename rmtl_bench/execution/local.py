"""The local executor: one spawned process a run, several at once."""

from __future__ import annotations

import selectors
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Self

from rmtl_bench.contracts.cell import Cell, Outcome
from rmtl_bench.execution.device import default_jobs, resolve_device
from rmtl_bench.execution.listener import Listener
from rmtl_bench.execution.process import RunProcess
from rmtl_bench.execution.progress_files import ProgressFiles
from rmtl_bench.execution.publish import publish_run, publish_unstarted
from rmtl_bench.execution.queue import CellQueue
from rmtl_bench.execution.request import RunRequest
from rmtl_bench.execution.sources import DataSources
from rmtl_bench.plugins.host import PluginHost
from rmtl_bench.store import Index, Store
from rmtl_bench.store.layout import KEPT_FILE

_SIGNAL_SECONDS = 0.2
"""How long a signal may wait to be heard."""


@dataclass(frozen=True)
class Options:
    """How to run: nothing here changes a run's numbers on one kind of device.

    ``jobs`` runs at once, 0 for one a core (one on a GPU). Each gets ``threads`` threads: one by default, since
    another number of threads may change the last bits of a sum.
    """

    device: str = "auto"
    jobs: int = 0
    threads: int = 1


class LocalExecutor:
    """Runs cells in processes on this machine, publishes every finished run, and keeps the index."""

    def __init__(
        self, host: PluginHost, sources: DataSources, store: Store, listener: Listener, options: Options
    ) -> None:
        self.host = host
        self.sources = sources
        self.store = store
        self.listener = listener
        self.options = options
        self._progress = ProgressFiles()

    def run(self, suite: str, cells: Sequence[Cell], sources: Mapping[str, Cell] | None = None) -> Mapping[str, int]:
        """Run the cells and return the number of runs by status.

        ``sources``: the plan's, by run id. They keep what they hand on, and what builds on one starts after it; a
        cell whose source has not ended well, or has kept nothing, is a failed run without a process.

        On Ctrl-C (or SIGTERM) what is finished is published and indexed, the rest is stopped, and
        ``KeyboardInterrupt`` is raised.
        """
        device = resolve_device(self.options.device)
        jobs = min(self.options.jobs or default_jobs(device), len(cells))
        tables = self._prepare(cells)
        self.host.notify("rmtl_suite_started", suite=suite, cells=tuple(cells), store=self.store.path)
        self.listener.started(cells, jobs, device)
        self._progress = ProgressFiles(suite)
        counts: Counter[str] = Counter()
        try:
            with _Interruption() as interruption:
                self._run_all(cells, sources or {}, tables, device, jobs, counts, interruption)
        finally:
            Index(self.store).refresh()
        self.host.notify("rmtl_suite_finished", suite=suite, summary=dict(counts))
        return counts

    def _prepare(self, cells: Sequence[Cell]) -> dict[str, Path]:
        tables: dict[str, Path] = {}
        for cell in cells:
            if cell.fingerprint not in tables:
                self.listener.preparing(cell.dataset.label)
                tables[cell.fingerprint] = self.sources.prepare(cell.dataset, cell.fingerprint)
        return tables

    def _run_all(
        self,
        cells: Sequence[Cell],
        sources: Mapping[str, Cell],
        tables: Mapping[str, Path],
        device: str,
        jobs: int,
        counts: Counter[str],
        interruption: _Interruption,
    ) -> None:
        queue = CellQueue(cells)
        running: dict[RunProcess, Cell] = {}
        with selectors.DefaultSelector() as selector:
            try:
                while queue or running:
                    interruption.check()
                    while len(running) < jobs and (cell := queue.take()):
                        kept, lack = self._source_of(cell, sources, queue)
                        if lack:
                            outcome = self._fail(cell, lack)
                            counts[outcome.status] += 1
                            queue.finished(cell, outcome.status)
                            continue
                        request = self._request(cell, tables[cell.fingerprint], device, cell.run_id in sources, kept)
                        process = self._start(request)
                        running[process] = cell
                        selector.register(process, selectors.EVENT_READ)
                    for key, _ in selector.select(_SIGNAL_SECONDS):
                        process = key.fileobj  # type: ignore[assignment]
                        if self._listen(process, running[process]):
                            selector.unregister(process)
                            outcome = self._finish(process, running[process])
                            counts[outcome.status] += 1
                            queue.finished(running[process], outcome.status)
                            # Only now: a second Ctrl-C before leaves the process to the cleaning up below.
                            del running[process]
                    self._progress.write_due()
            finally:
                for process in running:
                    process.kill()
                    self.store.discard(process.request.staging)

    def _source_of(self, cell: Cell, sources: Mapping[str, Cell], queue: CellQueue) -> tuple[Path | None, str]:
        """Return what the source of a cell has kept, and what keeps the cell from building on it, if anything."""
        if not cell.source:
            return None, ""
        called = f"{sources[cell.source].label} ({cell.source})" if cell.source in sources else cell.source
        status = queue.end_of_source(cell)
        if status not in ("", "ok"):
            return None, f"not started: the run it builds on, {called}, ended as {status}"
        kept = self.store.kept_file(cell.source)
        return kept, "" if kept else f"not started: the run it builds on, {called}, has no {KEPT_FILE} in the store"

    def _request(self, cell: Cell, table: Path, device: str, keep: bool, source: Path | None) -> RunRequest:
        staging, files = self.store.staging_folder(cell.run_id), tuple(self.host.files)
        return RunRequest(cell, table, staging, device, self.options.threads, files, keep, source)

    def _start(self, request: RunRequest) -> RunProcess:
        process = RunProcess(request)
        self._progress.started(request.staging, request.cell)
        self.listener.run_started(request.cell)
        return process

    def _fail(self, cell: Cell, error: str) -> Outcome:
        self.listener.run_started(cell)
        return self._tell(cell, publish_unstarted(self.store, cell, error))

    def _listen(self, process: RunProcess, cell: Cell) -> bool:
        """Pass on what a process says; return whether it has ended."""
        for event in process.events():
            if event is None:
                return True
            self._progress.epoch_finished(process.request.staging, event)
            self.listener.epoch_finished(cell, event)
        return False

    def _finish(self, process: RunProcess, cell: Cell) -> Outcome:
        code = process.wait()
        self._progress.ended(process.request.staging)
        return self._tell(cell, publish_run(self.store, process, code))

    def _tell(self, cell: Cell, outcome: Outcome) -> Outcome:
        self.listener.run_finished(cell, outcome)
        self.host.notify("rmtl_run_finished", cell=cell, outcome=outcome)
        return outcome


class _Interruption:
    """Within, Ctrl-C and SIGTERM are heard at safe points only: in between, a run is started or published whole.

    The second signal is obeyed at once.
    """

    def __init__(self) -> None:
        self._heard = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise :class:`KeyboardInterrupt` if a signal was heard."""
        if self._heard:
            raise KeyboardInterrupt

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if self._heard:
            raise KeyboardInterrupt
        self._heard = True

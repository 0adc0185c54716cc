"""The local executor: one process a run, several at once."""

from __future__ import annotations

import selectors
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, Self

from rmtl_bench.contracts.cell import Cell, Outcome
from rmtl_bench.execution.device import cores, default_jobs, require_device, resolve_device
from rmtl_bench.execution.environment import describe_machine
from rmtl_bench.execution.listener import Listener
from rmtl_bench.execution.process import RunProcess
from rmtl_bench.execution.progress_files import ProgressFiles
from rmtl_bench.execution.publish import publish_run, publish_unstarted
from rmtl_bench.execution.queue import CellQueue
from rmtl_bench.execution.request import RunRequest
from rmtl_bench.execution.sources import DataSources
from rmtl_bench.execution.starter import RunStarter
from rmtl_bench.plugins.host import PluginHost
from rmtl_bench.store import Index, Store
from rmtl_bench.store.layout import KEPT_FILE

_SIGNAL_SECONDS = 0.2
"""How long a signal may wait to be heard."""


@dataclass(frozen=True)
class Options:
    """How to run: nothing here changes a run's numbers on one kind of device by more than rounding.

    ``jobs`` processes at once, 0 for one a core (one on a GPU). Each gets ``threads`` threads, 0 for the cores divided
    by the processes at once. ``seeds_per_pass``: how many seeds of a cell one process trains side by side at most, 0
    for as many as a measurement finds fastest; ``None`` for 0 on a GPU and 1 on the CPU, where a run then repeats to
    the bit: another number of threads or of seeds may change the last bits of a sum. ``profile``: whether every run
    writes down where its time goes.
    """

    device: str = "auto"
    jobs: int = 0
    threads: int = 1
    seeds_per_pass: int | None = None
    profile: bool = False

    def on(self, device: str, runs: int) -> Options:
        """Return the options with every choice made, for so many runs on a device."""
        side_by_side = self.seeds_per_pass
        if side_by_side is None:
            side_by_side = 0 if device.startswith("cuda") else 1
        jobs = min(self.jobs or default_jobs(device), runs)
        threads = self.threads or max(1, cores() // jobs)
        return replace(self, device=device, jobs=jobs, threads=threads, seeds_per_pass=side_by_side)

    def most_seeds(self, seeds: int, groups: int) -> int:
        """Return how many of so many cells that differ in their seed alone to give to one process.

        ``groups``: how many such groups wait, this one counted. Where they are fewer than processes, they are divided.
        """
        if self.seeds_per_pass:
            return self.seeds_per_pass
        parts = -(-self.jobs // groups)
        return min(MOST_SEEDS, -(-seeds // parts))


MOST_SEEDS = 16
"""Seeds that one process is given at most where their number is measured."""


class LocalExecutor:
    """Runs cells in processes on this machine, publishes every finished run, and keeps the index.

    ``starter`` starts the processes; one of its own, for as long as it runs, if none is given.
    """

    def __init__(
        self,
        host: PluginHost,
        sources: DataSources,
        store: Store,
        listener: Listener,
        options: Options,
        starter: RunStarter | None = None,
    ) -> None:
        self.host = host
        self.sources = sources
        self.store = store
        self.listener = listener
        self.options = options
        self.starter = starter
        self._machine: Mapping[str, Any] = {}
        self._progress = ProgressFiles()

    def run(self, suite: str, cells: Sequence[Cell], sources: Mapping[str, Cell] | None = None) -> Mapping[str, int]:
        """Run the cells and return the number of runs by status.

        ``sources``: the plan's, by run id. They keep what they hand on, and what builds on one starts after it; a
        cell whose source has not ended well, or has kept nothing, is a failed run without a process.

        On Ctrl-C (or SIGTERM) what is finished is published and indexed, the rest is stopped, and
        ``KeyboardInterrupt`` is raised.
        """
        require_device(self.options.device)
        with nullcontext(self.starter) if self.starter else RunStarter(self.host.files) as starter:
            return self._run(suite, cells, sources or {}, starter)

    def _run(
        self, suite: str, cells: Sequence[Cell], sources: Mapping[str, Cell], starter: RunStarter
    ) -> Mapping[str, int]:
        tables = self._prepare(cells)
        self._machine = describe_machine()
        # Last, since it waits for the starter.
        device = resolve_device(self.options.device, starter.cuda_devices)
        options = self.options.on(device, len(cells))
        self.host.notify("rmtl_suite_started", suite=suite, cells=tuple(cells), store=self.store.path)
        self.listener.started(cells, options.jobs, device)
        self._progress = ProgressFiles(suite)
        counts: Counter[str] = Counter()
        try:
            with _Interruption() as interruption:
                self._run_all(cells, sources, tables, options, counts, interruption, starter)
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
        options: Options,
        counts: Counter[str],
        interruption: _Interruption,
        starter: RunStarter,
    ) -> None:
        queue = CellQueue(cells)
        most = None if options.seeds_per_pass == 1 else options.most_seeds
        running: dict[RunProcess, _Unpublished] = {}
        with selectors.DefaultSelector() as selector:
            try:
                while queue or running:
                    interruption.check()
                    while len(running) < options.jobs and (taken := queue.take(most)):
                        requests = []
                        for cell in taken:
                            kept, lack = self._source_of(cell, sources, queue)
                            if lack:
                                self._count(self._fail(cell, lack), cell, counts, queue)
                            else:
                                keep = cell.run_id in sources
                                requests.append(self._request(cell, tables[cell.fingerprint], options, keep, kept))
                        if requests:
                            process = self._start(starter, requests, options)
                            running[process] = _Unpublished(process.request)
                            selector.register(process, selectors.EVENT_READ)
                    for key, _ in selector.select(_SIGNAL_SECONDS):
                        process = key.fileobj  # type: ignore[assignment]
                        if self._listen(process, running[process]):
                            selector.unregister(process)
                            for cell, outcome in self._finish(process, running[process], queue):
                                self._count(outcome, cell, counts, queue)
                            # Only now: a second Ctrl-C before leaves the process to the cleaning up below.
                            del running[process]
                    self._progress.write_due()
            finally:
                for process, unpublished in running.items():
                    process.kill()
                    for run in unpublished.runs:
                        self.store.discard(run.staging)

    def _count(self, outcome: Outcome, cell: Cell, counts: Counter[str], queue: CellQueue) -> None:
        counts[outcome.status] += 1
        queue.finished(cell, outcome.status)

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

    def _request(self, cell: Cell, table: Path, options: Options, keep: bool, source: Path | None) -> RunRequest:
        staging, files = self.store.staging_folder(cell.run_id), tuple(self.host.files)
        return RunRequest(cell, table, staging, options.device, options.threads, files, keep, source, self._machine)

    def _start(self, starter: RunStarter, requests: Sequence[RunRequest], options: Options) -> RunProcess:
        """Start the process that makes runs which differ in their seed alone."""
        first, *others = requests
        seeds = options.seeds_per_pass or 0
        process = starter.start(replace(first, others=tuple(others), seeds_per_pass=seeds, profile=options.profile))
        for request in requests:
            self._progress.started(request.staging, request.cell)
            self.listener.run_started(request.cell)
        return process

    def _fail(self, cell: Cell, error: str) -> Outcome:
        self.listener.run_started(cell)
        return self._tell(cell, publish_unstarted(self.store, cell, error))

    def _listen(self, process: RunProcess, unpublished: _Unpublished) -> bool:
        """Pass on what a process says; return whether it has ended."""
        for event in process.events():
            if event is None:
                return True
            run = unpublished.of(event)
            if event.get("begun"):
                unpublished.begun.add(run.cell.run_id)
            else:
                self._progress.epoch_finished(run.staging, event)
                self.listener.epoch_finished(run.cell, event)
        return False

    def _finish(
        self, process: RunProcess, unpublished: _Unpublished, queue: CellQueue
    ) -> Iterator[tuple[Cell, Outcome]]:
        """Publish the runs of a process that has ended, and yield how they did; what it has not begun waits again."""
        code = process.wait()
        lost = [] if code == 0 else unpublished.not_begun()
        # The first one's folder has the process's log.
        for run in reversed(list(unpublished.runs)):
            self._progress.ended(run.staging)
            if run in lost:
                self.store.discard(run.staging)
            else:
                outcome = publish_run(self.store, process, code, run)
                yield run.cell, self._tell(run.cell, outcome)
            unpublished.runs.remove(run)
        queue.put_back([run.cell for run in lost])

    def _tell(self, cell: Cell, outcome: Outcome) -> Outcome:
        self.listener.run_finished(cell, outcome)
        self.host.notify("rmtl_run_finished", cell=cell, outcome=outcome)
        return outcome


class _Unpublished:
    """The runs that a process was given and that are not published yet."""

    def __init__(self, request: RunRequest) -> None:
        self.runs = list(request.runs)
        self.begun: set[str] = set()
        self._of = {run.cell.run_id: run for run in request.runs}

    def of(self, event: Mapping[str, Any]) -> RunRequest:
        """Return the run that an event tells of; the only one needs no name."""
        return self._of[event["run"]] if "run" in event else self.runs[0]

    def not_begun(self) -> list[RunRequest]:
        """Return the runs that the process had not begun, if it has begun any: else one of them has ended it."""
        return [run for run in self.runs if self.begun and run.cell.run_id not in self.begun]


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

"""The cells of one suite on their way from a plan to published runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.cell import Cell, Outcome
from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.contracts.executor import Ended, Ending, Executor, PreparedData
from rmtl_bench.contracts.run_request import RunRequest
from rmtl_bench.execution.interruption import Interruption
from rmtl_bench.execution.listener import Listener
from rmtl_bench.execution.options import Options
from rmtl_bench.execution.progress_files import ProgressFiles
from rmtl_bench.execution.publish import left_a_result, publish_run, publish_unstarted, published_outcome
from rmtl_bench.execution.queue import CellQueue
from rmtl_bench.plugins.host import PluginHost
from rmtl_bench.store import Store
from rmtl_bench.store.layout import KEPT_FILE

_SIGNAL_SECONDS = 0.2
"""How long a signal may wait to be heard."""
_ELSEWHERE_SECONDS = 0.5
"""How often to look whether another command has ended a run that both are to make."""
_TO_GO_ON = ("timeout", "oom", "interrupted")
"""Ends after which a run that is made again goes on from its checkpoint: it did nothing wrong up to there."""


@dataclass
class SuiteWork:
    """The cells of one suite on their way: waiting, being made here, or being made by another command."""

    host: PluginHost
    store: Store
    listener: Listener
    executor: Executor
    suite: str
    cells: Sequence[Cell]
    sources: Mapping[str, Cell]
    attempts: Mapping[str, int]
    options: Options
    data: Mapping[str, PreparedData]
    machine: Mapping[str, Any]
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.queue = CellQueue(self.cells)
        self.progress = ProgressFiles(self.suite)
        self.running: dict[Path, _Unpublished] = {}
        self.elsewhere: list[Cell] = []
        self.made_again: set[str] = set()
        self._next_look = 0.0

    def run(self, interruption: Interruption) -> None:
        """Run until nothing is left, or more has failed than may."""
        while (self.queue or self.running or self.elsewhere) and not self._has_failed_enough():
            interruption.check()
            self._look_elsewhere()
            self._fill()
            for ended in self.executor.wait(_SIGNAL_SECONDS):
                self._finish(ended)
            self.progress.write_due()
        if self._has_failed_enough():
            left = len({cell.run_id for cell in self.cells}) - self.counts.total()
            self.listener.stopped(self._failures(), left)

    def give_up(self) -> None:
        """Discard what is not published, and let go of what was claimed."""
        for unpublished in self.running.values():
            for run in unpublished.runs:
                self.store.discard(run.staging)
        self.running.clear()
        for cell in self.cells:
            self.store.release(cell.run_id)

    def told(self, request: RunRequest, event: Mapping[str, Any]) -> None:
        """Note what a run says of itself, and pass it on."""
        unpublished = self.running[request.staging]
        run = unpublished.of(event)
        if event.get("begun"):
            unpublished.begun.add(run.cell.run_id)
        else:
            self.progress.epoch_finished(run.staging, event)
            self.listener.epoch_finished(run.cell, event)

    def _failures(self) -> int:
        return sum(count for status, count in self.counts.items() if status not in ("ok", "skipped"))

    def _has_failed_enough(self) -> bool:
        return 0 < self.options.max_failures <= self._failures()

    def _fill(self) -> None:
        """Start as much as there is room for."""
        most = None if self.options.seeds_per_pass == 1 else self.options.most_seeds
        while len(self.running) < self.options.jobs and (taken := self.queue.take(most)):
            if requests := [request for cell in taken if (request := self._ready(cell)) is not None]:
                self._start(requests)

    def _ready(self, cell: Cell) -> RunRequest | None:
        """Claim a cell and return the request to run it; ``None`` where it is not for this command to run now."""
        if not self.store.claim(cell.run_id):
            self.listener.waiting_for(cell)
            self.elsewhere.append(cell)
            return None
        if self._was_made_elsewhere(cell):
            return None
        kept, lack = self._source_of(cell)
        if lack:
            self.listener.run_started(cell)
            self._told_end(cell, publish_unstarted(self.store, cell, lack))
            return None
        return self._request(cell, kept)

    def _look_elsewhere(self) -> None:
        """Take back what other commands have let go of: ended, or given up."""
        if not self.elsewhere or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _ELSEWHERE_SECONDS
        free = [cell for cell in self.elsewhere if self.store.claim(cell.run_id)]
        self.elsewhere = [cell for cell in self.elsewhere if cell not in free]
        self.queue.put_back([cell for cell in free if not self._was_made_elsewhere(cell)])

    def _was_made_elsewhere(self, cell: Cell) -> bool:
        """Return whether another command has made this claimed run since it was chosen, and count it if so."""
        latest = self.store.attempts(cell.run_id)
        if latest <= self.attempts.get(cell.run_id, 0):
            return False
        outcome = published_outcome(self.store, cell, latest)
        if outcome is None or outcome.status == "interrupted":
            return False
        self.store.release(cell.run_id)
        self._count(cell, outcome)
        self.listener.made_elsewhere(cell, outcome)
        return True

    def _source_of(self, cell: Cell) -> tuple[Path | None, str]:
        """Return what the source of a cell has kept, and what keeps the cell from building on it, if anything."""
        if not cell.source:
            return None, ""
        called = f"{self.sources[cell.source].label} ({cell.source})" if cell.source in self.sources else cell.source
        status = self.queue.end_of_source(cell)
        if status not in ("", "ok"):
            return None, f"not started: the run it builds on, {called}, ended as {status}"
        kept = self.store.kept_file(cell.source)
        return kept, "" if kept else f"not started: the run it builds on, {called}, has no {KEPT_FILE} in the store"

    def _request(self, cell: Cell, source: Path | None) -> RunRequest:
        return RunRequest(
            cell,
            self.data[cell.fingerprint].folder,
            self.store.staging_folder(cell.run_id),
            self.options.device,
            self.options.threads,
            tuple(self.host.files),
            keep=cell.run_id in self.sources,
            source=source,
            machine=self.machine,
            checkpoint=self.store.checkpoint(cell.run_id),
            checkpoint_seconds=self.options.checkpoint_seconds,
            limits=self.options.limits,
        )

    def _start(self, requests: Sequence[RunRequest]) -> None:
        """Start the process that makes runs which differ in their seed alone."""
        first, *others = requests
        seeds = self.options.seeds_per_pass or 0
        request = replace(first, others=tuple(others), seeds_per_pass=seeds, profile=self.options.profile)
        self.running[request.staging] = _Unpublished(request)
        self.executor.start(request)
        for run in requests:
            self.progress.started(run.staging, run.cell)
            self.listener.run_started(run.cell)

    def _finish(self, ended: Ended) -> None:
        """Publish the runs of a request that has ended; what it has not begun waits again, what was lost is made again.

        Only then it counts as ended: a second Ctrl-C before leaves the rest to be cleaned up.
        """
        unpublished = self.running[ended.request.staging]
        again: list[Cell] = []
        # The first one's folder has the process's log.
        for run in reversed(list(unpublished.runs)):
            self.progress.ended(run.staging)
            if self._is_to_be_made_again(run, unpublished, ended.ending):
                self.store.discard(run.staging)
                self.store.release(run.cell.run_id)
                again.insert(0, run.cell)
            else:
                outcome = publish_run(self.store, run, ended, unpublished.started)
                if outcome.status not in _TO_GO_ON:
                    self.store.drop_checkpoint(run.cell.run_id)
                self._told_end(run.cell, outcome)
            unpublished.runs.remove(run)
        del self.running[ended.request.staging]
        self.queue.put_back(again)
        if ended.ending.disk_full and again:
            raise StoreError(
                f"no room is left on the disk of {self.store.path}; make some, then go on with the same command"
            )

    def _is_to_be_made_again(self, run: RunRequest, unpublished: _Unpublished, ending: Ending) -> bool:
        if left_a_result(run):
            return False
        if run.cell.run_id in unpublished.not_begun():
            return True
        if ending.disk_full:
            return True
        if ending.status != "interrupted" or run.cell.run_id in self.made_again:
            return False
        self.made_again.add(run.cell.run_id)
        self.listener.run_lost(run.cell, ending.error)
        return True

    def _told_end(self, cell: Cell, outcome: Outcome) -> None:
        self.store.release(cell.run_id)
        self.listener.run_finished(cell, outcome)
        self.host.notify("rmtl_run_finished", cell=cell, outcome=outcome)
        self._count(cell, outcome)

    def _count(self, cell: Cell, outcome: Outcome) -> None:
        self.counts[outcome.status] += 1
        self.queue.finished(cell, outcome.status)


class _Unpublished:
    """The runs of a request that are not published yet."""

    def __init__(self, request: RunRequest) -> None:
        self.started = time.time()
        self.runs = list(request.runs)
        self.begun: set[str] = set()
        self._of = {run.cell.run_id: run for run in request.runs}

    def of(self, event: Mapping[str, Any]) -> RunRequest:
        """Return the run that an event tells of; the only one needs no name."""
        return self._of[event["run"]] if "run" in event else next(iter(self._of.values()))

    def not_begun(self) -> set[str]:
        """Return the runs that the process had not begun, if it has begun any: else one of them has ended it."""
        return set(self._of) - self.begun if self.begun else set()

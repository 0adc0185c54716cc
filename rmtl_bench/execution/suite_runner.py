"""Runs the cells of a suite through an executor, publishes every finished run, and keeps the index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rmtl_bench.contracts.cell import Cell
from rmtl_bench.contracts.device import check_device
from rmtl_bench.contracts.executor import Executor, Job, PreparedData
from rmtl_bench.contracts.run_request import RunRequest
from rmtl_bench.execution.interruption import Interruption
from rmtl_bench.execution.listener import Listener
from rmtl_bench.execution.options import Options
from rmtl_bench.execution.process_executor import ProcessExecutor
from rmtl_bench.execution.sources import DataSources
from rmtl_bench.execution.suite_work import SuiteWork
from rmtl_bench.plugins.host import PluginHost
from rmtl_bench.store import Index, Store


class SuiteRunner:
    """Runs cells through an executor: decides what is next, claims it, publishes what comes back.

    Several commands may do so on one store at once: a run is made by the one that claims it, and the others wait for
    its end. ``executor``: a :class:`ProcessExecutor` if none is given.
    """

    def __init__(
        self,
        host: PluginHost,
        sources: DataSources,
        store: Store,
        listener: Listener,
        options: Options,
        executor: Executor | None = None,
    ) -> None:
        self.host = host
        self.sources = sources
        self.store = store
        self.listener = listener
        self.options = options
        self.executor = executor or ProcessExecutor()

    def run(
        self,
        suite: str,
        cells: Sequence[Cell],
        sources: Mapping[str, Cell] | None = None,
        attempts: Mapping[str, int] | None = None,
    ) -> Mapping[str, int]:
        """Run the cells and return the number of runs by status, those that other commands made meanwhile included.

        ``sources``: the plan's, by run id. They keep what they hand on, and what builds on one starts after it; a
        cell whose source has not ended well, or has kept nothing, is skipped. ``attempts``: the latest attempt at each
        run when the cells were chosen, by run id; one that is there by now was made by another command.

        Fewer runs than cells have ended where more failed than ``options.max_failures`` allows. On Ctrl-C (or SIGTERM)
        what is finished is published and indexed, the rest is stopped, and ``KeyboardInterrupt`` is raised. What is
        stopped goes on from its last checkpoint when it is run again.
        """
        check_device(self.options.device)
        data = self._prepare(cells)
        work: SuiteWork | None = None

        def tell(request: RunRequest, event: Mapping[str, Any]) -> None:
            # Nothing is told before something was started.
            if work is not None:
                work.told(request, event)

        try:
            room = self.executor.open(self._job(cells, data), tell)
            options = self.options.within(room)
            self.host.notify("rmtl_suite_started", suite=suite, cells=tuple(cells), store=self.store.path)
            self.listener.started(cells, options.jobs, options.device)
            given = self.host, self.store, self.listener, self.executor, suite, cells, sources or {}, attempts or {}
            work = SuiteWork(*given, options, data, room.machine)
            with Interruption() as interruption:
                work.run(interruption)
        finally:
            self.executor.close()
            if work is not None:
                work.give_up()
                Index(self.store).refresh()
        self.host.notify("rmtl_suite_finished", suite=suite, summary=dict(work.counts))
        return work.counts

    def _prepare(self, cells: Sequence[Cell]) -> dict[str, PreparedData]:
        data: dict[str, PreparedData] = {}
        for cell in cells:
            if cell.fingerprint not in data:
                self.listener.preparing(cell.dataset.label)
                folder = self.sources.prepare(cell.dataset, cell.fingerprint)
                data[cell.fingerprint] = PreparedData(cell.dataset, cell.fingerprint, folder)
        return data

    def _job(self, cells: Sequence[Cell], data: Mapping[str, PreparedData]) -> Job:
        return Job(
            device=self.options.device,
            jobs=self.options.jobs,
            threads=self.options.threads,
            runs=len(cells),
            data=tuple(data.values()),
            plugins={plugin.origin.distribution: plugin.origin.version for plugin in self.host.plugins},
            plugin_files=tuple(self.host.files),
            data_dir=self.sources.data_dir,
            cache_dir=self.sources.cache_dir,
            limits=self.options.limits,
        )

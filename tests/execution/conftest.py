from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from rmtl_bench.contracts.cell import Cell, Component, Outcome
from rmtl_bench.contracts.executor import Job, PreparedData
from rmtl_bench.contracts.run_request import RunRequest
from rmtl_bench.execution import DataSources, Options, SuiteRunner
from rmtl_bench.execution.process_executor import ProcessExecutor
from rmtl_bench.execution.starter import RunStarter
from rmtl_bench.plugins import load_plugins
from rmtl_bench.plugins.host import PluginHost
from rmtl_bench.store import Store

TRAINER = {
    "batch_size": 64,
    "evaluation_batch_size": 8192,
    "learning_rate": 0.01,
    "weight_decay": 1e-6,
    "max_epochs": 2,
    "patience": 2,
}

OBSERVER = """
from rmtl_bench import hookimpl

@hookimpl
def rmtl_run_started(cell):
    print("the observer saw", cell.seed)

@hookimpl
def rmtl_epoch_finished(cell, record):
    raise RuntimeError("the observer is broken")
"""


@dataclass
class Watcher:
    """A listener that notes what it is told, and calls ``interrupt`` whenever a run has finished."""

    interrupt: Callable[[], None] = lambda: None
    prepared: list[str] = field(default_factory=list)
    announced: list[tuple[int, int, str]] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    epochs: Counter[str] = field(default_factory=Counter)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    awaited: list[str] = field(default_factory=list)
    elsewhere: dict[str, Outcome] = field(default_factory=dict)
    stops: list[tuple[int, int]] = field(default_factory=list)

    def preparing(self, dataset: str) -> None:
        self.prepared.append(dataset)

    def started(self, cells: Sequence[Cell], jobs: int, device: str) -> None:
        self.announced.append((len(cells), jobs, device))

    def run_started(self, cell: Cell) -> None:
        self.begun.append(cell.run_id)

    def epoch_finished(self, cell: Cell, record: Mapping[str, Any]) -> None:
        assert record.keys() >= {"stage", "epoch", "score"}
        self.epochs[cell.run_id] += 1

    def run_finished(self, cell: Cell, outcome: Outcome) -> None:
        self.outcomes[cell.run_id] = outcome
        self.interrupt()

    def run_lost(self, cell: Cell, reason: str) -> None:
        self.lost.append(cell.run_id)

    def waiting_for(self, cell: Cell) -> None:
        self.awaited.append(cell.run_id)

    def made_elsewhere(self, cell: Cell, outcome: Outcome) -> None:
        self.elsewhere[cell.run_id] = outcome

    def stopped(self, failures: int, left: int) -> None:
        self.stops.append((failures, left))


@dataclass
class Workshop:
    """The toy plugin, an observer that is broken, a store, and what starts the processes of all its runs."""

    host: PluginHost
    sources: DataSources
    store: Store
    folder: Path
    starter: RunStarter

    def cell(self, seed: int = 0, weighting: str = "toy-equal", backbone: str = "toy-logistic", **changed: Any) -> Cell:
        """Return a cell of the toy's parts; ``trainer`` changes its settings, the rest the weighting's parameters."""
        trainer = {**TRAINER, **changed.pop("trainer", {})}
        dataset = self._component("dataset", "toy-sessions", {"rows": 300})
        parts = self._component("backbone", backbone, {}), self._component("weighting", weighting, changed)
        return Cell(dataset, self.sources.fingerprint(dataset), *parts, trainer, ("auc", "logloss"), seed)

    def heirs(self, seed: int = 0, **changed: Any) -> tuple[Cell, Cell]:
        """Return a cell and one that builds on it."""
        source = self.cell(seed, "toy-heir", **changed)
        return source, replace(self.cell(seed, "toy-heir", builds_on="toy-logistic", **changed), source=source.run_id)

    def job(self, cell: Cell, **changed: Any) -> Job:
        """Return what an executor is opened for to make a run."""
        data = PreparedData(cell.dataset, cell.fingerprint, self.sources.prepare(cell.dataset, cell.fingerprint))
        plugins = {plugin.origin.distribution: plugin.origin.version for plugin in self.host.plugins}
        files = tuple(self.host.files)
        asked = {"jobs": 1, "threads": 1, "runs": 1, "data": (data,), "plugins": plugins, "plugin_files": files}
        return Job(**{"device": "cpu", **asked, **changed})

    def _component(self, kind: str, name: str, given: Mapping[str, Any]) -> Component:
        entry = self.host.registry.find(kind, name)
        origin = entry.origin
        return Component(name, name, 1, origin.distribution, origin.version, entry.info.resolve(given))

    def execute(
        self, cells: Sequence[Cell], watcher: Watcher, jobs: int = 2, kept: Sequence[Cell] = (), **chosen: Any
    ) -> Mapping[str, int]:
        options = Options(device="cpu", jobs=jobs, **chosen)
        executor = ProcessExecutor(self.starter)
        runner = SuiteRunner(self.host, self.sources, self.store, watcher, options, executor)
        attempts = {cell.run_id: self.store.attempts(cell.run_id) for cell in cells}
        return runner.run("toy@1", cells, {cell.run_id: cell for cell in kept}, attempts)


@pytest.fixture(scope="module")
def workshop(toy_plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("execution")
    observer = folder / "observer.py"
    observer.write_text(OBSERVER)
    with pytest.MonkeyPatch.context() as patch:
        # The runs' processes inherit it.
        patch.setenv("RMTL_BENCH_LOAD_PLUGINS", "")
        host = load_plugins([toy_plugin, observer])
        sources = DataSources(host.registry, folder / "data", folder / "cache")
        with RunStarter(host.files) as starter:
            yield Workshop(host, sources, Store.open(folder / "store"), folder, starter)


@pytest.fixture
def request_for(workshop: Workshop, tmp_path: Path) -> Callable[..., RunRequest]:
    """A request to make a run in a folder of its own, in the table of the toy."""

    def request_for(cell: Cell, table: Path | None = None) -> RunRequest:
        folder = workshop.sources.prepare(cell.dataset, cell.fingerprint) if table is None else table
        staging = tmp_path / cell.run_id
        staging.mkdir()
        return RunRequest(cell, folder, staging, "cpu", 1, tuple(workshop.host.files))

    return request_for


@pytest.fixture(scope="module")
def new_watcher() -> type[Watcher]:
    return Watcher


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A Ray cluster of two nodes on this machine, each with room for one run, and with one cache for both."""
    utils = pytest.importorskip("ray.cluster_utils", reason="needs rmtl-bench[ray]")
    with pytest.MonkeyPatch.context() as patch:
        # The nodes inherit them; what else is about plugins, the command tells them.
        patch.setenv("RMTL_BENCH_CACHE", str(tmp_path_factory.mktemp("nodes")))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        options = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
        # A lost node is missed within seconds.
        watch = {
            "health_check_initial_delay_ms": 500,
            "health_check_period_ms": 500,
            "health_check_failure_threshold": 4,
        }
        cluster = utils.Cluster(initialize_head=True, head_node_args={**options, "_system_config": watch})
        cluster.add_node(**options)
        yield cluster
        cluster.shutdown()


@pytest.fixture(scope="module")
def in_ray_cluster(ray_cluster: Any) -> Iterator[Any]:
    """The cluster, which this process has joined: its executors share the workers, as those of one command do."""
    import ray

    ray.init(ray_cluster.address, log_to_driver=False, configure_logging=False, logging_level="ERROR")
    yield ray_cluster
    ray.shutdown()

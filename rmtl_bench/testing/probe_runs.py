"""Probe runs: small runs that an executor is given, what it says of them, and what they leave."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.cell import Cell
from rmtl_bench.contracts.executor import Ended, Executor, Job, PreparedData, Room
from rmtl_bench.contracts.run_request import NO_LIMITS, Limits, RunRequest
from rmtl_bench.execution.inline_executor import InlineExecutor
from rmtl_bench.execution.sources import DataSources
from rmtl_bench.plugins.host import PluginHost, load_plugins
from rmtl_bench.testing.checks import broken

PROBE = Path(__file__).with_name("probe_plugin.py")
_SETTINGS: Mapping[str, Any] = {
    "batch_size": 64,
    "evaluation_batch_size": 8192,
    "learning_rate": 0.01,
    "weight_decay": 1e-6,
}
_PATIENCE_SECONDS = 120.0
_NAPS = 3
"""Epochs of a run that sleeps: it takes about two seconds."""


class Workplace:
    """The probe plugin beside others, its prepared table, and folders for runs, all in a temporary folder."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rmtl-bench-check-")).resolve()
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.host: PluginHost = load_plugins([*files, PROBE])
        self._sources = DataSources(self.host.registry, self.folder / "data", self.folder / "cache")
        self._dataset = self.host.registry.find("dataset", "probe-sessions").component({})
        digest = self._sources.fingerprint(self._dataset)
        self.data = PreparedData(self._dataset, digest, self._sources.prepare(self._dataset, digest))
        self._sessions = count()

    def cell(self, seed: int = 0, *, epochs: int = 2, **behaviour: Any) -> Cell:
        """Return a run; ``behaviour``: parameters of the probe's weighting."""
        find = self.host.registry.find
        return Cell(
            self._dataset,
            self.data.fingerprint,
            find("backbone", "probe-backbone").component({}),
            find("weighting", "probe-weighting").component(behaviour),
            {**_SETTINGS, "max_epochs": epochs, "patience": epochs},
            ("auc", "logloss"),
            seed,
        )

    def job(self, device: str = "cpu", limits: Limits = NO_LIMITS) -> Job:
        """Return what an executor is opened for: runs one after another, on one thread."""
        return Job(
            device=device,
            jobs=1,
            threads=1,
            runs=1,
            data=(self.data,),
            plugins={plugin.origin.distribution: plugin.origin.version for plugin in self.host.plugins},
            plugin_files=tuple(self.host.files),
            data_dir=self._sources.data_dir,
            cache_dir=self._sources.cache_dir,
            limits=limits,
        )

    def new_folder(self, name: str) -> Path:
        """Return an empty folder."""
        folder = self.folder / f"{name}-{next(self._sessions)}"
        folder.mkdir()
        return folder


@lru_cache
def workplace(files: tuple[Path, ...]) -> Workplace:
    """Return the workplace where these one-file plugins are loaded, made once."""
    return Workplace([file for file in files if file != PROBE])


@dataclass
class Sitting:
    """An executor from its opening to its closing, and what was seen of it.

    ``staging`` holds a folder for each run. ``told``: requests and what their runs told, in order; ``ended``: what
    wait() returned; for each of that, ``complete``: whether its runs had written all when it was returned, and
    ``heard``: how much had been told.
    """

    place: Workplace
    executor: Executor
    staging: Path
    room: Room | None = None
    told: list[tuple[RunRequest, Mapping[str, Any]]] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    complete: list[bool] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)

    def request(self, cell: Cell, *others: Cell, limits: Limits = NO_LIMITS) -> RunRequest:
        """Return the request to make a run, and others that differ from it in their seed alone."""
        first, *rest = (self._request(each, limits) for each in (cell, *others))
        return replace(first, others=tuple(rest), seeds_per_pass=1 + len(rest))

    def _request(self, cell: Cell, limits: Limits) -> RunRequest:
        if self.room is None:
            raise RuntimeError("the executor is not open")
        staging = self.staging / cell.run_id
        staging.mkdir()
        return RunRequest(
            cell,
            self.place.data.folder,
            staging,
            self.room.device,
            self.room.threads,
            tuple(self.place.host.files),
            machine=self.room.machine,
            limits=limits,
        )

    def make(self, request: RunRequest) -> None:
        """Start a request and wait for its end."""
        before = len(self.ended)
        self.executor.start(request)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while len(self.ended) == before:
            if time.monotonic() > deadline:
                broken(f"a run has not ended after {_PATIENCE_SECONDS:.0f} s", "let wait() return what has ended")
            self.wait(0.2)

    def wait(self, seconds: float) -> None:
        """Wait once, and note what ends."""
        for ended in self.executor.wait(seconds):
            self.ended.append(ended)
            self.complete.append(all((run.staging / "run.json").is_file() for run in ended.request.runs))
            self.heard.append(len(self.told))


@contextmanager
def sitting(place: Workplace, executor: Executor, limits: Limits = NO_LIMITS) -> Iterator[Sitting]:
    """Open an executor on the CPU, and close it however it ends."""
    import torch

    found = Sitting(place, executor, place.new_folder("staging"))
    threads = torch.get_num_threads()
    try:
        found.room = executor.open(place.job(limits=limits), lambda *event: found.told.append(event))
        yield found
    finally:
        executor.close()
        # A run in this process has set them.
        torch.set_num_threads(threads)


@dataclass
class Round:
    """The probe runs that every executor is given, one request after another, and the sitting they were made in.

    ``stopped`` went on when the executor was closed; its process has left its number in ``numbers``.
    """

    sitting: Sitting
    numbers: Path
    plain: RunRequest
    killed: RunRequest
    failing: RunRequest
    seeds: RunRequest
    stopped: RunRequest

    @property
    def requests(self) -> tuple[RunRequest, ...]:
        """Those that were waited for, in the order in which they were made."""
        return self.plain, self.killed, self.failing, self.seeds

    @property
    def isolated(self) -> bool:
        """Whether a run has a process of its own, so that one that kills its process leaves no result."""
        return not (self.killed.staging / "run.json").is_file()


def make_round(place: Workplace, executor: Executor) -> Round:
    """Have the probe runs made: one that learns, one that kills its process, one that fails, and two seeds in one."""
    numbers = place.new_folder("numbers")
    with sitting(place, executor) as found:
        made = Round(
            found,
            numbers,
            found.request(place.cell()),
            # This process is spared: it may be the one that makes the run.
            found.request(place.cell(behaviour="kill", spared=os.getpid())),
            found.request(place.cell(behaviour="raise")),
            found.request(place.cell(1), place.cell(2)),
            found.request(sleeping_cell(place, numbers)),
        )
        for request in made.requests:
            found.make(request)
        found.wait(0.0)
        executor.start(made.stopped)
        heard, deadline = len(found.told), time.monotonic() + _PATIENCE_SECONDS
        # In this process it would be made within wait(), to its end.
        while made.isolated and not any(numbers.iterdir()) and len(found.told) == heard:
            if time.monotonic() > deadline:
                break
            found.wait(0.1)
    return made


@lru_cache
def expected_round(place: Workplace) -> Round:
    """Return the probe runs as they are made in this process, made once."""
    return make_round(place, InlineExecutor())


def sleeping_cell(place: Workplace, numbers: Path, seed: int = 0) -> Cell:
    """Return a run that takes some seconds, and leaves the number of its process in a folder."""
    return place.cell(seed, epochs=_NAPS, behaviour="sleep", numbers=str(numbers))

"""What runs in the worker processes of a Ray cluster: a request is made there as on one machine, its files sent back.

A Ray task watches over the run's process with a :class:`ProcessExecutor` that stays from task to task: the same worker
code, limits and log, so the same numbers. The task yields what happens as it happens. When Ray ends its process, the
run's process ends with it, by its lifeline.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rmtl_bench.contracts.executor import Ended, Job
from rmtl_bench.contracts.run_request import RunRequest
from rmtl_bench.data.locks import try_lock
from rmtl_bench.data.preparation import default_cache_dir
from rmtl_bench.execution import ray_survey, ray_tables
from rmtl_bench.execution.process_executor import ProcessExecutor

EVENT, PIECE, END = "event", "piece", "end"
"""What a task yields first in each item, before what belongs to it: see :func:`make`."""
CHECKPOINT = ":checkpoint"
"""The name of a piece that belongs to a run's checkpoint, and to no file of its folder."""

_LOOK_SECONDS = 0.2
_RUN_FILE = "run.json"
_Item = tuple[Any, ...]


class Order(NamedTuple):
    """A request as it is sent: its line, what decides which plugins are loaded, and where its files are in the task.

    ``given``: which of the task's arguments is which file of the command's machine.
    """

    line: str
    switches: Mapping[str, str]
    files: Sequence[tuple[str, bytes]]
    given: Mapping[str, int]


def make(order: Order, *contents: Any) -> Iterator[_Item]:
    """Make the runs of an order on this node.

    Yields ``(EVENT, what a run tells)``; ``(PIECE, number of the run in the request, file name, where
    it starts, bytes, whether it is the last)``, ``run.json`` of each run as its last file; and at last ``(END, status,
    error)`` of the process.
    """
    with _workplace() as folder:
        watch = _watch(order)
        request, sent = _brought_here(RunRequest.from_line(order.line), order, contents, folder, watch)
        try:
            watch.executor.start(request)
            ended: Ended | None = None
            while ended is None:
                ended = next(iter(watch.executor.wait(_LOOK_SECONDS)), None)
                for event in watch.heard():
                    yield EVENT, event
                yield from sent.news(is_over=ended is not None)
            yield END, ended.ending.status, ended.ending.error
        except BaseException:
            _let_go()
            raise


@dataclass
class _Watch:
    """What watches over the processes of runs in this worker process, and what it was made for."""

    key: tuple[Any, ...]
    executor: ProcessExecutor
    files: tuple[Path, ...]
    machine: Mapping[str, Any]
    events: list[Mapping[str, Any]]

    def heard(self) -> Iterator[Mapping[str, Any]]:
        """Yield what was told since the last call."""
        while self.events:
            yield self.events.pop(0)


_watches: list[_Watch] = []


def _watch(order: Order) -> _Watch:
    """Return the watch of this process; its template of runs stays warm from task to task of one command."""
    ray_survey.take_over(order.switches)
    files = ray_survey.plugin_files(order.files)
    key = (files, tuple(sorted(order.switches.items())), os.environ.get("CUDA_VISIBLE_DEVICES"))
    if _watches and _watches[0].key != key:
        _let_go()
    if not _watches:
        events: list[Mapping[str, Any]] = []
        executor = ProcessExecutor()
        # The device is the request's matter: to ask for it here would cost a process.
        job = Job("cpu", 1, 1, 1, (), {}, files)
        room = executor.open(job, lambda _, event: events.append(event))
        _watches.append(_Watch(key, executor, files, room.machine, events))
    return _watches[0]


def _let_go() -> None:
    """Stop what runs, with all that was kept for the next task."""
    while _watches:
        _watches.pop().executor.close()


@dataclass
class _Sent:
    """The files of runs, of which every change is sent, and their checkpoints as often as these may be written."""

    runs: Sequence[RunRequest]
    known: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.checkpoints_due = time.monotonic() + self.runs[0].checkpoint_seconds

    def news(self, is_over: bool) -> Iterator[_Item]:
        """Yield the files of runs that have ended since the last call, of all if ``is_over``; checkpoints when due."""
        unfinished = []
        for place, run in enumerate(self.runs):
            has_ended = (run.staging / _RUN_FILE).is_file()
            if is_over or (has_ended and run.staging / _RUN_FILE not in self.known):
                for file in sorted(run.staging.iterdir(), key=lambda file: file.name == _RUN_FILE):
                    yield from self._pieces(place, file.name, file)
            if not has_ended:
                unfinished.append((place, run))
        if is_over or time.monotonic() > self.checkpoints_due:
            for place, run in unfinished:
                if run.checkpoint is not None and run.checkpoint.is_file():
                    yield from self._pieces(place, CHECKPOINT, run.checkpoint)
            self.checkpoints_due = time.monotonic() + self.runs[0].checkpoint_seconds

    def _pieces(self, place: int, name: str, path: Path) -> Iterator[_Item]:
        """Yield a file, unless it was sent as it is."""
        # Another one may take its place meanwhile, as a checkpoint does: this one is read to its end.
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            stamp = (status.st_size, status.st_mtime_ns)
            if self.known.get(path) == stamp:
                return
            self.known[path] = stamp
            start, is_last = 0, False
            while not is_last:
                data = np.fromfile(file, np.uint8, min(ray_tables.PIECE, stamp[0] - start))
                is_last = start + len(data) >= stamp[0] or not len(data)
                yield PIECE, place, name, start, data, is_last
                start += len(data)


def _brought_here(
    request: RunRequest, order: Order, contents: Sequence[Any], folder: Path, watch: _Watch
) -> tuple[RunRequest, _Sent]:
    """Return the request with the paths of this machine, and what sends its files back."""
    table = ray_tables.find(request.cell.dataset.name, request.cell.fingerprint, request.table)
    given = {path: folder / f"given-{place}" for path, place in order.given.items()}
    for path, place in order.given.items():
        contents[place].tofile(given[path])
    machine = {**watch.machine, "git": request.machine.get("git"), "node": os.uname().nodename}

    def here(place: int, run: RunRequest) -> RunRequest:
        staging = folder / str(place)
        staging.mkdir()
        checkpoint = None
        if run.checkpoint is not None:
            checkpoint = folder / f"checkpoint-{place}"
            if str(run.checkpoint) in given:
                given[str(run.checkpoint)].rename(checkpoint)
        return replace(
            run,
            table=table or run.table,
            staging=staging,
            plugin_files=watch.files,
            source=None if run.source is None else given[str(run.source)],
            machine=machine,
            checkpoint=checkpoint,
            others=(),
        )

    first, *others = [here(place, run) for place, run in enumerate(request.runs)]
    return replace(first, others=tuple(others)), _Sent((first, *others))


@contextmanager
def _workplace() -> Iterator[Path]:
    """Yield an empty folder of this node that is gone afterwards; what killed tasks have left goes as well."""
    root = default_cache_dir() / "ray-runs"
    root.mkdir(parents=True, exist_ok=True)
    for lock in root.glob("*.lock"):
        descriptor = try_lock(lock)
        if descriptor is not None:
            _remove(lock, descriptor)
    lock = root / f"{uuid.uuid4().hex}.lock"
    held = try_lock(lock)
    if held is None:
        raise RuntimeError(f"{lock} is taken, which nobody else can know")
    try:
        folder = lock.with_suffix("")
        folder.mkdir()
        yield folder
    finally:
        _remove(lock, held)


def _remove(lock: Path, descriptor: int) -> None:
    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    lock.unlink(missing_ok=True)
    os.close(descriptor)

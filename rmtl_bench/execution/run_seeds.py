"""Several runs that differ in their seed alone, in one process, side by side where that is faster."""

from __future__ import annotations

import gc
import itertools
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from rmtl_bench.contracts.cell import Cell, EpochRecord
from rmtl_bench.contracts.spans import recording
from rmtl_bench.execution.memory import is_out_of_memory
from rmtl_bench.execution.run_cell import LoadedData, RunOfCell, RunResult, train_with_checkpoint
from rmtl_bench.execution.seeds_per_pass import fastest_size
from rmtl_bench.plugins.registry import Registry
from rmtl_bench.training.checkpoint import Checkpoint, at_one_place, begun_anew
from rmtl_bench.training.checkpoint_file import CheckpointError
from rmtl_bench.training.seeds_side_by_side import SeedsSideBySide
from rmtl_bench.training.trainer import Observer, Trainer


class SeedToRun(NamedTuple):
    """One of the runs: its cell; what is called as it begins, and returns who is told of its epochs; what the run that
    it builds on has kept; and the file of its checkpoint, which may be there or not.
    """

    cell: Cell
    begin: Callable[[], Observer]
    source: Path | None = None
    checkpoint: Path | None = None


class RunEnd(NamedTuple):
    """How the run at a place of those asked for ended: with a result, or the traceback of what it failed with.

    ``out_of_memory``: whether that was want of memory.
    """

    place: int
    result: RunResult | None
    error: str = ""
    out_of_memory: bool = False

    @classmethod
    def failed(cls, place: int, problem: Exception) -> RunEnd:
        """Return the end of a run that an exception, the one being handled, has ended."""
        return cls(place, None, traceback.format_exc(), is_out_of_memory(problem))


def run_seeds(
    asked: Sequence[SeedToRun],
    table_folder: Path,
    registry: Registry,
    device: str,
    seeds_per_pass: int = 0,
    memory_limit: int | None = None,
    checkpoint_seconds: float | None = None,
) -> Iterator[RunEnd]:
    """Train and test cells that differ in their seed alone; yield each run's end as soon as it is known.

    ``seeds_per_pass``: how many train side by side at most; 0: as many as a short measurement finds fastest. Every run
    has the numbers that it has alone, to rounding. Where a pass runs out of memory, it is halved; where anything else
    ends it, its seeds are run anew one after another, and the runs say so. ``memory_limit``: the bytes that the process
    may take; of a table that does not fit, batches are read from the disk. Runs whose checkpoints are at one place go
    on from there side by side; each of the others goes on alone, after them. They are written at the earliest every
    ``checkpoint_seconds``; ``None``: those of :data:`~rmtl_bench.contracts.run_request.CHECKPOINT_SECONDS`.
    """
    data = LoadedData(table_folder, device, memory_limit)
    passes = _Passes(asked, data, registry, checkpoint_seconds)
    # A trial is no part of a run: a profile sees the time alone.
    with recording(None):
        size = seeds_per_pass or fastest_size(passes.trainers, len(asked))
    for places in even_parts(len(asked), size):
        yield from passes.run(places)


def even_parts(count: int, size: int) -> list[range]:
    """Return the places 0 to ``count`` in as few parts of at most ``size`` as do, none longer than another by two."""
    parts = -(-count // size)
    edges = [count * part // parts for part in range(parts + 1)]
    return [range(begin, end) for begin, end in itertools.pairwise(edges)]


class _Passes:
    """Makes the runs of one process, some at a time."""

    def __init__(
        self, asked: Sequence[SeedToRun], data: LoadedData, registry: Registry, checkpoint_seconds: float | None
    ) -> None:
        self.asked = asked
        self.data = data
        self.registry = registry
        self.checkpoint_seconds = checkpoint_seconds
        self._observers: dict[int, Observer] = {}
        self._begin_anew: dict[int, str] = {}

    def trainers(self, size: int) -> list[Trainer]:
        """Return trainers of the first ``size`` runs, for a trial: nobody is told of their epochs."""
        return [self._ready(place, _tell_nobody).trainer for place in range(size)]

    def run(self, places: Sequence[int], warning: str = "") -> Iterator[RunEnd]:
        """Run these side by side, or one after another where that cannot be; ``warning`` is stored with each."""
        if len(places) <= 1 or warning:
            for place in places:
                yield self._run_alone(place, warning)
            return
        ready: dict[int, RunOfCell] = {}
        for place in places:
            try:
                ready[place] = self._ready_to_go_on(place)
            except Exception as problem:
                yield RunEnd.failed(place, problem)
        together = at_one_place({place: run.checkpoint.place for place, run in ready.items()})
        if len(together) <= 1:
            together = []
        alone = [place for place in ready if place not in together]
        # They are made again when it is their turn: there is memory for a pass.
        for place in alone:
            del ready[place]
        if together:
            yield from self._side_by_side(ready)
        for place in alone:
            yield self._run_alone(place)

    def _side_by_side(self, ready: dict[int, RunOfCell]) -> Iterator[RunEnd]:
        """Run these in one pass; they are taken out of ``ready`` where it fails."""
        trouble = ""
        try:
            errors = SeedsSideBySide([run.trainer for run in ready.values()]).run()
        except CheckpointError as error:
            left = list(ready)
            ready.clear()
            self._begin_anew.update(dict.fromkeys(left, begun_anew(error)))
            yield from self.run(left)
            return
        except Exception as error:
            trouble = _first_line(error)
            half = len(ready) // 2 if is_out_of_memory(error) else 0
        if trouble:
            left = list(ready)
            ready.clear()
            _free_memory()
            yield from self._run_anew(left, half, trouble)
            return
        for (place, run), diverged in zip(ready.items(), errors, strict=True):
            text = "".join(traceback.format_exception(diverged)) if diverged else ""
            seconds = sum(stage.seconds for stage in run.trainer.history.stages)
            yield self._concluded(place, run, text, seconds, len(ready))

    def _run_anew(self, places: Sequence[int], half: int, trouble: str) -> Iterator[RunEnd]:
        """Run what could not be one pass: the first ``half`` and the rest apart or, where that is 0, each alone."""
        if half:
            yield from self.run(places[:half])
            yield from self.run(places[half:])
        else:
            yield from self.run(places, f"its seeds could not train side by side and ran one after another: {trouble}")

    def _observer(self, place: int) -> Observer:
        """Return who is told of a run's epochs; a run begins once, however often it is tried."""
        if place not in self._observers:
            self._observers[place] = self.asked[place].begin()
        return self._observers[place]

    def _ready(self, place: int, observer: Observer, checkpoint: Checkpoint | None = None) -> RunOfCell:
        cell, _, source, _ = self.asked[place]
        share = self.data.seconds / len(self.asked)
        return RunOfCell(cell, self.data, self.registry, observer, source, share, checkpoint)

    def _ready_to_go_on(self, place: int) -> RunOfCell:
        """Return a run that knows where it goes on from."""
        warning = self._begin_anew.get(place, "")
        asked = self.asked[place]
        interval = self.checkpoint_seconds
        saved = Checkpoint(asked.checkpoint, asked.cell.run_id, resumes=not warning, interval=interval)
        run = self._ready(place, self._observer(place), saved)
        if warning:
            run.trainer.warn(warning)
        saved.begin(run.trainer)
        return run

    def _run_alone(self, place: int, warning: str = "") -> RunEnd:
        def make(checkpoint: Checkpoint) -> RunOfCell:
            run = self._ready(place, self._observer(place), checkpoint)
            if warning:
                run.trainer.warn(warning)
            return run

        cell, _, _, path = self.asked[place]
        try:
            made = train_with_checkpoint(make, cell, path, self.checkpoint_seconds, resumes=not warning)
            return RunEnd(place, made)
        except Exception as problem:
            return RunEnd.failed(place, problem)

    def _concluded(self, place: int, run: RunOfCell, error: str, seconds: float, seeds: int) -> RunEnd:
        try:
            result = run.conclude(error, seconds)
        except Exception as problem:
            return RunEnd.failed(place, problem)
        result.facts["seeds_side_by_side"] = seeds
        return RunEnd(place, result)


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _tell_nobody(_record: EpochRecord) -> None:
    """Observe a trial's epochs."""

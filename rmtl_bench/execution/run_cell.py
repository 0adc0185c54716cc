"""One run: data, backbone, weighting, training, predictions, metrics."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rmtl_bench.contracts.backbone import Backbone
from rmtl_bench.contracts.batch import SplitRows
from rmtl_bench.contracts.catalogue import MetricInfo
from rmtl_bench.contracts.cell import Cell
from rmtl_bench.contracts.dataset import SPLITS, SessionTable
from rmtl_bench.contracts.errors import DivergedError, StoreError
from rmtl_bench.contracts.spans import span
from rmtl_bench.contracts.weighting import Diagnostic, Weighting
from rmtl_bench.data.residence import open_split, stays_on_disk
from rmtl_bench.data.storage import load_table
from rmtl_bench.execution.kept import read_kept
from rmtl_bench.metrics.evaluation import MetricRow, evaluate
from rmtl_bench.plugins.registry import Registry
from rmtl_bench.training.checkpoint import Checkpoint, begun_anew
from rmtl_bench.training.checkpoint_file import CheckpointError
from rmtl_bench.training.history import History
from rmtl_bench.training.settings import TrainerSettings
from rmtl_bench.training.streams import Streams
from rmtl_bench.training.trainer import Observer, Trainer

_T = TypeVar("_T")


@dataclass(frozen=True)
class RunResult:
    """What a run yields.

    Metric rows, history, test predictions as columns, what the weighting says of itself on the test split, what it
    keeps for later runs, and facts for ``run.json``. ``error``: the traceback of a run that diverged; metrics and
    predictions are then those of the best state until then, and empty if there is none. Nothing is asked of its
    weighting.
    """

    metrics: list[MetricRow]
    history: History
    predictions: dict[str, NDArray[Any]]
    diagnostics: list[Diagnostic]
    kept: Mapping[str, Tensor]
    facts: dict[str, Any]
    error: str = ""


class _Tested(NamedTuple):
    """What a test of the backbone yields."""

    metrics: list[MetricRow]
    predictions: dict[str, NDArray[Any]]


class LoadedData:
    """A prepared table and its splits: one for all runs of a process that train on it.

    The rows are copied to the device, or stay on the disk: :mod:`rmtl_bench.data.residence` decides, by what memory
    there is. ``memory_limit``: the bytes that the process may take, ``None`` without limit.
    """

    def __init__(self, table_folder: Path, device: str, memory_limit: int | None = None) -> None:
        started = time.perf_counter()
        self.device = torch.device(device)
        with span("data"):
            self.table = load_table(table_folder)
            self.on_disk = stays_on_disk(self.table, self.device, memory_limit)
            self.train, self.valid, self.test = (self.rows(split) for split in SPLITS)
        self.seconds = time.perf_counter() - started

    def rows(self, split: str) -> SplitRows:
        """Return the rows of a split, where those of the table are."""
        return open_split(self.table, split, self.device, self.on_disk)


class RunOfCell:
    """One run from its beginning to its result: made ready, trained by :attr:`trainer`, and concluded.

    ``source``: what the run that it builds on has kept. Raises ``StoreError`` if that cannot be read. ``load_seconds``:
    its share of loading the data. ``checkpoint``: that of the run; none: nothing of it is saved before its end.
    """

    def __init__(
        self,
        cell: Cell,
        data: LoadedData,
        registry: Registry,
        observer: Observer,
        source: Path | None = None,
        load_seconds: float | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        started = time.perf_counter()
        self.cell = cell
        self.data = data
        self.registry = registry
        handed_on = _handed_on(cell, source)
        streams = Streams(cell)
        self.backbone = _build_backbone(cell, data.table, registry, streams).to(data.device)
        self.weighting: Weighting = registry.find("weighting", cell.weighting.name).load()(
            data.table.schema.tasks, **cell.weighting.parameters
        )
        self.settings = TrainerSettings(**cell.trainer)
        self.checkpoint = checkpoint or Checkpoint()
        given = self.settings, streams, observer, handed_on, self.checkpoint
        self.trainer = Trainer(self.backbone, self.weighting, data.train, data.valid, *given)
        loading = data.seconds if load_seconds is None else load_seconds
        self._load_seconds = loading + time.perf_counter() - started

    def train(self) -> RunResult:
        """Train it alone, and conclude it."""
        started = time.perf_counter()
        _, error = unless_diverged(self.trainer.run, self.trainer.history)
        return self.conclude(error, self.checkpoint.seconds_before + time.perf_counter() - started)

    def conclude(self, error: str, train_seconds: float) -> RunResult:
        """Test the trained backbone. ``error``: the traceback, if the training diverged."""
        started = time.perf_counter()
        history = self.trainer.history
        tested, diagnostics = _Tested([], {}), list[Diagnostic]()
        if not error or history.kept_epoch is not None:
            tested, trouble = unless_diverged(self._test, tested)
            error = error or trouble
        if not error:
            diagnose = self.weighting.diagnose
            with span("weighting"):
                diagnostics, error = unless_diverged(lambda: list(diagnose(self.trainer, self.data.test)), diagnostics)
        seconds = [self._load_seconds, train_seconds, time.perf_counter() - started]
        facts = _facts(self.data.table, self.backbone, history, seconds)
        if error and tested.predictions and history.kept_epoch is not None:
            facts["kept_epoch"] = asdict(history.kept_epoch)
        if self.checkpoint.resumed:
            facts["resumed"] = self.checkpoint.resumed
        kept = {} if error else self.weighting.kept()
        return RunResult(tested.metrics, history, tested.predictions, diagnostics, kept, facts, error)

    def _test(self) -> _Tested:
        with span("evaluation"):
            return _test(self.cell, self.data, self.trainer, self.registry)


def run_cell(
    cell: Cell,
    table_folder: Path,
    registry: Registry,
    device: str,
    observer: Observer,
    source: Path | None = None,
    memory_limit: int | None = None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float | None = None,
) -> RunResult:
    """Train and test one cell. The same cell gives the same numbers on the same kind of device.

    ``source``: what the run that it builds on has kept. Raises ``StoreError`` if that cannot be read. ``memory_limit``:
    the bytes that the process may take; of a table that does not fit, batches are read from the disk. ``checkpoint``: a
    file that the run goes on from where it is there and of this run, and that it saves itself in as it goes on
    (:mod:`rmtl_bench.training.checkpoint`), at the earliest every ``checkpoint_seconds``. It is left behind.
    """
    data = LoadedData(table_folder, device, memory_limit)

    def make(saved: Checkpoint) -> RunOfCell:
        return RunOfCell(cell, data, registry, observer, source, checkpoint=saved)

    return train_with_checkpoint(make, cell, checkpoint, checkpoint_seconds)


def train_with_checkpoint(
    make: Callable[[Checkpoint], RunOfCell],
    cell: Cell,
    path: Path | None,
    interval: float | None = None,
    *,
    resumes: bool = True,
) -> RunResult:
    """Make a run and train it; where its checkpoint proves to be of no use, make it again and begin anew."""
    run = make(Checkpoint(path, cell.run_id, resumes=resumes, interval=interval))
    try:
        return run.train()
    except CheckpointError as error:
        warning = begun_anew(error)
    # Given up before the next is made: there is memory for one.
    del run
    run = make(Checkpoint(path, cell.run_id, resumes=False, interval=interval))
    run.trainer.warn(warning)
    return run.train()


def unless_diverged(action: Callable[[], _T], otherwise: _T) -> tuple[_T, str]:
    """Return what an action returns; where it meets a value that is not finite, ``otherwise`` and the traceback."""
    try:
        return action(), ""
    except DivergedError:
        return otherwise, traceback.format_exc()


def _test(cell: Cell, data: LoadedData, trainer: Trainer, registry: Registry) -> _Tested:
    table = data.table
    probabilities = _probabilities(trainer, data.test)
    metrics = _evaluate(cell, table, "test", probabilities, registry)
    for split in table.extra_tests:
        scores = _probabilities(trainer, data.rows(split))
        found = _evaluate(cell, table, split, scores, registry)
        metrics += [row._replace(metric=f"{row.metric}@{split}") for row in found]
    return _Tested(metrics, _predictions(table, probabilities))


def _facts(table: SessionTable, backbone: Backbone, history: History, seconds: Sequence[float]) -> dict[str, Any]:
    return {
        "seconds": dict(zip(("load", "train", "evaluate"), seconds, strict=True)),
        "seconds_a_step": history.seconds_a_step(),
        "parameters": sum(p.numel() for p in backbone.parameters()),
        "stages": history.stage_summaries(),
        "rows": dict(table.splits),
        "data_notes": dict(table.notes),
        "warnings": list(history.warnings),
    }


def _handed_on(cell: Cell, source: Path | None) -> Mapping[str, Tensor] | None:
    if not cell.source:
        return None
    if source is None:
        raise StoreError(f"what the source run {cell.source} kept was not given to the run that builds on it")
    return read_kept(source, cell.source)


def _build_backbone(cell: Cell, table: SessionTable, registry: Registry, streams: Streams) -> Backbone:
    target = registry.find("backbone", cell.backbone.name).load()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(streams.init())
        backbone: Backbone = target(table.schema, **cell.backbone.parameters)
    return backbone


def _probabilities(trainer: Trainer, rows: SplitRows) -> NDArray[np.float64]:
    return np.asarray(torch.sigmoid(trainer.predict(rows).double()).cpu().numpy())


def _evaluate(
    cell: Cell, table: SessionTable, split: str, probabilities: NDArray[np.float64], registry: Registry
) -> list[MetricRow]:
    rows = table.split(split)
    metrics = {}
    for name in cell.metrics:
        entry = registry.find("metric", name)
        metrics[name] = (entry.load(), cast("MetricInfo", entry.info))
    return evaluate(
        metrics,
        table.schema.task_names,
        table.labels[rows],
        None if table.label_mask is None else table.label_mask[rows],
        probabilities,
        table.user[rows],
        table.session[rows],
        None if table.optimum is None else table.optimum[rows],
    )


def _predictions(table: SessionTable, probabilities: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    rows = table.split("test")
    columns: dict[str, NDArray[Any]] = {
        "row": np.arange(rows.start, rows.stop, dtype=np.int64),
        "session": np.asarray(table.session[rows]),
    }
    for k, task in enumerate(table.schema.task_names):
        labels = np.asarray(table.labels[rows][:, k], dtype=np.float32)
        known = True if table.label_mask is None else table.label_mask[rows][:, k]
        columns[f"label_{task}"] = np.where(known, labels, np.float32("nan")).astype(np.float32)
        columns[f"score_{task}"] = probabilities[:, k].astype(np.float32)
    return columns

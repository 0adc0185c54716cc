"""The hooks a plugin can implement, in two groups: the catalogue, and the life of a suite.

Implement a hook as a function of the same name marked with ``rmtl_bench.hookimpl`` in the module that
the entry point names. A hook may leave out arguments it does not need.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pluggy

from rmtl_bench.contracts.catalogue import (
    PROJECT,
    BackboneInfo,
    DatasetInfo,
    ExecutorInfo,
    MetricInfo,
    WeightingInfo,
)
from rmtl_bench.contracts.cell import Cell, EpochRecord, Outcome

hookspec = pluggy.HookspecMarker(PROJECT)

# Hook specifications are signatures: nothing uses their arguments.


class CatalogueSpecs:
    """What a plugin offers. Pure and cheap: called by every command, so nothing here may import torch."""

    @hookspec
    def rmtl_backbones(self) -> Iterable[BackboneInfo]:  # type: ignore[empty-body]
        """Return the descriptions of this plugin's backbones."""

    @hookspec
    def rmtl_weightings(self) -> Iterable[WeightingInfo]:  # type: ignore[empty-body]
        """Return the descriptions of this plugin's weightings."""

    @hookspec
    def rmtl_datasets(self) -> Iterable[DatasetInfo]:  # type: ignore[empty-body]
        """Return the descriptions of this plugin's data sets."""

    @hookspec
    def rmtl_metrics(self) -> Iterable[MetricInfo]:  # type: ignore[empty-body]
        """Return the descriptions of this plugin's metrics."""

    @hookspec
    def rmtl_executors(self) -> Iterable[ExecutorInfo]:  # type: ignore[empty-body]
        """Return the descriptions of this plugin's executors."""

    @hookspec
    def rmtl_suites(self) -> Iterable[Path]:  # type: ignore[empty-body]
        """Return the paths of the suite files (TOML) shipped with this plugin."""


class LifecycleSpecs:
    """What a plugin can watch. An observer that raises is reported and ignored: it cannot fail a run."""

    @hookspec
    def rmtl_suite_started(self, suite: str, cells: Sequence[Cell], store: Path) -> None:
        """Called in the main process before the first run of ``suite`` (``name@version``)."""

    @hookspec
    def rmtl_run_started(self, cell: Cell) -> None:
        """Called in the run's own process, before data are loaded."""

    @hookspec
    def rmtl_epoch_finished(self, cell: Cell, record: EpochRecord) -> None:
        """Called in the run's own process after each epoch of each stage."""

    @hookspec
    def rmtl_run_finished(self, cell: Cell, outcome: Outcome) -> None:
        """Called in the main process after a run was published, however it ended."""

    @hookspec
    def rmtl_suite_finished(self, suite: str, summary: Mapping[str, int]) -> None:
        """Called in the main process after the last run, with the number of runs by status."""

"""rmtl-bench: does a dynamic loss weighting really beat fixed and uncertainty weighting?

Importing this package is cheap: it draws in neither torch, numpy nor any plugin. A plugin's catalogue
module needs nothing else::

    from rmtl_bench import BackboneInfo, Parameter, hookimpl

The classes a plugin implements (``Backbone``, ``LossWeighting``, ``Dataset``, ...) are in
:mod:`rmtl_bench.contracts`. :func:`open` opens a folder of results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmtl_bench.contracts.catalogue import (
    BackboneInfo,
    DatasetInfo,
    ExecutorInfo,
    MetricInfo,
    Parameter,
    WeightingInfo,
    hookimpl,
    scope_parameter,
)
from rmtl_bench.contracts.source import Download, Source
from rmtl_bench.contracts.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from rmtl_bench.report.results import Results

__all__ = [
    "BackboneInfo",
    "DatasetInfo",
    "Download",
    "ExecutorInfo",
    "MetricInfo",
    "Parameter",
    "Source",
    "WeightingInfo",
    "__version__",
    "hookimpl",
    "open",
    "scope_parameter",
]


def open(store: str | Path) -> Results:  # noqa: A001 -- read as rmtl_bench.open, like gzip.open
    """Open a store of results for reading: scores as pandas frames, leaderboards, comparisons, reports.

    Raises ``StoreError`` if there is none at this path.
    """
    from rmtl_bench.report.results import Results

    return Results(store)

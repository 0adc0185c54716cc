"""Execution: runs the cells of a plan, each in a process of its own."""

from __future__ import annotations

from rmtl_bench.execution.listener import Listener
from rmtl_bench.execution.local import LocalExecutor, Options
from rmtl_bench.execution.pending import missing_cells, with_sources
from rmtl_bench.execution.planning import stored_plan
from rmtl_bench.execution.sources import DataSources

__all__ = ["DataSources", "Listener", "LocalExecutor", "Options", "missing_cells", "stored_plan", "with_sources"]
